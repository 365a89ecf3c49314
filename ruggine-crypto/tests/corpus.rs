//! Replays the fuzzer's corpus as an ordinary test.
#![cfg(feature = "delivery")]

use std::fs;
use std::panic;
use std::path::Path;

#[path = "../fuzz/fuzz_targets/exercise.rs"]
mod exercise;

/// Names and bytes of the corpus, which is never empty.
fn corpus() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/read_strangers");
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

/// Seeds written by hand begin with the number of their kind and are named by
/// it; those that hold for a time only, or for one group, are refused.
#[test]
fn every_seed_is_accepted_or_refused_as_its_name_says() {
    for (name, bytes) in corpus() {
        let accepted = exercise::exercise(&bytes);
        let kind = name.split('-').next().unwrap_or_default();
        if exercise::KINDS.contains(&kind) {
            assert!(accepted, "{name}");
        } else if kind == "refused" {
            assert!(!accepted, "{name}");
        }
    }
}
