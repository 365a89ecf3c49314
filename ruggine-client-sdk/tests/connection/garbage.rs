//! Frames that cannot be read.

use bytes::Bytes;
use ruggine_client_sdk::ConnectionState;
use ruggine_core::api::account::LookUp;
use ruggine_core::codec::Encoding;

use super::lies::{event_of, row};
use super::stored_tokens;
use super::support::replies::result;
use super::support::script::Script;
use super::support::world::{World, tokens};
use super::support::{all_words, assert_sound, kept, person, quick, slow};

#[tokio::test]
async fn what_cannot_be_read_is_passed_over() {
    let mut world = World::new();
    let id = world.room(1);
    let served = Script::start(world, slow()).serve_well().await;
    served.has(id, 1).await;
    let codec = Encoding::MsgPack;
    let encoded = |value: serde_json::Value| codec.encode(&value).expect("plain data");
    let garbage = [
        Bytes::new(),
        Bytes::from_static(b"\xff\xff\xff"),
        Bytes::from_static(b"\x80"),
        Bytes::from_static(b"\xdd\xff\xff\xff\xff"),
        encoded(serde_json::json!({ "event": "hologram", "data": { "glow": true } })),
        encoded(serde_json::json!({ "event": "message", "data": { "glow": true } })),
        encoded(serde_json::json!({ "event": "message", "data": [] })),
        encoded(serde_json::json!({ "event": "read", "data": { "seq": -1 } })),
        encoded(serde_json::json!({ "id": 999_999, "result": {} })),
        encoded(
            serde_json::json!({ "id": 999_999, "error": { "code": "?", "message": "", "retryable": false } }),
        ),
        encoded(serde_json::json!({ "id": "seven", "result": 1 })),
        encoded(serde_json::json!([1, 2, 3])),
        encoded(serde_json::json!("hello")),
    ];
    for frame in garbage {
        served.raw(frame);
    }
    served.write(id, "after the noise");
    served.has(id, 2).await;
    assert_eq!(served.connections(), 1, "the same connection");
    assert_eq!(
        all_words(&kept(served.store.direct(), id)),
        ["row 1", "after the noise"]
    );
}

#[tokio::test]
async fn garbage_in_place_of_a_greeting_ends_the_connection_only() {
    let mut script = Script::start(World::new(), quick());
    for frame in [&b"\xff\xff"[..], b"", b"\x81\xa2id\xc3"] {
        let mut wire = script.arrival().await;
        wire.asked().await;
        wire.raw(Bytes::from_static(frame));
        assert!(
            wire.try_asked().await.is_none(),
            "the connection is given up"
        );
    }
    let mut wire = script.arrival().await;
    let hello = wire.asked().await;
    wire.reply(result::<LookUp>(&hello, &person("ada")));
    assert!(
        wire.try_asked().await.is_none(),
        "the connection is given up"
    );
    let _wire = script.greeted().await;
    script
        .wait_for(|state| *state == ConnectionState::Online)
        .await;
    assert_eq!(stored_tokens(script.store.direct()), Some(tokens("one")));
}

#[tokio::test]
async fn garbage_of_every_kind_never_ends_a_client() {
    let mut world = World::new();
    let id = world.room(2);
    let mut random = 0x9e37_79b9_u64;
    let mut next = move || {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (random >> 33) as usize
    };
    let served = Script::start(world, quick()).serve_well().await;
    served.has(id, 2).await;
    let good = {
        let world = served.world.lock();
        let event = event_of(&world, id, row(&world, id, 3));
        event
            .encode(Encoding::MsgPack)
            .expect("plain data")
            .to_vec()
    };
    for _ in 0..500 {
        let mut frame = good.clone();
        for _ in 0..=next() % 4 {
            let at = next() % frame.len();
            frame[at] = next() as u8;
        }
        frame.truncate(1 + next() % good.len());
        served.raw(frame.into());
    }
    served.settled().await;
    assert_sound(served.store.direct());
}
