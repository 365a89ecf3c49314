//! Two engines, one store, the devices, and the judge of what they saw.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use proptest::test_runner::TestCaseError;
use ruggine_core::api::member;
use ruggine_core::api::message::Item;
use ruggine_core::codec::Encoding;
use ruggine_core::{ConversationId, ErrorCode, Seq};
use ruggine_server::Drain;
use ruggine_server::testing::{
    Faults, FaultyBus, History, Person, SharedStore, Summary, TestServer, open_sqlite, patiently,
};

use super::devices::Client;
use super::steps::{CONVERSATIONS, Step, USERS};

const THIRD: f64 = 0.3;

/// The first and, once it is over, the last number of a stay.
type Stay = (Seq, Option<Seq>);

pub(crate) struct World {
    pub(crate) servers: [TestServer; 2],
    bus: Arc<FaultyBus>,
    pub(crate) store: Arc<SharedStore>,
    pub(crate) clients: Vec<Client>,
    pub(crate) conversations: Vec<ConversationId>,
    /// The stays of each user in each conversation.
    stays: HashMap<(usize, ConversationId), Vec<Stay>>,
    pub(crate) history: History,
    _folder: tempfile::TempDir,
}

impl World {
    pub(crate) async fn new(seed: u64) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let store = Arc::new(SharedStore::new(open_sqlite(folder.path()).await));
        let bus = Arc::new(FaultyBus::new(seed));
        let options = TestServer::options()
            .folder(folder.path())
            .store(store.clone())
            .bus(bus.clone())
            .sweep_interval(Duration::from_millis(100))
            .relay_after(Duration::from_millis(50));
        let servers = [options.clone().start().await, options.start().await];
        let mut clients = Vec::new();
        for user in 0..USERS {
            let first = servers[0].register(&format!("user{user}")).await;
            let second = servers[0].another_device(&first).await;
            for (person, encoding) in [(first, Encoding::MsgPack), (second, Encoding::Json)] {
                clients.push(Client {
                    person,
                    user,
                    encoding,
                    connection: None,
                    incarnation: None,
                    cursors: HashMap::new(),
                    outbox: VecDeque::new(),
                });
            }
        }
        let mut world = Self {
            servers,
            bus,
            store,
            clients,
            conversations: Vec::new(),
            stays: HashMap::new(),
            history: History::new(),
            _folder: folder,
        };
        for _ in 0..CONVERSATIONS {
            let [owner, others @ ..] = &world.people()[..] else {
                unreachable!("there are users")
            };
            let others: Vec<&Person> = others.iter().collect();
            let group = world.servers[0].group(owner, &others).await;
            for user in 0..USERS {
                world.stays.insert((user, group), vec![(Seq::new(1), None)]);
            }
            world.conversations.push(group);
        }
        world.bus.set_faults(Faults {
            dropped: THIRD,
            doubled: THIRD,
            reordered: THIRD,
        });
        world
    }

    /// Everybody, by their first device.
    fn people(&self) -> Vec<Person> {
        self.clients
            .iter()
            .step_by(2)
            .map(|client| client.person.clone())
            .collect()
    }

    pub(crate) async fn take(&mut self, step: Step) {
        match step {
            Step::Write {
                device,
                conversation,
            } => self.write(device, conversation).await,
            Step::Resend { device } => self.resend(device).await,
            Step::Look { device } => self.look(device).await,
            Step::Disconnect { device } => self.forget_connection(device),
            Step::Connect { device, engine } => self.connect(device, engine).await,
            Step::Page {
                device,
                conversation,
            } => {
                let conversation = self.conversations[conversation];
                self.read_on(device, conversation, Seq::MAX).await;
            }
            Step::Restart { engine } => self.restart(engine).await,
            Step::Add {
                user,
                conversation,
                engine,
            } => {
                let add = member::Add {
                    conversation: self.conversations[conversation],
                    users: vec![self.clients[2 * user].person.user()],
                };
                let http = self.servers[engine].http_of(&self.clients[0].person);
                let added = http.call(add).await.expect("the owner may add");
                let stays = self.stays_of(user, conversation);
                if stays.last().is_none_or(|(_, until)| until.is_some()) {
                    stays.push((added.head, None));
                }
            }
            Step::Remove {
                user,
                conversation,
                engine,
            } => {
                let remove = member::Remove {
                    conversation: self.conversations[conversation],
                    user: self.clients[2 * user].person.user(),
                };
                let http = self.servers[engine].http_of(&self.clients[0].person);
                match http.call(remove).await {
                    Ok(removed) => {
                        let stays = self.stays_of(user, conversation);
                        let stay = stays.last_mut().expect("a member has a stay");
                        stay.1 = Some(removed.head);
                    }
                    Err(error) => assert_eq!(error.code, ErrorCode::NotAMember),
                }
            }
        }
    }

    fn stays_of(&mut self, user: usize, conversation: usize) -> &mut Vec<Stay> {
        let conversation = self.conversations[conversation];
        self.stays.entry((user, conversation)).or_default()
    }

    /// Ends an engine while its clients look on, and starts it again.
    async fn restart(&mut self, engine: usize) {
        let ending = tokio::spawn(self.servers[engine].take().shut_down(Drain::default()));
        for device in 0..self.clients.len() {
            let connection = self.clients[device].connection.as_ref();
            if connection.is_none_or(|connection| connection.engine != engine) {
                continue;
            }
            if self.take_acks(device).await.is_ok()
                && let Some(connection) = &mut self.clients[device].connection
            {
                connection.socket.ending().await;
            }
            let Some(mut connection) = self.clients[device].connection.take() else {
                continue;
            };
            assert_eq!(connection.socket.ending().await.code, Some(4009));
            self.forget_connection(device);
        }
        patiently("an engine to end", ending)
            .await
            .expect("it ends in order");
        self.servers[engine].resume().await;
    }

    /// The bus heals, everybody resumes, sends what is left and reads to the end.
    pub(crate) async fn settle(&mut self) {
        self.bus.heal().await;
        for device in 0..self.clients.len() {
            // All heads: what was reported must not hide what was not read.
            self.clients[device].incarnation = None;
            self.connect(device, device % 2).await;
        }
        for device in 0..self.clients.len() {
            self.resend(device).await;
            self.take_acks(device).await.expect("nothing ends any more");
            assert!(
                self.clients[device].outbox.iter().all(|left| {
                    let stays =
                        &self.stays[&(self.clients[device].user, left.message.conversation)];
                    stays.last().is_none_or(|(_, until)| until.is_some())
                }),
                "only who is no member may keep a message"
            );
        }
        // What is written now reaches everybody live, without anybody asking.
        for conversation in 0..CONVERSATIONS {
            self.write(0, conversation).await;
        }
        self.take_acks(0).await.expect("nothing ends any more");
        for device in 0..self.clients.len() {
            for conversation in self.conversations.clone() {
                self.hear_the_last(device, conversation).await;
                self.read_on(device, conversation, Seq::MAX).await;
            }
        }
    }

    /// Follows events until the one that ends the conversation, for members.
    async fn hear_the_last(&mut self, device: usize, conversation: ConversationId) {
        let user = self.clients[device].user;
        let is_member = self.stays[&(user, conversation)]
            .last()
            .is_some_and(|(_, until)| until.is_none());
        let last = self.newest_of_owner(conversation).await;
        while is_member
            && self.clients[device]
                .cursors
                .get(&conversation)
                .copied()
                .unwrap_or_default()
                < last
        {
            let Some(connection) = &mut self.clients[device].connection else {
                panic!("nothing ends any more")
            };
            let event = connection.socket.next_event().await;
            self.apply(device, event).await;
        }
    }

    async fn newest_of_owner(&self, conversation: ConversationId) -> Seq {
        let http = self.servers[0].http_of(&self.clients[0].person);
        let log = http
            .read_log(conversation)
            .await
            .expect("the owner may read");
        log.last()
            .and_then(Item::span)
            .map_or(Seq::ZERO, |(_, last)| last)
    }

    pub(crate) fn judge(&mut self) -> Result<Summary, TestCaseError> {
        for client in &self.clients {
            for conversation in &self.conversations {
                for (from, until) in &self.stays[&(client.user, *conversation)] {
                    let until = until.unwrap_or(Seq::MAX);
                    self.history
                        .must_have(client.person.device(), *conversation, *from, until);
                }
            }
        }
        self.history
            .check()
            .map_err(|violation| TestCaseError::fail(violation.to_string()))
    }
}
