//! Keys, rows and records to seal, to open and to tamper with.

use proptest::prelude::*;
use ruggine_core::{ConversationId, DeviceId, Timestamp, UserId};
use ruggine_crypto::at_rest::{
    Envelope, KeyRing, MasterKey, OpenError, Purpose, RecordContext, Scope,
};
use serde_json::Value;

pub(crate) const PRIMARY: &str = "8f1d3b5c7a9e0f2143658709badcfe1032547698badcfe00112233445566778f";
pub(crate) const LEGACY: &str = "4c0ffee0decafbad1234567890abcdef0f1e2d3c4b5a69788796a5b4c3d2e1f0";

/// The parts of the binary form, by the byte at which each begins.
pub(crate) const ALG_AT: usize = 4;
pub(crate) const KID_AT: usize = 5;
pub(crate) const SALT_AT: usize = 13;
pub(crate) const NONCE_AT: usize = 33;
pub(crate) const COMMIT_AT: usize = 45;
pub(crate) const CIPHERTEXT_AT: usize = 77;

pub(crate) fn key(hex: &str) -> MasterKey {
    MasterKey::from_hex(hex).expect("a good key")
}

pub(crate) fn ring() -> KeyRing {
    KeyRing::new(key(PRIMARY), Vec::new()).expect("one key")
}

pub(crate) fn ring_with_legacy() -> KeyRing {
    KeyRing::new(key(PRIMARY), vec![key(LEGACY)]).expect("two keys")
}

pub(crate) fn row() -> RecordContext {
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

pub(crate) fn sealed(context: &RecordContext) -> Envelope {
    ring().seal(context, b"ciao").expect("a short record")
}

/// Other rows that differ from [`row`] in one column of those that a record
/// names.
pub(crate) fn other_rows() -> [(&'static str, RecordContext); 6] {
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
pub(crate) fn stored(envelope: &Envelope) -> Value {
    serde_json::from_str(&envelope.to_json()).expect("JSON")
}

pub(crate) fn field(envelope: &Envelope, name: &str) -> String {
    stored(envelope)[name].as_str().expect("a text").to_owned()
}

pub(crate) fn contexts() -> impl Strategy<Value = RecordContext> {
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

pub(crate) fn plaintexts() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), 0..600)
}

pub(crate) fn open_bytes(
    ring: &KeyRing,
    context: &RecordContext,
    bytes: &[u8],
) -> Result<Vec<u8>, OpenError> {
    let meta = ring
        .seal(context, b"")
        .expect("a short record")
        .meta()
        .clone();
    ring.open(context, &Envelope::from_bytes(bytes, meta)?)
}
