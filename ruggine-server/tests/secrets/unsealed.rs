//! Sealed and unsealed rows do not mix in one database.

use ruggine_crypto::at_rest::MasterKey;
use ruggine_server::engine::StartError;
use ruggine_server::sealing::KeyCheckError;
use ruggine_server::testing::inspect::sealed_rows;
use serde_json::Value;
use sqlx::Connection;

use super::database::{beside, body_of, set_body};
use super::sealing::{Sealing, keys, refused, registered, sealed, some, start, stop, words};

#[tokio::test]
async fn a_database_that_was_not_sealed_is_not_sealed_later() {
    let (folder, login, group) = sealed(Sealing::Off).await;
    let error = refused(
        folder.path(),
        Sealing::Under(keys(&MasterKey::generate(), &[])),
    )
    .await;
    assert!(
        matches!(error, StartError::KeyCheck(KeyCheckError::HoldsUnsealed)),
        "{error}"
    );
    assert_eq!(registered(folder.path()).await, ["none"]);
    let server = start(folder.path(), Sealing::Off).await.unwrap();
    assert_eq!(words(&server, &login, group).await, some(&["old words"]));
    stop(server).await;
    let rows = sealed_rows(folder.path().join("ruggine.db")).await.unwrap();
    assert!(
        rows.iter().all(|row| row.contains(r#""alg":"none""#)),
        "{rows:?}"
    );
    // A row that says of itself that it is sealed is not believed here either.
    let (other, ..) = sealed(Sealing::Under(keys(&MasterKey::generate(), &[]))).await;
    let foreign = sealed_rows(other.path().join("ruggine.db")).await.unwrap();
    let mut database = beside(&folder.path().join("ruggine.db")).await;
    set_body(&mut database, group, 2, &foreign[1]).await;
    database.close().await.unwrap();
    let server = start(folder.path(), Sealing::Off).await.unwrap();
    assert_eq!(words(&server, &login, group).await, [None]);
    stop(server).await;
}

/// A row that says of itself that it is not sealed, in a sealed database.
#[tokio::test]
async fn an_unsealed_row_in_a_sealed_database_does_not_open() {
    let (plain, ..) = sealed(Sealing::Off).await;
    let key = MasterKey::generate();
    let (folder, login, group) = sealed(Sealing::Under(keys(&key, &[]))).await;
    let plain = sealed_rows(plain.path().join("ruggine.db")).await.unwrap();
    let mut database = beside(&folder.path().join("ruggine.db")).await;
    let own = body_of(&mut database, group, 2).await;
    let mut forged: Value = serde_json::from_str(&plain[1]).unwrap();
    forged["meta"] = serde_json::from_str::<Value>(&own).unwrap()["meta"].clone();
    for body in [plain[1].clone(), forged.to_string()] {
        set_body(&mut database, group, 2, &body).await;
        let server = start(folder.path(), Sealing::Under(keys(&key, &[])))
            .await
            .unwrap();
        assert_eq!(words(&server, &login, group).await, [None]);
        stop(server).await;
    }
    database.close().await.unwrap();
}
