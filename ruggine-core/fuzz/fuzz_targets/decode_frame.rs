//! `cargo +nightly fuzz run decode_frame`, from the folder of ruggine-core.

#![no_main]

mod exercise;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| exercise::exercise(bytes));
