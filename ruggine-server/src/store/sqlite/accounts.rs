//! Users.

use std::collections::HashSet;

use ruggine_core::UserId;
use ruggine_core::name::Username;

use super::rows::{Columns, id_list};
use super::{SqliteStore, store_error};
use crate::store::{AccountStore, CreateUser, NewUser, StoreResult, UserRecord};

const TABLE: &str = "users";

impl AccountStore for SqliteStore {
    async fn create_user(&self, user: NewUser) -> StoreResult<CreateUser> {
        let mut writing = self.write().await?;
        let mut tx = writing.begin().await?;
        let claimed = sqlx::query(
            "INSERT INTO usernames (username, user_id) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
        )
        .bind(user.username.as_str())
        .bind(&user.id.as_bytes()[..])
        .execute(&mut *tx)
        .await
        .map_err(store_error)?;
        if claimed.rows_affected() == 0 {
            return Ok(CreateUser::UsernameTaken);
        }
        sqlx::query(
            "INSERT INTO users (user_id, username, profile, password_hash, created_at)
             VALUES (?1, ?2, ?3, ?4, ?5)",
        )
        .bind(&user.id.as_bytes()[..])
        .bind(user.username.as_str())
        .bind(&*user.profile)
        .bind(user.password_hash.as_deref())
        .bind(user.created_at.as_millis())
        .execute(&mut *tx)
        .await
        .map_err(store_error)?;
        tx.commit().await.map_err(store_error)?;
        Ok(CreateUser::Created)
    }

    async fn user_by_name(&self, username: Username) -> StoreResult<Option<UserRecord>> {
        let row = sqlx::query(
            "SELECT u.* FROM usernames n JOIN users u ON u.user_id = n.user_id WHERE n.username = ?1",
        )
        .bind(username.as_str())
        .fetch_optional(&self.readers)
        .await
        .map_err(store_error)?;
        row.map(|row| {
            Columns {
                table: TABLE,
                row: &row,
            }
            .user()
        })
        .transpose()
    }

    async fn users(&self, ids: Vec<UserId>) -> StoreResult<Vec<UserRecord>> {
        let rows = sqlx::query(
            "SELECT u.* FROM json_each(?1) j JOIN users u ON u.user_id = unhex(j.value)",
        )
        .bind(id_list(ids.iter().map(UserId::as_bytes)))
        .fetch_all(&self.readers)
        .await
        .map_err(store_error)?;
        rows.iter()
            .map(|row| Columns { table: TABLE, row }.user())
            .collect()
    }

    async fn acquaintances(
        &self,
        user: UserId,
        others: Vec<UserId>,
    ) -> StoreResult<HashSet<UserId>> {
        let rows = sqlx::query(
            "SELECT DISTINCT theirs.user_id AS user_id
             FROM json_each(?2) j
             JOIN members theirs ON theirs.user_id = unhex(j.value) AND theirs.until_seq IS NULL
             JOIN members mine ON mine.conv_id = theirs.conv_id AND mine.user_id = ?1 AND mine.until_seq IS NULL",
        )
        .bind(&user.as_bytes()[..])
        .bind(id_list(others.iter().map(UserId::as_bytes)))
        .fetch_all(&self.readers)
        .await
        .map_err(store_error)?;
        rows.iter()
            .map(|row| {
                Columns {
                    table: "members",
                    row,
                }
                .id("user_id")
            })
            .collect()
    }
}
