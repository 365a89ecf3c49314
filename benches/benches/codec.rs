//! Reading a request and writing an event. Budget: a small part of the 25 us of
//! CPU that a message may cost end to end.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ruggine_benches::{NOW, message, message_event, payload};
use ruggine_core::ConversationId;
use ruggine_core::api::message::Send;
use ruggine_core::codec::Encoding;
use ruggine_core::frame::{ClientFrame, RequestFrame};

const SIZES: [usize; 2] = [256, 8 * 1024];

fn codec(c: &mut Criterion) {
    for (name, encoding) in [("json", Encoding::Json), ("msgpack", Encoding::MsgPack)] {
        let mut group = c.benchmark_group(format!("codec/{name}"));
        for size in SIZES {
            group.throughput(Throughput::Bytes(size as u64));
            let send = message(ConversationId::new(NOW), &payload(size));
            let frame = RequestFrame {
                id: 7,
                method: "message.send",
                params: &send,
                write_counter: Some(12),
            };
            let bytes = encoding.encode(&frame).expect("plain data");
            group.bench_function(format!("read_send/{size}"), |b| {
                b.iter(|| {
                    let frame =
                        ClientFrame::decode(encoding, black_box(&bytes)).expect("well formed");
                    frame.params.decode::<Send>().expect("a send")
                });
            });
            let event = message_event(size);
            group.bench_function(format!("write_event/{size}"), |b| {
                b.iter(|| black_box(&event).encode(encoding).expect("plain data"));
            });
        }
        group.finish();
    }
}

criterion_group!(benches, codec);
criterion_main!(benches);
