//! Nulls: as good as absent where a field may be, and an error where a value is needed.

use ruggine_core::api::{
    Done, account, conversation, identity, key_package, member, message, position, presence,
    session, sync,
};
use ruggine_core::codec::Encoding;
use ruggine_core::event::Event;
use ruggine_core::frame::{ClientFrame, ServerFrame};
use ruggine_core::{Content, for_each_operation};
use serde_json::Value;

use super::by_hand::{packed_map, packed_text, refuse};

#[test]
fn a_nil_in_a_frame_is_as_good_as_absent() {
    let list = packed_text("session.list");
    let packed = packed_map(&[
        ("id", &[7]),
        ("method", &list),
        ("params", &[0xc0]),
        ("write_counter", &[0xc0]),
    ]);
    let text = br#"{"id":7,"method":"session.list","params":null,"write_counter":null}"#;
    for (encoding, bytes) in [(Encoding::Json, &text[..]), (Encoding::MsgPack, &packed)] {
        let read = ClientFrame::decode(encoding, bytes).unwrap();
        assert_eq!(
            (read.id, &*read.method, read.write_counter),
            (7, "session.list", None)
        );
        assert!(read.params.decode::<session::List>().is_ok());
    }
}

#[test]
fn a_nil_in_a_servers_frame_is_as_good_as_absent() {
    let error = r#"{"code":"internal","message":"?","retryable":true}"#;
    let value: Value = serde_json::from_str(error).unwrap();
    let packed_error = Encoding::MsgPack.encode(&value).unwrap();
    let (id, nil) = (("id", &[7][..]), &[0xc0][..]);
    let result = [
        id,
        ("result", &[0x80]),
        ("error", nil),
        ("event", nil),
        ("data", nil),
    ];
    let failure = [
        id,
        ("result", nil),
        ("error", &packed_error),
        ("event", nil),
    ];
    let name = packed_text("future");
    let event = [
        ("id", nil),
        ("result", nil),
        ("error", nil),
        ("event", &name[..]),
        ("data", nil),
    ];
    for (text, packed) in [
        (
            r#"{"id":7,"result":{},"error":null,"event":null,"data":null}"#.to_owned(),
            packed_map(&result),
        ),
        (
            format!("{{\"id\":7,\"result\":null,\"error\":{error},\"event\":null}}"),
            packed_map(&failure),
        ),
        (
            r#"{"id":null,"result":null,"error":null,"event":"future","data":null}"#.to_owned(),
            packed_map(&event),
        ),
    ] {
        let from_json = ServerFrame::decode(Encoding::Json, text.as_bytes()).expect(&text);
        let from_msgpack = ServerFrame::decode(Encoding::MsgPack, &packed).expect(&text);
        match (from_json, from_msgpack) {
            (
                ServerFrame::Response {
                    id: 7,
                    outcome: Ok(json),
                },
                ServerFrame::Response {
                    id: 7,
                    outcome: Ok(packed),
                },
            ) => {
                assert!(json.decode::<Done>().is_ok());
                assert!(packed.decode::<Done>().is_ok());
            }
            (
                ServerFrame::Response {
                    id: 7,
                    outcome: Err(json),
                },
                ServerFrame::Response {
                    id: 7,
                    outcome: Err(packed),
                },
            ) => assert_eq!(json, packed),
            (
                ServerFrame::Event { name, data },
                ServerFrame::Event {
                    name: same,
                    data: packed,
                },
            ) => {
                assert_eq!((&*name, &*same), ("future", "future"));
                assert_eq!((data.bytes(), packed.bytes()), (&b"{}"[..], &[0x80][..]));
            }
            frames => panic!("{text}: {frames:?}"),
        }
    }
}

#[test]
fn a_nil_where_a_frame_needs_a_value_is_an_error() {
    for (text, fields) in [
        (
            r#"{"id":7,"result":null}"#,
            &[("id", &[7][..]), ("result", &[0xc0])][..],
        ),
        (
            r#"{"id":7,"error":null}"#,
            &[("id", &[7]), ("error", &[0xc0])],
        ),
        (
            r#"{"event":null,"data":{}}"#,
            &[("event", &[0xc0]), ("data", &[0x80])],
        ),
    ] {
        let packed = packed_map(fields);
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
fn a_nil_field_of_a_request_is_as_good_as_absent() {
    let text = br#"{"token":"t","protocol":1,"locale":null,"incarnation":null}"#;
    let packed = packed_map(&[
        ("token", &packed_text("t")),
        ("protocol", &[1]),
        ("locale", &[0xc0]),
        ("incarnation", &[0xc0]),
    ]);
    for (encoding, bytes) in [(Encoding::Json, &text[..]), (Encoding::MsgPack, &packed)] {
        let hello: sync::Hello = encoding.decode(bytes).unwrap();
        assert_eq!((hello.locale, hello.incarnation), (None, None));
    }
}

macro_rules! null_checks {
    ($( $(#[$meta:meta])* $variant:ident $name:literal $request:path => $response:path, $access:ident, $effect:ident; )+) => {
        /// Asserts that no request and no response of the table is a bare null.
        fn nothing_is_read_from(encoding: Encoding, null: &[u8]) {
            $(
                assert!(encoding.decode::<$request>(null).is_err(), $name);
                assert!(encoding.decode::<$response>(null).is_err(), $name);
            )+
        }
    };
}

for_each_operation!(null_checks);

#[test]
fn a_null_is_no_request_and_no_response() {
    nothing_is_read_from(Encoding::Json, b"null");
    nothing_is_read_from(Encoding::MsgPack, &[0xc0]);
}

#[test]
fn a_null_where_an_object_is_expected_is_an_error() {
    refuse::<message::Page>(r#"{"incarnation":1,"from":1,"to":1,"head":1,"items":[null]}"#);
    refuse::<message::Page>(r#"{"incarnation":1,"from":1,"to":1,"head":1,"items":null}"#);
    refuse::<message::Fetched>(r#"{"item":null}"#);
    refuse::<message::Fetched>(r#"{"item":{"row":null}}"#);
    refuse::<message::Fetched>(r#"{"item":{"hole":[null,null]}}"#);
    refuse::<presence::Query>(r#"{"users":[null]}"#);
    refuse::<presence::Presences>(r#"{"presences":[null]}"#);
    refuse::<member::Members>(r#"{"roster_version":1,"members":[null]}"#);
    refuse::<session::Sessions>(r#"{"sessions":[null]}"#);
    refuse::<conversation::Conversations>(r#"{"conversations":[null]}"#);
    refuse::<conversation::Create>(r#"{"kind":"group","mode":"managed","members":[null]}"#);
    refuse::<conversation::Create>(r#"{"kind":null,"mode":null,"members":[]}"#);
    refuse::<account::LogIn>(r#"{"username":null,"password":null}"#);
    refuse::<account::LogIn>(r#"{"username":"a","password":"b","device":[null,null]}"#);
    refuse::<position::Read>(r#"{"conversation":null,"seq":null}"#);
    refuse::<Content>(r#"{"text":null}"#);
    for payload in [
        r#"{"text":null}"#,
        r#"{"title":null}"#,
        r#"{"text":{"body":null}}"#,
        r#"{"text":{"body":"@ada","mentions":[null]}}"#,
        r#"{"text":{"body":"@ada","mentions":null}}"#,
    ] {
        assert!(
            Content::from_payload(payload.as_bytes()).is_err(),
            "{payload}"
        );
    }
}

#[test]
fn an_event_of_nulls_is_an_error() {
    for name in Event::NAMES {
        for data in ["null", "{}", "[null]", r#"{"item":null,"heads":[null]}"#] {
            let text = format!("{{\"event\":\"{name}\",\"data\":{data}}}");
            let value: Value = serde_json::from_str(&text).unwrap();
            let packed = Encoding::MsgPack.encode(&value).unwrap();
            for (encoding, bytes) in [
                (Encoding::Json, text.as_bytes()),
                (Encoding::MsgPack, &packed[..]),
            ] {
                let Ok(ServerFrame::Event { name, data }) = ServerFrame::decode(encoding, bytes)
                else {
                    panic!("{text} is an event, if a bad one");
                };
                assert!(Event::decode(&name, data).is_err(), "{text}");
            }
        }
    }
}
