//! Cryptography of the Ruggine chat platform, without I/O.
//!
//! - feature `at-rest`: the server's second lock. [`at_rest::KeyRing`] seals
//!   records into envelope v1 and opens them again.
//! - feature `auth`: [`password`] hashing with Argon2id, and opaque [`token`]s
//!   of which only a hash is stored.
//! - feature `e2ee`: what is between devices. [`identity`] says which devices
//!   are whose, [`mls`] is a conversation's group as one device has it.
//! - feature `delivery`: [`delivery`] is what a server can check of that.
//!
//! Secrets are wiped when dropped, print as `[redacted]` and are compared in
//! constant time.
//!
//! ```
//! use ruggine_core::{ClientMsgId, ConversationId, DeviceId, Timestamp, UserId};
//! use ruggine_crypto::at_rest::{KeyRing, MasterKey, Purpose, RecordContext, Scope};
//!
//! let ring = KeyRing::new(MasterKey::generate(), Vec::new())?;
//! let now = Timestamp::from_millis(0);
//! let context = RecordContext {
//!     purpose: Purpose::Message,
//!     scope: Scope::Conversation(ConversationId::new(now)),
//!     record: *ClientMsgId::new(now).as_bytes(),
//!     sender: UserId::new(now),
//!     device: DeviceId::new(now),
//!     ts: now,
//!     content_type: "message",
//! };
//! let stored = ring.seal(&context, b"ciao")?.to_json();
//! assert!(!stored.contains("ciao"));
//! assert_eq!(ring.open_json(&context, &stored)?, b"ciao");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![warn(missing_docs)]

#[cfg(feature = "at-rest")]
pub mod at_rest;
#[cfg(feature = "delivery")]
pub mod delivery;
#[cfg(feature = "e2ee")]
pub mod identity;
#[cfg(feature = "at-rest")]
mod kdf;
#[cfg(feature = "e2ee")]
pub mod mls;
#[cfg(feature = "auth")]
pub mod password;
pub mod random;
#[cfg(feature = "auth")]
pub mod token;
