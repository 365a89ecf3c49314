//! Device lists.

use ruggine_core::{Blob, DeviceId, UserId};
use sqlx::sqlite::SqliteConnection;

use super::rows::{Columns, id_list, integer};
use super::{SqliteStore, store_error};
use crate::store::chaining::{Newest, judge};
use crate::store::{AppendList, IdentityStore, NewDeviceList, StoreResult, StoredDeviceList};

const TABLE: &str = "device_lists";

impl IdentityStore for SqliteStore {
    async fn append_device_list(&self, list: NewDeviceList) -> StoreResult<AppendList> {
        let mut writing = self.write().await?;
        let mut tx = writing.begin().await?;
        let newest = newest(&mut tx, list.user).await?;
        if let Some(judged) = judge(newest.as_ref(), &list) {
            return Ok(judged);
        }
        if !are_of(&mut tx, list.user, &list.devices).await? {
            return Ok(AppendList::ForeignDevice);
        }
        sqlx::query(
            "INSERT INTO device_lists (user_id, version, account, hash, body, stored_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )
        .bind(&list.user.as_bytes()[..])
        .bind(integer(list.version))
        .bind(&list.account[..])
        .bind(&list.hash[..])
        .bind(&list.body[..])
        .bind(list.at.as_millis())
        .execute(&mut *tx)
        .await
        .map_err(store_error)?;
        tx.commit().await.map_err(store_error)?;
        Ok(AppendList::Appended)
    }

    async fn device_lists(
        &self,
        known: Vec<(UserId, u64)>,
        per_user: usize,
    ) -> StoreResult<Vec<StoredDeviceList>> {
        let mut reader = self.readers.acquire().await.map_err(store_error)?;
        let mut lists = Vec::new();
        for (user, after) in known {
            lists.extend(lists_after(&mut reader, user, after, per_user).await?);
        }
        Ok(lists)
    }

    async fn newest_device_list(&self, user: UserId) -> StoreResult<Option<StoredDeviceList>> {
        let row = sqlx::query(
            "SELECT user_id, version, body FROM device_lists
             WHERE user_id = ?1 ORDER BY version DESC LIMIT 1",
        )
        .bind(&user.as_bytes()[..])
        .fetch_optional(&self.readers)
        .await
        .map_err(store_error)?;
        row.map(|row| {
            stored(&Columns {
                table: TABLE,
                row: &row,
            })
        })
        .transpose()
    }
}

async fn newest(connection: &mut SqliteConnection, user: UserId) -> StoreResult<Option<Newest>> {
    let row = sqlx::query(
        "SELECT version, hash, account FROM device_lists
         WHERE user_id = ?1 ORDER BY version DESC LIMIT 1",
    )
    .bind(&user.as_bytes()[..])
    .fetch_optional(connection)
    .await
    .map_err(store_error)?;
    row.map(|row| {
        chained(&Columns {
            table: TABLE,
            row: &row,
        })
    })
    .transpose()
}

/// Whether the user has logged in on all of these devices.
async fn are_of(
    connection: &mut SqliteConnection,
    user: UserId,
    devices: &[DeviceId],
) -> StoreResult<bool> {
    let row = sqlx::query(
        "SELECT count(*) AS known FROM json_each(?2) j
         JOIN devices d ON d.user_id = ?1 AND d.device_id = unhex(j.value)",
    )
    .bind(&user.as_bytes()[..])
    .bind(id_list(devices.iter().map(DeviceId::as_bytes)))
    .fetch_one(connection)
    .await
    .map_err(store_error)?;
    let columns = Columns {
        table: "devices",
        row: &row,
    };
    Ok(columns.count("known")? as usize == devices.len())
}

async fn lists_after(
    connection: &mut SqliteConnection,
    user: UserId,
    after: u64,
    limit: usize,
) -> StoreResult<Vec<StoredDeviceList>> {
    let rows = sqlx::query(
        "SELECT user_id, version, body FROM device_lists
         WHERE user_id = ?1 AND version > ?2 ORDER BY version LIMIT ?3",
    )
    .bind(&user.as_bytes()[..])
    .bind(integer(after))
    .bind(i64::try_from(limit).unwrap_or(i64::MAX))
    .fetch_all(connection)
    .await
    .map_err(store_error)?;
    rows.iter()
        .map(|row| stored(&Columns { table: TABLE, row }))
        .collect()
}

fn chained(columns: &Columns<'_>) -> StoreResult<Newest> {
    Ok(Newest {
        version: columns.number("version")?,
        hash: columns.digest("hash")?,
        account: columns.digest("account")?,
    })
}

fn stored(columns: &Columns<'_>) -> StoreResult<StoredDeviceList> {
    Ok(StoredDeviceList {
        user: columns.id("user_id")?,
        version: columns.number("version")?,
        body: Blob::from(columns.blob("body")?.to_vec()),
    })
}
