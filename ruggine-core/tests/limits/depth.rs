//! How deeply frames, bodies and payloads may nest.

use ruggine_core::Content;
use ruggine_core::api::{Done, message};
use ruggine_core::codec::{BoundsError, Encoding};
use ruggine_core::content::ContentError;
use ruggine_core::frame::{ClientFrame, ResultFrame, ServerFrame};
use ruggine_core::limits::{DEPTH_MAX, SERVER_DEPTH_MAX};
use serde_json::Value;

use super::BOTH;
use super::by_hand::{
    broken_bound, broken_server_bound, json_frame, nested_json, nested_packed, packed_frame,
    packed_map, packed_text,
};

#[test]
fn a_frame_may_nest_thirty_two_levels_and_not_one_more() {
    assert_eq!(DEPTH_MAX, 32);
    // The frame itself is the first level.
    let deepest = json_frame(&nested_json(31));
    assert!(ClientFrame::decode(Encoding::Json, &deepest).is_ok());
    let too_deep = json_frame(&nested_json(32));
    assert_eq!(
        broken_bound(Encoding::Json, &too_deep),
        Some(BoundsError::TooDeep(32))
    );

    let deepest = packed_frame(&nested_packed(31));
    assert!(ClientFrame::decode(Encoding::MsgPack, &deepest).is_ok());
    let too_deep = packed_frame(&nested_packed(32));
    assert_eq!(
        broken_bound(Encoding::MsgPack, &too_deep),
        Some(BoundsError::TooDeep(32))
    );
}

#[test]
fn a_servers_frame_may_nest_forty_eight_levels_and_not_one_more() {
    assert_eq!(SERVER_DEPTH_MAX, 48);
    let too_deep = Some(BoundsError::TooDeep(48));
    for around in ["{\"id\":7,\"result\":", "{\"event\":\"x\",\"data\":"] {
        let frame = |levels| format!("{around}{}}}", nested_json(levels)).into_bytes();
        assert!(ServerFrame::decode(Encoding::Json, &frame(47)).is_ok());
        assert_eq!(broken_server_bound(Encoding::Json, &frame(48)), too_deep);
    }
    let name = packed_text("x");
    for (first, last) in [(("id", &[7][..]), "result"), (("event", &name), "data")] {
        let frame = |levels| packed_map(&[first, (last, &nested_packed(levels))]);
        assert!(ServerFrame::decode(Encoding::MsgPack, &frame(47)).is_ok());
        assert_eq!(broken_server_bound(Encoding::MsgPack, &frame(48)), too_deep);
    }
}

#[test]
fn a_body_of_a_server_may_nest_deeper_than_one_of_a_client() {
    for (levels, client, server) in [(31, true, true), (47, false, true), (48, false, false)] {
        let json = format!("{{\"a\":{}}}", nested_json(levels));
        let packed = packed_map(&[("a", &nested_packed(levels))]);
        for (encoding, bytes) in [
            (Encoding::Json, json.as_bytes()),
            (Encoding::MsgPack, &packed),
        ] {
            let from_a_client = encoding.decode::<Done>(bytes);
            assert_eq!(from_a_client.is_ok(), client, "{encoding:?} {levels}");
            let from_a_server = encoding.decode_from_server::<Done>(bytes);
            assert_eq!(from_a_server.is_ok(), server, "{encoding:?} {levels}");
        }
    }
}

#[test]
fn the_deepest_payload_fits_into_a_page_as_content() {
    let payload = format!("{{\"future\":{}}}", nested_json(DEPTH_MAX - 1));
    let content = Content::from_payload(payload.as_bytes()).expect("the deepest payload");
    let id = "019b76da-a800-7001-8000-00000000cc01";
    let page = serde_json::json!({
        "incarnation": 1, "from": 1, "to": 1, "head": 1,
        "items": [{ "row": {
            "seq": 1, "kind": "message", "sender": id, "device": id, "client_msg_id": id,
            "server_ts": 0, "content": &content,
        }}],
    });
    let page: message::Page = serde_json::from_value(page).expect("a page");
    for encoding in BOTH {
        let frame = ResultFrame {
            id: 7,
            result: &page,
        };
        let bytes = encoding.encode(&frame).expect("a page of content");
        let Ok(ServerFrame::Response {
            outcome: Ok(result),
            ..
        }) = ServerFrame::decode(encoding, &bytes)
        else {
            panic!("the page is refused");
        };
        assert_eq!(result.decode::<message::Page>().unwrap(), page);
    }
}

#[test]
fn objects_count_as_levels_like_arrays() {
    let levels = |count: usize| "{\"a\":".repeat(count) + "0" + &"}".repeat(count);
    assert!(ClientFrame::decode(Encoding::Json, &json_frame(&levels(31))).is_ok());
    assert_eq!(
        broken_bound(Encoding::Json, &json_frame(&levels(32))),
        Some(BoundsError::TooDeep(32))
    );
    let levels = |count: usize| {
        let mut bytes = b"\x81\xa1a".repeat(count);
        bytes.push(0);
        bytes
    };
    assert!(ClientFrame::decode(Encoding::MsgPack, &packed_frame(&levels(31))).is_ok());
    assert_eq!(
        broken_bound(Encoding::MsgPack, &packed_frame(&levels(32))),
        Some(BoundsError::TooDeep(32))
    );
}

#[test]
fn a_payload_may_nest_thirty_two_levels_and_not_one_more() {
    let payload = |levels| format!("{{\"future\":{}}}", nested_json(levels));
    assert!(Content::from_payload(payload(31).as_bytes()).is_ok());
    assert!(matches!(
        Content::from_payload(payload(32).as_bytes()),
        Err(ContentError::Bounds(BoundsError::TooDeep(32)))
    ));
}

#[test]
fn ten_thousand_levels_are_refused_and_do_not_reach_the_stack() {
    for text in [
        "[".repeat(10_000),
        nested_json(10_000),
        "{\"a\":".repeat(10_000),
        String::from_utf8(json_frame(&nested_json(10_000))).unwrap(),
    ] {
        let bytes = text.as_bytes();
        let (bound, server_bound) = (BoundsError::TooDeep(32), BoundsError::TooDeep(48));
        assert_eq!(broken_bound(Encoding::Json, bytes), Some(bound));
        assert_eq!(
            broken_server_bound(Encoding::Json, bytes),
            Some(server_bound)
        );
        assert!(Encoding::Json.decode::<Value>(bytes).is_err());
        assert!(Content::from_payload(bytes).is_err());
    }
    for bytes in [
        vec![0x91; 10_000],
        b"\x81\xa1a".repeat(10_000),
        packed_frame(&[0x91; 10_000]),
    ] {
        let (bound, server_bound) = (BoundsError::TooDeep(32), BoundsError::TooDeep(48));
        assert_eq!(broken_bound(Encoding::MsgPack, &bytes), Some(bound));
        assert_eq!(
            broken_server_bound(Encoding::MsgPack, &bytes),
            Some(server_bound)
        );
        assert!(Encoding::MsgPack.decode::<Value>(&bytes).is_err());
    }
}

#[test]
fn brackets_inside_a_string_are_no_levels() {
    let text = format!("\"{}\\\"{}\"", "[".repeat(100), "{".repeat(100));
    let frame = json_frame(&text);
    let read = ClientFrame::decode(Encoding::Json, &frame).unwrap();
    assert_eq!(read.params.bytes(), text.as_bytes());
    // The escaped backslash ends the string, so what follows does count.
    let frame = json_frame(&format!("[\"\\\\\",{}]", nested_json(31)));
    assert_eq!(
        broken_bound(Encoding::Json, &frame),
        Some(BoundsError::TooDeep(32))
    );
}
