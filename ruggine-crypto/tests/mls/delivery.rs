//! What the server takes and what it refuses, before anybody else sees it.

use openmls::group::MlsGroup;
use openmls_traits::OpenMlsProvider as _;
use ruggine_core::ConversationId;
use ruggine_core::api::conversation::Role;
use ruggine_crypto::delivery::{DeliveryError, HeaderKind, PublicState, header};
use ruggine_crypto::mls::policy::{Expected, Violation};
use ruggine_crypto::mls::{Change, CommitBundle, MlsError, Suite};

use crate::world::{Client, Room, Server, context, device_key, expected, now, person};

fn bundle(room: &Room, by: usize) -> CommitBundle {
    let made = room.clients[by].commit(room.id, Change::default(), &room.directory);
    made.expect("a step of the scene")
}

#[test]
fn the_server_knows_who_is_in_the_group_and_not_what_is_said() {
    let room = Room::of(3, Suite::PostQuantum);
    let public = room.server.public();
    assert_eq!(
        public.leaves().expect("a step of the scene"),
        room.clients[0]
            .load(room.id)
            .leaves()
            .expect("a step of the scene")
    );
    assert_eq!(
        public.context().expect("a step of the scene"),
        room.context()
    );
    assert_eq!(public.suite(), Some(Suite::PostQuantum));
    let sealed = room.clients[0].seal(room.id, "secret words");
    let read = header(&sealed).expect("a step of the scene");
    assert_eq!((read.group, read.epoch), (room.id, 1));
    assert_eq!(read.kind, HeaderKind::Application);
    assert!(!sealed.windows(6).any(|part| part == b"secret"));
}

#[test]
fn a_group_begins_with_its_creator_alone_and_for_its_conversation() {
    let ada = person(1);
    let mut directory = crate::world::Directory::new();
    let client = ada.device(1, &mut directory);
    let (_, state) = client.create(Suite::Classical, &context(&ada));
    let establish = |conversation: u8, creator| {
        PublicState::establish(
            &client.crypto,
            &state,
            &Expected {
                conversation: ConversationId::from_bytes([conversation; 16]),
                ..expected()
            },
            creator,
            &directory,
            now(),
        )
    };
    let other = establish(8, client.leaf());
    assert!(
        matches!(other, Err(DeliveryError::Violation(Violation::Unexpected))),
        "{other:?}"
    );
    let stranger = person(2).unlisted(1).leaf();
    let other = establish(7, stranger);
    assert!(
        matches!(other, Err(DeliveryError::OtherSender)),
        "{other:?}"
    );
    establish(7, client.leaf()).expect("a step of the scene");
    // A group that has gone on is not new.
    let room = Room::of(2, Suite::Classical);
    let late = Server::establish(
        room.id,
        &room.server.state(),
        &room.clients[0],
        &room.directory,
    );
    assert!(matches!(late, Err(DeliveryError::StaleEpoch { .. })));
}

#[test]
fn one_commit_wins_an_epoch() {
    let mut room = Room::of(2, Suite::Classical);
    let (first, second) = (bundle(&room, 0), bundle(&room, 1));
    room.server
        .take(&first, &room.clients[0], &room.directory)
        .expect("a step of the scene");
    let refused = room.server.take(&second, &room.clients[1], &room.directory);
    assert!(
        matches!(
            refused,
            Err(DeliveryError::StaleEpoch {
                group: 2,
                commit: 1
            })
        ),
        "{refused:?}"
    );
}

#[test]
fn a_bundle_whose_parts_do_not_belong_together_is_refused() {
    let mut room = Room::of(3, Suite::Classical);
    let good = bundle(&room, 0);
    let other = bundle(&room, 1);
    let old = room.server.info.clone();
    for info in [
        other.group_info.clone(),
        old,
        good.commit.clone(),
        Vec::new(),
    ] {
        let mut bad = good.clone();
        bad.group_info = info;
        let refused = room.server.take(&bad, &room.clients[0], &room.directory);
        assert!(
            matches!(
                refused,
                Err(DeliveryError::GroupInfo | DeliveryError::Malformed("GroupInfo"))
            ),
            "{refused:?}"
        );
    }
    let mut bad = good.clone();
    bad.welcome = Some(good.group_info.clone());
    let refused = room.server.take(&bad, &room.clients[0], &room.directory);
    assert!(
        matches!(refused, Err(DeliveryError::Malformed("welcome"))),
        "{refused:?}"
    );
    let refused = room.server.take(&good, &room.clients[2], &room.directory);
    assert!(
        matches!(refused, Err(DeliveryError::OtherSender)),
        "{refused:?}"
    );
    room.server
        .take(&good, &room.clients[0], &room.directory)
        .expect("a step of the scene");
}

#[test]
fn every_bit_of_a_signed_group_info_counts() {
    let mut room = Room::of(2, Suite::Classical);
    let good = bundle(&room, 0);
    for index in 0..good.group_info.len() {
        let mut bad = good.clone();
        bad.group_info[index] ^= 1;
        let refused = room.server.take(&bad, &room.clients[0], &room.directory);
        assert!(refused.is_err(), "byte {index}");
    }
    // The last bytes are the membership tag, which a server cannot check.
    for index in 0..good.commit.len() - 32 {
        let mut bad = good.clone();
        bad.commit[index] ^= 1;
        let refused = room.server.take(&bad, &room.clients[0], &room.directory);
        assert!(refused.is_err(), "byte {index}");
    }
}

#[test]
fn a_welcome_that_is_missing_or_another_ones_is_refused() {
    let mut room = Room::of(2, Suite::Classical);
    let cleo = person(3);
    let client = cleo.device(1, &mut room.directory);
    let mut new = room.context();
    new.seat_user(cleo.seat(Role::Member));
    let change = || Change {
        add: vec![client.package(Suite::Classical)],
        context: Some(new.clone()),
        ..Change::default()
    };
    let owner = &room.clients[0];
    let good = owner
        .commit(room.id, change(), &room.directory)
        .expect("a step of the scene");
    owner
        .load(room.id)
        .discard_commit(&owner.provider())
        .expect("a step of the scene");
    let other = owner
        .commit(room.id, change(), &room.directory)
        .expect("a step of the scene");
    for welcome in [None, other.welcome] {
        let mut bad = good.clone();
        bad.welcome = welcome;
        let refused = room.server.take(&bad, owner, &room.directory);
        assert!(
            matches!(refused, Err(DeliveryError::Welcome)),
            "{refused:?}"
        );
    }
    room.server
        .take(&good, owner, &room.directory)
        .expect("a step of the scene");
}

#[test]
fn what_is_too_long_is_refused_before_it_is_read() {
    let mut room = Room::of(2, Suite::Classical);
    let good = bundle(&room, 0);
    let mut bad = good.clone();
    bad.commit = vec![0; 256 * 1024 + 1];
    let refused = room.server.take(&bad, &room.clients[0], &room.directory);
    assert!(matches!(refused, Err(DeliveryError::TooLong("commit"))));
    let mut bad = good.clone();
    bad.welcome = Some(vec![0; 4 * 1024 * 1024 + 1]);
    let refused = room.server.take(&bad, &room.clients[0], &room.directory);
    assert!(matches!(refused, Err(DeliveryError::TooLong("welcome"))));
    let mut bad = good;
    bad.group_info = vec![0; 512 * 1024 + 1];
    let refused = room.server.take(&bad, &room.clients[0], &room.directory);
    assert!(matches!(refused, Err(DeliveryError::TooLong("GroupInfo"))));
}

#[test]
fn a_member_cannot_propose_the_removal_of_another() {
    let mut room = Room::of(3, Suite::Classical);
    let client = &room.clients[1];
    let proposal = client.load(room.id).propose_removal(
        &client.provider(),
        &client.device,
        room.clients[2].leaf(),
        &room.directory,
    );
    assert!(
        matches!(proposal, Err(MlsError::Violation(Violation::Proposal))),
        "{proposal:?}"
    );
    let proposal = foreign_removal(&room, client, 2);
    let refused = room.server.propose(&proposal, client, &room.directory);
    assert!(
        matches!(refused, Err(DeliveryError::Violation(Violation::Proposal))),
        "{refused:?}"
    );
    let heard = room.clients[0].receive(room.id, &proposal, &room.directory);
    assert!(heard.is_err(), "{heard:?}");
}

#[test]
fn nonsense_is_refused_everywhere_and_nothing_breaks() {
    let mut room = Room::of(2, Suite::Classical);
    let good = bundle(&room, 0);
    for bytes in [
        Vec::new(),
        vec![0xff; 64],
        vec![0; 64],
        good.commit[..20].to_vec(),
    ] {
        assert!(header(&bytes).is_err());
        let mut bad = good.clone();
        bad.commit = bytes;
        assert!(
            room.server
                .take(&bad, &room.clients[0], &room.directory)
                .is_err()
        );
    }
    assert!(PublicState::from_bytes(b"x", room.id).is_err());
}

/// A proposal to remove another, by a member that does not follow our rules.
fn foreign_removal(room: &Room, client: &Client, other: usize) -> Vec<u8> {
    let group = openmls::prelude::GroupId::from_slice(&room.id.0);
    let provider = client.provider();
    let mut group = MlsGroup::load(provider.storage(), &group)
        .expect("a step of the scene")
        .expect("a step of the scene");
    let key = room.clients[other].device.certificate().signature_key();
    let index = group
        .members()
        .find(|member| member.signature_key == key)
        .expect("a step of the scene")
        .index;
    let user = client.leaf().user.as_bytes()[0];
    let (proposal, _) = group
        .propose_remove_member(&provider, &device_key(user, 1), index)
        .expect("a step of the scene");
    proposal.to_bytes().expect("a step of the scene")
}
