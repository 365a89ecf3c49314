//! Envelope v1 as it was computed once, by another program: what is stored
//! today must open for ever. `vectors/envelope_v1.py` says how.

use proptest::prelude::*;
use ruggine_core::{ConversationId, DeviceId, Timestamp, UserId};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::primitive_vectors::unhex;
use super::{Envelope, KeyId, KeyRing, MasterKey, OVERHEAD, Purpose, RecordContext, Scope};
use crate::kdf::Prk;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    master_key: String,
    legacy: bool,
    scope: String,
    scope_id: String,
    purpose: String,
    record: String,
    sender: String,
    device: String,
    ts: i64,
    content_type: String,
    salt: String,
    nonce: String,
    plaintext: Plaintext,
    kid: String,
    scope_key: String,
    record_key: String,
    commit: String,
    associated_data: String,
    binary_sha256: String,
    json_sha256: String,
    binary: Option<String>,
    json: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Plaintext {
    Utf8(String),
    Repeat { unit: String, length: usize },
}

impl Case {
    fn all() -> Vec<Self> {
        serde_json::from_str(include_str!("../../vectors/envelope-v1.json")).unwrap()
    }

    fn context(&self) -> RecordContext {
        let scope = match self.scope.as_str() {
            "conversation" => Scope::Conversation(self.scope_id.parse().unwrap()),
            "user" => Scope::User(self.scope_id.parse().unwrap()),
            "database" => Scope::Database,
            other => panic!("no scope: {other}"),
        };
        let purpose = [Purpose::Message, Purpose::Profile, Purpose::KeyCheck]
            .into_iter()
            .find(|purpose| purpose.as_str() == self.purpose)
            .unwrap();
        RecordContext {
            purpose,
            scope,
            record: *self.record.parse::<UserId>().unwrap().as_bytes(),
            sender: self.sender.parse().unwrap(),
            device: self.device.parse().unwrap(),
            ts: Timestamp::from_millis(self.ts),
            content_type: self.content_type.clone().leak(),
        }
    }

    fn plaintext(&self) -> Vec<u8> {
        match &self.plaintext {
            Plaintext::Utf8(text) => text.clone().into_bytes(),
            Plaintext::Repeat { unit, length } => {
                unhex(unit).into_iter().cycle().take(*length).collect()
            }
        }
    }

    fn key(&self) -> MasterKey {
        MasterKey::from_hex(&self.master_key).unwrap()
    }

    /// A ring whose primary key is another one when this key is a legacy one.
    fn ring(&self) -> KeyRing {
        if self.legacy {
            KeyRing::new(MasterKey::generate(), vec![self.key()]).unwrap()
        } else {
            KeyRing::new(self.key(), Vec::new()).unwrap()
        }
    }

    fn seal(&self) -> Envelope {
        let entropy = [unhex(&self.salt), unhex(&self.nonce)].concat();
        self.ring()
            .seal_with(
                self.key().id(),
                &self.context(),
                &self.plaintext(),
                &entropy.try_into().unwrap(),
            )
            .unwrap()
    }
}

fn hex_sha256(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn the_frozen_records_are_of_every_scope_and_kind() {
    let cases = Case::all();
    assert!(cases.len() >= 9, "only {} records", cases.len());
    let some = |what: fn(&Case) -> bool| assert!(cases.iter().any(what));
    for scope in ["conversation", "user", "database"] {
        assert!(cases.iter().any(|case| case.scope == scope), "{scope}");
    }
    some(|case| case.legacy);
    some(|case| case.ts < 0);
    some(|case| case.plaintext().is_empty());
    some(|case| case.plaintext().len() == 40 * 1024);
    some(|case| !case.plaintext().is_ascii());
    let written_out = |case: &&Case| case.binary.is_some() && case.json.is_some();
    assert!(cases.iter().filter(written_out).count() >= 8);
}

#[test]
fn a_master_key_has_the_frozen_id() {
    for case in Case::all() {
        assert_eq!(case.key().id().to_string(), case.kid, "{}", case.name);
        assert_eq!(
            KeyId::from_hex(&case.kid),
            Some(case.key().id()),
            "{}",
            case.name
        );
    }
}

#[test]
fn a_row_has_the_frozen_associated_data() {
    for case in Case::all() {
        let data = case.context().associated_data(case.key().id());
        assert_eq!(data, unhex(&case.associated_data), "{}", case.name);
    }
}

#[test]
fn a_record_is_sealed_to_exactly_the_frozen_bytes_and_json() {
    for case in Case::all() {
        let sealed = case.seal();
        assert_eq!(sealed.commit.to_vec(), unhex(&case.commit), "{}", case.name);
        let (bytes, json) = (sealed.to_bytes(), sealed.to_json());
        if let Some(binary) = &case.binary {
            assert_eq!(bytes, unhex(binary), "{}", case.name);
        }
        if let Some(written) = &case.json {
            assert_eq!(&json, written, "{}", case.name);
        }
        assert_eq!(hex_sha256(&bytes), case.binary_sha256, "{}", case.name);
        assert_eq!(
            hex_sha256(json.as_bytes()),
            case.json_sha256,
            "{}",
            case.name
        );
        assert_eq!(bytes.len(), case.plaintext().len() + OVERHEAD);
    }
}

#[test]
fn a_frozen_record_opens_from_its_json_and_from_its_bytes() {
    for case in Case::all() {
        let (ring, context) = (case.ring(), case.context());
        let (bytes, json) = match (&case.binary, &case.json) {
            (Some(binary), Some(json)) => (unhex(binary), json.clone()),
            // Too long for the file; the test above proves it equal by its hash.
            _ => (case.seal().to_bytes(), case.seal().to_json()),
        };
        let plaintext = case.plaintext();
        assert_eq!(
            ring.open_json(&context, &json).as_ref(),
            Ok(&plaintext),
            "{}",
            case.name
        );
        let read = Envelope::from_bytes(&bytes, context.meta()).unwrap();
        assert_eq!(
            ring.open(&context, &read).as_ref(),
            Ok(&plaintext),
            "{}",
            case.name
        );
        assert_eq!(read.kid().to_string(), case.kid, "{}", case.name);
        assert_eq!(read, Envelope::from_json(&json).unwrap(), "{}", case.name);
    }
}

#[test]
fn the_frozen_keys_of_scope_and_record_follow_from_the_master_key() {
    for case in Case::all() {
        let scope = case.context().scope;
        let master = Prk::extract(b"ruggine/at-rest/v1", &unhex(&case.master_key));
        let label: &[u8] = b"ruggine/at-rest/v1/conv";
        let scope_key = master.expand::<32>(&[label, &[scope.kind()], &[0, 16], scope.id()]);
        assert_eq!(scope_key[..], unhex(&case.scope_key), "{}", case.name);

        let salt = unhex(&case.salt);
        let record = Prk::from_key(&scope_key).expand::<64>(&[b"ruggine/at-rest/v1/record", &salt]);
        assert_eq!(record[..32], unhex(&case.record_key), "{}", case.name);
        assert_eq!(record[32..], unhex(&case.commit), "{}", case.name);
    }
}

fn context() -> impl Strategy<Value = RecordContext> {
    // Few and similar values, so that fields often agree and sometimes could
    // be mistaken for their neighbours.
    let id = || proptest::sample::select(vec![[0u8; 16], [1; 16], [0xff; 16]]);
    let scope = (0..3, id()).prop_map(|(kind, id)| match kind {
        0 => Scope::Conversation(ConversationId::from_bytes(id)),
        1 => Scope::User(UserId::from_bytes(id)),
        _ => Scope::Database,
    });
    let purpose =
        proptest::sample::select(vec![Purpose::Message, Purpose::Profile, Purpose::KeyCheck]);
    let content_type = proptest::sample::select(vec!["", "\0", "message", "\0\x07message"]);
    let ts = proptest::sample::select(vec![i64::MIN, -1, 0, 1, 256]);
    (purpose, scope, id(), id(), id(), ts, content_type).prop_map(
        |(purpose, scope, record, sender, device, ts, content_type)| RecordContext {
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

/// Reads associated data back; only possible when they are unambiguous.
fn fields(mut data: &[u8]) -> Vec<&[u8]> {
    let mut fields = Vec::new();
    while let Some((length, rest)) = data.split_first_chunk::<2>() {
        let (field, rest) = rest.split_at(usize::from(u16::from_be_bytes(*length)));
        fields.push(field);
        data = rest;
    }
    assert!(data.is_empty());
    fields
}

proptest! {
    #[test]
    fn associated_data_read_back_as_the_fields_that_were_written(context in context()) {
        let kid = KeyId::from_bytes(*b"\x00\x07messag");
        let data = context.associated_data(kid);
        let fields = fields(&data);
        prop_assert_eq!(fields.len(), 10);
        prop_assert_eq!(fields[2], kid.as_bytes());
        prop_assert_eq!(fields[3], context.purpose.as_str().as_bytes());
        prop_assert_eq!(fields[4], context.scope.id());
        prop_assert_eq!(fields[5], context.record);
        prop_assert_eq!(fields[6], context.sender.as_bytes());
        prop_assert_eq!(fields[7], context.device.as_bytes());
        prop_assert_eq!(fields[8], context.ts.as_millis().to_be_bytes());
        prop_assert_eq!(fields[9], context.content_type.as_bytes());
    }

    /// The kind of a scope is no field of the associated data: the scope's key
    /// keeps a conversation and a user of the same id apart.
    #[test]
    fn different_rows_never_have_the_same_associated_data_and_scope(
        (one, other) in (context(), context()),
    ) {
        let kid = KeyId::from_bytes([7; 8]);
        let spelled = |context: &RecordContext| (context.scope.kind(), context.associated_data(kid));
        prop_assert_eq!(one == other, spelled(&one) == spelled(&other));
    }

    #[test]
    fn the_same_row_under_another_key_has_other_associated_data(
        context in context(),
        (one, other) in any::<([u8; 8], [u8; 8])>(),
    ) {
        prop_assume!(one != other);
        prop_assert_ne!(
            context.associated_data(KeyId::from_bytes(one)),
            context.associated_data(KeyId::from_bytes(other))
        );
    }
}
