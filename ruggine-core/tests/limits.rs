//! What the codec refuses, and that it refuses it early and cheaply.

use ruggine_core::api::{
    Done, Method, account, conversation, member, message, position, presence, session, sync,
};
use ruggine_core::codec::{BoundsError, DecodeError, Encoding, FrameError};
use ruggine_core::content::ContentError;
use ruggine_core::event::Event;
use ruggine_core::frame::{ClientFrame, ResultFrame, ServerFrame};
use ruggine_core::limits::{DEPTH_MAX, ELEMENTS_MAX, SERVER_DEPTH_MAX, SERVER_ELEMENTS_MAX};
use ruggine_core::{Content, Incarnation, Seq, for_each_operation};
use serde::de::DeserializeOwned;
use serde_json::Value;

const BOTH: [Encoding; 2] = [Encoding::Json, Encoding::MsgPack];

// ---- frames by hand ----

fn json_frame(params: &str) -> Vec<u8> {
    format!(r#"{{"id":7,"method":"hello","params":{params}}}"#).into_bytes()
}

fn nested_json(levels: usize) -> String {
    "[".repeat(levels) + &"]".repeat(levels)
}

fn nested_packed(levels: usize) -> Vec<u8> {
    let mut bytes = vec![0x91; levels - 1];
    bytes.push(0x90);
    bytes
}

fn json_array(elements: usize) -> String {
    format!("[{}]", vec!["0"; elements].join(","))
}

fn json_object(entries: usize) -> String {
    let entries: Vec<_> = (0..entries).map(|n| format!("\"{n}\":0")).collect();
    format!("{{{}}}", entries.join(","))
}

fn packed_text(text: &str) -> Vec<u8> {
    Encoding::MsgPack.encode(text).expect("text").to_vec()
}

/// A map of entries whose values are MessagePack already.
fn packed_map(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut bytes = vec![0x80 + u8::try_from(entries.len()).expect("a few entries")];
    for (key, value) in entries {
        bytes.extend(packed_text(key));
        bytes.extend(*value);
    }
    bytes
}

fn packed_frame(params: &[u8]) -> Vec<u8> {
    let method = packed_text("hello");
    packed_map(&[("id", &[7]), ("method", &method), ("params", params)])
}

fn packed_array(elements: u16) -> Vec<u8> {
    let [high, low] = elements.to_be_bytes();
    let mut bytes = vec![0xdc, high, low];
    bytes.resize(3 + usize::from(elements), 0);
    bytes
}

fn packed_object(entries: u16) -> Vec<u8> {
    let [high, low] = entries.to_be_bytes();
    let mut bytes = vec![0xde, high, low];
    for entry in 0..entries {
        bytes.extend(packed_text(&entry.to_string()));
        bytes.push(0);
    }
    bytes
}

/// The bound that a client's frame breaks.
fn broken_bound(encoding: Encoding, frame: &[u8]) -> Option<BoundsError> {
    bound_of(ClientFrame::decode(encoding, frame).map(drop))
}

/// The bound that a server's frame breaks.
fn broken_server_bound(encoding: Encoding, frame: &[u8]) -> Option<BoundsError> {
    bound_of(ServerFrame::decode(encoding, frame).map(drop))
}

fn bound_of(result: Result<(), FrameError>) -> Option<BoundsError> {
    match result.err()?.reason {
        DecodeError::Bounds(bound) => Some(bound),
        _ => None,
    }
}

fn refused_with_id(encoding: Encoding, frame: &[u8]) -> Option<u64> {
    ClientFrame::decode(encoding, frame)
        .expect_err("the frame is refused")
        .id
}

// ---- depth ----

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

// ---- elements ----

#[test]
fn a_clients_array_may_have_a_thousand_elements_and_not_one_more() {
    assert_eq!(ELEMENTS_MAX, 1_000);
    let bound = Some(BoundsError::TooManyElements(1_000));

    let frame = json_frame(&json_array(1_000));
    assert!(ClientFrame::decode(Encoding::Json, &frame).is_ok());
    let frame = json_frame(&json_array(1_001));
    assert_eq!(broken_bound(Encoding::Json, &frame), bound);

    let frame = packed_frame(&packed_array(1_000));
    assert!(ClientFrame::decode(Encoding::MsgPack, &frame).is_ok());
    let frame = packed_frame(&packed_array(1_001));
    assert_eq!(broken_bound(Encoding::MsgPack, &frame), bound);
}

#[test]
fn a_clients_object_may_have_a_thousand_entries_and_not_one_more() {
    let bound = Some(BoundsError::TooManyElements(1_000));

    let frame = json_frame(&json_object(1_000));
    assert!(ClientFrame::decode(Encoding::Json, &frame).is_ok());
    let frame = json_frame(&json_object(1_001));
    assert_eq!(broken_bound(Encoding::Json, &frame), bound);

    let frame = packed_frame(&packed_object(1_000));
    assert!(ClientFrame::decode(Encoding::MsgPack, &frame).is_ok());
    let frame = packed_frame(&packed_object(1_001));
    assert_eq!(broken_bound(Encoding::MsgPack, &frame), bound);
}

#[test]
fn a_servers_array_may_have_ten_thousand_elements_and_not_one_more() {
    assert_eq!(SERVER_ELEMENTS_MAX, 10_000);
    let bound = Some(BoundsError::TooManyElements(10_000));
    let json = |count| format!("{{\"id\":7,\"result\":{}}}", json_array(count)).into_bytes();
    assert!(ServerFrame::decode(Encoding::Json, &json(10_000)).is_ok());
    assert_eq!(broken_server_bound(Encoding::Json, &json(10_001)), bound);

    let packed = |count| packed_map(&[("id", &[7]), ("result", &packed_array(count))]);
    assert!(ServerFrame::decode(Encoding::MsgPack, &packed(10_000)).is_ok());
    assert_eq!(
        broken_server_bound(Encoding::MsgPack, &packed(10_001)),
        bound
    );
}

#[test]
fn elements_are_counted_for_each_array_and_not_in_strings() {
    let many = json_array(1_000);
    let text = ",".repeat(5_000);
    let frame = json_frame(&format!("[{many},{many},[\"{text}\",{many}]]"));
    assert!(ClientFrame::decode(Encoding::Json, &frame).is_ok());
    // An inner array does not hide the elements of the one around it.
    let halves = vec!["0"; 500].join(",");
    let frame = json_frame(&format!("[{halves},[1,2,3],{halves}]"));
    assert_eq!(
        broken_bound(Encoding::Json, &frame),
        Some(BoundsError::TooManyElements(1_000))
    );

    let mut params = vec![0x92];
    params.extend(packed_array(1_000).repeat(2));
    assert!(ClientFrame::decode(Encoding::MsgPack, &packed_frame(&params)).is_ok());
}

#[test]
fn a_body_has_the_same_bounds_as_a_frame() {
    let (fits, over) = (json_object(1_000), json_object(1_001));
    assert!(Encoding::Json.decode::<Value>(fits.as_bytes()).is_ok());
    assert!(Encoding::Json.decode::<Value>(over.as_bytes()).is_err());
    let over_for_a_client = Encoding::Json.decode_from_server::<Value>(over.as_bytes());
    assert!(over_for_a_client.is_ok());
    let (fits, over) = (packed_object(1_000), packed_object(1_001));
    assert!(Encoding::MsgPack.decode::<Value>(&fits).is_ok());
    assert!(Encoding::MsgPack.decode::<Value>(&over).is_err());
    assert!(Encoding::MsgPack.decode_from_server::<Value>(&over).is_ok());
}

#[test]
fn a_payload_lists_a_thousand_elements_and_not_one_more() {
    let payload = |count| format!("{{\"future\":{}}}", json_array(count));
    assert!(Content::from_payload(payload(1_000).as_bytes()).is_ok());
    assert!(matches!(
        Content::from_payload(payload(1_001).as_bytes()),
        Err(ContentError::Bounds(BoundsError::TooManyElements(1_000)))
    ));
}

#[test]
fn what_cannot_be_read_as_a_payload_is_not_written_as_one() {
    let content = |data: String| Content::Unknown {
        kind: "future".to_owned(),
        data: serde_json::from_str(&data).expect("JSON"),
    };
    let deepest = content(nested_json(31)).to_payload().expect("32 levels");
    assert!(Content::from_payload(&deepest).is_ok());
    assert!(matches!(
        content(nested_json(32)).to_payload(),
        Err(ContentError::Bounds(BoundsError::TooDeep(32)))
    ));
    let longest = content(json_array(1_000)).to_payload().expect("1000");
    assert!(Content::from_payload(&longest).is_ok());
    for data in [json_array(1_001), json_object(1_001)] {
        assert!(matches!(
            content(data).to_payload(),
            Err(ContentError::Bounds(BoundsError::TooManyElements(1_000)))
        ));
    }
}

// ---- declared lengths ----

#[test]
fn a_huge_declared_length_is_refused_before_anything_is_allocated() {
    let too_many = BoundsError::TooManyElements(1_000);
    for (marker, bound) in [
        (0xdd, too_many.clone()),
        (0xdf, too_many),
        (0xc6, BoundsError::Truncated),
        (0xdb, BoundsError::Truncated),
    ] {
        let declared = [marker, 0xff, 0xff, 0xff, 0xff];
        for bytes in [declared.to_vec(), packed_frame(&declared)] {
            assert_eq!(
                broken_bound(Encoding::MsgPack, &bytes),
                Some(bound.clone()),
                "{marker:#x}"
            );
            assert!(Encoding::MsgPack.decode::<Value>(&bytes).is_err());
        }
    }
    // Half-sized markers have lengths that a peer can declare as well.
    for (marker, bound) in [
        (0xdc, BoundsError::TooManyElements(1_000)),
        (0xde, BoundsError::TooManyElements(1_000)),
        (0xc5, BoundsError::Truncated),
        (0xda, BoundsError::Truncated),
    ] {
        let bytes = packed_frame(&[marker, 0xff, 0xff]);
        assert_eq!(broken_bound(Encoding::MsgPack, &bytes), Some(bound));
    }
}

#[test]
fn a_length_within_the_limits_is_still_compared_with_the_bytes() {
    for params in [
        &[0xdd, 0, 0, 0x03, 0xe8][..],
        &[0xdf, 0, 0, 0x03, 0xe8],
        &[0x91],
        &[0x81, 0x01],
        &[0xc4, 2, 0],
        &[0xa2, b'x'],
        &[0xcf, 0, 0],
        &[0xc6, 0],
        &[],
    ] {
        assert_eq!(
            broken_bound(Encoding::MsgPack, &packed_frame(params)),
            Some(BoundsError::Truncated),
            "{params:x?}"
        );
    }
}

// ---- whole frames ----

#[test]
fn a_frame_that_ends_early_is_refused_wherever_it_ends() {
    let packed = packed_frame(&packed_map(&[
        ("token", &packed_text("t")),
        ("protocol", &[1]),
    ]));
    for end in 0..packed.len() {
        let cut = &packed[..end];
        assert_eq!(
            broken_bound(Encoding::MsgPack, cut),
            Some(BoundsError::Truncated)
        );
    }
    let text = json_frame(r#"{"token":"t","protocol":1}"#);
    for end in 0..text.len() {
        assert!(ClientFrame::decode(Encoding::Json, &text[..end]).is_err());
    }
}

#[test]
fn bytes_after_a_frame_are_refused() {
    for after in [&[0xc0][..], &[0x00], &[0xc1], &packed_frame(&[0x80])] {
        let frame = [&packed_frame(&[0x80]), after].concat();
        assert_eq!(
            broken_bound(Encoding::MsgPack, &frame),
            Some(BoundsError::Trailing)
        );
        assert!(Encoding::MsgPack.decode::<Value>(&frame).is_err());
    }
    for after in ["{}", "0", "x", ",", "}"] {
        let frame = [&json_frame("{}"), after.as_bytes()].concat();
        assert!(
            ClientFrame::decode(Encoding::Json, &frame).is_err(),
            "{after}"
        );
    }
    let spaced = [b" \n", &json_frame("{}")[..], b"\r\n\t "].concat();
    assert!(ClientFrame::decode(Encoding::Json, &spaced).is_ok());
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

// ---- numbers ----

#[test]
fn a_position_beyond_what_a_store_holds_is_cut_to_the_last_one() {
    assert_eq!(Seq::new(u64::MAX), Seq::MAX);
    assert_eq!(Seq::MAX.next(), Seq::MAX);
    assert_eq!(Seq::new(i64::MAX as u64 - 1).next(), Seq::MAX);
    for (number, expected) in [
        (0, Seq::ZERO),
        (41, Seq::new(41)),
        (i64::MAX as u64, Seq::MAX),
        (i64::MAX as u64 + 1, Seq::MAX),
        (u64::MAX, Seq::MAX),
    ] {
        let hole = serde_json::json!({ "from": number, "to": number });
        for encoding in BOTH {
            let bytes = encoding.encode(&hole).unwrap();
            let read: message::Hole = encoding.decode(&bytes).unwrap();
            assert_eq!((read.from, read.to), (expected, expected), "{number}");
            assert!(i64::try_from(read.to.get()).is_ok());
        }
    }
}

#[test]
fn an_incarnation_is_cut_to_the_bits_that_every_reader_keeps() {
    for (number, expected) in [
        (1 << 52, 1 << 52),
        ((1 << 53) - 1, (1 << 53) - 1),
        (1 << 53, 0),
        ((1 << 53) + 5, 5),
        (u64::MAX, (1 << 53) - 1),
    ] {
        let request = serde_json::json!({ "incarnation": number });
        for encoding in BOTH {
            let bytes = encoding.encode(&request).unwrap();
            let read: sync::HeadsRequest = encoding.decode(&bytes).unwrap();
            assert_eq!(read.incarnation, Some(Incarnation::new(number)));
            assert_eq!(read.incarnation.map(Incarnation::get), Some(expected));
        }
    }
}

#[test]
fn a_position_that_is_no_whole_number_is_refused() {
    for number in ["-1", "1.5", "\"1\"", "18446744073709551616", "1e3", "[1]"] {
        refuse::<message::Hole>(&format!("{{\"from\":1,\"to\":{number}}}"));
        refuse::<sync::HeadsRequest>(&format!("{{\"incarnation\":{number}}}"));
    }
}

// ---- outlines ----

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

// ---- text ----

fn username(encoding: Encoding, bytes: &[u8]) -> Result<String, DecodeError> {
    encoding
        .decode::<account::LookUp>(bytes)
        .map(|r| r.username)
}

#[test]
fn text_that_is_not_utf_8_is_refused() {
    for bad in [
        &b"\xff"[..],
        b"\xc0\x80",
        b"\xed\xa0\x80",
        b"\xf5\x80\x80\x80",
        b"\xc3",
    ] {
        let text = [b"{\"username\":\"", bad, b"\"}"].concat();
        assert!(username(Encoding::Json, &text).is_err(), "{bad:x?}");
        let frame = [
            b"{\"id\":7,\"method\":\"hello\",\"params\":",
            &text[..],
            b"}",
        ]
        .concat();
        let readable = ClientFrame::decode(Encoding::Json, &frame)
            .is_ok_and(|frame| frame.params.decode::<account::LookUp>().is_ok());
        assert!(!readable, "{bad:x?}");
        let frame = [b"{\"id\":7,\"method\":\"", bad, b"\"}"].concat();
        assert!(ClientFrame::decode(Encoding::Json, &frame).is_err());
        let payload = [b"{\"text\":{\"body\":\"", bad, b"\"}}"].concat();
        assert!(Content::from_payload(&payload).is_err());

        let header = 0xa0 + u8::try_from(bad.len()).unwrap();
        let packed = [&[header], bad].concat();
        let params = packed_map(&[("username", &packed)]);
        assert!(username(Encoding::MsgPack, &params).is_err(), "{bad:x?}");
        let frame = packed_frame(&params);
        let read = ClientFrame::decode(Encoding::MsgPack, &frame).unwrap();
        assert!(read.params.decode::<account::LookUp>().is_err());
        let frame = packed_map(&[("id", &[7]), ("method", &packed)]);
        assert!(ClientFrame::decode(Encoding::MsgPack, &frame).is_err());
    }
}

#[test]
fn half_a_surrogate_pair_is_refused_and_a_whole_one_is_read() {
    for half in [
        r"\ud83e",
        r"\udd80",
        r"\udd80\ud83e",
        r"\ud83ex",
        r"\ud83e\n",
        r"\ud83e\u0041",
        r"\ud8",
    ] {
        let text = format!("{{\"username\":\"{half}\"}}");
        assert!(username(Encoding::Json, text.as_bytes()).is_err(), "{half}");
        let payload = format!("{{\"text\":{{\"body\":\"{half}\"}}}}");
        assert!(Content::from_payload(payload.as_bytes()).is_err());
        let payload = format!("{{\"future\":\"{half}\"}}");
        assert!(Content::from_payload(payload.as_bytes()).is_err());
    }
    let crab = username(Encoding::Json, br#"{"username":"\ud83e\udd80"}"#).unwrap();
    assert_eq!(crab, "🦀");
}

#[test]
fn control_characters_are_kept_as_they_are() {
    let kept = "a\0b\u{1b}[31m\u{7f}\r\n\u{2028}\u{feff}\u{202e}z";
    let request = account::LookUp {
        username: kept.to_owned(),
    };
    for encoding in BOTH {
        let bytes = encoding.encode(&request).unwrap();
        assert_eq!(username(encoding, &bytes).unwrap(), kept);
    }
    assert_eq!(
        username(Encoding::Json, br#"{"username":"a\u0000b"}"#).unwrap(),
        "a\0b"
    );
    // JSON has them escaped; raw they are no JSON.
    assert!(username(Encoding::Json, b"{\"username\":\"a\0b\"}").is_err());
}

#[test]
fn a_byte_string_in_json_is_base64url_without_padding() {
    let send = |payload: &str| {
        let id = "019b76da-a800-7001-8000-00000000cc01";
        let text = format!(
            "{{\"conversation\":\"{id}\",\"client_msg_id\":\"{id}\",\"payload\":{payload}}}"
        );
        Encoding::Json.decode::<message::Send>(text.as_bytes())
    };
    let read = send("\"-_8\"").unwrap();
    assert_eq!(read.payload.as_deref(), Some(&[0xfb, 0xff][..]));
    for bad in [
        "\"+/8\"",
        "\"-_8=\"",
        "\"-_9\"",
        "\"-\"",
        "\"- 8\"",
        "[251,255]",
        "7",
    ] {
        assert!(send(bad).is_err(), "{bad}");
    }
}

#[test]
fn an_id_is_sixteen_bytes_and_nothing_else() {
    for length in [0usize, 15, 17, 32, 36] {
        let mut id = vec![0xc4, u8::try_from(length).unwrap()];
        id.resize(2 + length, 1);
        let packed = packed_map(&[("conversation", &id)]);
        let read = Encoding::MsgPack.decode::<conversation::Get>(&packed);
        assert!(read.is_err(), "{length}");
    }
    for id in ["", "7", "019b76da-a800-7001-8000-00000000cc0", "no-id"] {
        let text = format!("{{\"conversation\":\"{id}\"}}");
        let read = Encoding::Json.decode::<conversation::Get>(text.as_bytes());
        assert!(read.is_err(), "{id}");
    }
}

// ---- nulls ----

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

fn refuse<T: DeserializeOwned>(text: &str) {
    let value: Value = serde_json::from_str(text).expect("JSON");
    let packed = Encoding::MsgPack.encode(&value).expect("plain data");
    assert!(
        Encoding::Json.decode::<T>(text.as_bytes()).is_err(),
        "{text}"
    );
    assert!(Encoding::MsgPack.decode::<T>(&packed).is_err(), "{text}");
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

#[test]
fn an_empty_response_is_read_with_whatever_a_newer_server_adds() {
    for text in ["{}", r#"{"more":[1,{"a":null}]}"#] {
        assert!(Encoding::Json.decode::<Done>(text.as_bytes()).is_ok());
    }
    for packed in [packed_map(&[]), packed_map(&[("more", &[0x91, 0xc0])])] {
        assert!(Encoding::MsgPack.decode::<Done>(&packed).is_ok());
    }
}
