//! Why a change was not taken over.

use ruggine_core::UserId;
use ruggine_core::policy::Action;

use super::Leaf;
use crate::identity::CertificateError;
use crate::mls::context::InvalidContext;

/// Why a commit was not taken over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// A leaf carries no certificate of ours, or not one for its key.
    #[error("a leaf carries no certificate of its key")]
    NoCertificate,
    /// A certificate is not good.
    #[error("a leaf's certificate is not good: {0}")]
    Certificate(#[from] CertificateError),
    /// Nothing is known of these users' devices: ask for their lists.
    #[error("the devices of {} users are not known", .0.len())]
    UnknownUsers(Vec<UserId>),
    /// The device does not stand in its user's list, as far as it is known.
    #[error("the device {} is not in the list of {}", .0.device, .0.user)]
    UnlistedDevice(Leaf),
    /// The device has not certified the group's suite.
    #[error("the device {} has not certified the group's suite", .0.device)]
    Suite(Leaf),
    /// The device, or its key, is in the group already.
    #[error("the device {} is in the group already", .0.device)]
    Twice(Leaf),
    /// A leaf is not made as ours are: it claims other capabilities, holds
    /// extensions, or a key package that ends.
    #[error("the leaf of {} is not made as it has to be", .0.device)]
    Shape(Leaf),
    /// Nobody could encrypt to the leaf.
    #[error("the leaf of {} has a key that nobody can encrypt to", .0.device)]
    UnusableKey(Leaf),
    /// More devices than a user or a group may have.
    #[error("the group would have too many devices")]
    TooMany,
    /// The group belongs to another conversation, or other people, than was
    /// expected.
    #[error("the group is not the one that was expected")]
    Unexpected,
    /// The group would be left to people who cannot own it.
    #[error("the group would have no owner with a device")]
    NoOwner,
    /// A leaf would become another device's.
    #[error("a leaf was given to another device")]
    IdentitySwap,
    /// The committer's role does not allow it.
    #[error("the role of {user} does not allow it: {action:?}")]
    Forbidden {
        /// The committer.
        user: UserId,
        /// What they tried.
        action: Action,
    },
    /// The committer removes a device that is neither theirs, nor revoked, nor
    /// of somebody who is removed.
    #[error("the device {} may not be removed alone", .0.device)]
    DeviceRemoval(Leaf),
    /// Somebody joins who was not invited, or too late.
    #[error("{0} was not invited")]
    NotInvited(UserId),
    /// Somebody is banned.
    #[error("{0} is banned")]
    Banned(UserId),
    /// A device is in the group whose user has no seat.
    #[error("{0} has no seat")]
    NoSeat(UserId),
    /// Somebody whose last device is gone keeps a seat, or a seat is empty
    /// without an invitation.
    #[error("{0} keeps a seat without a device")]
    EmptySeat(UserId),
    /// A proposal that we do not use, or by somebody who may not make it.
    #[error("a proposal of a kind that is not used")]
    Proposal,
    /// What cannot change was changed.
    #[error("the commit changes what is fixed")]
    Fixed,
    /// The new context breaks a rule.
    #[error(transparent)]
    Context(#[from] InvalidContext),
}
