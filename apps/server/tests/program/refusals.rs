//! What the program does not start with, and what it says then.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::support::{self, Ended, KEY, OTHER_KEY, Setup};
use super::tls::Certificate;

/// The names of all settings, as the documents have them.
const NAMES: [&str; 22] = [
    "DATABASE_URL",
    "DATABASE_URL_FILE",
    "REDIS_URL",
    "REDIS_URL_FILE",
    "SERVER_HOST",
    "SERVER_PORT",
    "WEBSOCKET_PORT",
    "ADMIN_ADDR",
    "ENABLE_ENCRYPTION",
    "ENCRYPTION_MASTER_KEY",
    "ENCRYPTION_MASTER_KEY_FILE",
    "ENCRYPTION_LEGACY_KEYS",
    "ENCRYPTION_LEGACY_KEYS_FILE",
    "TLS_CERT_PATH",
    "TLS_KEY_PATH",
    "ALLOW_PLAINTEXT",
    "LOG_LEVEL",
    "RUGGINE_CONFIG",
    "RUGGINE_ALLOWED_ORIGINS",
    "RUGGINE_TRUSTED_PROXIES",
    "RUGGINE_DRAIN_LEAD_SECONDS",
    "RUGGINE_DRAIN_SPREAD_SECONDS",
];

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
async fn names_and_values_that_are_no_settings_are_refused() {
    for (name, value, words) in [
        (
            "RUGGINE_PORT",
            "8443",
            &["RUGGINE_PORT", "is no setting of this server"][..],
        ),
        ("SERVER_PORT", "eighty", &["SERVER_PORT", "from 0 to 65535"]),
        ("SERVER_PORT", "65536", &["SERVER_PORT", "from 0 to 65535"]),
        (
            "SERVER_HOST",
            "localhost",
            &["SERVER_HOST", "an IP address"],
        ),
        (
            "ADMIN_ADDR",
            "9464",
            &["ADMIN_ADDR", "an IP address and a port"],
        ),
        (
            "ENABLE_ENCRYPTION",
            "yes",
            &["ENABLE_ENCRYPTION", "true or false"],
        ),
        (
            "ALLOW_PLAINTEXT",
            "1",
            &["ALLOW_PLAINTEXT", "true or false"],
        ),
        (
            "REDIS_URL",
            "redis://:hunter2@cache",
            &["REDIS_URL", "DATABASE_URL"],
        ),
        (
            "DATABASE_URL",
            "mysql://u:hunter2@db/x",
            &["DATABASE_URL", "must begin with postgres: or sqlite:"],
        ),
        (
            "DATABASE_URL",
            "postgres://u:hunter2@db/x?sslmode=disable",
            &["DATABASE_URL", "sslmode=require"],
        ),
        (
            "DATABASE_URL",
            "sqlite:",
            &["DATABASE_URL", "names no file"],
        ),
        (
            "RUGGINE_TRUSTED_PROXIES",
            "10.0.0.1,proxy",
            &["RUGGINE_TRUSTED_PROXIES", "IP addresses"],
        ),
        (
            "RUGGINE_DRAIN_LEAD_SECONDS",
            "-1",
            &["RUGGINE_DRAIN_LEAD_SECONDS", "seconds"],
        ),
        (
            "RUGGINE_DRAIN_SPREAD_SECONDS",
            "soon",
            &["RUGGINE_DRAIN_SPREAD_SECONDS", "seconds"],
        ),
        (
            "LOG_LEVEL",
            "==",
            &["LOG_LEVEL", "error, warn, info, debug or trace"],
        ),
        (
            "RUGGINE_CONFIG",
            "/nonexistent/ruggine.toml",
            &["RUGGINE_CONFIG", "/nonexistent/ruggine.toml"],
        ),
    ] {
        let folder = support::folder();
        let mut command = Setup::without_ports(folder.path());
        // Ports of this machine, where the setting in question is not one.
        for port in ["SERVER_PORT", "WEBSOCKET_PORT"] {
            if name != port {
                command = command.env(port, "0");
            }
        }
        let said = refused(command.env(name, value), folder.path()).await;
        assert_says(&said, words);
        assert!(!said.contains("hunter2"), "{said}");
    }
}

#[tokio::test]
async fn a_level_that_does_not_exist_is_refused() {
    for level in ["verbose", "inof", "warning,hyper=inof"] {
        let folder = support::folder();
        let setup = Setup::in_folder(folder.path())
            .env("LOG_LEVEL", level)
            .bare_flag("--check");
        let said = refused(setup, folder.path()).await;
        assert_says(&said, &["LOG_LEVEL"]);
    }
}

#[tokio::test]
async fn drain_times_beyond_all_measure_end_no_server() {
    let folder = support::folder();
    let setup =
        Setup::in_folder(folder.path()).env("RUGGINE_DRAIN_SPREAD_SECONDS", u64::MAX.to_string());
    let ended = setup.clone().bare_flag("--check").run().await;
    if ended.code() == Some(2) {
        assert_says(&ended.stderr, &["RUGGINE_DRAIN_SPREAD_SECONDS"]);
        return;
    }
    // Where it is taken it must work: nobody is connected, so nobody is waited for.
    let ended = setup.start().await.stop().await;
    assert_eq!(ended.code(), Some(0), "{}", ended.everything());
}

#[tokio::test]
async fn every_mistake_is_told_in_one_run() {
    let folder = support::folder();
    let setup = Setup::in_folder(folder.path())
        .flag("--port", "eighty")
        .flag("--admin-addr", "nowhere")
        .env("SERVER_HOST", "example.org")
        .env("ENCRYPTION_MASTER_KEY", sample_key())
        .env("TLS_CERT_PATH", "/nonexistent.pem")
        .env("LOG_LEVEL", "==")
        .env("REDIS_URL", "redis://cache")
        .env("RUGGINE_DRAIN_LEAD_SECONDS", "soon");
    let said = refused(setup, folder.path()).await;
    assert_says(
        &said,
        &[
            "8 mistakes",
            "SERVER_PORT",
            "ADMIN_ADDR",
            "SERVER_HOST",
            "ENCRYPTION_MASTER_KEY",
            "TLS_KEY_PATH",
            "LOG_LEVEL",
            "REDIS_URL",
            "RUGGINE_DRAIN_LEAD_SECONDS",
        ],
    );
    assert_eq!(
        said.lines().filter(|line| line.starts_with("  - ")).count(),
        8,
        "{said}"
    );
    assert!(!said.contains(&sample_key()), "{said}");
}

#[tokio::test]
async fn every_unknown_name_is_told_in_one_run() {
    let folder = support::folder();
    let file = folder.path().join("ruggine.toml");
    fs::write(
        &file,
        "server_prot = 1\nlog_level = \"info\"\ncolour = \"red\"\n",
    )
    .unwrap();
    let setup = Setup::in_folder(folder.path())
        .flag("--config", file.display())
        .env("RUGGINE_SPEED", "9")
        .env("RUGGINE_DRAIN_SECONDS", "9");
    let said = refused(setup, folder.path()).await;
    assert_says(
        &said,
        &[
            "4 mistakes",
            "server_prot",
            "colour",
            "RUGGINE_SPEED",
            "RUGGINE_DRAIN_SECONDS",
        ],
    );
}

#[tokio::test]
async fn a_configuration_file_is_read_and_its_mistakes_tell_no_secret() {
    let folder = support::folder();
    let file = folder.path().join("ruggine.toml");
    fs::write(
        &file,
        format!("encryption_master_key = \"{KEY}\"\nlog_level = \"warn\nx"),
    )
    .unwrap();
    let setup = Setup::in_folder(folder.path()).env("RUGGINE_CONFIG", &file);
    let said = refused(setup.clone(), folder.path()).await;
    assert_says(&said, &["RUGGINE_CONFIG", "which is no TOML near line"]);
    assert!(!said.contains(KEY), "{said}");
    fs::write(
        &file,
        format!("encryption_master_key = \"{KEY}\"\nserver_host = \"127.0.0.2\"\n"),
    )
    .unwrap();
    let server = setup.start().await;
    assert_eq!(server.api().ip().to_string(), "127.0.0.2");
    let ended = server.stop().await;
    assert!(!ended.everything().contains(KEY));
}

#[tokio::test]
async fn a_check_says_yes_or_no_and_touches_nothing() {
    let folder = support::folder();
    let setup = Setup::in_folder(folder.path()).bare_flag("--check");
    let ended = setup.run().await;
    assert_eq!(ended.code(), Some(0));
    assert_eq!(ended.stdout, "The configuration is good.");
    assert_eq!(ended.stderr, "");
    assert_eq!(entries(folder.path()), Vec::<String>::new());
    let said = refused(setup.flag("--port", "eighty"), folder.path()).await;
    assert_says(&said, &["1 mistake in"]);
}

#[tokio::test]
async fn help_lists_every_setting() {
    let folder = support::folder();
    let ended = Setup::without_ports(folder.path())
        .bare_flag("--help")
        .run()
        .await;
    assert_eq!(ended.code(), Some(0));
    for name in NAMES {
        let found = ended
            .stdout
            .split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
            .any(|word| word == name);
        assert!(found, "{name} is missing in {}", ended.stdout);
    }
    // A secret on a command line is read by everybody, so there is no flag for one.
    for flag in ["--encryption-master-key ", "--master-key ", "--redis-url"] {
        assert!(!ended.stdout.contains(flag), "{flag}");
    }
    let ended = Setup::without_ports(folder.path())
        .bare_flag("--speed")
        .run()
        .await;
    assert_eq!(ended.code(), Some(2));
    assert_says(&ended.stderr, &["--speed"]);
    assert_eq!(entries(folder.path()), Vec::<String>::new());
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
