//! A live connection as the hub knows it: a bounded queue that nobody waits
//! for. What does not fit is left out and told as a head.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use ruggine_core::codec::Encoding;
use ruggine_core::error::CloseCode;
use ruggine_core::event::{HeadMark, ResyncEvent};
use ruggine_core::{ConversationId, Event, Seq};
use tokio::sync::{Notify, OwnedSemaphorePermit};
use tokio::time::Instant;

use super::event::{SharedEvent, Weight};
use crate::auth::Principal;

/// Heads told in one frame.
const HEADS_PER_FRAME: usize = 500;

/// Bounds of one socket's queue.
#[derive(Debug, Clone, Copy)]
pub(crate) struct QueueBounds {
    pub(crate) events: usize,
    pub(crate) bytes: usize,
    /// Shortest time between two tellings of heads that are in no hurry.
    pub(crate) mark_interval: Duration,
}

/// A live, authenticated connection.
#[derive(Debug)]
pub struct Socket {
    principal: Principal,
    encoding: Encoding,
    bounds: QueueBounds,
    queue: Mutex<Queue>,
    /// Conversations in which it has a seat; `None` once it is gone.
    seats: Mutex<Option<HashSet<ConversationId>>>,
    wake: Notify,
}

#[derive(Default)]
struct Queue {
    frames: VecDeque<Queued>,
    events: usize,
    bytes: usize,
    /// Newest number left out of each conversation. Not empty means lagging.
    left_out: BTreeMap<ConversationId, Seq>,
    /// Heads in no hurry, and when they are due.
    later: BTreeMap<ConversationId, Seq>,
    later_due: Option<Instant>,
    focus: Option<ConversationId>,
    lagged: u64,
    close: Option<CloseCode>,
}

enum Queued {
    Reply(Bytes, Option<OwnedSemaphorePermit>),
    Event(Arc<SharedEvent>, usize),
}

/// What the connection does next.
pub enum Outgoing {
    /// Send this frame. The permit is held until it is sent.
    Frame(Bytes, Option<OwnedSemaphorePermit>),
    /// Close with this code.
    Close(CloseCode),
}

impl fmt::Debug for Queue {
    /// Sizes only: the frames hold what people wrote.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue")
            .field("frames", &self.frames.len())
            .field("bytes", &self.bytes)
            .field("lagging", &self.is_lagging())
            .field("close", &self.close)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Outgoing {
    /// Sizes only: the frame holds what people wrote.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Frame(frame, _) => write!(f, "Frame({} bytes)", frame.len()),
            Self::Close(code) => write!(f, "Close({code:?})"),
        }
    }
}

impl Socket {
    pub(crate) fn new(principal: Principal, encoding: Encoding, bounds: QueueBounds) -> Self {
        Self {
            principal,
            encoding,
            bounds,
            queue: Mutex::default(),
            seats: Mutex::new(Some(HashSet::new())),
            wake: Notify::new(),
        }
    }

    /// Whose it is.
    pub const fn principal(&self) -> &Principal {
        &self.principal
    }

    /// How often its queue has overflowed.
    pub fn times_lagged(&self) -> u64 {
        self.queue.lock().lagged
    }

    /// Queues the answer to a request. Answers are bounded by the requests
    /// that are admitted, so they are never left out.
    pub fn reply(&self, frame: Bytes, permit: Option<OwnedSemaphorePermit>) {
        self.queue
            .lock()
            .frames
            .push_back(Queued::Reply(frame, permit));
        self.wake.notify_one();
    }

    /// Offers an event without waiting; `false` when the queue just overflowed.
    pub(crate) fn offer(&self, event: &Arc<SharedEvent>) -> bool {
        let length = event.frame(self.encoding).len();
        let mut queue = self.queue.lock();
        let admitted = queue.admit(event, length, self.bounds);
        drop(queue);
        self.wake.notify_one();
        admitted
    }

    /// Tells where a conversation stands instead of its events.
    pub(crate) fn mark_head(&self, conversation: ConversationId, head: Seq) {
        self.queue.lock().leave_out(conversation, head);
        self.wake.notify_one();
    }

    /// Tells where a conversation stands when that was last done long enough ago.
    pub(super) fn mark_later(&self, conversation: ConversationId, head: Seq) {
        let mut queue = self.queue.lock();
        let newest = queue.later.entry(conversation).or_insert(head);
        *newest = head.max(*newest);
        let now = Instant::now();
        queue.later_due.get_or_insert(now);
        drop(queue);
        self.wake.notify_one();
    }

    /// What the user has before them on this connection.
    pub(super) fn focus(&self, conversation: Option<ConversationId>) {
        self.queue.lock().focus = conversation;
    }

    pub(super) fn has_in_focus(&self, conversation: ConversationId) -> bool {
        self.queue.lock().focus == Some(conversation)
    }

    /// Asks the connection to close.
    pub(crate) fn close(&self, code: CloseCode) {
        self.queue.lock().close.get_or_insert(code);
        self.wake.notify_one();
    }

    /// The next thing to do. Cancel safe: nothing is taken until it returns.
    pub async fn next(&self) -> Outgoing {
        loop {
            if let Some(outgoing) = self.try_next() {
                return outgoing;
            }
            let due = self.queue.lock().due();
            match due {
                None => self.wake.notified().await,
                Some(due) => {
                    tokio::select! {
                        () = self.wake.notified() => {}
                        () = tokio::time::sleep_until(due) => {}
                    }
                }
            }
        }
    }

    /// The next thing to do, if there is one.
    pub fn try_next(&self) -> Option<Outgoing> {
        let mut queue = self.queue.lock();
        if let Some(code) = queue.close {
            // Answers still go out; news does not.
            while let Some(queued) = queue.frames.pop_front() {
                if let Queued::Reply(frame, permit) = queued {
                    return Some(Outgoing::Frame(frame, permit));
                }
            }
            return Some(Outgoing::Close(code));
        }
        match queue.frames.pop_front() {
            Some(Queued::Reply(frame, permit)) => Some(Outgoing::Frame(frame, permit)),
            Some(Queued::Event(event, length)) => {
                queue.events -= 1;
                queue.bytes -= length;
                Some(Outgoing::Frame(event.frame(self.encoding), None))
            }
            None => queue
                .take_heads(self.bounds.mark_interval)
                .map(|heads| Outgoing::Frame(SharedEvent::new(heads).frame(self.encoding), None)),
        }
    }

    /// Takes a seat in a conversation; `false` when the socket is gone.
    pub(super) fn sit(&self, conversation: ConversationId) -> bool {
        match self.seats.lock().as_mut() {
            Some(seats) => {
                seats.insert(conversation);
                true
            }
            None => false,
        }
    }

    pub(super) fn sits_in(&self, conversation: ConversationId) -> bool {
        let seats = self.seats.lock();
        seats
            .as_ref()
            .is_some_and(|seats| seats.contains(&conversation))
    }

    /// In how many conversations it sits.
    pub(super) fn seat_count(&self) -> usize {
        self.seats.lock().as_ref().map_or(0, HashSet::len)
    }

    /// Gives up a seat.
    pub(super) fn stand(&self, conversation: ConversationId) {
        if let Some(seats) = self.seats.lock().as_mut() {
            seats.remove(&conversation);
        }
    }

    /// Takes no seat from now on; those that it had.
    pub(super) fn depart(&self) -> HashSet<ConversationId> {
        self.seats.lock().take().unwrap_or_default()
    }
}

impl Queue {
    fn admit(&mut self, event: &Arc<SharedEvent>, length: usize, bounds: QueueBounds) -> bool {
        let full = self.events >= bounds.events || self.bytes + length > bounds.bytes;
        let half = self.events * 2 >= bounds.events || self.bytes * 2 > bounds.bytes;
        match event.weight() {
            Weight::Ephemeral if half || self.is_lagging() => true,
            Weight::Receipt if full || self.is_lagging() => true,
            Weight::Durable(conversation, seq) if self.is_lagging() => {
                self.leave_out(conversation, seq);
                true
            }
            Weight::Durable(conversation, seq) if full => {
                self.overflow();
                self.leave_out(conversation, seq);
                false
            }
            _ => {
                self.events += 1;
                self.bytes += length;
                self.frames
                    .push_back(Queued::Event(Arc::clone(event), length));
                true
            }
        }
    }

    fn is_lagging(&self) -> bool {
        !self.left_out.is_empty()
    }

    /// Leaves every waiting event out; answers stay.
    fn overflow(&mut self) {
        self.lagged += 1;
        let waiting = std::mem::take(&mut self.frames);
        for queued in waiting {
            match queued {
                Queued::Reply(..) => self.frames.push_back(queued),
                Queued::Event(event, _) => {
                    if let Weight::Durable(conversation, seq) = event.weight() {
                        self.leave_out(conversation, seq);
                    }
                }
            }
        }
        self.events = 0;
        self.bytes = 0;
    }

    fn leave_out(&mut self, conversation: ConversationId, seq: Seq) {
        let newest = self.left_out.entry(conversation).or_insert(seq);
        *newest = seq.max(*newest);
    }

    /// When heads in no hurry are to be told.
    fn due(&self) -> Option<Instant> {
        self.later_due.filter(|_| !self.later.is_empty())
    }

    fn take_heads(&mut self, interval: Duration) -> Option<Event> {
        let now = Instant::now();
        if self.due().is_some_and(|due| due <= now) {
            for (conversation, seq) in std::mem::take(&mut self.later) {
                self.leave_out(conversation, seq);
            }
            self.later_due = Some(now + interval);
        }
        if self.left_out.is_empty() {
            return None;
        }
        let mut heads = Vec::new();
        while heads.len() < HEADS_PER_FRAME
            && let Some((conversation, head)) = self.left_out.pop_first()
        {
            heads.push(HeadMark { conversation, head });
        }
        Some(Event::Resync(ResyncEvent { heads }))
    }
}
