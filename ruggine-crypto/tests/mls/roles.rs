//! Who may change what: the table of roles, as every member applies it.

use ruggine_core::api::conversation::Role;
use ruggine_crypto::mls::policy::Violation;
use ruggine_crypto::mls::{Change, CommitBundle, ConversationContext, MlsError, Suite};

use crate::world::{Room, later, person};

/// Member `by` changes the context so, and gives it up again.
fn attempt(
    room: &Room,
    by: usize,
    change: impl FnOnce(&mut ConversationContext),
) -> Result<CommitBundle, MlsError> {
    let mut context = room.context();
    change(&mut context);
    let change = Change {
        context: Some(context),
        ..Change::default()
    };
    let client = &room.clients[by];
    let made = client.commit(room.id, change, &room.directory);
    let mut group = client.load(room.id);
    group
        .discard_commit(&client.provider())
        .expect("a step of the scene");
    made
}

/// What they are told by the rules of roles.
fn refused(
    room: &Room,
    by: usize,
    change: impl FnOnce(&mut ConversationContext),
) -> Option<Violation> {
    match attempt(room, by, change) {
        Ok(_) => None,
        Err(MlsError::Violation(violation)) => Some(violation),
        Err(other) => panic!("{other:?}"),
    }
}

fn is_forbidden(outcome: &Option<Violation>) -> bool {
    matches!(outcome, Some(Violation::Forbidden { .. }))
}

fn room_with_admin() -> Room {
    let mut room = Room::of(4, Suite::Classical);
    let mut context = room.context();
    context.seat_user(room.people[1].seat(Role::Admin));
    let change = Change {
        context: Some(context),
        ..Change::default()
    };
    room.change(0, change);
    room
}

#[test]
fn a_plain_member_changes_nothing_of_the_context() {
    let room = room_with_admin();
    let [_, admin, member, _] = [0, 1, 2, 3].map(|index| room.people[index].user);
    let by_member = room.people[2].seat(Role::Admin);
    assert!(is_forbidden(
        &refused(&room, 2, |context| context.seat_user(by_member))
    ));
    let guest = person(9).invited(&room.people[2], later(7));
    assert!(is_forbidden(
        &refused(&room, 2, |context| context.seat_user(guest))
    ));
    let ban = |context: &mut ConversationContext| context.banned.push(person(9).user);
    assert!(is_forbidden(&refused(&room, 2, ban)));
    assert!(refused(&room, 2, |context| context.unseat(admin)).is_some());
    assert!(refused(&room, 2, |context| context.unseat(member)).is_some());
}

#[test]
fn an_admin_invites_and_bans_and_makes_no_admins() {
    let room = room_with_admin();
    let guest = person(9).invited(&room.people[1], later(7));
    assert_eq!(refused(&room, 1, |context| context.seat_user(guest)), None);
    let mut admin = guest;
    admin.role = Role::Admin;
    assert!(is_forbidden(
        &refused(&room, 1, |context| context.seat_user(admin))
    ));
    let ban = |context: &mut ConversationContext| context.banned.push(person(9).user);
    assert_eq!(refused(&room, 1, ban), None);
    for role in [Role::Member, Role::Admin] {
        let seat = room.people[0].seat(role);
        let outcome = attempt(&room, 1, |context| context.seat_user(seat));
        assert!(outcome.is_err(), "{role:?}");
    }
    let promoted = room.people[2].seat(Role::Admin);
    assert!(is_forbidden(
        &refused(&room, 1, |context| context.seat_user(promoted))
    ));
}

#[test]
fn nobody_invites_in_the_name_of_another() {
    let room = room_with_admin();
    let forged = person(9).invited(&room.people[0], later(7));
    let outcome = refused(&room, 1, |context| context.seat_user(forged));
    assert_eq!(outcome, Some(Violation::Fixed));
}

#[test]
fn who_is_banned_is_invited_only_after_the_ban_was_lifted() {
    let mut room = room_with_admin();
    let guest = person(9);
    let mut context = room.context();
    context.banned.push(guest.user);
    let change = Change {
        context: Some(context),
        ..Change::default()
    };
    room.change(0, change);
    let seat = guest.invited(&room.people[0], later(7));
    let outcome = refused(&room, 0, |context| {
        context.banned.clear();
        context.seat_user(seat);
    });
    assert_eq!(outcome, Some(Violation::Banned(guest.user)));
    assert_eq!(refused(&room, 0, |context| context.banned.clear()), None);
}

#[test]
fn an_admin_removes_members_and_neither_owners_nor_one_device_of_somebody() {
    let mut room = room_with_admin();
    let phone = room.people[2].device(2, &mut room.directory);
    let add = Change {
        add: vec![phone.package(Suite::Classical)],
        ..Change::default()
    };
    room.change(2, add);
    let remove = |room: &Room, by: usize, devices: &[usize], unseat: Option<usize>| {
        let mut context = room.context();
        if let Some(index) = unseat {
            context.unseat(room.people[index].user);
        }
        let change = Change {
            remove: devices
                .iter()
                .map(|index| room.clients[*index].leaf())
                .collect(),
            context: Some(context),
            ..Change::default()
        };
        let client = &room.clients[by];
        let made = client.commit(room.id, change, &room.directory);
        client
            .load(room.id)
            .discard_commit(&client.provider())
            .expect("a step of the scene");
        made
    };
    let made = remove(&room, 1, &[0], Some(0));
    assert!(made.is_err(), "an owner");
    let made = remove(&room, 1, &[2], None);
    assert!(
        matches!(made, Err(MlsError::Violation(Violation::DeviceRemoval(_)))),
        "{made:?}"
    );
    let made = remove(&room, 1, &[3], Some(3));
    assert!(made.is_ok(), "{made:?}");
    let made = remove(&room, 2, &[3], Some(3));
    assert!(made.is_err(), "a plain member");
    // A device that its user has revoked is removed by anybody.
    let revoked = &room.clients[2];
    let mut directory = room.directory.clone();
    room.people[2].revoke(revoked, &mut directory);
    room.directory = directory;
    let made = remove(&room, 3, &[2], None);
    assert!(made.is_ok(), "{made:?}");
}

#[test]
fn a_direct_conversation_changes_nobody() {
    use ruggine_core::api::conversation::ConversationKind;
    let (ada, bob) = (person(1), person(2));
    let mut directory = crate::world::Directory::new();
    let a = ada.device(1, &mut directory);
    let b = bob.device(1, &mut directory);
    let mut context = crate::world::context(&ada);
    context.kind = ConversationKind::Direct;
    context.seats = vec![ada.seat(Role::Member), bob.invited(&ada, later(30))];
    let (group, _) = a.create(Suite::PostQuantum, &context);
    let id = group.id();
    let with_guest = {
        let mut context = context.clone();
        context.seats[1] = person(3).invited(&ada, later(30));
        context
    };
    let change = Change {
        context: Some(with_guest),
        ..Change::default()
    };
    let made = a.commit(id, change, &directory);
    assert!(
        matches!(made, Err(MlsError::Violation(Violation::Forbidden { .. }))),
        "{made:?}"
    );
    a.load(id)
        .discard_commit(&a.provider())
        .expect("a step of the scene");
    let change = Change {
        add: vec![b.package(Suite::PostQuantum)],
        ..Change::default()
    };
    a.commit(id, change, &directory)
        .expect("a step of the scene");
}
