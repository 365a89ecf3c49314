//! Who may do what in a conversation: one table for the engine and for clients,
//! which must not trust a server to have applied it.

use crate::api::conversation::Role;

/// Something that a member may try in a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Action {
    /// Send a message, or show that one is being typed.
    Send,
    /// Read the log within one's own window.
    Read,
    /// Change the title.
    ChangeTitle,
    /// Add somebody.
    AddMember,
    /// Remove somebody else who has this role.
    RemoveMember(Role),
    /// Give somebody else, who has the first role, the second one.
    ChangeRole(Role, Role),
    /// Leave.
    Leave,
}

/// Whether a member with `role` may do `action`.
///
/// An owner may do everything; an admin everything that touches only plain
/// members and does not make admins; a role that this build does not know may
/// read and leave. That a group keeps its last owner is a rule about the whole
/// roster and is checked where the roster is written.
///
/// ```
/// use ruggine_core::api::conversation::Role;
/// use ruggine_core::policy::{Action, allows};
/// assert!(allows(Role::Admin, Action::RemoveMember(Role::Member)));
/// assert!(!allows(Role::Admin, Action::RemoveMember(Role::Owner)));
/// ```
#[must_use]
pub const fn allows(role: Role, action: Action) -> bool {
    match (role, action) {
        (_, Action::Read | Action::Leave) => true,
        // Nobody can be given a role that this build does not understand.
        (_, Action::ChangeRole(_, Role::Unknown)) => false,
        (Role::Owner, _) => true,
        (Role::Admin, Action::Send | Action::ChangeTitle | Action::AddMember) => true,
        (Role::Admin, Action::RemoveMember(target)) => matches!(target, Role::Member),
        (Role::Member, Action::Send) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROLES: [Role; 4] = [Role::Owner, Role::Admin, Role::Member, Role::Unknown];

    #[test]
    fn only_owners_touch_owners_and_admins() {
        for actor in [Role::Admin, Role::Member, Role::Unknown] {
            for target in [Role::Owner, Role::Admin] {
                assert!(!allows(actor, Action::RemoveMember(target)));
            }
            for from in ROLES {
                for to in ROLES {
                    assert!(!allows(actor, Action::ChangeRole(from, to)));
                }
            }
        }
        assert!(allows(Role::Owner, Action::RemoveMember(Role::Owner)));
        assert!(allows(
            Role::Owner,
            Action::ChangeRole(Role::Member, Role::Admin)
        ));
    }

    #[test]
    fn everybody_may_leave_and_an_unknown_role_may_do_little_else() {
        for role in ROLES {
            assert!(allows(role, Action::Leave));
        }
        assert!(!allows(Role::Unknown, Action::Send));
        assert!(!allows(Role::Unknown, Action::AddMember));
        assert!(!allows(
            Role::Owner,
            Action::ChangeRole(Role::Member, Role::Unknown)
        ));
    }
}
