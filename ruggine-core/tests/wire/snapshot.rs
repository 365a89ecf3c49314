//! How a snapshot is written, and where it is kept.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use ruggine_core::codec::Encoding;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Lower-case hex, 32 bytes on a line.
fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2 + bytes.len() / 32);
    for line in bytes.chunks(32) {
        if !text.is_empty() {
            text.push('\n');
        }
        for byte in line {
            write!(text, "{byte:02x}").expect("a string takes all");
        }
    }
    text
}

pub(crate) fn section(out: &mut String, title: &str, json: &[u8], msgpack: &[u8]) {
    let json = std::str::from_utf8(json).expect("JSON is UTF-8");
    let count = msgpack.len();
    let msgpack = hex(msgpack);
    let break_ = if out.is_empty() { "" } else { "\n\n" };
    write!(
        out,
        "{break_}## {title}\n\n{json}\n\n{count} bytes\n{msgpack}"
    )
    .expect("a string takes all");
}

pub(crate) fn encode<T: Serialize>(value: &T) -> (Vec<u8>, Vec<u8>) {
    let [json, msgpack] = [Encoding::Json, Encoding::MsgPack]
        .map(|encoding| encoding.encode(value).expect("plain data").to_vec());
    (json, msgpack)
}

/// Writes the value in both encodings, and checks that what is written is
/// read as the same value again.
pub(crate) fn both<T: Serialize + DeserializeOwned>(out: &mut String, title: &str, value: &T) {
    let written = encode(value);
    let from_json: T = Encoding::Json.decode(&written.0).expect("own JSON");
    let from_msgpack: T = Encoding::MsgPack
        .decode(&written.1)
        .expect("own MessagePack");
    assert_eq!(encode(&from_json), written, "{title}, through JSON");
    assert_eq!(
        encode(&from_msgpack),
        written,
        "{title}, through MessagePack"
    );
    section(out, title, &written.0, &written.1);
}

pub(crate) fn frame<T: Serialize>(out: &mut String, title: &str, frame: &T) {
    let (json, msgpack) = encode(frame);
    section(out, title, &json, &msgpack);
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wire/snapshots")
}

/// Names of the snapshots in the folder that begin with `prefix`.
pub(crate) fn stored(prefix: &str) -> BTreeSet<String> {
    std::fs::read_dir(folder())
        .expect("the snapshots are beside this file")
        .map(|entry| entry.expect("an entry").file_name())
        .filter_map(|name| Some(name.to_str()?.strip_suffix(".snap")?.to_owned()))
        .filter(|name| name.starts_with(prefix))
        .collect()
}

pub(crate) fn check(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}
