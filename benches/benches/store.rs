//! Appending and paging through the engine on SQLite, with a commit on stable
//! storage. Budget: 20,000 messages a second in batches; 100,000 rows a second
//! of history.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use futures_util::future::join_all;
use ruggine_benches::{engine, group, message, payload, register};
use ruggine_core::Seq;
use ruggine_core::api::message::{PageRequest, PageStart};
use tokio::runtime::Runtime;

const BATCH: usize = 256;

fn store(c: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let folder = tempfile::tempdir().expect("a folder");
    let (engine, ada, id) = runtime.block_on(async {
        let engine = engine(folder.path()).await;
        let ada = register(&engine, "ada").await;
        let id = group(&engine, std::slice::from_ref(&ada)).await;
        (engine, ada, id)
    });
    let body = payload(256);
    let mut suite = c.benchmark_group("store");
    suite.sample_size(20);
    suite.throughput(Throughput::Elements(1));
    suite.bench_function("append_one", |b| {
        b.to_async(&runtime).iter(|| async {
            engine
                .call(&ada.caller, message(id, &body))
                .await
                .expect("ada is a member")
        });
    });
    suite.throughput(Throughput::Elements(BATCH as u64));
    suite.bench_function("append_256_at_once", |b| {
        b.to_async(&runtime).iter(|| async {
            let sends = (0..BATCH).map(|_| engine.call(&ada.caller, message(id, &body)));
            for ack in join_all(sends).await {
                ack.expect("ada is a member");
            }
        });
    });
    suite.throughput(Throughput::Elements(100));
    suite.bench_function("page_100", |b| {
        b.to_async(&runtime).iter(|| async {
            engine
                .call(
                    &ada.caller,
                    PageRequest {
                        conversation: id,
                        from: PageStart::After(Seq::ZERO),
                        limit: Some(100),
                        as_content: false,
                    },
                )
                .await
                .expect("ada is a member")
        });
    });
    suite.finish();
    runtime.block_on(engine.shut_down());
}

criterion_group!(benches, store);
criterion_main!(benches);
