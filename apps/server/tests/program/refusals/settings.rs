//! Settings: their names and values, and how mistakes in them are told.

use std::fs;

use super::{assert_says, entries, refused, sample_key};
use crate::support::{self, KEY, Setup};

/// The names of all settings, as the documents have them.
const NAMES: [&str; 24] = [
    "DATABASE_URL",
    "DATABASE_URL_FILE",
    "REDIS_URL",
    "REDIS_URL_FILE",
    "REDIS_CA_PATH",
    "REDIS_PREFIX",
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
            "REDIS_CA_PATH",
            "/nonexistent/ca.pem",
            &["REDIS_CA_PATH", "without REDIS_URL"],
        ),
        (
            "REDIS_PREFIX",
            "{chat}",
            &["REDIS_PREFIX", "letters, digits"],
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
