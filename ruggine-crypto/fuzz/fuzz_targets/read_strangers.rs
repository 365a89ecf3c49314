//! `cargo +nightly fuzz run read_strangers`, from the folder of ruggine-crypto.

#![no_main]

mod exercise;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| exercise::exercise(bytes));
