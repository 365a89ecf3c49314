//! What the program does not start with, and what it says then.

mod keys;
mod settings;

use std::fs;
use std::path::Path;

use super::support::{self, KEY, Setup};
use super::tls::Certificate;

/// The key of every example of the documents.
fn sample_key() -> String {
    (0..32u8).map(|byte| format!("{byte:02x}")).collect()
}

/// Runs a setup that must be refused for its configuration, with nothing
/// touched, and returns what was said.
async fn refused(setup: Setup, folder: &Path) -> String {
    let before = entries(folder);
    let ended = setup.run().await;
    assert_eq!(ended.code(), Some(2), "{}", ended.everything());
    assert_eq!(ended.stdout, "", "no log has begun");
    assert!(
        ended.stderr.contains("`ruggine-server --help`"),
        "{}",
        ended.stderr
    );
    assert_eq!(entries(folder), before, "nothing was made or changed");
    ended.stderr
}

fn entries(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).expect("the folder can be read");
    let mut names: Vec<String> = names
        .map(|entry| entry.expect("the folder can be read").file_name())
        .map(|name| name.to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

fn assert_says(said: &str, words: &[&str]) {
    for word in words {
        assert!(said.contains(word), "{word:?} is missing in {said}");
    }
}

#[tokio::test]
async fn tls_that_cannot_be_used_is_refused() {
    let folder = support::folder();
    let path = |name: &str| folder.path().join(name);
    let (one, two) = (Certificate::new(), Certificate::new());
    one.write(&path("one.pem"), &path("one.key"));
    two.write(&path("two.pem"), &path("two.key"));
    fs::write(path("empty.pem"), "").unwrap();
    fs::write(
        path("broken.pem"),
        "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n",
    )
    .unwrap();
    let cut = fs::read_to_string(path("one.key")).unwrap();
    fs::write(path("cut.key"), &cut[..cut.len() / 2]).unwrap();
    fs::write(
        path("wrong.pem"),
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    )
    .unwrap();

    for (certificate, key, words) in [
        ("absent.pem", "one.key", &["absent.pem"][..]),
        ("one.pem", "absent.key", &["absent.key"]),
        (
            "empty.pem",
            "one.key",
            &["empty.pem", "it holds no certificate"],
        ),
        ("broken.pem", "one.key", &["broken.pem"]),
        ("one.pem", "cut.key", &["cut.key"]),
        ("one.pem", "one.pem", &["a private key from", "one.pem"]),
        ("one.pem", "two.key", &["cannot be used together"]),
        ("wrong.pem", "one.key", &["cannot be used together"]),
    ] {
        let setup = Setup::in_folder(folder.path())
            .env("TLS_CERT_PATH", path(certificate))
            .env("TLS_KEY_PATH", path(key));
        let said = refused(setup, folder.path()).await;
        assert_says(&said, &["TLS_CERT_PATH, TLS_KEY_PATH: "]);
        assert_says(&said, words);
        let secret = cut.lines().nth(1).unwrap();
        assert!(!said.contains(secret), "{said}");
    }
    for (given, file, missing) in [
        ("TLS_CERT_PATH", "one.pem", "TLS_KEY_PATH is missing"),
        ("TLS_KEY_PATH", "one.key", "TLS_CERT_PATH is missing"),
    ] {
        let setup = Setup::in_folder(folder.path()).env(given, path(file));
        assert_says(&refused(setup, folder.path()).await, &[missing]);
    }
}

#[tokio::test]
async fn plain_text_off_the_loopback_is_refused_until_it_is_wanted() {
    let folder = support::folder();
    for host in ["0.0.0.0", "::"] {
        let setup = Setup::in_folder(folder.path()).flag("--host", host);
        let said = refused(setup, folder.path()).await;
        assert_says(
            &said,
            &[
                "SERVER_HOST",
                "TLS_CERT_PATH",
                "TLS_KEY_PATH",
                "ALLOW_PLAINTEXT=true",
            ],
        );
    }
    let wanted = Setup::in_folder(folder.path())
        .env("SERVER_HOST", "0.0.0.0")
        .env("ALLOW_PLAINTEXT", "true");
    let server = wanted.start().await;
    assert!(server.api().ip().is_unspecified());
    assert!(server.admin().ip().is_loopback(), "figures stay at home");
    assert_eq!(server.stop().await.code(), Some(0));
}

#[tokio::test]
async fn data_that_cannot_be_used_is_a_failure_to_start() {
    let folder = support::folder();
    let file = folder.path().join("notes.txt");
    fs::write(
        &file,
        "this is no database, and longer than the header of one would be ".repeat(20),
    )
    .unwrap();
    let before = fs::read(&file).unwrap();
    let setup = Setup::in_folder(folder.path())
        .env("DATABASE_URL", format!("sqlite:{}", file.display()))
        .env("ENCRYPTION_MASTER_KEY", KEY);
    let ended = setup.run().await;
    assert_eq!(ended.code(), Some(1), "{}", ended.everything());
    assert_says(&ended.stderr, &["ruggine-server: ", "database"]);
    assert_eq!(
        fs::read(&file).unwrap(),
        before,
        "what is not ours is left alone"
    );

    let blocked = folder.path().join("blocked");
    fs::write(&blocked, "a file where a folder should be").unwrap();
    let setup = Setup::in_folder(folder.path())
        .env(
            "DATABASE_URL",
            format!("sqlite:{}/x.sqlite", blocked.display()),
        )
        .env("ENCRYPTION_MASTER_KEY", KEY);
    let ended = setup.run().await;
    assert_eq!(ended.code(), Some(1));
    assert_says(&ended.stderr, &["cannot use", "blocked"]);
}
