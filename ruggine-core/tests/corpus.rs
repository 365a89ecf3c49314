//! Replays the fuzzer's corpus as an ordinary test.

use std::fs;
use std::panic;
use std::path::Path;

use ruggine_core::Content;
use ruggine_core::codec::Encoding;
use ruggine_core::frame::{ClientFrame, ServerFrame};

#[path = "../fuzz/fuzz_targets/exercise.rs"]
mod exercise;

/// Names and bytes of the corpus, which is never empty.
fn corpus() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/decode_frame");
    let mut seeds: Vec<_> = fs::read_dir(folder)
        .expect("the corpus is in the fuzz folder")
        .map(|entry| entry.expect("an entry").path())
        .map(|path| {
            let name = path.file_name().expect("a file").to_string_lossy();
            (name.into_owned(), fs::read(&path).expect("a seed"))
        })
        .collect();
    seeds.sort();
    assert!(!seeds.is_empty(), "the corpus is empty");
    seeds
}

#[test]
fn every_seed_of_the_corpus_is_read_without_a_panic() {
    let failed: Vec<_> = corpus()
        .into_iter()
        .filter(|(_, bytes)| panic::catch_unwind(|| exercise::exercise(bytes)).is_err())
        .map(|(name, _)| name)
        .collect();
    assert!(failed.is_empty(), "{failed:?}");
}

/// Seeds written by hand say in their names how they are read; those that the
/// fuzzer found are named by their hash.
#[test]
fn every_seed_is_accepted_or_refused_as_its_name_says() {
    for (name, bytes) in corpus() {
        let client = |encoding| ClientFrame::decode(encoding, &bytes).is_ok();
        let server = |encoding| ServerFrame::decode(encoding, &bytes).is_ok();
        let content = Content::from_payload(&bytes).is_ok();
        let kind = name.split('-').next().unwrap_or_default();
        let read = match kind {
            "client_json" => client(Encoding::Json),
            "client_msgpack" => client(Encoding::MsgPack),
            "server_json" => server(Encoding::Json),
            "server_msgpack" => server(Encoding::MsgPack),
            "content" => content,
            "refused" => {
                let encodings = [Encoding::Json, Encoding::MsgPack];
                !content && !encodings.into_iter().any(|e| client(e) || server(e))
            }
            _ => true,
        };
        assert!(read, "{name}");
    }
}
