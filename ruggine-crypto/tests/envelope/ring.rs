//! The keys of a ring: the primary seals, the legacy ones open, no other does.

use ruggine_crypto::at_rest::{DuplicateKey, KeyRing, MasterKey, OpenError};
use serde_json::json;

use super::samples::{LEGACY, PRIMARY, key, other_rows, ring_with_legacy, row, sealed, stored};

#[test]
fn a_record_of_a_key_that_the_ring_does_not_hold_names_an_unknown_key() {
    let stranger = KeyRing::new(MasterKey::generate(), Vec::new()).unwrap();
    let answer = stranger.open(&row(), &sealed(&row()));
    assert_eq!(answer, Err(OpenError::UnknownKid));
}

#[test]
fn an_unknown_key_is_told_before_a_row_that_does_not_match() {
    let stranger = KeyRing::new(MasterKey::generate(), Vec::new()).unwrap();
    for (column, elsewhere) in other_rows() {
        let answer = stranger.open(&elsewhere, &sealed(&row()));
        assert_eq!(answer, Err(OpenError::UnknownKid), "{column}");
    }
}

#[test]
fn a_legacy_key_opens_and_the_primary_key_seals() {
    let old = KeyRing::new(key(LEGACY), Vec::new()).unwrap();
    let before = old.seal(&row(), b"before").unwrap();

    let ring = ring_with_legacy();
    assert_eq!(ring.open(&row(), &before), Ok(b"before".to_vec()));
    let after = ring.seal(&row(), b"after").unwrap();
    assert_eq!(after.kid(), key(PRIMARY).id());
    assert_eq!(ring.primary(), key(PRIMARY).id());
    assert_eq!(ring.open(&row(), &after), Ok(b"after".to_vec()));
    assert_eq!(old.open(&row(), &after), Err(OpenError::UnknownKid));
    assert_eq!(
        ring.ids().collect::<Vec<_>>(),
        [key(PRIMARY).id(), key(LEGACY).id()]
    );
}

#[test]
fn a_record_that_names_another_key_of_the_ring_does_not_open_under_it() {
    let ring = ring_with_legacy();
    let envelope = ring.seal(&row(), b"ciao").unwrap();
    let mut forged = stored(&envelope);
    forged["kid"] = json!(key(LEGACY).id().to_string());
    let answer = ring.open_json(&row(), &forged.to_string());
    assert_eq!(answer, Err(OpenError::CommitMismatch));
}

#[test]
fn a_record_can_be_sealed_under_any_key_of_the_ring_and_no_other() {
    let ring = ring_with_legacy();
    for id in ring.ids() {
        let envelope = ring.seal_under(id, &row(), b"ciao").unwrap().unwrap();
        assert_eq!(envelope.kid(), id);
        assert_eq!(ring.open(&row(), &envelope), Ok(b"ciao".to_vec()));
    }
    let stranger = MasterKey::generate().id();
    assert!(
        ring.seal_under(stranger, &row(), b"ciao")
            .unwrap()
            .is_none()
    );
}

#[test]
fn a_key_named_twice_is_refused() {
    let twice = KeyRing::new(key(PRIMARY), vec![key(LEGACY), key(PRIMARY)]);
    assert_eq!(twice.unwrap_err(), DuplicateKey(key(PRIMARY).id()));
    let twice = KeyRing::new(key(PRIMARY), vec![key(LEGACY), key(LEGACY)]);
    assert_eq!(twice.unwrap_err(), DuplicateKey(key(LEGACY).id()));
    let twice = KeyRing::new(key(PRIMARY), vec![key(&PRIMARY.to_ascii_uppercase())]);
    assert_eq!(twice.unwrap_err(), DuplicateKey(key(PRIMARY).id()));
}
