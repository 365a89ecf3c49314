//! The table of a group's state: what is kept, and what an overlay hides.

use ruggine_crypto::mls::{Change, MemoryTable, Overlay, StateTable as _, Suite};

use crate::world::Room;

#[test]
fn an_overlay_shows_its_changes_and_leaves_what_is_below() {
    let below = MemoryTable::default();
    below.write(b"a", b"1").expect("a step of the scene");
    below.write(b"b", b"2").expect("a step of the scene");
    let overlay = Overlay::new(&below);
    overlay.write(b"a", b"3").expect("a step of the scene");
    overlay.remove(b"b").expect("a step of the scene");
    overlay.write(b"c", b"4").expect("a step of the scene");
    let read = |key: &[u8]| {
        overlay
            .read(key)
            .expect("a step of the scene")
            .map(|value| value.to_vec())
    };
    assert_eq!(read(b"a"), Some(b"3".to_vec()));
    assert_eq!(read(b"b"), None);
    assert_eq!(
        below
            .read(b"a")
            .expect("a step of the scene")
            .expect("a step of the scene")
            .as_slice(),
        b"1"
    );
    let changes = overlay.into_changes();
    assert_eq!(changes.len(), 3);
    assert_eq!(below.len(), 2);
    assert!(format!("{changes:?}").ends_with("{ .. }]"));
}

#[test]
fn a_table_comes_back_from_its_bytes() {
    let room = Room::of(2, Suite::Classical);
    let table = &room.clients[0].table;
    let back = MemoryTable::from_bytes(&table.to_bytes().expect("a step of the scene"))
        .expect("a step of the scene");
    assert_eq!(
        back.to_bytes().expect("a step of the scene"),
        table.to_bytes().expect("a step of the scene")
    );
    assert!(MemoryTable::from_bytes(b"nothing").is_err());
}

#[test]
fn keys_that_are_used_up_are_gone_from_the_table() {
    let mut room = Room::of(3, Suite::Classical);
    let settled = |room: &Room| room.clients[1].table.len();
    for _ in 0..3 {
        room.change(0, Change::default());
    }
    let keys = settled(&room);
    for round in 0..10 {
        room.change(round % 3, Change::default());
        room.check();
    }
    assert_eq!(settled(&room), keys, "nothing of an old epoch is kept");
}
