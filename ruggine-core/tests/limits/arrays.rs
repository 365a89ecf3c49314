//! Nothing is read by position: an array is no frame, no request and no response.

use ruggine_core::api::{
    Done, account, conversation, identity, key_package, member, message, position, presence,
    session, sync,
};
use ruggine_core::codec::{BoundsError, DecodeError, Encoding};
use ruggine_core::event::Event;
use ruggine_core::for_each_operation;
use ruggine_core::frame::{ClientFrame, ServerFrame};

use super::by_hand::{broken_bound, broken_server_bound, packed_map, packed_text};
use super::text::username;

#[test]
fn an_array_is_no_frame_even_with_every_field_in_its_place() {
    let not_a_map = Some(BoundsError::NotAMap);
    for text in [r#"[7,"session.list",{},1]"#, "\n[]", "\"[\"", "7"] {
        let bytes = text.as_bytes();
        assert_eq!(broken_bound(Encoding::Json, bytes), not_a_map, "{text}");
        assert_eq!(
            broken_server_bound(Encoding::Json, bytes),
            not_a_map,
            "{text}"
        );
    }
    let text = br#"[7,{},null,null,null]"#;
    assert_eq!(broken_server_bound(Encoding::Json, text), not_a_map);

    let frame = [&[0x94, 7][..], &packed_text("session.list"), &[0x80, 1]].concat();
    let response = [0x95, 7, 0x80, 0xc0, 0xc0, 0xc0];
    for bytes in [&frame[..], &response, &[0x90], &[0xc0], &[7], b"\xa1x"] {
        assert_eq!(
            broken_bound(Encoding::MsgPack, bytes),
            not_a_map,
            "{bytes:x?}"
        );
        assert_eq!(
            broken_server_bound(Encoding::MsgPack, bytes),
            not_a_map,
            "{bytes:x?}"
        );
    }
}

/// Asserts that a value is refused because it is not a map.
fn not_a_map<T>(read: Result<T, DecodeError>) {
    let error = read.err().expect("it is refused");
    assert!(
        matches!(error, DecodeError::Bounds(BoundsError::NotAMap)),
        "{error:?}"
    );
}

macro_rules! array_checks {
    ($( $(#[$meta:meta])* $variant:ident $name:literal $request:path => $response:path, $access:ident, $effect:ident; )+) => {
        /// Asserts that no request and no response of the table is read from an array.
        fn nothing_is_read_by_position(encoding: Encoding, array: &[u8]) {
            $(
                not_a_map(encoding.decode::<$request>(array));
                not_a_map(encoding.decode_from_server::<$response>(array));
            )+
        }
    };
}

for_each_operation!(array_checks);

#[test]
fn an_array_is_no_request_and_no_response() {
    for text in ["[]", "[7]", r#" ["ada"]"#] {
        nothing_is_read_by_position(Encoding::Json, text.as_bytes());
    }
    for bytes in [
        &[0x90][..],
        &[0x91, 7],
        b"\x91\xa3ada",
        b"\xdc\x00\x01\xa3ada",
    ] {
        nothing_is_read_by_position(Encoding::MsgPack, bytes);
    }
}

#[test]
fn an_array_in_a_frame_is_no_parameters_no_result_and_no_data() {
    let json = [
        &br#"{"id":7,"method":"user.lookup","params":["ada"]}"#[..],
        br#"{"id":7,"result":["ada"]}"#,
        br#"{"event":"presence","data":["019b76da-a800-7001-8000-00000000aa01",true]}"#,
    ];
    let (ada, id) = (
        b"\x91\xa3ada",
        [&[0x92, 0xc4, 16][..], &[1; 16], &[0xc3]].concat(),
    );
    let packed = [
        packed_map(&[
            ("id", &[7]),
            ("method", &packed_text("user.lookup")),
            ("params", ada),
        ]),
        packed_map(&[("id", &[7]), ("result", ada)]),
        packed_map(&[("event", &packed_text("presence")), ("data", &id)]),
    ];
    for (encoding, [request, response, event]) in [
        (Encoding::Json, json),
        (Encoding::MsgPack, packed.each_ref().map(|bytes| &bytes[..])),
    ] {
        let frame = ClientFrame::decode(encoding, request).unwrap();
        not_a_map(frame.params.decode::<account::LookUp>());
        let Ok(ServerFrame::Response {
            outcome: Ok(result),
            ..
        }) = ServerFrame::decode(encoding, response)
        else {
            panic!("{encoding:?}: the frame itself is in order");
        };
        not_a_map(result.decode::<account::LookUp>());
        let Ok(ServerFrame::Event { name, data }) = ServerFrame::decode(encoding, event) else {
            panic!("{encoding:?}: the frame itself is in order");
        };
        not_a_map(Event::decode(&name, data));
    }
}

#[test]
fn spaces_before_a_map_do_not_matter() {
    let text = b" \t\r\n{\"username\":\"ada\"} \n";
    assert_eq!(username(Encoding::Json, text).unwrap(), "ada");
    let frame = b"\n {\"id\":7,\"method\":\"user.lookup\",\"params\": {\"username\":\"ada\"}}";
    let read = ClientFrame::decode(Encoding::Json, frame).unwrap();
    let params = read.params.decode::<account::LookUp>().unwrap();
    assert_eq!(params.username, "ada");
}
