//! Pages lead through a whole log, both ways.

use ruggine_core::api::message::{Item, PageRequest, PageStart};
use ruggine_core::codec::Encoding;
use ruggine_core::{ConversationId, Seq, limits};
use ruggine_server::testing::{HttpClient, TestServer, text_message, words_of};

use super::support::{page, say, seq};

pub(crate) async fn walk_forward(
    client: &HttpClient,
    conversation: ConversationId,
    limit: u32,
) -> Vec<Item> {
    let mut items = Vec::new();
    let mut after = Seq::ZERO;
    loop {
        let next = page(client, conversation, PageStart::After(after), Some(limit)).await;
        assert_eq!(next.from, after.next());
        if next.items.is_empty() {
            assert_eq!(next.to, next.head);
            return items;
        }
        after = next.to;
        items.extend(next.items);
    }
}

pub(crate) async fn walk_backward(
    client: &HttpClient,
    conversation: ConversationId,
    limit: u32,
) -> Vec<Item> {
    let mut pages = Vec::new();
    let mut start = PageStart::Newest;
    loop {
        let next = page(client, conversation, start, Some(limit)).await;
        if next.items.is_empty() {
            break;
        }
        let done = next.from <= seq(1);
        start = PageStart::Before(next.from);
        pages.push(next.items);
        if done {
            break;
        }
    }
    pages.into_iter().rev().flatten().collect()
}

#[tokio::test]
async fn pages_lead_through_a_log_both_ways() {
    let server = TestServer::start().await;
    let ada = server.register("ada").await;
    let group = server.group(&ada, &[]).await;
    let http = server.http_of(&ada);
    for number in 0..23 {
        say(&http, group, &format!("message {number}")).await;
    }
    let whole = http.read_log(group).await.unwrap();
    assert_eq!(whole.len(), 24);
    for (number, item) in whole.iter().skip(1).enumerate() {
        assert_eq!(words_of(item), Some(format!("message {number}")));
    }
    for limit in [1, 7, 24, 100] {
        assert_eq!(walk_forward(&http, group, limit).await, whole, "{limit}");
        assert_eq!(walk_backward(&http, group, limit).await, whole, "{limit}");
    }
    let msgpack = http.clone().with_encoding(Encoding::MsgPack);
    assert_eq!(msgpack.read_log(group).await.unwrap(), whole);

    let beyond = page(&http, group, PageStart::After(seq(1_000)), None).await;
    assert!(beyond.items.is_empty() && beyond.from > beyond.to);
    let before_all = page(&http, group, PageStart::Before(seq(1)), None).await;
    assert!(before_all.items.is_empty() && before_all.from > before_all.to);
    let middle = page(&http, group, PageStart::Before(seq(11)), Some(3)).await;
    assert_eq!((middle.from, middle.to), (seq(8), seq(10)));
}

#[tokio::test]
async fn a_page_of_long_messages_ends_early_and_the_next_goes_on() {
    let server = TestServer::start().await;
    let ada = server.register("ada").await;
    let group = server.group(&ada, &[]).await;
    let mut socket = server.socket(&ada, Encoding::MsgPack).await;
    let long = "x".repeat(limits::PAYLOAD_MAX - 64);
    for _ in 0..25 {
        socket.call(text_message(group, &long)).await.unwrap();
    }
    let mut after = Seq::ZERO;
    let mut pages = 0;
    while after < seq(26) {
        let request = PageRequest {
            conversation: group,
            from: PageStart::After(after),
            limit: None,
            as_content: false,
        };
        let next = socket.call(request).await.unwrap();
        let bytes: usize = next
            .items
            .iter()
            .map(|item| match item {
                Item::Row(row) => row.payload.len(),
                _ => 0,
            })
            .sum();
        assert!(bytes <= limits::PAGE_BYTES_MAX, "{bytes}");
        assert_eq!(next.from, after.next());
        after = next.to;
        pages += 1;
    }
    assert!(pages > 1);
}
