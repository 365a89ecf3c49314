//! What is a frame at all, and what is still known of one that is refused.

use ruggine_core::api::{Done, session, sync};
use ruggine_core::codec::{BoundsError, Encoding};
use ruggine_core::frame::{ClientFrame, ServerFrame};
use serde_json::Value;

use super::by_hand::{broken_bound, json_frame, packed_frame, packed_map, packed_text};

fn refused_with_id(encoding: Encoding, frame: &[u8]) -> Option<u64> {
    ClientFrame::decode(encoding, frame)
        .expect_err("the frame is refused")
        .id
}

#[test]
fn extension_types_and_the_reserved_marker_are_refused_everywhere() {
    for value in [
        &[0xc1][..],
        &[0xc7, 1, 5, 0],
        &[0xc8, 0, 1, 5, 0],
        &[0xc9, 0, 0, 0, 1, 5, 0],
        &[0xd4, 5, 0],
        &[0xd5, 5, 0, 0],
        &[0xd6, 0xff, 0, 0, 0, 0],
        &[0xd7, 0xff, 0, 0, 0, 0, 0, 0, 0, 0],
        &[0xd8, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    ] {
        let nested = [&[0x92, 0x01], value].concat();
        for bytes in [value.to_vec(), packed_frame(value), packed_frame(&nested)] {
            assert_eq!(
                broken_bound(Encoding::MsgPack, &bytes),
                Some(BoundsError::UnsupportedType),
                "{value:x?}"
            );
        }
    }
}

#[test]
fn bytes_of_the_other_encoding_are_refused() {
    assert!(ClientFrame::decode(Encoding::MsgPack, &json_frame("{}")).is_err());
    assert!(ClientFrame::decode(Encoding::Json, &packed_frame(&[0x80])).is_err());
}

#[test]
fn what_is_no_object_is_no_frame() {
    for text in ["", " ", "null", "true", "7", "\"hello\"", "[]", "{}"] {
        let bytes = text.as_bytes();
        assert!(
            ClientFrame::decode(Encoding::Json, bytes).is_err(),
            "{text}"
        );
        assert!(
            ServerFrame::decode(Encoding::Json, bytes).is_err(),
            "{text}"
        );
    }
    for bytes in [
        &[][..],
        &[0xc0],
        &[0xc3],
        &[7],
        &[0xa1, b'x'],
        &[0x90],
        &[0x80],
    ] {
        assert!(
            ClientFrame::decode(Encoding::MsgPack, bytes).is_err(),
            "{bytes:x?}"
        );
        assert!(
            ServerFrame::decode(Encoding::MsgPack, bytes).is_err(),
            "{bytes:x?}"
        );
    }
}

#[test]
fn a_servers_frame_is_one_thing_only() {
    let error = r#""error":{"code":"internal","message":"?","retryable":true}"#;
    for text in [
        r#"{"id":1}"#.to_owned(),
        r#"{"result":{}}"#.to_owned(),
        r#"{"data":{}}"#.to_owned(),
        format!("{{{error}}}"),
        format!("{{\"id\":1,\"result\":{{}},{error}}}"),
        r#"{"id":1,"result":{},"event":"presence"}"#.to_owned(),
        format!("{{\"event\":\"presence\",{error}}}"),
    ] {
        let value: Value = serde_json::from_str(&text).unwrap();
        let packed = Encoding::MsgPack.encode(&value).unwrap();
        assert!(
            ServerFrame::decode(Encoding::Json, text.as_bytes()).is_err(),
            "{text}"
        );
        assert!(
            ServerFrame::decode(Encoding::MsgPack, &packed).is_err(),
            "{text}"
        );
    }
}

#[test]
fn an_error_carries_the_id_when_only_the_rest_of_the_frame_is_bad() {
    for text in [
        r#"{"id":7}"#,
        r#"{"id":7,"method":null}"#,
        r#"{"id":7,"method":["hello"]}"#,
        r#"{"method":1,"params":{},"id":7}"#,
        r#"{"id":7,"method":"hello","write_counter":"x"}"#,
        r#"{"id":7,"method":"hello","write_counter":-1}"#,
        r#"{"id":7,"method":"hello","method":"hello"}"#,
        r#"{"id":7,"method":"hello","params":{},"params":{}}"#,
    ] {
        let id = refused_with_id(Encoding::Json, text.as_bytes());
        assert_eq!(id, Some(7), "{text}");
    }
    let hello = packed_text("hello");
    let (id, method) = (("id", &[7][..]), ("method", &hello[..]));
    for fields in [
        &[id][..],
        &[id, ("method", &[0xc0])],
        &[("method", &[0x91, 1]), id],
        &[id, ("method", b"\xa2\xff\xfe")],
        &[id, method, ("write_counter", b"\xa1x")],
        &[id, method, ("write_counter", &[0xff])],
        &[id, method, method],
        &[id, method, ("params", &[0x80]), ("params", &[0x80])],
    ] {
        let id = refused_with_id(Encoding::MsgPack, &packed_map(fields));
        assert_eq!(id, Some(7), "{fields:x?}");
    }
}

#[test]
fn an_error_carries_no_id_when_the_id_itself_is_bad() {
    for id in ["null", "-1", "1.5", "\"7\"", "[7]", "18446744073709551616"] {
        let text = format!("{{\"id\":{id},\"method\":\"hello\"}}");
        let id = refused_with_id(Encoding::Json, text.as_bytes());
        assert_eq!(id, None, "{text}");
    }
    let method = packed_text("hello");
    for id in [&[0xc0][..], &[0xff], b"\xa17", &[0x91, 7]] {
        let frame = packed_map(&[("id", id), ("method", &method)]);
        assert_eq!(refused_with_id(Encoding::MsgPack, &frame), None, "{id:x?}");
    }
}

#[test]
fn parameters_of_the_wrong_form_leave_the_frame_readable() {
    let frame = json_frame(r#"{"token":5}"#);
    let read = ClientFrame::decode(Encoding::Json, &frame).unwrap();
    assert_eq!((read.id, &*read.method), (7, "hello"));
    assert!(read.params.decode::<sync::Hello>().is_err());

    let frame = packed_frame(&packed_map(&[("token", &[5])]));
    let read = ClientFrame::decode(Encoding::MsgPack, &frame).unwrap();
    assert_eq!((read.id, &*read.method), (7, "hello"));
    assert!(read.params.decode::<sync::Hello>().is_err());
}

#[test]
fn a_frame_without_parameters_has_empty_ones() {
    let frame = br#"{"id":7,"method":"session.list"}"#;
    let read = ClientFrame::decode(Encoding::Json, frame).unwrap();
    assert!(read.params.decode::<session::List>().is_ok());
    assert!(read.params.decode::<sync::Hello>().is_err());

    let frame = packed_map(&[("id", &[7]), ("method", &packed_text("session.list"))]);
    let read = ClientFrame::decode(Encoding::MsgPack, &frame).unwrap();
    assert!(read.params.decode::<session::List>().is_ok());
    assert!(read.params.decode::<sync::Hello>().is_err());
}

#[test]
fn an_empty_response_is_read_with_whatever_a_newer_server_adds() {
    for text in ["{}", r#"{"more":[1,{"a":null}]}"#] {
        assert!(Encoding::Json.decode::<Done>(text.as_bytes()).is_ok());
    }
    for packed in [packed_map(&[]), packed_map(&[("more", &[0x91, 0xc0])])] {
        assert!(Encoding::MsgPack.decode::<Done>(&packed).is_ok());
    }
}
