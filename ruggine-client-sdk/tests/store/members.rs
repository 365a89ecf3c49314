//! The members of a conversation: their roster, their positions and their names.

use ruggine_client_sdk::store::{ClientStore, Position};
use ruggine_core::api::conversation::Role;

use super::own_store::{member, new_store};
use super::support::{person, seq};

#[test]
fn the_roster_is_replaced_as_a_whole_and_names_stay() {
    let kept = new_store();
    let id = kept.room(0);
    let (bob, eva) = (person("bob"), person("eva"));
    let first = [
        member(&eva, Role::Owner, 4),
        member(&bob, Role::Member, 2),
        member(&kept.me.user, Role::Admin, 0),
    ];
    kept.store.put_members(id, 3, &first).expect("writable");
    let kept = kept.reopened();
    let members = kept.store.members(id).expect("readable");
    let names: Vec<&str> = members.iter().map(|m| m.user.username.as_str()).collect();
    assert_eq!(names, ["ada", "bob", "eva"], "in the order of their names");
    assert_eq!(members[2].role, Role::Owner);
    assert_eq!((members[1].delivered, members[1].read), (seq(2), seq(2)));
    let record = kept.record(id);
    assert_eq!((record.roster_version, record.members_version), (3, 3));

    let mut renamed = eva.clone();
    renamed.display_name = "Eva B.".parse().expect("a display name");
    kept.store
        .put_members(id, 4, &[member(&renamed, Role::Member, 1)])
        .expect("writable");
    let members = kept.store.members(id).expect("readable");
    assert_eq!(members.len(), 1);
    assert_eq!(members[0].user, renamed);
    assert_eq!(members[0].role, Role::Member);
    assert_eq!(kept.store.user(bob.id).expect("readable"), Some(bob));
}

#[test]
fn positions_of_members_only_move_forward() {
    let kept = new_store();
    let (id, other) = (kept.room(0), kept.room(0));
    let bob = person("bob");
    for room in [id, other] {
        kept.store
            .put_members(room, 1, &[member(&bob, Role::Member, 5)])
            .expect("writable");
    }
    let positions = |room| {
        let members = kept.store.members(room).expect("readable");
        (members[0].delivered, members[0].read)
    };
    let set = |position| {
        kept.store
            .set_position(id, bob.id, position)
            .expect("writable")
    };
    set(Position::Delivered(seq(9)));
    assert_eq!(positions(id), (seq(9), seq(5)));
    set(Position::Read(seq(7)));
    set(Position::Delivered(seq(3)));
    set(Position::Read(seq(6)));
    assert_eq!(positions(id), (seq(9), seq(7)));
    assert_eq!(positions(other), (seq(5), seq(5)));
    let stranger = Position::Read(seq(9));
    kept.store
        .set_position(id, person("eva").id, stranger)
        .expect("writable");
    assert_eq!(kept.store.members(id).expect("readable").len(), 1);
}

#[test]
fn names_are_replaced_by_newer_ones() {
    let kept = new_store();
    let mut bob = person("bob");
    kept.store.put_user(&bob).expect("writable");
    bob.display_name = "Bob 🦀".parse().expect("a display name");
    kept.store.put_user(&bob).expect("writable");
    let kept = kept.reopened();
    assert_eq!(kept.store.user(bob.id).expect("readable"), Some(bob));
}
