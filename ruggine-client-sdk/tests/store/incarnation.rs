//! What becomes of the store when the server has another log.

use ruggine_client_sdk::store::{ClientStore, SendProgress};
use ruggine_core::{ErrorCode, Incarnation, Seq};

use super::own_store::{advanced, apply, new_store, numbers, said, title};
use super::support::{now, seq};

#[test]
fn the_first_log_is_noted_and_resets_nothing() {
    let kept = new_store();
    let id = kept.room(0);
    apply(&kept.store, id, &[said(1)]);
    let log = Incarnation::new(5);
    assert!(!kept.store.set_incarnation(log).expect("writable"));
    assert!(!kept.store.set_incarnation(log).expect("writable"));
    assert_eq!(kept.store.incarnation().expect("readable"), Some(log));
    assert_eq!(numbers(&kept.store, id), [1]);
}

#[test]
fn another_log_drops_the_rows_and_opens_what_it_may_not_have() {
    let kept = new_store();
    let id = kept.room(0);
    kept.store
        .set_incarnation(Incarnation::new(5))
        .expect("writable");
    apply(&kept.store, id, &[title(1, "Old title"), said(2)]);
    kept.store.set_read(id, seq(2)).expect("writable");
    kept.store.read_told(id, seq(2)).expect("writable");
    let acked = kept.queue(id, "acknowledged");
    let failed = kept.queue(id, "failed");
    kept.queue(id, "waiting");
    kept.store
        .acknowledged(id, acked, seq(3), now())
        .expect("writable");
    kept.store
        .failed(id, failed, ErrorCode::Refused)
        .expect("writable");

    assert!(
        kept.store
            .set_incarnation(Incarnation::new(6))
            .expect("writable")
    );
    let kept = kept.reopened();
    assert_eq!(
        kept.store.incarnation().expect("readable"),
        Some(Incarnation::new(6))
    );
    let record = kept.record(id);
    assert_eq!(numbers(&kept.store, id), [0; 0]);
    assert_eq!(
        (record.head, record.cursor, record.floor, record.own_read),
        (Seq::ZERO, Seq::ZERO, Seq::ZERO, Seq::ZERO)
    );
    assert_eq!(
        (record.title.as_str(), record.unread, record.newest),
        ("", 0, None)
    );
    assert_eq!(kept.store.reads_to_tell().expect("readable"), []);
    let expected = [
        SendProgress::Waiting,
        SendProgress::Failed(ErrorCode::Refused),
        SendProgress::Waiting,
    ];
    assert_eq!(kept.progress(id), expected);
    let head = kept
        .store
        .head_of_line(id)
        .expect("readable")
        .expect("something waits");
    assert_eq!(head.client_msg_id, acked);
    assert_eq!(apply(&kept.store, id, &[said(1)]), advanced(0, 1));
    let new_title = title(2, "New title");
    assert_eq!(apply(&kept.store, id, &[new_title]), advanced(1, 2));
    assert_eq!(kept.record(id).title, "New title");
}
