//! The outbox: what waits, in which order, and the counter of what was intended.

use ruggine_client_sdk::store::sqlite::SqliteStore;
use ruggine_client_sdk::store::{Applied, ClientStore, LogRow, SendProgress};
use ruggine_core::{ClientMsgId, ErrorCode, Incarnation, Timestamp};

use super::own_store::{apply, entry, new_store, said, theirs};
use super::support::world::tokens;
use super::support::{now, seq, text};

#[test]
fn the_write_counter_counts_intentions_and_never_goes_back() {
    let kept = new_store();
    let id = kept.room(0);
    let mut before = 0;
    let mut grows = |store: &SqliteStore| {
        let counter = store.write_counter().expect("readable");
        assert!(counter > before);
        before = counter;
    };
    let message = kept.queue(id, "one");
    grows(&kept.store);
    kept.store
        .failed(id, message, ErrorCode::Refused)
        .expect("writable");
    assert!(kept.store.retry(id, message).expect("writable"));
    grows(&kept.store);
    kept.queue(id, "two");
    grows(&kept.store);
    // What the server sends, and what it is told, are no intentions.
    let counter = kept.store.write_counter().expect("readable");
    apply(&kept.store, id, &[said(1)]);
    kept.store
        .acknowledged(id, message, seq(2), now())
        .expect("writable");
    kept.store
        .set_incarnation(Incarnation::new(1))
        .expect("writable");
    kept.store
        .set_incarnation(Incarnation::new(2))
        .expect("writable");
    kept.store.set_tokens(tokens("two")).expect("writable");
    assert_eq!(kept.store.write_counter().expect("readable"), counter);
    assert_eq!(
        kept.reopened().store.write_counter().expect("readable"),
        counter
    );
}

#[test]
fn an_enqueue_that_fails_counts_nothing() {
    let kept = new_store();
    let id = kept.room(0);
    let message = kept.queue(id, "one");
    let twice = kept.store.enqueue(id, message, text("another"), now());
    assert!(twice.is_err(), "one id is one message");
    assert_eq!(kept.store.write_counter().expect("readable"), 1);
    let line = kept.store.line(id).expect("readable");
    assert_eq!(line.len(), 1);
    assert_eq!(line[0].payload, text("one"));
}

#[test]
fn ones_own_message_leaves_the_outbox_with_its_row() {
    let kept = new_store();
    let id = kept.room(0);
    let elsewhere = kept.room(0);
    let first = kept.queue(id, "first");
    let second = kept.queue(id, "second");
    // The same id of another device, and in another conversation, is another message.
    let stranger = LogRow {
        client_msg_id: first,
        ..theirs("not mine")
    };
    apply(&kept.store, id, &[entry(1, stranger)]);
    apply(&kept.store, elsewhere, &[entry(1, kept.mine(first))]);
    assert_eq!(kept.progress(id).len(), 2);
    // In a gap it is not seen.
    assert_eq!(
        apply(&kept.store, id, &[entry(3, kept.mine(first))]),
        Applied::Gap(seq(1))
    );
    assert_eq!(kept.progress(id).len(), 2);
    apply(&kept.store, id, &[entry(2, kept.mine(first))]);
    let line = kept.store.line(id).expect("readable");
    assert_eq!(
        line.iter().map(|m| m.client_msg_id).collect::<Vec<_>>(),
        [second]
    );
    kept.store
        .acknowledged(id, first, seq(2), now())
        .expect("writable");
    assert_eq!(
        kept.progress(id),
        [SendProgress::Waiting],
        "a late answer brings nothing back"
    );
}

#[test]
fn a_line_is_sent_in_the_order_in_which_it_was_written() {
    let kept = new_store();
    let (id, other) = (kept.room(0), kept.room(0));
    let mut written = Vec::new();
    for number in 0..5 {
        written.push(kept.queue(id, &format!("word {number}")));
        kept.queue(other, "elsewhere");
    }
    let kept = kept.reopened();
    let line = kept.store.line(id).expect("readable");
    assert_eq!(
        line.iter().map(|m| m.client_msg_id).collect::<Vec<_>>(),
        written
    );
    for (number, message) in line.iter().enumerate() {
        assert_eq!(message.payload, text(&format!("word {number}")));
    }
    let mut lines = kept.store.lines().expect("readable");
    lines.sort();
    let mut expected = vec![id, other];
    expected.sort();
    assert_eq!(lines, expected);
    for (number, message) in (1..).zip(&written) {
        let head = kept
            .store
            .head_of_line(id)
            .expect("readable")
            .expect("something waits");
        assert_eq!(head.client_msg_id, *message);
        kept.store
            .acknowledged(id, *message, seq(number), now())
            .expect("writable");
    }
    assert_eq!(kept.store.head_of_line(id).expect("readable"), None);
    assert_eq!(kept.store.lines().expect("readable"), [other]);
    assert_eq!(kept.progress(id).len(), 5, "until they are seen in the log");
}

#[test]
fn an_acknowledged_message_keeps_its_number_and_time() {
    let kept = new_store();
    let id = kept.room(0);
    let message = kept.queue(id, "word");
    let at = Timestamp::from_millis(1_234);
    kept.store
        .acknowledged(id, message, seq(9), at)
        .expect("writable");
    let kept = kept.reopened();
    assert_eq!(kept.progress(id), [SendProgress::Acknowledged(seq(9), at)]);
    kept.store
        .failed(id, message, ErrorCode::Refused)
        .expect("writable");
    assert_eq!(
        kept.progress(id),
        [SendProgress::Acknowledged(seq(9), at)],
        "too late to fail"
    );
    assert!(!kept.store.retry(id, message).expect("writable"));
    assert!(!kept.store.discard(id, message).expect("writable"));
}

#[test]
fn what_failed_is_passed_over_and_can_be_sent_again_at_the_end() {
    let kept = new_store();
    let id = kept.room(0);
    let first = kept.queue(id, "first");
    let second = kept.queue(id, "second");
    kept.store
        .failed(id, first, ErrorCode::Forbidden)
        .expect("writable");
    let kept = kept.reopened();
    let expected = [
        SendProgress::Failed(ErrorCode::Forbidden),
        SendProgress::Waiting,
    ];
    assert_eq!(kept.progress(id), expected);
    let head = || {
        let head = kept.store.head_of_line(id).expect("readable");
        head.map(|message| message.client_msg_id)
    };
    assert_eq!(head(), Some(second));
    assert!(kept.store.retry(id, first).expect("writable"));
    assert!(
        !kept.store.retry(id, first).expect("writable"),
        "it waits again"
    );
    assert_eq!(head(), Some(second));
    let third = kept.queue(id, "third");
    let order: Vec<ClientMsgId> = kept
        .store
        .line(id)
        .expect("readable")
        .iter()
        .map(|message| message.client_msg_id)
        .collect();
    assert_eq!(order, [second, first, third]);
}

#[test]
fn only_what_failed_can_be_given_up() {
    let kept = new_store();
    let (id, other) = (kept.room(0), kept.room(0));
    let waiting = kept.queue(id, "waiting");
    let failed = kept.queue(id, "failed");
    kept.store
        .failed(id, failed, ErrorCode::Refused)
        .expect("writable");
    assert!(!kept.store.discard(id, waiting).expect("writable"));
    assert!(!kept.store.discard(other, failed).expect("writable"));
    assert!(kept.store.discard(id, failed).expect("writable"));
    assert!(!kept.store.discard(id, failed).expect("writable"));
    assert_eq!(kept.progress(id), [SendProgress::Waiting]);
}
