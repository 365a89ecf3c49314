//! What would lock honest members out, keep somebody in, or let a device act
//! that must not any more.

use std::collections::BTreeMap;

use openmls::extensions::{Extension, Extensions, RequiredCapabilitiesExtension};
use openmls::group::MlsGroup;
use openmls::messages::proposals::ProposalType;
use openmls::prelude::{Capabilities, CredentialType, ExtensionType, LeafNodeParameters};
use openmls_traits::OpenMlsProvider as _;
use ruggine_core::api::conversation::Role;
use ruggine_core::{ConversationId, DeviceId};
use ruggine_crypto::delivery::DeliveryError;
use ruggine_crypto::identity::DeviceList;
use ruggine_crypto::mls::policy::{Expected, Violation};
use ruggine_crypto::mls::{
    Change, CommitBundle, DeviceKey, Group, MemoryTable, MlsError, Received, Suite,
};

use crate::world::{Client, Room, device_key, expected, later, now, person};

#[test]
fn a_member_cannot_require_what_the_others_cannot_do() {
    let mut room = Room::of(3, Suite::Classical);
    let mallory = &room.clients[2];
    let id = openmls::prelude::GroupId::from_slice(&room.id.0);
    let provider = mallory.provider();
    let mut group = MlsGroup::load(provider.storage(), &id)
        .expect("a step of the scene")
        .expect("a step of the scene");
    let ours = ExtensionType::Unknown(0xF52A);
    let context = group
        .extensions()
        .unknown(0xF52A)
        .expect("a step of the scene")
        .clone();
    let required = RequiredCapabilitiesExtension::new(
        &[ours],
        &[ProposalType::Custom(0xF000)],
        &[CredentialType::Basic],
    );
    let extensions = Extensions::from_vec(vec![
        Extension::RequiredCapabilities(required),
        Extension::Unknown(0xF52A, context),
    ]);
    let capabilities = Capabilities::new(
        None,
        None,
        Some(&[ours, ExtensionType::LastResort]),
        Some(&[ProposalType::Custom(0xF000)]),
        None,
    );
    let leaf = LeafNodeParameters::builder()
        .with_capabilities(capabilities)
        .build();
    let parts = group
        .commit_builder()
        .leaf_node_parameters(leaf)
        .propose_group_context_extensions(extensions.expect("a step of the scene"))
        .expect("a step of the scene")
        .load_psks(provider.storage())
        .expect("a step of the scene")
        .create_group_info(true)
        .build(&mallory.crypto, &mallory.crypto, &device_key(3, 1), |_| {
            true
        })
        .expect("a step of the scene")
        .stage_commit(&provider)
        .expect("a step of the scene");
    let (commit, _, info) = parts.into_messages();
    let made = CommitBundle {
        commit: commit.to_bytes().expect("a step of the scene"),
        welcome: None,
        group_info: info
            .expect("a step of the scene")
            .to_bytes()
            .expect("a step of the scene"),
        epoch: 1,
    };
    let refused = room.server.take(&made, mallory, &room.directory);
    assert!(
        matches!(refused, Err(DeliveryError::Violation(Violation::Fixed))),
        "{refused:?}"
    );
    let heard = room.clients[0].receive(room.id, &made.commit, &room.directory);
    assert!(
        matches!(heard, Err(MlsError::Violation(Violation::Fixed))),
        "{heard:?}"
    );
}

fn ask_to_leave(room: &Room, who: &Client, removed: &Client) -> Result<Vec<u8>, MlsError> {
    who.load(room.id).propose_removal(
        &who.provider(),
        &who.device,
        removed.leaf(),
        &room.directory,
    )
}

#[test]
fn who_has_one_lost_device_removed_is_not_removed_as_a_whole() {
    let mut room = Room::of(3, Suite::Classical);
    let phone = room.people[1].device(2, &mut room.directory);
    let add = Change {
        add: vec![phone.package(Suite::Classical)],
        ..Change::default()
    };
    room.change(1, add);
    let asked = ask_to_leave(&room, &room.clients[1], &phone).expect("a step of the scene");
    room.server
        .propose(&asked, &room.clients[1], &room.directory)
        .expect("a step of the scene");
    room.clients[2]
        .receive(room.id, &asked, &room.directory)
        .expect("a step of the scene");
    let mut context = room.context();
    context.unseat(room.people[1].user);
    let change = Change {
        remove: vec![room.clients[1].leaf()],
        context: Some(context),
        ..Change::default()
    };
    let made = room.clients[2].commit(room.id, change, &room.directory);
    assert!(
        matches!(made, Err(MlsError::Violation(Violation::Forbidden { .. }))),
        "{made:?}"
    );
}

#[test]
fn the_last_owner_who_is_there_cannot_ask_to_leave() {
    let mut room = Room::of(2, Suite::Classical);
    let refused = ask_to_leave(&room, &room.clients[0], &room.clients[0]);
    assert!(
        matches!(refused, Err(MlsError::Violation(Violation::NoOwner))),
        "{refused:?}"
    );
    // Somebody who is only invited owns nothing yet.
    let mut heir = person(9).invited(&room.people[0], later(7));
    heir.role = Role::Owner;
    let mut context = room.context();
    context.seat_user(heir);
    let change = Change {
        context: Some(context),
        ..Change::default()
    };
    room.clients[0] = reload(&room.clients[0], &room);
    room.change(0, change);
    let refused = ask_to_leave(&room, &room.clients[0], &room.clients[0]);
    assert!(
        matches!(refused, Err(MlsError::Violation(Violation::NoOwner))),
        "{refused:?}"
    );
}

/// The refused proposal was written: a caller rolls its transaction back, here
/// the proposal is taken out.
fn reload(client: &Client, room: &Room) -> Client {
    let provider = client.provider();
    let id = openmls::prelude::GroupId::from_slice(&room.id.0);
    let mut group = MlsGroup::load(provider.storage(), &id)
        .expect("a step of the scene")
        .expect("a step of the scene");
    group
        .clear_pending_proposals(provider.storage())
        .expect("a step of the scene");
    let table = MemoryTable::from_bytes(&client.table.to_bytes().expect("a step of the scene"))
        .expect("a step of the scene");
    let leaf = client.leaf();
    let key = device_key(leaf.user.as_bytes()[0], leaf.device.as_bytes()[1]);
    Client::new(key, client.device.certificate().clone(), table)
}

#[test]
fn a_removal_is_asked_for_once() {
    let mut room = Room::of(3, Suite::Classical);
    let leaver = &room.clients[2];
    let before = leaver.table.to_bytes().expect("a step of the scene");
    let first = ask_to_leave(&room, leaver, leaver).expect("a step of the scene");
    room.server
        .propose(&first, leaver, &room.directory)
        .expect("a step of the scene");
    let refused = room.server.propose(&first, leaver, &room.directory);
    assert!(
        matches!(refused, Err(DeliveryError::Violation(Violation::Proposal))),
        "{refused:?}"
    );
    let fresh = Client::new(
        device_key(3, 1),
        leaver.device.certificate().clone(),
        MemoryTable::from_bytes(&before).expect("a step of the scene"),
    );
    let again = ask_to_leave(&room, &fresh, &fresh).expect("a step of the scene");
    let refused = room.server.propose(&again, leaver, &room.directory);
    assert!(
        matches!(refused, Err(DeliveryError::Violation(Violation::Proposal))),
        "{refused:?}"
    );
}

#[test]
fn a_revoked_device_decides_nothing_more() {
    let mut room = Room::of(3, Suite::Classical);
    let phone = room.people[1].device(2, &mut room.directory);
    let add = Change {
        add: vec![phone.package(Suite::Classical)],
        ..Change::default()
    };
    room.change(1, add);
    let stolen = &room.clients[1];
    let made = stolen
        .commit(room.id, Change::default(), &room.directory)
        .expect("a step of the scene");
    room.people[1].revoke(stolen, &mut room.directory);
    let refused = room.server.take(&made, stolen, &room.directory);
    assert!(
        matches!(
            refused,
            Err(DeliveryError::Violation(Violation::UnlistedDevice(_)))
        ),
        "{refused:?}"
    );
    let asked = {
        stolen
            .load(room.id)
            .discard_commit(&stolen.provider())
            .expect("a step of the scene");
        ask_to_leave(&room, stolen, &phone)
    };
    assert!(
        matches!(
            asked,
            Err(MlsError::Violation(Violation::UnlistedDevice(_)))
        ),
        "{asked:?}"
    );
}

#[test]
fn who_is_behind_follows_a_device_that_was_revoked_since() {
    let mut room = Room::of(2, Suite::Classical);
    let mut lists: BTreeMap<_, Vec<DeviceList>> = BTreeMap::new();
    let note = |room: &Room, lists: &mut BTreeMap<_, Vec<DeviceList>>| {
        for (user, list) in &room.directory {
            let known = lists.entry(*user).or_default();
            if known.last() != Some(list) {
                known.push(list.clone());
            }
        }
    };
    note(&room, &mut lists);
    let phone = room.people[0].device(2, &mut room.directory);
    note(&room, &mut lists);
    let add = Change {
        add: vec![phone.package(Suite::Classical)],
        ..Change::default()
    };
    let owner = &room.clients[0];
    let made = owner
        .commit(room.id, add, &room.directory)
        .expect("a step of the scene");
    room.server
        .take(&made, owner, &room.directory)
        .expect("a step of the scene");
    room.people[0].revoke(&phone, &mut room.directory);
    note(&room, &mut lists);

    let behind = &room.clients[1];
    let heard = behind.receive(room.id, &made.commit, &room.directory);
    assert!(
        matches!(
            heard,
            Err(MlsError::Violation(Violation::UnlistedDevice(_)))
        ),
        "{heard:?}"
    );
    let mut group = behind.load(room.id);
    let heard = group.receive(&behind.provider(), &made.commit, &lists, now());
    assert!(matches!(heard, Ok(Received::Commit(_))), "{heard:?}");
    // The maker takes its change over, whatever has become of the device.
    owner.accept(room.id);
    // And anybody may remove it now.
    let remove = Change {
        remove: vec![phone.leaf()],
        ..Change::default()
    };
    let mut group = behind.load(room.id);
    group
        .commit(&behind.provider(), &behind.device, remove, &lists, now())
        .expect("a step of the scene");
}

#[test]
fn a_device_id_belongs_to_one_device_of_a_group() {
    let mut room = Room::of(2, Suite::Classical);
    let mallory = person(3);
    let key = DeviceKey::from_seed(&[77; 32]);
    let taken: DeviceId = room.clients[0].leaf().device;
    let certificate = mallory.certify(&key, taken);
    mallory.list(vec![certificate.clone()], &mut room.directory);
    let client = Client::new(key, certificate, MemoryTable::default());
    let mut context = room.context();
    context.seat_user(mallory.seat(Role::Member));
    let change = Change {
        add: vec![client.package(Suite::Classical)],
        context: Some(context),
        ..Change::default()
    };
    let made = room.clients[0].commit(room.id, change, &room.directory);
    assert!(
        matches!(made, Err(MlsError::Violation(Violation::Twice(_)))),
        "{made:?}"
    );
}

#[test]
fn an_admin_cannot_renew_the_invitation_of_an_owner() {
    let mut room = Room::of(2, Suite::Classical);
    let mut context = room.context();
    context.seat_user(room.people[1].seat(Role::Admin));
    let mut heir = person(9).invited(&room.people[0], later(-1));
    heir.role = Role::Owner;
    context.seat_user(heir);
    let change = Change {
        context: Some(context.clone()),
        ..Change::default()
    };
    room.change(0, change);
    heir.invitation = person(9).invited(&room.people[1], later(7)).invitation;
    context.seat_user(heir);
    let change = Change {
        context: Some(context),
        ..Change::default()
    };
    let made = room.clients[1].commit(room.id, change, &room.directory);
    assert!(
        matches!(made, Err(MlsError::Violation(Violation::Forbidden { .. }))),
        "{made:?}"
    );
}

#[test]
fn a_group_of_another_conversation_is_not_written_over() {
    let room = Room::of(2, Suite::Classical);
    let client = &room.clients[1];
    let other = Expected {
        conversation: ConversationId::from_bytes([8; 16]),
        ..expected()
    };
    let refused = Group::join_externally(
        &client.crypto,
        &client.table,
        &client.device,
        &room.server.state(),
        &other,
        &room.directory,
    );
    assert!(matches!(refused, Err(MlsError::OtherGroup)), "{refused:?}");
    // Nor is an epoch entered that the device has left behind.
    let old = Expected {
        epoch: 9,
        ..expected()
    };
    let refused = Group::join_externally(
        &client.crypto,
        &client.table,
        &client.device,
        &room.server.state(),
        &old,
        &room.directory,
    );
    assert!(
        matches!(refused, Err(MlsError::Violation(Violation::Unexpected))),
        "{refused:?}"
    );
}

#[test]
fn after_the_own_removal_nothing_of_the_group_is_left() {
    let mut room = Room::of(2, Suite::Classical);
    let mut context = room.context();
    context.unseat(room.people[1].user);
    let change = Change {
        remove: vec![room.clients[1].leaf()],
        context: Some(context),
        ..Change::default()
    };
    room.change(0, change);
    let removed = &room.clients[1];
    removed
        .load(room.id)
        .delete(&removed.provider())
        .expect("a step of the scene");
    assert!(removed.table.is_empty(), "{} keys", removed.table.len());
}
