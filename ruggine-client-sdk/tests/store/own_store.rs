//! A new store that belongs to somebody, what is put into it, and what lies on the disk.

use std::fs;
use std::path::{Path, PathBuf};

use ruggine_client_sdk::store::sqlite::SqliteStore;
use ruggine_client_sdk::store::{
    Applied, ClientStore, FixedKey, Identity, LogEntry, LogRow, SendProgress,
};
use ruggine_core::api::account::User;
use ruggine_core::api::conversation::{Conversation, ConversationKind, ProtectionMode, Role};
use ruggine_core::api::member::Member;
use ruggine_core::api::message::RowKind;
use ruggine_core::secret::SecretText;
use ruggine_core::{ClientMsgId, ConversationId, DeviceId, Seq, SessionId, Timestamp, UserId};
use tempfile::TempDir;

use super::support::world::tokens;
use super::support::{fresh_conversation, kept, now, person, seq, text};

pub(crate) const KEY: [u8; 32] = [7; 32];
const THEIR_DEVICE: DeviceId = DeviceId::from_bytes([200; 16]);

pub(crate) struct Kept {
    pub(crate) folder: TempDir,
    pub(crate) store: SqliteStore,
    pub(crate) me: Identity,
}

pub(crate) fn file(folder: &Path) -> PathBuf {
    folder.join("store")
}

pub(crate) fn open(folder: &Path) -> SqliteStore {
    SqliteStore::open(file(folder), &FixedKey::new(KEY)).expect("the store opens")
}

fn login(user: User) -> Identity {
    Identity {
        user,
        device: DeviceId::new(now()),
        device_secret: Some(SecretText::new("a device secret")),
        session: SessionId::new(now()),
        tokens: Some(tokens("one")),
    }
}

/// A new store that belongs to somebody.
pub(crate) fn new_store() -> Kept {
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
    pub(crate) fn reopened(self) -> Self {
        let Self { folder, store, me } = self;
        drop(store);
        let store = open(folder.path());
        Self { folder, store, me }
    }

    pub(crate) fn room(&self, head: u64) -> ConversationId {
        let conversation = group(head);
        put(&self.store, &conversation, 100);
        conversation.id
    }

    pub(crate) fn mine(&self, id: ClientMsgId) -> LogRow {
        LogRow {
            sender: self.me.user.id,
            device: self.me.device,
            client_msg_id: id,
            ..theirs("my own")
        }
    }

    pub(crate) fn queue(&self, id: ConversationId, words: &str) -> ClientMsgId {
        let message = ClientMsgId::new(now());
        self.store
            .enqueue(id, message, text(words), now())
            .expect("the store can be written");
        message
    }

    pub(crate) fn progress(&self, id: ConversationId) -> Vec<SendProgress> {
        let line = self.store.line(id).expect("the store can be read");
        line.iter().map(|message| message.progress).collect()
    }

    pub(crate) fn record(
        &self,
        id: ConversationId,
    ) -> ruggine_client_sdk::store::ConversationRecord {
        record(&self.store, id)
    }
}

pub(crate) fn record(
    store: &dyn ClientStore,
    id: ConversationId,
) -> ruggine_client_sdk::store::ConversationRecord {
    let record = store.conversation(id).expect("the store can be read");
    record.expect("the conversation is known")
}

pub(crate) fn put(store: &dyn ClientStore, conversation: &Conversation, recent: u64) {
    store
        .put_conversation(conversation, recent)
        .expect("the store can be written");
}

pub(crate) fn group(head: u64) -> Conversation {
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

pub(crate) fn theirs(words: &str) -> LogRow {
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

pub(crate) fn entry(number: u64, row: LogRow) -> LogEntry {
    LogEntry {
        from: seq(number),
        to: seq(number),
        row: Some(row),
    }
}

pub(crate) fn said(number: u64) -> LogEntry {
    entry(number, theirs(&format!("row {number}")))
}

pub(crate) fn hole(from: u64, to: u64) -> LogEntry {
    LogEntry {
        from: seq(from),
        to: seq(to),
        row: None,
    }
}

pub(crate) fn title(number: u64, title: &str) -> LogEntry {
    let row = LogRow {
        countable: false,
        title: Some(title.to_owned()),
        ..theirs("a title")
    };
    entry(number, row)
}

pub(crate) fn member(user: &User, role: Role, position: u64) -> Member {
    Member {
        user: user.clone(),
        role,
        from_seq: seq(1),
        delivered: seq(position),
        read: seq(position),
    }
}

pub(crate) fn apply(store: &dyn ClientStore, id: ConversationId, entries: &[LogEntry]) -> Applied {
    store.apply(id, entries).expect("the store can be written")
}

pub(crate) fn advanced(from: u64, to: u64) -> Applied {
    Applied::Advanced {
        from: seq(from),
        to: seq(to),
    }
}

pub(crate) fn numbers(store: &dyn ClientStore, id: ConversationId) -> Vec<u64> {
    kept(store, id).iter().map(|row| row.seq.get()).collect()
}

/// All files of a folder, each with what it holds.
pub(crate) fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    fs::read_dir(folder)
        .expect("the folder can be read")
        .map(|entry| {
            let entry = entry.expect("the folder can be read");
            let name = entry.file_name().to_string_lossy().into_owned();
            (name, fs::read(entry.path()).expect("the file can be read"))
        })
        .collect()
}
