//! What a member or a server tries that MLS alone would let pass.

use openmls::prelude::{BasicCredential, CredentialWithKey, LeafNodeParameters, MlsGroup};
use openmls_traits::OpenMlsProvider as _;
use ruggine_core::DeviceId;
use ruggine_crypto::delivery::DeliveryError;
use ruggine_crypto::mls::policy::Violation;
use ruggine_crypto::mls::{
    Change, CommitBundle, DeviceKey, Group, KeyPackageError, MlsError, NewKeyPackage,
    PublishedKeyPackage, Suite,
};

use crate::world::{Client, Room, device_key, expected, now, person};

/// The group as OpenMLS has it, of a member who does not follow our rules.
fn bare(room: &Room, client: &Client) -> MlsGroup {
    let provider = client.provider();
    let id = openmls::prelude::GroupId::from_slice(&room.id.0);
    MlsGroup::load(provider.storage(), &id)
        .expect("a step of the scene")
        .expect("a step of the scene")
}

fn bundle(parts: openmls::prelude::CommitMessageBundle, epoch: u64) -> CommitBundle {
    let (commit, welcome, info) = parts.into_messages();
    CommitBundle {
        commit: commit.to_bytes().expect("a step of the scene"),
        welcome: welcome.map(|welcome| welcome.to_bytes().expect("a step of the scene")),
        group_info: info
            .expect("a step of the scene")
            .to_bytes()
            .expect("a step of the scene"),
        epoch,
    }
}

#[test]
fn a_ghost_device_is_not_added() {
    let mut room = Room::of(2, Suite::Classical);
    // Certified by somebody who is not Bob, and certified by Bob but not listed.
    let bob = person(2);
    let ghost = bob.unlisted(66);
    let change = Change {
        add: vec![ghost.package(Suite::Classical)],
        ..Change::default()
    };
    let refused = room.clients[0].commit(room.id, change, &room.directory);
    assert!(
        matches!(
            refused,
            Err(MlsError::Violation(Violation::UnlistedDevice(_)))
        ),
        "{refused:?}"
    );
    let owner = &room.clients[0];
    owner
        .load(room.id)
        .discard_commit(&owner.provider())
        .expect("a step of the scene");
    // A member who adds it all the same is refused by everybody.
    let mut group = bare(&room, owner);
    let package = ghost.package(Suite::Classical);
    let read = NewKeyPackage::make(&ghost.provider(), &ghost.device, Suite::Classical, false);
    assert_ne!(
        read.expect("a step of the scene").reference,
        package.reference()
    );
    let parts = group
        .commit_builder()
        .propose_adds([key_package(&ghost)])
        .load_psks(owner.provider().storage())
        .expect("a step of the scene")
        .create_group_info(true)
        .build(&owner.crypto, &owner.crypto, &key_of(owner), |_| true)
        .expect("a step of the scene")
        .stage_commit(&owner.provider())
        .expect("a step of the scene");
    let made = bundle(parts, 1);
    let refused = room.server.take(&made, owner, &room.directory);
    assert!(
        matches!(
            refused,
            Err(DeliveryError::Violation(Violation::UnlistedDevice(_)))
        ),
        "{refused:?}"
    );
    let heard = room.clients[1].receive(room.id, &made.commit, &room.directory);
    assert!(
        matches!(
            heard,
            Err(MlsError::Violation(Violation::UnlistedDevice(_)))
        ),
        "{heard:?}"
    );
}

#[test]
fn a_member_cannot_rename_itself_in_an_update() {
    let mut room = Room::of(3, Suite::Classical);
    let mallory = &room.clients[2];
    let alice = room.clients[0].device.certificate();
    let forged = CredentialWithKey {
        credential: BasicCredential::new(alice.to_bytes()).into(),
        signature_key: mallory.device.certificate().signature_key().to_vec().into(),
    };
    let mut group = bare(&room, mallory);
    let parts = group
        .commit_builder()
        .leaf_node_parameters(
            LeafNodeParameters::builder()
                .with_credential_with_key(forged)
                .build(),
        )
        .load_psks(mallory.provider().storage())
        .expect("a step of the scene")
        .create_group_info(true)
        .build(&mallory.crypto, &mallory.crypto, &key_of(mallory), |_| true)
        .expect("a step of the scene")
        .stage_commit(&mallory.provider())
        .expect("a step of the scene");
    let made = bundle(parts, 1);
    let refused = room.server.take(&made, mallory, &room.directory);
    assert!(
        matches!(
            refused,
            Err(DeliveryError::Violation(Violation::NoCertificate))
        ),
        "{refused:?}"
    );
    for other in &room.clients[..2] {
        let heard = other.receive(room.id, &made.commit, &room.directory);
        assert!(
            matches!(heard, Err(MlsError::Violation(Violation::NoCertificate))),
            "{heard:?}"
        );
    }
    // The group goes on as it was.
    room.clients[2]
        .load(room.id)
        .discard_commit(&room.clients[2].provider())
        .expect("a step of the scene");
    room.check();
}

#[test]
fn a_package_must_be_signed_by_the_key_of_its_certificate() {
    let bob = person(2);
    let honest = bob.unlisted(1);
    let other = DeviceKey::from_seed(&[99; 32]);
    let certificate = bob.certify(&other, DeviceId::from_bytes([99; 16]));
    let credential = CredentialWithKey {
        credential: BasicCredential::new(certificate.to_bytes()).into(),
        signature_key: honest.device.certificate().signature_key().to_vec().into(),
    };
    let package = openmls::prelude::KeyPackage::builder()
        .build(
            openmls::prelude::Ciphersuite::MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519,
            &honest.provider(),
            &key_of(&honest),
            credential,
        )
        .expect("a step of the scene")
        .into_key_package();
    let bytes = openmls::prelude::MlsMessageOut::from(package)
        .to_bytes()
        .expect("a step of the scene");
    let read = PublishedKeyPackage::read(&honest.crypto, &bytes, now());
    assert!(
        matches!(
            read,
            Err(KeyPackageError::Certificate(Violation::NoCertificate))
        ),
        "{read:?}"
    );
}

#[test]
fn a_group_with_a_member_of_an_unknown_account_is_not_entered() {
    let mut room = Room::of(2, Suite::Classical);
    let cleo = person(3).device(1, &mut room.directory);
    let mut context = room.context();
    context.seat_user(person(3).seat(ruggine_core::api::conversation::Role::Member));
    let change = Change {
        add: vec![cleo.package(Suite::Classical)],
        context: Some(context),
        ..Change::default()
    };
    let owner = &room.clients[0];
    let made = owner
        .commit(room.id, change, &room.directory)
        .expect("a step of the scene");
    room.server
        .take(&made, owner, &room.directory)
        .expect("a step of the scene");
    let tree = room.server.state().ratchet_tree;
    // To Cleo, Bob is somebody with another account key.
    let mut swapped = room.directory.clone();
    swapped.remove(&person(2).user);
    let mut impostor = person(2);
    impostor.account =
        ruggine_crypto::identity::AccountKey::from_seed(zeroize::Zeroizing::new([55; 32]));
    impostor.device(1, &mut swapped);
    let welcome = made.welcome.expect("a step of the scene");
    let refused = cleo.join(&welcome, &tree, &swapped);
    assert!(
        matches!(
            refused,
            Err(MlsError::Violation(Violation::UnlistedDevice(_)))
        ),
        "{refused:?}"
    );
}

#[test]
fn a_tree_that_is_not_the_groups_lets_nobody_in() {
    let mut room = Room::of(2, Suite::Classical);
    let phone = room.people[0].device(2, &mut room.directory);
    let mut state = room.server.state();
    state.ratchet_tree = Room::of(2, Suite::Classical).server.state().ratchet_tree;
    let refused = Group::join_externally(
        &phone.crypto,
        &phone.table,
        &phone.device,
        &state,
        &expected(),
        &room.directory,
    );
    assert!(matches!(refused, Err(MlsError::Invalid(_))), "{refused:?}");
}

fn key_of(client: &Client) -> DeviceKey {
    device_key(
        client.leaf().user.as_bytes()[0],
        client.leaf().device.as_bytes()[1],
    )
}

fn key_package(client: &Client) -> openmls::prelude::KeyPackage {
    use openmls::prelude::tls_codec::DeserializeBytes as _;
    use openmls::prelude::{KeyPackageIn, MlsMessageBodyIn, MlsMessageIn, ProtocolVersion};
    let made = NewKeyPackage::make(&client.provider(), &client.device, Suite::Classical, false);
    let message =
        MlsMessageIn::tls_deserialize_exact_bytes(&made.expect("a step of the scene").bytes)
            .expect("a step of the scene");
    let MlsMessageBodyIn::KeyPackage(package) = message.extract() else {
        panic!("not a key package");
    };
    KeyPackageIn::validate(package, &client.crypto, ProtocolVersion::Mls10)
        .expect("a step of the scene")
}
