use super::*;
use crate::arguments::Arguments;
use clap::Parser;

fn read(flags: &[&str], environment: &[(&str, &str)]) -> Result<Settings, String> {
    let arguments =
        Arguments::parse_from(std::iter::once("ruggine-server").chain(flags.iter().copied()));
    let environment = environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Sources::from_parts(&arguments, environment)
        .and_then(|sources| Settings::read(&sources))
        .map_err(|mistakes| mistakes.to_string())
}

const KEY: &str = "7f3a91d2c4b5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f70819a0b1c2d3e4f5";

#[test]
fn nothing_set_is_the_embedded_default_on_the_loopback() {
    let settings = read(&[], &[]).unwrap();
    assert_eq!(settings.api.to_string(), "127.0.0.1:8443");
    assert_eq!(settings.websocket.to_string(), "127.0.0.1:8444");
    assert_eq!(settings.admin.to_string(), "127.0.0.1:9464");
    assert_eq!(settings.database.to_string(), "ruggine-data/ruggine.sqlite");
    assert!(matches!(settings.keys, Keys::Embedded(..)));
    assert_eq!(settings.drain, Drain::default());
}

#[test]
fn a_flag_wins_over_the_environment_and_that_over_the_file() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(
        file.path(),
        "server_port = 1\nwebsocket_port = 2\nadmin_addr = \"127.0.0.1:3\"\n",
    )
    .unwrap();
    let path = file.path().to_str().unwrap();
    let settings = read(
        &["--port", "11"],
        &[
            ("SERVER_PORT", "21"),
            ("WEBSOCKET_PORT", "22"),
            ("RUGGINE_CONFIG", path),
        ],
    )
    .unwrap();
    assert_eq!(settings.api.port(), 11);
    assert_eq!(settings.websocket.port(), 22);
    assert_eq!(settings.admin.port(), 3);
}

#[test]
fn all_mistakes_are_told_at_once() {
    let text = read(
        &[],
        &[
            ("SERVER_PORT", "eighty"),
            ("LOG_LEVEL", "=="),
            ("RUGGINE_SPEED", "9"),
            ("DATABASE_URL", "mysql://x"),
        ],
    )
    .unwrap_err();
    // An unknown name is found first, for it may be the cause of the others.
    assert!(text.contains("RUGGINE_SPEED"), "{text}");
    let text = read(
        &[],
        &[
            ("SERVER_PORT", "eighty"),
            ("LOG_LEVEL", "=="),
            ("DATABASE_URL", "mysql://x"),
        ],
    )
    .unwrap_err();
    for name in ["SERVER_PORT", "LOG_LEVEL", "DATABASE_URL"] {
        assert!(text.contains(name), "{name} is missing in {text}");
    }
}

#[test]
fn plain_text_off_the_loopback_needs_an_express_word() {
    let text = read(&["--host", "0.0.0.0"], &[]).unwrap_err();
    assert!(text.contains("ALLOW_PLAINTEXT"), "{text}");
    assert!(read(&["--host", "0.0.0.0", "--allow-plaintext"], &[]).is_ok());
}

#[test]
fn a_database_of_ones_own_needs_a_key_of_ones_own() {
    let text = read(&[], &[("DATABASE_URL", "sqlite:/tmp/x.sqlite")]).unwrap_err();
    assert!(
        text.contains("ENCRYPTION_MASTER_KEY") && text.contains("openssl rand"),
        "{text}"
    );
    assert!(
        read(
            &[],
            &[
                ("DATABASE_URL", "sqlite:/tmp/x.sqlite"),
                ("ENCRYPTION_MASTER_KEY", KEY)
            ]
        )
        .is_ok()
    );
    let off = read(
        &[],
        &[
            ("DATABASE_URL", "sqlite:/tmp/x.sqlite"),
            ("ENABLE_ENCRYPTION", "false"),
        ],
    )
    .unwrap();
    assert!(matches!(off.keys, Keys::None));
}

#[test]
fn keys_that_protect_nothing_are_refused_without_being_printed() {
    let sample: String = (0..32u8).map(|byte| format!("{byte:02x}")).collect();
    for bad in ["abc", &"11".repeat(32), &sample, &"zz".repeat(32)] {
        let text = read(&[], &[("ENCRYPTION_MASTER_KEY", bad)]).unwrap_err();
        assert!(text.contains("ENCRYPTION_MASTER_KEY"), "{text}");
        assert!(!text.contains(bad), "{text}");
    }
}

#[test]
fn tls_that_does_not_load_stops_the_start() {
    let text = read(&[], &[("TLS_CERT_PATH", "/nonexistent.pem")]).unwrap_err();
    assert!(text.contains("TLS_KEY_PATH is missing"), "{text}");
    let text = read(
        &[],
        &[
            ("TLS_CERT_PATH", "/nonexistent.pem"),
            ("TLS_KEY_PATH", "/nonexistent.key"),
        ],
    )
    .unwrap_err();
    assert!(text.contains("/nonexistent.pem"), "{text}");
}

#[test]
#[cfg(unix)]
fn a_key_file_that_others_can_read_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), KEY).unwrap();
    let path = file.path().to_str().unwrap();
    let environment = [
        ("DATABASE_URL", "sqlite:/tmp/x.sqlite"),
        ("ENCRYPTION_MASTER_KEY_FILE", path),
    ];
    assert!(read(&[], &environment).is_ok());
    std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(0o644)).unwrap();
    let text = read(&[], &environment).unwrap_err();
    assert!(text.contains("chmod 600"), "{text}");
}

#[test]
fn the_configuration_file_knows_no_other_names() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "server_prot = 1\n").unwrap();
    let text = read(&["--config", file.path().to_str().unwrap()], &[]).unwrap_err();
    assert!(text.contains("server_prot"), "{text}");
}

#[test]
fn several_servers_need_a_database_that_they_can_share() {
    let key = ("ENCRYPTION_MASTER_KEY", KEY);
    let postgres = ("DATABASE_URL", "postgres://ada:secret@127.0.0.1/chat");
    let settings = read(&[], &[postgres, key, ("REDIS_URL", "redis://127.0.0.1")]).unwrap();
    assert!(matches!(settings.database, Database::Postgres(_)));
    assert!(settings.redis.is_some());
    assert_eq!(settings.database.to_string(), "127.0.0.1:5432/chat");
    let text = read(&[], &[("REDIS_URL", "redis://127.0.0.1")]).unwrap_err();
    assert!(
        text.contains("REDIS_URL") && text.contains("DATABASE_URL"),
        "{text}"
    );
}

#[test]
fn addresses_that_cannot_be_used_are_told_by_the_name_of_their_setting() {
    let key = ("ENCRYPTION_MASTER_KEY", KEY);
    for url in [
        "postgres://ada:secret@db.example/chat?sslmode=disable",
        "postgres://ada:secret@[/chat",
    ] {
        let text = read(&[], &[("DATABASE_URL", url), key]).unwrap_err();
        assert!(text.contains("DATABASE_URL"), "{text}");
        assert!(!text.contains("secret"), "{text}");
    }
    let postgres = ("DATABASE_URL", "postgres://ada@127.0.0.1/chat");
    for url in [
        "redis://:secret@cache.example",
        "memcached://:secret@localhost",
        ":secret@",
    ] {
        let text = read(&[], &[postgres, key, ("REDIS_URL", url)]).unwrap_err();
        assert!(text.contains("REDIS_URL"), "{text}");
        assert!(!text.contains("secret"), "{text}");
    }
}

#[test]
fn what_redis_is_told_besides_its_address_is_judged_too() {
    let key = ("ENCRYPTION_MASTER_KEY", KEY);
    let postgres = ("DATABASE_URL", "postgres://ada@127.0.0.1/chat");
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "no certificate").unwrap();
    let file = file.path().to_str().unwrap();
    let over_tls = ("REDIS_URL", "rediss://cache.example");
    for (url, setting, words) in [
        (over_tls, ("REDIS_CA_PATH", file), "no certificate"),
        (
            over_tls,
            ("REDIS_CA_PATH", "/nonexistent.pem"),
            "cannot be read",
        ),
        (over_tls, ("REDIS_PREFIX", "two words"), "letters"),
        (over_tls, ("REDIS_PREFIX", "{chat}"), "letters"),
    ] {
        let text = read(&[], &[postgres, key, url, setting]).unwrap_err();
        assert!(text.contains(setting.0) && text.contains(words), "{text}");
    }
    let text = read(&[], &[postgres, key, ("REDIS_PREFIX", "chat")]).unwrap_err();
    assert!(text.contains("REDIS_PREFIX is of no use"), "{text}");
    let unverified = ("REDIS_URL", "rediss://cache.example/#insecure");
    let text = read(&[], &[postgres, key, unverified]).unwrap_err();
    assert!(text.contains("certificates are always verified"), "{text}");
    let settings = read(&[], &[postgres, key, over_tls, ("REDIS_PREFIX", "chat:2")]).unwrap();
    assert!(format!("{:?}", settings.redis).contains("chat:2"));
}
