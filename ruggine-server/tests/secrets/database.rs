//! A server's database, read and changed from beside it.

use std::path::Path;

use ruggine_core::ConversationId;
use serde_json::Value;
use sqlx::ConnectOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

pub(crate) async fn beside(path: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(path);
    options.connect().await.unwrap()
}

pub(crate) async fn body_of(
    database: &mut SqliteConnection,
    group: ConversationId,
    seq: i64,
) -> String {
    sqlx::query_scalar("SELECT body FROM messages WHERE conv_id = ?1 AND seq = ?2")
        .bind(&group.as_bytes()[..])
        .bind(seq)
        .fetch_one(database)
        .await
        .unwrap()
}

pub(crate) async fn set_body(
    database: &mut SqliteConnection,
    group: ConversationId,
    seq: i64,
    body: &str,
) {
    let changed = sqlx::query("UPDATE messages SET body = ?3 WHERE conv_id = ?1 AND seq = ?2")
        .bind(&group.as_bytes()[..])
        .bind(seq)
        .bind(body)
        .execute(database)
        .await
        .unwrap();
    assert_eq!(changed.rows_affected(), 1);
}

/// Changes one character of a field's text.
pub(crate) fn damage(body: &str, field: &str) -> String {
    let mut body: Value = serde_json::from_str(body).unwrap();
    let text = body[field].as_str().unwrap();
    let first = if text.starts_with('A') { "B" } else { "A" };
    body[field] = format!("{first}{}", &text[1..]).into();
    body.to_string()
}
