//! What the cases read back of a store, and what must hold of it.

use std::collections::HashMap;
use std::sync::Arc;

use ruggine_core::api::message::PageStart;
use ruggine_core::{ConversationId, Seq, Timestamp, UserId};

use super::fixture::{ALL_BYTES, ALL_ROWS, append_one};
use crate::store::{
    AppendOutcome, AppendRefusal, BatchId, ConversationRecord, NewRow, PageItem, PageQuery,
    PendingBatch, Segment, Store, StoredPage, StoredRow,
};

pub(super) async fn seen_by(
    store: &dyn Store,
    conversation: ConversationId,
    user: UserId,
) -> Option<ConversationRecord> {
    store
        .conversation(conversation, user)
        .await
        .expect("looked up")
}

/// Everybody in a conversation and the first row that each may see.
pub(super) async fn roster(
    store: &dyn Store,
    conversation: ConversationId,
) -> HashMap<UserId, Seq> {
    let roster = store.roster(conversation).await.expect("read");
    let members = roster.expect("the conversation exists").members;
    let count = members.len();
    let members: HashMap<_, _> = members.into_iter().collect();
    assert_eq!(members.len(), count, "nobody is in it twice");
    members
}

/// The row as it must have been stored.
pub(super) fn stored(new: &NewRow, seq: Seq) -> StoredRow {
    StoredRow {
        conversation: new.conversation,
        seq,
        kind: new.kind,
        sender: new.sender,
        device: new.device,
        client_msg_id: new.client_msg_id,
        epoch: new.epoch,
        server_ts: new.server_ts,
        body: Arc::clone(&new.body),
    }
}

pub(super) async fn log(store: &dyn Store, conversation: ConversationId) -> Vec<StoredRow> {
    store
        .rows(conversation, Seq::new(1), Seq::MAX, ALL_ROWS)
        .await
        .expect("read")
}

/// The log, which must have every number from 1 up to its head once.
pub(super) async fn gap_free_log(
    store: &dyn Store,
    conversation: ConversationId,
) -> Vec<StoredRow> {
    let log = log(store, conversation).await;
    let found: Vec<u64> = log.iter().map(|row| row.seq.get()).collect();
    let head = head(store, conversation).await;
    assert_eq!(found, (1..=head.get()).collect::<Vec<_>>());
    log
}

pub(super) async fn refused(store: &dyn Store, row: NewRow, because: AppendRefusal) {
    let conversation = row.conversation;
    let before = log(store, conversation).await;
    let outcome = append_one(store, row).await;
    assert_eq!(outcome, AppendOutcome::Refused(because));
    assert_eq!(log(store, conversation).await, before);
}

/// The log's newest number.
pub(super) async fn head(store: &dyn Store, conversation: ConversationId) -> Seq {
    let heads = store
        .heads(vec![conversation])
        .await
        .expect("heads can be read");
    heads.first().expect("the conversation exists").head
}

/// A page without limits.
pub(super) fn query(conversation: ConversationId, user: UserId, start: PageStart) -> PageQuery {
    PageQuery {
        conversation,
        user,
        start,
        rows_max: ALL_ROWS,
        bytes_max: ALL_BYTES,
    }
}

/// Reads a page of a conversation that the user was in.
pub(super) async fn page(store: &dyn Store, query: PageQuery) -> StoredPage {
    let page = store.page(query).await.expect("a page can be read");
    page.expect("the user was in the conversation")
}

/// What a page covers, consecutive rows taken together.
pub(super) fn outline(page: &StoredPage) -> Vec<Segment> {
    let mut segments: Vec<Segment> = Vec::new();
    for item in &page.items {
        match (item, segments.last_mut()) {
            (PageItem::Row(row), Some(Segment::Rows(_, to))) if row.seq == to.next() => {
                *to = row.seq;
            }
            (PageItem::Row(row), _) => segments.push(Segment::Rows(row.seq, row.seq)),
            (PageItem::Hole(from, to), _) => segments.push(Segment::Hole(*from, *to)),
        }
    }
    segments
}

pub(super) const fn rows(from: u64, to: u64) -> Segment {
    Segment::Rows(Seq::new(from), Seq::new(to))
}

pub(super) const fn hole(from: u64, to: u64) -> Segment {
    Segment::Hole(Seq::new(from), Seq::new(to))
}

/// Every batch that has not been settled.
pub(super) async fn pending(store: &dyn Store) -> Vec<PendingBatch> {
    store
        .pending_batches(Timestamp::from_millis(i64::MAX), ALL_ROWS)
        .await
        .expect("pending batches can be read")
}

/// Their names.
pub(super) async fn pending_ids(store: &dyn Store) -> Vec<BatchId> {
    pending(store).await.iter().map(|batch| batch.id).collect()
}
