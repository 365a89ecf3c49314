//! Sealing and opening a record. Budget: about 1.3 us for 256 bytes.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ruggine_benches::{KEY, NOW};
use ruggine_core::{ClientMsgId, ConversationId, DeviceId, UserId};
use ruggine_crypto::at_rest::{KeyRing, MasterKey, Purpose, RecordContext, Scope};

fn envelope(c: &mut Criterion) {
    let key = MasterKey::from_hex(KEY).expect("a good key");
    let ring = KeyRing::new(key, Vec::new()).expect("one key");
    let context = RecordContext {
        purpose: Purpose::Message,
        scope: Scope::Conversation(ConversationId::new(NOW)),
        record: *ClientMsgId::new(NOW).as_bytes(),
        sender: UserId::new(NOW),
        device: DeviceId::new(NOW),
        ts: NOW,
        content_type: "message",
    };
    let mut group = c.benchmark_group("envelope");
    for size in [256usize, 64 * 1024] {
        let plaintext = vec![b'x'; size];
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function(format!("seal/{size}"), |b| {
            b.iter(|| ring.seal(&context, black_box(&plaintext)).expect("it fits"));
        });
        group.bench_function(format!("seal_json/{size}"), |b| {
            b.iter(|| {
                ring.seal(&context, black_box(&plaintext))
                    .expect("it fits")
                    .to_json()
            });
        });
        let stored = ring.seal(&context, &plaintext).expect("it fits").to_json();
        group.bench_function(format!("open_json/{size}"), |b| {
            b.iter(|| {
                ring.open_json(&context, black_box(&stored))
                    .expect("it opens")
            });
        });
    }
    group.finish();
}

criterion_group!(benches, envelope);
criterion_main!(benches);
