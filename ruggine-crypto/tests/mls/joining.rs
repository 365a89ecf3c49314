//! Entering a group on one's own, by an invitation or as a further device.

use ruggine_core::api::conversation::Role;
use ruggine_crypto::delivery::DeliveryError;
use ruggine_crypto::mls::policy::Violation;
use ruggine_crypto::mls::{Change, ExternalJoin, Group, MlsError, Received, Suite};

use crate::world::{Client, Directory, Room, expected, later, person};

fn join(room: &Room, client: &Client) -> Result<ExternalJoin, MlsError> {
    Group::join_externally(
        &client.crypto,
        &client.table,
        &client.device,
        &room.server.state(),
        &expected(),
        &room.directory,
    )
}

/// The server takes the join and everybody who is inside hears of it.
fn enter(room: &mut Room, client: &Client) {
    let join = join(room, client).expect("a step of the scene");
    room.server
        .take(&join.bundle, client, &room.directory)
        .expect("a step of the scene");
    for other in &room.clients {
        if other.leaf() == client.leaf() {
            continue;
        }
        let heard = other.receive(room.id, &join.bundle.commit, &room.directory);
        assert!(matches!(heard, Ok(Received::Commit(_))), "{heard:?}");
    }
    ExternalJoin::promote(&client.provider(), join.id, &join.changes).expect("a step of the scene");
}

fn invite(room: &mut Room, until: i64) -> Client {
    let guest = person(9);
    let client = guest.device(1, &mut room.directory);
    let mut context = room.context();
    context.seat_user(guest.invited(&room.people[0], later(until)));
    let change = Change {
        context: Some(context),
        ..Change::default()
    };
    room.change(0, change);
    client
}

#[test]
fn who_is_invited_joins_while_nobody_else_is_there() {
    for suite in Suite::ALL {
        let mut room = Room::of(2, suite);
        let guest = invite(&mut room, 7);
        enter(&mut room, &guest);
        room.clients.push(guest);
        room.check();
    }
}

#[test]
fn who_is_not_invited_or_too_late_is_refused_by_server_and_members() {
    let mut room = Room::of(2, Suite::Classical);
    let stranger = person(8).device(1, &mut room.directory);
    let refused = join(&room, &stranger);
    assert!(
        matches!(refused, Err(MlsError::Violation(Violation::NoSeat(_)))),
        "{refused:?}"
    );
    let late = invite(&mut room, -1);
    let join = join(&room, &late).expect("a step of the scene");
    let refused = room.server.take(&join.bundle, &late, &room.directory);
    assert!(
        matches!(
            refused,
            Err(DeliveryError::Violation(Violation::NotInvited(_)))
        ),
        "{refused:?}"
    );
    let heard = room.clients[0].receive(room.id, &join.bundle.commit, &room.directory);
    assert!(
        matches!(heard, Err(MlsError::Violation(Violation::NotInvited(_)))),
        "{heard:?}"
    );
}

#[test]
fn nothing_of_a_join_is_in_the_table_before_it_has_won() {
    let mut room = Room::of(2, Suite::Classical);
    let guest = invite(&mut room, 7);
    let before = guest.table.len();
    let lost = join(&room, &guest).expect("a step of the scene");
    assert_eq!(guest.table.len(), before);
    assert!(
        Group::load(&guest.provider(), room.id)
            .expect("a step of the scene")
            .is_none()
    );
    room.change(1, Change::default());
    let refused = room.server.take(&lost.bundle, &guest, &room.directory);
    assert!(
        matches!(
            refused,
            Err(DeliveryError::StaleEpoch {
                group: 3,
                commit: 2
            })
        ),
        "{refused:?}"
    );
    enter(&mut room, &guest);
    room.clients.push(guest);
    room.check();
}

#[test]
fn a_further_device_of_a_member_joins_without_being_added() {
    let mut room = Room::of(2, Suite::Classical);
    let phone = room.people[1].device(2, &mut room.directory);
    enter(&mut room, &phone);
    room.clients.push(phone);
    room.check();
}

#[test]
fn a_device_that_lost_its_group_comes_back_in_place_of_its_old_leaf() {
    let mut room = Room::of(3, Suite::Classical);
    let broken = &room.clients[1];
    let group = broken.load(room.id);
    group
        .delete(&broken.provider())
        .expect("a step of the scene");
    let join = join(&room, broken).expect("a step of the scene");
    let judged = room
        .server
        .take(&join.bundle, broken, &room.directory)
        .expect("a step of the scene");
    assert_eq!((judged.joined.len(), judged.left.len()), (0, 0));
    for other in [&room.clients[0], &room.clients[2]] {
        other
            .receive(room.id, &join.bundle.commit, &room.directory)
            .expect("a step of the scene");
    }
    ExternalJoin::promote(&broken.provider(), join.id, &join.changes).expect("a step of the scene");
    assert_eq!(
        broken
            .load(room.id)
            .leaves()
            .expect("a step of the scene")
            .len(),
        3
    );
    room.check();
}

#[test]
fn an_old_invitation_does_not_let_a_removed_member_in_again() {
    let mut room = Room::of(2, Suite::Classical);
    let guest = invite(&mut room, 7);
    enter(&mut room, &guest);
    room.clients.push(guest);
    let leaf = room.clients[2].leaf();
    // To remove the device and leave the seat is refused.
    let change = Change {
        remove: vec![leaf],
        ..Change::default()
    };
    let refused = room.clients[0].commit(room.id, change, &room.directory);
    assert!(
        matches!(refused, Err(MlsError::Violation(Violation::EmptySeat(_)))),
        "{refused:?}"
    );
    let mut owner = room.clients[0].load(room.id);
    owner
        .discard_commit(&room.clients[0].provider())
        .expect("a step of the scene");
    let mut context = room.context();
    context.unseat(leaf.user);
    let change = Change {
        remove: vec![leaf],
        context: Some(context),
        ..Change::default()
    };
    room.change(0, change);
    let refused = join(&room, &room.clients[2]);
    assert!(
        matches!(refused, Err(MlsError::Violation(Violation::NoSeat(_)))),
        "{refused:?}"
    );
}

#[test]
fn the_leftmost_empty_leaf_is_taken_by_who_joins() {
    let mut room = Room::of(3, Suite::Classical);
    let mut context = room.context();
    context.seat_user(room.people[1].seat(Role::Owner));
    let change = Change {
        context: Some(context.clone()),
        ..Change::default()
    };
    room.change(0, change);
    context.unseat(room.people[0].user);
    let change = Change {
        remove: vec![room.clients[0].leaf()],
        context: Some(context),
        ..Change::default()
    };
    room.change(1, change);
    room.clients.remove(0);
    let removed = room.people.remove(0);
    let guest = invite(&mut room, 7);
    assert_ne!(guest.leaf().user, removed.user);
    enter(&mut room, &guest);
    room.clients.push(guest);
    room.check();
}

#[test]
fn a_welcome_opens_once_and_for_nobody_else() {
    let room = Room::of(1, Suite::Classical);
    let mut directory = room.directory.clone();
    let (bob, eve) = (person(2), person(3));
    let b = bob.device(1, &mut directory);
    let e = eve.device(1, &mut directory);
    let mut context = room.context();
    context.seat_user(bob.seat(Role::Member));
    let change = Change {
        add: vec![b.package(Suite::Classical)],
        context: Some(context),
        ..Change::default()
    };
    let bundle = room.clients[0]
        .commit(room.id, change, &directory)
        .expect("a step of the scene");
    let mut server = room.server;
    server
        .take(&bundle, &room.clients[0], &directory)
        .expect("a step of the scene");
    let tree = server.state().ratchet_tree;
    let welcome = bundle.welcome.expect("a step of the scene");
    let join = |client: &Client, directory: &Directory| client.join(&welcome, &tree, directory);
    assert!(matches!(join(&e, &directory), Err(MlsError::Invalid(_))));
    join(&b, &directory).expect("a step of the scene");
    assert!(matches!(join(&b, &directory), Err(MlsError::Invalid(_))));
}
