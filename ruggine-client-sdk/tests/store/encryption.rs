//! Nothing of what is stored can be read on the disk.

use ruggine_client_sdk::store::ClientStore;
use ruggine_core::api::conversation::Role;

use super::own_store::{KEY, Kept, apply, entry, file, files, member, new_store, theirs, title};
use super::support::person;

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
