//! Several processes on one PostgreSQL database and one Redis server.

use std::sync::Arc;

use parking_lot::Mutex;
use ruggine_core::Seq;
use ruggine_core::api::message::{PageRequest, PageStart};
use ruggine_core::codec::Encoding;
use ruggine_server::testing::{
    FaultProxy, History, RoamingDevice, SharedHistory, TestDatabase, eventually, patiently,
    text_message,
};

use super::support::{self, Process, Setup};

const KEY: &str = "7f3a91d2c4b5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f70819a0b1c2d3e4f5";
const KILLS: usize = 6;
const PROGRESS: u64 = 60;
const BACKLOG: usize = 8;

/// A program on a database and on Redis, with nothing that takes time.
pub(crate) fn setup(folder: &std::path::Path, database: &TestDatabase) -> Setup {
    let redis = std::env::var("TEST_REDIS_URL").expect("run the tests with `cargo xtask test`");
    Setup::in_folder(folder)
        .env("DATABASE_URL", database.url().expose())
        .env("REDIS_URL", redis)
        .env("ENCRYPTION_MASTER_KEY", KEY)
        .env("RUGGINE_RATE_LIMITS", "false")
        .env("RUGGINE_DRAIN_LEAD_SECONDS", "0")
        .env("RUGGINE_DRAIN_SPREAD_SECONDS", "0")
}

#[tokio::test]
async fn what_one_process_commits_another_tells() {
    let folder = support::folder();
    let database = TestDatabase::create().await;
    let setup = setup(folder.path(), &database);
    let one = setup.start().await;
    let other = setup.start().await;
    let ada = one.register("ada").await;
    let bob = other.register("bob").await;
    let group = one.group(&ada, &[&bob]).await;
    let mut ear = other.socket(&bob, Encoding::MsgPack).await;
    let said = one.http_of(&ada).call(text_message(group, "ciao")).await;
    let ack = said.expect("a member may write");
    let (_, row) = ear.next_row().await;
    assert_eq!(row.seq, ack.seq);
    let figures = one.metrics().await;
    for (setting, value) in [("fsync", "on"), ("synchronous_commit", "on")] {
        let sample = format!("store_durability{{setting=\"{setting}\",value=\"{value}\"}}");
        assert_eq!(figures.value(&sample), Some(1.0), "{}", figures.0);
    }
    assert_eq!(figures.value("bus_away"), Some(0.0));
    for process in [one, other] {
        process.signal(rustix::process::Signal::TERM);
        assert_eq!(process.ended().await.code(), Some(0));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_that_are_killed_under_load_lose_nothing_that_they_promised() {
    let folder = support::folder();
    let database = TestDatabase::create().await;
    let setup = setup(folder.path(), &database);
    let mut processes: Vec<Process> = vec![setup.start().await, setup.start().await];
    // Their addresses stay, whichever process is behind them.
    let doors = [
        FaultProxy::start(processes[0].api()).await,
        FaultProxy::start(processes[1].api()).await,
    ];
    let ada = processes[0].register("ada").await;
    let bob = processes[0].register("bob").await;
    let phone = processes[0].another_device(&ada).await;
    let group = processes[0].group(&ada, &[&bob]).await;
    let history: SharedHistory = Arc::new(Mutex::new(History::new()));
    let addresses: Vec<_> = doors.iter().map(FaultProxy::address).collect();
    let devices: Vec<RoamingDevice> = [ada.clone(), bob, phone]
        .into_iter()
        .map(|person| {
            RoamingDevice::start(
                person,
                Encoding::MsgPack,
                addresses.clone(),
                Arc::clone(&history),
            )
        })
        .collect();
    let acked = || devices.iter().map(RoamingDevice::acked).sum::<u64>();
    let progress = async || {
        let goal = acked() + PROGRESS;
        patiently("messages to be acknowledged", async {
            while acked() < goal {
                for device in &devices {
                    while device.waiting() < BACKLOG {
                        device.write(group, "under load");
                    }
                }
                tokio::task::yield_now().await;
            }
        })
        .await;
    };
    for kill in 0..KILLS {
        progress().await;
        let place = kill % processes.len();
        let killed = processes.remove(place);
        killed.kill().await;
        progress().await;
        let fresh = setup.start().await;
        doors[place].set_target(fresh.api());
        processes.insert(place, fresh);
    }
    eventually("every message to be acknowledged", || async {
        devices.iter().all(|device| device.waiting() == 0)
    })
    .await;
    let newest = PageRequest {
        conversation: group,
        from: PageStart::Newest,
        limit: Some(1),
        as_content: false,
    };
    let page = processes[0].http_of(&ada).call(newest).await;
    let head = page.expect("a member may read").head;
    eventually("everybody to have the whole log", || async {
        devices.iter().all(|device| device.cursor(group) == head)
    })
    .await;
    for device in devices {
        let id = device.person().device();
        history.lock().must_have(id, group, Seq::new(1), head);
        device.stop().await;
    }
    let summary = history.lock().check().expect("every promise was kept");
    assert_eq!(summary.sent, summary.acked, "{summary:?}");
    for process in processes {
        process.kill().await;
    }
}

#[tokio::test]
async fn a_database_that_cannot_be_reached_is_told_by_the_name_of_its_setting() {
    let folder = support::folder();
    let database = TestDatabase::create().await;
    let url = database.url();
    let (login, rest) = url.expose().split_once('@').expect("it has a login");
    let (user, _) = login.rsplit_once(':').expect("it has a password");
    let url = format!("{user}:wrong@{rest}");
    let ended = setup(folder.path(), &database)
        .env("DATABASE_URL", url)
        .run()
        .await;
    assert_eq!(ended.code(), Some(1));
    let said = ended.everything();
    assert!(said.contains("DATABASE_URL"), "{said}");
    assert!(!said.contains("wrong"), "{said}");
}

#[tokio::test]
async fn a_redis_that_cannot_be_reached_is_told_by_the_name_of_its_setting() {
    let folder = support::folder();
    let database = TestDatabase::create().await;
    let ended = setup(folder.path(), &database)
        .env("REDIS_URL", "redis://:hunter2@127.0.0.1:1")
        .run()
        .await;
    assert_eq!(ended.code(), Some(1));
    let said = ended.everything();
    assert!(said.contains("REDIS_URL"), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
}
