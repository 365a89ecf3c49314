//! Cases of [`MessageStore`](crate::store::MessageStore): batches that wait to be
//! announced, and the rows and heads that are told of.

use std::collections::HashSet;
use std::sync::Arc;

use ruggine_core::{ConversationId, Seq, Timestamp};

use super::fixture::{
    ALL_ROWS, NOW, append_one, group, group_of_two, later, message, messages, people, say, version,
};
use super::reads::{head, log, pending, pending_ids};
use crate::store::{Append, Appended, BatchId, ConversationHead, NewRow, Store};

async fn commit(
    store: &dyn Store,
    rows: Vec<NewRow>,
    settled: Vec<BatchId>,
    at: Timestamp,
) -> Appended {
    let append = Append { rows, settled, at };
    store.append(append).await.expect("appended")
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
