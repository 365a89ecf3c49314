//! The delivery contract under random schedules: two engines over one store,
//! a bus that loses, doubles and reorders a third of its hints, and devices
//! that come, go, write, write again and are added and removed. At the end
//! everybody resumes, and the judge of histories must find no promise broken.
//!
//! `PROPTEST_CASES` sets how many schedules are tried.
#![cfg(all(feature = "http", feature = "sqlite"))]

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{FileFailurePersistence, TestCaseError};
use ruggine_core::api::member;
use ruggine_core::api::message::{Ack, Item, PageRequest, PageStart, Row, RowKind, Send};
use ruggine_core::api::position::Delivered;
use ruggine_core::api::sync::{HeadsRequest, Hello};
use ruggine_core::codec::Encoding;
use ruggine_core::event::MessageEvent;
use ruggine_core::version::ProtocolVersion;
use ruggine_core::{ConversationId, ErrorCode, Event, Incarnation, Seq};
use ruggine_server::Drain;
use ruggine_server::testing::{
    Ending, Faults, FaultyBus, History, Pending, Person, SharedStore, SocketClient, Summary,
    TestServer, open_sqlite, patiently, text_message,
};

const CASES: u32 = 12;
const STEPS: usize = 150;
const USERS: usize = 3;
const DEVICES: usize = 2 * USERS;
const CONVERSATIONS: usize = 2;
const THIRD: f64 = 0.3;

/// Something that happens. Numbers are taken modulo what there is.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// A device writes, without waiting for the ack.
    Write { device: usize, conversation: usize },
    /// A device sends again whatever is not acknowledged.
    Resend { device: usize },
    /// A device looks at everything that has reached it.
    Look { device: usize },
    /// A device loses its connection.
    Disconnect { device: usize },
    /// A device connects to an engine and resumes there.
    Connect { device: usize, engine: usize },
    /// A device reads on from its cursor.
    Page { device: usize, conversation: usize },
    /// An engine ends and starts again.
    Restart { engine: usize },
    /// The owner adds somebody, by way of an engine.
    Add {
        user: usize,
        conversation: usize,
        engine: usize,
    },
    /// The owner removes somebody, by way of an engine.
    Remove {
        user: usize,
        conversation: usize,
        engine: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let device = 0..DEVICES;
    let user = 1..USERS;
    let conversation = 0..CONVERSATIONS;
    let engine = 0..2usize;
    prop_oneof![
        40 => (device.clone(), conversation.clone())
            .prop_map(|(device, conversation)| Step::Write { device, conversation }),
        6 => device.clone().prop_map(|device| Step::Resend { device }),
        20 => device.clone().prop_map(|device| Step::Look { device }),
        8 => device.clone().prop_map(|device| Step::Disconnect { device }),
        14 => (device.clone(), engine.clone())
            .prop_map(|(device, engine)| Step::Connect { device, engine }),
        4 => (device, conversation.clone())
            .prop_map(|(device, conversation)| Step::Page { device, conversation }),
        2 => engine.clone().prop_map(|engine| Step::Restart { engine }),
        5 => (user.clone(), conversation.clone(), engine.clone())
            .prop_map(|(user, conversation, engine)| Step::Add { user, conversation, engine }),
        4 => (user, conversation, engine)
            .prop_map(|(user, conversation, engine)| Step::Remove { user, conversation, engine }),
    ]
}

/// A message on its way.
struct Outgoing {
    message: Send,
    pending: Option<Pending<Send>>,
}

/// A client as the contract describes it: it applies a row only behind its
/// cursor, reads a page where rows are missing, and sends again what has no ack.
struct Client {
    person: Person,
    user: usize,
    encoding: Encoding,
    connection: Option<Connection>,
    incarnation: Option<Incarnation>,
    cursors: HashMap<ConversationId, Seq>,
    outbox: VecDeque<Outgoing>,
}

struct Connection {
    socket: SocketClient,
    engine: usize,
    /// What the events of this connection said last of each conversation: the
    /// number and the roster's version.
    told: HashMap<ConversationId, (Seq, u64)>,
}

/// The first and, once it is over, the last number of a stay.
type Stay = (Seq, Option<Seq>);

struct World {
    servers: [TestServer; 2],
    bus: Arc<FaultyBus>,
    store: Arc<SharedStore>,
    clients: Vec<Client>,
    conversations: Vec<ConversationId>,
    /// The stays of each user in each conversation.
    stays: HashMap<(usize, ConversationId), Vec<Stay>>,
    history: History,
    _folder: tempfile::TempDir,
}

impl World {
    async fn new(seed: u64) -> Self {
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

    async fn take(&mut self, step: Step) {
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

    async fn write(&mut self, device: usize, conversation: usize) {
        let conversation = self.conversations[conversation];
        let client = &mut self.clients[device];
        let words = format!("{device}: {}", client.outbox.len());
        let message = text_message(conversation, &words);
        let payload = message.payload.clone().expect("it has a payload");
        self.history
            .sent(conversation, message.client_msg_id, &payload);
        client.outbox.push_back(Outgoing {
            message,
            pending: None,
        });
        self.send(device, client_outbox_end).await;
    }

    /// Sends what `from` chooses of the outbox.
    async fn send(&mut self, device: usize, from: fn(usize) -> usize) {
        let client = &mut self.clients[device];
        let Some(connection) = &mut client.connection else {
            return;
        };
        let start = from(client.outbox.len());
        for outgoing in client.outbox.iter_mut().skip(start) {
            match connection.socket.begin(&outgoing.message).await {
                Ok(pending) => outgoing.pending = Some(pending),
                Err(_) => {
                    self.forget_connection(device);
                    return;
                }
            }
        }
    }

    async fn resend(&mut self, device: usize) {
        self.send(device, client_outbox_start).await;
    }

    fn forget_connection(&mut self, device: usize) {
        let client = &mut self.clients[device];
        client.connection = None;
        for outgoing in &mut client.outbox {
            outgoing.pending = None;
        }
    }

    /// Takes in acks and events that have arrived.
    async fn look(&mut self, device: usize) {
        if self.take_acks(device).await.is_err() {
            self.forget_connection(device);
            return;
        }
        let Some(connection) = &mut self.clients[device].connection else {
            return;
        };
        match connection.socket.try_call(HeadsRequest::default()).await {
            Ok(heads) => {
                heads.expect("who has said hello may ask for heads");
            }
            Err(_) => {
                self.forget_connection(device);
                return;
            }
        }
        let events = connection.socket.take_events();
        for event in events {
            self.apply(device, event).await;
        }
    }

    /// Waits for every answer that the connection still owes.
    async fn take_acks(&mut self, device: usize) -> Result<(), Ending> {
        let client = &mut self.clients[device];
        let Some(connection) = &mut client.connection else {
            return Ok(());
        };
        let mut left = VecDeque::new();
        let mut ended = None;
        while let Some(mut outgoing) = client.outbox.pop_front() {
            let answer = match (outgoing.pending.take(), &ended) {
                (Some(pending), None) => connection.socket.finish(pending).await,
                _ => {
                    left.push_back(outgoing);
                    continue;
                }
            };
            match answer {
                Ok(Ok(ack)) => {
                    let Ack {
                        conversation,
                        client_msg_id,
                        seq,
                        ..
                    } = ack;
                    let payload = outgoing.message.payload.as_deref().unwrap_or_default();
                    let device = client.person.device();
                    self.history
                        .acked(device, conversation, client_msg_id, seq, payload);
                }
                // A member who was removed keeps it, and may be added again.
                Ok(Err(error)) => {
                    assert_eq!(error.code, ErrorCode::ConversationNotFound, "{error}");
                    left.push_back(outgoing);
                }
                Err(ending) => {
                    ended = Some(ending);
                    left.push_back(outgoing);
                }
            }
        }
        client.outbox = left;
        ended.map_or(Ok(()), Err)
    }

    async fn apply(&mut self, device: usize, event: Event) {
        match event {
            Event::Message(message) => self.apply_message(device, message).await,
            Event::Resync(resync) => {
                for mark in resync.heads {
                    if let Some(connection) = &mut self.clients[device].connection {
                        connection.told.remove(&mark.conversation);
                    }
                    self.read_on(device, mark.conversation, mark.head).await;
                }
            }
            _ => {}
        }
    }

    async fn apply_message(&mut self, device: usize, message: MessageEvent) {
        let Item::Row(row) = message.item else {
            panic!("an event brings a row: {:?}", message.item)
        };
        let (conversation, version) = (message.conversation, message.roster_version);
        let client = &mut self.clients[device];
        if let Some(connection) = &mut client.connection {
            let told = connection.told.insert(conversation, (row.seq, version));
            if let Some((before, known)) = told {
                assert!(
                    row.seq > before,
                    "number {} was told after {before}",
                    row.seq
                );
                // Whoever was away in between comes back behind a gap.
                assert!(
                    row.seq == before.next() || version != known,
                    "number {} was told after {before} and nothing between",
                    row.seq
                );
            }
        }
        let cursor = client
            .cursors
            .get(&conversation)
            .copied()
            .unwrap_or_default();
        if row.seq == cursor.next() {
            self.apply_row(device, conversation, &row);
        } else if row.seq > cursor {
            self.read_on(device, conversation, row.seq).await;
        }
    }

    fn apply_row(&mut self, device: usize, conversation: ConversationId, row: &Row) {
        let client = &mut self.clients[device];
        client.cursors.insert(conversation, row.seq);
        let id = client.person.device();
        let (seq, message) = (row.seq, row.client_msg_id);
        if row.kind == RowKind::System {
            self.history
                .read_notice(id, conversation, seq, message, &row.payload);
        } else {
            self.history
                .read(id, conversation, seq, message, &row.payload);
        }
    }

    /// Reads pages from the cursor on, up to a number or the end.
    async fn read_on(&mut self, device: usize, conversation: ConversationId, to: Seq) {
        loop {
            let client = &mut self.clients[device];
            let Some(connection) = &mut client.connection else {
                return;
            };
            let cursor = client
                .cursors
                .get(&conversation)
                .copied()
                .unwrap_or_default();
            if cursor >= to {
                return;
            }
            let request = PageRequest {
                conversation,
                from: PageStart::After(cursor),
                limit: Some(7),
                as_content: false,
            };
            let Ok(page) = connection.socket.try_call(request).await else {
                self.forget_connection(device);
                return;
            };
            let page = page.expect("who was ever a member may read");
            if page.items.is_empty() {
                assert!(cursor >= page.head);
                return;
            }
            assert_eq!(page.from, cursor.next());
            for item in page.items {
                match item {
                    Item::Row(row) => self.apply_row(device, conversation, &row),
                    Item::Hole(hole) => {
                        let client = &mut self.clients[device];
                        client.cursors.insert(conversation, hole.to);
                        let id = client.person.device();
                        self.history.crossed(id, conversation, hole.from, hole.to);
                    }
                    other => panic!("a page brings rows and holes: {other:?}"),
                }
            }
        }
    }

    async fn connect(&mut self, device: usize, engine: usize) {
        self.forget_connection(device);
        let address = self.servers[engine].address();
        let client = &mut self.clients[device];
        let mut socket = SocketClient::connect(address, client.encoding).await;
        let hello = Hello {
            token: client.person.token().clone(),
            protocol: ProtocolVersion::CURRENT,
            locale: None,
            incarnation: client.incarnation,
        };
        let mut heads = socket.call(hello).await.expect("the token is valid");
        client.incarnation = Some(heads.incarnation);
        client.connection = Some(Connection {
            socket,
            engine,
            told: HashMap::new(),
        });
        for head in std::mem::take(&mut heads.conversations) {
            self.read_on(device, head.id, head.head).await;
            self.report(device, head.id).await;
        }
    }

    /// Reports the cursor, so that the next hello names what is new since.
    async fn report(&mut self, device: usize, conversation: ConversationId) {
        let client = &mut self.clients[device];
        let (Some(connection), Some(seq)) =
            (&mut client.connection, client.cursors.get(&conversation))
        else {
            return;
        };
        let delivered = Delivered {
            conversation,
            seq: *seq,
        };
        match connection.socket.try_call(delivered).await {
            Ok(done) => {
                done.expect("who was ever a member may report");
            }
            Err(_) => self.forget_connection(device),
        }
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
    async fn settle(&mut self) {
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

    fn judge(&mut self) -> Result<Summary, TestCaseError> {
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

const fn client_outbox_end(length: usize) -> usize {
    length.saturating_sub(1)
}

const fn client_outbox_start(_: usize) -> usize {
    0
}

async fn run(steps: Vec<Step>, seed: u64) -> Result<(), TestCaseError> {
    let mut world = World::new(seed).await;
    for device in 0..DEVICES {
        world.connect(device, device % 2).await;
    }
    for step in steps {
        world.take(step).await;
    }
    world.settle().await;
    let summary = world.judge()?;
    prop_assert!(summary.acked > 0 && summary.read > summary.acked);
    for server in &mut world.servers {
        server.stop().await;
    }
    world.store.close_for_all().await;
    Ok(())
}

fn config() -> ProptestConfig {
    let mut config = ProptestConfig {
        max_shrink_iters: 30,
        failure_persistence: Some(Box::new(FileFailurePersistence::Off)),
        ..ProptestConfig::default()
    };
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = CASES;
    }
    config
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn every_schedule_keeps_every_promise(
        steps in prop::collection::vec(step(), STEPS),
        seed in any::<u64>(),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime can be made");
        runtime.block_on(run(steps, seed))?;
    }
}
