//! Sealing what a server stores: envelope v1.
//!
//! Every record has a key of its own, derived from the master key through the
//! key of its conversation, a commitment to that key, and associated data that
//! is rebuilt from the row's columns. A record that is moved to another row,
//! changed in any bit, or sealed under a key that is gone does not open, and
//! the [`OpenError`] says which of these it is.

mod context;
mod envelope;
#[cfg(test)]
mod frozen_vectors;
mod key_ring;
mod master_key;
#[cfg(test)]
mod primitive_vectors;
mod unsealed;

pub use context::{Purpose, RecordContext, Scope};
pub use envelope::{Envelope, Malformed, Meta, OVERHEAD};
pub use key_ring::{DuplicateKey, KeyRing, OpenError, SealError};
pub use master_key::{KeyId, MasterKey, MasterKeyError};
pub use unsealed::{NONE, read_unsealed_json, unsealed_json};

/// The algorithm's name in a stored record: AES-256-GCM under a key made by
/// HKDF-SHA256, with a commitment to it.
pub const ALGORITHM: &str = "A256GCM-HKDF-SHA256-C";
/// Bytes of one record at the most.
pub const RECORD_MAX: usize = 64 * 1024 * 1024;
