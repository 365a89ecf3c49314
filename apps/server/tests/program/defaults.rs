//! The program as it comes: nothing set but free ports.

use std::collections::BTreeSet;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use ruggine_core::api::account::{LogIn, Register};
use ruggine_core::api::message::Item;
use ruggine_core::codec::Encoding;
use ruggine_core::secret::SecretText;
use ruggine_server::key_source::KeyFile;
use ruggine_server::testing::inspect::find_plaintext;
use ruggine_server::testing::{
    HttpClient, SocketClient, eventually, patiently, text_message, words_of,
};
use rustix::process::Signal;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::support::{self, KEY, OTHER_KEY, Setup};

const GOING_AWAY: Option<u16> = Some(4009);
/// Longer than any test may take.
const LONG: &str = "86400";

fn mode(path: impl AsRef<Path>) -> u32 {
    fs::metadata(path)
        .expect("it is there")
        .permissions()
        .mode()
        & 0o777
}

/// The addresses on which a process listens, as the system knows them.
fn listening(process: u32) -> BTreeSet<SocketAddr> {
    const LISTEN: &str = "0A";
    let mut sockets = BTreeSet::new();
    for entry in fs::read_dir(format!("/proc/{process}/fd"))
        .expect("the process runs")
        .flatten()
    {
        if let Ok(target) = fs::read_link(entry.path()) {
            let target = target.to_string_lossy().into_owned();
            let inode = target
                .strip_prefix("socket:[")
                .and_then(|rest| rest.strip_suffix(']'));
            sockets.extend(inode.map(str::to_owned));
        }
    }
    let mut found = BTreeSet::new();
    let table =
        fs::read_to_string(format!("/proc/{process}/net/tcp")).expect("the system has a table");
    for line in table.lines().skip(1) {
        let fields: Vec<&str> = line.split_whitespace().collect();
        if fields[3] == LISTEN && sockets.contains(fields[9]) {
            let (address, port) = fields[1].split_once(':').expect("an address has a port");
            // The system prints the bytes of the address as one number of this machine.
            let address = u32::from_str_radix(address, 16).expect("an address is a number");
            let address = Ipv4Addr::from(address.to_ne_bytes());
            let port = u16::from_str_radix(port, 16).expect("a port is a number");
            found.insert(SocketAddr::from((address, port)));
        }
    }
    let table = fs::read_to_string(format!("/proc/{process}/net/tcp6")).unwrap_or_default();
    for line in table.lines().skip(1) {
        let fields: Vec<&str> = line.split_whitespace().collect();
        assert!(
            fields[3] != LISTEN || !sockets.contains(fields[9]),
            "it listens on an address of version 6: {line}"
        );
    }
    found
}

#[tokio::test]
async fn with_nothing_set_it_serves_the_loopback_alone() {
    let folder = support::folder();
    let server = Setup::in_folder(folder.path()).start().await;
    let told = [server.api(), server.websocket(), server.admin()];
    let told: BTreeSet<SocketAddr> = told.into_iter().collect();
    assert_eq!(told.len(), 3);
    assert_eq!(
        listening(server.id()),
        told,
        "what the log tells is what there is"
    );
    for address in told {
        assert_eq!(address.ip(), Ipv4Addr::LOCALHOST);
    }
    for message in ["API and WebSocket", "metrics"] {
        assert!(
            server.url(message).starts_with("http://"),
            "{}",
            server.url(message)
        );
    }
    assert!(server.url("WebSocket").starts_with("ws://"));
    assert!(server.url("WebSocket").ends_with("/v1/ws"));
}

#[tokio::test]
async fn with_nothing_set_it_makes_a_private_folder_and_a_key_in_it() {
    let folder = support::folder();
    let mut server = Setup::in_folder(folder.path()).start().await;
    let data = folder.path().join("ruggine-data");
    let key = data.join("master.key");
    assert_eq!(mode(&data), 0o700, "nobody else may look into the folder");
    assert_eq!(mode(&key), 0o600, "nobody else may read the key");
    assert!(data.join("ruggine.sqlite").is_file());

    let text = fs::read_to_string(&key).unwrap();
    let hex = text.trim();
    assert_eq!(hex.len(), 64);
    let fingerprint = KeyFile::new(&key).fingerprint().unwrap().to_string();
    let line = server
        .line(
            "texts are sealed under the master key in this file: keep a copy elsewhere, without it they are lost",
        )
        .await;
    assert_eq!(line["fingerprint"], Value::String(fingerprint));
    assert_eq!(line["path"], "ruggine-data/master.key");
    assert!(
        !hex.contains(line["fingerprint"].as_str().unwrap()),
        "a fingerprint is no part of the key"
    );

    // It is the same key ever after, and never in a log.
    let first = server.stop().await;
    assert!(!first.everything().contains(hex));
    let mut server = Setup::in_folder(folder.path()).start().await;
    assert_eq!(fs::read_to_string(&key).unwrap(), text);
    server.line("ready").await;
}

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
async fn memory_with_keys_in_it_is_not_dumped() {
    let folder = support::folder();
    let server = Setup::in_folder(folder.path()).start().await;
    let bounds = fs::read_to_string(format!("/proc/{}/limits", server.id())).unwrap();
    let cores = bounds
        .lines()
        .find(|line| line.starts_with("Max core file size"))
        .unwrap();
    let fields: Vec<&str> = cores.split_whitespace().collect();
    assert_eq!(fields[4..6], ["0", "0"], "{cores}");
}

#[tokio::test]
async fn health_is_on_every_port_and_figures_are_on_the_operators_port_alone() {
    let folder = support::folder();
    let server = Setup::in_folder(folder.path()).start().await;
    for public in [server.api(), server.websocket()] {
        let http = HttpClient::new(public);
        let health = http.get("/healthz").await;
        assert_eq!((health.status, &health.body[..]), (200, &b"ok\n"[..]));
        let ready = http.get("/readyz").await;
        assert_eq!((ready.status, &ready.body[..]), (200, &b"ready\n"[..]));
        assert_eq!(http.get("/metrics").await.status, 404);
    }
    let admin = HttpClient::new(server.admin());
    assert_eq!(admin.get("/healthz").await.status, 200);
    let figures = admin.get("/metrics").await;
    assert_eq!(figures.status, 200);
    assert!(
        figures
            .header("content-type")
            .unwrap()
            .starts_with("text/plain")
    );
    // What is for people is not for operators.
    let register = admin.post("/v1/account.register", b"{}").await;
    assert_eq!(register.status, 404);
}

#[tokio::test]
async fn the_four_figures_are_there_before_anything_has_happened() {
    let folder = support::folder();
    let server = Setup::in_folder(folder.path()).start().await;
    let figures = server.metrics().await;
    for (name, kind) in [
        ("message_count", "counter"),
        ("latency", "histogram"),
        ("decryption_errors", "counter"),
        ("active_connections", "gauge"),
    ] {
        let kind = format!("# TYPE {name} {kind}");
        assert!(
            figures.0.lines().any(|line| line == kind),
            "{kind} is missing in {}",
            figures.0
        );
    }
}

#[tokio::test]
async fn the_figures_move_when_a_message_is_sent() {
    let folder = support::folder();
    let server = Setup::in_folder(folder.path()).start().await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let group = server.group(&ada, &[&bob]).await;
    let before = server.metrics().await;
    assert_eq!(before.value("message_count"), Some(0.0));
    assert_eq!(before.value("decryption_errors"), Some(0.0));
    assert_eq!(before.value("active_connections"), Some(0.0));
    assert_eq!(
        before.value("latency_count{method=\"message.send\"}"),
        Some(0.0)
    );

    let mut ear = server.socket(&bob, Encoding::Json).await;
    let mut voice = server.socket(&ada, Encoding::MsgPack).await;
    for number in 1..=3 {
        voice
            .call(text_message(group, &format!("word {number}")))
            .await
            .unwrap();
        ear.next_row().await;
    }
    // What is counted after an answer may be counted after its receipt.
    eventually("the figures", || async {
        let figures = server.metrics().await;
        figures.value("message_count") == Some(3.0)
            && figures.value("latency_count{method=\"message.send\"}") == Some(3.0)
            && figures.value("active_connections") == Some(2.0)
    })
    .await;
    let figures = server.metrics().await;
    assert!(figures.0.contains("# TYPE latency histogram"));
    let bucket = |bound: &str| {
        let sample = format!("latency_bucket{{method=\"message.send\",le=\"{bound}\"}}");
        figures
            .value(&sample)
            .unwrap_or_else(|| panic!("no {sample} in {}", figures.0))
    };
    let bounds = ["0.0005", "0.001", "0.01", "0.1", "1", "10", "+Inf"];
    let counts: Vec<f64> = bounds.iter().map(|bound| bucket(bound)).collect();
    assert!(counts.is_sorted(), "buckets are cumulative: {counts:?}");
    assert_eq!(counts.last(), Some(&3.0));
    let sum = figures
        .value("latency_sum{method=\"message.send\"}")
        .unwrap();
    assert!(
        sum > 0.0 && sum < 90.0,
        "three answers took {sum}, which are not seconds"
    );

    ear.close().await;
    voice.close().await;
    eventually("the connections to be gone", || async {
        server.metrics().await.value("active_connections") == Some(0.0)
    })
    .await;
}

#[tokio::test]
async fn a_row_that_does_not_open_is_counted_and_crossed() {
    let folder = support::folder();
    let setup = Setup::in_folder(folder.path());
    let server = setup.start().await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let group = server.group(&ada, &[&bob]).await;
    let http = server.http_of(&ada);
    for words in ["first", "second"] {
        http.call(text_message(group, words)).await.unwrap();
    }
    assert_eq!(server.stop().await.code(), Some(0));
    // Somebody with the disk in their hands puts one record in another's place.
    let database = folder.path().join("ruggine-data").join("ruggine.sqlite");
    let disk = rusqlite::Connection::open(database).unwrap();
    let changed = disk
        .execute(
            "UPDATE messages SET body = (SELECT body FROM messages WHERE seq = 3) WHERE seq = 2",
            [],
        )
        .unwrap();
    assert_eq!(changed, 1);
    drop(disk);

    let server = setup.start().await;
    assert_eq!(server.metrics().await.value("decryption_errors"), Some(0.0));
    let log = server.http_of(&bob).read_log(group).await.unwrap();
    assert!(matches!(log[1], Item::Undecryptable(_)), "{:?}", log[1]);
    assert_eq!(words_of(&log[2]).as_deref(), Some("second"));
    assert_eq!(server.metrics().await.value("decryption_errors"), Some(1.0));
}

#[tokio::test]
async fn the_websockets_port_serves_the_websocket_and_nothing_else() {
    let folder = support::folder();
    let server = Setup::in_folder(folder.path()).start().await;
    let ada = server.register("ada").await;
    let http = HttpClient::new(server.websocket());
    for path in [
        "/v1/account.login",
        "/v1/account.register",
        "/v1/message.send",
        "/v1/hello",
    ] {
        assert_eq!(http.post(path, b"{}").await.status, 404, "{path}");
    }
    assert_eq!(http.get("/v1/openapi.json").await.status, 404);
    assert_eq!(server.http().get("/v1/openapi.json").await.status, 200);
    for address in [server.websocket(), server.api()] {
        let mut socket = SocketClient::connect(address, Encoding::Json).await;
        let heads = socket.hello(ada.token()).await.unwrap();
        assert_eq!(heads.user, ada.user());
    }
}

#[tokio::test]
async fn sigterm_ends_it_in_order() {
    let folder = support::folder();
    let server = Setup::in_folder(folder.path()).start().await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let group = server.group(&ada, &[&bob]).await;
    let mut known = server.socket(&ada, Encoding::Json).await;
    let mut stranger = SocketClient::connect(server.websocket(), Encoding::MsgPack).await;
    let ack = known
        .call(text_message(group, "the last word"))
        .await
        .unwrap();

    server.signal(Signal::TERM);
    for socket in [&mut known, &mut stranger] {
        let ending = socket.ending().await;
        assert_eq!(ending.code, GOING_AWAY, "{ending:?}");
        let wait = ending.retry_in_ms();
        assert!(wait.is_some_and(|wait| wait <= 2_000), "{ending:?}");
    }
    let ended = server.ended().await;
    assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
    assert_eq!(ended.stderr, "");
    assert!(ended.stdout.contains("\"ended\""), "{}", ended.stdout);

    // In order means that the next one finds everything, in one file.
    let data = folder.path().join("ruggine-data");
    assert!(
        !data.join("ruggine.sqlite-wal").exists(),
        "the write-ahead log is folded in"
    );
    let server = Setup::in_folder(folder.path()).start().await;
    let log = server.http_of(&bob).read_log(group).await.unwrap();
    assert_eq!(
        log.last().and_then(words_of).as_deref(),
        Some("the last word")
    );
    assert_eq!(log.len() as u64, ack.seq.get());
}

#[tokio::test]
async fn ctrl_c_ends_it_in_order_too() {
    let folder = support::folder();
    let server = Setup::in_folder(folder.path()).start().await;
    server.signal(Signal::INT);
    assert_eq!(server.ended().await.code(), Some(0));
}

#[tokio::test]
async fn before_its_ports_close_it_says_that_it_leaves() {
    let folder = support::folder();
    let setup = Setup::in_folder(folder.path()).env("RUGGINE_DRAIN_LEAD_SECONDS", LONG);
    let server = setup.start().await;
    let ada = server.register("ada").await;
    server.signal(Signal::TERM);
    for address in [server.api(), server.websocket()] {
        let http = HttpClient::new(address);
        eventually("readiness to end", || async {
            http.get("/readyz").await.status == 503
        })
        .await;
        assert_eq!(&http.get("/readyz").await.body[..], b"leaving\n");
        assert_eq!(
            http.get("/healthz").await.status,
            200,
            "leaving is not being ill"
        );
    }
    // Whoever has not noticed yet is still served.
    let mut socket = server.socket(&ada, Encoding::Json).await;
    assert!(socket.catch_up().await.is_empty());
    server.signal(Signal::TERM);
    assert_eq!(server.ended().await.code(), Some(130));
}

#[tokio::test]
async fn a_second_signal_ends_a_long_drain_at_once() {
    let folder = support::folder();
    let setup = Setup::in_folder(folder.path()).env("RUGGINE_DRAIN_SPREAD_SECONDS", LONG);
    let mut server = setup.start().await;
    let ada = server.register("ada").await;
    // Each leaves at a random moment of the day, so not all of them now.
    let mut sockets = Vec::new();
    for _ in 0..4 {
        sockets.push(server.socket(&ada, Encoding::Json).await);
    }
    server.signal(Signal::TERM);
    server
        .line("ending: no new connections, what was taken is finished")
        .await;
    server.signal(Signal::TERM);
    server.line("ended at once by a second signal").await;
    let ended = server.ended().await;
    assert_eq!(ended.code(), Some(130));
    for socket in &mut sockets {
        // Cut off or, by a rare chance, already sent away.
        let ending = socket.ending().await;
        assert!(
            ending.code.is_none() || ending.code == GOING_AWAY,
            "{ending:?}"
        );
    }
    // What was promised is kept also then.
    let server = Setup::in_folder(folder.path()).start().await;
    server.socket(&ada, Encoding::Json).await;
}

#[tokio::test]
async fn a_second_server_on_the_same_data_is_refused() {
    let folder = support::folder();
    let setup = Setup::in_folder(folder.path());
    let server = setup.start().await;
    let second = setup.run().await;
    assert_eq!(second.code(), Some(1));
    assert!(
        second
            .stderr
            .contains("in use by another server: stop that one, or set DATABASE_URL"),
        "{}",
        second.stderr
    );
    assert!(
        second.stderr.contains("ruggine.sqlite"),
        "{}",
        second.stderr
    );
    // The first has noticed nothing.
    assert_eq!(server.http().get("/readyz").await.status, 200);
    assert_eq!(server.stop().await.code(), Some(0));
    // A server that is killed leaves no lock behind.
    setup.start().await.kill().await;
    assert_eq!(setup.start().await.stop().await.code(), Some(0));
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let folder = support::folder();
    let server = Setup::in_folder(folder.path()).start().await;
    for (flag, address) in [
        ("--port", server.api()),
        ("--websocket-port", server.websocket()),
    ] {
        let other = support::folder();
        let ended = Setup::in_folder(other.path())
            .flag(flag, address.port())
            .run()
            .await;
        assert_eq!(ended.code(), Some(1), "{flag}");
        let sentence = format!("cannot listen on {address}");
        assert!(ended.stderr.contains(&sentence), "{flag}: {}", ended.stderr);
    }
    let other = support::folder();
    let ended = Setup::in_folder(other.path())
        .flag("--admin-addr", server.admin())
        .run()
        .await;
    assert_eq!(ended.code(), Some(1));
    let sentence = format!("cannot listen on ADMIN_ADDR {}", server.admin());
    assert!(ended.stderr.contains(&sentence), "{}", ended.stderr);
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
async fn speak_nonsense(address: SocketAddr, words: &str) {
    let stream = TcpStream::connect(address).await;
    let mut stream = stream.expect("the server takes connections");
    let words = format!("{words}\r\n\r\n");
    let written = stream.write_all(words.as_bytes()).await;
    written.expect("the server reads");
    let mut answer = Vec::new();
    let _ = patiently("the end of the connection", stream.read_to_end(&mut answer)).await;
}

#[tokio::test]
async fn nothing_that_people_say_is_logged_or_kept_readable() {
    const PASSWORD: &str = "quattro sassi nel torrente";
    const WORDS: &str = "what Ada wrote to Bob";
    let folder = support::folder();
    let setup = Setup::in_folder(folder.path())
        .env("LOG_LEVEL", "trace")
        .env("ENCRYPTION_MASTER_KEY", KEY)
        .env("ENCRYPTION_LEGACY_KEYS", OTHER_KEY);
    let server = setup.start().await;
    let registration = Register {
        username: "ada".to_owned(),
        password: SecretText::new(PASSWORD),
        display_name: None,
        device_name: None,
    };
    let ada = server.http().call(registration).await.unwrap();
    let log_in = LogIn {
        username: "ada".to_owned(),
        password: SecretText::new(PASSWORD),
        device: None,
        device_name: None,
    };
    server.http().call(log_in).await.unwrap();
    let ada = ruggine_server::testing::Person { login: ada };
    let bob = server.register("bob").await;
    let group = server.group(&ada, &[&bob]).await;
    for encoding in [Encoding::Json, Encoding::MsgPack] {
        let mut socket = server.socket(&ada, encoding).await;
        socket.call(text_message(group, WORDS)).await.unwrap();
        socket.close().await;
    }
    server
        .http_of(&ada)
        .call(text_message(group, WORDS))
        .await
        .unwrap();
    server.http_of(&bob).read_log(group).await.unwrap();
    speak_nonsense(server.api(), ada.token().expose()).await;
    let ended = server.stop().await;
    assert_eq!(ended.code(), Some(0));
    assert!(
        ended.stdout.contains("\"DEBUG\""),
        "the loudest level was asked for"
    );

    let device_secret = ada.login.device_secret.clone().unwrap();
    let hex = |text: &str| {
        text.bytes()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    let mut secrets = Vec::new();
    for secret in [
        PASSWORD,
        WORDS,
        KEY,
        OTHER_KEY,
        ada.token().expose(),
        ada.login.tokens.refresh.expose(),
        device_secret.expose(),
    ] {
        secrets.push(secret.to_owned());
        secrets.push(hex(secret));
    }
    let everything = ended.everything();
    for secret in &secrets {
        assert!(
            !everything.contains(secret.as_str()),
            "{secret} is in the log"
        );
    }
    let needles: Vec<&str> = secrets.iter().map(String::as_str).collect();
    let hits = find_plaintext(folder.path(), &needles).unwrap();
    assert!(hits.is_empty(), "{hits:?}");
}

#[tokio::test]
async fn with_encryption_off_it_says_so_and_does_so() {
    const WORDS: &str = "readable by whoever has the disk";
    let folder = support::folder();
    let setup = Setup::in_folder(folder.path()).flag("--enable-encryption", "false");
    let mut server = setup.start().await;
    let warning = server
        .line(
            "ENABLE_ENCRYPTION=false: EVERY TEXT IS STORED READABLE. Whoever reads the database reads the messages",
        )
        .await;
    assert_eq!(warning["level"], "WARN");
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let group = server.group(&ada, &[&bob]).await;
    server
        .http_of(&ada)
        .call(text_message(group, WORDS))
        .await
        .unwrap();
    let log = server.http_of(&bob).read_log(group).await.unwrap();
    assert_eq!(log.last().and_then(words_of).as_deref(), Some(WORDS));
    assert_eq!(server.stop().await.code(), Some(0));
    assert!(
        !folder
            .path()
            .join("ruggine-data")
            .join("master.key")
            .exists()
    );
    // Sealed and readable records are never mixed.
    let ended = patiently("the end", Setup::in_folder(folder.path()).run()).await;
    assert_eq!(ended.code(), Some(1));
    assert!(
        ended.stderr.contains("unsealed records"),
        "{}",
        ended.stderr
    );
}
