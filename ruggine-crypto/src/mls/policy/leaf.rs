//! Leaves and the devices that they belong to.

use std::collections::{BTreeMap, BTreeSet};

use openmls::group::PublicGroup;
use openmls::prelude::{BasicCredential, Capabilities, Credential, KeyPackage, LeafNode, Member};
use openmls_traits::crypto::OpenMlsCrypto;
use openmls_traits::types::Ciphersuite;
use ruggine_core::Timestamp;
use tls_codec::{DeserializeBytes as _, Serialize as _, VLBytes};

use super::{DEVICES_MAX, Directory, LEAVES_MAX, Leaf, Listing, Stance, Violation};
use crate::identity::DeviceCertificate;
use crate::mls::settings;

/// The certificates of a group's leaves, by leaf.
pub(crate) type Leaves = BTreeMap<u32, DeviceCertificate>;

/// The certificate that a leaf carries, for its own key.
///
/// # Errors
/// When it carries none.
pub fn certificate_of(leaf: &LeafNode) -> Result<DeviceCertificate, Violation> {
    let bytes = identity(leaf.credential())?;
    let certificate = DeviceCertificate::from_bytes(&bytes)?;
    if leaf.signature_key().as_slice() != certificate.signature_key() {
        return Err(Violation::NoCertificate);
    }
    Ok(certificate)
}

fn identity(credential: &Credential) -> Result<Vec<u8>, Violation> {
    BasicCredential::try_from(credential.clone())
        .map(|credential| credential.identity().to_vec())
        .map_err(|_| Violation::NoCertificate)
}

/// The devices of a group that was judged before, whose certificates are read
/// and not verified again.
pub(crate) fn leaves(group: &PublicGroup) -> Result<Leaves, Violation> {
    members(group.members(), DeviceCertificate::from_known_bytes)
}

/// The devices of a group that is new to us.
pub(super) fn verified(members_of: impl Iterator<Item = Member>) -> Result<Leaves, Violation> {
    members(members_of, DeviceCertificate::from_bytes)
}

fn members(
    members: impl Iterator<Item = Member>,
    read: fn(&[u8]) -> Result<DeviceCertificate, crate::identity::CertificateError>,
) -> Result<Leaves, Violation> {
    let mut leaves = Leaves::new();
    for member in members {
        let certificate = read(&identity(&member.credential)?)?;
        if member.signature_key != certificate.signature_key() {
            return Err(Violation::NoCertificate);
        }
        leaves.insert(member.index.u32(), certificate);
    }
    Ok(leaves)
}

/// Whether devices may be together in a group: each once, with keys of its own,
/// and not too many.
pub(super) fn check_together<'a>(
    certificates: impl Iterator<Item = &'a DeviceCertificate>,
) -> Result<BTreeSet<Leaf>, Violation> {
    let mut leaves = BTreeSet::new();
    let mut keys = BTreeSet::new();
    let mut devices = BTreeSet::new();
    let mut of_user = BTreeMap::new();
    for certificate in certificates {
        let leaf = Leaf::of(certificate);
        let is_new = leaves.insert(leaf)
            && keys.insert(*certificate.signature_key())
            && devices.insert(leaf.device);
        if !is_new {
            return Err(Violation::Twice(leaf));
        }
        let count = of_user.entry(leaf.user).or_insert(0);
        *count += 1;
        if *count > DEVICES_MAX || leaves.len() > LEAVES_MAX {
            return Err(Violation::TooMany);
        }
    }
    Ok(leaves)
}

/// Whether a device may enter a group: certified for this time and the group's
/// suite, and listed by its user.
pub(super) fn check_device(
    certificate: &DeviceCertificate,
    suite: u16,
    directory: &dyn Directory,
    at: Timestamp,
    stance: Stance,
) -> Result<(), Violation> {
    let leaf = Leaf::of(certificate);
    match (directory.listing(certificate), stance) {
        (Listing::Listed, _) | (Listing::Formerly, Stance::Following) => {}
        (Listing::UnknownUser, _) => return Err(Violation::UnknownUsers(vec![leaf.user])),
        _ => return Err(Violation::UnlistedDevice(leaf)),
    }
    // That it is of the account which is pinned, its being listed says.
    certificate.check(leaf.user, certificate.account(), at)?;
    if certificate.suites().contains(&suite) {
        Ok(())
    } else {
        Err(Violation::Suite(leaf))
    }
}

/// Whether whoever has made a welcome is a device that its user lists now: a
/// revoked one could make a group of its own and welcome people into it.
pub(crate) fn check_sender(
    leaf: &LeafNode,
    suite: Ciphersuite,
    directory: &dyn Directory,
    at: Timestamp,
) -> Result<(), Violation> {
    let certificate = certificate_of(leaf)?;
    let suite = u16::from(suite);
    check_device(&certificate, suite, directory, at, Stance::Deciding)
}

/// Whether a leaf is made as ours are, and others can encrypt to it.
pub(super) fn check_leaf(
    crypto: &impl OpenMlsCrypto,
    ciphersuite: Ciphersuite,
    leaf: &LeafNode,
    of: Leaf,
) -> Result<(), Violation> {
    let capabilities: &Capabilities = leaf.capabilities();
    if leaf.extensions().iter().next().is_some() || *capabilities != settings::capabilities() {
        return Err(Violation::Shape(of));
    }
    let key = leaf.encryption_key().tls_serialize_detached();
    let key = key.map_err(|_| Violation::Shape(of))?;
    let key = VLBytes::tls_deserialize_exact_bytes(&key).map_err(|_| Violation::Shape(of))?;
    check_usable(crypto, ciphersuite, key.as_slice(), of)
}

/// Whether a package is made as ours are, and others can encrypt to it.
pub(crate) fn check_package(
    crypto: &impl OpenMlsCrypto,
    package: &KeyPackage,
    certificate: &DeviceCertificate,
) -> Result<(), Violation> {
    let of = Leaf::of(certificate);
    let suite = package.ciphersuite();
    check_leaf(crypto, suite, package.leaf_node(), of)?;
    check_usable(crypto, suite, package.hpke_init_key().as_slice(), of)
}

/// A key that nobody can encrypt to would stop every later commit, so it is tried.
fn check_usable(
    crypto: &impl OpenMlsCrypto,
    ciphersuite: Ciphersuite,
    key: &[u8],
    of: Leaf,
) -> Result<(), Violation> {
    crypto
        .hpke_seal(ciphersuite.hpke_config(), key, b"ruggine/trial", b"", b"")
        .map(drop)
        .map_err(|_| Violation::UnusableKey(of))
}

/// Whether all keys in a tree differ, as whoever joins will require.
#[cfg(feature = "delivery")]
pub(crate) fn unique_keys(group: &PublicGroup) -> bool {
    let mut keys = BTreeSet::new();
    let mut are_unique = true;
    for member in group.members() {
        are_unique &= keys.insert(member.encryption_key);
    }
    for (_, parent) in group.treesync().full_parents() {
        // A parent begins with its encryption key.
        let key = parent.tls_serialize_detached().ok().and_then(|bytes| {
            VLBytes::tls_deserialize_bytes(&bytes)
                .map(|(key, _)| key)
                .ok()
        });
        are_unique &= key.is_some_and(|key| keys.insert(key.as_slice().to_vec()));
    }
    are_unique
}
