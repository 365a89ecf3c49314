//! Two engines over one store and one bus: what one commits, the sockets of
//! the other hear, whatever the bus loses.
#![cfg(all(feature = "http", feature = "sqlite"))]

mod rosters;

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use ruggine_core::api::message::RowKind;
use ruggine_core::api::position::Read;
use ruggine_core::api::presence::SetTyping;
use ruggine_core::api::session::Revoke;
use ruggine_core::codec::Encoding;
use ruggine_core::event::PositionEvent;
use ruggine_core::time::SystemClock;
use ruggine_core::{Clock, ConversationId, Event, Seq, UserId};
use ruggine_server::bus::{Bus, BusError, InstanceId, LocalBus, Notice, Notices, Passage, Topic};
use ruggine_server::store::{Append, DynMessageStore, NewRow};
use ruggine_server::testing::{
    Faults, FaultyBus, Person, SharedStore, SocketClient, TestServer, eventually, fresh_message_id,
    open_sqlite, text_message,
};
use tempfile::TempDir;
use tokio::sync::Semaphore;

const REVOKED: Option<u16> = Some(4003);
const NEVER: Duration = Duration::from_secs(60 * 60);

/// Two servers on one database.
struct Pair {
    one: TestServer,
    other: TestServer,
    bus: Arc<FaultyBus>,
    store: Arc<SharedStore>,
    _folder: TempDir,
}

/// A pair of which nobody compares heads by the clock: what is heard, is heard
/// over the bus.
async fn pair() -> Pair {
    pair_that_sweeps(NEVER).await
}

async fn pair_that_sweeps(interval: Duration) -> Pair {
    pair_with(interval, interval).await
}

async fn pair_with(sweep: Duration, relay: Duration) -> Pair {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let store = Arc::new(SharedStore::new(open_sqlite(folder.path()).await));
    let bus = Arc::new(FaultyBus::new(7));
    let options = TestServer::options()
        .folder(folder.path())
        .store(store.clone())
        .bus(bus.clone())
        .sweep_interval(sweep)
        .relay_after(relay);
    Pair {
        one: options.clone().start().await,
        other: options.start().await,
        bus,
        store,
        _folder: folder,
    }
}

async fn expect_rows(
    socket: &mut SocketClient,
    conversation: ConversationId,
    numbers: std::ops::RangeInclusive<u64>,
) {
    for number in numbers {
        let (from, row) = socket.next_row().await;
        assert_eq!((from, row.seq), (conversation, Seq::new(number)));
    }
}

async fn say(server: &TestServer, person: &Person, conversation: ConversationId) -> Seq {
    server
        .http_of(person)
        .call(text_message(conversation, "ciao"))
        .await
        .expect("a member may write")
        .seq
}

#[tokio::test]
async fn what_one_instance_commits_the_sockets_of_the_other_hear_in_order() {
    let pair = pair().await;
    let ada = pair.one.register("ada").await;
    let bob = pair.one.register("bob").await;
    let group = pair.one.group(&ada, &[&bob]).await;
    let mut a = pair.one.socket(&ada, Encoding::MsgPack).await;
    let mut b = pair.other.socket(&bob, Encoding::Json).await;
    for _ in 0..20 {
        a.call(text_message(group, "from one")).await.unwrap();
        b.call(text_message(group, "from the other")).await.unwrap();
    }
    expect_rows(&mut a, group, 2..=41).await;
    expect_rows(&mut b, group, 2..=41).await;
}

#[tokio::test]
async fn a_long_message_crosses_although_its_body_is_no_part_of_the_hint() {
    let pair = pair().await;
    let ada = pair.one.register("ada").await;
    let bob = pair.one.register("bob").await;
    let group = pair.one.group(&ada, &[&bob]).await;
    let mut b = pair.other.socket(&bob, Encoding::Json).await;
    let message = text_message(group, &"x".repeat(30 * 1024));
    pair.one.http_of(&ada).call(message.clone()).await.unwrap();
    let (_, row) = b.next_row().await;
    assert_eq!(Some(row.payload), message.payload);
}

#[tokio::test]
async fn a_gap_left_by_lost_hints_is_closed_by_the_next_one() {
    let pair = pair().await;
    let ada = pair.one.register("ada").await;
    let bob = pair.one.register("bob").await;
    let group = pair.one.group(&ada, &[&bob]).await;
    let mut b = pair.other.socket(&bob, Encoding::Json).await;
    pair.bus.set_faults(Faults::EVERYTHING_IS_LOST);
    for _ in 0..250 {
        say(&pair.one, &ada, group).await;
    }
    pair.bus.heal().await;
    say(&pair.one, &ada, group).await;
    expect_rows(&mut b, group, 2..=252).await;
}

#[tokio::test]
async fn what_is_lost_on_the_bus_for_good_the_sweep_brings() {
    let pair = pair_that_sweeps(Duration::from_millis(50)).await;
    let ada = pair.one.register("ada").await;
    let bob = pair.one.register("bob").await;
    let group = pair.one.group(&ada, &[&bob]).await;
    let mut b = pair.other.socket(&bob, Encoding::Json).await;
    pair.bus.set_faults(Faults::EVERYTHING_IS_LOST);
    for number in 2..12 {
        say(&pair.one, &ada, group).await;
        expect_rows(&mut b, group, number..=number).await;
    }
}

#[tokio::test]
async fn a_row_that_is_committed_while_a_gap_is_being_closed_is_told_too() {
    let pair = pair().await;
    let ada = pair.one.register("ada").await;
    let bob = pair.one.register("bob").await;
    let group = pair.one.group(&ada, &[&bob]).await;
    let mut b = pair.other.socket(&bob, Encoding::MsgPack).await;
    pair.bus.set_faults(Faults::EVERYTHING_IS_LOST);
    say(&pair.one, &ada, group).await;
    pair.bus.heal().await;
    let held = pair.store.hold_rows().await;
    say(&pair.one, &ada, group).await;
    eventually("the gap to be noticed", || async {
        pair.store.waiting_for_rows() > 0
    })
    .await;
    // The other instance has read where the log stands, and is told of one more row.
    let last = say(&pair.one, &ada, group).await;
    let typing = SetTyping {
        conversation: group,
        active: true,
    };
    pair.one.http_of(&ada).call(typing).await.unwrap();
    b.wait_for(|event| matches!(event, Event::Typing(_))).await;
    drop(held);
    expect_rows(&mut b, group, 2..=last.get()).await;
}

#[tokio::test]
async fn rows_are_told_in_order_however_often_gaps_are_closed() {
    let pair = pair().await;
    let ada = pair.one.register("ada").await;
    let bob = pair.one.register("bob").await;
    let group = pair.one.group(&ada, &[&bob]).await;
    let mut a = pair.one.socket(&ada, Encoding::MsgPack).await;
    let mut b = pair.other.socket(&bob, Encoding::MsgPack).await;
    let mut last = 1;
    for _ in 0..50 {
        pair.bus.set_faults(Faults::EVERYTHING_IS_LOST);
        a.call(text_message(group, "lost")).await.unwrap();
        pair.bus.heal().await;
        let mut pending = Vec::new();
        for _ in 0..4 {
            pending.push(a.begin(&text_message(group, "heard")).await.unwrap());
        }
        for pending in pending {
            a.finish(pending).await.unwrap().unwrap();
        }
        a.take_events();
        expect_rows(&mut b, group, last + 1..=last + 5).await;
        last += 5;
    }
}

#[tokio::test]
async fn a_device_that_comes_back_at_once_still_hears_the_other_instance() {
    let pair = pair().await;
    let ada = pair.one.register("ada").await;
    let bob = pair.one.register("bob").await;
    let group = pair.one.group(&ada, &[&bob]).await;
    for _ in 0..100 {
        let first = pair.other.socket(&bob, Encoding::MsgPack).await;
        // Nobody waits until the server has noticed that it is gone.
        drop(first);
        let mut second = pair.other.socket(&bob, Encoding::MsgPack).await;
        let next = say(&pair.one, &ada, group).await.get();
        expect_rows(&mut second, group, next..=next).await;
    }
}

/// A bus that takes its time to give topics up.
#[derive(Debug)]
struct LateUnfollow {
    inner: LocalBus,
    gate: Semaphore,
    held: AtomicUsize,
    given_up: AtomicUsize,
}

impl LateUnfollow {
    fn new() -> Self {
        Self {
            inner: LocalBus::new(),
            gate: Semaphore::new(0),
            held: AtomicUsize::new(0),
            given_up: AtomicUsize::new(0),
        }
    }
}

impl Bus for LateUnfollow {
    async fn attach(&self, instance: InstanceId) -> Result<Notices, BusError> {
        Bus::attach(&self.inner, instance).await
    }

    async fn follow(&self, instance: InstanceId, topics: Vec<Topic>) -> Result<(), BusError> {
        Bus::follow(&self.inner, instance, topics).await
    }

    async fn unfollow(&self, instance: InstanceId, topics: Vec<Topic>) -> Result<(), BusError> {
        self.held.fetch_add(1, Ordering::SeqCst);
        let permit = self.gate.acquire().await;
        let result = Bus::unfollow(&self.inner, instance, topics).await;
        drop(permit);
        self.given_up.fetch_add(1, Ordering::SeqCst);
        result
    }

    async fn publish(
        &self,
        from: InstanceId,
        topic: Topic,
        notice: Notice,
    ) -> Result<Passage, BusError> {
        Bus::publish(&self.inner, from, topic, notice).await
    }

    async fn lease(&self, instance: InstanceId, users: Vec<UserId>) -> Result<(), BusError> {
        Bus::lease(&self.inner, instance, users).await
    }

    async fn release(&self, instance: InstanceId, users: Vec<UserId>) -> Result<(), BusError> {
        Bus::release(&self.inner, instance, users).await
    }

    async fn leased(&self, users: Vec<UserId>) -> Result<HashSet<UserId>, BusError> {
        Bus::leased(&self.inner, users).await
    }
}

#[tokio::test]
async fn a_topic_that_is_given_up_late_is_not_lost_to_who_came_back_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(SharedStore::new(open_sqlite(folder.path()).await));
    let bus = Arc::new(LateUnfollow::new());
    let options = TestServer::options()
        .folder(folder.path())
        .store(store)
        .bus(bus.clone())
        .sweep_interval(NEVER);
    let one = options.clone().start().await;
    let other = options.start().await;
    let ada = one.register("ada").await;
    let bob = one.register("bob").await;
    let group = one.group(&ada, &[&bob]).await;
    other.socket(&bob, Encoding::MsgPack).await.close().await;
    eventually("topics to be given up", || async {
        bus.held.load(Ordering::SeqCst) > 0
    })
    .await;
    // Either the engine lets them in at once, or it first gives up the topics.
    let mut coming = std::pin::pin!(other.socket(&bob, Encoding::MsgPack));
    let came = tokio::time::timeout(Duration::from_millis(500), coming.as_mut()).await;
    bus.gate.add_permits(1_000);
    let mut back = match came {
        Ok(back) => back,
        Err(_) => coming.await,
    };
    eventually("topics to be gone", || async {
        bus.given_up.load(Ordering::SeqCst) > 0
    })
    .await;
    // Whoever gave them up has had the time to think again.
    back.catch_up().await;
    let next = say(&one, &ada, group).await.get();
    expect_rows(&mut back, group, next..=next).await;
    let direct = one.direct(&ada, &bob).await;
    let told = |event: &Event| match event {
        Event::Message(message) => message.conversation == direct,
        Event::Resync(resync) => resync.heads.iter().any(|mark| mark.conversation == direct),
        _ => false,
    };
    back.wait_for(told).await;
}

#[tokio::test]
async fn between_heads_and_events_no_number_is_missing_across_instances_either() {
    let pair = Arc::new(pair().await);
    let ada = pair.one.register("ada").await;
    let bob = pair.one.register("bob").await;
    let group = pair.one.group(&ada, &[&bob]).await;
    let over = Arc::new(AtomicBool::new(false));
    let flood = {
        let (over, pair) = (Arc::clone(&over), Arc::clone(&pair));
        tokio::spawn(async move {
            let mut socket = pair.one.socket(&ada, Encoding::MsgPack).await;
            while !over.load(Ordering::Relaxed) {
                socket.call(text_message(group, "flood")).await.unwrap();
                socket.take_events();
            }
        })
    };
    for _ in 0..50 {
        let mut socket = SocketClient::connect(pair.other.address(), Encoding::MsgPack).await;
        let heads = socket.hello(bob.token()).await.unwrap();
        let head = heads.conversations[0].head;
        let (_, first) = socket.next_row().await;
        assert!(
            first.seq <= head.next(),
            "{} after a head of {head}",
            first.seq
        );
        let from = first.seq.get();
        expect_rows(&mut socket, group, from + 1..=from + 5).await;
    }
    over.store(true, Ordering::Relaxed);
    flood.await.unwrap();
}

#[tokio::test]
async fn a_read_position_reaches_the_members_on_the_other_instance() {
    let pair = pair().await;
    let ada = pair.one.register("ada").await;
    let bob = pair.one.register("bob").await;
    let group = pair.one.group(&ada, &[&bob]).await;
    let mut a = pair.one.socket(&ada, Encoding::Json).await;
    let mut b = pair.other.socket(&bob, Encoding::Json).await;
    b.catch_up().await;
    a.call(Read {
        conversation: group,
        seq: Seq::new(1),
    })
    .await
    .unwrap();
    let expected = PositionEvent {
        conversation: group,
        user: ada.user(),
        seq: Seq::new(1),
    };
    let event = b.wait_for(|event| matches!(event, Event::Read(_))).await;
    assert_eq!(event, Event::Read(expected));
}

#[tokio::test]
async fn a_read_position_told_over_http_reaches_members_who_are_on_the_other_instance() {
    let pair = pair().await;
    let ada = pair.one.register("ada").await;
    let bob = pair.one.register("bob").await;
    let group = pair.one.group(&ada, &[&bob]).await;
    let mut b = pair.other.socket(&bob, Encoding::Json).await;
    let read = Read {
        conversation: group,
        seq: Seq::new(1),
    };
    pair.one.http_of(&ada).call(read).await.unwrap();
    b.wait_for(|event| matches!(event, Event::Read(_))).await;
}

#[tokio::test]
async fn a_read_position_reaches_the_users_own_device_on_the_other_instance() {
    let pair = pair().await;
    let ada = pair.one.register("ada").await;
    let phone = pair.one.another_device(&ada).await;
    let bob = pair.one.register("bob").await;
    let group = pair.one.group(&ada, &[&bob]).await;
    let mut a = pair.one.socket(&ada, Encoding::Json).await;
    let mut p = pair.other.socket(&phone, Encoding::Json).await;
    a.call(Read {
        conversation: group,
        seq: Seq::new(1),
    })
    .await
    .unwrap();
    p.wait_for(|event| matches!(event, Event::Read(_))).await;
}

#[tokio::test]
async fn typing_and_presence_cross_instances() {
    let pair = pair().await;
    let ada = pair.one.register("ada").await;
    let bob = pair.one.register("bob").await;
    let group = pair.one.group(&ada, &[&bob]).await;
    let mut b = pair.other.socket(&bob, Encoding::Json).await;
    let mut a = pair.one.socket(&ada, Encoding::Json).await;
    let online = |event: &Event| matches!(event, Event::Presence(presence) if presence.user == ada.user() && presence.online);
    b.wait_for(online).await;
    a.call(SetTyping {
        conversation: group,
        active: true,
    })
    .await
    .unwrap();
    b.wait_for(|event| matches!(event, Event::Typing(_))).await;
}

#[tokio::test]
async fn a_session_revoked_on_one_instance_loses_its_socket_on_the_other() {
    for (faults, sweep) in [
        (Faults::default(), NEVER),
        (Faults::EVERYTHING_IS_LOST, Duration::from_millis(50)),
    ] {
        let pair = pair_that_sweeps(sweep).await;
        let ada = pair.one.register("ada").await;
        let phone = pair.one.another_device(&ada).await;
        let mut socket = pair.other.socket(&phone, Encoding::MsgPack).await;
        pair.bus.set_faults(faults);
        let revoke = Revoke {
            session: phone.session(),
        };
        pair.one.http_of(&ada).call(revoke).await.unwrap();
        assert_eq!(socket.ending().await.code, REVOKED);
    }
}

#[tokio::test]
async fn what_an_instance_committed_and_did_not_live_to_announce_the_others_announce() {
    let pair = pair_with(NEVER, Duration::from_millis(20)).await;
    let ada = pair.one.register("ada").await;
    let bob = pair.one.register("bob").await;
    let group = pair.one.group(&ada, &[&bob]).await;
    let mut a = pair.one.socket(&ada, Encoding::Json).await;
    let mut b = pair.other.socket(&bob, Encoding::Json).await;
    let now = SystemClock.now();
    let row = NewRow {
        conversation: group,
        kind: RowKind::Message,
        sender: ada.user(),
        device: ada.device(),
        client_msg_id: fresh_message_id(),
        epoch: None,
        server_ts: now,
        key_id: "none".into(),
        body: "{}".into(),
        write_counter: None,
        counter_floor: None,
    };
    let batch = Append {
        rows: vec![row],
        settled: Vec::new(),
        at: now,
    };
    pair.store.append(batch).await.unwrap();
    for socket in [&mut a, &mut b] {
        let event = socket
            .wait_for(|event| matches!(event, Event::Message(_)))
            .await;
        let Event::Message(message) = event else {
            panic!()
        };
        assert_eq!(message.item.span(), Some((Seq::new(2), Seq::new(2))));
    }
}
