//! People with devices, and a server that takes their changes.

use std::collections::BTreeMap;

use openmls_rust_crypto::RustCrypto;
use ruggine_core::api::conversation::{ConversationKind, Role};
use ruggine_core::{ConversationId, DeviceId, Timestamp, UserId};
use ruggine_crypto::delivery::{DeliveryError, PublicState};
use ruggine_crypto::identity::{AccountKey, CertificateFields, DeviceCertificate, DeviceList};
use ruggine_crypto::mls::policy::{Entered, Expected, Judged, Leaf};
use ruggine_crypto::mls::{
    Change, CommitBundle, ConversationContext, Device, DeviceKey, Group, GroupId, GroupState,
    Invitation, MemoryTable, MlsError, NewKeyPackage, Opened, Provider, PublishedKeyPackage,
    Received, Seat, Suite,
};
use zeroize::Zeroizing;

pub(crate) const fn now() -> Timestamp {
    Timestamp::from_millis(1_790_000_000_000)
}

pub(crate) fn later(days: i64) -> Timestamp {
    Timestamp::from_millis(now().as_millis() + days * 24 * 60 * 60 * 1_000)
}

pub(crate) type Directory = BTreeMap<UserId, DeviceList>;

/// A person with an account.
pub(crate) struct Person {
    pub(crate) user: UserId,
    pub(crate) account: AccountKey,
}

/// A device with its table.
pub(crate) struct Client {
    pub(crate) device: Device,
    pub(crate) table: MemoryTable,
    pub(crate) crypto: RustCrypto,
}

/// A number that makes ids and keys; the same one makes the same.
pub(crate) fn person(number: u8) -> Person {
    Person {
        user: UserId::from_bytes([number; 16]),
        account: AccountKey::from_seed(Zeroizing::new([number; 32])),
    }
}

/// The key of a person's device.
pub(crate) fn device_key(user: u8, number: u8) -> DeviceKey {
    let mut seed = [number; 32];
    seed[..2].copy_from_slice(&[user, 0xD0]);
    DeviceKey::from_seed(&seed)
}

impl Person {
    pub(crate) fn certify(&self, key: &DeviceKey, device: DeviceId) -> DeviceCertificate {
        let fields = CertificateFields {
            user: self.user,
            device,
            signature_key: key.public(),
            suites: vec![Suite::Classical.number(), Suite::PostQuantum.number()],
            not_before: later(-1),
            not_after: later(365),
        };
        DeviceCertificate::issue(&self.account, fields).expect("a step of the scene")
    }

    /// A device that is certified and not listed.
    pub(crate) fn unlisted(&self, number: u8) -> Client {
        let user = self.user.as_bytes()[0];
        let key = device_key(user, number);
        let mut id = [number; 16];
        id[0] = user;
        let certificate = self.certify(&key, DeviceId::from_bytes(id));
        Client::new(key, certificate, MemoryTable::default())
    }

    /// A device that stands in the list, beside those that stand there.
    pub(crate) fn device(&self, number: u8, directory: &mut Directory) -> Client {
        let client = self.unlisted(number);
        let mut devices = match directory.get(&self.user) {
            Some(list) => list.devices().to_vec(),
            None => Vec::new(),
        };
        devices.push(client.device.certificate().clone());
        self.list(devices, directory);
        client
    }

    pub(crate) fn list(&self, devices: Vec<DeviceCertificate>, directory: &mut Directory) {
        let list = match directory.get(&self.user) {
            Some(list) => list.next(&self.account, devices, now()),
            None => DeviceList::first(&self.account, self.user, devices, now()),
        };
        directory.insert(self.user, list.expect("a step of the scene"));
    }

    /// Takes a device out of the list.
    pub(crate) fn revoke(&self, client: &Client, directory: &mut Directory) {
        let list = &directory[&self.user];
        let devices = list.devices().iter();
        let kept = devices.filter(|device| *device != client.device.certificate());
        let kept = kept.cloned().collect();
        self.list(kept, directory);
    }

    pub(crate) fn seat(&self, role: Role) -> Seat {
        Seat {
            user: self.user,
            role,
            invitation: None,
        }
    }

    pub(crate) fn invited(&self, by: &Self, until: Timestamp) -> Seat {
        Seat {
            user: self.user,
            role: Role::Member,
            invitation: Some(Invitation {
                by: by.user,
                expires_at: until,
            }),
        }
    }
}

impl Client {
    pub(crate) fn new(key: DeviceKey, certificate: DeviceCertificate, table: MemoryTable) -> Self {
        Self {
            device: Device::new(key, certificate).expect("a step of the scene"),
            table,
            crypto: RustCrypto::default(),
        }
    }

    pub(crate) fn provider(&self) -> Provider<'_, MemoryTable> {
        Provider::new(&self.crypto, &self.table)
    }

    pub(crate) fn leaf(&self) -> Leaf {
        Leaf {
            user: self.device.certificate().user(),
            device: self.device.certificate().device(),
        }
    }

    pub(crate) fn package(&self, suite: Suite) -> PublishedKeyPackage {
        let made = NewKeyPackage::make(&self.provider(), &self.device, suite, false)
            .expect("a step of the scene");
        PublishedKeyPackage::read(&self.crypto, &made.bytes, now()).expect("a step of the scene")
    }

    pub(crate) fn create(
        &self,
        suite: Suite,
        context: &ConversationContext,
    ) -> (Group, GroupState) {
        let id = GroupId::generate().expect("a step of the scene");
        Group::create(&self.provider(), &self.device, id, suite, context)
            .expect("a step of the scene")
    }

    pub(crate) fn load(&self, id: GroupId) -> Group {
        Group::load(&self.provider(), id)
            .expect("a step of the scene")
            .expect("a step of the scene")
    }

    pub(crate) fn seal(&self, id: GroupId, text: &str) -> Vec<u8> {
        let mut group = self.load(id);
        group
            .seal(&self.provider(), &self.device, b"id", text.as_bytes())
            .expect("a step of the scene")
    }

    pub(crate) fn open(&self, id: GroupId, bytes: &[u8], directory: &Directory) -> Opened {
        match self
            .receive(id, bytes, directory)
            .expect("a step of the scene")
        {
            Received::Message(opened) => opened,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn receive(
        &self,
        id: GroupId,
        bytes: &[u8],
        directory: &Directory,
    ) -> Result<Received, MlsError> {
        let mut group = self.load(id);
        group.receive(&self.provider(), bytes, directory, now())
    }

    pub(crate) fn commit(
        &self,
        id: GroupId,
        change: Change,
        directory: &Directory,
    ) -> Result<CommitBundle, MlsError> {
        let mut group = self.load(id);
        group.commit(&self.provider(), &self.device, change, directory, now())
    }

    pub(crate) fn join(
        &self,
        welcome: &[u8],
        tree: &[u8],
        directory: &Directory,
    ) -> Result<Entered, MlsError> {
        let provider = self.provider();
        let (_, entered) = Group::join(&provider, welcome, tree, &expected(), directory, now())?;
        Ok(entered)
    }

    pub(crate) fn accept(&self, id: GroupId) {
        let mut group = self.load(id);
        group
            .accept_commit(&self.provider())
            .expect("a step of the scene");
    }
}

/// The conversation of every group here.
pub(crate) const fn expected() -> Expected {
    Expected {
        conversation: ConversationId::from_bytes([7; 16]),
        kind: ConversationKind::Group,
        peer: None,
        epoch: 0,
    }
}

/// A group of one person with an owner's seat.
pub(crate) fn context(owner: &Person) -> ConversationContext {
    ConversationContext {
        conversation: ConversationId::from_bytes([7; 16]),
        kind: ConversationKind::Group,
        seats: vec![owner.seat(Role::Owner)],
        banned: Vec::new(),
    }
}

/// The server's side of one group.
pub(crate) struct Server {
    crypto: RustCrypto,
    pub(crate) id: GroupId,
    pub(crate) bytes: Vec<u8>,
    pub(crate) info: Vec<u8>,
}

impl Server {
    pub(crate) fn establish(
        id: GroupId,
        state: &GroupState,
        creator: &Client,
        directory: &Directory,
    ) -> Result<Self, DeliveryError> {
        let crypto = RustCrypto::default();
        let public = PublicState::establish(
            &crypto,
            state,
            &expected(),
            creator.leaf(),
            directory,
            now(),
        )?;
        Ok(Self {
            crypto,
            id,
            bytes: public.to_bytes()?,
            info: state.group_info.clone(),
        })
    }

    pub(crate) fn public(&self) -> PublicState {
        PublicState::from_bytes(&self.bytes, self.id).expect("a step of the scene")
    }

    pub(crate) fn take(
        &mut self,
        bundle: &CommitBundle,
        sender: &Client,
        directory: &Directory,
    ) -> Result<Judged, DeliveryError> {
        let checked = self
            .public()
            .apply(&self.crypto, bundle, sender.leaf(), directory, now())?;
        self.bytes = checked.next.to_bytes()?;
        self.info.clone_from(&bundle.group_info);
        Ok(checked.judged)
    }

    pub(crate) fn propose(
        &mut self,
        proposal: &[u8],
        sender: &Client,
        directory: &Directory,
    ) -> Result<(), DeliveryError> {
        let next = self
            .public()
            .propose(&self.crypto, proposal, sender.leaf(), directory)?;
        self.bytes = next.to_bytes()?;
        Ok(())
    }

    pub(crate) fn state(&self) -> GroupState {
        GroupState {
            group_info: self.info.clone(),
            ratchet_tree: self.public().ratchet_tree().expect("a step of the scene"),
        }
    }
}

/// A group of one device for each person, added in one commit. The first owns it.
pub(crate) struct Room {
    pub(crate) people: Vec<Person>,
    pub(crate) clients: Vec<Client>,
    pub(crate) directory: Directory,
    pub(crate) server: Server,
    pub(crate) id: GroupId,
}

impl Room {
    pub(crate) fn of(count: u8, suite: Suite) -> Self {
        let people: Vec<Person> = (1..=count).map(person).collect();
        let mut directory = Directory::new();
        let clients: Vec<Client> = people
            .iter()
            .map(|person| person.device(1, &mut directory))
            .collect();
        let owner = &clients[0];
        let (group, state) = owner.create(suite, &context(&people[0]));
        let id = group.id();
        let server = Server::establish(id, &state, owner, &directory).expect("a step of the scene");
        let mut room = Self {
            people,
            clients,
            directory,
            server,
            id,
        };
        if count > 1 {
            room.add_everybody(suite);
        }
        room
    }

    fn add_everybody(&mut self, suite: Suite) {
        let mut context = self.context();
        for person in &self.people[1..] {
            context.seat_user(person.seat(Role::Member));
        }
        let change = Change {
            add: self.clients[1..]
                .iter()
                .map(|client| client.package(suite))
                .collect(),
            context: Some(context),
            ..Change::default()
        };
        let owner = &self.clients[0];
        let bundle = owner
            .commit(self.id, change, &self.directory)
            .expect("a step of the scene");
        self.server
            .take(&bundle, owner, &self.directory)
            .expect("a step of the scene");
        owner.accept(self.id);
        let tree = self.server.state().ratchet_tree;
        let welcome = bundle.welcome.expect("a step of the scene");
        for client in &self.clients[1..] {
            client
                .join(&welcome, &tree, &self.directory)
                .expect("a step of the scene");
        }
    }

    pub(crate) fn context(&self) -> ConversationContext {
        self.clients[0]
            .load(self.id)
            .context()
            .expect("a step of the scene")
    }

    /// A change by one that the server takes and all others hear of.
    pub(crate) fn change(&mut self, by: usize, change: Change) -> Judged {
        let client = &self.clients[by];
        let bundle = client
            .commit(self.id, change, &self.directory)
            .expect("a step of the scene");
        let judged = self
            .server
            .take(&bundle, client, &self.directory)
            .expect("a step of the scene");
        client.accept(self.id);
        for (index, other) in self.clients.iter().enumerate() {
            if index != by && self.is_in(other) {
                let heard = other.receive(self.id, &bundle.commit, &self.directory);
                assert!(matches!(heard, Ok(Received::Commit(_))), "{heard:?}");
            }
        }
        judged
    }

    fn is_in(&self, client: &Client) -> bool {
        Group::load(&client.provider(), self.id)
            .expect("a step of the scene")
            .is_some_and(|group| {
                group
                    .leaves()
                    .expect("a step of the scene")
                    .contains(&client.leaf())
            })
    }

    /// Everybody whose device is in the group reads what everybody writes.
    pub(crate) fn check(&self) {
        let inside: Vec<&Client> = self.clients.iter().filter(|one| self.is_in(one)).collect();
        let epochs: Vec<Vec<u8>> = inside
            .iter()
            .map(|one| one.load(self.id).epoch_authenticator().to_vec())
            .collect();
        assert!(epochs.windows(2).all(|pair| pair[0] == pair[1]));
        assert_eq!(
            self.server.public().epoch(),
            inside[0].load(self.id).epoch()
        );
        for (index, sender) in inside.iter().enumerate() {
            let sealed = sender.seal(self.id, "ciao");
            for (other, reader) in inside.iter().enumerate() {
                if other != index {
                    let opened = reader.open(self.id, &sealed, &self.directory);
                    assert_eq!(opened.payload, b"ciao");
                    assert_eq!(opened.sender, sender.leaf());
                    assert_eq!(opened.authenticated, b"id");
                }
            }
        }
    }
}
