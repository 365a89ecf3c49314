//! What an engine does by itself: hearing hints, comparing heads, announcing
//! what a crash or a broken bus left unannounced, and forgetting what is over.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use ruggine_core::{ConversationId, Timestamp, UserId};
use ruggine_crypto::random;

use super::{Engine, EngineResult};
use crate::bus::{BusState, Notice, Notices, Passage, Topic};
use crate::metrics::Measurement;
use crate::store::{BatchId, PendingBatch, StoreResult};

/// Heads compared in one query.
pub(super) const SWEEP_HEADS: usize = 1_000;
const RELAY_BATCHES: u32 = 100;
/// After how many rounds of the relay a batch that was announced late is
/// forgotten: every instance has seen it by then, and has looked for itself.
const SEEN_BY_ALL: u32 = 3;
/// After how many sweeps it is forgotten although its hints did not go out: every
/// instance has found its rows by then.
const SWEPT_BY_ALL: u32 = 2;
/// How long the relay waits for its hints to go out.
const GOING_OUT: Duration = Duration::from_secs(2);
const HOUSEKEEPING: Duration = Duration::from_secs(60);
/// How long what has expired is kept: the clock of this instance may run ahead of
/// those of the others. It must not log their users out, nor forget a key package
/// that they would take once more.
const LEEWAY: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) fn spawn(engine: &Engine, notices: Notices) {
    let tasks = &engine.0.tasks;
    tasks.spawn(engine.clone().run_hearing(notices));
    tasks.spawn(engine.clone().run_sweep());
    tasks.spawn(engine.clone().run_relay());
    tasks.spawn(engine.clone().run_presence());
    tasks.spawn(engine.clone().run_leases());
    tasks.spawn(engine.clone().run_housekeeping());
}

impl Engine {
    async fn run_hearing(self, mut notices: Notices) {
        loop {
            tokio::select! {
                notice = notices.next() => match notice {
                    Some(notice) => self.hear(notice).await,
                    None => return,
                },
                () = self.0.stopping.cancelled() => return,
            }
        }
    }

    /// Sleeps; `false` when the engine stops meanwhile.
    async fn pause(&self, time: Duration) -> bool {
        tokio::select! {
            () = tokio::time::sleep(time) => true,
            () = self.0.stopping.cancelled() => false,
        }
    }

    /// Compares with the store now and then, more often while the bus is away or
    /// did not follow what it should, and at once when it is back or somebody
    /// asks for it.
    async fn run_sweep(self) {
        let mut bus = self.0.bus_state.clone();
        // A bus that cannot be away tells of no change.
        let mut may_change = true;
        loop {
            // Not marked as seen: a change during a comparison is a reason for the next.
            let state = *bus.borrow();
            let is_deaf = state == BusState::Away || self.0.following.is_incomplete();
            self.0.metrics.record(Measurement::BusAway(is_deaf));
            let interval = match is_deaf {
                false => self.0.config.sweep_interval,
                true => self.0.config.poll_interval,
            };
            tokio::select! {
                going = self.pause(vary(interval)) => if !going { return },
                () = self.0.look.notified() => {}
                changed = bus.changed(), if may_change => match changed {
                    Ok(()) => {}
                    Err(_) => {
                        may_change = false;
                        continue;
                    }
                },
            }
            // First, so that what was missed until then is found; and not of a bus
            // that is away, which could only keep the store from being asked.
            let is_there = *bus.borrow() == BusState::Connected;
            if is_there && self.0.following.is_incomplete() {
                self.follow_again().await;
            }
            if let Err(error) = self.sweep().await {
                tracing::warn!(%error, "the heads could not be compared");
            }
            if let Err(error) = self.sweep_seats().await {
                tracing::warn!(%error, "the seats could not be compared");
            }
        }
    }

    /// Compares what was told here with what the store holds.
    async fn sweep(&self) -> StoreResult<()> {
        let followed = self.0.hub.followed();
        for chunk in followed.chunks(SWEEP_HEADS) {
            let ids = chunk.iter().map(|head| head.conversation).collect();
            for head in self.0.store.heads(ids).await? {
                self.hear_head(&head);
            }
        }
        let sessions = self.0.hub.sessions();
        for chunk in sessions.chunks(SWEEP_HEADS) {
            for over in self.0.store.revoked_among(chunk.to_vec()).await? {
                for (user, session) in chunk.iter().filter(|(_, session)| *session == over) {
                    self.0.hub.close_session(*user, *session);
                }
            }
        }
        Ok(())
    }

    /// Finds users who were added to a conversation without this instance
    /// hearing of it: they are in more conversations than they sit in.
    async fn sweep_seats(&self) -> EngineResult<()> {
        let seats = self.0.hub.seat_counts();
        for chunk in seats.chunks(SWEEP_HEADS) {
            let mut users: Vec<UserId> = chunk
                .iter()
                .map(|(socket, _)| socket.principal().user)
                .collect();
            users.sort_unstable();
            users.dedup();
            let counts: HashMap<UserId, u32> = self
                .0
                .store
                .conversation_counts(users)
                .await?
                .into_iter()
                .collect();
            for (socket, seated) in chunk {
                let count = counts.get(&socket.principal().user).copied().unwrap_or(0);
                if count as usize <= *seated {
                    continue;
                }
                // One who cannot be seated now must not cost the others their seats.
                if let Err(error) = self.take_seats(socket, true).await {
                    tracing::warn!(%error, "a connection could not be seated yet");
                }
            }
        }
        Ok(())
    }

    async fn run_relay(self) {
        let interval = self.0.config.relay_after.max(Duration::from_millis(20));
        // What a crash of this or another instance left is announced at once.
        let mut going = true;
        while going {
            if let Err(error) = self.relay().await {
                tracing::warn!(%error, "unannounced batches could not be read");
            }
            going = self.pause(interval).await;
        }
    }

    /// Announces what its own instance did not, or whose hints did not go out.
    /// What all have seen by now is forgotten, and what is older than two sweeps
    /// also where nothing goes out, so that the outbox has an end.
    async fn relay(&self) -> StoreResult<()> {
        let after = self.0.config.relay_after;
        let seen = after.saturating_mul(SEEN_BY_ALL);
        let swept = self.0.config.sweep_interval.saturating_mul(SWEPT_BY_ALL);
        loop {
            let pending = self.0.store.pending_batches(self.ago(after), RELAY_BATCHES);
            let batches = pending.await?;
            if batches.is_empty() {
                return Ok(());
            }
            // Whoever left them may have kept silent about more than rows.
            self.0.look.notify_one();
            let went_out = self.announce_heads(&batches).await?;
            let before = self.ago(if went_out { seen } else { swept.max(seen) });
            let over: Vec<BatchId> = batches
                .iter()
                .filter(|batch| batch.created_at < before)
                .map(|batch| batch.id)
                .collect();
            let may_be_more = over.len() == RELAY_BATCHES as usize;
            if !over.is_empty() {
                self.0.store.settle(over).await?;
            }
            if !may_be_more {
                return Ok(());
            }
        }
    }

    /// Hints where the conversations of some batches stand; whether all of that
    /// went out. What did not stays for another instance.
    async fn announce_heads(&self, batches: &[PendingBatch]) -> StoreResult<bool> {
        let heads = batches.iter().flat_map(|batch| &batch.heads);
        let ids: BTreeSet<ConversationId> = heads.map(|(id, _)| *id).collect();
        let ids: Vec<ConversationId> = ids.into_iter().collect();
        let mut all = true;
        // No more at a time than leaves room for what is said live.
        for some in ids.chunks(SWEEP_HEADS) {
            let mut hints = Vec::with_capacity(some.len());
            for head in self.0.store.heads(some.to_vec()).await? {
                self.hear_head(&head);
                let topic = Topic::Conversation(head.conversation);
                hints.push(self.publish(topic, Notice::Head(head)).await);
            }
            all &= self.all_went_out(hints).await;
        }
        Ok(all)
    }

    /// Whether every one of these hints goes out, and soon.
    async fn all_went_out(&self, hints: Vec<Passage>) -> bool {
        let going_out = async {
            for hint in hints {
                if !hint.went_out().await {
                    return false;
                }
            }
            true
        };
        tokio::select! {
            all = tokio::time::timeout(GOING_OUT, going_out) => all.unwrap_or(false),
            () = self.0.stopping.cancelled() => false,
        }
    }

    fn ago(&self, age: Duration) -> Timestamp {
        let age = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
        Timestamp::from_millis(self.0.clock.now().as_millis().saturating_sub(age))
    }

    async fn run_housekeeping(self) {
        while self.pause(HOUSEKEEPING).await {
            let now = self.0.clock.now();
            self.0.rates.shrink(now);
            let leeway = i64::try_from(LEEWAY.as_millis()).unwrap_or(0);
            let before = Timestamp::from_millis(now.as_millis().saturating_sub(leeway));
            if let Err(error) = self.0.store.purge_tokens(before).await {
                tracing::warn!(%error, "expired tokens could not be deleted");
            }
            self.purge_key_packages(before).await;
        }
    }
}

impl Engine {
    /// Forgets all key packages that have expired, some at a time.
    async fn purge_key_packages(&self, before: Timestamp) {
        while !self.0.stopping.is_cancelled() {
            match self.0.store.purge_key_packages(before).await {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(%error, "expired key packages could not be deleted");
                    return;
                }
            }
        }
    }
}

/// A time varied by a fifth either way, so that instances do not keep step.
fn vary(time: Duration) -> Duration {
    let part = random::number().map_or(500, |number| number % 1_000);
    let factor = 0.8 + 0.4 * (part as f64 / 1_000.0);
    time.mul_f64(factor)
}
