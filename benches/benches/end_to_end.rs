//! From one SDK's `send` to the other's event, over a real server, a real
//! socket and two encrypted local stores. Budget: a p50 below a few
//! milliseconds, most of it commits on stable storage.

use criterion::{Criterion, criterion_group, criterion_main};
use ruggine_client_sdk::store::FixedKey;
use ruggine_client_sdk::store::sqlite::SqliteStore;
use ruggine_client_sdk::transport::WebSocketTransport;
use ruggine_client_sdk::{Client, ClientEvent, ConnectionState};
use ruggine_core::api::conversation::ProtectionMode;
use ruggine_core::secret::SecretText;
use ruggine_server::testing::TestServer;
use tokio::runtime::Runtime;

async fn connect(server: &TestServer, folder: &std::path::Path, name: &str) -> Client {
    let key = FixedKey::new([7; 32]);
    let store = SqliteStore::open(folder.join(name), &key).expect("a fresh store");
    let url = format!("http://{}", server.address());
    let transport = WebSocketTransport::new(url.parse().expect("a loopback address"));
    let client = Client::builder().start(transport, store);
    client
        .register(
            name,
            SecretText::new("granite lantern meadow tide"),
            None,
            None,
        )
        .await
        .expect("the name is free");
    client
        .wait_for_connection(|state| *state == ConnectionState::Online)
        .await;
    client
}

fn end_to_end(c: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let folder = tempfile::tempdir().expect("a folder");
    let (server, ada, bob, conversation) = runtime.block_on(async {
        let server = TestServer::start().await;
        let ada = connect(&server, folder.path(), "ada").await;
        let bob = connect(&server, folder.path(), "bob").await;
        let peer = ada.look_up("bob").await.expect("bob exists");
        let conversation = ada
            .direct(peer.id, ProtectionMode::Managed)
            .await
            .expect("bob exists");
        (server, ada, bob, conversation)
    });
    let mut suite = c.benchmark_group("end_to_end");
    suite.sample_size(20);
    suite.bench_function("send_to_receive", |b| {
        b.to_async(&runtime).iter(|| async {
            let mut events = bob.events();
            let sent = conversation.send_text("ciao").await.expect("ada is a member");
            while let Some(event) = events.next().await {
                if matches!(&event, ClientEvent::Message { message, .. } if message.client_msg_id == sent) {
                    break;
                }
            }
        });
    });
    suite.finish();
    runtime.block_on(async {
        ada.stop().await;
        bob.stop().await;
    });
    drop(server);
}

criterion_group!(benches, end_to_end);
criterion_main!(benches);
