//! What envelope v1 promises, seen from outside.
#![cfg(feature = "at-rest")]

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use proptest::prelude::*;
use ruggine_core::{ConversationId, DeviceId, Timestamp, UserId};
use ruggine_crypto::at_rest::{
    ALGORITHM, DuplicateKey, Envelope, KeyId, KeyRing, Malformed, MasterKey, MasterKeyError,
    OVERHEAD, OpenError, Purpose, RECORD_MAX, RecordContext, Scope, SealError,
};
use serde_json::{Value, json};

const PRIMARY: &str = "8f1d3b5c7a9e0f2143658709badcfe1032547698badcfe00112233445566778f";
const LEGACY: &str = "4c0ffee0decafbad1234567890abcdef0f1e2d3c4b5a69788796a5b4c3d2e1f0";

/// The parts of the binary form, by the byte at which each begins.
const ALG_AT: usize = 4;
const KID_AT: usize = 5;
const SALT_AT: usize = 13;
const NONCE_AT: usize = 33;
const COMMIT_AT: usize = 45;
const CIPHERTEXT_AT: usize = 77;

fn key(hex: &str) -> MasterKey {
    MasterKey::from_hex(hex).expect("a good key")
}

fn ring() -> KeyRing {
    KeyRing::new(key(PRIMARY), Vec::new()).expect("one key")
}

fn ring_with_legacy() -> KeyRing {
    KeyRing::new(key(PRIMARY), vec![key(LEGACY)]).expect("two keys")
}

fn row() -> RecordContext {
    RecordContext {
        purpose: Purpose::Message,
        scope: Scope::Conversation(ConversationId::from_bytes([1; 16])),
        record: [2; 16],
        sender: UserId::from_bytes([3; 16]),
        device: DeviceId::from_bytes([4; 16]),
        ts: Timestamp::from_millis(1_753_000_000_000),
        content_type: "message",
    }
}

fn sealed(context: &RecordContext) -> Envelope {
    ring().seal(context, b"ciao").expect("a short record")
}

/// Other rows that differ from [`row`] in one column of those that a record
/// names.
fn other_rows() -> [(&'static str, RecordContext); 6] {
    let row = row();
    [
        (
            "conversation",
            RecordContext {
                scope: Scope::Conversation(ConversationId::from_bytes([9; 16])),
                ..row
            },
        ),
        (
            "message",
            RecordContext {
                record: [9; 16],
                ..row
            },
        ),
        (
            "sender",
            RecordContext {
                sender: UserId::from_bytes([9; 16]),
                ..row
            },
        ),
        (
            "device",
            RecordContext {
                device: DeviceId::from_bytes([9; 16]),
                ..row
            },
        ),
        (
            "time",
            RecordContext {
                ts: Timestamp::from_millis(1_753_000_000_001),
                ..row
            },
        ),
        (
            "purpose",
            RecordContext {
                purpose: Purpose::Profile,
                ..row
            },
        ),
    ]
}

/// The stored JSON as a value to tamper with.
fn stored(envelope: &Envelope) -> Value {
    serde_json::from_str(&envelope.to_json()).expect("JSON")
}

fn field(envelope: &Envelope, name: &str) -> String {
    stored(envelope)[name].as_str().expect("a text").to_owned()
}

fn contexts() -> impl Strategy<Value = RecordContext> {
    let scope = prop_oneof![
        any::<[u8; 16]>().prop_map(|id| Scope::Conversation(ConversationId::from_bytes(id))),
        any::<[u8; 16]>().prop_map(|id| Scope::User(UserId::from_bytes(id))),
        Just(Scope::Database),
    ];
    let purpose = prop_oneof![
        Just(Purpose::Message),
        Just(Purpose::Profile),
        Just(Purpose::KeyCheck),
    ];
    let content_type = proptest::sample::select(vec!["", "message", "profile", "key-check", "più"]);
    let ids = any::<([u8; 16], [u8; 16], [u8; 16])>();
    (purpose, scope, ids, any::<i64>(), content_type).prop_map(
        |(purpose, scope, (record, sender, device), ts, content_type)| RecordContext {
            purpose,
            scope,
            record,
            sender: UserId::from_bytes(sender),
            device: DeviceId::from_bytes(device),
            ts: Timestamp::from_millis(ts),
            content_type,
        },
    )
}

fn plaintexts() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), 0..600)
}

// A record and its row

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

// Damage

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

fn open_bytes(ring: &KeyRing, context: &RecordContext, bytes: &[u8]) -> Result<Vec<u8>, OpenError> {
    let meta = ring
        .seal(context, b"")
        .expect("a short record")
        .meta()
        .clone();
    ring.open(context, &Envelope::from_bytes(bytes, meta)?)
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

// The stored JSON

#[test]
fn the_stored_json_has_the_fields_of_the_format_in_their_order() {
    let envelope = sealed(&row());
    let text = envelope.to_json();
    let value = stored(&envelope);
    let expected = format!(
        concat!(
            r#"{{"v":1,"alg":"A256GCM-HKDF-SHA256-C","kid":"{}","salt":{},"nonce":{},"#,
            r#""commit":{},"ciphertext":{},"meta":{{"purpose":"message","#,
            r#""conv":"01010101-0101-0101-0101-010101010101","#,
            r#""msg":"02020202-0202-0202-0202-020202020202","#,
            r#""sender":"03030303-0303-0303-0303-030303030303","#,
            r#""device":"04040404-0404-0404-0404-040404040404","ts":1753000000000}}}}"#,
        ),
        key(PRIMARY).id(),
        value["salt"],
        value["nonce"],
        value["commit"],
        value["ciphertext"],
    );
    assert_eq!(text, expected);
    assert_eq!(ALGORITHM, "A256GCM-HKDF-SHA256-C");
    for (name, length) in [("salt", 20), ("nonce", 12), ("commit", 32)] {
        let bytes = URL_SAFE_NO_PAD.decode(field(&envelope, name)).unwrap();
        assert_eq!(bytes.len(), length, "{name}");
    }
}

#[test]
fn a_json_text_may_be_laid_out_differently_and_say_the_same() {
    let envelope = sealed(&row());
    let pretty = serde_json::to_string_pretty(&stored(&envelope)).unwrap();
    assert_eq!(Envelope::from_json(&pretty), Ok(envelope));
}

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

#[test]
fn a_field_of_the_wrong_kind_is_malformed() {
    let good = stored(&sealed(&row()));
    let fields: Vec<String> = good.as_object().unwrap().keys().cloned().collect();
    for name in &fields {
        for wrong in [json!(null), json!(7), json!(""), json!([]), json!({})] {
            let mut bad = good.clone();
            bad[name] = wrong.clone();
            let answer = Envelope::from_json(&bad.to_string());
            assert_eq!(answer, Err(Malformed), "{name}: {wrong}");
        }
    }
    for name in ["purpose", "conv", "msg", "sender", "device", "ts"] {
        for wrong in [json!(null), json!(1.5), json!([]), json!({})] {
            let mut bad = good.clone();
            bad["meta"][name] = wrong.clone();
            let answer = Envelope::from_json(&bad.to_string());
            assert_eq!(answer, Err(Malformed), "{name}: {wrong}");
        }
    }
}

#[test]
fn a_missing_field_is_malformed() {
    let good = stored(&sealed(&row()));
    for name in good.as_object().unwrap().keys() {
        let mut bad = good.clone();
        bad.as_object_mut().unwrap().remove(name);
        let answer = Envelope::from_json(&bad.to_string());
        assert_eq!(answer, Err(Malformed), "{name}");
    }
    for name in good["meta"].as_object().unwrap().keys() {
        let mut bad = good.clone();
        bad["meta"].as_object_mut().unwrap().remove(name);
        let answer = Envelope::from_json(&bad.to_string());
        assert_eq!(answer, Err(Malformed), "meta.{name}");
    }
}

#[test]
fn an_unknown_field_is_malformed() {
    let mut bad = stored(&sealed(&row()));
    bad["note"] = json!("hello");
    assert_eq!(Envelope::from_json(&bad.to_string()), Err(Malformed));

    let mut bad = stored(&sealed(&row()));
    bad["meta"]["content_type"] = json!("message");
    assert_eq!(Envelope::from_json(&bad.to_string()), Err(Malformed));
}

#[test]
fn a_field_that_stands_twice_is_malformed() {
    let text = sealed(&row()).to_json();
    for (once, twice) in [
        ("{\"v\":1,", "{\"v\":1,\"v\":1,"),
        ("\"ts\":", "\"ts\":0,\"ts\":"),
    ] {
        assert!(text.contains(once));
        let bad = text.replacen(once, twice, 1);
        assert_eq!(Envelope::from_json(&bad), Err(Malformed), "{twice}");
    }
}

#[test]
fn another_version_is_malformed() {
    for version in [0, 2, 255, 256, -1] {
        let mut bad = stored(&sealed(&row()));
        bad["v"] = json!(version);
        let answer = ring().open_json(&row(), &bad.to_string());
        assert_eq!(answer, Err(OpenError::Malformed), "{version}");
    }
}

#[test]
fn another_algorithm_is_refused_and_none_above_all() {
    for algorithm in [
        "none",
        "None",
        "",
        "A256GCM",
        "A128GCM-HKDF-SHA256-C",
        "a256gcm-hkdf-sha256-c",
        "A256GCM-HKDF-SHA256-C ",
    ] {
        let mut bad = stored(&sealed(&row()));
        bad["alg"] = json!(algorithm);
        let answer = ring().open_json(&row(), &bad.to_string());
        assert_eq!(answer, Err(OpenError::Malformed), "{algorithm}");
        // With the plaintext in the ciphertext's place.
        bad["ciphertext"] = json!(URL_SAFE_NO_PAD.encode(b"ciao, not sealed at all"));
        let answer = ring().open_json(&row(), &bad.to_string());
        assert_eq!(answer, Err(OpenError::Malformed), "{algorithm}");
    }
    let mut bytes = sealed(&row()).to_bytes();
    for algorithm in [0, 2, 255] {
        bytes[ALG_AT] = algorithm;
        let answer = open_bytes(&ring(), &row(), &bytes);
        assert_eq!(answer, Err(OpenError::Malformed), "{algorithm}");
    }
}

#[test]
fn a_salt_nonce_or_commitment_of_another_length_is_malformed() {
    for (name, length) in [("salt", 20), ("nonce", 12), ("commit", 32)] {
        for length in [0, length - 1, length + 1, 16, 64] {
            let mut bad = stored(&sealed(&row()));
            bad[name] = json!(URL_SAFE_NO_PAD.encode(vec![7; length]));
            let answer = Envelope::from_json(&bad.to_string());
            assert_eq!(answer, Err(Malformed), "{name} of {length}");
        }
    }
    for length in 0..16 {
        let mut bad = stored(&sealed(&row()));
        bad["ciphertext"] = json!(URL_SAFE_NO_PAD.encode(vec![7; length]));
        let answer = Envelope::from_json(&bad.to_string());
        assert_eq!(answer, Err(Malformed), "{length} bytes are no tag");
    }
}

#[test]
fn bytes_have_one_spelling_only() {
    let good = stored(&sealed(&row()));
    let salt = [0xfb_u8; 20];
    for wrong in [
        // Padded; of the other alphabet; with bits behind the last byte; broken
        // into lines; in hexadecimal.
        URL_SAFE.encode(salt),
        STANDARD.encode(salt).replace('=', ""),
        format!("{}9", "-_v7".repeat(6) + "-_"),
        format!("{}\n", URL_SAFE_NO_PAD.encode(salt)),
        "fb".repeat(20),
    ] {
        let mut bad = good.clone();
        bad["salt"] = json!(wrong);
        let answer = Envelope::from_json(&bad.to_string());
        assert_eq!(answer, Err(Malformed), "{wrong:?}");
    }
    let mut fine = good;
    fine["salt"] = json!(URL_SAFE_NO_PAD.encode(salt));
    assert!(Envelope::from_json(&fine.to_string()).is_ok());
}

#[test]
fn a_key_id_that_is_not_sixteen_small_hexadecimal_characters_is_malformed() {
    for kid in [
        "",
        "abc",
        "0123456789abcde",
        "0123456789abcdef0",
        "0123456789ABCDEF",
        "0123456789abcdeg",
        "+123456789abcdef",
        "01234567 9abcdef",
        "éééééééé",
    ] {
        let mut bad = stored(&sealed(&row()));
        bad["kid"] = json!(kid);
        assert_eq!(
            Envelope::from_json(&bad.to_string()),
            Err(Malformed),
            "{kid}"
        );
        assert_eq!(KeyId::from_hex(kid), None, "{kid}");
    }
}

// The two forms

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

// Sealing

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

// Keys

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

#[test]
fn a_key_id_follows_from_the_key_and_from_nothing_else() {
    assert_eq!(key(PRIMARY).id(), key(PRIMARY).id());
    assert_eq!(
        key(PRIMARY).id(),
        key(&PRIMARY.to_ascii_uppercase()).id(),
        "capitals spell the same key"
    );
    assert_ne!(key(PRIMARY).id(), key(LEGACY).id());
    assert_eq!(sealed(&row()).kid(), key(PRIMARY).id());
    let spelled = key(PRIMARY).id().to_string();
    assert_eq!(KeyId::from_hex(&spelled), Some(key(PRIMARY).id()));
    assert!(!PRIMARY.contains(&spelled));
}

proptest! {
    #[test]
    fn a_change_of_one_bit_in_the_key_is_another_key(bit in 0..256_usize) {
        let mut bytes: Vec<u8> = (0..64)
            .step_by(2)
            .map(|at| u8::from_str_radix(&PRIMARY[at..at + 2], 16).unwrap())
            .collect();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let changed: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        prop_assert_ne!(key(&changed).id(), key(PRIMARY).id());
    }
}

#[test]
fn a_master_key_is_written_as_it_was_read() {
    assert_eq!(*key(PRIMARY).to_hex(), PRIMARY);
    let fresh = MasterKey::generate();
    assert_eq!(key(&fresh.to_hex()).id(), fresh.id());
    assert_ne!(fresh.id(), MasterKey::generate().id());
}

#[test]
fn a_master_key_of_another_length_is_refused() {
    for (text, length) in [
        (String::new(), 0),
        (PRIMARY[1..].to_owned(), 63),
        (format!("{PRIMARY}0"), 65),
        (format!("{PRIMARY}\n"), 65),
        (format!(" {PRIMARY}"), 65),
        (PRIMARY[..32].to_owned(), 32),
        (PRIMARY.repeat(2), 128),
    ] {
        let refusal = MasterKey::from_hex(&text).unwrap_err();
        assert_eq!(refusal, MasterKeyError::Length(length));
    }
}

#[test]
fn a_master_key_that_is_not_hexadecimal_is_refused() {
    for bad in ['g', 'G', 'x', ' ', '-', '+', '\0', '/', ':', '@', '`'] {
        for at in [0, 1, 31, 62, 63] {
            let mut text = PRIMARY.to_owned();
            text.replace_range(at..=at, bad.encode_utf8(&mut [0; 4]));
            let refusal = MasterKey::from_hex(&text).unwrap_err();
            assert_eq!(refusal, MasterKeyError::NotHex, "{bad:?} at {at}");
        }
    }
    let prefixed = format!("0x{}", &PRIMARY[2..]);
    assert_eq!(
        MasterKey::from_hex(&prefixed).unwrap_err(),
        MasterKeyError::NotHex
    );
}

#[test]
fn a_master_key_in_other_characters_than_ascii_is_refused() {
    for text in [
        "é".repeat(32),
        "é".repeat(64),
        "０".repeat(64),
        format!("{}é", &PRIMARY[..62]),
        format!("{}é", &PRIMARY[..63]),
        "🔑".repeat(16),
    ] {
        assert!(MasterKey::from_hex(&text).is_err(), "{text}");
    }
}

#[test]
fn a_master_key_of_equal_bytes_is_refused() {
    for byte in 0..=255_u8 {
        let text = format!("{byte:02x}").repeat(32);
        let refusal = MasterKey::from_hex(&text).unwrap_err();
        assert_eq!(refusal, MasterKeyError::AllEqual, "{byte}");
    }
}

#[test]
fn the_sample_master_key_is_refused_in_small_letters_and_capitals() {
    let sample = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    let mixed = sample.replace('a', "A").replace('e', "E");
    for text in [sample, &sample.to_ascii_uppercase(), &mixed] {
        let refusal = MasterKey::from_hex(text).unwrap_err();
        assert_eq!(refusal, MasterKeyError::Sample, "{text}");
    }
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
