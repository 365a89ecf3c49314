//! What requests may carry at the ends of its range: odd texts, long contents,
//! large numbers.

use ruggine_core::api::message::{PageRequest, PageStart, Send};
use ruggine_core::{Blob, ErrorCode, limits};
use ruggine_server::testing::{fresh_message_id, text_message, words_of};
use serde_json::json;

use super::raw_http::code;
use super::scene::{BOTH, Scene, refused};

#[tokio::test]
async fn what_people_write_is_kept_as_it_is_however_odd() {
    let scene = Scene::new().await;
    let odd = [
        "a\0b",
        "'; DROP TABLE messages; --",
        "%_\\\"'`",
        "\u{202e}gnirts\u{202c}",
        "\u{1b}[31mred",
        "\u{feff}\u{fffd}\u{10ffff}",
        "\r\n\t",
        "",
        "{\"text\":{\"body\":\"nested\"}}",
    ];
    for encoding in BOTH {
        let mut socket = scene.server.socket(&scene.mallory, encoding).await;
        for words in odd {
            let ack = socket
                .call(text_message(scene.shared, words))
                .await
                .unwrap();
            let (_, row) = socket.next_row().await;
            assert_eq!(row.seq, ack.seq);
            let item = ruggine_core::api::message::Item::Row(row);
            assert_eq!(words_of(&item).as_deref(), Some(words));
        }
        socket.close().await;
    }
    // Payloads are not looked into, so one that is no content at all is kept too.
    let garbage = Blob::from(vec![0, 0xff, 0xfe, b'{']);
    let send = Send {
        conversation: scene.shared,
        client_msg_id: fresh_message_id(),
        epoch: None,
        payload: Some(garbage.clone()),
        content: None,
    };
    let http = scene.http();
    http.call(send).await.unwrap();
    for as_content in [false, true] {
        let request = PageRequest {
            conversation: scene.shared,
            from: PageStart::Newest,
            limit: None,
            as_content,
        };
        let page = http.call(request).await.unwrap();
        assert_eq!(page.items.len(), 2 + 2 * odd.len());
        let ruggine_core::api::message::Item::Row(row) = page.items.last().unwrap() else {
            panic!("not a row");
        };
        assert_eq!((&row.payload, &row.content), (&garbage, &None));
    }
}

#[tokio::test]
async fn a_payload_of_40_kib_is_taken_and_one_byte_more_is_not() {
    let mut scene = Scene::new().await;
    let send = |length: usize| Send {
        conversation: scene.shared,
        client_msg_id: fresh_message_id(),
        epoch: None,
        payload: Some(vec![b'x'; length].into()),
        content: None,
    };
    for encoding in BOTH {
        let mut socket = scene.server.socket(&scene.mallory, encoding).await;
        let http = scene.http().with_encoding(encoding);
        socket.call(send(limits::PAYLOAD_MAX)).await.unwrap();
        http.call(send(limits::PAYLOAD_MAX)).await.unwrap();
        let before = http.read_log(scene.shared).await.unwrap();
        for length in [limits::PAYLOAD_MAX + 1, 45 * 1024] {
            let error = socket.call(send(length)).await.unwrap_err();
            assert_eq!(error.code, ErrorCode::PayloadTooLarge);
            let bytes = encoding.encode(&send(length)).unwrap();
            let answer = http.post("/v1/message.send", &bytes).await;
            assert_eq!(answer.status, 413);
            assert_eq!(answer.error(encoding), error);
        }
        assert_eq!(http.read_log(scene.shared).await.unwrap(), before);
        socket.close().await;
    }
    scene.accept().await;
    scene.is_unharmed("payloads that are too long").await;
}

#[tokio::test]
async fn a_content_that_is_too_long_is_not_stored() {
    let mut scene = Scene::new().await;
    let body = "x".repeat(limits::PAYLOAD_MAX);
    let send = json!({
        "conversation": scene.shared,
        "client_msg_id": fresh_message_id(),
        "content": {"text": {"body": body}},
    });
    let bytes = serde_json::to_vec(&send).unwrap();
    let answer = scene.http().post("/v1/message.send", &bytes).await;
    assert_eq!(
        (answer.status, code(&answer)),
        (413, ErrorCode::PayloadTooLarge)
    );
    scene.is_unharmed("a content that is too long").await;
}

#[tokio::test]
async fn a_write_counter_that_is_no_number_is_refused() {
    let mut scene = Scene::new().await;
    for counter in ["", "x", "-1", "1.5", "18446744073709551616", "1,2"] {
        let http = scene.http().with_header("ruggine-write-counter", counter);
        let error = refused(&http, text_message(scene.shared, "counted")).await;
        assert_eq!(error.code, ErrorCode::InvalidParams, "{counter:?}");
    }
    scene.is_unharmed("counters that are no numbers").await;
}

/// SQLite's integers are signed: nothing above them may come back as less.
#[tokio::test]
async fn numbers_at_the_end_of_their_range_are_refused_or_kept() {
    let mut scene = Scene::new().await;
    let http = scene.http();
    let shared = scene.shared;
    for seq in [i64::MAX as u64, i64::MAX as u64 + 1, u64::MAX] {
        for (method, body) in [
            (
                "message.page",
                json!({"conversation": shared, "from": {"after": seq}}),
            ),
            (
                "message.page",
                json!({"conversation": shared, "from": {"before": seq}}),
            ),
            ("message.fetch", json!({"conversation": shared, "seq": seq})),
        ] {
            let bytes = serde_json::to_vec(&body).unwrap();
            let answer = http.post(&format!("/v1/{method}"), &bytes).await;
            assert!(
                matches!(answer.status, 200 | 400 | 404),
                "{method} {seq}: {}",
                answer.status
            );
        }
    }
    scene.is_unharmed("numbers at the end of their range").await;

    let largest = http
        .clone()
        .with_header("ruggine-write-counter", &u64::MAX.to_string());
    let first = largest.call(text_message(shared, "counted")).await;
    let below = http.with_header("ruggine-write-counter", "5");
    let second = below.call(text_message(shared, "counted less")).await;
    match first {
        Ok(_) => assert_eq!(second.unwrap_err().code, ErrorCode::DeviceRestored),
        Err(error) => {
            assert_eq!(error.code, ErrorCode::InvalidParams);
            second.unwrap();
        }
    }
    assert!(scene.metrics.render().contains("\npanics 0\n"));
}
