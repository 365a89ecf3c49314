//! The second lock: every text of people is sealed before it reaches the store
//! and opened after it leaves it.

use std::fmt;
use std::sync::Arc;

use ruggine_core::api::account::User;
use ruggine_core::api::message::RowKind;
use ruggine_core::name::DisplayName;
use ruggine_core::{Blob, ClientMsgId, ConversationId, DeviceId, Timestamp, UserId};
use ruggine_crypto::at_rest::{
    KeyRing, NONE, OpenError, Purpose, RecordContext, Scope, SealError, read_unsealed_json,
    unsealed_json,
};

use crate::metrics::{Measurement, Metrics};
use crate::store::{SealedText, Store, StoreError, StoredRow, UserRecord};

/// Seals and opens records, or writes them plainly when encryption is off.
pub struct Sealer {
    ring: Option<KeyRing>,
    key_id: Arc<str>,
    metrics: Arc<dyn Metrics>,
}

/// A sealed record and the id of its key.
#[derive(Debug, Clone)]
pub struct Sealed {
    /// The key's id, or `none`.
    pub key_id: Arc<str>,
    /// The record.
    pub body: SealedText,
}

/// The keys at hand do not fit the database. The sentence says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyCheckError {
    /// Records were sealed under a key that the ring does not hold.
    #[error(
        "the database holds records sealed under the key {0}, which was not given: add it to ENCRYPTION_LEGACY_KEYS"
    )]
    MissingKey(String),
    /// A key has the right id and does not open its check record.
    #[error("the key {0} does not open its check record ({1}): the record or the key was changed")]
    WrongKey(String, OpenError),
    /// The database holds plain records and encryption is on.
    #[error(
        "the database holds unsealed records and encryption is on: start with a new database, or with ENABLE_ENCRYPTION=false"
    )]
    HoldsUnsealed,
    /// The database holds sealed records and encryption is off.
    #[error(
        "the database holds sealed records and encryption is off: remove ENABLE_ENCRYPTION=false and give the master key"
    )]
    HoldsSealed,
    /// The check record could not be made.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Sealer {
    /// A sealer under `ring`, or one that writes plainly where there is none.
    #[must_use]
    pub fn new(ring: Option<KeyRing>, metrics: Arc<dyn Metrics>) -> Self {
        let key_id = ring
            .as_ref()
            .map_or_else(|| NONE.into(), |ring| ring.primary().to_string().into());
        Self {
            ring,
            key_id,
            metrics,
        }
    }

    /// Proves that the keys fit what the store holds, and registers the key
    /// that will seal. Of servers that start at once on a new store, each with
    /// a key that the others do not have, one passes.
    ///
    /// # Errors
    /// When a key is missing or wrong, or sealed and plain records would mix.
    /// Nothing is registered then.
    pub async fn check(&self, store: &dyn Store) -> Result<(), KeyCheckError> {
        let own: Vec<String> = self
            .ring
            .iter()
            .flat_map(KeyRing::ids)
            .map(|kid| kid.to_string())
            .collect();
        loop {
            let registered = store.sealing_keys().await?;
            self.judge(&registered)?;
            if registered.iter().any(|(kid, _)| **kid == *self.key_id) {
                return Ok(());
            }
            let record = self.seal(&key_check_context(), b"ruggine")?;
            let registering = store.register_key(self.key_id.to_string(), record.body, own.clone());
            if registering.await? {
                return Ok(());
            }
            // Another server has registered its key since these were read.
        }
    }

    /// Whether everything that was sealed under these keys opens here.
    fn judge(&self, registered: &[(String, SealedText)]) -> Result<(), KeyCheckError> {
        for (kid, record) in registered {
            let Some(ring) = &self.ring else {
                if kid == NONE {
                    continue;
                }
                return Err(KeyCheckError::HoldsSealed);
            };
            if kid == NONE {
                return Err(KeyCheckError::HoldsUnsealed);
            }
            if !ring.ids().any(|known| known.to_string() == *kid) {
                return Err(KeyCheckError::MissingKey(kid.clone()));
            }
            ring.open_json(&key_check_context(), record)
                .map_err(|reason| KeyCheckError::WrongKey(kid.clone(), reason))?;
        }
        Ok(())
    }

    /// Seals the payload of a row.
    ///
    /// # Errors
    /// When the operating system has no randomness.
    #[expect(
        clippy::too_many_arguments,
        reason = "these are the columns that it is bound to"
    )]
    pub fn seal_row(
        &self,
        conversation: ConversationId,
        client_msg_id: ClientMsgId,
        sender: UserId,
        device: DeviceId,
        ts: Timestamp,
        kind: RowKind,
        payload: &[u8],
    ) -> Result<Sealed, SealError> {
        let context = RecordContext {
            purpose: Purpose::Message,
            scope: Scope::Conversation(conversation),
            record: *client_msg_id.as_bytes(),
            sender,
            device,
            ts,
            content_type: kind.as_str(),
        };
        self.seal(&context, payload)
    }

    /// Opens the payload of a row. A failure is logged and counted here.
    ///
    /// # Errors
    /// The reason why it does not open.
    pub fn open_row(&self, row: &StoredRow) -> Result<Blob, OpenError> {
        let context = RecordContext {
            purpose: Purpose::Message,
            scope: Scope::Conversation(row.conversation),
            record: *row.client_msg_id.as_bytes(),
            sender: row.sender,
            device: row.device,
            ts: row.server_ts,
            content_type: row.kind.as_str(),
        };
        self.open(&context, &row.body)
            .map(Blob::from)
            .inspect_err(|reason| {
                self.report(
                    &format_args!("{}/{}", row.conversation, row.seq),
                    &row.body,
                    *reason,
                );
            })
    }

    /// Seals what a user says about themselves.
    ///
    /// # Errors
    /// When the operating system has no randomness.
    pub fn seal_profile(
        &self,
        user: UserId,
        created_at: Timestamp,
        display_name: &DisplayName,
    ) -> Result<Sealed, SealError> {
        self.seal(
            &profile_context(user, created_at),
            display_name.as_str().as_bytes(),
        )
    }

    /// A user as others see them. Where the profile does not open, the
    /// username stands for the name.
    #[must_use]
    pub fn open_user(&self, record: &UserRecord) -> User {
        let context = profile_context(record.id, record.created_at);
        let display_name = self
            .open(&context, &record.profile)
            .inspect_err(|reason| {
                self.report(
                    &format_args!("user {}", record.id),
                    &record.profile,
                    *reason,
                );
            })
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .and_then(|name| name.parse().ok())
            .unwrap_or_else(|| DisplayName::from(&record.username));
        User {
            id: record.id,
            username: record.username.clone(),
            display_name,
        }
    }

    fn seal(&self, context: &RecordContext, plaintext: &[u8]) -> Result<Sealed, SealError> {
        let body = match &self.ring {
            Some(ring) => ring.seal(context, plaintext)?.to_json(),
            None => unsealed_json(context, plaintext),
        };
        Ok(Sealed {
            key_id: self.key_id.clone(),
            body: body.into(),
        })
    }

    fn open(&self, context: &RecordContext, stored: &str) -> Result<Vec<u8>, OpenError> {
        match &self.ring {
            Some(ring) => ring.open_json(context, stored),
            None => read_unsealed_json(context, stored),
        }
    }

    fn report(&self, row: &fmt::Arguments<'_>, stored: &str, reason: OpenError) {
        self.metrics.record(Measurement::DecryptionFailed);
        let kid = ruggine_crypto::at_rest::Envelope::from_json(stored)
            .map_or_else(|_| "-".to_owned(), |envelope| envelope.kid().to_string());
        tracing::error!(row = %row, kid, %reason, "[DECRYPTION FAILED]");
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer")
            .field("ring", &self.ring)
            .finish_non_exhaustive()
    }
}

const NOBODY: [u8; 16] = [0; 16];

fn key_check_context() -> RecordContext {
    RecordContext {
        purpose: Purpose::KeyCheck,
        scope: Scope::Database,
        record: NOBODY,
        sender: UserId::from_bytes(NOBODY),
        device: DeviceId::from_bytes(NOBODY),
        ts: Timestamp::default(),
        content_type: "key-check",
    }
}

fn profile_context(user: UserId, created_at: Timestamp) -> RecordContext {
    RecordContext {
        purpose: Purpose::Profile,
        scope: Scope::User(user),
        record: *user.as_bytes(),
        sender: user,
        device: DeviceId::from_bytes(NOBODY),
        ts: created_at,
        content_type: "display-name",
    }
}
