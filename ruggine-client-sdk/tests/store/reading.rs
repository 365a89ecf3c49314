//! What is unread, and the read positions that the server has yet to hear of.

use ruggine_client_sdk::store::{ClientStore, LogRow};
use ruggine_core::ClientMsgId;

use super::own_store::{Kept, apply, entry, hole, new_store, said, theirs, title};
use super::support::{now, seq};

#[test]
fn unread_messages_are_those_of_others_above_the_read_position() {
    let kept = new_store();
    let id = kept.room(0);
    let naming = LogRow {
        mentions_me: true,
        ..theirs("@ada")
    };
    let silent = LogRow {
        countable: false,
        mentions_me: true,
        ..theirs("a notice")
    };
    let entries = [
        said(1),
        entry(2, kept.mine(ClientMsgId::new(now()))),
        entry(3, naming.clone()),
        entry(4, silent),
        title(5, "A title"),
        said(6),
        entry(7, naming),
        hole(8, 9),
    ];
    apply(&kept.store, id, &entries);
    let counts = || {
        let record = kept.record(id);
        (record.unread, record.mentions)
    };
    assert_eq!(counts(), (4, 2));
    for (read, moved, expected) in [
        (1, true, (3, 2)),
        (1, false, (3, 2)),
        (3, true, (2, 1)),
        (2, false, (2, 1)),
        (6, true, (1, 1)),
        (9, true, (0, 0)),
    ] {
        assert_eq!(kept.store.set_read(id, seq(read)).expect("writable"), moved);
        assert_eq!(counts(), expected, "read up to {read}");
    }
}

#[test]
fn read_positions_are_told_until_the_server_knows_them() {
    let kept = new_store();
    let id = kept.room(0);
    apply(&kept.store, id, &[said(1), said(2), said(3)]);
    let to_tell = |kept: &Kept| kept.store.reads_to_tell().expect("readable");
    assert_eq!(to_tell(&kept), []);
    kept.store.set_read(id, seq(2)).expect("writable");
    let kept = kept.reopened();
    assert_eq!(to_tell(&kept), [(id, seq(2))]);
    kept.store.set_read(id, seq(3)).expect("writable");
    kept.store.read_told(id, seq(2)).expect("writable");
    assert_eq!(
        to_tell(&kept),
        [(id, seq(3))],
        "what was told is behind by now"
    );
    kept.store.read_told(id, seq(3)).expect("writable");
    assert_eq!(to_tell(&kept), []);
    kept.store.read_told(id, seq(1)).expect("writable");
    assert_eq!(to_tell(&kept.reopened()), [], "it never goes back");
}
