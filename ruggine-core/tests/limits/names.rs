//! The names of methods, of events and of the kinds of an entry.

use ruggine_core::api::{Method, message};
use ruggine_core::codec::Encoding;
use ruggine_core::event::Event;
use ruggine_core::frame::{ClientFrame, ServerFrame};
use serde_json::Value;

use super::by_hand::packed_map;

#[test]
fn an_event_or_a_method_whose_name_is_no_text_is_an_error() {
    for name in ["7", "true", "[\"presence\"]", "{\"presence\":1}"] {
        let event = format!("{{\"event\":{name},\"data\":{{}}}}");
        let with_id = format!("{{\"id\":7,\"result\":{{}},\"event\":{name}}}");
        let method = format!("{{\"id\":7,\"method\":{name}}}");
        for text in [event, with_id, method] {
            let value: Value = serde_json::from_str(&text).unwrap();
            let packed = Encoding::MsgPack.encode(&value).unwrap();
            for (encoding, bytes) in [
                (Encoding::Json, text.as_bytes()),
                (Encoding::MsgPack, &packed[..]),
            ] {
                assert!(ClientFrame::decode(encoding, bytes).is_err(), "{text}");
                assert!(ServerFrame::decode(encoding, bytes).is_err(), "{text}");
            }
        }
    }
    // Bytes and broken text are no text either.
    for name in [&b"\xc4\x08presence"[..], b"\xa2\xff\xfe"] {
        let frame = packed_map(&[("event", name), ("data", &[0x80])]);
        assert!(ServerFrame::decode(Encoding::MsgPack, &frame).is_err());
        let frame = packed_map(&[("id", &[7]), ("method", name)]);
        assert!(ClientFrame::decode(Encoding::MsgPack, &frame).is_err());
    }
}

#[test]
fn a_name_with_escapes_is_the_name_without_them() {
    let frame = br#"{"id":7,"\u006dethod":"h\u0065llo","params":{}}"#;
    let read = ClientFrame::decode(Encoding::Json, frame).unwrap();
    assert_eq!((read.id, &*read.method), (7, "hello"));
    assert_eq!(Method::from_name(&read.method), Some(Method::Hello));

    let frame = br#"{"id":7,"method":"a\"\\\/\n\ud83e\udd80"}"#;
    let read = ClientFrame::decode(Encoding::Json, frame).unwrap();
    assert_eq!(read.method, "a\"\\/\n🦀");

    let id = "019b76da-a800-7001-8000-00000000aa01";
    let frame =
        format!(r#"{{"event":"pr\u0065s\u0065nce","data":{{"us\u0065r":"{id}","online":true}}}}"#);
    let Ok(ServerFrame::Event { name, data }) =
        ServerFrame::decode(Encoding::Json, frame.as_bytes())
    else {
        panic!("an event with an escaped name is refused");
    };
    assert_eq!(name, "presence");
    let event = Event::decode(&name, data).unwrap();
    assert!(matches!(event, Some(Event::Presence(presence)) if presence.online));
}

#[test]
fn an_entry_without_a_kind_or_with_two_is_an_error() {
    let hole = r#""hole":{"from":1,"to":2}"#;
    for item in [
        "{}".to_owned(),
        "[]".to_owned(),
        "\"row\"".to_owned(),
        "7".to_owned(),
        format!("{{{hole},\"large\":{{}}}}"),
        format!("{{{hole},{hole}}}"),
        format!("{{\"future\":1,{hole}}}"),
    ] {
        let text = format!("{{\"item\":{item}}}");
        let read = Encoding::Json.decode::<message::Fetched>(text.as_bytes());
        assert!(read.is_err(), "{text}");
    }
    let two = packed_map(&[(
        "item",
        &packed_map(&[
            ("future", &[1]),
            ("hole", &packed_map(&[("from", &[1]), ("to", &[2])])),
        ]),
    )]);
    assert!(Encoding::MsgPack.decode::<message::Fetched>(&two).is_err());
}

#[test]
fn every_method_is_found_by_its_name_and_no_other_name_is_one() {
    for method in Method::ALL {
        assert_eq!(Method::from_name(method.as_str()), Some(*method));
    }
    for name in ["", "Hello", "hello ", "message", "message.", "message/send"] {
        assert_eq!(Method::from_name(name), None, "{name:?}");
    }
}
