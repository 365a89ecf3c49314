//! How much a page holds.

use ruggine_core::api::message::{Item, Page, PageRequest, PageStart, Send};
use ruggine_core::codec::Encoding;
use ruggine_core::{ConversationId, Seq, limits};
use ruggine_server::testing::{TestServer, text_message};

use super::commits::sized;

fn page(conversation: ConversationId, from: PageStart, limit: Option<u32>) -> PageRequest {
    PageRequest {
        conversation,
        from,
        limit,
        as_content: false,
    }
}

#[tokio::test]
async fn a_page_has_at_most_a_hundred_rows_and_at_least_one() {
    let server = TestServer::start().await;
    let ada = server.register("ada").await;
    let group = server.group(&ada, &[]).await;
    let mut socket = server.socket(&ada, Encoding::MsgPack).await;
    let mut pending = Vec::new();
    for number in 0..149 {
        pending.push(
            socket
                .begin(&text_message(group, &number.to_string()))
                .await
                .unwrap(),
        );
    }
    for pending in pending {
        socket.finish(pending).await.unwrap().unwrap();
    }
    let starts = [
        (PageStart::After(Seq::ZERO), 1..=100u64),
        (PageStart::Newest, 51..=150),
        (PageStart::Before(Seq::new(121)), 21..=120),
    ];
    for (from, range) in starts {
        for limit in [None, Some(100), Some(101), Some(u32::MAX)] {
            let page = socket.call(page(group, from, limit)).await.unwrap();
            assert_eq!(page.items.len(), 100, "{from:?} {limit:?}");
            assert_eq!(
                (page.from.get(), page.to.get()),
                (*range.start(), *range.end())
            );
        }
        for limit in [0, 1] {
            let page = socket.call(page(group, from, Some(limit))).await.unwrap();
            assert_eq!(page.items.len(), 1, "{from:?} {limit}");
        }
    }
}

/// A payload that is content, and three times as long when it is written anew.
fn swelling() -> Vec<u8> {
    let numbers = vec!["1e15"; 999].join(",");
    let lists = vec![format!("[{numbers}]"); 8].join(",");
    let payload = format!("{{\"numbers\":[{lists}]}}").into_bytes();
    assert!(payload.len() <= limits::PAYLOAD_MAX);
    payload
}

#[tokio::test]
async fn a_page_ends_before_it_would_burst_a_frame() {
    const ROWS: usize = 15;
    let server = TestServer::start().await;
    let ada = server.register("ada").await;
    let http = server.http_of(&ada).with_encoding(Encoding::MsgPack);
    let payloads = [vec![b'x'; limits::PAYLOAD_MAX], swelling()];
    for payload in payloads {
        let group = server.group(&ada, &[]).await;
        for _ in 0..ROWS {
            let send = Send {
                payload: Some(payload.clone().into()),
                ..sized(group, 1)
            };
            http.call(send).await.unwrap();
        }
        for encoding in [Encoding::Json, Encoding::MsgPack] {
            for as_content in [false, true] {
                // A frame that is longer than a server's may be would end this connection.
                let mut socket = server.socket(&ada, encoding).await;
                let mut ask = async |from| -> Page {
                    let request = PageRequest {
                        as_content,
                        ..page(group, from, None)
                    };
                    socket.call(request).await.unwrap()
                };
                let (mut after, mut pages) = (Seq::ZERO, 0);
                while after.get() < 1 + ROWS as u64 {
                    let page = ask(PageStart::After(after)).await;
                    assert_eq!(page.from, after.next());
                    after = page.to;
                    pages += 1;
                }
                let mut before = Seq::new(2 + ROWS as u64);
                while before.get() > 1 {
                    let page = ask(PageStart::Before(before)).await;
                    assert_eq!(page.to, before.previous());
                    assert!(page.items.iter().all(|item| matches!(item, Item::Row(_))));
                    before = page.from;
                    pages += 1;
                }
                assert!(
                    (4..=8).contains(&pages),
                    "{pages} pages, {encoding:?} {as_content}"
                );
                socket.close().await;
            }
        }
    }
}
