//! What is known of a conversation: where it begins, how far it goes, its title.

use ruggine_client_sdk::store::{Applied, ClientStore, LogEntry, Position};
use ruggine_core::Seq;
use ruggine_core::api::conversation::{Conversation, ConversationKind, ProtectionMode, Role};

use super::own_store::{apply, group, new_store, numbers, put, said, title};
use super::support::{fresh_conversation, person, seq};

#[test]
fn what_is_asked_of_an_unknown_conversation_changes_nothing() {
    let kept = new_store();
    let id = fresh_conversation();
    assert_eq!(apply(&kept.store, id, &[said(1)]), Applied::Unknown);
    kept.store.apply_older(id, &[said(1)]).expect("writable");
    assert!(!kept.store.set_read(id, seq(3)).expect("writable"));
    kept.store.read_told(id, seq(3)).expect("writable");
    let position = Position::Read(seq(1));
    kept.store
        .set_position(id, kept.me.user.id, position)
        .expect("writable");
    assert_eq!(kept.store.conversations().expect("readable"), []);
    assert_eq!(kept.store.messages(id, Seq::MAX, 10).expect("readable"), []);
}

#[test]
fn a_new_conversation_begins_a_few_rows_before_its_head() {
    let kept = new_store();
    for (head, recent, begin) in [(0, 100, 0), (50, 100, 0), (150, 100, 50), (7, 0, 7)] {
        let conversation = Conversation {
            own_read: seq(head / 2),
            peer: Some(person("bob").id),
            kind: ConversationKind::Direct,
            role: Some(Role::Owner),
            ..group(head)
        };
        put(&kept.store, &conversation, recent);
        let record = kept.record(conversation.id);
        assert_eq!((record.floor, record.cursor), (seq(begin), seq(begin)));
        assert_eq!(record.head, seq(head));
        assert_eq!(record.own_read, conversation.own_read);
        assert_eq!(record.peer, conversation.peer);
        assert_eq!(record.kind, ConversationKind::Direct);
        assert_eq!(record.mode, ProtectionMode::Managed);
        assert_eq!(record.created_at, conversation.created_at);
        assert_eq!(record.role, Some(Role::Owner));
        assert_eq!((record.roster_version, record.members_version), (1, 0));
    }
    let all = kept.store.conversations().expect("readable");
    assert_eq!(all.len(), 4);
}

#[test]
fn what_is_said_again_of_a_conversation_only_moves_forward() {
    let kept = new_store();
    let mut conversation = group(0);
    put(&kept.store, &conversation, 100);
    let id = conversation.id;
    apply(&kept.store, id, &[said(1), said(2), said(3)]);
    kept.store.set_read(id, seq(3)).expect("writable");
    conversation.head = seq(2);
    conversation.own_read = seq(1);
    conversation.roster_version = 9;
    conversation.role = None;
    put(&kept.store, &conversation, 1);
    let record = kept.record(id);
    assert_eq!(
        (record.floor, record.cursor, record.head),
        (Seq::ZERO, seq(3), seq(3))
    );
    assert_eq!(
        (record.own_read, record.role, record.roster_version),
        (seq(3), None, 9)
    );
    conversation.head = seq(500);
    conversation.own_read = seq(400);
    conversation.roster_version = 2;
    conversation.role = Some(Role::Admin);
    put(&kept.store, &conversation, 1);
    let record = kept.record(id);
    assert_eq!(
        (record.floor, record.cursor, record.head),
        (Seq::ZERO, seq(3), seq(500))
    );
    assert_eq!(record.own_read, seq(400));
    assert_eq!((record.role, record.roster_version), (Some(Role::Admin), 9));
    assert_eq!(numbers(&kept.store, id), [1, 2, 3]);
}

#[test]
fn the_title_with_the_highest_number_is_in_force() {
    let kept = new_store();
    let conversation = group(20);
    put(&kept.store, &conversation, 10);
    let id = conversation.id;
    assert_eq!(kept.record(id).title, "");
    apply(&kept.store, id, &[title(11, "Eleven"), said(12)]);
    assert_eq!(kept.record(id).title, "Eleven");
    apply(&kept.store, id, &[title(13, "Thirteen"), title(14, "")]);
    assert_eq!(kept.record(id).title, "", "an empty title removes it");
    apply(&kept.store, id, &[title(15, "Fifteen")]);
    let older: Vec<LogEntry> = (1..=10).map(|number| title(number, "Old")).collect();
    kept.store.apply_older(id, &older).expect("writable");
    assert_eq!(kept.record(id).title, "Fifteen");
    assert_eq!(kept.reopened().record(id).title, "Fifteen");
}

#[test]
fn the_title_of_an_older_row_counts_where_there_is_no_newer_one() {
    let kept = new_store();
    let conversation = group(20);
    put(&kept.store, &conversation, 10);
    let id = conversation.id;
    let older: Vec<LogEntry> = (5..=10).map(|n| title(n, &format!("title {n}"))).collect();
    kept.store.apply_older(id, &older).expect("writable");
    assert_eq!(kept.record(id).title, "title 10");
}
