//! The post-quantum suite has no published vectors of MLS: two implementations
//! of its cryptography, which share no code, are tested against each other.

use openmls_libcrux_crypto::CryptoProvider as Libcrux;
use ruggine_core::api::conversation::Role;
use ruggine_crypto::mls::{
    Change, Device, Group, GroupId, MemoryTable, MlsCrypto, NewKeyPackage, Provider,
    PublishedKeyPackage, Received, Suite,
};

use crate::world::{Directory, context, expected, now, person};

/// A device with the cryptography of its choice.
struct Side<'a, C> {
    device: &'a Device,
    table: &'a MemoryTable,
    crypto: &'a C,
    directory: &'a Directory,
    id: GroupId,
}

impl<C: MlsCrypto> Side<'_, C> {
    fn provider(&self) -> Provider<'_, MemoryTable, C> {
        Provider::new(self.crypto, self.table)
    }

    fn group(&self) -> Group {
        Group::load(&self.provider(), self.id)
            .expect("a step of the scene")
            .expect("a step of the scene")
    }

    fn update(&self) -> Vec<u8> {
        let mut group = self.group();
        let provider = self.provider();
        let change = Change::default();
        let made = group.commit(&provider, self.device, change, self.directory, now());
        let commit = made.expect("a step of the scene").commit;
        group.accept_commit(&provider).expect("a step of the scene");
        commit
    }

    fn hear(&self, bytes: &[u8]) -> Received {
        let mut group = self.group();
        let heard = group.receive(&self.provider(), bytes, self.directory, now());
        heard.expect("a step of the scene")
    }

    fn say(&self, text: &str) -> Vec<u8> {
        let mut group = self.group();
        let sealed = group.seal(&self.provider(), self.device, b"", text.as_bytes());
        sealed.expect("a step of the scene")
    }
}

#[test]
fn two_implementations_agree_over_a_hundred_commits() {
    let (ada, bob) = (person(1), person(2));
    let mut directory = Directory::new();
    let a = ada.device(1, &mut directory);
    let b = bob.device(1, &mut directory);
    let libcrux = Libcrux::new().expect("a step of the scene");

    let (mut group, _) = a.create(Suite::PostQuantum, &context(&ada));
    let provider = Provider::new(&libcrux, &b.table);
    let package = NewKeyPackage::make(&provider, &b.device, Suite::PostQuantum, false)
        .expect("a step of the scene");
    let package =
        PublishedKeyPackage::read(&a.crypto, &package.bytes, now()).expect("a step of the scene");
    let mut with_bob = context(&ada);
    with_bob.seat_user(bob.seat(Role::Member));
    let change = Change {
        add: vec![package],
        context: Some(with_bob),
        ..Change::default()
    };
    let bundle = group
        .commit(&a.provider(), &a.device, change, &directory, now())
        .expect("a step of the scene");
    group
        .accept_commit(&a.provider())
        .expect("a step of the scene");
    let tree = group
        .state(&a.provider(), &a.device)
        .expect("a step of the scene")
        .ratchet_tree;
    let welcome = bundle.welcome.expect("a step of the scene");
    Group::join(&provider, &welcome, &tree, &expected(), &directory, now())
        .expect("a step of the scene");

    let one = Side {
        device: &a.device,
        table: &a.table,
        crypto: &a.crypto,
        directory: &directory,
        id: group.id(),
    };
    let other = Side {
        device: &b.device,
        table: &b.table,
        crypto: &libcrux,
        directory: &directory,
        id: group.id(),
    };
    for round in 0..100 {
        if round % 2 == 0 {
            other.hear(&one.update());
        } else {
            one.hear(&other.update());
        }
        let (group, same) = (one.group(), other.group());
        assert_eq!(group.epoch(), round + 2);
        assert_eq!(group.epoch_authenticator(), same.epoch_authenticator());
        for (heard, said) in [
            (other.hear(&one.say("ciao")), "ciao"),
            (one.hear(&other.say("hi")), "hi"),
        ] {
            let Received::Message(opened) = heard else {
                panic!("{heard:?}");
            };
            assert_eq!(opened.payload, said.as_bytes());
        }
    }
}
