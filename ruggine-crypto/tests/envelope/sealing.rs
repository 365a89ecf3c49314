//! Sealing: random, unreadable, bounded, for any number of scopes and threads.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ruggine_core::ConversationId;
use ruggine_crypto::at_rest::{Envelope, RECORD_MAX, RecordContext, Scope, SealError};

use super::samples::{field, ring, row};

#[test]
fn two_seals_of_one_plaintext_have_nothing_random_in_common() {
    let ring = ring();
    let one = ring.seal(&row(), b"the same words").unwrap();
    let other = ring.seal(&row(), b"the same words").unwrap();
    for name in ["salt", "nonce", "commit", "ciphertext"] {
        assert_ne!(field(&one, name), field(&other, name), "{name}");
    }
    assert_eq!(one.kid(), other.kid());
    assert_eq!(one.meta(), other.meta());
}

#[test]
fn neither_form_shows_the_plaintext() {
    let secret = b"nobody reads this in a dump";
    let envelope = ring().seal(&row(), secret).unwrap();
    assert!(
        !envelope
            .to_bytes()
            .windows(8)
            .any(|part| part == &secret[..8])
    );
    let text = envelope.to_json();
    assert!(!text.contains("nobody"));
    assert!(!text.contains(&URL_SAFE_NO_PAD.encode(&secret[..24])));
}

#[test]
fn a_record_longer_than_the_bound_is_not_sealed() {
    let long = vec![0; RECORD_MAX + 1];
    let answer = ring().seal(&row(), &long);
    assert!(matches!(answer, Err(SealError::TooLarge(length)) if length == RECORD_MAX + 1));
    let id = ring().primary();
    let answer = ring().seal_under(id, &row(), &long);
    assert!(matches!(answer, Err(SealError::TooLarge(_))));
}

#[test]
fn a_ring_opens_the_records_of_more_scopes_than_it_remembers() {
    let ring = ring();
    let rows: Vec<RecordContext> = (0..5000_u128)
        .map(|number| RecordContext {
            scope: Scope::Conversation(ConversationId::from_bytes(number.to_be_bytes())),
            ..row()
        })
        .collect();
    let records: Vec<Envelope> = rows
        .iter()
        .map(|row| ring.seal(row, b"ciao").unwrap())
        .collect();
    for (row, record) in rows.iter().zip(&records) {
        assert_eq!(ring.open(row, record), Ok(b"ciao".to_vec()));
    }
}

#[test]
fn a_ring_is_shared_by_threads() {
    let ring = ring();
    std::thread::scope(|threads| {
        for number in 0..4_u8 {
            let ring = &ring;
            threads.spawn(move || {
                for _ in 0..200 {
                    let envelope = ring.seal(&row(), &[number]).unwrap();
                    assert_eq!(ring.open(&row(), &envelope), Ok(vec![number]));
                }
            });
        }
    });
}
