//! A server that the test plays itself, step by step or by a rule.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use ruggine_client_sdk::store::sqlite::SqliteStore;
use ruggine_client_sdk::store::{ClientStore, FixedKey, Identity};
use ruggine_client_sdk::transport::scripted::{Arrivals, ScriptedTransport, ServerEnd};
use ruggine_client_sdk::transport::{Closed, Received};
use ruggine_client_sdk::{Client, ClientOptions, ConnectionState};
use ruggine_core::api::account::User;
use ruggine_core::api::conversation::{Conversation, ConversationKind, Get, ProtectionMode, Role};
use ruggine_core::api::member::{List as MemberList, Member, Members};
use ruggine_core::api::message::{Ack, Item, Page, PageRequest, PageStart, Row, RowKind, Send};
use ruggine_core::api::position::{Delivered, Read};
use ruggine_core::api::session::Tokens;
use ruggine_core::api::sync::{Head, Heads, HeadsRequest, Hello};
use ruggine_core::api::{Done, Operation};
use ruggine_core::codec::Encoding;
use ruggine_core::event::{MessageEvent, TypingEvent};
use ruggine_core::frame::{ClientFrame, ErrorFrame, ResultFrame};
use ruggine_core::secret::SecretText;
use ruggine_core::{
    ApiError, Blob, ClientMsgId, ConversationId, DeviceId, ErrorCode, Event, Incarnation, Seq,
    SessionId, Timestamp, UserId,
};
use ruggine_server::testing::patiently;
use tempfile::TempDir;
use tokio::sync::mpsc;

use super::watched::WatchedStore;
use super::{next_event, now, person, text};

const CODEC: Encoding = Encoding::MsgPack;
const PAGE: usize = 100;

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) id: u64,
    pub(crate) method: String,
    pub(crate) write_counter: Option<u64>,
    frame: Bytes,
}

impl Asked {
    fn new(frame: Bytes) -> Self {
        let read = ClientFrame::decode(CODEC, &frame).expect("a client sends valid frames");
        let (id, write_counter) = (read.id, read.write_counter);
        let method = read.method.into_owned();
        Self {
            id,
            method,
            write_counter,
            frame,
        }
    }

    pub(crate) fn is<O: Operation>(&self) -> bool {
        self.method == O::METHOD.as_str()
    }

    pub(crate) fn read<O: Operation>(&self) -> O {
        assert!(self.is::<O>(), "{} is no {}", self.method, O::METHOD);
        let frame = ClientFrame::decode(CODEC, &self.frame).expect("it was read before");
        frame
            .params
            .decode()
            .expect("the parameters are the operation's")
    }
}

/// What the server does about a request.
#[derive(Debug)]
pub(crate) enum Reply {
    /// Answers with this frame.
    Frame(Bytes),
    /// Says nothing.
    Silence,
    /// Loses the connection.
    Lose,
}

pub(crate) fn result<O: Operation>(asked: &Asked, response: &O::Response) -> Reply {
    let frame = ResultFrame {
        id: asked.id,
        result: response,
    };
    Reply::Frame(CODEC.encode(&frame).expect("responses are plain data"))
}

pub(crate) fn error(asked: &Asked, error: &ApiError) -> Reply {
    let frame = ErrorFrame {
        id: asked.id,
        error,
    };
    Reply::Frame(CODEC.encode(&frame).expect("errors are plain data"))
}

pub(crate) fn refusal(code: ErrorCode) -> ApiError {
    ApiError {
        code,
        message: "refused by the script".to_owned(),
        retryable: code.is_retryable(),
        retry_after_ms: None,
        details: None,
    }
}

/// One connection, of which the test is the server.
#[derive(Debug)]
pub(crate) struct Wire(ServerEnd);

impl Wire {
    /// The next request, or `None` when the client has let go.
    pub(crate) async fn try_asked(&mut self) -> Option<Asked> {
        patiently("a request", self.0.from_client.recv())
            .await
            .map(Asked::new)
    }

    pub(crate) async fn asked(&mut self) -> Asked {
        self.try_asked()
            .await
            .expect("the client holds the connection")
    }

    /// The next request of this kind; others are answered as the world would.
    pub(crate) async fn asked_for<O: Operation>(&mut self, world: &mut World) -> Asked {
        loop {
            let asked = self.asked().await;
            if asked.is::<O>() {
                return asked;
            }
            self.reply(world.answer(&asked));
        }
    }

    pub(crate) fn reply(&self, reply: Reply) {
        match reply {
            Reply::Frame(frame) => self.raw(frame),
            Reply::Silence => {}
            Reply::Lose => panic!("drop the wire instead"),
        }
    }

    pub(crate) fn tell(&self, event: &Event) {
        self.raw(event.encode(CODEC).expect("events are plain data"));
    }

    pub(crate) fn raw(&self, frame: Bytes) {
        // The client may be gone; then nobody hears it.
        let _ = self.0.to_client.send(Received::Frame(frame));
    }

    pub(crate) fn close(&self, code: u16, retry_in: Option<Duration>) {
        let closed = Closed {
            code: Some(code),
            retry_in,
        };
        let _ = self.0.to_client.send(Received::Closed(closed));
    }
}

/// A conversation as the scripted server has it.
#[derive(Debug, Clone)]
pub(crate) struct Room {
    pub(crate) conversation: Conversation,
    pub(crate) members: Vec<Member>,
    pub(crate) items: Vec<Item>,
}

/// What the scripted server knows.
#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) me: User,
    pub(crate) device: DeviceId,
    pub(crate) incarnation: Incarnation,
    pub(crate) rooms: BTreeMap<ConversationId, Room>,
    pub(crate) requests: Vec<Asked>,
    /// Whether rows that the client sent are told back to it.
    pub(crate) tells: bool,
    untold: Vec<MessageEvent>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
            me: person("ada"),
            device: DeviceId::new(now()),
            incarnation: Incarnation::new(7),
            rooms: BTreeMap::new(),
            requests: Vec::new(),
            tells: true,
            untold: Vec::new(),
        }
    }

    /// A group of the client's user and one other, with this many rows of the other.
    pub(crate) fn room(&mut self, rows: u64) -> ConversationId {
        self.room_named(ConversationId::new(now()), rows)
    }

    pub(crate) fn room_named(&mut self, id: ConversationId, rows: u64) -> ConversationId {
        let other = person("bob");
        let member = |user: &User| Member {
            user: user.clone(),
            role: Role::Member,
            from_seq: Seq::new(1),
            delivered: Seq::ZERO,
            read: Seq::ZERO,
        };
        let room = Room {
            conversation: Conversation {
                id,
                kind: ConversationKind::Group,
                mode: ProtectionMode::Managed,
                created_at: now(),
                head: Seq::ZERO,
                roster_version: 1,
                member_count: 2,
                role: Some(Role::Member),
                own_read: Seq::ZERO,
                peer: None,
            },
            members: vec![member(&self.me), member(&other)],
            items: Vec::new(),
        };
        self.rooms.insert(id, room);
        for number in 1..=rows {
            self.write(id, &format!("row {number}"));
        }
        id
    }

    pub(crate) fn other(&self, id: ConversationId) -> UserId {
        self.rooms[&id].members[1].user.id
    }

    fn room_mut(&mut self, id: ConversationId) -> &mut Room {
        self.rooms.get_mut(&id).expect("the room exists")
    }

    pub(crate) fn head(&self, id: ConversationId) -> Seq {
        self.rooms[&id].conversation.head
    }

    /// The other writes something.
    pub(crate) fn write(&mut self, id: ConversationId, words: &str) -> MessageEvent {
        let row = self.row(id, self.head(id).next(), text(words));
        self.add(id, Item::Row(row))
    }

    /// A row of the other, which stands nowhere yet.
    pub(crate) fn row(&self, id: ConversationId, seq: Seq, payload: Blob) -> Row {
        Row {
            seq,
            kind: RowKind::Message,
            sender: self.other(id),
            device: DeviceId::from_bytes([9; 16]),
            client_msg_id: ClientMsgId::new(now()),
            server_ts: now(),
            epoch: None,
            payload,
            content: None,
        }
    }

    /// Puts an entry at the end of the log.
    pub(crate) fn add(&mut self, id: ConversationId, item: Item) -> MessageEvent {
        let event = self.event(id, item.clone());
        let room = self.room_mut(id);
        let last = item
            .span()
            .map_or(room.conversation.head.next(), |(_, to)| to);
        room.conversation.head = last;
        room.items.push(item);
        event
    }

    /// An event about an entry, whether it is in the log or not.
    pub(crate) fn event(&self, id: ConversationId, item: Item) -> MessageEvent {
        MessageEvent {
            conversation: id,
            incarnation: self.incarnation,
            roster_version: self
                .rooms
                .get(&id)
                .map_or(1, |room| room.conversation.roster_version),
            item,
        }
    }

    pub(crate) fn heads(&self) -> Heads {
        let conversations = self
            .rooms
            .values()
            .map(|room| Head {
                id: room.conversation.id,
                kind: room.conversation.kind,
                mode: room.conversation.mode,
                head: room.conversation.head,
                cursor: Seq::ZERO,
                own_read: room.conversation.own_read,
                roster_version: room.conversation.roster_version,
            })
            .collect();
        Heads {
            user: self.me.id,
            device: self.device,
            incarnation: self.incarnation,
            conversations,
            queue_head: 0,
            next: None,
        }
    }

    pub(crate) fn page(&self, request: &PageRequest) -> Page {
        let room = &self.rooms[&request.conversation];
        let spans = |item: &&Item| item.span().expect("kept entries have numbers");
        let mut items: Vec<Item> = match request.from {
            PageStart::After(after) => room
                .items
                .iter()
                .filter(|item| spans(item).1 > after)
                .take(PAGE)
                .cloned()
                .collect(),
            PageStart::Before(before) => room
                .items
                .iter()
                .rev()
                .filter(|item| spans(item).0 < before)
                .take(PAGE)
                .cloned()
                .collect(),
            PageStart::Newest => room.items.iter().rev().take(PAGE).cloned().collect(),
        };
        if !matches!(request.from, PageStart::After(_)) {
            items.reverse();
        }
        let span = |item: Option<&Item>| item.and_then(Item::span);
        Page {
            incarnation: self.incarnation,
            from: span(items.first()).map_or(Seq::new(1), |(from, _)| from),
            to: span(items.last()).map_or(Seq::ZERO, |(_, to)| to),
            head: room.conversation.head,
            items,
        }
    }

    /// Takes a message as a good server would: once, however often it comes.
    pub(crate) fn take(&mut self, send: &Send) -> Ack {
        let (id, device, me) = (send.conversation, self.device, self.me.id);
        let known = self.rooms[&id].items.iter().find_map(|item| match item {
            Item::Row(row) if row.client_msg_id == send.client_msg_id => Some(row.clone()),
            _ => None,
        });
        let row = known.unwrap_or_else(|| {
            let mut row = self.row(
                id,
                self.head(id).next(),
                send.payload.clone().expect("a client sends bytes"),
            );
            row.sender = me;
            row.device = device;
            row.client_msg_id = send.client_msg_id;
            let event = self.add(id, Item::Row(row.clone()));
            self.untold.push(event);
            row
        });
        Ack {
            conversation: id,
            client_msg_id: send.client_msg_id,
            incarnation: self.incarnation,
            seq: row.seq,
            server_ts: row.server_ts,
        }
    }

    /// Answers as a good server would.
    pub(crate) fn answer(&mut self, asked: &Asked) -> Reply {
        self.requests.push(asked.clone());
        let unknown = || error(asked, &refusal(ErrorCode::ConversationNotFound));
        if asked.is::<Hello>() {
            return result::<Hello>(asked, &self.heads());
        }
        if asked.is::<HeadsRequest>() {
            return result::<HeadsRequest>(asked, &self.heads());
        }
        if asked.is::<Get>() {
            return match self.rooms.get(&asked.read::<Get>().conversation) {
                Some(room) => result::<Get>(asked, &room.conversation),
                None => unknown(),
            };
        }
        if asked.is::<MemberList>() {
            return match self.rooms.get(&asked.read::<MemberList>().conversation) {
                Some(room) => {
                    let members = Members {
                        roster_version: room.conversation.roster_version,
                        members: room.members.clone(),
                        next: None,
                    };
                    result::<MemberList>(asked, &members)
                }
                None => unknown(),
            };
        }
        if asked.is::<PageRequest>() {
            let request = asked.read::<PageRequest>();
            return match self.rooms.contains_key(&request.conversation) {
                true => result::<PageRequest>(asked, &self.page(&request)),
                false => unknown(),
            };
        }
        if asked.is::<Send>() {
            let send = asked.read::<Send>();
            return match self.rooms.contains_key(&send.conversation) {
                true => result::<Send>(asked, &self.take(&send)),
                false => unknown(),
            };
        }
        if asked.is::<Delivered>() || asked.is::<Read>() {
            return result::<Read>(asked, &Done {});
        }
        error(asked, &refusal(ErrorCode::UnknownMethod))
    }
}

pub(crate) fn tokens(name: &str) -> Tokens {
    Tokens {
        access: SecretText::new(format!("access {name}")),
        access_expires_at: Timestamp::from_millis(1_900_000_000_000),
        refresh: SecretText::new(format!("refresh {name}")),
        refresh_expires_at: Timestamp::from_millis(1_900_000_000_000),
    }
}

pub(crate) fn identity(world: &World) -> Identity {
    Identity {
        user: world.me.clone(),
        device: world.device,
        device_secret: Some(SecretText::new("device secret")),
        session: SessionId::new(now()),
        tokens: Some(tokens("one")),
    }
}

/// A client whose server is the test.
#[derive(Debug)]
pub(crate) struct Script {
    pub(crate) client: Client,
    pub(crate) store: WatchedStore,
    pub(crate) transport: ScriptedTransport,
    pub(crate) arrivals: Arrivals,
    pub(crate) world: World,
    pub(crate) folder: TempDir,
}

impl Script {
    pub(crate) fn start(world: World, options: ClientOptions) -> Self {
        Self::prepared(world, options, |_| {})
    }

    /// A client whose store and transport the test has prepared.
    pub(crate) fn prepared(
        world: World,
        options: ClientOptions,
        prepare: impl FnOnce(&WatchedStore),
    ) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let store = SqliteStore::open(folder.path().join("store"), &FixedKey::new([7; 32]))
            .expect("the store opens");
        store
            .set_identity(identity(&world))
            .expect("the store takes a login");
        let store = WatchedStore::new(store);
        prepare(&store);
        let (transport, arrivals) = ScriptedTransport::new();
        let client = Client::builder()
            .options(options)
            .start(transport.clone(), store.clone());
        Self {
            client,
            store,
            transport,
            arrivals,
            world,
            folder,
        }
    }

    /// The next connection, before it has said anything.
    pub(crate) async fn arrival(&mut self) -> Wire {
        let end = patiently("a connection", self.arrivals.recv()).await;
        Wire(end.expect("the client goes on"))
    }

    /// The next connection, once it is greeted.
    pub(crate) async fn greeted(&mut self) -> Wire {
        let mut wire = self.arrival().await;
        let hello = wire.asked_for::<Hello>(&mut self.world).await;
        wire.reply(self.world.answer(&hello));
        wire
    }

    pub(crate) async fn wait_for(
        &self,
        wanted: impl FnMut(&ConnectionState) -> bool,
    ) -> ConnectionState {
        patiently(
            "the connection's state",
            self.client.wait_for_connection(wanted),
        )
        .await
    }

    /// Lets a rule be the server from here on.
    pub(crate) fn serve(
        self,
        rule: impl FnMut(&mut World, &Asked) -> Reply + std::marker::Send + 'static,
    ) -> Served {
        let world = Arc::new(Mutex::new(self.world));
        let line = Arc::new(Mutex::new(None));
        let connections = Arc::new(Mutex::new(0));
        tokio::spawn(serve_all(
            self.arrivals,
            Arc::clone(&world),
            Arc::clone(&line),
            Arc::clone(&connections),
            rule,
        ));
        Served {
            client: self.client,
            store: self.store,
            transport: self.transport,
            world,
            line,
            connections,
            _folder: self.folder,
        }
    }

    /// A good server from here on, and a client that is online.
    pub(crate) async fn serve_well(self) -> Served {
        let served = self.serve(World::answer);
        served.online().await;
        served
    }
}

type Line = Arc<Mutex<Option<mpsc::UnboundedSender<Received>>>>;

async fn serve_all(
    mut arrivals: Arrivals,
    world: Arc<Mutex<World>>,
    line: Line,
    connections: Arc<Mutex<usize>>,
    mut rule: impl FnMut(&mut World, &Asked) -> Reply,
) {
    while let Some(mut end) = arrivals.recv().await {
        *connections.lock() += 1;
        *line.lock() = Some(end.to_client.clone());
        while let Some(frame) = end.from_client.recv().await {
            let (reply, events) = {
                let mut world = world.lock();
                let reply = rule(&mut world, &Asked::new(frame));
                let events = std::mem::take(&mut world.untold);
                (reply, if world.tells { events } else { Vec::new() })
            };
            match reply {
                Reply::Frame(frame) => {
                    let _ = end.to_client.send(Received::Frame(frame));
                }
                Reply::Silence => {}
                Reply::Lose => break,
            }
            for event in events {
                let frame = Event::Message(event)
                    .encode(CODEC)
                    .expect("events are plain data");
                let _ = end.to_client.send(Received::Frame(frame));
            }
        }
        line.lock().take();
    }
}

/// A client with a server that follows a rule.
#[derive(Debug)]
pub(crate) struct Served {
    pub(crate) client: Client,
    pub(crate) store: WatchedStore,
    pub(crate) transport: ScriptedTransport,
    pub(crate) world: Arc<Mutex<World>>,
    line: Line,
    connections: Arc<Mutex<usize>>,
    _folder: TempDir,
}

impl Served {
    pub(crate) async fn online(&self) {
        let online = |state: &ConnectionState| *state == ConnectionState::Online;
        patiently("the connection", self.client.wait_for_connection(online)).await;
    }

    /// Connections made so far.
    pub(crate) fn connections(&self) -> usize {
        *self.connections.lock()
    }

    pub(crate) fn tell(&self, event: &Event) {
        self.raw(event.encode(CODEC).expect("events are plain data"));
    }

    pub(crate) fn raw(&self, frame: Bytes) {
        self.send(Received::Frame(frame));
    }

    /// The connection is lost.
    pub(crate) fn lose(&self) {
        self.send(Received::Closed(Closed::default()));
    }

    fn send(&self, received: Received) {
        if let Some(line) = &*self.line.lock() {
            let _ = line.send(received);
        }
    }

    /// The other writes something, and the client hears of it.
    pub(crate) fn write(&self, id: ConversationId, words: &str) {
        let event = self.world.lock().write(id, words);
        self.tell(&Event::Message(event));
    }

    /// How often the client has asked for an operation.
    pub(crate) fn asked_for<O: Operation>(&self) -> usize {
        let world = self.world.lock();
        world
            .requests
            .iter()
            .filter(|asked| asked.is::<O>())
            .count()
    }

    /// Waits until everything told so far has been worked on: what is told
    /// last comes out last.
    pub(crate) async fn settled(&self) {
        let mut events = self.client.events();
        let sign = UserId::new(now());
        self.tell(&Event::Typing(TypingEvent {
            conversation: ConversationId::new(now()),
            user: sign,
            active: true,
        }));
        next_event(
            &mut events,
            "what was told to be heard",
            |event| match event {
                ruggine_client_sdk::ClientEvent::Typing(typing) if typing.user == sign => Some(()),
                _ => None,
            },
        )
        .await;
    }

    /// Waits until the log is stored up to a number.
    pub(crate) async fn has(&self, id: ConversationId, number: u64) {
        super::until(&self.client, "rows to be stored", async || {
            let record = self
                .store
                .direct()
                .conversation(id)
                .expect("the store can be read");
            record.is_some_and(|record| record.cursor >= Seq::new(number))
        })
        .await;
    }
}
