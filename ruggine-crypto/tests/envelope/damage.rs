//! A record that was changed or cut, and the reason for which it does not open.

use proptest::prelude::*;
use ruggine_crypto::at_rest::{Envelope, Malformed, OVERHEAD, OpenError};

use super::samples::{
    CIPHERTEXT_AT, COMMIT_AT, KID_AT, NONCE_AT, SALT_AT, contexts, open_bytes, plaintexts, ring,
    ring_with_legacy, row, sealed,
};

/// The reason for which a record with a change at this byte does not open.
fn reason_of_damage_at(byte: usize) -> OpenError {
    match byte {
        0..KID_AT => OpenError::Malformed,
        KID_AT..SALT_AT => OpenError::UnknownKid,
        SALT_AT..NONCE_AT => OpenError::CommitMismatch,
        NONCE_AT..COMMIT_AT => OpenError::TagMismatch,
        COMMIT_AT..CIPHERTEXT_AT => OpenError::CommitMismatch,
        CIPHERTEXT_AT.. => OpenError::TagMismatch,
    }
}

#[test]
fn every_single_flipped_bit_has_its_typed_reason() {
    let ring = ring_with_legacy();
    let good = ring.seal(&row(), b"ciao").unwrap().to_bytes();
    for bit in 0..good.len() * 8 {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        let answer = open_bytes(&ring, &row(), &bad);
        assert_eq!(answer, Err(reason_of_damage_at(bit / 8)), "bit {bit}");
    }
}

proptest! {
    #[test]
    fn a_changed_byte_in_any_record_has_its_typed_reason(
        context in contexts(),
        plaintext in plaintexts(),
        at in any::<proptest::sample::Index>(),
        change in 1u8..,
    ) {
        let ring = ring();
        let mut bytes = ring.seal(&context, &plaintext).unwrap().to_bytes();
        let at = at.index(bytes.len());
        bytes[at] ^= change;
        prop_assert_eq!(open_bytes(&ring, &context, &bytes), Err(reason_of_damage_at(at)));
    }

    #[test]
    fn a_changed_json_text_never_opens_as_another_plaintext(
        plaintext in plaintexts(),
        at in any::<proptest::sample::Index>(),
        to in 0x20u8..0x7f,
    ) {
        let ring = ring();
        let mut text = ring.seal(&row(), &plaintext).unwrap().to_json();
        let at = at.index(text.len());
        text.replace_range(at..=at, std::str::from_utf8(&[to]).unwrap());
        // An id in capitals is the same id, so a changed text may still open.
        if let Ok(opened) = ring.open_json(&row(), &text) {
            prop_assert_eq!(opened, plaintext);
        }
    }

    #[test]
    fn parts_of_two_records_do_not_make_a_third(
        plaintext in plaintexts(),
        swapped in proptest::sample::select(vec![
            SALT_AT..NONCE_AT,
            NONCE_AT..COMMIT_AT,
            COMMIT_AT..CIPHERTEXT_AT,
            SALT_AT..COMMIT_AT,
            SALT_AT..CIPHERTEXT_AT,
            CIPHERTEXT_AT..CIPHERTEXT_AT + 16,
        ]),
    ) {
        let ring = ring();
        let mut one = ring.seal(&row(), &plaintext).unwrap().to_bytes();
        let other = ring.seal(&row(), &plaintext).unwrap().to_bytes();
        one[swapped.clone()].copy_from_slice(&other[swapped]);
        let reason = open_bytes(&ring, &row(), &one).unwrap_err();
        prop_assert!(matches!(reason, OpenError::CommitMismatch | OpenError::TagMismatch));
    }
}

#[test]
fn a_truncated_record_is_malformed_or_not_authentic() {
    let ring = ring();
    let bytes = ring.seal(&row(), b"ciao").unwrap().to_bytes();
    for length in 0..bytes.len() {
        let reason = if length < OVERHEAD {
            OpenError::Malformed
        } else {
            OpenError::TagMismatch
        };
        let answer = open_bytes(&ring, &row(), &bytes[..length]);
        assert_eq!(answer, Err(reason), "{length} bytes");
    }
    let longer = [bytes.as_slice(), &[0]].concat();
    assert_eq!(
        open_bytes(&ring, &row(), &longer),
        Err(OpenError::TagMismatch)
    );
}

#[test]
fn a_truncated_json_text_is_malformed() {
    let text = sealed(&row()).to_json();
    for length in 0..text.len() {
        assert_eq!(Envelope::from_json(&text[..length]), Err(Malformed));
    }
    assert_eq!(Envelope::from_json(&format!("{text} x")), Err(Malformed));
}

#[test]
fn the_reasons_have_the_names_that_are_logged() {
    let names = [
        (OpenError::Malformed, "malformed"),
        (OpenError::UnknownKid, "unknown_kid"),
        (OpenError::MetaMismatch, "meta_mismatch"),
        (OpenError::CommitMismatch, "commit_mismatch"),
        (OpenError::TagMismatch, "tag_mismatch"),
    ];
    for (reason, name) in names {
        assert_eq!(reason.to_string(), name);
    }
}
