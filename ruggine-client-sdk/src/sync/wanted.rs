//! Which conversations have to be read, and which of them are being read.

use std::time::Duration;

use ruggine_core::{ConversationId, Seq};

use super::pull::Pull;
use super::{Done, LogSync};
use crate::store::StoreResult;

/// Conversations read at the same time.
const PULLS: usize = 8;
/// Pause before a range is asked for again.
const AGAIN: Duration = Duration::from_millis(500);

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Wanted {
    head: Seq,
    roster_version: u64,
    /// What the reading that is under way was begun for.
    begun_for: (Seq, u64),
    reading: Reading,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Reading {
    /// It has not begun.
    #[default]
    Waits,
    /// It is under way.
    Runs,
    /// It failed and begins again after a pause.
    Rests,
}

impl LogSync {
    /// A conversation has to be read at least up to here.
    pub(super) fn want(&mut self, id: ConversationId, head: Seq, roster_version: u64) {
        let wanted = self.wanted.entry(id).or_default();
        wanted.head = wanted.head.max(head);
        wanted.roster_version = wanted.roster_version.max(roster_version);
    }

    pub(super) fn start_pulls(&mut self) {
        if !self.online {
            return;
        }
        let runs = |wanted: &Wanted| wanted.reading == Reading::Runs;
        let running = self.wanted.values().filter(|wanted| runs(wanted)).count();
        let free = PULLS.saturating_sub(running);
        let waiting = self
            .wanted
            .iter_mut()
            .filter(|(_, wanted)| wanted.reading == Reading::Waits);
        for (id, wanted) in waiting.take(free) {
            wanted.reading = Reading::Runs;
            wanted.begun_for = (wanted.head, wanted.roster_version);
            let pull = Pull {
                shared: self.shared.clone(),
                id: *id,
                me: self.me,
                incarnation: self.incarnation,
                roster_version: wanted.roster_version,
                generation: self.generation,
            };
            self.work.push(Box::pin(pull.run()));
        }
    }

    pub(super) async fn finish_pull(&mut self, id: ConversationId, good: bool) -> StoreResult<()> {
        let Some(wanted) = self.wanted.remove(&id) else {
            return Ok(());
        };
        let record = self
            .shared
            .store_step(move |store| store.conversation(id))
            .await?;
        if let Some(record) = &record {
            self.rosters.insert(id, record.members_version);
            self.undelivered.insert(id);
        }
        if !good {
            // Again, but not at once: that would only repeat the failure.
            let again = Wanted {
                reading: Reading::Rests,
                ..wanted
            };
            self.wanted.insert(id, again);
            let generation = self.generation;
            self.work.push(Box::pin(async move {
                tokio::time::sleep(AGAIN).await;
                Done::Rested(generation, id)
            }));
            return Ok(());
        }
        // A head or a roster beyond what may be read here is not asked for twice:
        // the server has shown all that there is, unless more was told of since.
        let (head, roster_version) = wanted.begun_for;
        let was_all = wanted.head <= head && wanted.roster_version <= roster_version;
        let reached = record.is_some_and(|record| {
            record.cursor >= wanted.head && record.members_version >= wanted.roster_version
        });
        if !was_all && !reached {
            let again = Wanted {
                reading: Reading::Waits,
                ..wanted
            };
            self.wanted.insert(id, again);
        }
        Ok(())
    }

    /// The pause after a failed reading is over.
    pub(super) fn finish_rest(&mut self, id: ConversationId) {
        if let Some(wanted) = self.wanted.get_mut(&id) {
            wanted.reading = Reading::Waits;
        }
    }
}
