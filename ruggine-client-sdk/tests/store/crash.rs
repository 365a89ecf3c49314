//! What is there after opening again, after a crash, and after a log that was cut.

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use ruggine_client_sdk::store::{Applied, ClientStore, LogEntry, SendProgress};
use ruggine_core::api::conversation::Role;
use ruggine_core::{ClientMsgId, ConversationId, ErrorCode, Incarnation};
use tempfile::TempDir;

use super::own_store::{
    Kept, advanced, apply, entry, files, member, new_store, open, record, said, title,
};
use super::support::{self, assert_sound, assert_whole, kept, now, person, seq};

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
