//! Two engines over a bus that fails and says so: hints that do not go out, and
//! topics that are not followed. Nobody waits for a sweep of the clock.
#![cfg(all(feature = "http", feature = "sqlite"))]

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use ruggine_core::api::message::{Item, RowKind};
use ruggine_core::api::session::Revoke;
use ruggine_core::codec::Encoding;
use ruggine_core::{ConversationId, Event, Seq, Timestamp, UserId};
use ruggine_server::bus::{Bus, BusError, InstanceId, LocalBus, Notice, Notices, Passage, Topic};
use ruggine_server::store::{DynMessageStore, StoredRow};
use ruggine_server::testing::{
    Person, SharedStore, TestServer, eventually, fresh_message_id, open_sqlite, text_message,
};
use tempfile::TempDir;

const NEVER: Duration = Duration::from_secs(60 * 60);
const RELAY: Duration = Duration::from_millis(20);
const REVOKED: Option<u16> = Some(4003);

/// A bus that always says that it is there.
#[derive(Debug, Default)]
struct FailingBus {
    inner: LocalBus,
    /// What is published does not go out.
    mute: AtomicBool,
    /// Topics are not followed.
    deaf: AtomicBool,
    /// Whoever wants to follow a topic has to wait while this is held.
    slow: tokio::sync::Mutex<()>,
    /// Who waits for that.
    following: AtomicUsize,
}

impl Bus for FailingBus {
    async fn attach(&self, instance: InstanceId) -> Result<Notices, BusError> {
        Bus::attach(&self.inner, instance).await
    }

    async fn follow(&self, instance: InstanceId, topics: Vec<Topic>) -> Result<(), BusError> {
        if self.deaf.load(Ordering::SeqCst) {
            return Err(BusError("topics are not followed".into()));
        }
        self.following.fetch_add(1, Ordering::SeqCst);
        drop(self.slow.lock().await);
        self.following.fetch_sub(1, Ordering::SeqCst);
        Bus::follow(&self.inner, instance, topics).await
    }

    async fn unfollow(&self, instance: InstanceId, topics: Vec<Topic>) -> Result<(), BusError> {
        Bus::unfollow(&self.inner, instance, topics).await
    }

    async fn publish(
        &self,
        from: InstanceId,
        topic: Topic,
        notice: Notice,
    ) -> Result<Passage, BusError> {
        if self.mute.load(Ordering::SeqCst) {
            return Ok(Passage::lost());
        }
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

struct Pair {
    one: TestServer,
    other: TestServer,
    bus: Arc<FailingBus>,
    store: Arc<SharedStore>,
    _folder: TempDir,
}

async fn pair(relay: Duration) -> Pair {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let store = Arc::new(SharedStore::new(open_sqlite(folder.path()).await));
    let bus = Arc::new(FailingBus::default());
    let options = TestServer::options()
        .folder(folder.path())
        .store(store.clone())
        .bus(bus.clone())
        .sweep_interval(NEVER)
        .relay_after(relay);
    Pair {
        one: options.clone().start().await,
        other: options.start().await,
        bus,
        store,
        _folder: folder,
    }
}

impl Pair {
    async fn waiting(&self) -> usize {
        let ever = Timestamp::from_millis(i64::MAX);
        let waiting = self.store.pending_batches(ever, 100).await;
        waiting.expect("the store answers").len()
    }
}

async fn say(server: &TestServer, person: &Person, conversation: ConversationId) -> Seq {
    let said = server
        .http_of(person)
        .call(text_message(conversation, "ciao"))
        .await;
    said.expect("a member may write").seq
}

fn tells_of(event: &Event, conversation: ConversationId) -> bool {
    match event {
        Event::Message(message) => message.conversation == conversation,
        Event::Resync(resync) => resync
            .heads
            .iter()
            .any(|mark| mark.conversation == conversation),
        _ => false,
    }
}

#[tokio::test]
async fn rows_whose_hints_do_not_go_out_are_found_in_the_outbox_by_the_others() {
    let pair = pair(RELAY).await;
    let ada = pair.one.register("ada").await;
    let bob = pair.one.register("bob").await;
    let group = pair.one.group(&ada, &[&bob]).await;
    let mut b = pair.other.socket(&bob, Encoding::MsgPack).await;
    eventually("everything to be announced", || async {
        pair.waiting().await == 0
    })
    .await;
    pair.bus.mute.store(true, Ordering::SeqCst);
    for _ in 0..3 {
        let seq = say(&pair.one, &ada, group).await;
        let (_, row) = b.next_row().await;
        assert_eq!(row.seq, seq);
    }
    assert!(
        pair.waiting().await > 0,
        "nobody says that it was announced"
    );
    pair.bus.mute.store(false, Ordering::SeqCst);
    eventually("everything to be announced", || async {
        pair.waiting().await == 0
    })
    .await;
}

#[tokio::test]
async fn who_is_added_hears_of_it_although_no_hint_goes_out() {
    let pair = pair(RELAY).await;
    let ada = pair.one.register("ada").await;
    let bob = pair.one.register("bob").await;
    let mut b = pair.other.socket(&bob, Encoding::Json).await;
    pair.bus.mute.store(true, Ordering::SeqCst);
    let group = pair.one.group(&ada, &[&bob]).await;
    b.wait_for(|event| tells_of(event, group)).await;
}

#[tokio::test]
async fn a_session_revoked_while_messages_go_unannounced_loses_its_socket() {
    let pair = pair(RELAY).await;
    let ada = pair.one.register("ada").await;
    let phone = pair.one.another_device(&ada).await;
    let talk = pair.one.group(&ada, &[]).await;
    let mut socket = pair.other.socket(&phone, Encoding::MsgPack).await;
    pair.bus.mute.store(true, Ordering::SeqCst);
    let revoke = Revoke {
        session: phone.session(),
    };
    pair.one.http_of(&ada).call(revoke).await.unwrap();
    say(&pair.one, &ada, talk).await;
    assert_eq!(socket.ending().await.code, REVOKED);
}

#[tokio::test]
async fn a_topic_that_was_not_followed_is_asked_for_again_and_the_store_meanwhile() {
    // The relay does nothing here: what is heard, the store was asked for.
    let pair = pair(NEVER).await;
    let ada = pair.one.register("ada").await;
    let bob = pair.one.register("bob").await;
    let group = pair.one.group(&ada, &[&bob]).await;
    let topics = [Topic::Conversation(group), Topic::User(bob.user())];
    pair.bus.deaf.store(true, Ordering::SeqCst);
    let mut b = pair.other.socket(&bob, Encoding::MsgPack).await;
    let seq = say(&pair.one, &ada, group).await;
    let (_, row) = b.next_row().await;
    assert_eq!(row.seq, seq);
    for topic in topics {
        assert_eq!(pair.bus.inner.followers(topic), 0);
    }
    pair.bus.deaf.store(false, Ordering::SeqCst);
    for topic in topics {
        eventually("the topic to be followed", || async {
            pair.bus.inner.followers(topic) == 1
        })
        .await;
    }
    // From now on it is heard over the bus, and at once.
    let seq = say(&pair.one, &ada, group).await;
    let (_, row) = b.next_row().await;
    assert_eq!(row.seq, seq);
}

#[tokio::test]
async fn what_is_said_before_a_new_conversation_can_be_heard_is_read_afterwards() {
    let pair = pair(NEVER).await;
    let ada = pair.one.register("ada").await;
    let bob = pair.one.register("bob").await;
    let mut a = pair.one.socket(&ada, Encoding::Json).await;
    let held = pair.bus.slow.lock().await;
    // Its creation does not wait for the bus either.
    let group = pair.one.group(&ada, &[&bob]).await;
    eventually("the bus to be asked", || async {
        pair.bus.following.load(Ordering::SeqCst) == 1
    })
    .await;
    let seq = say(&pair.other, &bob, group).await;
    drop(held);
    let expected = |event: &Event| match event {
        Event::Message(message) => message.item.span() == Some((seq, seq)),
        _ => false,
    };
    a.wait_for(expected).await;
}

#[tokio::test]
async fn a_hint_that_does_not_open_is_not_believed() {
    let pair = pair(NEVER).await;
    let ada = pair.one.register("ada").await;
    let bob = pair.one.register("bob").await;
    let group = pair.one.group(&ada, &[&bob]).await;
    let mut b = pair.other.socket(&bob, Encoding::MsgPack).await;
    let said = say(&pair.one, &ada, group).await;
    let (_, row) = b.next_row().await;
    assert_eq!(row.seq, said);
    let forged = StoredRow {
        conversation: group,
        seq: said.next(),
        kind: RowKind::Message,
        sender: ada.user(),
        device: ada.device(),
        client_msg_id: fresh_message_id(),
        epoch: None,
        server_ts: row.server_ts,
        body: "no record at all".into(),
    };
    let rows = Notice::Rows {
        incarnation: pair.one.engine().incarnation(),
        conversation: group,
        roster_version: 1,
        delta: None,
        rows: Arc::new([forged]),
    };
    let topic = Topic::Conversation(group);
    let published = Bus::publish(&*pair.bus, InstanceId::new(), topic, rows).await;
    assert!(published.expect("it is published").went_out().await);
    let next = say(&pair.one, &ada, group).await;
    assert_eq!(next, said.next());
    // The first that is told under this number is the true one.
    let event = b.wait_for(|event| tells_of(event, group)).await;
    let Event::Message(message) = event else {
        panic!("a row was said: {event:?}")
    };
    let Item::Row(row) = message.item else {
        panic!("it opens: {:?}", message.item)
    };
    assert_eq!((row.seq, row.sender), (next, ada.user()));
}
