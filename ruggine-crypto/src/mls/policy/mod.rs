//! Who may change a group, and how: judged by every member and by the server,
//! with this one function, before a commit is taken over (D7).
//!
//! MLS proves who sent a commit and that it fits the group. It does not know
//! people. What is judged here is: that every leaf belongs to a device that its
//! user has certified and listed, that nobody changes whose leaf it is, and
//! that the committer's role allows what changes in the
//! [context](super::ConversationContext).

mod case;
mod entering;
#[cfg(feature = "delivery")]
mod founding;
mod leaf;
mod violation;

use std::collections::BTreeMap;

use ruggine_core::api::conversation::ConversationKind;
use ruggine_core::{ConversationId, DeviceId, UserId};

pub(crate) use case::{is_timeless, judge, judge_proposal, leavers, outcome};
pub(crate) use entering::judge_group;
#[cfg(feature = "delivery")]
pub(crate) use founding::judge_new_group;
pub use leaf::certificate_of;
pub(crate) use leaf::leaves;
#[cfg(feature = "delivery")]
pub(crate) use leaf::unique_keys;
pub(crate) use leaf::{check_package, check_sender};
pub use violation::Violation;

use super::context::ConversationContext;
use crate::identity::{DeviceCertificate, DeviceList};

/// Devices of a user in one group at the most.
pub const DEVICES_MAX: usize = 10;
/// Devices in a group at the most.
pub const LEAVES_MAX: usize = 1_000;

/// What is known of a device from its user's lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listing {
    /// Nothing is known of the user.
    UnknownUser,
    /// It stands in none of the lists that are known.
    Never,
    /// It stood in an earlier list: it was revoked.
    Formerly,
    /// It stands in the newest list.
    Listed,
}

/// What is known of people's devices, from lists that were checked and pinned.
pub trait Directory {
    /// What is known of a device, by its certificate, byte for byte.
    fn listing(&self, certificate: &DeviceCertificate) -> Listing;
}

/// The newest lists alone: what a server judges by.
impl Directory for BTreeMap<UserId, DeviceList> {
    fn listing(&self, certificate: &DeviceCertificate) -> Listing {
        match self.get(&certificate.user()) {
            None => Listing::UnknownUser,
            Some(list) if list.lists(certificate) => Listing::Listed,
            Some(_) => Listing::Never,
        }
    }
}

/// All lists, ascending: what a member needs to follow a log that it is behind.
impl Directory for BTreeMap<UserId, Vec<DeviceList>> {
    fn listing(&self, certificate: &DeviceCertificate) -> Listing {
        let Some((newest, earlier)) = self
            .get(&certificate.user())
            .and_then(|lists| lists.split_last())
        else {
            return Listing::UnknownUser;
        };
        if newest.lists(certificate) {
            Listing::Listed
        } else if earlier.iter().any(|list| list.lists(certificate)) {
            Listing::Formerly
        } else {
            Listing::Never
        }
    }
}

/// Whether a change is decided on, or was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stance {
    /// It is decided on now, by its maker or by the server: the newest lists count.
    Deciding,
    /// The server took it some time ago: what was listed may have been revoked
    /// since, so any pinned list counts.
    Following,
}

/// A device in a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Leaf {
    /// Whose.
    pub user: UserId,
    /// Which device.
    pub device: DeviceId,
}

impl Leaf {
    pub(crate) fn of(certificate: &DeviceCertificate) -> Self {
        Self {
            user: certificate.user(),
            device: certificate.device(),
        }
    }
}

/// A commit that was found good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// Who made it.
    pub committer: Leaf,
    /// Devices that are in the group with it and were not before.
    pub joined: Vec<Leaf>,
    /// Devices that were in the group and are not with it.
    pub left: Vec<Leaf>,
    /// The context with it.
    pub context: ConversationContext,
}

/// Which group somebody means to enter. A server that offers another one in
/// its place is found out by this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expected {
    /// The conversation that it has to belong to.
    pub conversation: ConversationId,
    /// Of which kind.
    pub kind: ConversationKind,
    /// The other person of a direct conversation.
    pub peer: Option<UserId>,
    /// The earliest epoch that it can be in: the last one that this device knew.
    pub epoch: u64,
}

/// Who is in a group that was entered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entered {
    /// What its members have agreed.
    pub context: ConversationContext,
    /// The devices in it, ascending.
    pub leaves: Vec<Leaf>,
    /// Those of them that their users do not list any more: have them removed
    /// before anything is sent.
    pub unlisted: Vec<Leaf>,
}
