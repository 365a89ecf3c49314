//! Key packages. What a device leaves is written under the lock of its user's
//! first device list, which nothing else waits for; what is claimed is locked one
//! by one, and claims pass over what another has locked, so that none waits.

use ruggine_core::api::key_package::SuiteStock;
use ruggine_core::{Blob, Timestamp};
use sqlx::postgres::PgConnection;

use super::PostgresStore;
use super::errors::store_error;
use super::rows::{Columns, all, key, optional};
use super::transaction::{End, Unanswered};
use crate::store::{
    CertifiedDevice, ClaimKeyPackages, ClaimedKeyPackage, KeyPackageStore, NewKeyPackage,
    NewKeyPackages, StoreKeyPackages, StoreResult,
};

const TABLE: &str = "key_packages";
const PURGE_BATCH: i64 = 1_000;

/// Spends what the device left under another certificate, and the packages of
/// last resort of some suites.
const SPEND: &str = "UPDATE key_packages SET spent_at = $4, certificate = '', body = ''
     WHERE user_id = $1 AND device_id = $2 AND spent_at IS NULL
       AND (certificate <> $3 OR (last_resort AND suite = ANY($5)))";

const INSERT: &str = "INSERT INTO key_packages (user_id, device_id, certificate, reference, suite,
                               last_resort, expires_at, body)
     SELECT $1, $2, $3, given.reference, given.suite, given.last_resort, given.expires_at, given.body
     FROM unnest($4::bytea[], $5::bigint[], $6::boolean[], $7::bigint[], $8::bytea[])
          AS given (reference, suite, last_resort, expires_at, body)
     ON CONFLICT (user_id, device_id, reference) DO NOTHING";

/// What is returned of a row is what it held before it was spent.
const TAKE: &str = "WITH chosen AS MATERIALIZED (
         SELECT user_id, device_id, reference, body FROM key_packages
         WHERE user_id = $1 AND device_id = $2 AND suite = $3 AND spent_at IS NULL
           AND NOT last_resort AND certificate = $4 AND expires_at > $5
         ORDER BY expires_at, reference LIMIT 1 FOR UPDATE SKIP LOCKED)
     UPDATE key_packages taken SET spent_at = $5, certificate = '', body = '' FROM chosen
     WHERE taken.user_id = chosen.user_id AND taken.device_id = chosen.device_id
       AND taken.reference = chosen.reference
     RETURNING chosen.body AS body";

const LAST_RESORT: &str = "SELECT body FROM key_packages
     WHERE user_id = $1 AND device_id = $2 AND suite = $3 AND spent_at IS NULL
       AND last_resort AND certificate = $4 AND expires_at > $5";

impl KeyPackageStore for PostgresStore {
    async fn store_key_packages(&self, new: NewKeyPackages) -> StoreResult<StoreKeyPackages> {
        self.write(Unanswered::Fail, &new, |connection, new| {
            Box::pin(store(connection, new))
        })
        .await
    }

    async fn key_package_stock(
        &self,
        owner: CertifiedDevice,
        at: Timestamp,
    ) -> StoreResult<Vec<SuiteStock>> {
        self.read(&(owner, at), |connection, (owner, at)| {
            Box::pin(stock(connection, owner, *at))
        })
        .await
    }

    async fn claim_key_packages(
        &self,
        claim: ClaimKeyPackages,
    ) -> StoreResult<Vec<ClaimedKeyPackage>> {
        // Repeated after an unknown end, it takes others: what the first took
        // was given to nobody, and never is.
        self.write(Unanswered::Repeat, &claim, |connection, claim| {
            Box::pin(take_all(connection, claim))
        })
        .await
    }

    async fn purge_key_packages(&self, at: Timestamp) -> StoreResult<u64> {
        self.read(&at, |connection, at| Box::pin(purge(connection, *at)))
            .await
    }
}

async fn store(
    connection: &mut PgConnection,
    new: &NewKeyPackages,
) -> StoreResult<End<StoreKeyPackages>> {
    let owner = &new.owner;
    lock(connection, owner).await?;
    if newest_version(connection, owner).await? != new.list_version {
        return Ok(End::RollBack(StoreKeyPackages::Outdated));
    }
    spend(connection, new).await?;
    if insert(connection, owner, &new.packages).await? < new.packages.len() as u64 {
        return Ok(End::RollBack(StoreKeyPackages::Known));
    }
    if most_left(connection, owner, new.at).await? > new.most {
        return Ok(End::RollBack(StoreKeyPackages::Full));
    }
    Ok(End::Commit(StoreKeyPackages::Stored))
}

/// Lets nobody else write for the user, so that what is counted stays so, and what
/// was made under an older list does not come after what was made under a newer.
async fn lock(connection: &mut PgConnection, owner: &CertifiedDevice) -> StoreResult<()> {
    sqlx::query("SELECT 1 FROM device_lists WHERE user_id = $1 AND version = 1 FOR NO KEY UPDATE")
        .bind(key(owner.user.as_bytes()))
        .execute(connection)
        .await
        .map_err(store_error)?;
    Ok(())
}

/// The version of the user's newest device list; 0 without any.
async fn newest_version(
    connection: &mut PgConnection,
    owner: &CertifiedDevice,
) -> StoreResult<u64> {
    let row = sqlx::query(
        "SELECT coalesce(max(version), 0) AS version FROM device_lists WHERE user_id = $1",
    )
    .bind(key(owner.user.as_bytes()))
    .fetch_one(connection)
    .await
    .map_err(store_error)?;
    Columns::of("device_lists", &row).number("version")
}

async fn spend(connection: &mut PgConnection, new: &NewKeyPackages) -> StoreResult<()> {
    let last: Vec<i64> = new
        .packages
        .iter()
        .filter(|package| package.last_resort)
        .map(|package| i64::from(package.suite))
        .collect();
    sqlx::query(SPEND)
        .bind(key(new.owner.user.as_bytes()))
        .bind(key(new.owner.device.as_bytes()))
        .bind(&new.owner.certificate[..])
        .bind(new.at.as_millis())
        .bind(last)
        .execute(connection)
        .await
        .map_err(store_error)?;
    Ok(())
}

/// Writes packages; how many were not there before.
async fn insert(
    connection: &mut PgConnection,
    owner: &CertifiedDevice,
    packages: &[NewKeyPackage],
) -> StoreResult<u64> {
    let each = || packages.iter();
    let written = sqlx::query(INSERT)
        .bind(key(owner.user.as_bytes()))
        .bind(key(owner.device.as_bytes()))
        .bind(&owner.certificate[..])
        .bind(each().map(|new| &new.reference[..]).collect::<Vec<_>>())
        .bind(each().map(|new| i64::from(new.suite)).collect::<Vec<i64>>())
        .bind(each().map(|new| new.last_resort).collect::<Vec<bool>>())
        .bind(
            each()
                .map(|new| new.expires_at.as_millis())
                .collect::<Vec<i64>>(),
        )
        .bind(each().map(|new| &new.body[..]).collect::<Vec<_>>())
        .execute(connection)
        .await
        .map_err(store_error)?;
    Ok(written.rows_affected())
}

/// How many packages the device has of the suite of which it has most.
async fn most_left(
    connection: &mut PgConnection,
    owner: &CertifiedDevice,
    at: Timestamp,
) -> StoreResult<u32> {
    let row = sqlx::query(
        "SELECT coalesce(max(available), 0) AS most FROM
             (SELECT count(*) AS available FROM key_packages
              WHERE user_id = $1 AND device_id = $2 AND spent_at IS NULL AND NOT last_resort
                AND expires_at > $3
              GROUP BY suite) AS suites",
    )
    .bind(key(owner.user.as_bytes()))
    .bind(key(owner.device.as_bytes()))
    .bind(at.as_millis())
    .fetch_one(connection)
    .await
    .map_err(store_error)?;
    Columns::of(TABLE, &row).count("most")
}

async fn stock(
    connection: &mut PgConnection,
    owner: &CertifiedDevice,
    at: Timestamp,
) -> StoreResult<Vec<SuiteStock>> {
    let rows = sqlx::query(
        "SELECT suite, count(*) FILTER (WHERE NOT last_resort) AS available,
                bool_or(last_resort) AS last_resort
         FROM key_packages
         WHERE user_id = $1 AND device_id = $2 AND spent_at IS NULL
           AND certificate = $3 AND expires_at > $4
         GROUP BY suite ORDER BY suite",
    )
    .bind(key(owner.user.as_bytes()))
    .bind(key(owner.device.as_bytes()))
    .bind(&owner.certificate[..])
    .bind(at.as_millis())
    .fetch_all(connection)
    .await
    .map_err(store_error)?;
    all(TABLE, &rows, |columns| {
        Ok(SuiteStock {
            suite: columns.suite()?,
            available: columns.count("available")?,
            last_resort: columns.flag("last_resort")?,
        })
    })
}

async fn take_all(
    connection: &mut PgConnection,
    claim: &ClaimKeyPackages,
) -> StoreResult<End<Vec<ClaimedKeyPackage>>> {
    let mut claimed = Vec::with_capacity(claim.owners.len());
    for owner in &claim.owners {
        for (statement, last_resort) in [(TAKE, false), (LAST_RESORT, true)] {
            if let Some(body) = take(connection, statement, owner, claim).await? {
                claimed.push(ClaimedKeyPackage {
                    device: owner.device,
                    body,
                    last_resort,
                });
                break;
            }
        }
    }
    Ok(End::Commit(claimed))
}

async fn take(
    connection: &mut PgConnection,
    statement: &'static str,
    owner: &CertifiedDevice,
    claim: &ClaimKeyPackages,
) -> StoreResult<Option<Blob>> {
    let row = sqlx::query(statement)
        .bind(key(owner.user.as_bytes()))
        .bind(key(owner.device.as_bytes()))
        .bind(i64::from(claim.suite))
        .bind(&owner.certificate[..])
        .bind(claim.at.as_millis())
        .fetch_optional(connection)
        .await
        .map_err(store_error)?;
    optional(TABLE, row.as_ref(), |columns| {
        Ok(Blob::from(columns.blob("body")?.to_vec()))
    })
}

async fn purge(connection: &mut PgConnection, at: Timestamp) -> StoreResult<u64> {
    let purged = sqlx::query(
        "DELETE FROM key_packages WHERE ctid = ANY (ARRAY(
             SELECT ctid FROM key_packages WHERE expires_at <= $1
             LIMIT $2 FOR UPDATE SKIP LOCKED))",
    )
    .bind(at.as_millis())
    .bind(PURGE_BATCH)
    .execute(connection)
    .await
    .map_err(store_error)?;
    Ok(purged.rows_affected())
}
