//! Judging a group as a whole.

use std::collections::BTreeSet;

use openmls::group::GroupContext;
use openmls::prelude::{Extensions, Member};
use ruggine_core::UserId;
use ruggine_core::api::conversation::{ConversationKind, Role};

use super::leaf::{check_together, verified};
use super::{Directory, Entered, Expected, Leaf, Listing, Violation};
use crate::mls::context::ConversationContext;
use crate::mls::{Suite, settings};

/// Judges a group that somebody means to enter.
///
/// Devices that are not listed any more are let pass and reported: somebody has
/// still to remove them. One that was never listed is not.
///
/// # Errors
/// When the group is not the one that was meant, or not one that its members
/// may have made.
pub(crate) fn judge_group(
    context: &GroupContext,
    members: impl Iterator<Item = Member>,
    expected: &Expected,
    directory: &dyn Directory,
) -> Result<Entered, Violation> {
    if Suite::of(context.ciphersuite()).is_none() || context.epoch().as_u64() < expected.epoch {
        return Err(Violation::Unexpected);
    }
    let context = context_of(context.extensions())?;
    let is_meant = context.conversation == expected.conversation
        && context.kind == expected.kind
        && expected
            .peer
            .is_none_or(|peer| context.seat(peer).is_some());
    if !is_meant {
        return Err(Violation::Unexpected);
    }
    let leaves = verified(members)?;
    let present = check_together(leaves.values())?;
    let mut unlisted = Vec::new();
    let mut unknown = BTreeSet::new();
    for certificate in leaves.values() {
        let leaf = Leaf::of(certificate);
        match directory.listing(certificate) {
            Listing::Listed => {}
            Listing::Formerly => unlisted.push(leaf),
            Listing::Never => return Err(Violation::UnlistedDevice(leaf)),
            Listing::UnknownUser => {
                unknown.insert(leaf.user);
            }
        }
    }
    if !unknown.is_empty() {
        return Err(Violation::UnknownUsers(unknown.into_iter().collect()));
    }
    check_seats(&context, &users(&present))?;
    Ok(Entered {
        context,
        leaves: present.into_iter().collect(),
        unlisted,
    })
}

/// The context of a group that is set up exactly as ours are.
pub(super) fn context_of(
    extensions: &Extensions<GroupContext>,
) -> Result<ConversationContext, Violation> {
    let context = ConversationContext::of(extensions)?;
    // Another requirement of capabilities would lock honest members out.
    let expected = settings::extensions(&context).map_err(|_| Violation::Fixed)?;
    if *extensions == expected {
        Ok(context)
    } else {
        Err(Violation::Fixed)
    }
}

pub(super) fn users<'a>(leaves: impl IntoIterator<Item = &'a Leaf>) -> BTreeSet<UserId> {
    leaves.into_iter().map(|leaf| leaf.user).collect()
}

/// Everybody with a device has a seat, every seat without one is an invitation,
/// and a group has an owner who is there.
pub(super) fn check_seats(
    context: &ConversationContext,
    present: &BTreeSet<UserId>,
) -> Result<(), Violation> {
    if let Some(user) = present.iter().find(|user| context.seat(**user).is_none()) {
        return Err(Violation::NoSeat(*user));
    }
    let empty = context
        .seats
        .iter()
        .find(|seat| seat.invitation.is_none() && !present.contains(&seat.user));
    if let Some(seat) = empty {
        return Err(Violation::EmptySeat(seat.user));
    }
    let is_owned = context
        .seats
        .iter()
        .any(|seat| seat.role == Role::Owner && present.contains(&seat.user));
    if context.kind == ConversationKind::Group && !is_owned {
        return Err(Violation::NoOwner);
    }
    Ok(())
}
