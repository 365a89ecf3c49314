//! From a commit to the sockets: those of this instance directly, those of
//! others by a hint, and the reading of what was missed.

use std::sync::Arc;
use std::time::Duration;

use ruggine_core::api::message::{Item, Undecryptable};
use ruggine_core::event::MessageEvent;
use ruggine_core::{Blob, ConversationId, Event, Seq, UserId};

use super::Engine;
use super::lane::wire_row;
use super::messages::opened_row;
use crate::bus::{Audience, Notice, Passage, RosterDelta, Topic};
use crate::hub::{Delivery, Offer, RepairEnd, SharedEvent};
use crate::metrics::Measurement;
use crate::store::{ConversationHead, NewRow, StoreResult, StoredRow};

/// Rows read at once by a repair.
const REPAIR_ROWS: u32 = 100;
/// Pause after a repair failed.
const REPAIR_RETRY: Duration = Duration::from_secs(1);
/// Bytes of bodies that travel in a hint; larger rows are read from the store.
const HINT_BYTES: usize = 8 * 1024;
/// Bytes of all bodies in one hint.
const HINT_BYTES_TOGETHER: usize = 256 * 1024;

/// Committed rows on their way to other instances, a notice per conversation.
#[derive(Debug, Default)]
pub(super) struct RowNotices(Vec<(ConversationId, u64, Vec<StoredRow>)>);

impl RowNotices {
    pub(super) fn add(&mut self, row: NewRow, seq: Seq, roster_version: u64) {
        let id = row.conversation;
        let row = stored(row, seq);
        match self.0.iter_mut().find(|(known, ..)| *known == id) {
            Some((_, version, rows)) => {
                *version = roster_version;
                rows.push(row);
            }
            None => self.0.push((id, roster_version, vec![row])),
        }
    }
}

fn stored(row: NewRow, seq: Seq) -> StoredRow {
    StoredRow {
        conversation: row.conversation,
        seq,
        kind: row.kind,
        sender: row.sender,
        device: row.device,
        client_msg_id: row.client_msg_id,
        epoch: row.epoch,
        server_ts: row.server_ts,
        body: row.body,
    }
}

impl Engine {
    /// Tells a row that was just committed here.
    pub(super) fn tell(
        &self,
        row: &NewRow,
        seq: Seq,
        roster_version: u64,
        delta: Option<RosterDelta>,
        payload: &Blob,
    ) {
        let item = Item::Row(wire_row(row, seq, payload));
        self.deliver(&Delivery {
            conversation: row.conversation,
            seq,
            roster_version,
            delta,
            event: self.message_event(row.conversation, roster_version, item),
        });
    }

    fn message_event(
        &self,
        conversation: ConversationId,
        roster_version: u64,
        item: Item,
    ) -> Arc<SharedEvent> {
        Arc::new(SharedEvent::new(Event::Message(MessageEvent {
            conversation,
            incarnation: self.0.incarnation,
            roster_version,
            item,
        })))
    }

    fn deliver(&self, delivery: &Delivery) {
        let id = delivery.conversation;
        match self.0.hub.deliver(delivery) {
            Offer::Told { lagged } => self.count_lagged(lagged),
            Offer::Deserted { lagged } => {
                self.count_lagged(lagged);
                self.begin_unfollow(id);
            }
            Offer::Opened { lagged } => {
                self.count_lagged(lagged);
                self.begin_follow(id);
            }
            Offer::Repair => self.begin_repair(id),
            Offer::Nothing | Offer::Repairing => {}
        }
    }

    /// Hints rows to other instances; what becomes of the hints.
    pub(super) async fn publish_rows(&self, notices: RowNotices) -> Vec<Passage> {
        let mut hints = Vec::with_capacity(notices.0.len());
        for (conversation, roster_version, rows) in notices.0 {
            hints.push(self.hint(conversation, roster_version, None, rows).await);
        }
        hints
    }

    /// Hints the notice of a roster change; what becomes of the hints.
    pub(super) async fn publish_notice(
        &self,
        notice: NewRow,
        seq: Seq,
        roster_version: u64,
        delta: RosterDelta,
    ) -> Vec<Passage> {
        let conversation = notice.conversation;
        let rows = vec![stored(notice, seq)];
        let mut hints = Vec::with_capacity(delta.added.len() + 1);
        // Somebody who is added may be online where the conversation is not followed.
        for user in &delta.added {
            let joined = Notice::Joined {
                user: *user,
                conversation,
            };
            hints.push(self.publish(Topic::User(*user), joined).await);
        }
        let hint = self.hint(conversation, roster_version, Some(delta), rows);
        hints.push(hint.await);
        hints
    }

    /// Hints a row again, for whoever may have missed it.
    pub(super) async fn publish_again(&self, row: StoredRow, roster_version: u64) {
        self.hint(row.conversation, roster_version, None, vec![row])
            .await;
    }

    async fn hint(
        &self,
        conversation: ConversationId,
        roster_version: u64,
        delta: Option<RosterDelta>,
        rows: Vec<StoredRow>,
    ) -> Passage {
        let Some(head) = rows.last().map(|row| row.seq) else {
            return Passage::over();
        };
        let bytes: usize = rows.iter().map(|row| row.body.len()).sum();
        let small = bytes <= HINT_BYTES_TOGETHER.min(HINT_BYTES * rows.len());
        let notice = if small {
            Notice::Rows {
                incarnation: self.0.incarnation,
                conversation,
                roster_version,
                delta,
                rows: rows.into(),
            }
        } else {
            Notice::Head(ConversationHead {
                conversation,
                head,
                roster_version,
            })
        };
        self.publish(Topic::Conversation(conversation), notice)
            .await
    }

    /// Hands a hint to the bus; what becomes of it. One that does not go out
    /// costs latency: the outbox and the sweep bring what it was about.
    pub(super) async fn publish(&self, topic: Topic, notice: Notice) -> Passage {
        match self.0.bus.publish(self.0.instance, topic, notice).await {
            Ok(passage) => passage,
            Err(error) => {
                tracing::debug!(%error, "a hint was not published");
                Passage::lost()
            }
        }
    }

    /// Takes a hint of another instance.
    pub(super) async fn hear(&self, notice: Notice) {
        match notice {
            Notice::Rows {
                incarnation,
                conversation,
                roster_version,
                delta,
                rows,
            } if incarnation == self.0.incarnation => {
                self.hear_rows(conversation, roster_version, delta.as_ref(), &rows);
            }
            Notice::Rows { .. } => {}
            Notice::Joined { user, conversation } => self.begin_seating(user, conversation),
            Notice::Head(head) => self.hear_head(&head),
            Notice::Ephemeral { to, event } => {
                // Who told it may not have known how large the conversation is.
                if matches!(event, Event::Typing(_)) || self.is_small(to.conversation) {
                    self.broadcast(&to, &Arc::new(SharedEvent::new(event)));
                }
            }
            Notice::ForUser { user, event } => {
                self.0
                    .hub
                    .tell_user(user, &Arc::new(SharedEvent::new(event)));
            }
            Notice::SessionRevoked { user, session } => self.0.hub.close_session(user, session),
        }
    }

    /// Tells the members here something that is not stored, if the roster that
    /// is known here is not older than the one for which it was told.
    pub(super) fn broadcast(&self, to: &Audience, event: &Arc<SharedEvent>) {
        if self.0.hub.broadcast(to, event) == Offer::Repair {
            self.begin_repair(to.conversation);
        }
    }

    fn hear_rows(
        &self,
        conversation: ConversationId,
        roster_version: u64,
        delta: Option<&RosterDelta>,
        rows: &[StoredRow],
    ) {
        let Some(last) = rows.last().map(|row| row.seq) else {
            return;
        };
        for row in rows {
            // A row that belongs to another conversation is no hint of this one.
            if row.conversation != conversation {
                return;
            }
            let item = self.item(row);
            if matches!(item, Item::Undecryptable(_)) {
                // Only the store's word that a row does not open is passed on.
                self.hear_head(&ConversationHead {
                    conversation,
                    head: last,
                    roster_version,
                });
                return;
            }
            self.deliver(&Delivery {
                conversation,
                seq: row.seq,
                roster_version,
                delta: delta.filter(|_| row.seq == last).cloned(),
                event: self.message_event(conversation, roster_version, item),
            });
        }
    }

    /// Notes where a conversation stands, and reads what is missing here.
    pub(super) fn hear_head(&self, head: &ConversationHead) {
        if self.0.hub.notice_head(head) == Offer::Repair {
            self.begin_repair(head.conversation);
        }
    }

    /// Seats somebody who was added elsewhere, and with them whoever else of
    /// that roster has no seat here yet, while everything else goes on.
    fn begin_seating(&self, user: UserId, id: ConversationId) {
        if self.0.hub.unseated(user, id).is_empty() {
            return;
        }
        let engine = self.clone();
        self.0.tasks.spawn(async move {
            if let Err(error) = engine.seat_roster(id).await {
                // The sweep of seats finds them.
                tracing::warn!(%error, "somebody who was added could not be seated yet");
            }
        });
    }

    /// Reads what was missed in a conversation and tells it. One repair a
    /// conversation runs at a time; the hub sees to that.
    pub(super) fn begin_repair(&self, id: ConversationId) {
        self.0.metrics.record(Measurement::Repaired);
        let engine = self.clone();
        self.0.tasks.spawn(async move {
            loop {
                match engine.repair(id).await {
                    Ok(()) => return,
                    Err(error) => {
                        tracing::warn!(%error, conversation = %id, "a gap could not be read yet");
                    }
                }
                tokio::select! {
                    () = tokio::time::sleep(REPAIR_RETRY) => {}
                    () = engine.0.stopping.cancelled() => {
                        engine.0.hub.abandon_repair(id);
                        return;
                    }
                }
            }
        });
    }

    async fn repair(&self, id: ConversationId) -> StoreResult<()> {
        while let Some(start) = self.0.hub.repair_start(id) {
            let Some(mut known) = self.0.store.heads(vec![id]).await?.pop() else {
                self.0.hub.abandon_repair(id);
                return Ok(());
            };
            if known.roster_version != start.roster_version {
                let Some(roster) = self.0.store.roster(id).await? else {
                    self.0.hub.abandon_repair(id);
                    return Ok(());
                };
                // Rows beyond the roster that was read may have removed somebody.
                known.head = roster.head;
                known.roster_version = roster.version;
                self.0.hub.reseat(id, &roster);
            }
            let rows = self
                .0
                .store
                .rows(id, start.head.next(), known.head, REPAIR_ROWS)
                .await?;
            let complete = rows.len() < REPAIR_ROWS as usize;
            for row in rows {
                let item = self.item(&row);
                let event = self.message_event(id, known.roster_version, item);
                let lagged = self.0.hub.deliver_repaired(id, row.seq, &event);
                self.count_lagged(lagged);
            }
            if !complete {
                continue;
            }
            match self.0.hub.finish_repair(id, &start, &known) {
                RepairEnd::Unfinished => {}
                RepairEnd::Reached => return Ok(()),
                RepairEnd::Deserted => {
                    self.unfollow(vec![Topic::Conversation(id)]).await;
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn count_lagged(&self, lagged: u64) {
        for _ in 0..lagged {
            self.0.metrics.record(Measurement::Lagged);
        }
    }

    /// A stored row as it travels, or the word that it does not open.
    pub(super) fn item(&self, row: &StoredRow) -> Item {
        match self.0.sealer.open_row(row) {
            Ok(payload) => Item::Row(opened_row(row, payload)),
            Err(_) => Item::Undecryptable(Undecryptable {
                seq: row.seq,
                kind: row.kind,
                sender: row.sender,
                device: row.device,
                client_msg_id: row.client_msg_id,
                server_ts: row.server_ts,
            }),
        }
    }
}
