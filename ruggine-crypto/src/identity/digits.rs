//! Digits that people read to each other.

use sha2::{Digest, Sha256};

const EPOCH_DOMAIN: &[u8] = b"ruggine/epoch-digits/v1";
const EPOCH_LEN: usize = 20;

/// Twenty digits for the state of an MLS group: four groups of five from
/// SHA-256 of `"ruggine/epoch-digits/v1" | 0x00 | authenticator`.
///
/// The epoch authenticator (RFC 9420 section 8.7) is equal on all members, so
/// members who see other digits in the same epoch are in a group that was split.
#[must_use]
pub fn epoch_digits(authenticator: &[u8]) -> String {
    let digest: [u8; 32] = Sha256::new()
        .chain_update(EPOCH_DOMAIN)
        .chain_update([0])
        .chain_update(authenticator)
        .finalize()
        .into();
    groups(&digest[..EPOCH_LEN])
}

/// A group of five digits for each five bytes: their big-endian number modulo
/// 100000.
pub(super) fn groups(bytes: &[u8]) -> String {
    let (chunks, _) = bytes.as_chunks::<5>();
    let groups: Vec<String> = chunks
        .iter()
        .map(|chunk| {
            let number = chunk
                .iter()
                .fold(0u64, |number, byte| (number << 8) | u64::from(*byte));
            format!("{:05}", number % 100_000)
        })
        .collect();
    groups.join(" ")
}
