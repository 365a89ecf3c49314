//! Judging a group that begins.

use openmls::group::PublicGroup;
use ruggine_core::Timestamp;
use ruggine_core::api::conversation::ConversationKind;

use super::entering::judge_group;
use super::leaf::{check_device, verified};
use super::{Directory, Expected, Leaf, Stance, Violation};
use crate::mls::context::ConversationContext;

/// Judges a group that begins: with one device, that of its creator, who has
/// invited everybody else.
///
/// # Errors
/// When its creator may not have made it.
pub(crate) fn judge_new_group(
    group: &PublicGroup,
    expected: &Expected,
    directory: &dyn Directory,
    at: Timestamp,
) -> Result<(ConversationContext, Leaf), Violation> {
    let leaves = verified(group.members())?;
    for certificate in leaves.values() {
        let suite = u16::from(group.ciphersuite());
        check_device(certificate, suite, directory, at, Stance::Deciding)?;
    }
    let entered = judge_group(group.group_context(), group.members(), expected, directory)?;
    let [creator] = entered.leaves[..] else {
        return Err(Violation::Unexpected);
    };
    let context = entered.context;
    let by_creator = context.seats.iter().all(|seat| {
        seat.user == creator.user
            || seat
                .invitation
                .is_some_and(|invitation| invitation.by == creator.user)
    });
    if !by_creator {
        return Err(Violation::Fixed);
    }
    if context.kind == ConversationKind::Direct && context.seats.len() != 2 {
        return Err(Violation::Unexpected);
    }
    Ok((context, creator))
}
