//! What a server that the test plays knows, and how a good one would answer.

use std::collections::BTreeMap;

use ruggine_core::api::Done;
use ruggine_core::api::account::User;
use ruggine_core::api::conversation::{Conversation, ConversationKind, Get, ProtectionMode, Role};
use ruggine_core::api::member::{List as MemberList, Member, Members};
use ruggine_core::api::message::{Ack, Item, Page, PageRequest, PageStart, Row, RowKind, Send};
use ruggine_core::api::position::{Delivered, Read};
use ruggine_core::api::session::Tokens;
use ruggine_core::api::sync::{Head, Heads, HeadsRequest, Hello};
use ruggine_core::event::MessageEvent;
use ruggine_core::secret::SecretText;
use ruggine_core::{
    Blob, ClientMsgId, ConversationId, DeviceId, ErrorCode, Incarnation, Seq, Timestamp, UserId,
};

use super::replies::{Asked, Reply, error, refusal, result};
use super::{now, person, text};

const PAGE: usize = 100;

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
    pub(super) untold: Vec<MessageEvent>,
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
