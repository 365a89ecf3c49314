//! Judging rows that are to be appended, by what a backend has read under the
//! locks of their conversations. Both backends share this, so that they cannot
//! disagree on what is refused, and in which order it is found out.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use ruggine_core::api::conversation::Role;
use ruggine_core::policy::{self, Action};
use ruggine_core::{ClientMsgId, ConversationId, DeviceId, Seq, UserId};

use super::{AppendOutcome, AppendRefusal, NewRow, StoredRow};

/// What names a row before it has a number.
pub(super) type RowName = (ConversationId, DeviceId, ClientMsgId);
/// Whose device it is.
pub(super) type Writer = (UserId, DeviceId);
pub(super) type Member = (ConversationId, UserId);

pub(super) fn name_of(row: &NewRow) -> RowName {
    (row.conversation, row.device, row.client_msg_id)
}

/// Where a conversation stands, with the rows so far.
#[derive(Debug, Clone, Copy)]
pub(super) struct Log {
    pub(super) last: Seq,
    pub(super) roster_version: u64,
    pub(super) epoch: Option<u64>,
    pub(super) moved: bool,
}

/// Where a device's write counter stands, with the rows so far.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counter {
    pub(super) value: u64,
    pub(super) moved: bool,
}

/// What a batch is judged by, and what it has changed so far.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) logs: BTreeMap<ConversationId, Log>,
    pub(super) roles: HashMap<Member, Role>,
    pub(super) counters: BTreeMap<Writer, Counter>,
    /// Rows that were sent before, as far as anybody has looked.
    pub(super) sent: HashMap<RowName, StoredRow>,
}

/// What became of a batch in memory.
#[derive(Debug)]
pub(super) struct Judged<'a> {
    pub(super) outcomes: Vec<AppendOutcome>,
    /// Rows to be written, and their numbers.
    pub(super) accepted: Vec<(&'a NewRow, Seq)>,
}

/// The conversations of a batch.
pub(super) fn conversations_of(rows: &[NewRow]) -> BTreeSet<ConversationId> {
    rows.iter().map(|row| row.conversation).collect()
}

/// The devices of a batch that count their writes.
pub(super) fn writers_of(rows: &[NewRow]) -> BTreeSet<Writer> {
    let counted = rows.iter().filter(|row| row.write_counter.is_some());
    counted.map(|row| (row.sender, row.device)).collect()
}

/// Who writes where in a batch.
pub(super) fn senders_of(rows: &[NewRow]) -> BTreeSet<Member> {
    rows.iter()
        .map(|row| (row.conversation, row.sender))
        .collect()
}

impl Known {
    /// Judges each row as if those before it were written.
    pub(super) fn judge_all<'a>(&mut self, rows: &'a [NewRow]) -> Judged<'a> {
        let mut accepted = Vec::with_capacity(rows.len());
        let outcomes = rows
            .iter()
            .map(|row| {
                let outcome = self.judge(row);
                if let AppendOutcome::Appended { seq, .. } = &outcome {
                    accepted.push((row, *seq));
                }
                outcome
            })
            .collect();
        Judged { outcomes, accepted }
    }

    /// Conversations with new rows, and their newest numbers.
    pub(super) fn heads(&self) -> Vec<(ConversationId, Seq)> {
        let moved = self.logs.iter().filter(|(_, log)| log.moved);
        moved.map(|(id, log)| (*id, log.last)).collect()
    }

    /// Devices whose counters have moved, and where to.
    pub(super) fn moved_counters(&self) -> Vec<(Writer, u64)> {
        let moved = self.counters.iter().filter(|(_, counter)| counter.moved);
        moved
            .map(|(writer, counter)| (*writer, counter.value))
            .collect()
    }

    fn judge(&mut self, row: &NewRow) -> AppendOutcome {
        use AppendRefusal::{DeviceRestored, Forbidden, NotAMember, StaleEpoch};
        if self.counter_is_behind(row) {
            return AppendOutcome::Refused(DeviceRestored);
        }
        let Some(log) = self.logs.get_mut(&row.conversation) else {
            return AppendOutcome::Refused(NotAMember);
        };
        let roster_version = log.roster_version;
        let place = match self.sent.entry(name_of(row)) {
            Entry::Occupied(earlier) => {
                return AppendOutcome::Duplicate {
                    row: Box::new(earlier.get().clone()),
                    roster_version,
                };
            }
            Entry::Vacant(place) => place,
        };
        match self.roles.get(&(row.conversation, row.sender)) {
            None => return AppendOutcome::Refused(NotAMember),
            Some(role) if !policy::allows(*role, Action::Send) => {
                return AppendOutcome::Refused(Forbidden);
            }
            Some(_) => {}
        }
        if log.epoch != row.epoch {
            return AppendOutcome::Refused(StaleEpoch);
        }
        let seq = log.last.next();
        log.last = seq;
        log.moved = true;
        place.insert(stored(row, seq));
        AppendOutcome::Appended {
            seq,
            roster_version,
        }
    }

    fn counter_is_behind(&mut self, row: &NewRow) -> bool {
        let Some(counter) = row.write_counter else {
            return false;
        };
        if row.counter_floor.is_some_and(|floor| counter < floor) {
            return true;
        }
        match self.counters.get_mut(&(row.sender, row.device)) {
            Some(known) if counter >= known.value => {
                known.moved |= counter > known.value;
                known.value = counter;
                false
            }
            Some(_) | None => row.counter_floor.is_none(),
        }
    }

    /// Rows that are refused unless they were sent before: who may no longer
    /// write still gets the original of what they wrote.
    pub(super) fn doubtful<'a>(&self, rows: &'a [NewRow], judged: &Judged<'_>) -> Vec<&'a NewRow> {
        rows.iter()
            .zip(&judged.outcomes)
            .filter(|(row, outcome)| {
                is_doubtful(outcome) && self.logs.contains_key(&row.conversation)
            })
            .map(|(row, _)| row)
            .collect()
    }

    /// Answers doubtful rows with their originals, where there are any.
    pub(super) fn resolve(
        &self,
        rows: &[NewRow],
        judged: &mut Judged<'_>,
        sent: &HashMap<RowName, StoredRow>,
    ) {
        for (row, outcome) in rows.iter().zip(&mut judged.outcomes) {
            let found = sent
                .get(&name_of(row))
                .zip(self.logs.get(&row.conversation));
            if let Some((earlier, log)) = found.filter(|_| is_doubtful(outcome)) {
                *outcome = AppendOutcome::Duplicate {
                    row: Box::new(earlier.clone()),
                    roster_version: log.roster_version,
                };
            }
        }
    }
}

const fn is_doubtful(outcome: &AppendOutcome) -> bool {
    matches!(
        outcome,
        AppendOutcome::Refused(
            AppendRefusal::Forbidden | AppendRefusal::NotAMember | AppendRefusal::StaleEpoch
        )
    )
}

fn stored(row: &NewRow, seq: Seq) -> StoredRow {
    StoredRow {
        conversation: row.conversation,
        seq,
        kind: row.kind,
        sender: row.sender,
        device: row.device,
        client_msg_id: row.client_msg_id,
        epoch: row.epoch,
        server_ts: row.server_ts,
        body: row.body.clone(),
    }
}
