//! What is not opened: a wrong key, another file, a damaged one, a newer one, one in use.

use std::fs;

use ruggine_client_sdk::store::sqlite::SqliteStore;
use ruggine_client_sdk::store::{ClientStore, FixedKey, LogEntry, StoreError};
use ruggine_core::Seq;

use super::own_store::{KEY, Kept, apply, file, new_store, numbers, open, said};

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
