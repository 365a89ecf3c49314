//! A record opens in its own row, and in no other.

use proptest::prelude::*;
use ruggine_core::{ConversationId, UserId};
use ruggine_crypto::at_rest::{Envelope, OpenError, RecordContext, Scope};

use super::samples::{contexts, other_rows, plaintexts, ring, row, sealed, stored};

#[test]
fn a_record_opens_in_its_own_row() {
    let envelope = sealed(&row());
    assert_eq!(ring().open(&row(), &envelope), Ok(b"ciao".to_vec()));
    assert_eq!(
        ring().open_json(&row(), &envelope.to_json()),
        Ok(b"ciao".to_vec())
    );
}

#[test]
fn an_empty_record_opens_as_empty() {
    let envelope = ring().seal(&row(), b"").unwrap();
    assert_eq!(envelope.plaintext_len(), 0);
    assert_eq!(ring().open(&row(), &envelope), Ok(Vec::new()));
}

#[test]
fn a_record_moved_to_another_row_does_not_match_its_columns() {
    let envelope = sealed(&row());
    for (column, elsewhere) in other_rows() {
        let answer = ring().open(&elsewhere, &envelope);
        assert_eq!(answer, Err(OpenError::MetaMismatch), "{column}");
    }
}

#[test]
fn a_moved_record_whose_json_was_rewritten_to_match_does_not_open() {
    let original = sealed(&row());
    for (column, elsewhere) in other_rows() {
        let mut forged = stored(&original);
        forged["meta"] = stored(&sealed(&elsewhere))["meta"].take();
        // Another conversation has another key; the other columns are only
        // authenticated.
        let reason = if column == "conversation" {
            OpenError::CommitMismatch
        } else {
            OpenError::TagMismatch
        };
        let answer = ring().open_json(&elsewhere, &forged.to_string());
        assert_eq!(answer, Err(reason), "{column}");
        let answer = ring().open_json(&row(), &forged.to_string());
        assert_eq!(answer, Err(OpenError::MetaMismatch), "{column}, put back");
    }
}

#[test]
fn a_moved_record_in_binary_form_does_not_open_although_it_names_no_columns() {
    let bytes = sealed(&row()).to_bytes();
    for (column, elsewhere) in other_rows() {
        let meta = sealed(&elsewhere).meta().clone();
        let moved = Envelope::from_bytes(&bytes, meta).unwrap();
        let reason = if column == "conversation" {
            OpenError::CommitMismatch
        } else {
            OpenError::TagMismatch
        };
        assert_eq!(ring().open(&elsewhere, &moved), Err(reason), "{column}");
    }
}

#[test]
fn a_record_read_as_another_content_type_is_not_authentic() {
    let envelope = sealed(&row());
    for content_type in ["", "messag", "message ", "reaction"] {
        let context = RecordContext {
            content_type,
            ..row()
        };
        let answer = ring().open(&context, &envelope);
        assert_eq!(answer, Err(OpenError::TagMismatch), "{content_type}");
    }
}

#[test]
fn a_conversation_and_a_user_of_the_same_id_have_different_keys() {
    let nobody = [0; 16];
    let scopes = [
        Scope::Conversation(ConversationId::from_bytes(nobody)),
        Scope::User(UserId::from_bytes(nobody)),
        Scope::Database,
    ];
    for from in scopes {
        let envelope = sealed(&RecordContext {
            scope: from,
            ..row()
        });
        for to in scopes {
            let answer = ring().open(&RecordContext { scope: to, ..row() }, &envelope);
            let expected = if from == to {
                Ok(b"ciao".to_vec())
            } else {
                Err(OpenError::CommitMismatch)
            };
            assert_eq!(answer, expected, "{from:?} as {to:?}");
        }
    }
}

proptest! {
    #[test]
    fn what_is_sealed_opens_from_both_forms(context in contexts(), plaintext in plaintexts()) {
        let ring = ring();
        let envelope = ring.seal(&context, &plaintext).unwrap();
        prop_assert_eq!(envelope.plaintext_len(), plaintext.len());
        prop_assert_eq!(ring.open_json(&context, &envelope.to_json()), Ok(plaintext.clone()));
        let twin = Envelope::from_bytes(&envelope.to_bytes(), envelope.meta().clone()).unwrap();
        prop_assert_eq!(ring.open(&context, &twin), Ok(plaintext));
    }

    #[test]
    fn no_row_opens_the_record_of_another(one in contexts(), other in contexts()) {
        prop_assume!(one != other);
        let ring = ring();
        let of_one = ring.seal(&one, b"ciao").unwrap();
        prop_assert!(ring.open(&other, &of_one).is_err());
        let meta = ring.seal(&other, b"").unwrap().meta().clone();
        let rewritten = Envelope::from_bytes(&of_one.to_bytes(), meta).unwrap();
        prop_assert!(ring.open(&other, &rewritten).is_err());
    }
}
