//! No bytes cause a panic.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use ruggine_core::frame::{RequestFrame, ResultFrame};

use super::survival::encode;
use super::values::{event, page, send, unknown_data};
use super::{BOTH, config};

#[path = "../../fuzz/fuzz_targets/exercise.rs"]
mod exercise;

proptest! {
    #![proptest_config(config())]

    #[test]
    fn bytes_of_any_kind_never_cause_a_panic(bytes in vec(any::<u8>(), 0..600)) {
        exercise::exercise(&bytes);
    }

    #[test]
    fn text_that_looks_like_a_frame_never_causes_a_panic(
        words in vec(select(WORDS), 0..40), data in unknown_data(),
    ) {
        exercise::exercise(words.concat().as_bytes());
        let text = format!("{{\"id\":1,\"method\":\"message.send\",\"params\":{data}}}");
        exercise::exercise(text.as_bytes());
        let text = format!("{{\"event\":\"message\",\"data\":{data}}}");
        exercise::exercise(text.as_bytes());
    }

    #[test]
    fn a_damaged_frame_never_causes_a_panic(
        send in send(), page in page(), event in event(), at: prop::sample::Index,
        byte: u8, cut: prop::sample::Index,
    ) {
        for encoding in BOTH {
            let request = RequestFrame {
                id: 1, method: "message.send", params: &send, write_counter: Some(2),
            };
            let frames = [
                encode(encoding, &request),
                encode(encoding, &ResultFrame { id: 1, result: &page }),
                event.encode(encoding).unwrap().to_vec(),
            ];
            for mut bytes in frames {
                exercise::exercise(&bytes);
                let length = bytes.len();
                bytes[at.index(length)] = byte;
                exercise::exercise(&bytes);
                exercise::exercise(&bytes[..cut.index(length)]);
            }
        }
    }
}

const WORDS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\"",
    "\\",
    "\\u0000",
    "\\ud800",
    "null",
    "true",
    "1",
    "-0",
    "1e400",
    "1e15",
    "0.1",
    " ",
    "\"id\"",
    "\"method\"",
    "\"params\"",
    "\"hello\"",
    "\"result\"",
    "\"error\"",
    "\"event\"",
    "\"data\"",
    "\"presence\"",
    "\"row\"",
    "\"text\"",
    "\"body\"",
    "{}",
    "{\"id\":1,",
    "\"method\":\"session.list\",",
];
