//! A device whose store is an old copy is kept from writing.

use ruggine_core::api::conversation::{ConversationKind, Create, ProtectionMode};
use ruggine_core::api::position::Read;
use ruggine_core::codec::Encoding;
use ruggine_core::{ErrorCode, Seq};
use ruggine_server::testing::{TestServer, text_message};

use super::support::{page_after, seq};

#[tokio::test]
async fn an_old_copy_of_a_devices_store_writes_nothing() {
    let server = TestServer::start().await;
    let ada = server.register("ada").await;
    let phone = server.another_device(&ada).await;
    let group = server.group(&ada, &[]).await;
    let mut socket = server.socket(&ada, Encoding::MsgPack).await;
    let restored = ErrorCode::DeviceRestored;
    socket.set_write_counter(Some(10));
    socket.call(text_message(group, "ten")).await.unwrap();
    socket.call(text_message(group, "ten again")).await.unwrap();
    socket.set_write_counter(Some(9));
    let refused = socket.call(text_message(group, "nine")).await.unwrap_err();
    assert_eq!(refused.code, restored);
    let read = Read {
        conversation: group,
        seq: seq(2),
    };
    assert_eq!(socket.call(read).await.unwrap_err().code, restored);
    let create = Create {
        kind: ConversationKind::Group,
        mode: ProtectionMode::Managed,
        members: Vec::new(),
        id: None,
    };
    assert_eq!(
        socket.call(create.clone()).await.unwrap_err().code,
        restored
    );
    let page = socket.call(page_after(group, Seq::ZERO)).await.unwrap();
    assert_eq!(
        page.head,
        seq(3),
        "reading goes on, and nothing was written"
    );

    let header = |value: &str| {
        server
            .http_of(&ada)
            .with_header("ruggine-write-counter", value)
    };
    let refused = header("9")
        .call(text_message(group, "nine"))
        .await
        .unwrap_err();
    assert_eq!(refused.code, restored);
    let refused = header("ten").call(create.clone()).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::InvalidParams);
    header("11").call(create).await.unwrap();
    socket.set_write_counter(Some(10));
    let refused = socket.call(text_message(group, "ten")).await.unwrap_err();
    assert_eq!(
        refused.code, restored,
        "every writing operation moves the counter"
    );
    socket.set_write_counter(None);
    socket
        .call(text_message(group, "a client without a store"))
        .await
        .unwrap();

    let mut other = server.socket(&phone, Encoding::MsgPack).await;
    other.set_write_counter(Some(1));
    other
        .call(text_message(group, "each device counts for itself"))
        .await
        .unwrap();
}
