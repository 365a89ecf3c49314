//! One message to the sockets of a group on one instance, read from their
//! queues. Budget: 2 us for each receiver beside the commit.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ruggine_benches::{Somebody, engine, group, message, payload, register};
use ruggine_core::api::sync::Hello;
use ruggine_core::codec::Encoding;
use ruggine_core::version::ProtocolVersion;
use ruggine_server::engine::{Engine, OpenSocket};
use tokio::runtime::Runtime;

async fn sit(engine: &Engine, person: &Somebody) -> OpenSocket {
    let hello = Hello {
        token: person.token.clone(),
        protocol: ProtocolVersion::CURRENT,
        locale: None,
        incarnation: None,
    };
    let opened = engine
        .open_socket(&person.caller, hello, Encoding::MsgPack)
        .await
        .expect("the token is good");
    opened.0
}

fn fanout(c: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let mut suite = c.benchmark_group("fanout");
    suite.sample_size(20);
    for receivers in [1usize, 10, 100] {
        let folder = tempfile::tempdir().expect("a folder");
        let (engine, ada, id, sockets) = runtime.block_on(async {
            let engine = engine(folder.path()).await;
            let ada = register(&engine, "ada").await;
            let id = group(&engine, std::slice::from_ref(&ada)).await;
            let mut sockets = Vec::new();
            // One person with many devices costs the hub what many people cost.
            for _ in 0..receivers {
                sockets.push(sit(&engine, &ada).await);
            }
            (engine, ada, id, sockets)
        });
        let body = payload(256);
        suite.throughput(Throughput::Elements(receivers as u64));
        suite.bench_function(format!("{receivers}_receivers"), |b| {
            b.to_async(&runtime).iter(|| async {
                engine
                    .call(&ada.caller, message(id, &body))
                    .await
                    .expect("ada is a member");
                for open in &sockets {
                    open.socket().next().await;
                }
            });
        });
        drop(sockets);
        runtime.block_on(engine.shut_down());
    }
    suite.finish();
}

criterion_group!(benches, fanout);
criterion_main!(benches);
