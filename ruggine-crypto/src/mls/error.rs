//! Why a step of a group was not taken.

use super::context::InvalidContext;
use super::policy::Violation;

type Source = Box<dyn std::error::Error + Send + Sync>;

/// Why a step of a group was not taken. Whatever it was, load the group again
/// before it is used again: what is in memory may be ahead of what is kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MlsError {
    /// The message is of another epoch than the group is in.
    #[error("the message is of epoch {message}, the group in {group}")]
    WrongEpoch {
        /// The group's.
        group: u64,
        /// The message's.
        message: u64,
    },
    /// The message belongs to another group.
    #[error("the message belongs to another group")]
    OtherGroup,
    /// Somebody did what they may not do.
    #[error("refused: {0}")]
    Violation(#[from] Violation),
    /// The context of the conversation breaks a rule.
    #[error(transparent)]
    Context(#[from] InvalidContext),
    /// A device that the change names is not in the group.
    #[error("the device is not in the group")]
    NoSuchDevice,
    /// A change is waiting for the server's word; nothing else may be done.
    #[error("a change of the group is waiting for its answer")]
    CommitPending,
    /// Proposals wait to be committed first.
    #[error("somebody's leaving has to be committed first")]
    ProposalPending,
    /// The device was removed from the group.
    #[error("this device is no longer in the group")]
    Removed,
    /// The suite is none of ours.
    #[error("the group uses a suite that this program does not use")]
    Suite,
    /// The bytes are not what they should be.
    #[error("not a well-formed MLS message")]
    Malformed,
    /// The own message came back; it was known when it was sent.
    #[error("the message is this device's own")]
    Own,
    /// MLS refused it.
    #[error("MLS refused it: {0}")]
    Invalid(#[source] Source),
}

impl MlsError {
    pub(crate) fn invalid(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Invalid(Box::new(error))
    }
}
