//! Devices as the contract describes them, each with its cursors and its outbox.

use std::collections::{HashMap, VecDeque};

use ruggine_core::api::message::{Ack, Item, PageRequest, PageStart, Row, RowKind, Send};
use ruggine_core::api::position::Delivered;
use ruggine_core::api::sync::{HeadsRequest, Hello};
use ruggine_core::codec::Encoding;
use ruggine_core::event::MessageEvent;
use ruggine_core::version::ProtocolVersion;
use ruggine_core::{ConversationId, ErrorCode, Event, Incarnation, Seq};
use ruggine_server::testing::{Ending, Pending, Person, SocketClient, text_message};

use super::world::World;

/// A message on its way.
pub(crate) struct Outgoing {
    pub(crate) message: Send,
    pending: Option<Pending<Send>>,
}

/// A client as the contract describes it: it applies a row only behind its
/// cursor, reads a page where rows are missing, and sends again what has no ack.
pub(crate) struct Client {
    pub(crate) person: Person,
    pub(crate) user: usize,
    pub(crate) encoding: Encoding,
    pub(crate) connection: Option<Connection>,
    pub(crate) incarnation: Option<Incarnation>,
    pub(crate) cursors: HashMap<ConversationId, Seq>,
    pub(crate) outbox: VecDeque<Outgoing>,
}

pub(crate) struct Connection {
    pub(crate) socket: SocketClient,
    pub(crate) engine: usize,
    /// What the events of this connection said last of each conversation: the
    /// number and the roster's version.
    told: HashMap<ConversationId, (Seq, u64)>,
}

impl World {
    pub(crate) async fn write(&mut self, device: usize, conversation: usize) {
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

    pub(crate) async fn resend(&mut self, device: usize) {
        self.send(device, client_outbox_start).await;
    }

    pub(crate) fn forget_connection(&mut self, device: usize) {
        let client = &mut self.clients[device];
        client.connection = None;
        for outgoing in &mut client.outbox {
            outgoing.pending = None;
        }
    }

    /// Takes in acks and events that have arrived.
    pub(crate) async fn look(&mut self, device: usize) {
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
    pub(crate) async fn take_acks(&mut self, device: usize) -> Result<(), Ending> {
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

    pub(crate) async fn apply(&mut self, device: usize, event: Event) {
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
    pub(crate) async fn read_on(&mut self, device: usize, conversation: ConversationId, to: Seq) {
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

    pub(crate) async fn connect(&mut self, device: usize, engine: usize) {
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
}

const fn client_outbox_end(length: usize) -> usize {
    length.saturating_sub(1)
}

const fn client_outbox_start(_: usize) -> usize {
    0
}
