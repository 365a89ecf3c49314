//! Applying rows at the cursor, and telling those that are new.

use std::collections::BTreeMap;

use ruggine_core::event::MessageEvent;
use ruggine_core::{ConversationId, Seq};

use super::LogSync;
use super::entries::log_entry;
use crate::client::Shared;
use crate::event::ClientEvent;
use crate::store::{Applied, LogEntry, MessageRecord, StoreError, StoreResult};

impl LogSync {
    pub(super) async fn apply_all(
        &mut self,
        rows: &mut BTreeMap<ConversationId, Vec<MessageEvent>>,
    ) -> StoreResult<()> {
        for (id, events) in std::mem::take(rows) {
            self.apply_events(id, events).await?;
        }
        Ok(())
    }

    async fn apply_events(
        &mut self,
        id: ConversationId,
        events: Vec<MessageEvent>,
    ) -> StoreResult<()> {
        // Numbers of another log mean nothing here.
        if events
            .iter()
            .any(|event| Some(event.incarnation) != self.incarnation)
        {
            self.shared.note_fault();
            return Ok(());
        }
        let roster_version = events.iter().map(|event| event.roster_version).max();
        let roster_version = roster_version.unwrap_or(0);
        let entries: Vec<LogEntry> = events
            .iter()
            .filter_map(|event| log_entry(&event.item, self.me))
            .collect();
        let Some(last) = entries.last().map(|entry| entry.to) else {
            // An entry of a kind that this build does not know: reading the
            // range shows where it stands.
            self.want(id, Seq::ZERO, roster_version);
            return Ok(());
        };
        if self.wanted.contains_key(&id) {
            self.want(id, last, roster_version);
            return Ok(());
        }
        match apply(&self.shared, id, entries).await? {
            Applied::Advanced { to, .. } => {
                self.undelivered.insert(id);
                let known = self.rosters.get(&id).copied().unwrap_or(0);
                if to < last || roster_version > known {
                    self.want(id, last, roster_version);
                }
            }
            Applied::Gap(_) | Applied::Unknown => self.want(id, last, roster_version),
        }
        Ok(())
    }
}

/// Applies entries and tells the rows that are new. Both happen in one step
/// that goes on even if nobody waits for it any more, so that no row is stored
/// without being told; one such step runs at a time, so that rows are told in
/// their order.
pub(super) async fn apply(
    shared: &Shared,
    id: ConversationId,
    entries: Vec<LogEntry>,
) -> Result<Applied, StoreError> {
    let teller = shared.clone();
    shared
        .store_step(move |store| {
            let _turn = teller.apply_turn();
            let applied = store.apply(id, &entries)?;
            if let Applied::Advanced { from, to } = applied {
                tell_rows(&teller, id, entries, from, to);
            }
            Ok(applied)
        })
        .await
}

/// Tells the rows after `from`, up to `to`, each once.
fn tell_rows(shared: &Shared, id: ConversationId, entries: Vec<LogEntry>, from: Seq, to: Seq) {
    let mut told = from;
    for entry in entries {
        if entry.to <= told || entry.to > to {
            continue;
        }
        told = entry.to;
        if let Some(row) = entry.row {
            shared.emit(ClientEvent::Message {
                conversation: id,
                message: MessageRecord {
                    seq: entry.to,
                    kind: row.kind,
                    sender: row.sender,
                    device: row.device,
                    client_msg_id: row.client_msg_id,
                    server_ts: row.server_ts,
                    payload: row.payload,
                },
            });
        }
    }
    if to > from {
        shared.emit(ClientEvent::Conversation(id));
    }
}
