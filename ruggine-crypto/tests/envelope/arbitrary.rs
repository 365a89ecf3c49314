//! Texts and bytes that are no envelope.

use proptest::prelude::*;
use ruggine_crypto::at_rest::{Envelope, Malformed, OVERHEAD, OpenError};
use serde_json::Value;

use super::samples::{open_bytes, ring, row, sealed};

#[test]
fn texts_that_are_no_envelope_are_malformed() {
    for text in [
        "",
        " ",
        "ciao",
        "null",
        "true",
        "1",
        "\"\"",
        "[]",
        "{}",
        "[{}]",
        r#"{"v":1}"#,
        r#"{"v":1,"alg":"A256GCM-HKDF-SHA256-C","kid":"0000000000000000"}"#,
        "RGE\u{1}\u{1}",
        "{\"v\":1",
        "\u{feff}{}",
    ] {
        assert_eq!(Envelope::from_json(text), Err(Malformed), "{text}");
        let answer = ring().open_json(&row(), text);
        assert_eq!(answer, Err(OpenError::Malformed), "{text}");
    }
    let deep = "[".repeat(100_000);
    assert_eq!(Envelope::from_json(&deep), Err(Malformed));
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,24}".prop_map(Value::from),
    ];
    let name = || {
        prop_oneof![
            proptest::sample::select(vec![
                "v",
                "alg",
                "kid",
                "salt",
                "nonce",
                "commit",
                "ciphertext",
                "meta"
            ])
            .prop_map(str::to_owned),
            ".{0,6}",
        ]
    };
    leaf.prop_recursive(4, 64, 8, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            proptest::collection::hash_map(name(), inner, 0..9)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn arbitrary_texts_are_malformed(text in any::<String>()) {
        prop_assert_eq!(Envelope::from_json(&text), Err(Malformed));
    }

    #[test]
    fn arbitrary_json_is_malformed(value in any_json()) {
        prop_assert_eq!(Envelope::from_json(&value.to_string()), Err(Malformed));
    }

    #[test]
    fn arbitrary_bytes_are_malformed(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assume!(!bytes.starts_with(b"RGE\x01\x01"));
        let meta = sealed(&row()).meta().clone();
        prop_assert_eq!(Envelope::from_bytes(&bytes, meta), Err(Malformed));
    }

    #[test]
    fn arbitrary_bytes_after_the_magic_never_open(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let bytes = [b"RGE\x01\x01", bytes.as_slice()].concat();
        let reason = if bytes.len() < OVERHEAD {
            OpenError::Malformed
        } else {
            OpenError::UnknownKid
        };
        prop_assert_eq!(open_bytes(&ring(), &row(), &bytes), Err(reason));
    }
}
