//! Keys that follow one another, and what opens under which.

use ruggine_core::api::account::LookUp;
use ruggine_crypto::at_rest::MasterKey;
use ruggine_server::engine::StartError;
use ruggine_server::sealing::KeyCheckError;
use ruggine_server::testing::text_message;
use serde_json::Value;
use sqlx::{Connection, Row};

use super::database::beside;
use super::requests::DISPLAY_NAME;
use super::sealing::{
    Sealing, client, keys, refused, registered, sealed, some, start, stop, words,
};

#[tokio::test]
async fn after_a_rotation_old_rows_open_and_new_ones_are_sealed_under_the_new_key() {
    let [old, new, newest] = [(); 3].map(|()| MasterKey::generate());
    let (folder, login, group) = sealed(Sealing::Under(keys(&old, &[]))).await;
    let under = |primary: &MasterKey, legacy: &[&MasterKey]| Sealing::Under(keys(primary, legacy));
    let kids = async || {
        let mut database = beside(&folder.path().join("ruggine.db")).await;
        let rows = sqlx::query("SELECT key_id, body FROM messages ORDER BY seq")
            .fetch_all(&mut database)
            .await
            .unwrap();
        database.close().await.unwrap();
        let kids = rows.iter().map(|row| {
            let (kid, body): (String, String) = (row.get(0), row.get(1));
            let body: Value = serde_json::from_str(&body).unwrap();
            assert_eq!(body["kid"], kid, "the column names the key that sealed");
            kid
        });
        kids.collect::<Vec<_>>()
    };
    let [first, second, third] = [&old, &new, &newest].map(|key| key.id().to_string());

    // The new key is made known first, then it becomes the primary one.
    let server = start(folder.path(), under(&old, &[&new])).await.unwrap();
    stop(server).await;
    let server = start(folder.path(), under(&new, &[&old])).await.unwrap();
    let http = client(&server).with_token(&login.tokens.access);
    http.call(text_message(group, "new words")).await.unwrap();
    let everything = some(&["old words", "new words"]);
    assert_eq!(words(&server, &login, group).await, everything);
    let found = http
        .call(LookUp {
            username: "ada".to_owned(),
        })
        .await
        .unwrap();
    assert_eq!(found.display_name.as_str(), DISPLAY_NAME, "profiles too");
    stop(server).await;
    assert_eq!(kids().await, [first.clone(), first.clone(), second.clone()]);

    // Both are needed from now on, in whichever place.
    for unfit in [under(&new, &[]), under(&old, &[]), under(&newest, &[&new])] {
        let error = refused(folder.path(), unfit).await;
        assert!(
            matches!(error, StartError::KeyCheck(KeyCheckError::MissingKey(_))),
            "{error}"
        );
    }
    let server = start(folder.path(), under(&newest, &[&new, &old]))
        .await
        .unwrap();
    let http = client(&server).with_token(&login.tokens.access);
    assert_eq!(words(&server, &login, group).await, everything);
    http.call(text_message(group, "newest words"))
        .await
        .unwrap();
    stop(server).await;
    assert_eq!(
        kids().await,
        [first.clone(), first.clone(), second.clone(), third.clone()]
    );
    let mut expected = [first, second, third];
    expected.sort();
    assert_eq!(registered(folder.path()).await, expected);

    // And back again.
    let server = start(folder.path(), under(&old, &[&newest, &new]))
        .await
        .unwrap();
    let everything = some(&["old words", "new words", "newest words"]);
    assert_eq!(words(&server, &login, group).await, everything);
    stop(server).await;
}

/// Without a key in the ring a row's own word for its key leads nowhere.
#[tokio::test]
async fn rows_under_a_key_that_was_lost_are_told_as_such_and_open_again_with_it() {
    let [old, new] = [(); 2].map(|()| MasterKey::generate());
    let (folder, login, group) = sealed(Sealing::Under(keys(&old, &[]))).await;
    let server = start(folder.path(), Sealing::Under(keys(&new, &[&old])))
        .await
        .unwrap();
    let http = client(&server).with_token(&login.tokens.access);
    http.call(text_message(group, "new words")).await.unwrap();
    stop(server).await;
    // Somebody gives the old key up for good, and says so in the database.
    let path = folder.path().join("ruggine.db");
    let mut database = beside(&path).await;
    let kid = old.id().to_string();
    let record: String = sqlx::query_scalar("SELECT record FROM sealing_keys WHERE kid = ?1")
        .bind(&kid)
        .fetch_one(&mut database)
        .await
        .unwrap();
    sqlx::query("DELETE FROM sealing_keys WHERE kid = ?1")
        .bind(&kid)
        .execute(&mut database)
        .await
        .unwrap();
    let server = start(folder.path(), Sealing::Under(keys(&new, &[])))
        .await
        .unwrap();
    let lost = vec![None, Some("new words".to_owned())];
    assert_eq!(words(&server, &login, group).await, lost);
    let http = client(&server).with_token(&login.tokens.access);
    http.call(text_message(group, "newer words")).await.unwrap();
    stop(server).await;
    sqlx::query("INSERT INTO sealing_keys (kid, record) VALUES (?1, ?2)")
        .bind(&kid)
        .bind(&record)
        .execute(&mut database)
        .await
        .unwrap();
    database.close().await.unwrap();
    let server = start(folder.path(), Sealing::Under(keys(&new, &[&old])))
        .await
        .unwrap();
    let everything = some(&["old words", "new words", "newer words"]);
    assert_eq!(words(&server, &login, group).await, everything);
    stop(server).await;
}
