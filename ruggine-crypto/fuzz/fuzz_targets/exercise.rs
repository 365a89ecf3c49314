//! Everything that devices and a server do with bytes of a stranger, and what
//! must hold of whatever is accepted. The fuzz target and the tests share it.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use ruggine_core::api::conversation::ConversationKind;
use ruggine_core::{ConversationId, DeviceId, Timestamp, UserId};
use ruggine_crypto::delivery::{PublicState, header};
use ruggine_crypto::identity::{DeviceCertificate, DeviceList, Pin};
use ruggine_crypto::mls::policy::{Expected, Leaf};
use ruggine_crypto::mls::{
    ConversationContext, DefaultCrypto, Group, GroupId, GroupState, MemoryTable, Provider,
    PublishedKeyPackage,
};

static CRYPTO: LazyLock<DefaultCrypto> = LazyLock::new(DefaultCrypto::default);
const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

const EXPECTED: Expected = Expected {
    conversation: ConversationId::from_bytes([7; 16]),
    kind: ConversationKind::Group,
    peer: None,
    epoch: 0,
};

const fn nobody() -> BTreeMap<UserId, DeviceList> {
    BTreeMap::new()
}

/// What the first byte of a seed says about the rest of it.
pub(crate) const KINDS: [&str; 7] = [
    "certificate",
    "device_list",
    "pin",
    "context",
    "key_package",
    "message",
    "group_state",
];

/// Reads `bytes` in every way in which a stranger's bytes are read; whether the
/// one that the first byte names accepted them.
///
/// # Panics
/// When something that was read is not written as it was.
pub(crate) fn exercise(bytes: &[u8]) -> bool {
    let Some((kind, bytes)) = bytes.split_first() else {
        return false;
    };
    let accepted = [
        DeviceCertificate::from_bytes(bytes).is_ok_and(|read| same(&read.to_bytes(), bytes)),
        DeviceList::from_bytes(bytes).is_ok_and(|read| same(&read.to_bytes(), bytes)),
        Pin::from_bytes(bytes).is_ok_and(|read| same(&read.to_bytes(), bytes)),
        ConversationContext::from_bytes(bytes).is_ok_and(|read| same(&read.to_bytes(), bytes)),
        PublishedKeyPackage::read(&*CRYPTO, bytes, NOW).is_ok(),
        header(bytes).is_ok(),
        group_state(bytes),
    ];
    welcome(bytes);
    accepted.get(usize::from(*kind)).copied().unwrap_or(false)
}

/// # Panics
/// When they differ.
fn same(written: &[u8], read: &[u8]) -> bool {
    assert_eq!(written, read, "read and written, it is something else");
    true
}

/// A length of 4 bytes, the GroupInfo, and the tree.
fn group_state(bytes: &[u8]) -> bool {
    let Some((length, rest)) = bytes.split_first_chunk::<4>() else {
        return false;
    };
    let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
    let Some((info, tree)) = rest.split_at_checked(length) else {
        return false;
    };
    let state = GroupState {
        group_info: info.to_vec(),
        ratchet_tree: tree.to_vec(),
    };
    let creator = Leaf {
        user: UserId::from_bytes([1; 16]),
        device: DeviceId::from_bytes([1; 16]),
    };
    let nobody = nobody();
    let _ = PublicState::from_bytes(bytes, GroupId([1; 16]));
    PublicState::establish(&*CRYPTO, &state, &EXPECTED, creator, &nobody, NOW).is_ok()
}

fn welcome(bytes: &[u8]) {
    let table = MemoryTable::default();
    let provider = Provider::new(&*CRYPTO, &table);
    let half = bytes.len() / 2;
    let _ = Group::join(&provider, bytes, &bytes[half..], &EXPECTED, &nobody(), NOW);
}
