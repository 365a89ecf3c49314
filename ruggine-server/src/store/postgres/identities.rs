//! Device lists.

use ruggine_core::{Blob, DeviceId, UserId};
use sqlx::postgres::PgConnection;

use super::PostgresStore;
use super::errors::store_error;
use super::rows::{Columns, all, integer, key, keys, limit, optional};
use super::transaction::{End, Unanswered};
use crate::store::chaining::{Newest, judge};
use crate::store::{AppendList, IdentityStore, NewDeviceList, StoreResult, StoredDeviceList};

const TABLE: &str = "device_lists";

impl IdentityStore for PostgresStore {
    async fn append_device_list(&self, list: NewDeviceList) -> StoreResult<AppendList> {
        self.write(Unanswered::Repeat, &list, |connection, list| {
            Box::pin(append(connection, list))
        })
        .await
    }

    async fn device_lists(
        &self,
        known: Vec<(UserId, u64)>,
        per_user: usize,
    ) -> StoreResult<Vec<StoredDeviceList>> {
        let input = (known, per_user);
        self.read(&input, |connection, (known, per_user)| {
            Box::pin(lists_after(connection, known, *per_user))
        })
        .await
    }

    async fn newest_device_list(&self, user: UserId) -> StoreResult<Option<StoredDeviceList>> {
        self.read(&user, |connection, user| {
            Box::pin(newest_list(connection, *user))
        })
        .await
    }
}

async fn append(
    connection: &mut PgConnection,
    list: &NewDeviceList,
) -> StoreResult<End<AppendList>> {
    let before = newest(connection, list.user).await?;
    if let Some(judged) = judge(before.as_ref(), list) {
        return Ok(End::RollBack(judged));
    }
    if !are_of(connection, list.user, &list.devices).await? {
        return Ok(End::RollBack(AppendList::ForeignDevice));
    }
    let written = sqlx::query(
        "INSERT INTO device_lists (user_id, version, account, hash, body, stored_at)
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (user_id, version) DO NOTHING",
    )
    .bind(key(list.user.as_bytes()))
    .bind(integer(list.version))
    .bind(&list.account[..])
    .bind(&list.hash[..])
    .bind(&list.body[..])
    .bind(list.at.as_millis())
    .execute(&mut *connection)
    .await
    .map_err(store_error)?;
    if written.rows_affected() > 0 {
        return Ok(End::Commit(AppendList::Appended));
    }
    // Another list of this version was committed meanwhile, perhaps the same.
    let now = newest(connection, list.user).await?;
    let judged = judge(now.as_ref(), list).unwrap_or(AppendList::Conflict);
    Ok(End::RollBack(judged))
}

async fn newest(connection: &mut PgConnection, user: UserId) -> StoreResult<Option<Newest>> {
    let row = sqlx::query(
        "SELECT version, hash, account FROM device_lists
         WHERE user_id = $1 ORDER BY version DESC LIMIT 1",
    )
    .bind(key(user.as_bytes()))
    .fetch_optional(connection)
    .await
    .map_err(store_error)?;
    optional(TABLE, row.as_ref(), |columns| {
        Ok(Newest {
            version: columns.number("version")?,
            hash: columns.digest("hash")?,
            account: columns.digest("account")?,
        })
    })
}

/// Whether the user has logged in on all of these devices.
async fn are_of(
    connection: &mut PgConnection,
    user: UserId,
    devices: &[DeviceId],
) -> StoreResult<bool> {
    let row = sqlx::query(
        "SELECT count(*) AS known FROM unnest($2::uuid[]) AS asked (device_id)
         JOIN devices d ON d.user_id = $1 AND d.device_id = asked.device_id",
    )
    .bind(key(user.as_bytes()))
    .bind(keys(devices.iter().map(DeviceId::as_bytes)))
    .fetch_one(connection)
    .await
    .map_err(store_error)?;
    let known = Columns::of("devices", &row).count("known")?;
    Ok(known as usize == devices.len())
}

async fn lists_after(
    connection: &mut PgConnection,
    known: &[(UserId, u64)],
    per_user: usize,
) -> StoreResult<Vec<StoredDeviceList>> {
    let versions: Vec<i64> = known.iter().map(|(_, after)| integer(*after)).collect();
    let rows = sqlx::query(
        "SELECT l.user_id, l.version, l.body
         FROM unnest($1::uuid[], $2::bigint[]) WITH ORDINALITY AS asked (user_id, known, place)
         CROSS JOIN LATERAL (
             SELECT d.user_id, d.version, d.body FROM device_lists d
             WHERE d.user_id = asked.user_id AND d.version > asked.known
             ORDER BY d.version LIMIT $3) l
         ORDER BY asked.place, l.version",
    )
    .bind(keys(known.iter().map(|(user, _)| user.as_bytes())))
    .bind(versions)
    .bind(limit(per_user))
    .fetch_all(connection)
    .await
    .map_err(store_error)?;
    all(TABLE, &rows, stored)
}

async fn newest_list(
    connection: &mut PgConnection,
    user: UserId,
) -> StoreResult<Option<StoredDeviceList>> {
    let row = sqlx::query(
        "SELECT user_id, version, body FROM device_lists
         WHERE user_id = $1 ORDER BY version DESC LIMIT 1",
    )
    .bind(key(user.as_bytes()))
    .fetch_optional(connection)
    .await
    .map_err(store_error)?;
    optional(TABLE, row.as_ref(), stored)
}

fn stored(columns: &Columns<'_>) -> StoreResult<StoredDeviceList> {
    Ok(StoredDeviceList {
        user: columns.id("user_id")?,
        version: columns.number("version")?,
        body: Blob::from(columns.blob("body")?.to_vec()),
    })
}
