//! A group lives: it begins, grows, shrinks, and everybody stays in step.

use ruggine_core::api::conversation::Role;
use ruggine_crypto::mls::{Change, MlsError, Received, Suite};

use crate::world::{Room, now, person};

#[test]
fn everybody_reads_what_everybody_writes_in_both_suites() {
    for suite in Suite::ALL {
        let room = Room::of(3, suite);
        room.check();
        assert_eq!(
            room.clients[1]
                .load(room.id)
                .suite()
                .expect("a step of the scene"),
            suite
        );
    }
}

#[test]
fn an_update_of_the_own_keys_begins_an_epoch_and_changes_nobody() {
    let mut room = Room::of(3, Suite::Classical);
    let judged = room.change(1, Change::default());
    assert_eq!((judged.joined.len(), judged.left.len()), (0, 0));
    assert_eq!(judged.committer, room.clients[1].leaf());
    room.check();
}

#[test]
fn who_is_removed_reads_nothing_more_and_knows_it() {
    let mut room = Room::of(3, Suite::Classical);
    let mut context = room.context();
    context.unseat(room.people[2].user);
    let removed = room.clients[2].leaf();
    let change = Change {
        remove: vec![removed],
        context: Some(context),
        ..Change::default()
    };
    let judged = room.change(0, change);
    assert_eq!(judged.left, [removed]);
    let sealed = room.clients[0].seal(room.id, "without you");
    let heard = room.clients[2].receive(room.id, &sealed, &room.directory);
    assert!(
        matches!(heard, Err(MlsError::Removed | MlsError::WrongEpoch { .. })),
        "{heard:?}"
    );
    room.check();
}

#[test]
fn a_device_may_leave_by_asking_the_others() {
    let mut room = Room::of(3, Suite::Classical);
    let leaver = &room.clients[2];
    let proposal = leaver
        .load(room.id)
        .propose_removal(
            &leaver.provider(),
            &leaver.device,
            leaver.leaf(),
            &room.directory,
        )
        .expect("a step of the scene");
    room.server
        .propose(&proposal, leaver, &room.directory)
        .expect("a step of the scene");
    for other in &room.clients[..2] {
        let heard = other.receive(room.id, &proposal, &room.directory);
        assert!(matches!(heard, Ok(Received::Proposal)), "{heard:?}");
    }
    let sealed = room.clients[1].load(room.id).seal(
        &room.clients[1].provider(),
        &room.clients[1].device,
        b"",
        b"too early",
    );
    assert!(matches!(sealed, Err(MlsError::ProposalPending)));
    // A plain member may commit it, and strikes the seat with it.
    let leavers = room.clients[1]
        .load(room.id)
        .leavers()
        .expect("a step of the scene");
    assert_eq!(leavers, [room.clients[2].leaf()]);
    let mut context = room.context();
    context.unseat(room.people[2].user);
    let change = Change {
        context: Some(context),
        ..Change::default()
    };
    let judged = room.change(1, change);
    assert_eq!(judged.left, [room.clients[2].leaf()]);
    room.check();
}

#[test]
fn while_a_change_waits_nothing_is_sealed_and_a_lost_one_is_given_up() {
    let mut room = Room::of(2, Suite::Classical);
    let (one, other) = (&room.clients[0], &room.clients[1]);
    let lost = one
        .commit(room.id, Change::default(), &room.directory)
        .expect("a step of the scene");
    let mut waiting = one.load(room.id);
    assert!(waiting.has_pending_commit());
    let sealed = waiting.seal(&one.provider(), &one.device, b"", b"x");
    assert!(matches!(sealed, Err(MlsError::CommitPending)));
    let again = one.commit(room.id, Change::default(), &room.directory);
    assert!(matches!(again, Err(MlsError::CommitPending)));

    let won = other
        .commit(room.id, Change::default(), &room.directory)
        .expect("a step of the scene");
    room.server
        .take(&won, other, &room.directory)
        .expect("a step of the scene");
    other.accept(room.id);
    assert!(room.server.take(&lost, one, &room.directory).is_err());
    let mut group = one.load(room.id);
    group
        .discard_commit(&one.provider())
        .expect("a step of the scene");
    let heard = group.receive(&one.provider(), &won.commit, &room.directory, now());
    assert!(matches!(heard, Ok(Received::Commit(_))), "{heard:?}");
    room.check();
}

#[test]
fn the_own_change_that_comes_back_in_the_log_is_taken_over() {
    let mut room = Room::of(2, Suite::Classical);
    let (one, other) = (&room.clients[0], &room.clients[1]);
    let bundle = one
        .commit(room.id, Change::default(), &room.directory)
        .expect("a step of the scene");
    room.server
        .take(&bundle, one, &room.directory)
        .expect("a step of the scene");
    let heard = one.receive(room.id, &bundle.commit, &room.directory);
    assert!(matches!(heard, Ok(Received::OwnCommit(_))), "{heard:?}");
    other
        .receive(room.id, &bundle.commit, &room.directory)
        .expect("a step of the scene");
    room.check();
}

#[test]
fn a_message_opens_once_and_in_its_epoch_only() {
    let mut room = Room::of(2, Suite::Classical);
    let sealed = room.clients[0].seal(room.id, "once");
    room.clients[1].open(room.id, &sealed, &room.directory);
    let again = room.clients[1].receive(room.id, &sealed, &room.directory);
    assert!(matches!(again, Err(MlsError::Invalid(_))), "{again:?}");
    let late = room.clients[0].seal(room.id, "late");
    room.change(0, Change::default());
    let heard = room.clients[1].receive(room.id, &late, &room.directory);
    assert!(
        matches!(
            heard,
            Err(MlsError::WrongEpoch {
                group: 2,
                message: 1
            })
        ),
        "{heard:?}"
    );
    let own = room.clients[0].seal(room.id, "mine");
    let heard = room.clients[0].receive(room.id, &own, &room.directory);
    assert!(matches!(heard, Err(MlsError::Own)), "{heard:?}");
    room.clients[1].open(room.id, &own, &room.directory);
}

#[test]
fn a_further_device_of_a_member_is_added_by_anybody() {
    let mut room = Room::of(2, Suite::Classical);
    let phone = room.people[0].device(2, &mut room.directory);
    let leaf = phone.leaf();
    let change = Change {
        add: vec![phone.package(Suite::Classical)],
        ..Change::default()
    };
    let client = &room.clients[1];
    let bundle = client
        .commit(room.id, change, &room.directory)
        .expect("a step of the scene");
    let judged = room
        .server
        .take(&bundle, client, &room.directory)
        .expect("a step of the scene");
    assert_eq!(judged.joined, [leaf]);
    client.accept(room.id);
    room.clients[0]
        .receive(room.id, &bundle.commit, &room.directory)
        .expect("a step of the scene");
    let tree = room.server.state().ratchet_tree;
    let welcome = bundle.welcome.expect("a step of the scene");
    phone
        .join(&welcome, &tree, &room.directory)
        .expect("a step of the scene");
    room.clients.push(phone);
    room.check();
}

#[test]
fn what_a_group_prints_is_no_secret() {
    let room = Room::of(2, Suite::Classical);
    let group = room.clients[0].load(room.id);
    let printed = format!("{group:?} {:?}", room.clients[0].device);
    let epoch = format!("{:?}", group.epoch_authenticator());
    assert!(!printed.contains(&epoch));
    assert!(printed.starts_with("Group { id: GroupId("), "{printed}");
    assert!(printed.contains("DeviceKey { .. }"), "{printed}");
    assert!(format!("{:?}", room.clients[0].table).ends_with("{ .. }"));
    let opened = room.clients[1].open(
        room.id,
        &room.clients[0].seal(room.id, "perché"),
        &room.directory,
    );
    assert!(!format!("{opened:?}").contains("112"), "{opened:?}");
}

#[test]
fn a_new_owner_can_be_made_and_the_last_one_not_unmade() {
    let mut room = Room::of(2, Suite::Classical);
    let mut context = room.context();
    context.seat_user(room.people[0].seat(Role::Member));
    let change = Change {
        context: Some(context.clone()),
        ..Change::default()
    };
    let refused = room.clients[0].commit(room.id, change, &room.directory);
    assert!(matches!(refused, Err(MlsError::Context(_))), "{refused:?}");
    context.seat_user(room.people[1].seat(Role::Owner));
    let change = Change {
        context: Some(context),
        ..Change::default()
    };
    room.change(0, change);
    let seat = *room
        .context()
        .seat(person(2).user)
        .expect("a step of the scene");
    assert_eq!(seat.role, Role::Owner);
    room.check();
}
