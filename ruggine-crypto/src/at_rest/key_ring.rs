//! The key ring: one key that seals, any number that still open.

use std::fmt;
use std::num::NonZeroUsize;

use aes_gcm::Aes256Gcm;
use aes_gcm::aead::{Aead, KeyInit, Payload};
use lru::LruCache;
use parking_lot::Mutex;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::RECORD_MAX;
use super::context::{RecordContext, Scope};
use super::envelope::{Envelope, Malformed};
use super::master_key::{KeyId, MasterKey};
use crate::kdf::Prk;
use crate::random::{self, RandomError};

const SCOPE_INFO: &[u8] = b"ruggine/at-rest/v1/conv";
const RECORD_INFO: &[u8] = b"ruggine/at-rest/v1/record";

/// How many scopes' keys are kept derived. Deriving one costs about as much as
/// sealing a short record.
const CACHED_SCOPES: NonZeroUsize = NonZeroUsize::new(4096).expect("not zero");

type ScopeKey = Zeroizing<[u8; 32]>;

/// Seals with its primary key and opens with every key that it holds.
///
/// A record names its key; no other key is ever tried.
pub struct KeyRing {
    primary: KeyId,
    keys: Vec<(KeyId, Prk)>,
    scopes: Mutex<LruCache<(KeyId, Scope), ScopeKey>>,
}

/// Two keys of the ring are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the master key {0} is named twice")]
pub struct DuplicateKey(pub KeyId);

/// A record that could not be sealed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// Longer than [`RECORD_MAX`].
    #[error("the record has {0} bytes, more than the {RECORD_MAX} allowed")]
    TooLarge(usize),
    /// No randomness for the salt and nonce.
    #[error(transparent)]
    Random(#[from] RandomError),
}

/// Why a record does not open. The names are the reasons that are logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Not an envelope of version 1.
    #[error("malformed")]
    Malformed,
    /// Sealed under a key that the ring does not hold.
    #[error("unknown_kid")]
    UnknownKid,
    /// The columns that the record names are not the row's: it was moved.
    #[error("meta_mismatch")]
    MetaMismatch,
    /// The key that the record commits to is not the derived one.
    #[error("commit_mismatch")]
    CommitMismatch,
    /// The ciphertext, its tag or the associated data were changed.
    #[error("tag_mismatch")]
    TagMismatch,
}

impl From<Malformed> for OpenError {
    fn from(Malformed: Malformed) -> Self {
        Self::Malformed
    }
}

impl KeyRing {
    /// A ring that seals with `primary` and also opens with `legacy`.
    ///
    /// # Errors
    /// When a key occurs twice.
    pub fn new(primary: MasterKey, legacy: Vec<MasterKey>) -> Result<Self, DuplicateKey> {
        let primary_id = primary.id();
        let mut keys: Vec<(KeyId, Prk)> = Vec::with_capacity(1 + legacy.len());
        for key in std::iter::once(primary).chain(legacy) {
            let id = key.id();
            if keys.iter().any(|(known, _)| *known == id) {
                return Err(DuplicateKey(id));
            }
            keys.push((id, key.prk()));
        }
        Ok(Self {
            primary: primary_id,
            keys,
            scopes: Mutex::new(LruCache::new(CACHED_SCOPES)),
        })
    }

    /// The key that seals.
    #[must_use]
    pub const fn primary(&self) -> KeyId {
        self.primary
    }

    /// Every key of the ring, the primary first.
    pub fn ids(&self) -> impl Iterator<Item = KeyId> + '_ {
        self.keys.iter().map(|(id, _)| *id)
    }

    /// Seals a record under the primary key.
    ///
    /// # Errors
    /// When the record is too long, or the operating system has no randomness.
    pub fn seal(&self, context: &RecordContext, plaintext: &[u8]) -> Result<Envelope, SealError> {
        let entropy: Zeroizing<[u8; 32]> = Zeroizing::new(random::bytes()?);
        self.seal_with(self.primary, context, plaintext, &entropy)
    }

    /// Seals a record under the ring's key with this id, as a check that the
    /// key works; `None` when the ring does not hold it.
    ///
    /// # Errors
    /// As [`KeyRing::seal`].
    pub fn seal_under(
        &self,
        kid: KeyId,
        context: &RecordContext,
        plaintext: &[u8],
    ) -> Result<Option<Envelope>, SealError> {
        if !self.ids().any(|known| known == kid) {
            return Ok(None);
        }
        let entropy: Zeroizing<[u8; 32]> = Zeroizing::new(random::bytes()?);
        self.seal_with(kid, context, plaintext, &entropy).map(Some)
    }

    /// The deterministic part of sealing. `entropy` is the salt and the nonce.
    pub(super) fn seal_with(
        &self,
        kid: KeyId,
        context: &RecordContext,
        plaintext: &[u8],
        entropy: &[u8; 32],
    ) -> Result<Envelope, SealError> {
        if plaintext.len() > RECORD_MAX {
            return Err(SealError::TooLarge(plaintext.len()));
        }
        let mut salt = [0; 20];
        let mut nonce = [0; 12];
        salt.copy_from_slice(&entropy[..20]);
        nonce.copy_from_slice(&entropy[20..]);
        let scope_key = self
            .scope_key(kid, context.scope)
            .expect("only ids of this ring's keys are passed");
        let (key, commit) = record_key(&scope_key, &salt);
        let aad = context.associated_data(kid);
        let payload = Payload {
            msg: plaintext,
            aad: &aad,
        };
        let ciphertext = cipher(&key)
            .encrypt(&nonce.into(), payload)
            .expect("the record is far below the limit of AES-GCM");
        Ok(Envelope {
            kid,
            salt,
            nonce,
            commit: *commit,
            ciphertext,
            meta: context.meta(),
        })
    }

    /// Opens a record that belongs to the row with these columns.
    ///
    /// # Errors
    /// The reason why it does not open. Nothing of the plaintext is given then.
    pub fn open(&self, context: &RecordContext, envelope: &Envelope) -> Result<Vec<u8>, OpenError> {
        if envelope.plaintext_len() > RECORD_MAX {
            return Err(OpenError::Malformed);
        }
        let scope_key = self
            .scope_key(envelope.kid, context.scope)
            .ok_or(OpenError::UnknownKid)?;
        if envelope.meta != context.meta() {
            return Err(OpenError::MetaMismatch);
        }
        let (key, commit) = record_key(&scope_key, &envelope.salt);
        if !bool::from(commit.ct_eq(&envelope.commit)) {
            return Err(OpenError::CommitMismatch);
        }
        let aad = context.associated_data(envelope.kid);
        let payload = Payload {
            msg: &envelope.ciphertext,
            aad: &aad,
        };
        cipher(&key)
            .decrypt(&envelope.nonce.into(), payload)
            .map_err(|_| OpenError::TagMismatch)
    }

    /// Reads and opens a stored record.
    ///
    /// # Errors
    /// As [`KeyRing::open`].
    pub fn open_json(&self, context: &RecordContext, stored: &str) -> Result<Vec<u8>, OpenError> {
        self.open(context, &Envelope::from_json(stored)?)
    }

    fn scope_key(&self, kid: KeyId, scope: Scope) -> Option<ScopeKey> {
        if let Some(key) = self.scopes.lock().get(&(kid, scope)) {
            return Some(key.clone());
        }
        let (_, prk) = self.keys.iter().find(|(known, _)| *known == kid)?;
        let id = scope.id();
        let length = u16::try_from(id.len()).unwrap_or(u16::MAX).to_be_bytes();
        let key = prk.expand::<32>(&[SCOPE_INFO, &[scope.kind()], &length, id]);
        self.scopes.lock().put((kid, scope), key.clone());
        Some(key)
    }
}

/// The record's key and the commitment to it.
fn record_key(scope_key: &[u8; 32], salt: &[u8]) -> (Zeroizing<[u8; 32]>, Zeroizing<[u8; 32]>) {
    let output = Prk::from_key(scope_key).expand::<64>(&[RECORD_INFO, salt]);
    let mut key = Zeroizing::new([0; 32]);
    let mut commit = Zeroizing::new([0; 32]);
    key.copy_from_slice(&output[..32]);
    commit.copy_from_slice(&output[32..]);
    (key, commit)
}

fn cipher(key: &[u8; 32]) -> Aes256Gcm {
    Aes256Gcm::new(key.into())
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRing")
            .field("primary", &self.primary)
            .field("legacy", &self.ids().skip(1).collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}
