//! The client's store on SQLCipher: every promise of its trait, its encryption,
//! and what a crash leaves behind.

#[expect(dead_code, reason = "each of the test programs uses a part")]
mod support;

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use ruggine_client_sdk::store::sqlite::SqliteStore;
use ruggine_client_sdk::store::{
    Applied, ClientStore, FixedKey, Identity, KeyFile, LogEntry, LogRow, Position, SendProgress,
    StoreError, StoreKey, StoreKeyError,
};
use ruggine_core::api::account::User;
use ruggine_core::api::conversation::{Conversation, ConversationKind, ProtectionMode, Role};
use ruggine_core::api::member::Member;
use ruggine_core::api::message::RowKind;
use ruggine_core::secret::SecretText;
use ruggine_core::{
    Blob, ClientMsgId, ConversationId, DeviceId, ErrorCode, Incarnation, Seq, SessionId, Timestamp,
    UserId,
};
use support::script::tokens;
use support::{assert_sound, assert_whole, fresh_conversation, kept, now, person, seq, text};
use tempfile::TempDir;

const KEY: [u8; 32] = [7; 32];
const THEIR_DEVICE: DeviceId = DeviceId::from_bytes([200; 16]);

struct Kept {
    folder: TempDir,
    store: SqliteStore,
    me: Identity,
}

fn file(folder: &Path) -> PathBuf {
    folder.join("store")
}

fn open(folder: &Path) -> SqliteStore {
    SqliteStore::open(file(folder), &FixedKey::new(KEY)).expect("the store opens")
}

fn login(user: User) -> Identity {
    Identity {
        user,
        device: DeviceId::new(now()),
        device_secret: SecretText::new("a device secret"),
        session: SessionId::new(now()),
        tokens: Some(tokens("one")),
    }
}

/// A new store that belongs to somebody.
fn new_store() -> Kept {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path());
    let me = login(person("ada"));
    store
        .set_identity(me.clone())
        .expect("the store can be written");
    Kept { folder, store, me }
}

impl Kept {
    /// Closes the store and opens it again.
    fn reopened(self) -> Self {
        let Self { folder, store, me } = self;
        drop(store);
        let store = open(folder.path());
        Self { folder, store, me }
    }

    fn room(&self, head: u64) -> ConversationId {
        let conversation = group(head);
        put(&self.store, &conversation, 100);
        conversation.id
    }

    fn mine(&self, id: ClientMsgId) -> LogRow {
        LogRow {
            sender: self.me.user.id,
            device: self.me.device,
            client_msg_id: id,
            ..theirs("my own")
        }
    }

    fn queue(&self, id: ConversationId, words: &str) -> ClientMsgId {
        let message = ClientMsgId::new(now());
        self.store
            .enqueue(id, message, text(words), now())
            .expect("the store can be written");
        message
    }

    fn progress(&self, id: ConversationId) -> Vec<SendProgress> {
        let line = self.store.line(id).expect("the store can be read");
        line.iter().map(|message| message.progress).collect()
    }

    fn record(&self, id: ConversationId) -> ruggine_client_sdk::store::ConversationRecord {
        record(&self.store, id)
    }
}

fn record(
    store: &dyn ClientStore,
    id: ConversationId,
) -> ruggine_client_sdk::store::ConversationRecord {
    let record = store.conversation(id).expect("the store can be read");
    record.expect("the conversation is known")
}

fn put(store: &dyn ClientStore, conversation: &Conversation, recent: u64) {
    store
        .put_conversation(conversation, recent)
        .expect("the store can be written");
}

fn group(head: u64) -> Conversation {
    Conversation {
        id: fresh_conversation(),
        kind: ConversationKind::Group,
        mode: ProtectionMode::Managed,
        created_at: now(),
        head: seq(head),
        roster_version: 1,
        member_count: 2,
        role: Some(Role::Member),
        own_read: Seq::ZERO,
        peer: None,
    }
}

fn theirs(words: &str) -> LogRow {
    LogRow {
        kind: RowKind::Message,
        sender: UserId::from_bytes([100; 16]),
        device: THEIR_DEVICE,
        client_msg_id: ClientMsgId::new(now()),
        server_ts: Timestamp::from_millis(1_700_000_000_000),
        payload: Some(text(words)),
        countable: true,
        mentions_me: false,
        title: None,
    }
}

fn entry(number: u64, row: LogRow) -> LogEntry {
    LogEntry {
        from: seq(number),
        to: seq(number),
        row: Some(row),
    }
}

fn said(number: u64) -> LogEntry {
    entry(number, theirs(&format!("row {number}")))
}

fn hole(from: u64, to: u64) -> LogEntry {
    LogEntry {
        from: seq(from),
        to: seq(to),
        row: None,
    }
}

fn title(number: u64, title: &str) -> LogEntry {
    let row = LogRow {
        countable: false,
        title: Some(title.to_owned()),
        ..theirs("a title")
    };
    entry(number, row)
}

fn member(user: &User, role: Role, position: u64) -> Member {
    Member {
        user: user.clone(),
        role,
        from_seq: seq(1),
        delivered: seq(position),
        read: seq(position),
    }
}

fn apply(store: &dyn ClientStore, id: ConversationId, entries: &[LogEntry]) -> Applied {
    store.apply(id, entries).expect("the store can be written")
}

fn advanced(from: u64, to: u64) -> Applied {
    Applied::Advanced {
        from: seq(from),
        to: seq(to),
    }
}

fn numbers(store: &dyn ClientStore, id: ConversationId) -> Vec<u64> {
    kept(store, id).iter().map(|row| row.seq.get()).collect()
}

#[test]
fn a_new_store_belongs_to_nobody_and_holds_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path());
    assert!(store.identity().expect("readable").is_none());
    assert_eq!(store.incarnation().expect("readable"), None);
    assert_eq!(store.write_counter().expect("readable"), 0);
    assert_eq!(store.conversations().expect("readable"), []);
    assert_eq!(store.lines().expect("readable"), []);
    assert_eq!(store.reads_to_tell().expect("readable"), []);
    let id = fresh_conversation();
    assert_eq!(store.conversation(id).expect("readable"), None);
    assert_eq!(store.members(id).expect("readable"), []);
    assert_eq!(store.line(id).expect("readable"), []);
    assert_eq!(store.head_of_line(id).expect("readable"), None);
    assert_eq!(store.messages(id, Seq::MAX, 10).expect("readable"), []);
    assert_eq!(store.user(person("eva").id).expect("readable"), None);
}

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
fn a_login_is_kept_with_its_secrets() {
    let kept = new_store().reopened();
    let identity = kept.store.identity().expect("readable").expect("somebody");
    assert_eq!(identity.user, kept.me.user);
    assert_eq!(identity.device, kept.me.device);
    assert_eq!(identity.device_secret, kept.me.device_secret);
    assert_eq!(identity.session, kept.me.session);
    assert_eq!(identity.tokens, Some(tokens("one")));
    let own = kept.store.user(kept.me.user.id).expect("readable");
    assert_eq!(own.as_ref(), Some(&kept.me.user));
}

#[test]
fn tokens_are_replaced_and_forgotten_without_the_rest() {
    let kept = new_store();
    kept.store.set_tokens(tokens("two")).expect("writable");
    let kept = kept.reopened();
    let identity = kept.store.identity().expect("readable").expect("somebody");
    assert_eq!(identity.tokens, Some(tokens("two")));
    kept.store.forget_tokens().expect("writable");
    let kept = kept.reopened();
    let identity = kept.store.identity().expect("readable").expect("somebody");
    assert_eq!(identity.tokens, None);
    assert_eq!(identity.device_secret, kept.me.device_secret);
}

#[test]
fn the_same_user_on_the_same_device_finds_everything_again() {
    let kept = new_store();
    let id = kept.room(0);
    apply(&kept.store, id, &[said(1)]);
    kept.queue(id, "waiting");
    kept.store.forget_tokens().expect("writable");
    let again = Identity {
        session: SessionId::new(now()),
        tokens: Some(tokens("again")),
        ..kept.me.clone()
    };
    kept.store.set_identity(again.clone()).expect("writable");
    assert_eq!(numbers(&kept.store, id), [1]);
    assert_eq!(kept.progress(id), [SendProgress::Waiting]);
    assert_eq!(kept.store.write_counter().expect("readable"), 1);
    let identity = kept.store.identity().expect("readable").expect("somebody");
    assert_eq!(identity.session, again.session);
}

#[test]
fn another_user_or_device_finds_an_empty_store() {
    let other_device = |me: &Identity| Identity {
        device: DeviceId::new(now()),
        ..me.clone()
    };
    let other_user = |me: &Identity| Identity {
        user: person("bob"),
        ..me.clone()
    };
    let others: [fn(&Identity) -> Identity; 2] = [other_device, other_user];
    for other in others {
        let kept = new_store();
        let id = kept.room(0);
        let eva = person("eva");
        kept.store.put_user(&eva).expect("writable");
        kept.store
            .set_incarnation(Incarnation::new(5))
            .expect("writable");
        let members = [member(&eva, Role::Owner, 0)];
        kept.store.put_members(id, 1, &members).expect("writable");
        apply(&kept.store, id, &[said(1)]);
        kept.queue(id, "waiting");
        let next = other(&kept.me);
        kept.store.set_identity(next.clone()).expect("writable");
        let kept = kept.reopened();
        assert_eq!(kept.store.conversations().expect("readable"), []);
        assert_eq!(numbers(&kept.store, id), [0; 0]);
        assert_eq!(kept.store.line(id).expect("readable"), []);
        assert_eq!(kept.store.lines().expect("readable"), []);
        assert_eq!(kept.store.members(id).expect("readable"), []);
        assert_eq!(kept.store.user(eva.id).expect("readable"), None);
        assert_eq!(kept.store.incarnation().expect("readable"), None);
        assert_eq!(kept.store.write_counter().expect("readable"), 0);
        let identity = kept.store.identity().expect("readable").expect("somebody");
        assert_eq!((identity.user, identity.device), (next.user, next.device));
    }
}

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

#[test]
fn a_wrong_key_opens_nothing_and_harms_nothing() {
    let kept = new_store();
    let id = kept.room(0);
    apply(&kept.store, id, &[said(1)]);
    let Kept { folder, store, .. } = kept;
    drop(store);
    let wrong = SqliteStore::open(file(folder.path()), &FixedKey::new([8; 32]));
    assert!(matches!(wrong, Err(StoreError::WrongKey)), "{wrong:?}");
    assert_eq!(numbers(&open(folder.path()), id), [1]);
}

#[test]
fn what_is_no_store_is_not_opened() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = file(folder.path());
    fs::write(&path, b"This is a letter to my aunt.\n".repeat(400)).expect("a file can be written");
    let opened = SqliteStore::open(&path, &FixedKey::new(KEY));
    assert!(matches!(opened, Err(StoreError::WrongKey)), "{opened:?}");
    let nowhere = folder.path().join("no such folder").join("store");
    let opened = SqliteStore::open(nowhere, &FixedKey::new(KEY));
    assert!(matches!(opened, Err(StoreError::Database(_))), "{opened:?}");
}

#[test]
fn a_damaged_file_is_an_error_and_no_panic() {
    let kept = new_store();
    let id = kept.room(0);
    let entries: Vec<LogEntry> = (1..=200).map(said).collect();
    apply(&kept.store, id, &entries);
    let Kept { folder, store, .. } = kept;
    drop(store);
    let path = file(folder.path());
    let mut bytes = fs::read(&path).expect("the file can be read");
    let middle = bytes.len() / 2;
    for byte in &mut bytes[middle..middle + 4_096] {
        *byte ^= 0x5a;
    }
    fs::write(&path, bytes).expect("the file can be written");
    let read = SqliteStore::open(&path, &FixedKey::new(KEY)).and_then(|store| {
        store
            .messages(id, Seq::MAX, usize::MAX)
            .map(|rows| rows.len())
    });
    assert!(read.is_err(), "a page that was changed does not open");
}

#[test]
fn a_store_of_a_newer_client_is_left_alone() {
    let Kept { folder, store, .. } = new_store();
    drop(store);
    let path = file(folder.path());
    let key: String = KEY.iter().map(|byte| format!("{byte:02x}")).collect();
    let connection = rusqlite::Connection::open(&path).expect("the file opens");
    connection
        .execute_batch(&format!(
            "PRAGMA key = \"x'{key}'\"; PRAGMA user_version = 99;"
        ))
        .expect("the version can be set");
    drop(connection);
    let newer = SqliteStore::open(&path, &FixedKey::new(KEY));
    let Err(StoreError::Newer { found, known }) = newer else {
        panic!("{newer:?}");
    };
    assert_eq!(found, 99);
    assert!(known < 99);
}

#[test]
fn a_store_that_is_open_is_in_use() {
    let kept = new_store();
    let second = SqliteStore::open(file(kept.folder.path()), &FixedKey::new(KEY));
    assert!(matches!(second, Err(StoreError::InUse)), "{second:?}");
    assert!(kept.store.identity().expect("readable").is_some());
    kept.reopened();
}

#[cfg(unix)]
#[test]
fn a_key_file_is_made_for_its_owner_alone() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("key");
    let key = KeyFile::new(&path).key().expect("a key can be made");
    let metadata = fs::metadata(&path).expect("the file is there");
    assert_eq!(metadata.mode() & 0o777, 0o600);
    assert_eq!(*KeyFile::new(&path).key().expect("the key is there"), *key);
    let text = fs::read_to_string(&path).expect("the file can be read");
    assert_eq!(text.len(), 64);
    for mode in [0o640, 0o604, 0o644, 0o660, 0o610] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("it is ours");
        let exposed = KeyFile::new(&path).key();
        assert!(
            matches!(exposed, Err(StoreKeyError::Exposed(_))),
            "{mode:o}"
        );
        let opened = SqliteStore::open(file(folder.path()), &KeyFile::new(&path));
        assert!(matches!(
            opened,
            Err(StoreError::Key(StoreKeyError::Exposed(_)))
        ));
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).expect("it is ours");
    assert!(KeyFile::new(&path).key().is_ok());
}

#[test]
fn every_key_file_holds_another_key() {
    let folder = tempfile::tempdir().expect("a folder");
    let key = |name: &str| KeyFile::new(folder.path().join(name)).key().expect("a key");
    assert_ne!(*key("one"), *key("other"));
    let random = || FixedKey::random().expect("a key").key().expect("a key");
    assert_ne!(*random(), *random());
}

#[test]
fn a_key_file_without_a_key_is_not_used() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("key");
    let texts = [
        String::new(),
        "a".repeat(63),
        "a".repeat(65),
        "g".repeat(64),
        "é".repeat(32),
        format!("{}\u{e9}", "a".repeat(62)),
        "+a".repeat(32),
        "a".repeat(500),
    ];
    for text in texts {
        KeyFile::new(&path).key().expect("a key can be made");
        fs::write(&path, &text).expect("the file can be written");
        let none = KeyFile::new(&path).key();
        assert!(matches!(none, Err(StoreKeyError::NoKey(_))), "{text:?}");
        fs::remove_file(&path).expect("the file can be removed");
    }
    KeyFile::new(&path).key().expect("a key can be made");
    fs::write(&path, format!("{}\n", "0A".repeat(32))).expect("the file can be written");
    assert_eq!(*KeyFile::new(&path).key().expect("a key"), [10; 32]);
}

#[test]
fn keys_are_not_printed() {
    let printed = format!("{:?}", FixedKey::new([0xab; 32]));
    assert!(
        !printed.contains("ab") && !printed.contains("171"),
        "{printed}"
    );
}

/// All files of a folder, each with what it holds.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    fs::read_dir(folder)
        .expect("the folder can be read")
        .map(|entry| {
            let entry = entry.expect("the folder can be read");
            let name = entry.file_name().to_string_lossy().into_owned();
            (name, fs::read(entry.path()).expect("the file can be read"))
        })
        .collect()
}

fn holds(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

#[test]
fn nothing_readable_is_ever_on_the_disk() {
    let kept = new_store();
    let id = kept.room(0);
    let bob = person("barbarossa");
    kept.store
        .put_members(id, 1, &[member(&bob, Role::Member, 0)])
        .expect("writable");
    apply(
        &kept.store,
        id,
        &[entry(1, theirs("the treasure is under the olive tree"))],
    );
    apply(&kept.store, id, &[title(2, "Conspiracy of the lake")]);
    let message = kept.queue(id, "meet me at the lighthouse");
    let secrets: Vec<Vec<u8>> = [
        "treasure",
        "olive tree",
        "Conspiracy",
        "lighthouse",
        "barbarossa",
        "BARBAROSSA",
        "access one",
        "refresh one",
        "a device secret",
        "CREATE TABLE",
        "conversations",
        "SQLite format 3",
    ]
    .iter()
    .map(|secret| secret.as_bytes().to_vec())
    .chain([
        id.as_bytes().to_vec(),
        message.as_bytes().to_vec(),
        kept.me.device.as_bytes().to_vec(),
        KEY.to_vec(),
    ])
    .collect();
    let look = |when: &str| {
        let files = files(kept.folder.path());
        for (name, bytes) in &files {
            for secret in &secrets {
                let readable = String::from_utf8_lossy(secret);
                assert!(!holds(bytes, secret), "{readable} stands in {name} {when}");
            }
        }
        files
    };
    let open = look("while it is open");
    let log = open.iter().find(|(name, _)| name == "store-wal");
    assert!(
        log.is_some_and(|(_, bytes)| !bytes.is_empty()),
        "the log was looked at too"
    );
    let Kept { folder, store, .. } = kept;
    drop(store);
    for (name, bytes) in files(folder.path()) {
        for secret in &secrets {
            assert!(!holds(&bytes, secret), "{name} once it is closed");
        }
    }
}

#[test]
fn the_search_for_readable_words_finds_them_where_they_are() {
    let folder = tempfile::tempdir().expect("a folder");
    let connection = rusqlite::Connection::open(file(folder.path())).expect("a database");
    connection
        .execute_batch("CREATE TABLE t (v TEXT); INSERT INTO t VALUES ('olive tree');")
        .expect("it can be written");
    drop(connection);
    assert!(
        files(folder.path())
            .iter()
            .any(|(_, bytes)| holds(bytes, b"olive tree"))
    );
}

#[test]
fn everything_is_there_after_opening_again() {
    let kept = new_store();
    let id = kept.room(0);
    let bob = person("bob");
    kept.store
        .set_incarnation(Incarnation::new(5))
        .expect("writable");
    kept.store
        .put_members(id, 2, &[member(&bob, Role::Owner, 1)])
        .expect("writable");
    let entries: Vec<LogEntry> = (1..=50).map(said).chain([title(51, "Title")]).collect();
    apply(&kept.store, id, &entries);
    kept.store.set_read(id, seq(20)).expect("writable");
    let first = kept.queue(id, "one");
    kept.queue(id, "two");
    kept.store
        .acknowledged(id, first, seq(52), now())
        .expect("writable");
    let all = |kept: &Kept| {
        (
            kept.record(id),
            support::kept(&kept.store, id),
            kept.store.line(id).expect("readable"),
            kept.store.members(id).expect("readable"),
            kept.store.reads_to_tell().expect("readable"),
            kept.store.write_counter().expect("readable"),
            kept.store.incarnation().expect("readable"),
        )
    };
    let before = all(&kept);
    let after = all(&kept.reopened());
    assert_eq!(before, after);
}

/// What somebody may do with a store.
#[derive(Debug, Clone)]
enum Step {
    Rows(u8),
    Overlap(u8),
    Gap,
    Own,
    Queue,
    Acknowledge,
    Fail,
    Retry,
    Read(u8),
    OtherLog,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1u8..20).prop_map(Step::Rows),
        1 => (1u8..10).prop_map(Step::Overlap),
        1 => Just(Step::Gap),
        3 => Just(Step::Own),
        4 => Just(Step::Queue),
        2 => Just(Step::Acknowledge),
        1 => Just(Step::Fail),
        1 => Just(Step::Retry),
        2 => (0u8..60).prop_map(Step::Read),
        1 => Just(Step::OtherLog),
    ]
}

/// What must be there, kept beside the store.
#[derive(Debug, Default)]
struct Model {
    cursor: u64,
    rows: u64,
    waiting: Vec<ClientMsgId>,
    acked: Vec<ClientMsgId>,
    failed: Vec<ClientMsgId>,
    counter: u64,
    log: u64,
}

impl Model {
    fn take(&mut self, kept: &Kept, id: ConversationId, step: &Step) {
        let store = &kept.store;
        match step {
            Step::Rows(count) => {
                let next = self.cursor + 1;
                let last = self.cursor + u64::from(*count);
                let entries: Vec<LogEntry> = (next..=last).map(said).collect();
                assert_eq!(apply(store, id, &entries), advanced(self.cursor, last));
                self.rows += u64::from(*count);
                self.cursor = last;
            }
            Step::Overlap(count) => {
                let first = self.cursor.saturating_sub(u64::from(*count)).max(1);
                let entries: Vec<LogEntry> = (first..=self.cursor + 1).map(said).collect();
                assert_eq!(
                    apply(store, id, &entries),
                    advanced(self.cursor, self.cursor + 1)
                );
                self.rows += 1;
                self.cursor += 1;
            }
            Step::Gap => {
                let applied = apply(store, id, &[said(self.cursor + 2)]);
                assert_eq!(applied, Applied::Gap(seq(self.cursor)));
            }
            Step::Own => {
                let own = self.acked.pop().or_else(|| self.waiting.pop());
                let row = kept.mine(own.unwrap_or_else(|| ClientMsgId::new(now())));
                apply(store, id, &[entry(self.cursor + 1, row)]);
                self.rows += 1;
                self.cursor += 1;
            }
            Step::Queue => {
                self.waiting.push(kept.queue(id, "queued"));
                self.counter += 1;
            }
            Step::Acknowledge if !self.waiting.is_empty() => {
                let message = self.waiting.remove(0);
                store
                    .acknowledged(id, message, seq(self.cursor + 1), now())
                    .expect("writable");
                self.acked.push(message);
            }
            Step::Fail if !self.waiting.is_empty() => {
                let message = self.waiting.remove(0);
                store
                    .failed(id, message, ErrorCode::Refused)
                    .expect("writable");
                self.failed.push(message);
            }
            Step::Retry if !self.failed.is_empty() => {
                let message = self.failed.remove(0);
                assert!(store.retry(id, message).expect("writable"));
                self.waiting.push(message);
                self.counter += 1;
            }
            Step::Read(number) => {
                let read = seq(u64::from(*number).min(self.cursor));
                store.set_read(id, read).expect("writable");
            }
            Step::OtherLog => {
                self.log += 1;
                store
                    .set_incarnation(Incarnation::new(self.log))
                    .expect("writable");
                if self.log > 1 {
                    (self.cursor, self.rows) = (0, 0);
                    // What was acknowledged keeps its place before what waits.
                    self.waiting.splice(0..0, self.acked.drain(..));
                }
            }
            Step::Acknowledge | Step::Fail | Step::Retry => {}
        }
    }

    fn agrees(&self, store: &dyn ClientStore, id: ConversationId) {
        assert_sound(store);
        let record = record(store, id);
        assert_eq!(record.cursor, seq(self.cursor));
        let rows = kept(store, id);
        assert_eq!(rows.len() as u64, self.rows);
        assert_whole(&rows, 1, self.cursor);
        assert_eq!(store.write_counter().expect("readable"), self.counter);
        let line = store.line(id).expect("readable");
        let mut there: Vec<(ClientMsgId, u8)> = line
            .iter()
            .map(|message| {
                let kind = match message.progress {
                    SendProgress::Waiting => 0,
                    SendProgress::Acknowledged(..) => 1,
                    SendProgress::Failed(_) => 2,
                };
                (message.client_msg_id, kind)
            })
            .collect();
        let with = |kind: u8| move |id: &ClientMsgId| (*id, kind);
        let mut wanted: Vec<(ClientMsgId, u8)> = self
            .waiting
            .iter()
            .map(with(0))
            .chain(self.acked.iter().map(with(1)))
            .chain(self.failed.iter().map(with(2)))
            .collect();
        there.sort();
        wanted.sort();
        assert_eq!(there, wanted);
    }
}

/// Copies the files as a crash would leave them: in the midst of use, with
/// whatever stands in the log of the database.
fn crash(folder: &Path) -> TempDir {
    let copy = tempfile::tempdir().expect("a folder");
    for (name, bytes) in files(folder) {
        // What the machine keeps in memory does not survive it.
        if !name.ends_with("-shm") {
            fs::write(copy.path().join(name), bytes).expect("a file can be written");
        }
    }
    copy
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn a_crash_at_any_moment_leaves_what_was_written(
        steps in proptest::collection::vec(step(), 1..40),
        every in 3usize..12,
    ) {
        let kept = new_store();
        let id = kept.room(0);
        let mut model = Model::default();
        for (number, step) in steps.iter().enumerate() {
            model.take(&kept, id, step);
            if number % every == 0 {
                let copy = crash(kept.folder.path());
                model.agrees(&open(copy.path()), id);
            }
        }
        model.agrees(&kept.store, id);
        let copy = crash(kept.folder.path());
        model.agrees(&open(copy.path()), id);
        model.agrees(&kept.reopened().store, id);
    }
}

#[test]
fn a_log_that_is_cut_anywhere_leaves_a_store_that_agrees_with_itself() {
    let kept = new_store();
    let id = kept.room(0);
    for number in 1..=30 {
        let message = kept.queue(id, "mine");
        apply(&kept.store, id, &[entry(number, kept.mine(message))]);
    }
    let copies = files(kept.folder.path());
    let log = copies
        .iter()
        .find(|(name, _)| name == "store-wal")
        .expect("there is a log");
    let length = log.1.len();
    let mut seen = Vec::new();
    for part in 0..=16 {
        let cut = length * part / 16;
        let copy = tempfile::tempdir().expect("a folder");
        for (name, bytes) in &copies {
            let end = if name == "store-wal" {
                cut
            } else {
                bytes.len()
            };
            if !name.ends_with("-shm") {
                fs::write(copy.path().join(name), &bytes[..end]).expect("a file can be written");
            }
        }
        let store = open(copy.path());
        let Some(record) = store.conversation(id).expect("readable") else {
            continue;
        };
        assert_sound(&store);
        let rows = support::kept(&store, id);
        assert_whole(&rows, 1, record.cursor.get());
        // A message is in the outbox or in the log, never in both.
        let line = store.line(id).expect("readable");
        let counter = store.write_counter().expect("readable");
        assert_eq!(counter, line.len() as u64 + record.cursor.get());
        seen.push(record.cursor.get());
    }
    assert!(seen.is_sorted());
    assert_eq!(seen.last(), Some(&30), "the whole log gives everything");
}

#[test]
fn threads_that_use_one_store_do_not_disturb_each_other() {
    let kept = new_store();
    let rooms: Vec<ConversationId> = (0..4).map(|_| kept.room(0)).collect();
    std::thread::scope(|scope| {
        for id in &rooms {
            let kept = &kept;
            scope.spawn(move || {
                for number in 1..=40 {
                    kept.queue(*id, "queued");
                    apply(&kept.store, *id, &[said(number)]);
                    assert_eq!(kept.record(*id).cursor, seq(number));
                }
            });
        }
    });
    assert_eq!(kept.store.write_counter().expect("readable"), 160);
    for id in rooms {
        assert_whole(&support::kept(&kept.store, id), 1, 40);
        assert_eq!(kept.progress(id).len(), 40);
    }
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
