//! Users.

use std::collections::HashSet;

use ruggine_core::UserId;
use ruggine_core::name::Username;
use sqlx::postgres::PgConnection;

use super::PostgresStore;
use super::errors::store_error;
use super::rows::{all, key, keys, optional};
use super::transaction::{End, Unanswered};
use crate::store::{AccountStore, CreateUser, NewUser, StoreResult, UserRecord};

const TABLE: &str = "users";

impl AccountStore for PostgresStore {
    async fn create_user(&self, user: NewUser) -> StoreResult<CreateUser> {
        self.write(Unanswered::Fail, &user, |connection, user| {
            Box::pin(create(connection, user))
        })
        .await
    }

    async fn user_by_name(&self, username: Username) -> StoreResult<Option<UserRecord>> {
        self.read(&username, |connection, username| {
            Box::pin(by_name(connection, username))
        })
        .await
    }

    async fn users(&self, ids: Vec<UserId>) -> StoreResult<Vec<UserRecord>> {
        self.read(&ids, |connection, ids| Box::pin(by_id(connection, ids)))
            .await
    }

    async fn acquaintances(
        &self,
        user: UserId,
        others: Vec<UserId>,
    ) -> StoreResult<HashSet<UserId>> {
        self.read(&(user, others), |connection, (user, others)| {
            Box::pin(acquaintances(connection, *user, others))
        })
        .await
    }
}

async fn create(connection: &mut PgConnection, user: &NewUser) -> StoreResult<End<CreateUser>> {
    let claimed = sqlx::query(
        "INSERT INTO usernames (username, user_id) VALUES ($1, $2) ON CONFLICT DO NOTHING",
    )
    .bind(user.username.as_str())
    .bind(key(user.id.as_bytes()))
    .execute(&mut *connection)
    .await
    .map_err(store_error)?;
    if claimed.rows_affected() == 0 {
        return Ok(End::RollBack(CreateUser::UsernameTaken));
    }
    sqlx::query(
        "INSERT INTO users (user_id, username, profile, password_hash, created_at)
         VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(key(user.id.as_bytes()))
    .bind(user.username.as_str())
    .bind(&*user.profile)
    .bind(user.password_hash.as_deref())
    .bind(user.created_at.as_millis())
    .execute(connection)
    .await
    .map_err(store_error)?;
    Ok(End::Commit(CreateUser::Created))
}

async fn by_name(
    connection: &mut PgConnection,
    username: &Username,
) -> StoreResult<Option<UserRecord>> {
    let row = sqlx::query(
        "SELECT u.* FROM usernames n JOIN users u ON u.user_id = n.user_id WHERE n.username = $1",
    )
    .bind(username.as_str())
    .fetch_optional(connection)
    .await
    .map_err(store_error)?;
    optional(TABLE, row.as_ref(), |columns| columns.user())
}

async fn by_id(connection: &mut PgConnection, ids: &[UserId]) -> StoreResult<Vec<UserRecord>> {
    let rows = sqlx::query("SELECT * FROM users WHERE user_id = ANY($1)")
        .bind(keys(ids.iter().map(UserId::as_bytes)))
        .fetch_all(connection)
        .await
        .map_err(store_error)?;
    all(TABLE, &rows, |columns| columns.user())
}

async fn acquaintances(
    connection: &mut PgConnection,
    user: UserId,
    others: &[UserId],
) -> StoreResult<HashSet<UserId>> {
    let rows = sqlx::query(
        "SELECT DISTINCT theirs.user_id
         FROM members theirs
         JOIN members mine ON mine.conv_id = theirs.conv_id AND mine.user_id = $1
          AND mine.until_seq IS NULL
         WHERE theirs.user_id = ANY($2) AND theirs.until_seq IS NULL",
    )
    .bind(key(user.as_bytes()))
    .bind(keys(others.iter().map(UserId::as_bytes)))
    .fetch_all(connection)
    .await
    .map_err(store_error)?;
    let users = all("members", &rows, |columns| columns.id("user_id"))?;
    Ok(users.into_iter().collect())
}
