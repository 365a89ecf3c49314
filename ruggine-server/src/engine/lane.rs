//! Writer lanes: whatever waits is committed together.
//!
//! A lane takes the next job, and with it all that arrived while the last
//! commit was under way, up to a bound. So the cost of a commit is shared when
//! there is load, and no delay is added when there is none. Every job of one
//! conversation goes through one lane, so rows are told in the order of their
//! numbers.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::RwLock;
use ruggine_core::api::message::Row;
use ruggine_core::{Blob, ConversationId, ErrorCode, Seq};
use tokio::sync::{mpsc, oneshot};

use super::announced::Announced;
use super::{Engine, EngineError, EngineResult};
use crate::bus::{Passage, RosterDelta};
use crate::config::Limits;
use crate::metrics::Measurement;
use crate::store::{
    Append, AppendOutcome, Appended, BatchId, ChangeRoster, CreateConversation, NewConversation,
    NewRow, RosterOutcome, StoreError, StoreResult,
};

/// Rows committed together at the most.
const BATCH_ROWS: usize = 256;
/// Bytes of them.
const BATCH_BYTES: usize = 1024 * 1024;
/// How long an idle lane keeps announced batches before it settles them.
const SETTLE_AFTER: Duration = Duration::from_millis(500);

/// Something to be written to a conversation.
pub(super) enum Job {
    Append(AppendJob),
    Create(
        Box<NewConversation>,
        Blob,
        oneshot::Sender<StoreResult<CreateConversation>>,
    ),
    Roster(Box<RosterJob>),
}

pub(super) struct AppendJob {
    pub(super) row: NewRow,
    /// What the row says, so that it need not be opened to be told.
    pub(super) payload: Blob,
    pub(super) answer: oneshot::Sender<StoreResult<AppendOutcome>>,
    pub(super) place: Place,
}

pub(super) struct RosterJob {
    pub(super) change: ChangeRoster,
    pub(super) delta: RosterDelta,
    pub(super) payload: Blob,
    pub(super) answer: oneshot::Sender<StoreResult<RosterOutcome>>,
}

/// The lanes of an engine, for those who bring jobs.
pub(super) struct Lanes {
    /// Empty once closed.
    senders: RwLock<Vec<mpsc::Sender<Job>>>,
    hasher: RandomState,
    waiting: Arc<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    messages: AtomicUsize,
    bytes: AtomicUsize,
    messages_max: usize,
    bytes_max: usize,
}

/// Room for a message among those that wait, given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    waiting: Arc<Waiting>,
    bytes: usize,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.waiting.messages.fetch_sub(1, Ordering::Relaxed);
        self.waiting.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Lanes {
    pub(super) fn new(count: usize, limits: &Limits) -> (Self, Vec<mpsc::Receiver<Job>>) {
        let (senders, receivers) = (0..count.max(1))
            .map(|_| mpsc::channel(limits.waiting_messages.max(1)))
            .unzip();
        let waiting = Waiting {
            messages: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            messages_max: limits.waiting_messages,
            bytes_max: limits.waiting_bytes,
        };
        let lanes = Self {
            senders: RwLock::new(senders),
            hasher: RandomState::new(),
            waiting: Arc::new(waiting),
        };
        (lanes, receivers)
    }

    /// Room for a message of this size, or the word that there is none.
    pub(super) fn admit(&self, bytes: usize) -> EngineResult<Place> {
        let waiting = &self.waiting;
        let place = Place {
            waiting: Arc::clone(waiting),
            bytes,
        };
        let messages = waiting.messages.fetch_add(1, Ordering::Relaxed);
        let total = waiting.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if messages >= waiting.messages_max || total > waiting.bytes_max {
            return Err(overloaded());
        }
        Ok(place)
    }

    /// Hands a job to the lane of its conversation. Never waits.
    pub(super) fn submit(&self, conversation: ConversationId, job: Job) -> EngineResult<()> {
        let senders = self.senders.read();
        if senders.is_empty() {
            return Err(EngineError::rejected(ErrorCode::Unavailable));
        }
        let index = self.hasher.hash_one(conversation) % senders.len() as u64;
        let lane = usize::try_from(index).unwrap_or(0);
        senders[lane].try_send(job).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => overloaded(),
            mpsc::error::TrySendError::Closed(_) => EngineError::rejected(ErrorCode::Unavailable),
        })
    }

    /// Takes no more jobs; those that were taken are finished.
    pub(super) fn close(&self) {
        self.senders.write().clear();
    }
}

fn overloaded() -> EngineError {
    EngineError::Limited {
        code: ErrorCode::Overloaded,
        retry_after: Duration::from_millis(250),
    }
}

impl Engine {
    /// Runs a lane until no more jobs can come.
    pub(super) async fn run_lane(self, mut jobs: mpsc::Receiver<Job>) {
        let mut announced = Announced::default();
        loop {
            let next = if announced.is_empty() {
                jobs.recv().await
            } else {
                match tokio::time::timeout(SETTLE_AFTER, jobs.recv()).await {
                    Ok(next) => next,
                    Err(_) => {
                        self.settle(announced.take_settled()).await;
                        continue;
                    }
                }
            };
            let Some(mut job) = next else { break };
            // A run of messages becomes one batch; other jobs stand alone.
            loop {
                let follower = match job {
                    Job::Append(first) => {
                        let (batch, follower) = gather(first, &mut jobs);
                        self.commit(batch, &mut announced).await;
                        follower
                    }
                    Job::Create(new, payload, answer) => {
                        self.create(*new, payload, answer, &mut announced).await;
                        None
                    }
                    Job::Roster(roster) => {
                        self.change(*roster, &mut announced).await;
                        None
                    }
                };
                match follower {
                    Some(next) => job = next,
                    None => break,
                }
            }
        }
        self.settle(announced.take_settled()).await;
    }

    async fn settle(&self, settled: Vec<BatchId>) {
        if settled.is_empty() {
            return;
        }
        // A batch that stays is announced once more by the relay: harmless.
        if let Err(error) = self.0.store.settle(settled).await {
            tracing::warn!(%error, "announced batches could not be settled");
        }
    }

    /// Commits a batch, answers its senders and tells what it brought.
    async fn commit(&self, batch: Vec<AppendJob>, announced: &mut Announced) {
        let rows: Vec<NewRow> = batch.iter().map(|job| job.row.clone()).collect();
        let append = Append {
            rows,
            settled: announced.take_settled(),
            at: self.0.clock.now(),
        };
        match self.0.store.append(append).await {
            Ok(appended) => self.announce(batch, appended, announced).await,
            Err(error) if batch.len() > 1 && is_poisoned(&error) => {
                // One row spoils the batch: halves find it, so it fails alone.
                let mut first = batch;
                let second = first.split_off(first.len() / 2);
                Box::pin(self.commit(first, announced)).await;
                Box::pin(self.commit(second, announced)).await;
            }
            Err(error) => {
                tracing::error!(%error, rows = batch.len(), "a batch was not committed");
                let text = error.to_string();
                for job in batch {
                    let again = match &error {
                        StoreError::Unavailable(_) => StoreError::Unavailable(text.clone().into()),
                        StoreError::CannotWrite(_) => StoreError::CannotWrite(text.clone().into()),
                        _ => StoreError::Refused(text.clone().into()),
                    };
                    // Who no longer waits has no use for the answer.
                    let _ = job.answer.send(Err(again));
                }
            }
        }
    }

    async fn announce(&self, batch: Vec<AppendJob>, appended: Appended, announced: &mut Announced) {
        let mut told = Vec::with_capacity(batch.len());
        for (job, outcome) in batch.into_iter().zip(appended.outcomes) {
            drop(job.place);
            if let AppendOutcome::Appended {
                seq,
                roster_version,
            } = outcome
            {
                told.push((job.row, seq, roster_version, job.payload));
            }
            let _ = job.answer.send(Ok(outcome));
        }
        let count = u64::try_from(told.len()).unwrap_or(u64::MAX);
        self.0.metrics.record(Measurement::MessagesCommitted(count));
        self.0
            .metrics
            .record(Measurement::BatchCommitted(told.len()));
        let mut notices = super::fanout::RowNotices::default();
        for (row, seq, roster_version, payload) in told {
            self.tell(&row, seq, roster_version, None, &payload);
            notices.add(row, seq, roster_version);
        }
        let hints = self.publish_rows(notices).await;
        if let Some(batch) = appended.batch {
            announced.add(batch, hints);
        }
    }

    async fn create(
        &self,
        new: NewConversation,
        payload: Blob,
        answer: oneshot::Sender<StoreResult<CreateConversation>>,
        announced: &mut Announced,
    ) {
        let notice = new.notice.clone();
        let delta = RosterDelta {
            added: new.members.iter().map(|(user, _)| *user).collect(),
            removed: Vec::new(),
            member_count: u32::try_from(new.members.len()).unwrap_or(u32::MAX),
        };
        let result = self.0.store.create_conversation(new).await;
        if let Ok(CreateConversation::Created { seq, batch }) = &result {
            let hints = self.announce_notice(notice, *seq, 1, delta, payload).await;
            announced.add(*batch, hints);
        }
        let _ = answer.send(result);
    }

    async fn change(&self, job: RosterJob, announced: &mut Announced) {
        let notice = job.change.notice.clone();
        let result = self.0.store.change_roster(job.change).await;
        if let Ok(RosterOutcome::Changed {
            seq,
            version,
            batch,
        }) = &result
        {
            let hints = self
                .announce_notice(notice, *seq, *version, job.delta, job.payload)
                .await;
            announced.add(*batch, hints);
        }
        let _ = job.answer.send(result);
    }

    async fn announce_notice(
        &self,
        notice: NewRow,
        seq: Seq,
        version: u64,
        delta: RosterDelta,
        payload: Blob,
    ) -> Vec<Passage> {
        self.tell(&notice, seq, version, Some(delta.clone()), &payload);
        self.publish_notice(notice, seq, version, delta).await
    }
}

/// The rows that join a first one, and the job that ended the run.
fn gather(first: AppendJob, jobs: &mut mpsc::Receiver<Job>) -> (Vec<AppendJob>, Option<Job>) {
    let mut bytes = first.row.body.len();
    let mut batch = vec![first];
    while batch.len() < BATCH_ROWS && bytes < BATCH_BYTES {
        match jobs.try_recv() {
            Ok(Job::Append(job)) => {
                bytes += job.row.body.len();
                batch.push(job);
            }
            Ok(other) => return (batch, Some(other)),
            Err(_) => break,
        }
    }
    (batch, None)
}

/// Whether the failure may be due to one row rather than to the store.
const fn is_poisoned(error: &StoreError) -> bool {
    matches!(
        error,
        StoreError::Refused(_) | StoreError::Inconsistent { .. }
    )
}

/// A committed row as it travels.
pub(super) fn wire_row(row: &NewRow, seq: Seq, payload: &Blob) -> Row {
    Row {
        seq,
        kind: row.kind,
        sender: row.sender,
        device: row.device,
        client_msg_id: row.client_msg_id,
        server_ts: row.server_ts,
        epoch: row.epoch,
        payload: payload.clone(),
        content: None,
    }
}
