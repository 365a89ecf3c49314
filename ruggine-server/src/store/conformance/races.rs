//! Cases of [`MessageStore`](crate::store::MessageStore): many who write and read
//! at once.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use ruggine_core::api::message::PageStart;
use ruggine_core::{ClientMsgId, Seq};
use tokio::sync::oneshot::{self, error::TryRecvError};

use super::fixture::{append, append_one, at_once, group_of_two, messages, say};
use super::reads::{gap_free_log, head, page, query};
use crate::store::{AppendOutcome, NewRow, PageItem, PageQuery, Store};

/// Thirty-two clients send two hundred messages, each by four of them at once:
/// two hundred rows, numbered without a gap, and every client gets the number
/// that its message has.
pub async fn racing_clients_burn_no_number(store: Arc<dyn Store>) {
    const CLIENTS: usize = 32;
    const MESSAGES: usize = 200;
    const EACH: usize = MESSAGES * 4 / CLIENTS;
    let (id, ada, _) = group_of_two(&*store).await;
    let all = messages(id, ada, MESSAGES);
    let outcomes = at_once((0..CLIENTS).map(|client| {
        let store = Arc::clone(&store);
        let mine: Vec<NewRow> = (0..EACH)
            .map(|index| all[(client * EACH + index) % MESSAGES].clone())
            .collect();
        async move {
            let mut outcomes = Vec::with_capacity(EACH);
            for row in mine {
                outcomes.push((row.client_msg_id, append_one(&*store, row).await));
            }
            outcomes
        }
    }))
    .await;

    let log = gap_free_log(&*store, id).await;
    assert_eq!(
        head(&*store, id).await,
        Seq::new(201),
        "the notice and the messages"
    );
    let numbers: HashMap<ClientMsgId, Seq> =
        log.iter().map(|row| (row.client_msg_id, row.seq)).collect();
    let mut appended = 0;
    for (message, outcome) in outcomes.into_iter().flatten() {
        let seq = match outcome {
            AppendOutcome::Appended { seq, .. } => {
                appended += 1;
                seq
            }
            AppendOutcome::Duplicate { row, .. } => row.seq,
            AppendOutcome::Refused(why) => panic!("refused: {why:?}"),
        };
        assert_eq!(numbers[&message], seq);
    }
    assert_eq!(appended, MESSAGES, "each was new to exactly one client");
}

/// Sixteen writers append batches that overlap, within themselves and with
/// their neighbours': no number is taken twice, skipped or lost.
pub async fn writers_of_overlapping_batches_leave_no_gap(store: Arc<dyn Store>) {
    const WRITERS: usize = 16;
    const MESSAGES: usize = 160;
    let (id, ada, bob) = group_of_two(&*store).await;
    let mut all = messages(id, ada, MESSAGES / 2);
    all.extend(messages(id, bob, MESSAGES / 2));
    at_once((0..WRITERS).map(|writer| {
        let store = Arc::clone(&store);
        let own = writer * MESSAGES / WRITERS;
        let batches: Vec<Vec<NewRow>> = (0..4)
            .map(|batch| {
                let mut rows: Vec<NewRow> = (0..5)
                    .map(|index| all[(own + batch * 5 + index) % MESSAGES].clone())
                    .collect();
                rows.push(rows[batch].clone());
                rows
            })
            .collect();
        async move {
            for batch in batches {
                append(&*store, batch).await;
            }
        }
    }))
    .await;
    let log = gap_free_log(&*store, id).await;
    let found: HashSet<ClientMsgId> = log[1..].iter().map(|row| row.client_msg_id).collect();
    let sent: HashSet<ClientMsgId> = all.iter().map(|row| row.client_msg_id).collect();
    assert_eq!(found, sent);
    assert_eq!(log.len(), 1 + MESSAGES);
}

/// A reader who pages on from where they are, while sixteen writers append,
/// sees every number once and in order: nothing is committed behind them.
pub async fn a_reader_beside_writers_misses_nothing(store: Arc<dyn Store>) {
    const WRITERS: usize = 16;
    const EACH: usize = 20;
    let (id, ada, bob) = group_of_two(&*store).await;
    let (writing, mut written) = oneshot::channel::<()>();
    let reading = {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            let mut cursor = Seq::ZERO;
            let mut read = Vec::new();
            loop {
                let last_time = written.try_recv() == Err(TryRecvError::Closed);
                loop {
                    let next = PageQuery {
                        rows_max: 7,
                        ..query(id, bob.user, PageStart::After(cursor))
                    };
                    let page = page(&*store, next).await;
                    if page.items.is_empty() {
                        assert_eq!(page.head, cursor, "a page below the head is not empty");
                        break;
                    }
                    for item in page.items {
                        let PageItem::Row(row) = item else {
                            panic!("the reader was a member from the first row on");
                        };
                        assert_eq!(row.seq, cursor.next());
                        cursor = row.seq;
                        read.push(row);
                    }
                }
                if last_time {
                    return read;
                }
                tokio::task::yield_now().await;
            }
        })
    };
    at_once((0..WRITERS).map(|_| {
        let store = Arc::clone(&store);
        async move {
            for _ in 0..EACH {
                say(&*store, id, ada, 1).await;
            }
        }
    }))
    .await;
    drop(writing);
    let read = reading.await.expect("the reader does not panic");
    assert_eq!(read.len(), 1 + WRITERS * EACH);
    assert_eq!(read, gap_free_log(&*store, id).await);
}
