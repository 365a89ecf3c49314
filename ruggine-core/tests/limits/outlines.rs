//! What a peer is told of an error, which never holds what was sent.

use ruggine_core::api::{account, conversation, message, presence, sync};
use ruggine_core::codec::Encoding;
use ruggine_core::frame::{ClientFrame, ServerFrame};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// What a peer is told about text that is no `T`.
fn outlines<T: DeserializeOwned>(text: &str) -> [String; 2] {
    let value: Value = serde_json::from_str(text).expect("JSON");
    let packed = Encoding::MsgPack.encode(&value).expect("plain data");
    [
        (Encoding::Json, text.as_bytes()),
        (Encoding::MsgPack, &packed[..]),
    ]
    .map(|(encoding, bytes)| {
        let error = encoding.decode::<T>(bytes).err().expect(text);
        error.outline()
    })
}

#[test]
fn an_outline_never_holds_what_was_sent() {
    let id = "019b76da-a800-7001-8000-00000000cc01";
    for secret in [
        "hunter2!",
        ", expected hunter2",
        "missing field `hunter2`",
        "missing field, expected hunter2",
        "x`, expected `hunter2`, expected hunter2",
        "hunter2 at line 1 column 1",
    ] {
        let quoted = serde_json::to_string(secret).unwrap();
        let number = 8_267_193_u64;
        let sent = [
            outlines::<sync::Hello>(&format!(r#"{{"token":"t","protocol":{quoted}}}"#)),
            outlines::<sync::Hello>(&format!(r#"{{"token":{number},"protocol":1}}"#)),
            outlines::<sync::Hello>(&format!(r#"{{"token":"t","protocol":{number}}}"#)),
            outlines::<sync::Hello>(&format!(r#"{{"token":[{quoted}],"protocol":1}}"#)),
            outlines::<sync::Hello>(&format!(r#"{{"token":{{{quoted}:1}},"protocol":1}}"#)),
            outlines::<account::LogIn>(&format!(r#"{{"username":"a","password":{number}.5}}"#)),
            outlines::<account::LogIn>(&format!(r#"{{"username":"a","password":-{number}}}"#)),
            outlines::<account::LogIn>(&format!(
                r#"{{"username":"a","password":"b","device":{quoted}}}"#
            )),
            outlines::<account::User>(&format!(
                r#"{{"id":"{id}","username":{quoted},"display_name":"a"}}"#
            )),
            outlines::<conversation::Get>(&format!(r#"{{"conversation":{quoted}}}"#)),
            outlines::<presence::Query>(&format!(r#"{{"users":{quoted}}}"#)),
            outlines::<message::PageRequest>(&format!(
                r#"{{"conversation":"{id}","from":{quoted}}}"#
            )),
            outlines::<message::PageRequest>(&format!(
                r#"{{"conversation":"{id}","from":{{{quoted}:1}}}}"#
            )),
            outlines::<message::Send>(&format!(
                r#"{{"conversation":"{id}","client_msg_id":"{id}","payload":[{quoted}]}}"#
            )),
            outlines::<message::Send>(&format!(
                r#"{{"conversation":"{id}","client_msg_id":"{id}","content":{quoted}}}"#
            )),
            outlines::<message::Send>(&format!(
                r#"{{"conversation":"{id}","client_msg_id":"{id}","content":{{{quoted}:1,"b":2}}}}"#
            )),
            outlines::<message::Fetched>(&format!(r#"{{"item":{quoted}}}"#)),
        ];
        for outline in sent.into_iter().flatten() {
            assert!(!outline.is_empty());
            assert!(!outline.contains("hunter2"), "{outline}");
            assert!(!outline.contains("8267193"), "{outline}");
        }
    }
}

#[test]
fn an_outline_of_a_frame_never_holds_what_was_sent() {
    for text in [
        r#"{"id":"hunter2","method":"hello"}"#,
        r#"{"id":7,"method":["hunter2"]}"#,
        r#"{"id":7,"method":"hello","write_counter":", expected hunter2"}"#,
        r#"{"id":7,"hunter2":1}"#,
        r#"{"id":7,"method":"hello","method":"hunter2"}"#,
        r#"{"event":["hunter2"]}"#,
        r#"{"id":7,"error":"hunter2"}"#,
        r#"{"id":7,"error":{"code":7,"message":"hunter2"}}"#,
        r#"["hunter2"]"#,
        r#""hunter2""#,
    ] {
        let value: Value = serde_json::from_str(text).unwrap();
        let packed = Encoding::MsgPack.encode(&value).unwrap();
        for (encoding, bytes) in [
            (Encoding::Json, text.as_bytes()),
            (Encoding::MsgPack, &packed[..]),
        ] {
            let client = ClientFrame::decode(encoding, bytes).map(drop);
            let server = ServerFrame::decode(encoding, bytes).map(drop);
            let refused: Vec<_> = [client, server]
                .into_iter()
                .filter_map(Result::err)
                .collect();
            assert!(!refused.is_empty(), "{text}");
            for error in refused {
                let outline = error.reason.outline();
                assert!(!outline.contains("hunter2"), "{outline}");
            }
        }
    }
    for broken in [
        "{\"hunter2",
        "{\"id\":hunter2}",
        "{hunter2}",
        "{\"id\":7}hunter2",
    ] {
        let error = ClientFrame::decode(Encoding::Json, broken.as_bytes()).expect_err(broken);
        let outline = error.reason.outline();
        assert!(!outline.contains("hunter2"), "{outline}");
    }
}

#[test]
fn an_outline_names_the_field_that_is_missing_and_what_was_expected() {
    for outline in outlines::<sync::Hello>(r#"{"token":"hunter2"}"#) {
        assert!(outline.starts_with("missing field `protocol`"), "{outline}");
    }
    for outline in outlines::<account::LogIn>(r#"{"username":"ada"}"#) {
        assert!(outline.starts_with("missing field `password`"), "{outline}");
    }
    // MessagePack has no sentence of its own for a value of another type.
    let [json, packed] = outlines::<sync::Hello>(r#"{"token":"t","protocol":"hunter2"}"#);
    assert!(json.starts_with("expected u16"), "{json}");
    assert_eq!(packed, "not of the expected form");
    for outline in outlines::<message::Fetched>("[1]") {
        assert_eq!(outline, "not a map");
    }
    for outline in outlines::<message::Fetched>(r#"{"item":"hunter2"}"#) {
        assert!(
            outline.starts_with("expected a map with one key"),
            "{outline}"
        );
    }
    let error = ClientFrame::decode(Encoding::Json, b"{\"id\":7}").expect_err("no method");
    assert!(
        error.reason.outline().starts_with("missing field `method`"),
        "{error}"
    );
}
