//! What a server can check of a group without being in it.
//!
//! A [`PublicState`] is everything of a group that is not secret: its tree, its
//! context and its transcript. With it a server knows who is in the group and
//! refuses a change that a member would refuse, before anybody else sees it.
//! It cannot check what only members can: the membership tag and the
//! confirmation tag of a commit, and the key by which others join on their own,
//! are proven by secrets. So a member can still send a commit that all others
//! refuse, or offer a key with which the next join is such a commit: the group
//! has to be reset then.

mod bundle;
mod error;
mod header;
mod state;

pub use bundle::Checked;
pub use error::DeliveryError;
pub use header::{Header, HeaderKind, header};
pub use state::PublicState;

/// Bytes of a commit at the most, in a group of up to a hundred leaves.
pub const COMMIT_BYTES_MAX: usize = 256 * 1024;
/// Bytes of a commit at the most in a larger group of the post-quantum suite.
pub const LARGE_COMMIT_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Bytes of a welcome at the most.
pub const WELCOME_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Bytes of a GroupInfo at the most.
pub const GROUP_INFO_BYTES_MAX: usize = 512 * 1024;
/// Bytes of the tree of a new group at the most: it has one leaf.
pub const NEW_TREE_BYTES_MAX: usize = 32 * 1024;
/// Bytes of a proposal at the most.
pub const PROPOSAL_BYTES_MAX: usize = 4 * 1024;
