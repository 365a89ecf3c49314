//! Sending and reading the log.

use ruggine_core::api::message::{
    Ack, Fetch, Fetched, Hole, Item, Page, PageRequest, PageStart, Row, RowKind, Send,
};
use ruggine_core::{Blob, ConversationId, ErrorCode, Seq, limits};
use subtle::ConstantTimeEq;
use tokio::sync::oneshot;

use super::lane::{AppendJob, Job};
use super::{Caller, Engine, EngineError, EngineResult, Verb};
use crate::store::{
    AppendOutcome, AppendRefusal, ConversationHead, NewRow, PageItem, PageQuery, StoreResult,
    StoredRow,
};

/// A message on its way to its commit.
#[derive(Debug)]
pub struct PendingAck {
    conversation: ConversationId,
    client_msg_id: ruggine_core::ClientMsgId,
    server_ts: ruggine_core::Timestamp,
    payload: Blob,
    outcome: oneshot::Receiver<StoreResult<AppendOutcome>>,
}

impl Engine {
    /// Hands a message to the lane of its conversation without waiting for the
    /// commit. Two messages that are submitted one after the other are
    /// committed in that order.
    ///
    /// # Errors
    /// When the message cannot be stored, or there is no room for it.
    pub fn submit(&self, caller: &Caller, send: Send) -> EngineResult<PendingAck> {
        let principal = caller.principal()?;
        self.0.rates.sends.check(&principal.device)?;
        if send.content.is_some() {
            return Err(EngineError::detailed(
                ErrorCode::InvalidParams,
                "content is for the edges: give payload",
            ));
        }
        let payload = send
            .payload
            .filter(|payload| !payload.is_empty())
            .ok_or_else(|| EngineError::detailed(ErrorCode::InvalidContent, "no payload"))?;
        if payload.len() > limits::PAYLOAD_MAX {
            return Err(EngineError::rejected(ErrorCode::PayloadTooLarge));
        }
        let place = self.0.lanes.admit(payload.len())?;
        let server_ts = self.0.clock.now();
        let sealed = self
            .0
            .sealer
            .seal_row(
                send.conversation,
                send.client_msg_id,
                principal.user,
                principal.device,
                server_ts,
                RowKind::Message,
                &payload,
            )
            .map_err(EngineError::internal)?;
        let row = NewRow {
            conversation: send.conversation,
            kind: RowKind::Message,
            sender: principal.user,
            device: principal.device,
            client_msg_id: send.client_msg_id,
            epoch: send.epoch,
            server_ts,
            key_id: sealed.key_id,
            body: sealed.body,
            write_counter: caller.write_counter,
            counter_floor: caller.counter_floor,
        };
        let (answer, outcome) = oneshot::channel();
        let job = AppendJob {
            row,
            payload: payload.clone(),
            answer,
            place,
        };
        self.0.lanes.submit(send.conversation, Job::Append(job))?;
        Ok(PendingAck {
            conversation: send.conversation,
            client_msg_id: send.client_msg_id,
            server_ts,
            payload,
            outcome,
        })
    }

    /// Waits for a submitted message's commit.
    ///
    /// # Errors
    /// When the message was refused or the store failed.
    pub async fn acknowledge(&self, pending: PendingAck) -> EngineResult<Ack> {
        let outcome = pending
            .outcome
            .await
            .map_err(|_| EngineError::rejected(ErrorCode::Unavailable))??;
        let ack = |seq, server_ts| Ack {
            conversation: pending.conversation,
            client_msg_id: pending.client_msg_id,
            incarnation: self.0.incarnation,
            seq,
            server_ts,
        };
        match outcome {
            AppendOutcome::Appended { seq, .. } => Ok(ack(seq, pending.server_ts)),
            AppendOutcome::Duplicate {
                row,
                roster_version,
            } => {
                self.compare(&row, &pending.payload)?;
                let ack = ack(row.seq, row.server_ts);
                self.hear_head(&ConversationHead {
                    conversation: row.conversation,
                    head: row.seq,
                    roster_version,
                });
                self.publish_again(*row, roster_version).await;
                Ok(ack)
            }
            AppendOutcome::Refused(refusal) => Err(EngineError::rejected(match refusal {
                AppendRefusal::NotAMember => ErrorCode::ConversationNotFound,
                AppendRefusal::Forbidden => ErrorCode::Forbidden,
                AppendRefusal::StaleEpoch => ErrorCode::StaleEpoch,
                AppendRefusal::DeviceRestored => ErrorCode::DeviceRestored,
            })),
        }
    }

    /// Whether a message that was sent again is the same. No hash of it is
    /// stored, so the record is opened.
    fn compare(&self, stored: &StoredRow, payload: &[u8]) -> EngineResult<()> {
        let before = self
            .0
            .sealer
            .open_row(stored)
            .map_err(|_| EngineError::rejected(ErrorCode::Undecryptable))?;
        if bool::from(before.ct_eq(payload)) {
            Ok(())
        } else {
            Err(EngineError::rejected(ErrorCode::IdempotencyConflict))
        }
    }
}

impl Verb for Send {
    fn conversation(&self) -> Option<ConversationId> {
        Some(self.conversation)
    }

    async fn run(self, engine: &Engine, caller: &Caller) -> EngineResult<Ack> {
        let pending = engine.submit(caller, self)?;
        engine.acknowledge(pending).await
    }
}

impl Verb for PageRequest {
    fn conversation(&self) -> Option<ConversationId> {
        Some(self.conversation)
    }

    async fn run(self, engine: &Engine, caller: &Caller) -> EngineResult<Page> {
        let query = PageQuery {
            conversation: self.conversation,
            user: caller.principal()?.user,
            start: self.from,
            rows_max: self
                .limit
                .unwrap_or(limits::PAGE_ROWS_MAX)
                .clamp(1, limits::PAGE_ROWS_MAX),
            bytes_max: limits::PAGE_BYTES_MAX,
        };
        let page = engine
            .0
            .store
            .page(query)
            .await?
            .ok_or(EngineError::rejected(ErrorCode::ConversationNotFound))?;
        let items: Vec<Item> = page
            .items
            .iter()
            .map(|item| match item {
                PageItem::Hole(from, to) => Item::Hole(Hole {
                    from: *from,
                    to: *to,
                }),
                PageItem::Row(row) => engine.item(row),
            })
            .collect();
        let (from, to) = covered(&items, self.from, page.head);
        Ok(Page {
            incarnation: engine.0.incarnation,
            from,
            to,
            head: page.head,
            items,
        })
    }
}

/// The range that a page covers; an empty one ends before it begins.
fn covered(items: &[Item], start: PageStart, head: Seq) -> (Seq, Seq) {
    let first = items.first().and_then(Item::span);
    let last = items.last().and_then(Item::span);
    match (first, last) {
        (Some((from, _)), Some((_, to))) => (from, to),
        _ => {
            let end = match start {
                PageStart::After(after) => after.min(head),
                PageStart::Before(_) | PageStart::Newest => Seq::ZERO,
            };
            (end.next(), end)
        }
    }
}

impl Verb for Fetch {
    fn conversation(&self) -> Option<ConversationId> {
        Some(self.conversation)
    }

    async fn run(self, engine: &Engine, caller: &Caller) -> EngineResult<Fetched> {
        let query = PageQuery {
            conversation: self.conversation,
            user: caller.principal()?.user,
            start: PageStart::After(self.seq.previous()),
            rows_max: 1,
            bytes_max: usize::MAX,
        };
        let page = engine
            .0
            .store
            .page(query)
            .await?
            .ok_or(EngineError::rejected(ErrorCode::ConversationNotFound))?;
        match page.items.first() {
            Some(PageItem::Row(row)) if row.seq == self.seq => Ok(Fetched {
                item: engine.item(row),
            }),
            _ => Err(EngineError::rejected(ErrorCode::MessageNotFound)),
        }
    }
}

/// A stored row with its opened payload, as it travels.
pub(super) fn opened_row(row: &StoredRow, payload: Blob) -> Row {
    Row {
        seq: row.seq,
        kind: row.kind,
        sender: row.sender,
        device: row.device,
        client_msg_id: row.client_msg_id,
        server_ts: row.server_ts,
        epoch: row.epoch,
        payload,
        content: None,
    }
}
