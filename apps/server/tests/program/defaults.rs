//! The program as it comes: nothing set but free ports.

use std::collections::BTreeSet;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use ruggine_core::codec::Encoding;
use ruggine_server::key_source::KeyFile;
use ruggine_server::testing::{HttpClient, SocketClient};
use serde_json::Value;

use super::support::{self, Setup};

fn mode(path: impl AsRef<Path>) -> u32 {
    fs::metadata(path)
        .expect("it is there")
        .permissions()
        .mode()
        & 0o777
}

/// The addresses on which a process listens, as the system knows them.
pub(crate) fn listening(process: u32) -> BTreeSet<SocketAddr> {
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
async fn a_database_that_is_said_to_be_restored_begins_its_log_anew() {
    let folder = support::folder();
    let setup = Setup::in_folder(folder.path());
    let server = setup.start().await;
    let ada = server.register("ada").await;
    let group = server.group(&ada, &[]).await;
    let hello = async |server: &support::Process| {
        let mut socket = SocketClient::connect(server.api(), Encoding::Json).await;
        let heads = socket.hello(ada.token()).await;
        heads.expect("the token is valid").incarnation
    };
    let before = hello(&server).await;
    server.stop().await;
    let again = setup.start().await;
    assert_eq!(hello(&again).await, before);
    again.stop().await;

    let said = setup.clone().bare_flag("--restored").run().await;
    assert_eq!(said.code(), Some(0), "{}", said.everything());
    let server = setup.start().await;
    assert_ne!(hello(&server).await, before);
    let log = server.http_of(&ada).read_log(group).await;
    assert_eq!(log.expect("a member may read").len(), 1, "nothing is lost");
}
