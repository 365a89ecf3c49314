//! MLS (RFC 9420) between devices: what a client does with a group.
//!
//! A [`Group`] is one conversation's group as one device has it. It is read
//! from a [`StateTable`], the client's table of keys and values in the
//! transaction that is in hand, and everything that a call changes is written
//! there: commit the transaction together with the message, or drop the group
//! and the transaction together. After any error the group has to be loaded
//! again.
//!
//! Who may do what is not left to MLS: each change of a group is judged by
//! [`policy`] against the certificates and device lists of the people in it,
//! by every client and by the server, with the same code.

mod change;
mod context;
mod device_key;
mod error;
mod group;
mod join;
mod key_package;
pub mod policy;
mod provider;
mod settings;
mod storage;
mod suite;
mod table;

#[cfg(feature = "delivery")]
pub(crate) use change::protocol_message;
pub use change::{Change, CommitBundle, Received, ReceivedCommit};
pub use context::{ConversationContext, InvalidContext, Invitation, Seat};
pub use device_key::{Device, DeviceKey};
pub use error::MlsError;
#[cfg(feature = "delivery")]
pub(crate) use group::tree_bytes;
pub use group::{Group, GroupId, Opened};
pub use join::{ExternalJoin, GroupState};
#[cfg(feature = "delivery")]
pub(crate) use join::{message, ratchet_tree};
pub use key_package::{KeyPackageError, NewKeyPackage, PublishedKeyPackage};
pub use provider::{DefaultCrypto, MlsCrypto, Provider};
pub use storage::{Storage, StorageError};
pub use suite::Suite;
pub use table::{MemoryTable, Overlay, StateTable, TableChange};
