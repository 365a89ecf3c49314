//! How long messages took.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ruggine_core::ClientMsgId;

/// When messages were handed to the SDK, acknowledged and received. Shared by
/// everybody in the story.
#[derive(Debug, Clone, Default)]
pub(super) struct Stopwatch(Arc<Mutex<Times>>);

#[derive(Debug, Default)]
struct Times {
    paused: bool,
    sent: HashMap<ClientMsgId, Instant>,
    acknowledged: Vec<Duration>,
    received: Vec<Duration>,
}

/// The middle and the slow end of some times.
#[derive(Debug, Clone, Copy)]
pub(super) struct Quantiles {
    pub(super) count: usize,
    pub(super) p50: Duration,
    pub(super) p99: Duration,
}

impl Stopwatch {
    pub(super) fn sent(&self, message: ClientMsgId, at: Instant) {
        self.with(|times| {
            if !times.paused {
                times.sent.insert(message, at);
            }
        });
    }

    pub(super) fn acknowledged(&self, message: ClientMsgId) {
        let now = Instant::now();
        self.with(|times| {
            if let Some(sent) = times.sent.get(&message) {
                times.acknowledged.push(now - *sent);
            }
        });
    }

    pub(super) fn received(&self, message: ClientMsgId) {
        let now = Instant::now();
        self.with(|times| {
            if let Some(sent) = times.sent.get(&message) {
                times.received.push(now - *sent);
            }
        });
    }

    /// What is sent from now on waits in a line or for a server that is away:
    /// no measure of speed.
    pub(super) fn pause(&self) {
        self.with(|times| times.paused = true);
    }

    /// What is sent from now on counts.
    pub(super) fn go_on(&self) {
        self.with(|times| times.paused = false);
    }

    pub(super) fn to_acknowledge(&self) -> Quantiles {
        self.with(|times| quantiles(&mut times.acknowledged))
    }

    pub(super) fn to_receive(&self) -> Quantiles {
        self.with(|times| quantiles(&mut times.received))
    }

    fn with<T>(&self, step: impl FnOnce(&mut Times) -> T) -> T {
        // A panic elsewhere does not spoil times.
        let mut times = match self.0.lock() {
            Ok(times) => times,
            Err(poisoned) => poisoned.into_inner(),
        };
        step(&mut times)
    }
}

fn quantiles(times: &mut [Duration]) -> Quantiles {
    times.sort_unstable();
    let at = |part: usize| {
        let index = (times.len() * part / 100).min(times.len().saturating_sub(1));
        times.get(index).copied().unwrap_or_default()
    };
    Quantiles {
        count: times.len(),
        p50: at(50),
        p99: at(99),
    }
}
