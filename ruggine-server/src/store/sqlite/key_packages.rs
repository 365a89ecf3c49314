//! Key packages.

use ruggine_core::api::key_package::SuiteStock;
use ruggine_core::{Blob, Timestamp};
use sqlx::sqlite::SqliteConnection;

use super::rows::Columns;
use super::{SqliteStore, store_error};
use crate::store::{
    CertifiedDevice, ClaimKeyPackages, ClaimedKeyPackage, KeyPackageStore, NewKeyPackage,
    NewKeyPackages, StoreKeyPackages, StoreResult,
};

const TABLE: &str = "key_packages";
const PURGE_BATCH: i64 = 1_000;

impl KeyPackageStore for SqliteStore {
    async fn store_key_packages(&self, new: NewKeyPackages) -> StoreResult<StoreKeyPackages> {
        let mut writing = self.write().await?;
        let mut tx = writing.begin().await?;
        let (owner, at) = (&new.owner, new.at);
        if newest_version(&mut tx, owner).await? != new.list_version {
            return Ok(StoreKeyPackages::Outdated);
        }
        withdraw(&mut tx, owner, at).await?;
        for package in &new.packages {
            if package.last_resort {
                replace(&mut tx, owner, package.suite, at).await?;
            }
            if !insert(&mut tx, owner, package).await? {
                return Ok(StoreKeyPackages::Known);
            }
        }
        if most_left(&mut tx, owner, at).await? > new.most {
            return Ok(StoreKeyPackages::Full);
        }
        tx.commit().await.map_err(store_error)?;
        Ok(StoreKeyPackages::Stored)
    }

    async fn key_package_stock(
        &self,
        owner: CertifiedDevice,
        at: Timestamp,
    ) -> StoreResult<Vec<SuiteStock>> {
        let rows = sqlx::query(
            "SELECT suite, count(*) FILTER (WHERE NOT last_resort) AS available,
                    max(last_resort) AS last_resort
             FROM key_packages
             WHERE user_id = ?1 AND device_id = ?2 AND spent_at IS NULL
               AND certificate = ?3 AND expires_at > ?4
             GROUP BY suite ORDER BY suite",
        )
        .bind(&owner.user.as_bytes()[..])
        .bind(&owner.device.as_bytes()[..])
        .bind(&owner.certificate[..])
        .bind(at.as_millis())
        .fetch_all(&self.readers)
        .await
        .map_err(store_error)?;
        rows.iter()
            .map(|row| {
                let columns = Columns { table: TABLE, row };
                Ok(SuiteStock {
                    suite: columns.suite()?,
                    available: columns.count("available")?,
                    last_resort: columns.integer("last_resort")? != 0,
                })
            })
            .collect()
    }

    async fn claim_key_packages(
        &self,
        claim: ClaimKeyPackages,
    ) -> StoreResult<Vec<ClaimedKeyPackage>> {
        let mut writing = self.write().await?;
        let mut tx = writing.begin().await?;
        let mut claimed = Vec::with_capacity(claim.owners.len());
        for owner in &claim.owners {
            claimed.extend(take(&mut tx, owner, claim.suite, claim.at).await?);
        }
        tx.commit().await.map_err(store_error)?;
        Ok(claimed)
    }

    async fn purge_key_packages(&self, at: Timestamp) -> StoreResult<u64> {
        let mut writing = self.write().await?;
        let mut tx = writing.begin().await?;
        let purged = sqlx::query(
            "DELETE FROM key_packages WHERE (user_id, device_id, reference) IN
                 (SELECT user_id, device_id, reference FROM key_packages
                  WHERE expires_at <= ?1 LIMIT ?2)",
        )
        .bind(at.as_millis())
        .bind(PURGE_BATCH)
        .execute(&mut *tx)
        .await
        .map_err(store_error)?;
        tx.commit().await.map_err(store_error)?;
        Ok(purged.rows_affected())
    }
}

/// The version of the user's newest device list; 0 without any.
async fn newest_version(
    connection: &mut SqliteConnection,
    owner: &CertifiedDevice,
) -> StoreResult<u64> {
    let row = sqlx::query(
        "SELECT coalesce(max(version), 0) AS version FROM device_lists WHERE user_id = ?1",
    )
    .bind(&owner.user.as_bytes()[..])
    .fetch_one(connection)
    .await
    .map_err(store_error)?;
    Columns {
        table: "device_lists",
        row: &row,
    }
    .number("version")
}

/// Spends what the device left under another certificate. Left to itself, SQLite
/// would look through all that the device has spent.
async fn withdraw(
    connection: &mut SqliteConnection,
    owner: &CertifiedDevice,
    at: Timestamp,
) -> StoreResult<()> {
    sqlx::query(
        "UPDATE key_packages INDEXED BY key_packages_left
         SET spent_at = ?4, certificate = x'', body = x''
         WHERE user_id = ?1 AND device_id = ?2 AND spent_at IS NULL AND certificate <> ?3",
    )
    .bind(&owner.user.as_bytes()[..])
    .bind(&owner.device.as_bytes()[..])
    .bind(&owner.certificate[..])
    .bind(at.as_millis())
    .execute(connection)
    .await
    .map_err(store_error)?;
    Ok(())
}

/// Spends the device's package of last resort.
async fn replace(
    connection: &mut SqliteConnection,
    owner: &CertifiedDevice,
    suite: u16,
    at: Timestamp,
) -> StoreResult<()> {
    sqlx::query(
        "UPDATE key_packages SET spent_at = ?4, certificate = x'', body = x''
         WHERE user_id = ?1 AND device_id = ?2 AND suite = ?3 AND last_resort AND spent_at IS NULL",
    )
    .bind(&owner.user.as_bytes()[..])
    .bind(&owner.device.as_bytes()[..])
    .bind(i64::from(suite))
    .bind(at.as_millis())
    .execute(connection)
    .await
    .map_err(store_error)?;
    Ok(())
}

/// Writes a package; `false` when it was there before.
async fn insert(
    connection: &mut SqliteConnection,
    owner: &CertifiedDevice,
    package: &NewKeyPackage,
) -> StoreResult<bool> {
    let written = sqlx::query(
        "INSERT INTO key_packages (user_id, device_id, reference, suite, last_resort, expires_at,
                                   certificate, body)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
         ON CONFLICT (user_id, device_id, reference) DO NOTHING",
    )
    .bind(&owner.user.as_bytes()[..])
    .bind(&owner.device.as_bytes()[..])
    .bind(&package.reference[..])
    .bind(i64::from(package.suite))
    .bind(package.last_resort)
    .bind(package.expires_at.as_millis())
    .bind(&owner.certificate[..])
    .bind(&package.body[..])
    .execute(connection)
    .await
    .map_err(store_error)?;
    Ok(written.rows_affected() > 0)
}

/// How many packages the device has of the suite of which it has most.
async fn most_left(
    connection: &mut SqliteConnection,
    owner: &CertifiedDevice,
    at: Timestamp,
) -> StoreResult<u32> {
    let row = sqlx::query(
        "SELECT coalesce(max(available), 0) AS most FROM
             (SELECT count(*) AS available FROM key_packages
              WHERE user_id = ?1 AND device_id = ?2 AND spent_at IS NULL AND NOT last_resort
                AND expires_at > ?3
              GROUP BY suite)",
    )
    .bind(&owner.user.as_bytes()[..])
    .bind(&owner.device.as_bytes()[..])
    .bind(at.as_millis())
    .fetch_one(connection)
    .await
    .map_err(store_error)?;
    Columns {
        table: TABLE,
        row: &row,
    }
    .count("most")
}

/// A package of the device, which is spent unless it is of last resort.
async fn take(
    connection: &mut SqliteConnection,
    owner: &CertifiedDevice,
    suite: u16,
    at: Timestamp,
) -> StoreResult<Option<ClaimedKeyPackage>> {
    let row = sqlx::query(
        "SELECT reference, last_resort, body FROM key_packages
         WHERE user_id = ?1 AND device_id = ?2 AND suite = ?3 AND spent_at IS NULL
           AND certificate = ?4 AND expires_at > ?5
         ORDER BY last_resort, expires_at, reference LIMIT 1",
    )
    .bind(&owner.user.as_bytes()[..])
    .bind(&owner.device.as_bytes()[..])
    .bind(i64::from(suite))
    .bind(&owner.certificate[..])
    .bind(at.as_millis())
    .fetch_optional(&mut *connection)
    .await
    .map_err(store_error)?;
    let Some(row) = row else { return Ok(None) };
    let columns = Columns {
        table: TABLE,
        row: &row,
    };
    let last_resort = columns.integer("last_resort")? != 0;
    if !last_resort {
        spend(connection, owner, columns.blob("reference")?, at).await?;
    }
    Ok(Some(ClaimedKeyPackage {
        device: owner.device,
        body: Blob::from(columns.blob("body")?.to_vec()),
        last_resort,
    }))
}

async fn spend(
    connection: &mut SqliteConnection,
    owner: &CertifiedDevice,
    reference: &[u8],
    at: Timestamp,
) -> StoreResult<()> {
    sqlx::query(
        "UPDATE key_packages SET spent_at = ?4, certificate = x'', body = x''
         WHERE user_id = ?1 AND device_id = ?2 AND reference = ?3",
    )
    .bind(&owner.user.as_bytes()[..])
    .bind(&owner.device.as_bytes()[..])
    .bind(reference)
    .bind(at.as_millis())
    .execute(connection)
    .await
    .map_err(store_error)?;
    Ok(())
}
