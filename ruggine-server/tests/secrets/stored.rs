//! What the database holds of tokens and passwords.

use std::collections::BTreeSet;

use ruggine_core::api::session::Refresh;
use ruggine_core::secret::SecretText;
use ruggine_crypto::token::{self, TokenKind};
use ruggine_server::testing::TestServer;
use serde_json::Value;
use sqlx::{Connection, Row};

use super::database::beside;
use super::requests::register;

#[tokio::test]
async fn tokens_and_device_secrets_are_stored_as_hashes_and_passwords_as_argon2id() {
    let mut server = TestServer::start().await;
    let ada = server.http().call(register("ada")).await.unwrap();
    let refresh = Refresh {
        refresh: ada.tokens.refresh.clone(),
    };
    let next = server.http().call(refresh).await.unwrap();
    server.stop().await;
    let mut database = beside(&server.database()).await;
    let hash =
        |kind, text: &SecretText| *token::parse(kind, text.expose()).unwrap().hash.as_bytes();
    let tokens = [
        (TokenKind::Access, "access", &ada.tokens.access),
        (TokenKind::Refresh, "refresh", &ada.tokens.refresh),
        (TokenKind::Access, "access", &next.access),
        (TokenKind::Refresh, "refresh", &next.refresh),
    ];
    let rows = sqlx::query("SELECT hash, kind FROM tokens")
        .fetch_all(&mut database)
        .await
        .unwrap();
    let stored: BTreeSet<(Vec<u8>, String)> =
        rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    let expected = tokens
        .iter()
        .map(|(kind, name, text)| (hash(*kind, text).to_vec(), (*name).to_owned()))
        .collect();
    assert_eq!(stored, expected);

    let secret: Vec<u8> = sqlx::query_scalar("SELECT secret_hash FROM devices")
        .fetch_one(&mut database)
        .await
        .unwrap();
    assert_eq!(
        secret,
        hash(TokenKind::Device, ada.device_secret.as_ref().unwrap())
    );
    let password: String = sqlx::query_scalar("SELECT password_hash FROM users")
        .fetch_one(&mut database)
        .await
        .unwrap();
    assert!(
        password.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
        "{password}"
    );
    let profile: String = sqlx::query_scalar("SELECT profile FROM users")
        .fetch_one(&mut database)
        .await
        .unwrap();
    let profile: Value = serde_json::from_str(&profile).unwrap();
    assert_eq!(profile["alg"], "A256GCM-HKDF-SHA256-C");
    let rows: Vec<String> = sqlx::query_scalar("SELECT record FROM sealing_keys")
        .fetch_all(&mut database)
        .await
        .unwrap();
    assert_eq!(rows.len(), 1);
    database.close().await.unwrap();
}
