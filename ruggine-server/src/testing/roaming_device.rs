//! A device that keeps the client's part of the contract by itself, over
//! whichever server answers.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use ruggine_core::api::Operation;
use ruggine_core::api::message::{Ack, Item, PageRequest, PageStart, Row, RowKind, Send};
use ruggine_core::api::position::Delivered;
use ruggine_core::api::sync::{HeadsRequest, Hello};
use ruggine_core::codec::Encoding;
use ruggine_core::error::ApiError;
use ruggine_core::version::ProtocolVersion;
use ruggine_core::{ConversationId, Event, Incarnation, Seq};
use ruggine_crypto::random;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{History, Person, SocketClient, text_message};

/// Messages that are sent before the first of them is answered.
const WINDOW: usize = 4;
/// How long a device trusts a connection that says nothing.
const TRUST: Duration = Duration::from_secs(3);
/// How long it listens before it looks for work again.
const LISTEN: Duration = Duration::from_millis(20);
/// How long it listens before it asks whether anybody is there.
const QUIET: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(200);

/// What several devices saw, for the judge.
pub type SharedHistory = Arc<Mutex<History>>;

/// A device that writes what it is told to write and reads all that it may
/// see. When a server fails it, it goes to another one, sends again what was
/// not acknowledged and reads on from where it was.
#[derive(Debug)]
pub struct RoamingDevice {
    state: Arc<State>,
    stopping: CancellationToken,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct State {
    person: Person,
    encoding: Encoding,
    addresses: Mutex<Vec<SocketAddr>>,
    history: SharedHistory,
    outbox: Mutex<VecDeque<Send>>,
    cursors: Mutex<HashMap<ConversationId, Seq>>,
    promised: Mutex<HashMap<ConversationId, Seq>>,
    incarnation: Mutex<Option<Incarnation>>,
    acked: AtomicU64,
    connections: AtomicU64,
}

/// The connection cannot be used any longer.
struct Lost;

impl RoamingDevice {
    /// Begins to roam among these servers.
    #[must_use]
    pub fn start(
        person: Person,
        encoding: Encoding,
        addresses: Vec<SocketAddr>,
        history: SharedHistory,
    ) -> Self {
        let state = Arc::new(State {
            person,
            encoding,
            addresses: Mutex::new(addresses),
            history,
            outbox: Mutex::default(),
            cursors: Mutex::default(),
            promised: Mutex::default(),
            incarnation: Mutex::default(),
            acked: AtomicU64::new(0),
            connections: AtomicU64::new(0),
        });
        let stopping = CancellationToken::new();
        let task = tokio::spawn(roam(Arc::clone(&state), stopping.clone()));
        Self {
            state,
            stopping,
            task,
        }
    }

    /// Whose device it is.
    #[must_use]
    pub fn person(&self) -> &Person {
        &self.state.person
    }

    /// Writes a message, now or when there is a connection.
    ///
    /// # Panics
    /// Never: a text message has a payload.
    pub fn write(&self, conversation: ConversationId, words: &str) {
        let message = text_message(conversation, words);
        let payload = message.payload.clone().expect("it has a payload");
        self.state
            .history
            .lock()
            .sent(conversation, message.client_msg_id, &payload);
        self.state.outbox.lock().push_back(message);
    }

    /// Messages that have not been acknowledged.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.state.outbox.lock().len()
    }

    /// Messages that have been acknowledged.
    #[must_use]
    pub fn acked(&self) -> u64 {
        self.state.acked.load(Ordering::Relaxed)
    }

    /// How often it has said hello.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.state.connections.load(Ordering::Relaxed)
    }

    /// Up to where it has read a conversation.
    #[must_use]
    pub fn cursor(&self, conversation: ConversationId) -> Seq {
        let cursors = self.state.cursors.lock();
        cursors.get(&conversation).copied().unwrap_or_default()
    }

    /// The highest number of a conversation that it knows to be taken: it has
    /// read it, or one of its messages was acknowledged under it.
    #[must_use]
    pub fn newest(&self, conversation: ConversationId) -> Seq {
        let promised = self.state.promised.lock().get(&conversation).copied();
        self.cursor(conversation).max(promised.unwrap_or_default())
    }

    /// Roams among other servers from its next connection on.
    pub fn set_addresses(&self, addresses: Vec<SocketAddr>) {
        *self.state.addresses.lock() = addresses;
    }

    /// Ends the device.
    ///
    /// # Panics
    /// When it had panicked.
    pub async fn stop(self) {
        self.stopping.cancel();
        self.task.await.expect("the device keeps to the contract");
    }
}

async fn roam(state: Arc<State>, stopping: CancellationToken) {
    loop {
        let one_connection = async {
            let _ = live(&state).await;
            tokio::time::sleep(PAUSE.mul_f64(part())).await;
        };
        tokio::select! {
            () = one_connection => {}
            () = stopping.cancelled() => return,
        }
    }
}

/// A random number from 0 to 1.
fn part() -> f64 {
    let number = random::number().expect("the operating system provides randomness");
    f64::from((number >> 32) as u32) / f64::from(u32::MAX)
}

async fn trusted<T>(step: impl Future<Output = T>) -> Result<T, Lost> {
    tokio::time::timeout(TRUST, step).await.map_err(|_| Lost)
}

/// Uses one connection for as long as it lasts.
async fn live(state: &State) -> Result<(), Lost> {
    let address = {
        let addresses = state.addresses.lock();
        let index = (part() * addresses.len() as f64) as usize;
        *addresses.get(index).or(addresses.last()).ok_or(Lost)?
    };
    let socket = trusted(SocketClient::try_connect(address, state.encoding)).await?;
    let mut session = Session {
        state,
        socket: socket.map_err(|_| Lost)?,
    };
    session.hello().await?;
    state.connections.fetch_add(1, Ordering::Relaxed);
    let mut heard = tokio::time::Instant::now();
    loop {
        session.send().await?;
        session.take_events().await?;
        let wait = match state.outbox.lock().is_empty() {
            true => QUIET,
            false => LISTEN,
        };
        match tokio::time::timeout(wait, session.socket.try_next_event()).await {
            Ok(Ok(event)) => {
                heard = tokio::time::Instant::now();
                session.apply(event).await?;
            }
            Ok(Err(_)) => return Err(Lost),
            Err(_) if heard.elapsed() > QUIET => {
                session
                    .ask(HeadsRequest::default())
                    .await?
                    .map_err(|_| Lost)?;
                heard = tokio::time::Instant::now();
            }
            Err(_) => {}
        }
    }
}

struct Session<'a> {
    state: &'a State,
    socket: SocketClient,
}

impl Session<'_> {
    async fn ask<O: Operation>(
        &mut self,
        request: O,
    ) -> Result<Result<O::Response, ApiError>, Lost> {
        trusted(self.socket.try_call(request))
            .await?
            .map_err(|_| Lost)
    }

    async fn hello(&mut self) -> Result<(), Lost> {
        let hello = Hello {
            token: self.state.person.token().clone(),
            protocol: ProtocolVersion::CURRENT,
            locale: None,
            incarnation: *self.state.incarnation.lock(),
        };
        let mut heads = self.ask(hello).await?.map_err(|_| Lost)?;
        *self.state.incarnation.lock() = Some(heads.incarnation);
        loop {
            for head in std::mem::take(&mut heads.conversations) {
                self.read_on(head.id, head.head).await?;
                self.report(head.id).await?;
            }
            let Some(after) = heads.next else {
                return Ok(());
            };
            let request = HeadsRequest {
                incarnation: Some(heads.incarnation),
                after: Some(after),
            };
            heads = self.ask(request).await?.map_err(|_| Lost)?;
        }
    }

    /// Sends what waits, oldest first, and takes the answers.
    async fn send(&mut self) -> Result<(), Lost> {
        let window: Vec<Send> = {
            let outbox = self.state.outbox.lock();
            outbox.iter().take(WINDOW).cloned().collect()
        };
        let mut pending = Vec::with_capacity(window.len());
        for message in &window {
            let begun = trusted(self.socket.begin(message)).await?;
            pending.push(begun.map_err(|_| Lost)?);
        }
        for (message, pending) in window.iter().zip(pending) {
            let answer = trusted(self.socket.finish(pending)).await?;
            match answer.map_err(|_| Lost)? {
                Ok(ack) => self.acknowledged(message, &ack),
                // What may pass is tried again on this or another server.
                Err(error) if error.retryable => return Err(Lost),
                Err(error) => panic!("a member may write: {error}"),
            }
        }
        Ok(())
    }

    fn acknowledged(&self, message: &Send, ack: &Ack) {
        assert_eq!(ack.client_msg_id, message.client_msg_id);
        let payload = message.payload.as_deref().unwrap_or_default();
        self.state.history.lock().acked(
            self.state.person.device(),
            ack.conversation,
            ack.client_msg_id,
            ack.seq,
            payload,
        );
        let mut promised = self.state.promised.lock();
        let newest = promised.entry(ack.conversation).or_default();
        *newest = ack.seq.max(*newest);
        drop(promised);
        let mut outbox = self.state.outbox.lock();
        outbox.retain(|other| other.client_msg_id != message.client_msg_id);
        self.state.acked.fetch_add(1, Ordering::Relaxed);
    }

    async fn take_events(&mut self) -> Result<(), Lost> {
        for event in self.socket.take_events() {
            self.apply(event).await?;
        }
        Ok(())
    }

    async fn apply(&mut self, event: Event) -> Result<(), Lost> {
        match event {
            Event::Message(message) => {
                let Item::Row(row) = message.item else {
                    panic!("an event brings a row: {:?}", message.item)
                };
                let cursor = self.cursor(message.conversation);
                if row.seq == cursor.next() {
                    self.apply_row(message.conversation, &row);
                } else if row.seq > cursor {
                    self.read_on(message.conversation, row.seq).await?;
                }
            }
            Event::Resync(resync) => {
                for mark in resync.heads {
                    self.read_on(mark.conversation, mark.head).await?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn cursor(&self, conversation: ConversationId) -> Seq {
        let cursors = self.state.cursors.lock();
        cursors.get(&conversation).copied().unwrap_or_default()
    }

    fn move_cursor(&self, conversation: ConversationId, to: Seq) {
        self.state.cursors.lock().insert(conversation, to);
    }

    fn apply_row(&self, conversation: ConversationId, row: &Row) {
        self.move_cursor(conversation, row.seq);
        let device = self.state.person.device();
        let mut history = self.state.history.lock();
        let (seq, id) = (row.seq, row.client_msg_id);
        if row.kind == RowKind::System {
            history.read_notice(device, conversation, seq, id, &row.payload);
        } else {
            history.read(device, conversation, seq, id, &row.payload);
        }
    }

    /// Reads pages from the cursor on, up to a number or the end.
    async fn read_on(&mut self, conversation: ConversationId, to: Seq) -> Result<(), Lost> {
        loop {
            let cursor = self.cursor(conversation);
            if cursor >= to {
                return Ok(());
            }
            let request = PageRequest {
                conversation,
                from: PageStart::After(cursor),
                limit: None,
                as_content: false,
            };
            let page = match self.ask(request).await? {
                Ok(page) => page,
                Err(error) if error.retryable => return Err(Lost),
                Err(error) => panic!("who was ever a member may read: {error}"),
            };
            if page.items.is_empty() {
                assert!(
                    cursor >= page.head,
                    "a page below the head brings something"
                );
                return Ok(());
            }
            assert_eq!(page.from, cursor.next(), "a page continues the log");
            for item in page.items {
                match item {
                    Item::Row(row) => self.apply_row(conversation, &row),
                    Item::Hole(hole) => {
                        self.move_cursor(conversation, hole.to);
                        let device = self.state.person.device();
                        let mut history = self.state.history.lock();
                        history.crossed(device, conversation, hole.from, hole.to);
                    }
                    other => panic!("a page brings rows and holes: {other:?}"),
                }
            }
        }
    }

    /// Reports the cursor, so that the next hello names what is new since.
    async fn report(&mut self, conversation: ConversationId) -> Result<(), Lost> {
        let seq = self.cursor(conversation);
        let reported = self.ask(Delivered { conversation, seq }).await?;
        reported.map(drop).map_err(|_| Lost)
    }
}
