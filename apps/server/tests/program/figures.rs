//! The figures: there from the start, and moved by what happens.

use ruggine_core::api::message::Item;
use ruggine_core::codec::Encoding;
use ruggine_server::testing::{eventually, text_message, words_of};

use super::support::{self, Setup};

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
