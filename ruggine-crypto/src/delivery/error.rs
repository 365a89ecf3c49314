//! Why a server did not take what concerns a group.

use crate::mls::MlsError;
use crate::mls::policy::Violation;

type Source = Box<dyn std::error::Error + Send + Sync>;

/// Why a server did not take what concerns a group. Nothing of it is kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeliveryError {
    /// A part is longer than it may be.
    #[error("the {0} is too long")]
    TooLong(&'static str),
    /// A part is not what it should be.
    #[error("the {0} is not well-formed")]
    Malformed(&'static str),
    /// The commit is of another epoch than the group is in.
    #[error("the commit is of epoch {commit}, the group in {group}")]
    StaleEpoch {
        /// The group's.
        group: u64,
        /// The commit's.
        commit: u64,
    },
    /// It belongs to another group or conversation.
    #[error("it belongs to another group")]
    OtherGroup,
    /// Somebody else made the commit than sends it.
    #[error("the commit was made by another device")]
    OtherSender,
    /// A member would refuse it.
    #[error("refused: {0}")]
    Violation(#[from] Violation),
    /// The GroupInfo is not the one of the group after the commit.
    #[error("the GroupInfo does not describe the group after the commit")]
    GroupInfo,
    /// The welcome is not for those who are added.
    #[error("the welcome is not for exactly those who are added")]
    Welcome,
    /// MLS refused it.
    #[error("MLS refused it: {0}")]
    Invalid(#[source] Source),
    /// What was kept of the group was not read.
    #[error("the kept state of the group was not read: {0}")]
    State(#[source] Source),
}

impl DeliveryError {
    pub(super) fn invalid(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Invalid(Box::new(error))
    }

    pub(super) fn state(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::State(Box::new(error))
    }

    pub(super) fn part(name: &'static str) -> impl FnOnce(MlsError) -> Self {
        move |_| Self::Malformed(name)
    }
}
