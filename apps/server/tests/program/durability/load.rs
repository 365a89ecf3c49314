//! People who write and read while the server is killed under them.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use ruggine_core::api::message::{Item, PageRequest, PageStart, RowKind, Send};
use ruggine_core::api::sync::{Heads, Hello};
use ruggine_core::codec::Encoding;
use ruggine_core::version::ProtocolVersion;
use ruggine_core::{ConversationId, DeviceId, Event, Incarnation, Seq};
use ruggine_server::testing::{
    Ending, History, Pending, Person, SocketClient, patiently, text_message,
};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

/// Messages of one sender that wait for their answers.
const IN_FLIGHT: usize = 8;
/// Messages of one sender over one connection: as many as a device may send at once.
const PER_CONNECTION: usize = 60;

/// Where the server is, and what the people are to do.
#[derive(Debug, Clone)]
pub(super) struct Stage {
    pub(super) address: SocketAddr,
    /// Nothing new is sent; what waits for an answer still gets one.
    pub(super) last: bool,
    /// Where the logs end; who has read so far is done.
    pub(super) heads: Option<HashMap<ConversationId, Seq>>,
}

/// Everybody.
#[derive(Debug)]
pub(super) struct Load {
    stage: watch::Sender<Stage>,
    acks: (
        mpsc::UnboundedSender<SocketAddr>,
        mpsc::UnboundedReceiver<SocketAddr>,
    ),
    record: Record,
    senders: JoinSet<()>,
    listeners: JoinSet<DeviceId>,
}

impl Load {
    /// Nobody yet, and a server.
    pub(super) fn new(address: SocketAddr) -> Self {
        let stage = Stage {
            address,
            last: false,
            heads: None,
        };
        Self {
            stage: watch::Sender::new(stage),
            acks: mpsc::unbounded_channel(),
            record: Record::default(),
            senders: JoinSet::new(),
            listeners: JoinSet::new(),
        }
    }

    /// Somebody begins to write.
    pub(super) fn send(
        &mut self,
        person: &Person,
        conversations: Vec<ConversationId>,
        encoding: Encoding,
    ) {
        let sender = Sender {
            person: person.clone(),
            conversations,
            encoding,
            stage: self.stage.subscribe(),
            acks: self.acks.0.clone(),
            record: self.record.clone(),
            waiting: VecDeque::new(),
            written: 0,
        };
        self.senders.spawn(sender.run());
    }

    /// Somebody begins to read.
    pub(super) fn listen(&mut self, person: &Person, encoding: Encoding) {
        let listener = Listener {
            person: person.clone(),
            encoding,
            stage: self.stage.subscribe(),
            record: self.record.clone(),
            cursors: HashMap::new(),
        };
        self.listeners.spawn(listener.run());
    }

    /// Tells everybody of another server.
    pub(super) fn tell(&self, stage: Stage) {
        self.stage.send_replace(stage);
    }

    /// Waits until the server at this address has acknowledged so many.
    pub(super) async fn wait_for_acks(&mut self, address: SocketAddr, count: usize) {
        let mut seen = 0;
        while seen < count {
            let ack = patiently("an acknowledgement", self.acks.1.recv()).await;
            // Some of the last server's may only be looked at now.
            if ack == Some(address) {
                seen += 1;
            }
            self.check_tasks();
        }
    }

    /// A failed check of somebody ends the test at once.
    fn check_tasks(&mut self) {
        if let Some(ended) = self.listeners.try_join_next() {
            let device = ended.expect("nobody fails");
            panic!("{device} stopped listening");
        }
    }

    /// Waits until every sender has an answer to everything.
    pub(super) async fn senders_are_done(&mut self) {
        while let Some(done) = patiently("the senders", self.senders.join_next()).await {
            done.expect("no sender fails");
        }
    }

    /// Waits until every listener has read to the end.
    pub(super) async fn listeners_are_done(&mut self) -> Vec<DeviceId> {
        let mut devices = Vec::new();
        while let Some(done) = patiently("the listeners", self.listeners.join_next()).await {
            devices.push(done.expect("no listener fails"));
        }
        devices
    }

    /// A further device has read this.
    pub(super) fn read(&self, device: DeviceId, conversation: ConversationId, item: &Item) {
        self.record.read(device, conversation, item);
    }

    /// What everybody saw.
    pub(super) fn into_history(self) -> History {
        self.record.history().clone()
    }
}

/// What everybody saw, written down by all.
#[derive(Debug, Clone, Default)]
struct Record {
    history: Arc<Mutex<History>>,
    incarnation: Arc<Mutex<Option<Incarnation>>>,
}

impl Record {
    fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().expect("nobody has failed")
    }

    /// The log is the same one through all kills.
    fn counts_in(&self, incarnation: Incarnation) {
        let mut known = self.incarnation.lock().expect("nobody has failed");
        assert_eq!(*known.get_or_insert(incarnation), incarnation);
    }

    fn read(&self, device: DeviceId, conversation: ConversationId, item: &Item) {
        let mut history = self.history();
        match item {
            Item::Row(row) if row.kind == RowKind::Message => {
                history.read(
                    device,
                    conversation,
                    row.seq,
                    row.client_msg_id,
                    &row.payload,
                );
            }
            Item::Row(row) => {
                history.read_notice(
                    device,
                    conversation,
                    row.seq,
                    row.client_msg_id,
                    &row.payload,
                );
            }
            other => panic!("everybody may see everything, and here is {other:?}"),
        }
    }
}

/// Somebody who writes, and writes again what was not answered.
struct Sender {
    person: Person,
    conversations: Vec<ConversationId>,
    encoding: Encoding,
    stage: watch::Receiver<Stage>,
    acks: mpsc::UnboundedSender<SocketAddr>,
    record: Record,
    /// Written and not acknowledged, in the order of writing.
    waiting: VecDeque<Send>,
    written: usize,
}

impl Sender {
    async fn run(mut self) {
        loop {
            let stage = self.stage.borrow_and_update().clone();
            if self.talk(&stage).await.is_ok() {
                return;
            }
            patiently("another server", self.stage.changed())
                .await
                .expect("the test goes on");
        }
    }

    /// Writes over one connection until it ends or nothing is left to be done.
    async fn talk(&mut self, stage: &Stage) -> Result<(), Ending> {
        let (mut socket, _) = enter(stage.address, &self.person, self.encoding).await?;
        let mut begun: VecDeque<(Send, Pending<Send>)> = VecDeque::new();
        let mut count = 0;
        // First what was written before, under the same ids, in the same order.
        for message in self.waiting.clone() {
            count += 1;
            let pending = socket.begin(&message).await?;
            begun.push_back((message, pending));
        }
        loop {
            while !stage.last && begun.len() < IN_FLIGHT && count < PER_CONNECTION {
                let message = self.write();
                count += 1;
                let pending = socket.begin(&message).await?;
                begun.push_back((message, pending));
            }
            let Some((message, pending)) = begun.pop_front() else {
                if stage.last {
                    return Ok(());
                }
                return Err(socket.ending().await);
            };
            let answer = socket.finish(pending).await?;
            let ack = answer.unwrap_or_else(|error| panic!("a message was refused: {error:?}"));
            assert_eq!(ack.client_msg_id, message.client_msg_id);
            assert_eq!(ack.conversation, message.conversation);
            self.record.counts_in(ack.incarnation);
            self.record.history().acked(
                self.person.device(),
                ack.conversation,
                ack.client_msg_id,
                ack.seq,
                message.payload.as_deref().unwrap_or_default(),
            );
            self.waiting
                .retain(|other| other.client_msg_id != message.client_msg_id);
            // Nobody counts once the last server has been told of.
            let _ = self.acks.send(stage.address);
        }
    }

    fn write(&mut self) -> Send {
        let conversation = self.conversations[self.written % self.conversations.len()];
        self.written += 1;
        let words = format!(
            "number {} of {}",
            self.written, self.person.login.user.username
        );
        let message = text_message(conversation, &words);
        self.record.history().sent(
            conversation,
            message.client_msg_id,
            message.payload.as_deref().unwrap_or_default(),
        );
        self.waiting.push_back(message.clone());
        message
    }
}

/// Somebody who reads: live, and from the log where something was missed.
struct Listener {
    person: Person,
    encoding: Encoding,
    stage: watch::Receiver<Stage>,
    record: Record,
    cursors: HashMap<ConversationId, Seq>,
}

impl Listener {
    async fn run(mut self) -> DeviceId {
        loop {
            let stage = self.stage.borrow_and_update().clone();
            if self.follow(&stage).await.is_ok() {
                return self.person.device();
            }
            // A listener waits no longer than the test does.
            self.stage.changed().await.expect("the test goes on");
        }
    }

    /// Reads over one connection until it ends or everything is read.
    async fn follow(&mut self, stage: &Stage) -> Result<(), Ending> {
        let (mut socket, heads) = enter(stage.address, &self.person, self.encoding).await?;
        self.record.counts_in(heads.incarnation);
        for head in heads.conversations {
            self.read_to(&mut socket, head.id, head.head).await?;
        }
        loop {
            let now = self.stage.borrow().clone();
            if now.address == stage.address
                && let Some(heads) = now.heads
            {
                for (id, head) in heads {
                    self.read_to(&mut socket, id, head).await?;
                }
                return Ok(());
            }
            tokio::select! {
                event = socket.try_next_event() => self.take(&mut socket, event?).await?,
                changed = self.stage.changed() => changed.expect("the test goes on"),
            }
        }
    }

    async fn take(&mut self, socket: &mut SocketClient, event: Event) -> Result<(), Ending> {
        match event {
            Event::Message(message) => {
                self.record.counts_in(message.incarnation);
                let cursor = self.cursor(message.conversation);
                let (from, to) = message.item.span().expect("the server is of this build");
                if from == cursor.next() {
                    self.apply(message.conversation, &message.item, to);
                } else if from > cursor {
                    self.read_to(socket, message.conversation, to).await?;
                }
            }
            Event::Resync(resync) => {
                for mark in resync.heads {
                    self.read_to(socket, mark.conversation, mark.head).await?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Reads a log from where this device is, up to a number.
    async fn read_to(
        &mut self,
        socket: &mut SocketClient,
        conversation: ConversationId,
        head: Seq,
    ) -> Result<(), Ending> {
        while self.cursor(conversation) < head {
            let after = self.cursor(conversation);
            let request = PageRequest {
                conversation,
                from: PageStart::After(after),
                limit: Some(17),
                as_content: false,
            };
            let page = socket.try_call(request).await?.expect("a member may read");
            self.record.counts_in(page.incarnation);
            assert_eq!(
                page.from,
                after.next(),
                "a page begins where it was asked to"
            );
            assert!(
                page.to > after,
                "{conversation} ends at {after}, which is before {head}"
            );
            for item in &page.items {
                let (_, to) = item.span().expect("the server is of this build");
                self.apply(conversation, item, to);
            }
        }
        Ok(())
    }

    fn cursor(&self, conversation: ConversationId) -> Seq {
        let cursor = self.cursors.get(&conversation);
        cursor.copied().unwrap_or(Seq::ZERO)
    }

    fn apply(&mut self, conversation: ConversationId, item: &Item, to: Seq) {
        self.record.read(self.person.device(), conversation, item);
        self.cursors.insert(conversation, to);
    }
}

/// A connection that has said hello, and what is new on it. A server that is being killed does not
/// answer, and another process may have its port by now.
async fn enter(
    address: SocketAddr,
    person: &Person,
    encoding: Encoding,
) -> Result<(SocketClient, Heads), Ending> {
    let connected = SocketClient::try_connect(address, encoding).await;
    let mut socket = connected.map_err(gone)?;
    let hello = Hello {
        token: person.token().clone(),
        protocol: ProtocolVersion::CURRENT,
        locale: None,
        incarnation: None,
    };
    let heads = socket.try_call(hello).await?;
    Ok((socket, heads.map_err(|error| gone(error.code))?))
}

fn gone(reason: impl std::fmt::Display) -> Ending {
    Ending {
        code: None,
        reason: reason.to_string(),
    }
}
