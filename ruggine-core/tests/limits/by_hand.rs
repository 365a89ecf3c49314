//! Frames made by hand, and whether and why they are refused.

use ruggine_core::codec::{BoundsError, DecodeError, Encoding, FrameError};
use ruggine_core::frame::{ClientFrame, ServerFrame};
use serde::de::DeserializeOwned;
use serde_json::Value;

pub(crate) fn json_frame(params: &str) -> Vec<u8> {
    format!(r#"{{"id":7,"method":"hello","params":{params}}}"#).into_bytes()
}

pub(crate) fn nested_json(levels: usize) -> String {
    "[".repeat(levels) + &"]".repeat(levels)
}

pub(crate) fn nested_packed(levels: usize) -> Vec<u8> {
    let mut bytes = vec![0x91; levels - 1];
    bytes.push(0x90);
    bytes
}

pub(crate) fn json_array(elements: usize) -> String {
    format!("[{}]", vec!["0"; elements].join(","))
}

pub(crate) fn json_object(entries: usize) -> String {
    let entries: Vec<_> = (0..entries).map(|n| format!("\"{n}\":0")).collect();
    format!("{{{}}}", entries.join(","))
}

pub(crate) fn packed_text(text: &str) -> Vec<u8> {
    Encoding::MsgPack.encode(text).expect("text").to_vec()
}

/// A map of entries whose values are MessagePack already.
pub(crate) fn packed_map(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut bytes = vec![0x80 + u8::try_from(entries.len()).expect("a few entries")];
    for (key, value) in entries {
        bytes.extend(packed_text(key));
        bytes.extend(*value);
    }
    bytes
}

pub(crate) fn packed_frame(params: &[u8]) -> Vec<u8> {
    let method = packed_text("hello");
    packed_map(&[("id", &[7]), ("method", &method), ("params", params)])
}

pub(crate) fn packed_array(elements: u16) -> Vec<u8> {
    let [high, low] = elements.to_be_bytes();
    let mut bytes = vec![0xdc, high, low];
    bytes.resize(3 + usize::from(elements), 0);
    bytes
}

pub(crate) fn packed_object(entries: u16) -> Vec<u8> {
    let [high, low] = entries.to_be_bytes();
    let mut bytes = vec![0xde, high, low];
    for entry in 0..entries {
        bytes.extend(packed_text(&entry.to_string()));
        bytes.push(0);
    }
    bytes
}

/// The bound that a client's frame breaks.
pub(crate) fn broken_bound(encoding: Encoding, frame: &[u8]) -> Option<BoundsError> {
    bound_of(ClientFrame::decode(encoding, frame).map(drop))
}

/// The bound that a server's frame breaks.
pub(crate) fn broken_server_bound(encoding: Encoding, frame: &[u8]) -> Option<BoundsError> {
    bound_of(ServerFrame::decode(encoding, frame).map(drop))
}

fn bound_of(result: Result<(), FrameError>) -> Option<BoundsError> {
    match result.err()?.reason {
        DecodeError::Bounds(bound) => Some(bound),
        _ => None,
    }
}

pub(crate) fn refuse<T: DeserializeOwned>(text: &str) {
    let value: Value = serde_json::from_str(text).expect("JSON");
    let packed = Encoding::MsgPack.encode(&value).expect("plain data");
    assert!(
        Encoding::Json.decode::<T>(text.as_bytes()).is_err(),
        "{text}"
    );
    assert!(Encoding::MsgPack.decode::<T>(&packed).is_err(), "{text}");
}
