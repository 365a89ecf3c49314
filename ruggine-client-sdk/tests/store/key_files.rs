//! The file with the key: for its owner alone, and a key or nothing.

use std::fs;

use ruggine_client_sdk::store::sqlite::SqliteStore;
use ruggine_client_sdk::store::{FixedKey, KeyFile, StoreError, StoreKey, StoreKeyError};

use super::own_store::file;

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
