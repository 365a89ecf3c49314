//! A field that is given twice.

use ruggine_core::api::account;
use ruggine_core::codec::Encoding;
use ruggine_core::frame::{ClientFrame, ServerFrame};

use super::by_hand::{packed_map, packed_text};

#[test]
fn a_field_given_twice_is_refused() {
    for text in [
        r#"{"id":1,"id":2,"method":"hello"}"#,
        r#"{"id":1,"method":"hello","method":"hello"}"#,
        r#"{"id":1,"method":"hello","params":{},"params":{}}"#,
        r#"{"id":1,"method":"hello","write_counter":1,"write_counter":1}"#,
    ] {
        assert!(
            ClientFrame::decode(Encoding::Json, text.as_bytes()).is_err(),
            "{text}"
        );
    }
    let hello = packed_text("hello");
    let (id, method) = (("id", &[1][..]), ("method", &hello[..]));
    let (params, counter) = (("params", &[0x80][..]), ("write_counter", &[1][..]));
    for fields in [
        &[id, id, method][..],
        &[id, method, method],
        &[id, method, params, params],
        &[id, method, counter, counter],
    ] {
        assert!(
            ClientFrame::decode(Encoding::MsgPack, &packed_map(fields)).is_err(),
            "{fields:x?}"
        );
    }
    for text in [
        r#"{"id":1,"id":1,"result":{}}"#,
        r#"{"id":1,"result":{},"result":{}}"#,
        r#"{"event":"presence","event":"presence","data":{}}"#,
        r#"{"event":"presence","data":{},"data":{}}"#,
    ] {
        assert!(
            ServerFrame::decode(Encoding::Json, text.as_bytes()).is_err(),
            "{text}"
        );
    }
    let presence = packed_text("presence");
    let (event, data) = (("event", &presence[..]), ("data", &[0x80][..]));
    let result = ("result", &[0x80][..]);
    for fields in [
        &[id, id, result][..],
        &[id, result, result],
        &[event, event, data],
        &[event, data, data],
    ] {
        assert!(
            ServerFrame::decode(Encoding::MsgPack, &packed_map(fields)).is_err(),
            "{fields:x?}"
        );
    }
}

#[test]
fn a_field_of_a_request_given_twice_is_refused() {
    let text = br#"{"username":"ada","username":"bob"}"#;
    assert!(Encoding::Json.decode::<account::LookUp>(text).is_err());
    let (ada, bob) = (packed_text("ada"), packed_text("bob"));
    let packed = packed_map(&[("username", &ada), ("username", &bob)]);
    assert!(
        Encoding::MsgPack
            .decode::<account::LookUp>(&packed)
            .is_err()
    );
}

#[test]
fn a_nil_does_not_hide_that_a_field_came_twice() {
    let hello = packed_text("hello");
    for fields in [
        &[("id", &[7][..]), ("id", &[0xc0]), ("method", &hello)][..],
        &[("id", &[7]), ("method", &[0xc0]), ("method", &hello)],
        &[
            ("id", &[7]),
            ("method", &hello),
            ("params", &[0xc0]),
            ("params", &[0x80]),
        ],
    ] {
        let frame = packed_map(fields);
        assert!(
            ClientFrame::decode(Encoding::MsgPack, &frame).is_err(),
            "{fields:x?}"
        );
    }
    for text in [
        r#"{"id":7,"id":null,"method":"hello"}"#,
        r#"{"id":7,"method":null,"method":"hello"}"#,
        r#"{"id":7,"method":"hello","params":null,"params":{}}"#,
    ] {
        assert!(
            ClientFrame::decode(Encoding::Json, text.as_bytes()).is_err(),
            "{text}"
        );
    }
}
