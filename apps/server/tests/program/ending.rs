//! The end of the program: in order at a signal, at once at a second one.

use ruggine_core::codec::Encoding;
use ruggine_server::testing::{HttpClient, SocketClient, eventually, text_message, words_of};
use rustix::process::Signal;

use super::support::{self, Setup};

const GOING_AWAY: Option<u16> = Some(4009);
/// Longer than any test may take.
const LONG: &str = "86400";

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
