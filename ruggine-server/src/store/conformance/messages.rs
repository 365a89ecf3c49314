//! Cases of [`MessageStore`](crate::store::MessageStore).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use ruggine_core::api::conversation::Role;
use ruggine_core::api::message::PageStart;
use ruggine_core::{ClientMsgId, ConversationId, Seq, Timestamp};
use tokio::sync::oneshot::{self, error::TryRecvError};

use super::fixture::{
    ALL_ROWS, NOW, Person, another_device, append, at_once, change, group, head, hole, later,
    message, messages, numbers, outline, page, pending, pending_ids, people, query, rows, say,
    sealed, version,
};
use crate::store::{
    AdvanceCounter, Append, AppendOutcome, AppendRefusal, Appended, BatchId, ConversationHead,
    MemberEffect, NewRow, PageItem, PageQuery, Store, StoredRow,
};

/// A group of ada and bob.
async fn group_of_two(store: &dyn Store) -> (ConversationId, Person, Person) {
    let [ada, bob] = people(store).await;
    (group(store, ada, &[bob]).await, ada, bob)
}

async fn log(store: &dyn Store, conversation: ConversationId) -> Vec<StoredRow> {
    store
        .rows(conversation, Seq::new(1), Seq::MAX, ALL_ROWS)
        .await
        .expect("read")
}

/// The log, which must have every number from 1 up to its head once.
async fn gap_free_log(store: &dyn Store, conversation: ConversationId) -> Vec<StoredRow> {
    let log = log(store, conversation).await;
    let found: Vec<u64> = log.iter().map(|row| row.seq.get()).collect();
    let head = head(store, conversation).await;
    assert_eq!(found, (1..=head.get()).collect::<Vec<_>>());
    log
}

async fn append_one(store: &dyn Store, row: NewRow) -> AppendOutcome {
    append(store, vec![row]).await.remove(0)
}

async fn refused(store: &dyn Store, row: NewRow, because: AppendRefusal) {
    let conversation = row.conversation;
    let before = log(store, conversation).await;
    let outcome = append_one(store, row).await;
    assert_eq!(outcome, AppendOutcome::Refused(because));
    assert_eq!(log(store, conversation).await, before);
}

async fn commit(
    store: &dyn Store,
    rows: Vec<NewRow>,
    settled: Vec<BatchId>,
    at: Timestamp,
) -> Appended {
    let append = Append { rows, settled, at };
    store.append(append).await.expect("appended")
}

/// Everything about a row is read back as it was given.
pub async fn a_row_is_stored_as_it_was_given(store: Arc<dyn Store>) {
    let (id, ada, _) = group_of_two(&*store).await;
    let new = NewRow {
        server_ts: later(123),
        key_id: "k1".into(),
        body: sealed("perché no? 🦀"),
        ..message(id, ada)
    };
    let outcome = append_one(&*store, new.clone()).await;
    let expected = StoredRow {
        conversation: id,
        seq: Seq::new(2),
        kind: new.kind,
        sender: ada.user,
        device: ada.device,
        client_msg_id: new.client_msg_id,
        epoch: None,
        server_ts: later(123),
        body: new.body,
    };
    let roster_version = version(&*store, id).await;
    assert_eq!(
        outcome,
        AppendOutcome::Appended {
            seq: Seq::new(2),
            roster_version
        }
    );
    assert_eq!(log(&*store, id).await[1], expected);
}

/// Within a batch the numbers of each conversation follow the order of the
/// rows, whatever stands between them.
pub async fn rows_keep_the_order_of_their_batch(store: Arc<dyn Store>) {
    let (one, ada, bob) = group_of_two(&*store).await;
    let two = group(&*store, bob, &[ada]).await;
    let batch: Vec<NewRow> = (0..20)
        .map(|index| {
            let id = if index % 3 == 0 { two } else { one };
            message(id, if index % 2 == 0 { ada } else { bob })
        })
        .collect();
    append(&*store, batch.clone()).await;
    for id in [one, two] {
        let sent: Vec<ClientMsgId> = batch
            .iter()
            .filter(|row| row.conversation == id)
            .map(|row| row.client_msg_id)
            .collect();
        let log = gap_free_log(&*store, id).await;
        let found: Vec<ClientMsgId> = log[1..].iter().map(|row| row.client_msg_id).collect();
        assert_eq!(found, sent);
    }
}

/// A row tells the version of the roster that stands at its number.
pub async fn a_row_comes_with_the_version_of_its_roster(store: Arc<dyn Store>) {
    let (id, ada, bob) = group_of_two(&*store).await;
    let before = version(&*store, id).await;
    let row = message(id, ada);
    let first = append_one(&*store, row.clone()).await;
    let AppendOutcome::Appended { roster_version, .. } = first else {
        panic!("the row is new");
    };
    assert_eq!(roster_version, before);

    let (_, after) = change(&*store, id, ada, vec![MemberEffect::Remove(bob.user)]).await;
    let second = append(&*store, vec![message(id, ada), row]).await;
    for outcome in second {
        let (AppendOutcome::Appended { roster_version, .. }
        | AppendOutcome::Duplicate { roster_version, .. }) = outcome
        else {
            panic!("the sender is a member");
        };
        assert_eq!(roster_version, after);
    }
}

/// A row sent again gets the row that it was, whatever it says this time, and
/// takes no number.
pub async fn a_row_sent_again_gets_the_original(store: Arc<dyn Store>) {
    let (id, ada, _) = group_of_two(&*store).await;
    let first = message(id, ada);
    append_one(&*store, first.clone()).await;
    say(&*store, id, ada, 3).await;
    let original = log(&*store, id).await[1].clone();
    assert_eq!(original.client_msg_id, first.client_msg_id);

    let again = NewRow {
        body: sealed("something else"),
        server_ts: later(9),
        ..first
    };
    let expected = AppendOutcome::Duplicate {
        row: Box::new(original),
        roster_version: version(&*store, id).await,
    };
    assert_eq!(append_one(&*store, again).await, expected);
    assert_eq!(gap_free_log(&*store, id).await.len(), 5);
}

/// A row that stands twice in one batch is written once.
pub async fn a_row_twice_in_a_batch_is_written_once(store: Arc<dyn Store>) {
    let (id, ada, _) = group_of_two(&*store).await;
    let row = message(id, ada);
    let batch = vec![row.clone(), message(id, ada), row.clone(), message(id, ada)];
    let outcomes = append(&*store, batch).await;
    let log = gap_free_log(&*store, id).await;
    assert_eq!(log.len(), 4);
    let AppendOutcome::Duplicate { row: original, .. } = &outcomes[2] else {
        panic!("the row is a duplicate, not {:?}", outcomes[2]);
    };
    assert_eq!(**original, log[1]);
    assert_eq!(original.client_msg_id, row.client_msg_id);
    let others = [
        outcomes[0].clone(),
        outcomes[1].clone(),
        outcomes[3].clone(),
    ];
    assert_eq!(numbers(&others), [2, 3, 4]);
}

/// An id counts for one device in one conversation.
pub async fn an_id_of_another_device_or_conversation_is_no_duplicate(store: Arc<dyn Store>) {
    let (one, ada, bob) = group_of_two(&*store).await;
    let two = group(&*store, ada, &[bob]).await;
    let phone = another_device(&*store, ada.user).await;
    let client_msg_id = ClientMsgId::new(NOW);
    let batch = [(one, ada), (one, phone), (one, bob), (two, ada)].map(|(id, by)| NewRow {
        client_msg_id,
        ..message(id, by)
    });
    let outcomes = append(&*store, batch.to_vec()).await;
    assert_eq!(numbers(&outcomes), [2, 3, 4, 2]);
}

/// Idempotency comes before membership: somebody who was removed still learns
/// that their row had arrived.
pub async fn a_removed_member_still_gets_the_original_of_a_row(store: Arc<dyn Store>) {
    let (id, ada, bob) = group_of_two(&*store).await;
    let row = message(id, bob);
    append_one(&*store, row.clone()).await;
    change(&*store, id, ada, vec![MemberEffect::Remove(bob.user)]).await;
    let again = append_one(&*store, row).await;
    assert!(matches!(again, AppendOutcome::Duplicate { row, .. } if row.seq == Seq::new(2)));
    refused(&*store, message(id, bob), AppendRefusal::NotAMember).await;
}

/// Strangers write nowhere, and nobody writes where there is no conversation.
pub async fn only_members_append(store: Arc<dyn Store>) {
    let (id, ada, _) = group_of_two(&*store).await;
    let [stranger] = people(&*store).await;
    refused(&*store, message(id, stranger), AppendRefusal::NotAMember).await;
    let unknown = ConversationId::new(NOW);
    refused(&*store, message(unknown, ada), AppendRefusal::NotAMember).await;
    assert_eq!(store.heads(vec![unknown]).await.expect("read"), []);
}

/// A role that this program does not know reads, but does not write.
pub async fn an_unknown_role_appends_nothing(store: Arc<dyn Store>) {
    let (id, ada, bob) = group_of_two(&*store).await;
    let effect = MemberEffect::SetRole(bob.user, Role::Unknown);
    change(&*store, id, ada, vec![effect]).await;
    refused(&*store, message(id, bob), AppendRefusal::Forbidden).await;
}

/// A row sealed in another MLS epoch than the conversation's is refused; a
/// conversation without any takes rows without any.
pub async fn a_row_of_another_epoch_is_stale(store: Arc<dyn Store>) {
    let (id, ada, _) = group_of_two(&*store).await;
    for epoch in [0, 1, u64::MAX] {
        let row = NewRow {
            epoch: Some(epoch),
            ..message(id, ada)
        };
        refused(&*store, row, AppendRefusal::StaleEpoch).await;
    }
}

/// A write counter moves with each row of a batch, and a row whose counter is
/// behind by then is refused.
pub async fn a_write_counter_is_checked_row_by_row(store: Arc<dyn Store>) {
    let outcomes = counters_found_behind(&*store, [3, 5, 4, 5, 6]).await;
    assert_eq!(outcomes, [false, false, true, false, false]);
}

/// A counter that was good earlier in the batch is behind once a greater one
/// has gone before it.
pub async fn a_write_counter_that_falls_back_within_a_batch_is_behind(store: Arc<dyn Store>) {
    let outcomes = counters_found_behind(&*store, [3, 5, 3, 5, 3]).await;
    assert_eq!(outcomes, [false, false, true, false, true]);
}

/// Appends a row for each counter in one batch; which of them were refused.
async fn counters_found_behind<const N: usize>(store: &dyn Store, counters: [u64; N]) -> [bool; N] {
    let (id, ada, _) = group_of_two(store).await;
    let batch = counters.map(|counter| NewRow {
        write_counter: Some(counter),
        ..message(id, ada)
    });
    let outcomes = append(store, batch.to_vec()).await;
    let behind: Vec<bool> = outcomes
        .iter()
        .map(|outcome| *outcome == AppendOutcome::Refused(AppendRefusal::DeviceRestored))
        .collect();
    let written = behind.iter().filter(|behind| !**behind).count();
    assert_eq!(gap_free_log(store, id).await.len(), 1 + written);
    behind.try_into().expect("one outcome a row")
}

/// The counter that a batch moved is the one that the next step finds.
pub async fn a_write_counter_moved_by_a_batch_stays_moved(store: Arc<dyn Store>) {
    let (id, ada, _) = group_of_two(&*store).await;
    let counted = |counter| NewRow {
        write_counter: Some(counter),
        ..message(id, ada)
    };
    append(&*store, vec![counted(4), counted(6)]).await;
    let behind = store.advance_write_counter(ada.user, ada.device, 5).await;
    assert_eq!(behind.expect("answered"), AdvanceCounter::Behind);
    refused(&*store, counted(5), AppendRefusal::DeviceRestored).await;
    let same = append_one(&*store, counted(6)).await;
    assert!(matches!(same, AppendOutcome::Appended { .. }));
    // A row without a counter is not checked.
    let unchecked = append_one(&*store, message(id, ada)).await;
    assert!(matches!(unchecked, AppendOutcome::Appended { .. }));
}

/// The write counter comes before idempotency: an old copy of a device's store
/// is found out even by a row that it had sent before.
pub async fn an_old_copy_is_found_out_by_a_row_sent_again(store: Arc<dyn Store>) {
    let (id, ada, _) = group_of_two(&*store).await;
    let row = NewRow {
        write_counter: Some(1),
        ..message(id, ada)
    };
    append_one(&*store, row.clone()).await;
    let moved = store.advance_write_counter(ada.user, ada.device, 2).await;
    assert_eq!(moved.expect("answered"), AdvanceCounter::Advanced);
    refused(&*store, row, AppendRefusal::DeviceRestored).await;
}

/// Refused rows take no number and stop nobody else's.
pub async fn a_refused_row_among_good_ones_takes_no_number(store: Arc<dyn Store>) {
    let (id, ada, bob) = group_of_two(&*store).await;
    let [stranger] = people(&*store).await;
    let stale = NewRow {
        epoch: Some(1),
        ..message(id, bob)
    };
    let batch = vec![
        message(id, ada),
        message(id, stranger),
        message(id, bob),
        stale,
        message(ConversationId::new(NOW), ada),
        message(id, ada),
    ];
    let outcomes = append(&*store, batch).await;
    let good = [0, 2, 5].map(|index: usize| outcomes[index].clone());
    assert_eq!(numbers(&good), [2, 3, 4]);
    let bad = [1, 3, 4].map(|index: usize| outcomes[index].clone());
    let expected = [
        AppendRefusal::NotAMember,
        AppendRefusal::StaleEpoch,
        AppendRefusal::NotAMember,
    ];
    assert_eq!(bad, expected.map(AppendOutcome::Refused));
    assert_eq!(gap_free_log(&*store, id).await.len(), 4);
}

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

/// A committed batch waits with the newest number of each of its conversations,
/// whatever wrote it.
pub async fn a_batch_waits_until_it_is_settled(store: Arc<dyn Store>) {
    let (one, ada, bob) = group_of_two(&*store).await;
    let two = group(&*store, ada, &[bob]).await;
    store
        .settle(pending_ids(&*store).await)
        .await
        .expect("settled");
    assert_eq!(pending(&*store).await, []);

    let mut batch = messages(one, ada, 3);
    batch.extend(messages(two, bob, 2));
    let id = commit(&*store, batch, Vec::new(), NOW).await.batch;
    let id = id.expect("rows were written");
    let mut waiting = pending(&*store).await;
    assert_eq!(waiting.len(), 1);
    assert_eq!(waiting[0].id, id);
    let mut expected = [(one, Seq::new(4)), (two, Seq::new(3))];
    expected.sort_unstable();
    waiting[0].heads.sort_unstable();
    assert_eq!(waiting[0].heads, expected);

    store.settle(vec![id]).await.expect("settled");
    assert_eq!(pending(&*store).await, []);
    // To settle again, or what never was, is harmless.
    store
        .settle(vec![id, BatchId([9; 16])])
        .await
        .expect("settled");
}

/// A batch settles earlier ones with its own commit, and only those named.
pub async fn a_batch_settles_earlier_ones(store: Arc<dyn Store>) {
    let (id, ada, _) = group_of_two(&*store).await;
    store
        .settle(pending_ids(&*store).await)
        .await
        .expect("settled");
    let first = commit(&*store, vec![message(id, ada)], Vec::new(), NOW)
        .await
        .batch;
    let second = commit(&*store, vec![message(id, ada)], Vec::new(), NOW)
        .await
        .batch;
    let (first, second) = (first.expect("written"), second.expect("written"));
    let third = commit(&*store, vec![message(id, ada)], vec![first], NOW)
        .await
        .batch;
    let third = third.expect("written");
    let waiting = HashSet::from_iter(pending_ids(&*store).await);
    assert_eq!(waiting, HashSet::from([second, third]));
    // A batch without rows is good for settling alone.
    let nothing = commit(&*store, Vec::new(), vec![second, third], NOW).await;
    assert_eq!((nothing.batch, nothing.outcomes.len()), (None, 0));
    assert_eq!(pending(&*store).await, []);
}

/// Duplicates and refused rows leave nothing to announce.
pub async fn a_batch_with_nothing_new_does_not_wait(store: Arc<dyn Store>) {
    let (id, ada, _) = group_of_two(&*store).await;
    let [stranger] = people(&*store).await;
    let row = message(id, ada);
    append_one(&*store, row.clone()).await;
    let before = pending_ids(&*store).await;
    let batch = vec![row, message(id, stranger)];
    let appended = commit(&*store, batch, Vec::new(), NOW).await;
    assert_eq!(appended.batch, None);
    assert_eq!(pending_ids(&*store).await, before);
}

/// What waits is given by age, the oldest first, as many as asked for.
pub async fn waiting_batches_are_given_by_age(store: Arc<dyn Store>) {
    let (id, ada, _) = group_of_two(&*store).await;
    store
        .settle(pending_ids(&*store).await)
        .await
        .expect("settled");
    let mut ids = Vec::new();
    for at in [30, 10, 20] {
        let batch = commit(&*store, vec![message(id, ada)], Vec::new(), later(at))
            .await
            .batch;
        ids.push(batch.expect("written"));
    }
    let [newest, oldest, middle] = ids[..] else {
        panic!("three batches were written");
    };
    for (before, limit, expected) in [
        (10, ALL_ROWS, vec![]),
        (11, ALL_ROWS, vec![oldest]),
        (30, ALL_ROWS, vec![oldest, middle]),
        (31, ALL_ROWS, vec![oldest, middle, newest]),
        (31, 2, vec![oldest, middle]),
    ] {
        let waiting = store
            .pending_batches(later(before), limit)
            .await
            .expect("read");
        let waiting: Vec<BatchId> = waiting.iter().map(|batch| batch.id).collect();
        assert_eq!(waiting, expected, "before {before}, at most {limit}");
    }
}

/// From a number on, towards newer rows, at most as many as asked for.
pub async fn a_page_after_a_number_goes_towards_newer_rows(store: Arc<dyn Store>) {
    let (id, ada, bob) = group_of_two(&*store).await;
    let last = say(&*store, id, ada, 9).await;
    for (after, rows_max, expected) in [
        (0, 4, vec![rows(1, 4)]),
        (4, 4, vec![rows(5, 8)]),
        (8, 4, vec![rows(9, 10)]),
        (0, 10, vec![rows(1, 10)]),
        (0, ALL_ROWS, vec![rows(1, 10)]),
    ] {
        let asked = PageQuery {
            rows_max,
            ..query(id, bob.user, PageStart::After(Seq::new(after)))
        };
        let page = page(&*store, asked).await;
        assert_eq!(outline(&page), expected, "{rows_max} after {after}");
        assert_eq!(page.head, last);
    }
    let page = page(&*store, query(id, bob.user, PageStart::After(Seq::ZERO))).await;
    let log: Vec<PageItem> = log(&*store, id)
        .await
        .into_iter()
        .map(PageItem::Row)
        .collect();
    assert_eq!(page.items, log, "the rows are whole");
}

/// From a number, or the newest, towards older rows; ascending all the same.
pub async fn a_page_before_a_number_goes_towards_older_rows(store: Arc<dyn Store>) {
    let (id, ada, bob) = group_of_two(&*store).await;
    let last = say(&*store, id, ada, 9).await;
    for (start, rows_max, expected) in [
        (PageStart::Newest, 4, vec![rows(7, 10)]),
        (PageStart::Before(Seq::new(7)), 4, vec![rows(3, 6)]),
        (PageStart::Before(Seq::new(3)), 4, vec![rows(1, 2)]),
        (PageStart::Before(Seq::new(1)), 4, vec![]),
        (PageStart::Before(Seq::ZERO), 4, vec![]),
        (PageStart::Before(Seq::MAX), 4, vec![rows(7, 10)]),
        (PageStart::Newest, ALL_ROWS, vec![rows(1, 10)]),
    ] {
        let asked = PageQuery {
            rows_max,
            ..query(id, bob.user, start)
        };
        let page = page(&*store, asked).await;
        assert_eq!(outline(&page), expected, "{rows_max} from {start:?}");
        assert_eq!(page.head, last);
    }
}

/// Nothing lies beyond the head.
pub async fn a_page_beyond_the_head_is_empty(store: Arc<dyn Store>) {
    let (id, ada, _) = group_of_two(&*store).await;
    let last = say(&*store, id, ada, 2).await;
    for after in [last, last.next(), Seq::new(1_000), Seq::MAX] {
        let page = page(&*store, query(id, ada.user, PageStart::After(after))).await;
        assert_eq!((page.head, page.items), (last, vec![]));
    }
}

/// Bodies stop a page before its rows do. One row is always given, so that
/// nobody is stuck before a large one.
pub async fn a_page_holds_no_more_bytes_than_asked_for(store: Arc<dyn Store>) {
    let (id, ada, _) = group_of_two(&*store).await;
    let body = sealed(&"x".repeat(1_000));
    let bodies: Vec<NewRow> = messages(id, ada, 6)
        .into_iter()
        .map(|row| NewRow {
            body: Arc::clone(&body),
            ..row
        })
        .collect();
    append(&*store, bodies).await;
    let size = body.len();
    for (start, bytes_max, expected) in [
        (PageStart::After(Seq::new(1)), 3 * size, rows(2, 4)),
        (PageStart::After(Seq::new(1)), 3 * size - 1, rows(2, 3)),
        (PageStart::After(Seq::new(1)), 0, rows(2, 2)),
        (PageStart::Newest, 3 * size, rows(5, 7)),
        (PageStart::Newest, 3 * size - 1, rows(6, 7)),
        (PageStart::Before(Seq::new(7)), 1, rows(6, 6)),
    ] {
        let asked = PageQuery {
            bytes_max,
            ..query(id, ada.user, start)
        };
        let page = page(&*store, asked).await;
        assert_eq!(
            outline(&page),
            [expected],
            "{bytes_max} bytes from {start:?}"
        );
    }
}

/// A page that its bytes end goes on without a gap, also beyond a hole.
pub async fn pages_of_few_bytes_cover_the_log_without_a_gap(store: Arc<dyn Store>) {
    let (id, ada, bob) = group_of_two(&*store).await;
    let (_, back_at) = two_stays(&*store, id, ada, bob).await;
    let last = say(&*store, id, ada, 3).await;
    let mut cursor = Seq::ZERO;
    let mut shown = Vec::new();
    while cursor < last {
        let asked = PageQuery {
            bytes_max: 1,
            ..query(id, bob.user, PageStart::After(cursor))
        };
        let page = page(&*store, asked).await;
        assert!(!page.items.is_empty(), "after {cursor}");
        for item in page.items {
            let (from, to) = match item {
                PageItem::Row(row) => (row.seq, row.seq),
                PageItem::Hole(from, to) => (from, to),
            };
            assert_eq!(from, cursor.next());
            cursor = to;
            shown.push((from, to));
        }
    }
    assert_eq!(cursor, last);
    let hole = shown.iter().find(|(from, to)| from < to);
    assert_eq!(hole.map(|(_, to)| to.next()), Some(back_at));
}

/// Removes bob, lets ada say three things, and brings him back.
async fn two_stays(store: &dyn Store, id: ConversationId, ada: Person, bob: Person) -> (Seq, Seq) {
    say(store, id, ada, 2).await;
    let (left_at, _) = change(store, id, ada, vec![MemberEffect::Remove(bob.user)]).await;
    say(store, id, ada, 3).await;
    let effect = MemberEffect::Add(bob.user, Role::Member);
    let (back_at, _) = change(store, id, ada, vec![effect]).await;
    (left_at, back_at)
}

/// What came before somebody joined is one hole, which costs no row.
pub async fn what_came_before_a_member_is_a_hole(store: Arc<dyn Store>) {
    let [ada, bob] = people(&*store).await;
    let id = group(&*store, ada, &[]).await;
    say(&*store, id, ada, 4).await;
    let effect = MemberEffect::Add(bob.user, Role::Member);
    let (joined_at, _) = change(&*store, id, ada, vec![effect]).await;
    assert_eq!(joined_at, Seq::new(6));
    say(&*store, id, ada, 4).await;
    for (start, expected) in [
        (PageStart::After(Seq::ZERO), vec![hole(1, 5), rows(6, 7)]),
        (PageStart::After(Seq::new(3)), vec![hole(4, 5), rows(6, 7)]),
        (PageStart::After(Seq::new(5)), vec![rows(6, 7)]),
        (PageStart::Newest, vec![rows(9, 10)]),
        (PageStart::Before(Seq::new(7)), vec![hole(1, 5), rows(6, 6)]),
        (PageStart::Before(Seq::new(6)), vec![hole(1, 5)]),
        (PageStart::Before(Seq::new(4)), vec![hole(1, 3)]),
    ] {
        let asked = PageQuery {
            rows_max: 2,
            ..query(id, bob.user, start)
        };
        assert_eq!(outline(&page(&*store, asked).await), expected, "{start:?}");
    }
}

/// What was said between two stays is a hole, either way.
pub async fn what_was_said_between_two_stays_is_a_hole(store: Arc<dyn Store>) {
    let (id, ada, bob) = group_of_two(&*store).await;
    let stays = two_stays(&*store, id, ada, bob).await;
    assert_eq!(stays, (Seq::new(4), Seq::new(8)));
    say(&*store, id, ada, 2).await;
    for (start, rows_max, expected) in [
        (
            PageStart::After(Seq::ZERO),
            ALL_ROWS,
            vec![rows(1, 4), hole(5, 7), rows(8, 10)],
        ),
        (
            PageStart::After(Seq::new(2)),
            3,
            vec![rows(3, 4), hole(5, 7), rows(8, 8)],
        ),
        (
            PageStart::After(Seq::new(5)),
            3,
            vec![hole(6, 7), rows(8, 10)],
        ),
        (
            PageStart::Newest,
            ALL_ROWS,
            vec![rows(1, 4), hole(5, 7), rows(8, 10)],
        ),
        (
            PageStart::Newest,
            4,
            vec![rows(4, 4), hole(5, 7), rows(8, 10)],
        ),
        (
            PageStart::Before(Seq::new(7)),
            1,
            vec![rows(4, 4), hole(5, 6)],
        ),
    ] {
        let asked = PageQuery {
            rows_max,
            ..query(id, bob.user, start)
        };
        let page = page(&*store, asked).await;
        assert_eq!(outline(&page), expected, "{rows_max} from {start:?}");
    }
    let whole = page(&*store, query(id, ada.user, PageStart::Newest)).await;
    assert_eq!(outline(&whole), [rows(1, 10)], "others see all of it");
}

/// Somebody who left reads up to the notice of it, and no further.
pub async fn a_former_member_reads_up_to_their_leaving(store: Arc<dyn Store>) {
    let (id, ada, bob) = group_of_two(&*store).await;
    say(&*store, id, ada, 2).await;
    let (left_at, _) = change(&*store, id, ada, vec![MemberEffect::Remove(bob.user)]).await;
    say(&*store, id, ada, 3).await;
    for start in [PageStart::After(Seq::ZERO), PageStart::Newest] {
        let page = page(&*store, query(id, bob.user, start)).await;
        assert_eq!(page.head, left_at);
        assert_eq!(outline(&page), [rows(1, left_at.get())]);
    }
    let beyond = page(&*store, query(id, bob.user, PageStart::After(left_at))).await;
    assert_eq!((beyond.head, beyond.items), (left_at, vec![]));
}

/// To somebody who was never in it a conversation has no log.
pub async fn a_stranger_reads_no_page(store: Arc<dyn Store>) {
    let (id, ada, _) = group_of_two(&*store).await;
    let [stranger] = people(&*store).await;
    let unknown = ConversationId::new(NOW);
    for (id, user) in [(id, stranger.user), (unknown, ada.user)] {
        for start in [PageStart::After(Seq::ZERO), PageStart::Newest] {
            let page = store.page(query(id, user, start)).await.expect("answered");
            assert_eq!(page, None);
        }
    }
}

/// Rows for fan-out are given from one end to the other, both included, as
/// many as asked for, whoever was in the conversation.
pub async fn rows_for_fan_out_are_unclipped_and_limited(store: Arc<dyn Store>) {
    let (id, ada, _) = group_of_two(&*store).await;
    say(&*store, id, ada, 9).await;
    let all = log(&*store, id).await;
    for (from, to, limit, expected) in [
        (1, 10, ALL_ROWS, &all[..]),
        (3, 5, ALL_ROWS, &all[2..5]),
        (3, 10, 2, &all[2..4]),
        (4, 4, ALL_ROWS, &all[3..4]),
        (9, 100, ALL_ROWS, &all[8..]),
        (11, 100, ALL_ROWS, &[]),
    ] {
        let found = store
            .rows(id, Seq::new(from), Seq::new(to), limit)
            .await
            .expect("read");
        assert_eq!(found, expected, "{from} to {to}, at most {limit}");
    }
    let unknown = ConversationId::new(NOW);
    assert_eq!(log(&*store, unknown).await, []);
}

/// Many heads come in one step; conversations that do not exist are left out.
pub async fn heads_of_many_conversations_are_given_at_once(store: Arc<dyn Store>) {
    let [ada] = people(&*store).await;
    let mut expected = Vec::new();
    let mut asked = Vec::new();
    for count in 0..40 {
        let id = group(&*store, ada, &[]).await;
        if count > 0 {
            say(&*store, id, ada, count).await;
        }
        expected.push(ConversationHead {
            conversation: id,
            head: head(&*store, id).await,
            roster_version: version(&*store, id).await,
        });
        asked.extend([id, ConversationId::new(NOW)]);
    }
    asked.extend((0..1_000).map(|_| ConversationId::new(NOW)));
    let mut found = store.heads(asked).await.expect("read");
    found.sort_unstable_by_key(|head| head.conversation);
    expected.sort_unstable_by_key(|head| head.conversation);
    assert_eq!(found, expected);
    let all: u64 = expected.iter().map(|head| head.head.get()).sum();
    assert_eq!(all, (1..=40).sum::<u64>());
    assert_eq!(store.heads(Vec::new()).await.expect("read"), []);
}

/// What a store may remember of earlier batches lets nobody in who has left.
pub async fn who_wrote_before_writes_no_more_once_removed(store: Arc<dyn Store>) {
    let [ada, bob] = people(&*store).await;
    let group = group(&*store, ada, &[bob]).await;
    for _ in 0..3 {
        say(&*store, group, bob, 1).await;
    }
    let (removed, _) = change(&*store, group, ada, vec![MemberEffect::Remove(bob.user)]).await;
    let outcomes = append(&*store, messages(group, bob, 1)).await;
    let refused = AppendOutcome::Refused(AppendRefusal::NotAMember);
    assert_eq!(outcomes, [refused]);
    assert_eq!(head(&*store, group).await, removed);
}

/// Nor does it let an old copy of a device write.
pub async fn an_old_copy_is_found_out_after_rows_that_were_good(store: Arc<dyn Store>) {
    let [ada] = people(&*store).await;
    let group = group(&*store, ada, &[]).await;
    let counted = |counter| NewRow {
        write_counter: Some(counter),
        ..message(group, ada)
    };
    for counter in [3, 5, 5] {
        let outcomes = append(&*store, vec![counted(counter)]).await;
        assert_eq!(numbers(&outcomes).len(), 1);
    }
    let outcomes = append(&*store, vec![counted(4)]).await;
    let refused = AppendOutcome::Refused(AppendRefusal::DeviceRestored);
    assert_eq!(outcomes, [refused]);
}
