//! What waits in one direction of a connection, and when it may go on.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::{Lane, PIECE};

/// How many bytes wait in here at most.
const QUEUE: usize = 1024 * 1024;
/// A throttled direction sends in bursts of this part of a second.
const BURSTS_PER_SECOND: u64 = 50;
/// How much of the time it spent idle a throttled direction may catch up on.
const CATCH_UP: Duration = Duration::from_millis(1_000 / BURSTS_PER_SECOND);

/// What one direction has read and not yet written.
#[derive(Debug)]
pub(super) struct Queue {
    bytes: VecDeque<u8>,
    /// When how many of the bytes came. None are the end of the stream.
    arrivals: VecDeque<(Instant, usize)>,
    /// When a throttled direction may send again.
    free_at: Instant,
}

/// What is to be done with a queue.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing until then, or until something else changes.
    Wait(Option<Instant>),
    /// The next bytes go out, at most this many of them.
    Send(usize),
    /// The end of the stream goes out.
    End,
}

impl Queue {
    pub(super) const fn new(now: Instant) -> Self {
        Self {
            bytes: VecDeque::new(),
            arrivals: VecDeque::new(),
            free_at: now,
        }
    }

    pub(super) fn push(&mut self, bytes: &[u8], now: Instant) {
        self.bytes.extend(bytes);
        self.arrivals.push_back((now, bytes.len()));
    }

    /// Takes out what has been sent of the first piece.
    pub(super) fn remove(&mut self, len: usize, lane: &Lane, now: Instant) {
        self.bytes.drain(..len);
        if let Some((_, left)) = self.arrivals.front_mut() {
            *left -= len;
            if *left == 0 {
                self.arrivals.pop_front();
            }
        }
        if let Some(rate) = lane.bytes_per_second {
            let nanos = len as u64 * 1_000_000_000 / rate.max(1);
            let earliest = now.checked_sub(CATCH_UP).unwrap_or(now);
            self.free_at = self.free_at.max(earliest) + Duration::from_nanos(nanos);
        }
    }

    /// Forgets everything, and says whether there was something.
    pub(super) fn clear(&mut self) -> bool {
        let is_lossy = !self.arrivals.is_empty();
        self.bytes.clear();
        self.arrivals.clear();
        is_lossy
    }

    pub(super) fn step(&self, lane: &Lane, now: Instant) -> Step {
        let Some(&(arrived, len)) = self.arrivals.front() else {
            return Step::Wait(None);
        };
        if lane.hold || lane.bytes_per_second == Some(0) {
            return Step::Wait(None);
        }
        let Some(mut due) = arrived.checked_add(lane.delay) else {
            return Step::Wait(None);
        };
        let mut most = PIECE;
        if let Some(rate) = lane.bytes_per_second {
            due = due.max(self.free_at);
            let burst = usize::try_from(rate / BURSTS_PER_SECOND).unwrap_or(PIECE);
            most = burst.clamp(1, PIECE);
        }
        if due > now {
            Step::Wait(Some(due))
        } else if len == 0 {
            Step::End
        } else {
            Step::Send(len.min(most))
        }
    }

    /// The next bytes that lie together, at most so many.
    pub(super) fn front(&self, len: usize) -> &[u8] {
        let (front, _) = self.bytes.as_slices();
        &front[..len.min(front.len())]
    }

    pub(super) fn room(&self) -> usize {
        QUEUE - self.bytes.len()
    }
}
