//! The rows of the log: applied in order, kept whole, and read in pages.

use ruggine_client_sdk::store::{Applied, ClientStore, LogEntry, LogRow};
use ruggine_core::api::message::RowKind;
use ruggine_core::{Blob, ClientMsgId, Seq};

use super::own_store::{
    advanced, apply, entry, group, hole, new_store, numbers, put, said, theirs,
};
use super::support::{self, assert_whole, now, seq};

#[test]
fn rows_are_applied_at_the_cursor_and_nowhere_else() {
    let kept = new_store();
    let id = kept.room(0);
    let early = [said(2), said(3)];
    assert_eq!(apply(&kept.store, id, &early), Applied::Gap(Seq::ZERO));
    assert_eq!(numbers(&kept.store, id), [0; 0], "a gap writes nothing");
    assert_eq!(apply(&kept.store, id, &[said(1), said(2)]), advanced(0, 2));
    assert_eq!(apply(&kept.store, id, &[said(1), said(2)]), advanced(2, 2));
    let overlap = [said(2), said(3), said(4)];
    assert_eq!(apply(&kept.store, id, &overlap), advanced(2, 4));
    assert_eq!(apply(&kept.store, id, &[]), advanced(4, 4));
    let broken = [said(5), said(7)];
    assert_eq!(
        apply(&kept.store, id, &broken),
        advanced(4, 5),
        "up to what is missing"
    );
    assert_eq!(numbers(&kept.store, id), [1, 2, 3, 4, 5]);
    let record = kept.record(id);
    assert_eq!((record.cursor, record.head), (seq(5), seq(5)));
}

#[test]
fn a_row_that_comes_again_with_other_words_changes_nothing() {
    let kept = new_store();
    let id = kept.room(0);
    apply(&kept.store, id, &[said(1)]);
    let before = support::kept(&kept.store, id);
    apply(&kept.store, id, &[entry(1, theirs("other words"))]);
    assert_eq!(support::kept(&kept.store, id), before);
}

#[test]
fn a_hole_is_crossed_and_leaves_no_row() {
    let kept = new_store();
    let id = kept.room(0);
    assert_eq!(
        apply(&kept.store, id, &[hole(1, 40), said(41)]),
        advanced(0, 41)
    );
    assert_eq!(numbers(&kept.store, id), [41]);
    assert_eq!(apply(&kept.store, id, &[hole(30, 45)]), advanced(41, 45));
    assert_eq!(
        apply(&kept.store, id, &[hole(47, 50)]),
        Applied::Gap(seq(45))
    );
    assert_eq!(kept.record(id).cursor, seq(45));
}

#[test]
fn what_is_kept_of_a_row_is_what_was_applied() {
    let kept = new_store();
    let id = kept.room(0);
    let lost = LogRow {
        payload: None,
        ..theirs("")
    };
    let notice = LogRow {
        kind: RowKind::System,
        countable: false,
        ..theirs("a notice")
    };
    let rows = [theirs("words"), lost, notice];
    let entries: Vec<LogEntry> = rows
        .iter()
        .cloned()
        .zip(1..)
        .map(|(row, n)| entry(n, row))
        .collect();
    apply(&kept.store, id, &entries);
    let kept = kept.reopened();
    let records = support::kept(&kept.store, id);
    for (row, record) in rows.iter().zip(&records) {
        assert_eq!(record.kind, row.kind);
        assert_eq!((record.sender, record.device), (row.sender, row.device));
        assert_eq!(record.client_msg_id, row.client_msg_id);
        assert_eq!(record.server_ts, row.server_ts);
        assert_eq!(record.payload, row.payload);
    }
    let newest = kept.record(id).newest.expect("there is a countable row");
    assert_eq!(newest, records[1], "a notice is not what was said last");
}

#[test]
fn a_payload_of_every_size_is_kept_byte_for_byte() {
    let kept = new_store();
    let id = kept.room(0);
    let sizes = [0, 1, 100, 4_096, 40 * 1024];
    for (number, size) in (1..).zip(sizes) {
        let payload: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
        let row = LogRow {
            payload: Some(Blob::from(payload.clone())),
            ..theirs("")
        };
        apply(&kept.store, id, &[entry(number, row)]);
        let queued = ClientMsgId::new(now());
        kept.store
            .enqueue(id, queued, Blob::from(payload), now())
            .expect("writable");
    }
    let kept = kept.reopened();
    let rows = support::kept(&kept.store, id);
    let line = kept.store.line(id).expect("readable");
    for ((row, waiting), size) in rows.iter().zip(&line).zip(sizes) {
        let payload = row.payload.as_ref().expect("there is one");
        assert_eq!(payload.len(), size);
        assert_eq!(payload, &waiting.payload);
    }
}

#[test]
fn pages_of_kept_rows_go_backwards() {
    let kept = new_store();
    let id = kept.room(0);
    let entries: Vec<LogEntry> = (1..=10).map(said).collect();
    apply(&kept.store, id, &entries);
    let page = |before, limit| -> Vec<u64> {
        let rows = kept
            .store
            .messages(id, seq(before), limit)
            .expect("readable");
        rows.iter().map(|row| row.seq.get()).collect()
    };
    assert_eq!(page(11, 3), [10, 9, 8]);
    assert_eq!(page(8, 3), [7, 6, 5]);
    assert_eq!(page(3, 100), [2, 1]);
    assert_eq!(page(1, 5), [0; 0]);
    assert_eq!(page(5, 0), [0; 0]);
    assert_eq!(page(u64::MAX, usize::MAX).len(), 10);
}

#[test]
fn older_rows_are_added_only_where_the_kept_part_begins() {
    let kept = new_store();
    let conversation = group(50);
    put(&kept.store, &conversation, 10);
    let id = conversation.id;
    let recent: Vec<LogEntry> = (41..=50).map(said).collect();
    apply(&kept.store, id, &recent);
    let older = |from: u64, to: u64| (from..=to).map(said).collect::<Vec<_>>();
    for misfit in [older(20, 39), older(20, 41), older(20, 50), Vec::new()] {
        kept.store.apply_older(id, &misfit).expect("writable");
        assert_eq!(kept.record(id).floor, seq(40));
        assert_whole(&support::kept(&kept.store, id), 41, 50);
    }
    kept.store
        .apply_older(id, &older(31, 40))
        .expect("writable");
    assert_eq!(kept.record(id).floor, seq(30));
    assert_whole(&support::kept(&kept.store, id), 31, 50);
    kept.store
        .apply_older(id, &older(31, 40))
        .expect("writable");
    assert_whole(&support::kept(&kept.store, id), 31, 50);
    let rest = [hole(1, 20), hole(21, 28), said(29), said(30)];
    kept.store.apply_older(id, &rest).expect("writable");
    let kept = kept.reopened();
    assert_whole(&support::kept(&kept.store, id), 29, 50);
    let record = kept.record(id);
    assert_eq!(
        (record.floor, record.cursor, record.head),
        (Seq::ZERO, seq(50), seq(50))
    );
}

#[test]
fn older_rows_that_do_not_follow_one_another_are_not_kept() {
    let broken: [Vec<LogEntry>; 5] = [
        vec![said(9), said(8), said(10)],
        vec![said(7), said(10)],
        vec![said(60), said(10)],
        vec![said(9), said(9), said(10)],
        vec![hole(9, 3), said(10)],
    ];
    for entries in broken {
        let kept = new_store();
        let conversation = group(12);
        put(&kept.store, &conversation, 2);
        let id = conversation.id;
        apply(&kept.store, id, &[said(11), said(12)]);
        // An error or nothing: but no hole in what is kept.
        let _ = kept.store.apply_older(id, &entries);
        let record = kept.record(id);
        assert!(record.floor <= record.cursor, "{record:?}");
        assert_whole(&support::kept(&kept.store, id), record.floor.get() + 1, 12);
    }
}
