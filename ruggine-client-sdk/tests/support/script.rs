//! A server that the test plays itself, step by step or by a rule.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use ruggine_client_sdk::store::sqlite::SqliteStore;
use ruggine_client_sdk::store::{ClientStore, FixedKey, Identity};
use ruggine_client_sdk::transport::scripted::{Arrivals, ScriptedTransport, ServerEnd};
use ruggine_client_sdk::transport::{Closed, Received};
use ruggine_client_sdk::{Client, ClientOptions, ConnectionState};
use ruggine_core::api::Operation;
use ruggine_core::api::sync::Hello;
use ruggine_core::event::TypingEvent;
use ruggine_core::secret::SecretText;
use ruggine_core::{ConversationId, Event, Seq, SessionId, UserId};
use ruggine_server::testing::patiently;
use tempfile::TempDir;
use tokio::sync::mpsc;

use super::replies::{Asked, CODEC, Reply};
use super::watched::WatchedStore;
use super::world::{World, tokens};
use super::{next_event, now};

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
        rule: impl FnMut(&mut World, &Asked) -> Reply + Send + 'static,
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
