//! The way out: bounded queues, emptied into pipelines.
//!
//! There is one for each bucket of a cluster, so that a node that is gone holds
//! up only what would go to it. What was in hand when a connection broke goes out
//! over the next one, for as long as it is worth anything.

use std::sync::Arc;
use std::time::{Duration, Instant};

use redis::Pipeline;
use tokio::sync::{mpsc, watch};

use super::lines::{Hold, Lines};
use super::names::Names;
use crate::bus::{BusError, Departure, Passage, Topic};

/// Notices that may wait to go out, on a server of its own.
const QUEUE: usize = 8_192;
/// The same for each bucket of a cluster.
const BUCKET_QUEUE: usize = 1_024;
/// Notices that go out together at the most.
const PIPELINE: usize = 256;
/// Age at which a notice that did not go out is given up: by then others find
/// what it was about in the store.
const STALE: Duration = Duration::from_secs(5);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LAST_PAUSE: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(super) struct Publisher {
    names: Names,
    lanes: Vec<mpsc::Sender<Hint>>,
    stuck: watch::Receiver<usize>,
}

#[derive(Debug)]
struct Hint {
    channel: String,
    bytes: Vec<u8>,
    since: Instant,
    /// Absent for what nobody waits for.
    departure: Option<Departure>,
}

impl Hint {
    fn is_stale(&self) -> bool {
        self.since.elapsed() >= STALE
    }
}

impl Publisher {
    pub(super) fn start(names: &Names, lines: &Arc<Lines>) -> Self {
        let (stuck, sees_stuck) = watch::channel(0);
        let stuck = Arc::new(stuck);
        let room = if names.are_in_cluster() {
            BUCKET_QUEUE
        } else {
            QUEUE
        };
        let lanes = (0..names.buckets()).map(|bucket| {
            let (queue, hints) = mpsc::channel(room);
            let lane = Lane {
                command: if names.are_in_cluster() {
                    "SPUBLISH"
                } else {
                    "PUBLISH"
                },
                probe: names.probe(bucket),
                hints,
                hold: Hold::new(bucket),
                lines: Arc::clone(lines),
                stuck: Arc::clone(&stuck),
            };
            tokio::spawn(lane.run());
            queue
        });
        Self {
            lanes: lanes.collect(),
            names: names.clone(),
            stuck: sees_stuck,
        }
    }

    /// Takes a notice on its way. Never waits.
    pub(super) fn publish(&self, topic: Topic, bytes: Vec<u8>) -> Result<Passage, BusError> {
        let (departure, passage) = Passage::under_way();
        let hint = Hint {
            channel: self.names.channel(topic),
            bytes,
            since: Instant::now(),
            departure: Some(departure),
        };
        self.lanes[self.names.bucket_of(topic)]
            .try_send(hint)
            .map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => BusError("too many notices wait".into()),
                mpsc::error::TrySendError::Closed(_) => BusError("the bus is closed".into()),
            })?;
        Ok(passage)
    }

    /// How many ways out are closed, to look at and to wait for.
    pub(super) fn stuck(&self) -> watch::Receiver<usize> {
        self.stuck.clone()
    }
}

/// The way out for one bucket.
struct Lane {
    command: &'static str,
    /// A channel that nobody follows.
    probe: String,
    hints: mpsc::Receiver<Hint>,
    hold: Hold,
    lines: Arc<Lines>,
    stuck: Arc<watch::Sender<usize>>,
}

impl Lane {
    async fn run(mut self) {
        let mut burst = Vec::with_capacity(PIPELINE);
        while self.hints.recv_many(&mut burst, PIPELINE).await > 0 {
            self.send(&mut burst).await;
            for hint in burst.drain(..) {
                if let Some(departure) = hint.departure {
                    departure.went_out();
                }
            }
        }
    }

    /// Sends until something has gone out, or nobody is left to send for. What is
    /// in hand then has gone out.
    async fn send(&mut self, burst: &mut Vec<Hint>) {
        // A connection that was lost since the last burst is simply replaced.
        if self.try_to_send(burst).await.is_ok() {
            return;
        }
        let mut obstacle = None;
        let mut pause = FIRST_PAUSE;
        while let Err(error) = self.try_to_send(burst).await {
            obstacle.get_or_insert_with(|| Obstacle::begin(&self.stuck, &error));
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LAST_PAUSE);
            self.look_through(burst);
            if burst.is_empty() {
                return;
            }
        }
    }

    async fn try_to_send(&mut self, burst: &[Hint]) -> Result<(), BusError> {
        let mut pipe = Pipeline::with_capacity(burst.len());
        for hint in burst {
            pipe.cmd(self.command)
                .arg(hint.channel.as_str())
                .arg(hint.bytes.as_slice())
                .ignore();
        }
        self.hold.query(&self.lines, &pipe).await
    }

    /// Gives up what is too old, and takes what waits in its place. With nothing
    /// left that could show that the way is open, there is always the probe.
    fn look_through(&mut self, burst: &mut Vec<Hint>) {
        burst.retain(|hint| !hint.is_stale());
        while burst.len() < PIPELINE {
            match self.hints.try_recv() {
                Ok(hint) if hint.is_stale() => {}
                Ok(hint) => burst.push(hint),
                Err(_) => break,
            }
        }
        if burst.is_empty() && !self.hints.is_closed() {
            burst.push(Hint {
                channel: self.probe.clone(),
                bytes: Vec::new(),
                since: Instant::now(),
                departure: None,
            });
        }
    }
}

/// That a way out is closed, for as long as this lives.
struct Obstacle(Arc<watch::Sender<usize>>);

impl Obstacle {
    fn begin(stuck: &Arc<watch::Sender<usize>>, error: &BusError) -> Self {
        let mut is_first = false;
        stuck.send_modify(|count| {
            *count += 1;
            is_first = *count == 1;
        });
        if is_first {
            tracing::warn!(%error, "notices do not go out: others find what they are about in the store");
        }
        Self(Arc::clone(stuck))
    }
}

impl Drop for Obstacle {
    fn drop(&mut self) {
        let mut is_last = false;
        self.0.send_modify(|count| {
            *count -= 1;
            is_last = *count == 0;
        });
        if is_last {
            tracing::info!("notices go out again");
        }
    }
}
