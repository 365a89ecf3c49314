//! Cases of [`MessageStore`](crate::store::MessageStore): the write counters of
//! rows, by which an old copy of a device is found out.

use std::sync::Arc;

use super::fixture::{append, append_one, group, group_of_two, message, numbers, people};
use super::reads::{gap_free_log, refused};
use crate::store::{AdvanceCounter, AppendOutcome, AppendRefusal, NewRow, Store};

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

/// What a store may remember of earlier batches lets no old copy of a device write.
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
