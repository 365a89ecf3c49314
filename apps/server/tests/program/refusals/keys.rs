//! Keys: which are refused, and what becomes of a database without its own.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::{assert_says, refused, sample_key};
use crate::support::{self, Ended, KEY, OTHER_KEY, Setup};

#[tokio::test]
async fn keys_that_protect_nothing_are_refused_and_not_repeated() {
    let sample = sample_key();
    let equal = "5a".repeat(32);
    let short = &KEY[..62];
    let long = format!("{KEY}00");
    let other_letters = format!("{}zz", &KEY[..62]);
    for (key, why) in [
        (sample.as_str(), "sample master key"),
        (&sample.to_uppercase(), "sample master key"),
        (&equal, "all bytes of the master key are equal"),
        (short, "this one has 62"),
        (&long, "this one has 66"),
        (&other_letters, "this one has others"),
        ("correct horse battery staple", "64 hexadecimal characters"),
    ] {
        for name in ["ENCRYPTION_MASTER_KEY", "ENCRYPTION_LEGACY_KEYS"] {
            let folder = support::folder();
            let mut setup = Setup::in_folder(folder.path()).env(name, key);
            if name == "ENCRYPTION_LEGACY_KEYS" {
                setup = setup.env("ENCRYPTION_MASTER_KEY", KEY);
            }
            let said = refused(setup, folder.path()).await;
            assert_says(&said, &[name, why]);
            assert!(!said.contains(key), "the key is repeated: {said}");
            assert!(!said.contains(KEY), "the other key is repeated: {said}");
        }
    }
}

#[tokio::test]
async fn a_key_file_is_held_to_the_same_and_must_be_private() {
    let folder = support::folder();
    let file = folder.path().join("key");
    fs::write(&file, sample_key()).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let setup = Setup::in_folder(folder.path()).flag("--master-key-file", file.display());
    let said = refused(setup.clone(), folder.path()).await;
    assert_says(&said, &["ENCRYPTION_MASTER_KEY", "sample master key"]);

    fs::write(&file, KEY).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    let said = refused(setup.clone(), folder.path()).await;
    assert_says(&said, &["ENCRYPTION_MASTER_KEY_FILE", "chmod 600"]);
    assert!(!said.contains(KEY), "{said}");

    fs::remove_file(&file).unwrap();
    let said = refused(setup.clone(), folder.path()).await;
    assert_says(
        &said,
        &["ENCRYPTION_MASTER_KEY_FILE", &file.display().to_string()],
    );

    fs::write(&file, format!("{KEY}\n")).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o400)).unwrap();
    let mut server = setup.start().await;
    server.line("ready").await;
    let ended = server.stop().await;
    assert!(!ended.everything().contains(KEY));
    // Once said directly and once by a file is once too often.
    let both = Setup::in_folder(folder.path())
        .env("ENCRYPTION_MASTER_KEY", OTHER_KEY)
        .env("ENCRYPTION_MASTER_KEY_FILE", &file);
    let said = refused(both, folder.path()).await;
    assert_says(&said, &["ENCRYPTION_MASTER_KEY", "keep one"]);
    assert!(!said.contains(KEY) && !said.contains(OTHER_KEY), "{said}");
}

#[tokio::test]
async fn the_embedded_key_is_held_to_the_same_at_the_next_start() {
    let folder = support::folder();
    let setup = Setup::in_folder(folder.path());
    assert_eq!(setup.start().await.stop().await.code(), Some(0));
    let file = folder.path().join("ruggine-data").join("master.key");
    let good = fs::read_to_string(&file).unwrap();

    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let ended = setup.run().await;
    assert_eq!(ended.code(), Some(1));
    assert_says(&ended.stderr, &["master.key", "chmod 600"]);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();

    for (bad, why) in [
        (sample_key(), "sample"),
        (good[..40].to_owned(), "this one has 40"),
    ] {
        fs::write(&file, &bad).unwrap();
        let ended = setup.run().await;
        assert_eq!(ended.code(), Some(1));
        assert_says(&ended.stderr, &["master.key", why]);
        assert!(!ended.everything().contains(&bad), "{}", ended.everything());
    }

    // A lost key is not quietly replaced by another.
    fs::remove_file(&file).unwrap();
    let ended = setup.run().await;
    assert_eq!(ended.code(), Some(1), "{}", ended.everything());
    assert_says(&ended.stderr, &["sealed under the key"]);
    if file.exists() {
        fs::remove_file(&file).unwrap();
    }
    fs::write(&file, &good).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(setup.start().await.stop().await.code(), Some(0));
}

#[tokio::test]
async fn a_database_of_ones_own_needs_a_key_of_ones_own() {
    let folder = support::folder();
    let setup = Setup::in_folder(folder.path()).env(
        "DATABASE_URL",
        format!("sqlite:{}/own.sqlite", folder.path().display()),
    );
    let said = refused(setup.clone(), folder.path()).await;
    assert_says(
        &said,
        &["ENCRYPTION_MASTER_KEY is missing", "openssl rand -hex 32"],
    );
    let server = setup.env("ENCRYPTION_MASTER_KEY", KEY).start().await;
    server.kill().await;
    assert!(folder.path().join("own.sqlite").is_file());
    assert!(!folder.path().join("ruggine-data").exists());
}

#[tokio::test]
async fn the_wrong_key_for_a_database_is_a_failure_to_start() {
    let folder = support::folder();
    let setup = Setup::in_folder(folder.path()).env(
        "DATABASE_URL",
        format!("sqlite:{}/own.sqlite", folder.path().display()),
    );
    // A server with a database of its own gives its clients time, of which there are none.
    let setup = setup
        .env("RUGGINE_DRAIN_LEAD_SECONDS", "0")
        .env("RUGGINE_DRAIN_SPREAD_SECONDS", "0");
    let right = setup.clone().env("ENCRYPTION_MASTER_KEY", KEY);
    assert_eq!(right.start().await.stop().await.code(), Some(0));

    let ended = setup
        .clone()
        .env("ENCRYPTION_MASTER_KEY", OTHER_KEY)
        .run()
        .await;
    assert_eq!(ended.code(), Some(1));
    assert_says(
        &ended.stderr,
        &["ruggine-server: ", "ENCRYPTION_LEGACY_KEYS"],
    );
    assert_no_key(&ended);

    let ended = setup.clone().env("ENABLE_ENCRYPTION", "false").run().await;
    assert_eq!(ended.code(), Some(1));
    assert_says(&ended.stderr, &["sealed records"]);

    // The sentence tells the way out.
    let rotated = setup
        .env("ENCRYPTION_MASTER_KEY", OTHER_KEY)
        .env("ENCRYPTION_LEGACY_KEYS", KEY);
    assert_eq!(rotated.start().await.stop().await.code(), Some(0));
    let ended = right.run().await;
    assert_eq!(ended.code(), Some(1), "the new key has sealed since");
    assert_no_key(&ended);
}

fn assert_no_key(ended: &Ended) {
    let said = ended.everything();
    assert!(!said.contains(KEY) && !said.contains(OTHER_KEY), "{said}");
}
