//! The two forms, JSON and binary, and that they say the same.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;
use ruggine_crypto::at_rest::{Envelope, OVERHEAD};

use super::samples::{
    CIPHERTEXT_AT, COMMIT_AT, KID_AT, NONCE_AT, SALT_AT, contexts, field, plaintexts, ring, row,
    sealed,
};

proptest! {
    #[test]
    fn the_json_and_the_binary_form_say_the_same_without_loss(
        context in contexts(),
        plaintext in plaintexts(),
    ) {
        let envelope = ring().seal(&context, &plaintext).unwrap();
        let from_json = Envelope::from_json(&envelope.to_json()).unwrap();
        prop_assert_eq!(&from_json, &envelope);
        prop_assert_eq!(from_json.to_json(), envelope.to_json());

        let bytes = envelope.to_bytes();
        let from_bytes = Envelope::from_bytes(&bytes, envelope.meta().clone()).unwrap();
        prop_assert_eq!(&from_bytes, &envelope);
        prop_assert_eq!(from_bytes.to_bytes(), bytes);
        prop_assert_eq!(from_bytes.to_json(), envelope.to_json());
    }

    #[test]
    fn the_binary_form_is_ninety_three_bytes_longer_than_the_plaintext(plaintext in plaintexts()) {
        prop_assert_eq!(OVERHEAD, 93);
        let bytes = ring().seal(&row(), &plaintext).unwrap().to_bytes();
        prop_assert_eq!(bytes.len(), plaintext.len() + 93);
    }
}

#[test]
fn the_binary_form_has_each_part_at_its_place() {
    let envelope = sealed(&row());
    let bytes = envelope.to_bytes();
    assert_eq!(bytes[..KID_AT], *b"RGE\x01\x01");
    assert_eq!(bytes[KID_AT..SALT_AT], *envelope.kid().as_bytes());
    for (name, range) in [
        ("salt", SALT_AT..NONCE_AT),
        ("nonce", NONCE_AT..COMMIT_AT),
        ("commit", COMMIT_AT..CIPHERTEXT_AT),
        ("ciphertext", CIPHERTEXT_AT..bytes.len()),
    ] {
        let text = URL_SAFE_NO_PAD.encode(&bytes[range]);
        assert_eq!(text, field(&envelope, name), "{name}");
    }
}
