//! What a message carries, and how a single one is read.

use ruggine_core::api::message::{Fetch, Item, PageRequest, PageStart, Send};
use ruggine_core::content::{Content, Text};
use ruggine_core::{Blob, ErrorCode, Seq, limits};
use ruggine_server::testing::{TestServer, text_message, words_of};

use super::support::{add, code, say, seq};

#[tokio::test]
async fn content_stands_in_for_a_payload_where_it_is_asked_for() {
    let server = TestServer::start().await;
    let ada = server.register("ada").await;
    let group = server.group(&ada, &[]).await;
    let http = server.http_of(&ada);
    let content = Content::from(Text::new("da curl"));
    let given = Send {
        payload: None,
        content: Some(content.clone()),
        ..text_message(group, "")
    };
    let ack = http.call(given).await.unwrap();
    let fetched = http
        .call(Fetch {
            conversation: group,
            seq: ack.seq,
        })
        .await
        .unwrap();
    let Item::Row(row) = &fetched.item else {
        panic!()
    };
    assert_eq!(row.payload, content.to_payload().unwrap());
    assert_eq!(row.content, None);

    let request = PageRequest {
        conversation: group,
        from: PageStart::Newest,
        limit: None,
        as_content: true,
    };
    let items = http.call(request).await.unwrap().items;
    let Some(Item::Row(row)) = items.last() else {
        panic!()
    };
    assert_eq!(row.content, Some(content));
    assert!(row.payload.is_empty());
}

#[tokio::test]
async fn a_message_without_a_valid_payload_takes_no_number() {
    let server = TestServer::start().await;
    let ada = server.register("ada").await;
    let group = server.group(&ada, &[]).await;
    let http = server.http_of(&ada);
    let with = |payload: Option<Vec<u8>>| Send {
        payload: payload.map(Blob::from),
        ..text_message(group, "")
    };
    assert_eq!(code(http.call(with(None)).await), ErrorCode::InvalidContent);
    assert_eq!(
        code(http.call(with(Some(Vec::new()))).await),
        ErrorCode::InvalidContent
    );
    let over = vec![b'x'; limits::PAYLOAD_MAX + 1];
    assert_eq!(
        code(http.call(with(Some(over))).await),
        ErrorCode::PayloadTooLarge
    );
    let both = Send {
        content: Some(Content::from(Text::new("twice"))),
        ..text_message(group, "twice")
    };
    assert_eq!(code(http.call(both).await), ErrorCode::InvalidParams);
    let sealed = Send {
        epoch: Some(3),
        ..text_message(group, "no epoch here")
    };
    assert_eq!(code(http.call(sealed).await), ErrorCode::StaleEpoch);
    let fits = vec![b'x'; limits::PAYLOAD_MAX];
    assert_eq!(http.call(with(Some(fits))).await.unwrap().seq, seq(2));
}

#[tokio::test]
async fn a_single_row_can_be_fetched() {
    let server = TestServer::start().await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let group = server.group(&ada, &[]).await;
    let http = server.http_of(&ada);
    let second = say(&http, group, "second").await;
    http.call(add(group, &bob)).await.unwrap();
    let fetch = |seq| Fetch {
        conversation: group,
        seq,
    };
    let item = http.call(fetch(second)).await.unwrap().item;
    assert_eq!(words_of(&item).as_deref(), Some("second"));
    for missing in [Seq::ZERO, seq(4), Seq::MAX] {
        assert_eq!(
            code(http.call(fetch(missing)).await),
            ErrorCode::MessageNotFound
        );
    }
    let before_bob = server.http_of(&bob).call(fetch(second)).await;
    assert_eq!(code(before_bob), ErrorCode::MessageNotFound);
}
