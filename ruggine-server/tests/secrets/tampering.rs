//! Records that were damaged, moved or given to others do not open.

use std::sync::Arc;

use ruggine_core::api::account::LookUp;
use ruggine_core::api::message::{Fetch, Item};
use ruggine_core::{ConversationId, ErrorCode};
use ruggine_server::testing::{Person, TestServer, text_message, words_of};
use serde_json::Value;
use sqlx::Connection;

use super::database::{beside, body_of, damage, set_body};
use super::faults::Faults;
use super::log::Log;
use super::requests::{BOTH, DISPLAY_NAME, page_of, register};

/// A server with three messages in a group, stopped.
async fn written(faults: &Arc<Faults>) -> (TestServer, Person, ConversationId) {
    let mut server = TestServer::options().metrics(faults.clone()).start().await;
    let ada = server.register("ada").await;
    let group = server.group(&ada, &[]).await;
    for words in ["first", "second", "third"] {
        server
            .http_of(&ada)
            .call(text_message(group, words))
            .await
            .unwrap();
    }
    server.stop().await;
    (server, ada, group)
}

/// What is read of each row of a group: its words, or that it does not open.
async fn read(server: &TestServer, ada: &Person, group: ConversationId) -> Vec<String> {
    let page = server.http_of(ada).call(page_of(group)).await.unwrap();
    let read = page.items.iter().map(|item| match item {
        Item::Row(_) => words_of(item).unwrap_or_else(|| "notice".to_owned()),
        Item::Undecryptable(_) => "undecryptable".to_owned(),
        item => panic!("{item:?}"),
    });
    read.collect()
}

#[tokio::test]
async fn a_damaged_row_is_told_as_such_and_the_rest_of_the_page_is_served() {
    let log = Log::listen();
    let faults = Arc::new(Faults::default());
    let (mut server, ada, group) = written(&faults).await;
    let mut database = beside(&server.database()).await;
    let good = body_of(&mut database, group, 3).await;
    let kid = serde_json::from_str::<Value>(&good).unwrap()["kid"]
        .as_str()
        .unwrap()
        .to_owned();
    let cases = [
        (damage(&good, "ciphertext"), "tag_mismatch"),
        (damage(&good, "nonce"), "tag_mismatch"),
        (damage(&good, "salt"), "commit_mismatch"),
        (damage(&good, "commit"), "commit_mismatch"),
        (good.replace(&kid, "0123456789abcdef"), "unknown_kid"),
        (good.replace("\"v\":1", "\"v\":2"), "malformed"),
        (good.replace("A256GCM-HKDF-SHA256-C", "none"), "malformed"),
        (good[..good.len() / 2].to_owned(), "malformed"),
        ("{}".to_owned(), "malformed"),
        (String::new(), "malformed"),
    ];
    for (number, (body, reason)) in (1..).zip(cases) {
        set_body(&mut database, group, 3, &body).await;
        server.resume().await;
        assert_eq!(
            read(&server, &ada, group).await,
            ["notice", "first", "undecryptable", "third"],
            "{reason}"
        );
        assert_eq!(faults.unreadable(), number);
        let lines = log.lines_with(&format!("{group}/3"));
        assert_eq!(
            lines.len(),
            usize::try_from(number).unwrap(),
            "one line each time"
        );
        let line = lines.last().unwrap();
        assert!(line.contains(reason), "{line}");
        assert!(line.contains("[DECRYPTION FAILED]"), "{line}");
        assert!(line.contains("ERROR"), "{line}");
        if !matches!(reason, "malformed" | "unknown_kid") {
            assert!(line.contains(&kid), "{line}");
        }
        assert!(
            !line.contains("second") && !line.contains("ciphertext"),
            "{line}"
        );
        server.stop().await;
    }
    // Mended, it is there again.
    set_body(&mut database, group, 3, &good).await;
    server.resume().await;
    assert_eq!(
        read(&server, &ada, group).await,
        ["notice", "first", "second", "third"]
    );
    server.stop().await;
    database.close().await.unwrap();
}

#[tokio::test]
async fn a_damaged_row_can_be_fetched_is_crossed_and_does_not_stop_the_log() {
    let faults = Arc::new(Faults::default());
    let mut server = TestServer::options().metrics(faults.clone()).start().await;
    let ada = server.register("ada").await;
    let group = server.group(&ada, &[]).await;
    let message = text_message(group, "lost");
    let ack = server.http_of(&ada).call(message.clone()).await.unwrap();
    server.stop().await;
    let mut database = beside(&server.database()).await;
    for seq in [1, 2] {
        let body = body_of(&mut database, group, seq).await;
        set_body(&mut database, group, seq, &damage(&body, "ciphertext")).await;
    }
    database.close().await.unwrap();
    server.resume().await;
    for encoding in BOTH {
        let mut socket = server.socket(&ada, encoding).await;
        let fetched = socket
            .call(Fetch {
                conversation: group,
                seq: ack.seq,
            })
            .await
            .unwrap();
        let Item::Undecryptable(lost) = fetched.item else {
            panic!("{fetched:?}");
        };
        assert_eq!(
            (lost.seq, lost.client_msg_id),
            (ack.seq, message.client_msg_id)
        );
        assert_eq!((lost.sender, lost.device), (ada.user(), ada.device()));
        // What cannot be opened cannot be compared.
        let error = socket.call(message.clone()).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::Undecryptable);
        let next = socket.call(text_message(group, "onwards")).await.unwrap();
        let (_, row) = socket.next_row().await;
        assert_eq!(row.seq, next.seq);
    }
    assert_eq!(
        read(&server, &ada, group).await,
        ["undecryptable", "undecryptable", "onwards", "onwards"]
    );
}

#[tokio::test]
async fn a_row_that_was_moved_or_given_to_another_does_not_open() {
    let faults = Arc::new(Faults::default());
    let mut server = TestServer::options().metrics(faults.clone()).start().await;
    let ada = server.register("ada").await;
    let eve = server.register("eve").await;
    let group = server.group(&ada, &[&eve]).await;
    let other = server.group(&ada, &[&eve]).await;
    let http = server.http_of(&ada);
    for conversation in [group, other] {
        http.call(text_message(conversation, "a secret"))
            .await
            .unwrap();
        http.call(text_message(conversation, "another"))
            .await
            .unwrap();
    }
    server.stop().await;
    let untouched = server.folder().join("untouched.db");
    std::fs::copy(server.database(), &untouched).unwrap();
    let changes = [
        "UPDATE messages SET sender = ?2 WHERE conv_id = ?1 AND seq = 2 AND ?3 <> x''",
        "UPDATE messages SET device_id = ?2 WHERE conv_id = ?1 AND seq = 2 AND ?3 <> x''",
        "UPDATE messages SET client_msg_id = ?2 WHERE conv_id = ?1 AND seq = 2 AND ?3 <> x''",
        "UPDATE messages SET created_at = created_at + 1 WHERE conv_id = ?1 AND seq = 2 AND ?2 <> ?3",
        "UPDATE messages SET kind = 'system' WHERE conv_id = ?1 AND seq = 2 AND ?2 <> ?3",
        // The body of the row beside it, and that of the same number elsewhere.
        "UPDATE messages SET body = (SELECT body FROM messages WHERE conv_id = ?1 AND seq = 3)
         WHERE conv_id = ?1 AND seq = 2 AND ?2 <> ?3",
        "UPDATE messages SET body = (SELECT body FROM messages WHERE conv_id = ?3 AND seq = 2)
         WHERE conv_id = ?1 AND seq = 2 AND ?2 <> x''",
    ];
    for change in changes {
        std::fs::copy(&untouched, server.database()).unwrap();
        let mut database = beside(&server.database()).await;
        let changed = sqlx::query(change)
            .bind(&group.as_bytes()[..])
            .bind(&eve.user().as_bytes()[..])
            .bind(&other.as_bytes()[..])
            .execute(&mut database)
            .await
            .unwrap();
        assert_eq!(changed.rows_affected(), 1, "{change}");
        database.close().await.unwrap();
        server.resume().await;
        let read = read(&server, &ada, group).await;
        assert_eq!(read, ["notice", "undecryptable", "another"], "{change}");
        server.stop().await;
    }
    // The whole row, moved to another conversation.
    std::fs::copy(&untouched, server.database()).unwrap();
    let mut database = beside(&server.database()).await;
    for statement in [
        "DELETE FROM messages WHERE conv_id = ?1 AND seq = 2 AND ?2 <> x''",
        "UPDATE messages SET conv_id = ?1 WHERE conv_id = ?2 AND seq = 2",
        "UPDATE conversations SET last_seq = 3 WHERE conv_id IN (?1, ?2)",
    ] {
        sqlx::query(statement)
            .bind(&group.as_bytes()[..])
            .bind(&other.as_bytes()[..])
            .execute(&mut database)
            .await
            .unwrap();
    }
    database.close().await.unwrap();
    server.resume().await;
    assert_eq!(
        read(&server, &ada, group).await,
        ["notice", "undecryptable", "another"]
    );
}

#[tokio::test]
async fn a_profile_that_was_moved_shows_the_username_instead() {
    let log = Log::listen();
    let faults = Arc::new(Faults::default());
    let mut server = TestServer::options().metrics(faults.clone()).start().await;
    let ada = server.http().call(register("ada")).await.unwrap();
    let eve = server.register("eve").await;
    server.stop().await;
    let mut database = beside(&server.database()).await;
    sqlx::query("UPDATE users SET profile = (SELECT profile FROM users WHERE username = 'ada') WHERE username = 'eve'")
        .execute(&mut database)
        .await
        .unwrap();
    database.close().await.unwrap();
    server.resume().await;
    let look_up = |username: &str| LookUp {
        username: username.to_owned(),
    };
    let http = server.http().with_token(&ada.tokens.access);
    let found = http.call(look_up("ada")).await.unwrap();
    assert_eq!(found.display_name.as_str(), DISPLAY_NAME);
    let found = http.call(look_up("eve")).await.unwrap();
    assert_eq!(found.display_name.as_str(), "eve");
    assert_eq!(faults.unreadable(), 1);
    let lines = log.lines_with(&format!("user {}", eve.user()));
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("[DECRYPTION FAILED]"));
}
