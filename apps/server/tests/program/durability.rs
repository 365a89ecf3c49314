//! What was acknowledged stays: through kills in mid-load, and because every
//! acknowledgement comes after its message is on stable storage.

mod full_database;
mod load;
mod shim;

use std::collections::HashMap;
use std::time::Instant;

use ruggine_core::api::conversation::{self, ConversationKind, Create, ProtectionMode};
use ruggine_core::codec::Encoding;
use ruggine_core::{ErrorCode, Event, Seq};
use ruggine_server::store::Maintenance;
use ruggine_server::store::sqlite::SqliteStore;
use ruggine_server::testing::{patiently, text_message};

use super::support::{self, Setup};
use load::{Load, Stage};
use shim::Shim;

const KILLS: usize = 20;
const SIGKILL: i32 = 9;

#[tokio::test(flavor = "multi_thread")]
async fn twenty_kills_in_mid_load_lose_nothing_that_was_acknowledged() {
    let began = Instant::now();
    let folder = support::folder();
    let setup = Setup::in_folder(folder.path());
    let server = setup.start().await;
    let people = [
        server.register("ada").await,
        server.register("bob").await,
        server.register("eva").await,
        server.register("ugo").await,
    ];
    let [ada, bob, eva, ugo] = &people;
    let everybody = server.group(ada, &[bob, eva, ugo]).await;
    let some = server.group(bob, &[ada, eva]).await;
    let mut load = Load::new(server.api());
    for (person, conversations, encoding) in [
        (ada, vec![everybody, some], Encoding::MsgPack),
        (bob, vec![some, everybody], Encoding::Json),
        (eva, vec![everybody, some], Encoding::Json),
        (ugo, vec![everybody], Encoding::MsgPack),
    ] {
        load.send(person, conversations, encoding);
    }
    for (person, encoding) in [(ada, Encoding::Json), (eva, Encoding::MsgPack)] {
        let device = server.another_device(person).await;
        load.listen(&device, encoding);
    }

    let mut server = server;
    let mut made = Vec::new();
    let mut wanted = 0;
    for round in 0..KILLS {
        // From the first acknowledgement to far into the load, all mixed.
        let acks = 1 + (round * 17) % 61;
        wanted += acks;
        load.wait_for_acks(server.api(), acks).await;
        // What is made while messages fly is promised too.
        let create = Create {
            kind: ConversationKind::Group,
            mode: ProtectionMode::Managed,
            members: vec![bob.user()],
            id: None,
        };
        let created = server.http_of(ugo).call(create).await;
        made.push(created.expect("a group can be made").id);
        let ended = server.kill().await;
        assert_eq!(
            ended.signal(),
            Some(SIGKILL),
            "it ran until it was killed: {}",
            ended.stderr
        );
        server = setup.start().await;
        for id in &made {
            let get = conversation::Get { conversation: *id };
            let kept = server.http_of(bob).call(get).await;
            kept.unwrap_or_else(|error| panic!("{id} was promised before kill {round}: {error}"));
        }
        load.tell(Stage {
            address: server.api(),
            last: round + 1 == KILLS,
            heads: None,
        });
    }

    // All that waits for an answer gets one; then everybody reads to the end.
    load.senders_are_done().await;
    let mut heads = HashMap::new();
    let auditor = server.another_device(bob).await;
    for id in [everybody, some] {
        let log = server.http_of(&auditor).read_log(id).await;
        let log = log.expect("a member may read");
        heads.insert(id, Seq::new(log.len() as u64));
        for item in log {
            load.read(auditor.device(), id, &item);
        }
    }
    let address = server.api();
    load.tell(Stage {
        address,
        last: true,
        heads: Some(heads.clone()),
    });
    let listeners = load.listeners_are_done().await;
    let mut history = load.into_history();
    for device in listeners.into_iter().chain([auditor.device()]) {
        for id in [everybody, some] {
            history.must_have(device, id, Seq::new(1), Seq::MAX);
        }
    }
    let summary = history.check().unwrap_or_else(|broken| panic!("{broken}"));
    let rows: u64 = heads.values().map(|head| head.get()).sum();
    support::tell(&format!(
        "{KILLS} kills: {} sent, {} acknowledged, {} rows in {} logs, {rows} in the database, {:?}",
        summary.sent,
        summary.acked,
        summary.read,
        summary.logs,
        began.elapsed()
    ));
    assert!(summary.acked >= wanted);
    assert_eq!(
        summary.acked, summary.sent,
        "in the end every message has its answer"
    );
    // One row for each message, and the notices with which the two began.
    assert_eq!(rows, summary.sent as u64 + 2);
    assert_eq!(summary.logs, 6);
    assert_eq!(summary.read as u64, 3 * rows);
    assert_eq!(server.stop().await.code(), Some(0));
}

#[tokio::test]
async fn the_database_says_that_its_commits_are_durable() {
    let folder = support::folder();
    let server = Setup::in_folder(folder.path()).start().await;
    let database = folder.path().join("ruggine-data").join("ruggine.sqlite");
    let header = std::fs::read(&database).unwrap();
    assert_eq!(
        &header[18..20],
        &[2, 2],
        "the file's header says: write-ahead log"
    );
    assert_eq!(server.stop().await.code(), Some(0));

    let store = SqliteStore::open(&database).await.unwrap();
    let facts = Maintenance::facts(&store).await.unwrap();
    let expected = [("journal_mode", "wal"), ("synchronous", "2")];
    let found: Vec<(&str, &str)> = facts
        .durability
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn no_acknowledgement_comes_before_its_message_is_on_stable_storage() {
    const MESSAGES: usize = 40;
    let folder = support::folder();
    let shim = Shim::build(folder.path());
    let server = shim.over(Setup::in_folder(folder.path())).start().await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let group = server.group(&ada, &[&bob]).await;
    let mut socket = server.socket(&ada, Encoding::MsgPack).await;
    let at_first = shim.syncs();
    assert!(at_first > 0, "the program's calls to the system are seen");
    for number in 0..MESSAGES {
        let before = shim.syncs();
        socket
            .call(text_message(group, &format!("word {number}")))
            .await
            .unwrap();
        assert!(
            shim.syncs() > before,
            "message {number} was acknowledged without a sync"
        );
    }
    let syncs = shim.syncs() - at_first;
    support::tell(&format!(
        "{MESSAGES} messages one by one: {syncs} syncs of the log"
    ));
    assert!(syncs >= MESSAGES);
}

#[tokio::test]
async fn messages_that_wait_together_share_a_sync() {
    // As many as one device may send at once.
    const MESSAGES: usize = 60;
    let folder = support::folder();
    let shim = Shim::build(folder.path()).slow();
    let server = shim.over(Setup::in_folder(folder.path())).start().await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let group = server.group(&ada, &[&bob]).await;
    let mut socket = server.socket(&ada, Encoding::MsgPack).await;
    let before = shim.syncs();
    let mut pending = Vec::new();
    for number in 0..MESSAGES {
        let message = text_message(group, &format!("word {number}"));
        pending.push(socket.begin(&message).await.unwrap());
    }
    let mut last = Seq::ZERO;
    for answer in pending {
        let ack = socket.finish(answer).await.unwrap().unwrap();
        assert!(ack.seq > last, "one socket's messages keep their order");
        last = ack.seq;
    }
    let syncs = shim.syncs() - before;
    support::tell(&format!(
        "{MESSAGES} messages together: {syncs} syncs of the log"
    ));
    assert!(syncs >= 1);
    assert!(
        syncs <= MESSAGES / 2,
        "{MESSAGES} messages that wait together took {syncs} syncs"
    );
}

#[tokio::test]
async fn a_message_that_the_disk_does_not_take_is_not_acknowledged() {
    without_writing(Shim::break_disk).await;
}

#[tokio::test]
async fn a_full_disk_stops_writing_and_not_reading_until_there_is_room() {
    without_writing(Shim::fill_disk).await;
}

/// The server while its disk takes nothing, and when it does again.
async fn without_writing(trouble: fn(&Shim)) {
    let folder = support::folder();
    let shim = Shim::build(folder.path());
    let server = shim.over(Setup::in_folder(folder.path())).start().await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let group = server.group(&ada, &[&bob]).await;
    let mut socket = server.socket(&ada, Encoding::MsgPack).await;
    let mut ear = server.socket(&bob, Encoding::Json).await;
    let message = text_message(group, "not yet");

    trouble(&shim);
    let refused = socket.call(message.clone()).await;
    let refused = refused.expect_err("the disk takes nothing");
    assert_eq!(refused.code, ErrorCode::Unavailable);
    assert!(refused.retryable);
    // Whoever reads notices nothing, and hears of nothing.
    let told = ear.catch_up().await;
    assert!(
        !told.iter().any(|event| matches!(event, Event::Message(_))),
        "nobody is told of a message that is not kept: {told:?}"
    );
    let log = server.http_of(&bob).read_log(group).await;
    let log = log.expect("a member may read");
    assert_eq!(log.len(), 1, "the notice alone: {log:?}");
    shim.mend_disk();

    let ack = socket.call(message.clone()).await;
    let ack = ack.expect("the disk takes it again");
    let (_, row) = ear.next_row().await;
    assert_eq!(
        (row.seq, row.client_msg_id),
        (ack.seq, message.client_msg_id)
    );
    let log = server.http_of(&bob).read_log(group).await;
    let log = log.expect("a member may read");
    assert_eq!(log.len(), 2, "the notice and the message, once: {log:?}");
    let ended = patiently("the end", server.stop()).await;
    assert_eq!(ended.code(), Some(0));
}
