//! The live connections of this instance and the conversations that they sit in.
//!
//! The hub hands events to sockets and never waits for one. It knows which row
//! it told last in each conversation; a row that does not follow it, or a
//! roster that it has not seen, makes it ask for a repair instead of guessing.
//! It reads nothing from the store: that is the engine's part.
//!
//! Locks are taken in this order and held for no await: a conversation's shard,
//! then the users, then a socket.

mod event;
mod socket;
mod topic;

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use ruggine_core::error::CloseCode;
use ruggine_core::{ConversationId, Seq, SessionId, UserId};

pub(crate) use event::SharedEvent;
pub(crate) use socket::QueueBounds;
pub use socket::{Outgoing, Socket};
use topic::{Target, Topic};

use crate::bus::{Audience, RosterDelta};
use crate::store::{ConversationHead, Membership, Roster};

const SHARDS: usize = 64;

/// A committed row on its way to the sockets.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) conversation: ConversationId,
    pub(crate) seq: Seq,
    /// The roster's version with this row.
    pub(crate) roster_version: u64,
    pub(crate) delta: Option<RosterDelta>,
    pub(crate) event: Arc<SharedEvent>,
}

/// What became of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Offer {
    /// Told; this many queues overflowed.
    Told { lagged: u64 },
    /// Told, and nobody is left here: give it up on the bus. This many queues
    /// overflowed.
    Deserted { lagged: u64 },
    /// Told, and the conversation is new here: follow it on the bus. This many
    /// queues overflowed.
    Opened { lagged: u64 },
    /// Nobody here is concerned, or it was told before.
    Nothing,
    /// Something is missing: run a repair.
    Repair,
    /// A repair is under way and will bring it.
    Repairing,
}

/// Where a repair begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RepairStart {
    pub(crate) head: Seq,
    pub(crate) roster_version: u64,
    /// What was wanted before anything was read.
    wanted: Option<Target>,
}

/// Where a repair stands after it has told what it read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RepairEnd {
    /// It has reached what was wanted, or what there is.
    Reached,
    /// It must go on.
    Unfinished,
    /// Nobody is left here: give the conversation up on the bus.
    Deserted,
}

/// What joining a conversation led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Joined {
    /// There was somebody here already.
    Seated,
    /// The conversation is new here: follow it on the bus.
    Opened,
    /// The roster has changed since it was read: read it again.
    Outdated,
}

#[derive(Debug)]
pub(crate) struct Hub {
    topics: Vec<Mutex<HashMap<ConversationId, Topic>>>,
    users: RwLock<HashMap<UserId, Vec<Arc<Socket>>>>,
    hasher: RandomState,
    /// Members above which a group is large.
    large_group: u32,
}

impl Hub {
    pub(crate) fn new(large_group: u32) -> Self {
        Self {
            topics: (0..SHARDS).map(|_| Mutex::default()).collect(),
            users: RwLock::default(),
            hasher: RandomState::new(),
            large_group,
        }
    }

    fn shard(&self, id: ConversationId) -> &Mutex<HashMap<ConversationId, Topic>> {
        let index = self.hasher.hash_one(id) % SHARDS as u64;
        &self.topics[usize::try_from(index).unwrap_or(0)]
    }

    /// Makes a socket reachable; `true` when it is its user's first here.
    pub(crate) fn register(&self, socket: &Arc<Socket>) -> bool {
        let mut users = self.users.write();
        let sockets = users.entry(socket.principal().user).or_default();
        sockets.push(Arc::clone(socket));
        sockets.len() == 1
    }

    /// Seats a socket in a conversation of its user. Where the heads have been
    /// told before, it is told the head of a conversation that is new to it.
    pub(crate) fn join(
        &self,
        membership: &Membership,
        socket: &Arc<Socket>,
        heads_were_told: bool,
    ) -> Joined {
        let id = membership.conversation;
        let mut topics = self.shard(id).lock();
        let opened = !topics.contains_key(&id);
        let topic = topics.entry(id).or_insert_with(|| Topic {
            roster_version: membership.roster_version,
            head: membership.head,
            member_count: membership.member_count,
            seats: Vec::new(),
            repair: None,
        });
        if topic.roster_version > membership.roster_version {
            return Joined::Outdated;
        }
        let is_new = topic.take_seat(id, socket, membership.from_seq);
        if topic.seats.is_empty() {
            // The socket is gone already.
            topics.remove(&id);
            return Joined::Seated;
        }
        drop(topics);
        if is_new && heads_were_told {
            socket.mark_head(id, membership.head);
        }
        if opened {
            Joined::Opened
        } else {
            Joined::Seated
        }
    }

    /// Forgets a socket: the conversations in which nobody is left here, and
    /// whether it was its user's last.
    pub(crate) fn leave(&self, socket: &Arc<Socket>) -> (Vec<ConversationId>, bool) {
        let last = {
            let mut users = self.users.write();
            let user = socket.principal().user;
            let emptied = users.get_mut(&user).is_some_and(|sockets| {
                sockets.retain(|other| !Arc::ptr_eq(other, socket));
                sockets.is_empty()
            });
            if emptied {
                users.remove(&user);
            }
            emptied
        };
        let mut deserted = Vec::new();
        for id in socket.depart() {
            let mut topics = self.shard(id).lock();
            if let Some(topic) = topics.get_mut(&id) {
                topic
                    .seats
                    .retain(|seat| !Arc::ptr_eq(&seat.socket, socket));
                if topic.seats.is_empty() {
                    topics.remove(&id);
                    deserted.push(id);
                }
            }
        }
        (deserted, last)
    }

    /// Tells a committed row to the members here, or finds out that more is needed.
    pub(crate) fn deliver(&self, delivery: &Delivery) -> Offer {
        let id = delivery.conversation;
        let mut topics = self.shard(id).lock();
        let Some(topic) = topics.get_mut(&id) else {
            return self.open_for_added(&mut topics, delivery);
        };
        let target = Target {
            head: delivery.seq,
            roster_version: delivery.roster_version,
        };
        if topic.repair.is_some() {
            topic.want(target);
            return Offer::Repairing;
        }
        let known_version = topic.roster_version + u64::from(delivery.delta.is_some());
        if delivery.seq <= topic.head && delivery.roster_version <= topic.roster_version {
            return Offer::Nothing;
        }
        if delivery.seq != topic.head.next() || delivery.roster_version != known_version {
            topic.want(target);
            return Offer::Repair;
        }
        if let Some(delta) = &delivery.delta {
            self.seat(topic, id, &delta.added, delivery.seq);
        }
        if let Some(delta) = &delivery.delta {
            topic.member_count = delta.member_count;
        }
        let lagged = topic.tell(id, delivery.seq, &delivery.event, self.large_group);
        topic.head = delivery.seq;
        topic.roster_version = delivery.roster_version;
        if let Some(delta) = &delivery.delta {
            unseat(topic, id, &delta.removed);
        }
        if topic.seats.is_empty() {
            topics.remove(&id);
            return Offer::Deserted { lagged };
        }
        Offer::Told { lagged }
    }

    fn open_for_added(
        &self,
        topics: &mut HashMap<ConversationId, Topic>,
        delivery: &Delivery,
    ) -> Offer {
        let Some(delta) = &delivery.delta else {
            return Offer::Nothing;
        };
        let mut topic = Topic {
            roster_version: delivery.roster_version,
            head: delivery.seq,
            member_count: delta.member_count,
            seats: Vec::new(),
            repair: None,
        };
        self.seat(
            &mut topic,
            delivery.conversation,
            &delta.added,
            delivery.seq,
        );
        if topic.seats.is_empty() {
            return Offer::Nothing;
        }
        let lagged = topic.tell(
            delivery.conversation,
            delivery.seq,
            &delivery.event,
            self.large_group,
        );
        topics.insert(delivery.conversation, topic);
        Offer::Opened { lagged }
    }

    fn seat(&self, topic: &mut Topic, id: ConversationId, added: &[UserId], from: Seq) {
        let users = self.users.read();
        for socket in added.iter().filter_map(|user| users.get(user)).flatten() {
            topic.take_seat(id, socket, from);
        }
    }

    /// Notes that a conversation stands further than what was told here.
    pub(crate) fn notice_head(&self, head: &ConversationHead) -> Offer {
        let mut topics = self.shard(head.conversation).lock();
        let Some(topic) = topics.get_mut(&head.conversation) else {
            return Offer::Nothing;
        };
        if head.head <= topic.head && head.roster_version <= topic.roster_version {
            return Offer::Nothing;
        }
        let target = Target {
            head: head.head,
            roster_version: head.roster_version,
        };
        if topic.want(target) {
            Offer::Repair
        } else {
            Offer::Repairing
        }
    }

    /// Where a repair stands; `None` when nobody is left here.
    pub(crate) fn repair_start(&self, id: ConversationId) -> Option<RepairStart> {
        let topics = self.shard(id).lock();
        topics.get(&id).map(|topic| RepairStart {
            head: topic.head,
            roster_version: topic.roster_version,
            wanted: topic.repair,
        })
    }

    /// Seats exactly the members of a roster that was read from the store.
    /// Those who lost their seat are told where the log stands, so that they
    /// read up to their own end.
    pub(crate) fn reseat(&self, id: ConversationId, roster: &Roster) {
        let mut topics = self.shard(id).lock();
        let Some(topic) = topics.get_mut(&id) else {
            return;
        };
        let before = std::mem::take(&mut topic.seats);
        {
            let users = self.users.read();
            for (user, from) in &roster.members {
                for socket in users.get(user).into_iter().flatten() {
                    topic.take_seat(id, socket, *from);
                }
            }
        }
        for seat in &topic.seats {
            let is_new = !before
                .iter()
                .any(|other| Arc::ptr_eq(&other.socket, &seat.socket));
            if is_new {
                seat.socket.mark_head(id, roster.head);
            }
        }
        for seat in before {
            let stays = topic
                .seats
                .iter()
                .any(|other| Arc::ptr_eq(&other.socket, &seat.socket));
            if !stays {
                seat.socket.stand(id);
                seat.socket.mark_head(id, roster.head);
            }
        }
        topic.roster_version = roster.version;
        topic.member_count = u32::try_from(roster.members.len()).unwrap_or(u32::MAX);
    }

    /// Sockets of a user that have no seat in a conversation.
    pub(crate) fn unseated(&self, user: UserId, id: ConversationId) -> Vec<Arc<Socket>> {
        let users = self.users.read();
        let sockets = users.get(&user).into_iter().flatten();
        sockets
            .filter(|socket| !socket.sits_in(id))
            .cloned()
            .collect()
    }

    /// Tells a row that a repair has read; how many queues overflowed.
    pub(crate) fn deliver_repaired(
        &self,
        id: ConversationId,
        seq: Seq,
        event: &Arc<SharedEvent>,
    ) -> u64 {
        let mut topics = self.shard(id).lock();
        let Some(topic) = topics.get_mut(&id) else {
            return 0;
        };
        if seq != topic.head.next() {
            return 0;
        }
        topic.head = seq;
        topic.tell(id, seq, event, self.large_group)
    }

    /// Ends a repair if it has reached what was wanted, or what there is.
    pub(crate) fn finish_repair(
        &self,
        id: ConversationId,
        start: &RepairStart,
        known: &ConversationHead,
    ) -> RepairEnd {
        let mut topics = self.shard(id).lock();
        let Some(topic) = topics.get_mut(&id) else {
            return RepairEnd::Reached;
        };
        if topic.seats.is_empty() {
            topics.remove(&id);
            return RepairEnd::Deserted;
        }
        let satisfied = topic.repair.is_none_or(|wanted| {
            wanted.head <= topic.head && wanted.roster_version <= topic.roster_version
        });
        // A hint may promise more than the store holds; the store is right, if it
        // was read after the hint came.
        let reached = topic.head >= known.head && (satisfied || topic.repair == start.wanted);
        if !reached {
            return RepairEnd::Unfinished;
        }
        topic.repair = None;
        RepairEnd::Reached
    }

    /// Gives up a repair, so that a later hint or sweep begins it anew.
    pub(crate) fn abandon_repair(&self, id: ConversationId) {
        if let Some(topic) = self.shard(id).lock().get_mut(&id) {
            topic.repair = None;
        }
    }

    /// How many members a conversation with somebody here has.
    pub(crate) fn member_count(&self, id: ConversationId) -> Option<u32> {
        let topics = self.shard(id).lock();
        topics.get(&id).map(|topic| topic.member_count)
    }

    /// Offers something that is not stored to those here of an audience, or
    /// finds out that the roster has changed since it was read here.
    pub(crate) fn broadcast(&self, to: &Audience, event: &Arc<SharedEvent>) -> Offer {
        let mut topics = self.shard(to.conversation).lock();
        let Some(topic) = topics.get_mut(&to.conversation) else {
            return Offer::Nothing;
        };
        if let Some(outdated) = topic.outdated_by(to) {
            return outdated;
        }
        for seat in topic.seated(to) {
            seat.socket.offer(event);
        }
        Offer::Told { lagged: 0 }
    }

    /// Offers an event to every socket of a user.
    pub(crate) fn tell_user(&self, user: UserId, event: &Arc<SharedEvent>) {
        for socket in self.users.read().get(&user).into_iter().flatten() {
            socket.offer(event);
        }
    }

    /// Offers an event once to every socket in one of these audiences; the
    /// conversations whose roster has to be read again.
    pub(crate) fn tell_acquaintances(
        &self,
        audiences: &[Audience],
        event: &Arc<SharedEvent>,
    ) -> Vec<ConversationId> {
        let mut told: Vec<Arc<Socket>> = Vec::new();
        let mut outdated = Vec::new();
        for to in audiences {
            let mut topics = self.shard(to.conversation).lock();
            let Some(topic) = topics.get_mut(&to.conversation) else {
                continue;
            };
            if let Some(offer) = topic.outdated_by(to) {
                outdated.extend((offer == Offer::Repair).then_some(to.conversation));
                continue;
            }
            for seat in topic.seated(to) {
                if !told.iter().any(|other| Arc::ptr_eq(other, &seat.socket)) {
                    told.push(Arc::clone(&seat.socket));
                }
            }
        }
        for socket in told {
            socket.offer(event);
        }
        outdated
    }

    /// Notes what every socket of a session has before it.
    pub(crate) fn focus(
        &self,
        user: UserId,
        session: SessionId,
        conversation: Option<ConversationId>,
    ) {
        for socket in self.users.read().get(&user).into_iter().flatten() {
            if socket.principal().session == session {
                socket.focus(conversation);
            }
        }
    }

    pub(crate) fn is_online(&self, user: UserId) -> bool {
        self.users.read().contains_key(&user)
    }

    /// Everybody with a socket here.
    pub(crate) fn online(&self) -> Vec<UserId> {
        self.users.read().keys().copied().collect()
    }

    pub(crate) fn sockets_of(&self, user: UserId) -> usize {
        self.users.read().get(&user).map_or(0, Vec::len)
    }

    /// Closes every socket of a session.
    pub(crate) fn close_session(&self, user: UserId, session: SessionId) {
        for socket in self.users.read().get(&user).into_iter().flatten() {
            if socket.principal().session == session {
                socket.close(CloseCode::SessionRevoked);
            }
        }
    }

    /// Sockets with the number of conversations that they sit in.
    pub(crate) fn seat_counts(&self) -> Vec<(Arc<Socket>, usize)> {
        let users = self.users.read();
        let sockets = users.values().flatten();
        sockets
            .map(|socket| (Arc::clone(socket), socket.seat_count()))
            .collect()
    }

    /// Every live session here.
    pub(crate) fn sessions(&self) -> Vec<(UserId, SessionId)> {
        let users = self.users.read();
        let mut sessions: Vec<_> = users
            .values()
            .flatten()
            .map(|socket| (socket.principal().user, socket.principal().session))
            .collect();
        sessions.sort_unstable();
        sessions.dedup();
        sessions
    }

    /// What was told last in each conversation followed here.
    pub(crate) fn followed(&self) -> Vec<ConversationHead> {
        let mut followed = Vec::new();
        for shard in &self.topics {
            followed.extend(shard.lock().iter().map(|(id, topic)| ConversationHead {
                conversation: *id,
                head: topic.head,
                roster_version: topic.roster_version,
            }));
        }
        followed
    }

    /// Every live socket.
    pub(crate) fn sockets(&self) -> Vec<Arc<Socket>> {
        self.users.read().values().flatten().cloned().collect()
    }
}

fn unseat(topic: &mut Topic, id: ConversationId, removed: &[UserId]) {
    topic.seats.retain(|seat| {
        let stays = !removed.contains(&seat.socket.principal().user);
        if !stays {
            seat.socket.stand(id);
        }
        stays
    });
}
