//! What the program logs, how loudly and in which form.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use ruggine_server::testing::{eventually, patiently};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::defaults::listening;
use super::support::{self, Setup};

#[tokio::test]
async fn its_log_is_json_where_no_terminal_reads_it() {
    let folder = support::folder();
    let server = Setup::in_folder(folder.path()).start().await;
    let ended = server.stop().await;
    assert_eq!(ended.stderr, "");
    assert!(ended.stdout.lines().count() >= 5);
    for line in ended.stdout.lines() {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}"));
        for field in ["timestamp", "level", "message", "target"] {
            assert!(line[field].is_string(), "{field} is missing in {line}");
        }
    }
    assert!(!ended.stdout.contains('\u{1b}'), "no colours");
}

#[tokio::test]
async fn log_level_is_honoured() {
    let folder = support::folder();
    let setup = Setup::in_folder(folder.path());
    let quiet = setup.clone().env("LOG_LEVEL", "error").spawn();
    // A quiet program tells no addresses, so the system is asked.
    eventually("three open ports", || {
        let ports = listening(quiet.id()).len();
        async move { ports == 3 }
    })
    .await;
    let ended = quiet.stop().await;
    assert_eq!((ended.code(), ended.everything().trim()), (Some(0), ""));

    let levels = |text: &str| -> BTreeSet<String> {
        let lines = text
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines
            .map(|line| line["level"].as_str().unwrap().to_owned())
            .collect()
    };
    // Of a visitor who speaks nonsense nobody hears but those who look for faults.
    let info = setup.clone().env("LOG_LEVEL", "info");
    // The flag wins.
    let debug = setup
        .env("LOG_LEVEL", "error")
        .flag("--log-level", "warn,ruggine_server=debug");
    for (setup, expected) in [(info, &["INFO"][..]), (debug, &["DEBUG", "INFO"])] {
        let server = setup.start().await;
        speak_nonsense(server.api(), "nonsense").await;
        let ended = server.stop().await;
        let expected: BTreeSet<String> = expected.iter().map(|&level| level.to_owned()).collect();
        assert_eq!(levels(&ended.stdout), expected, "{}", ended.stdout);
    }
}

/// A connection that carries these words instead of HTTP, to its end.
pub(crate) async fn speak_nonsense(address: SocketAddr, words: &str) {
    let stream = TcpStream::connect(address).await;
    let mut stream = stream.expect("the server takes connections");
    let words = format!("{words}\r\n\r\n");
    let written = stream.write_all(words.as_bytes()).await;
    written.expect("the server reads");
    let mut answer = Vec::new();
    let _ = patiently("the end of the connection", stream.read_to_end(&mut answer)).await;
}
