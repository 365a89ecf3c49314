//! What every bus must do, as cases that anybody can run on theirs.
//!
//! They judge a bus that works: without faults it carries every notice, once
//! and in order. [`bus_conformance!`](crate::bus_conformance) makes one test of
//! each case.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use ruggine_core::api::message::RowKind;
use ruggine_core::api::presence::Presence;
use ruggine_core::event::{PositionEvent, TypingEvent};
use ruggine_core::{
    ClientMsgId, ConversationId, DeviceId, Event, Incarnation, Seq, SessionId, Timestamp, UserId,
};
use tokio::sync::oneshot::{self, error::TryRecvError};

use super::{Audience, DynBus, InstanceId, Notice, Notices, Passage, RosterDelta, Topic};
use crate::store::{ConversationHead, StoredRow};

/// Three ends of one bus, as three processes hold them. A bus inside one
/// process is three times the same.
pub type Ends = [Arc<dyn DynBus>; 3];

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);
/// More than any wait takes on a bus that works.
const PATIENCE: Duration = Duration::from_secs(10);
/// More notices than any queue holds.
const FLOOD: u64 = 20_000;

/// Makes one `#[tokio::test]` of every case of the bus's conformance suite.
///
/// Takes the name of an `async fn()` that gives [`Ends`](crate::bus::conformance::Ends)
/// of a bus with nobody on it, together with whatever must live as long as the
/// bus does. The crate that calls it needs tokio with `macros` and
/// `rt-multi-thread`.
///
/// ```no_run
/// use std::sync::Arc;
///
/// use ruggine_server::bus::conformance::Ends;
/// use ruggine_server::bus::{DynBus, LocalBus};
///
/// async fn idle_bus() -> (Ends, ()) {
///     let bus: Arc<dyn DynBus> = Arc::new(LocalBus::new());
///     ([Arc::clone(&bus), Arc::clone(&bus), bus], ())
/// }
///
/// ruggine_server::bus_conformance!(idle_bus);
/// ```
#[macro_export]
macro_rules! bus_conformance {
    ($make:expr) => {
        $crate::bus_conformance! {
            @cases $make;
            a_notice_reaches_every_other_instance_that_follows_its_topic,
            a_notice_does_not_come_back_to_its_publisher,
            instances_on_one_end_hear_each_other,
            a_topic_that_is_not_followed_is_not_heard,
            a_topic_that_was_left_is_not_heard,
            every_instance_follows_for_itself,
            a_topic_followed_twice_is_heard_once,
            nothing_is_missed_once_a_topic_is_followed,
            the_order_of_one_publisher_is_kept,
            dropped_notices_detach_their_instance,
            a_slow_receiver_loses_notices_and_blocks_nobody,
            a_notice_that_goes_out_is_said_to_have_gone_out,
            every_kind_of_notice_arrives_unchanged,
            who_is_online_on_one_instance_is_known_on_all,
            who_left_one_instance_is_still_online_on_another,
            the_same_lease_twice_is_one
        }
    };
    (@cases $make:expr; $( $case:ident ),+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $case() {
                let make = $make;
                let (ends, _kept) = make().await;
                $crate::bus::conformance::$case(ends).await;
            }
        )+
    };
}

/// An instance on one end of the bus.
struct Instance {
    bus: Arc<dyn DynBus>,
    id: InstanceId,
    notices: Notices,
}

impl Instance {
    async fn attach(bus: &Arc<dyn DynBus>) -> Self {
        let id = InstanceId::new();
        let notices = bus.attach(id).await.expect("an instance can be attached");
        Self {
            bus: Arc::clone(bus),
            id,
            notices,
        }
    }

    async fn attach_all(ends: &Ends) -> [Self; 3] {
        let [one, two, three] = ends;
        [
            Self::attach(one).await,
            Self::attach(two).await,
            Self::attach(three).await,
        ]
    }

    async fn follow(&self, topics: &[Topic]) {
        let followed = self.bus.follow(self.id, topics.to_vec()).await;
        followed.expect("topics can be followed");
    }

    async fn unfollow(&self, topics: &[Topic]) {
        let unfollowed = self.bus.unfollow(self.id, topics.to_vec()).await;
        unfollowed.expect("topics can be left");
    }

    async fn lease(&self, users: &[UserId]) {
        let leased = self.bus.lease(self.id, users.to_vec()).await;
        leased.expect("a lease can be taken");
    }

    async fn release(&self, users: &[UserId]) {
        let released = self.bus.release(self.id, users.to_vec()).await;
        released.expect("a lease can be given back");
    }

    async fn leased(&self, users: &[UserId]) -> HashSet<UserId> {
        let held = self.bus.leased(users.to_vec()).await;
        held.expect("leases can be asked for")
    }

    async fn publish(&self, topic: Topic, notice: Notice) -> Passage {
        let published = self.bus.publish(self.id, topic, notice).await;
        published.expect("a notice can be published")
    }

    /// Publishes where the bus has room for it; whether it had.
    async fn offer(&self, topic: Topic, notice: Notice) -> bool {
        self.bus.publish(self.id, topic, notice).await.is_ok()
    }

    async fn next(&mut self) -> Notice {
        in_time(self.notices.next())
            .await
            .expect("the bus is still there")
    }
}

async fn in_time<T>(wait: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, wait)
        .await
        .expect("the bus answers in time")
}

fn conversation() -> Topic {
    Topic::Conversation(ConversationId::new(NOW))
}

/// A small notice that can be told from others.
fn head(number: u64) -> Notice {
    Notice::Head(ConversationHead {
        conversation: ConversationId::from_bytes([7; 16]),
        head: Seq::new(number),
        roster_version: 1,
    })
}

/// Every instance that follows a topic hears of it, whatever the topic is about.
pub async fn a_notice_reaches_every_other_instance_that_follows_its_topic(ends: Ends) {
    let [one, mut two, mut three] = Instance::attach_all(&ends).await;
    let topics = [conversation(), Topic::User(UserId::new(NOW))];
    for instance in [&one, &two, &three] {
        instance.follow(&topics).await;
    }
    for (number, topic) in (1..).zip(topics) {
        one.publish(topic, head(number)).await;
        for instance in [&mut two, &mut three] {
            assert_eq!(instance.next().await, head(number));
        }
    }
}

/// An instance does not hear itself: what it hears first is what another said
/// afterwards.
pub async fn a_notice_does_not_come_back_to_its_publisher(ends: Ends) {
    let [mut one, mut two, _three] = Instance::attach_all(&ends).await;
    let topic = conversation();
    one.follow(&[topic]).await;
    two.follow(&[topic]).await;
    one.publish(topic, head(1)).await;
    assert_eq!(two.next().await, head(1));
    two.publish(topic, head(2)).await;
    assert_eq!(one.next().await, head(2));
}

/// Two instances on one end of a bus are two instances.
pub async fn instances_on_one_end_hear_each_other(ends: Ends) {
    let mut one = Instance::attach(&ends[0]).await;
    let mut two = Instance::attach(&ends[0]).await;
    let topic = conversation();
    one.follow(&[topic]).await;
    two.follow(&[topic]).await;
    one.publish(topic, head(1)).await;
    assert_eq!(two.next().await, head(1));
    two.publish(topic, head(2)).await;
    assert_eq!(one.next().await, head(2));
}

/// Topics that an instance does not follow pass it by, also where a user and a
/// conversation have the same sixteen bytes.
pub async fn a_topic_that_is_not_followed_is_not_heard(ends: Ends) {
    let [one, mut two, _three] = Instance::attach_all(&ends).await;
    let bytes = *ConversationId::new(NOW).as_bytes();
    let followed = Topic::Conversation(ConversationId::from_bytes(bytes));
    two.follow(&[followed]).await;
    one.publish(Topic::User(UserId::from_bytes(bytes)), head(1))
        .await;
    one.publish(conversation(), head(2)).await;
    one.publish(followed, head(3)).await;
    assert_eq!(two.next().await, head(3));
    assert_eq!(two.notices.try_next(), None);
}

/// A topic that was left is no longer heard; the others are.
pub async fn a_topic_that_was_left_is_not_heard(ends: Ends) {
    let [one, mut two, _three] = Instance::attach_all(&ends).await;
    let [left, kept] = [conversation(), conversation()];
    two.follow(&[left, kept]).await;
    one.publish(left, head(1)).await;
    assert_eq!(two.next().await, head(1));
    two.unfollow(&[left, conversation()]).await;
    let unheard = one.publish(left, head(2)).await;
    one.publish(kept, head(3)).await;
    assert_eq!(two.next().await, head(3));
    // It has gone out before the topic is followed again.
    assert!(in_time(unheard.went_out()).await);
    two.follow(&[left]).await;
    one.publish(left, head(4)).await;
    assert_eq!(two.next().await, head(4));
}

/// What one instance follows or leaves is nothing to another.
pub async fn every_instance_follows_for_itself(ends: Ends) {
    let [one, mut two, mut three] = Instance::attach_all(&ends).await;
    let [shared, own] = [conversation(), conversation()];
    two.follow(&[shared]).await;
    three.follow(&[shared, own]).await;
    two.unfollow(&[own]).await;
    one.publish(own, head(1)).await;
    one.publish(shared, head(2)).await;
    assert_eq!(two.next().await, head(2));
    let mut heard = [three.next().await, three.next().await];
    heard.sort_by_key(|notice| *notice != head(1));
    assert_eq!(heard, [head(1), head(2)]);
}

/// A topic followed twice is heard once, and one word leaves it.
pub async fn a_topic_followed_twice_is_heard_once(ends: Ends) {
    let [one, mut two, _three] = Instance::attach_all(&ends).await;
    let [twice, other] = [conversation(), conversation()];
    two.follow(&[twice, twice]).await;
    two.follow(&[twice, other]).await;
    one.publish(twice, head(1)).await;
    one.publish(twice, head(2)).await;
    assert_eq!(two.next().await, head(1));
    assert_eq!(two.next().await, head(2));
    two.unfollow(&[twice]).await;
    one.publish(twice, head(3)).await;
    one.publish(other, head(4)).await;
    assert_eq!(two.next().await, head(4));
}

/// Nothing published after `follow` has returned is missed.
pub async fn nothing_is_missed_once_a_topic_is_followed(ends: Ends) {
    let [one, mut two, _three] = Instance::attach_all(&ends).await;
    for number in 0..100 {
        let topic = conversation();
        two.follow(&[topic]).await;
        one.publish(topic, head(number)).await;
        assert_eq!(two.next().await, head(number));
    }
}

/// One publisher's notices on a topic arrive in their order, each once, while
/// others publish too.
pub async fn the_order_of_one_publisher_is_kept(ends: Ends) {
    const EACH: u64 = 500;
    let [one, two, mut three] = Instance::attach_all(&ends).await;
    let topic = conversation();
    three.follow(&[topic]).await;
    let publish = |from: Instance, first: u64| async move {
        for number in first..first + EACH {
            from.publish(topic, head(number)).await;
        }
        from
    };
    let publishing = [
        tokio::spawn(publish(one, 0)),
        tokio::spawn(publish(two, EACH)),
    ];
    let mut expected = [0, EACH];
    for _ in 0..2 * EACH {
        let Notice::Head(heard) = three.next().await else {
            panic!("only heads are published");
        };
        let number = heard.head.get();
        let from = usize::from(number >= EACH);
        assert_eq!(number, expected[from]);
        expected[from] += 1;
    }
    for task in publishing {
        task.await.expect("publishing does not panic");
    }
    assert_eq!(three.notices.try_next(), None);
}

/// An instance whose notices were dropped is gone: publishing goes on for the
/// others, and the instance can come back without what it followed before.
pub async fn dropped_notices_detach_their_instance(ends: Ends) {
    let [one, two, mut three] = Instance::attach_all(&ends).await;
    let [before, after] = [conversation(), conversation()];
    two.follow(&[before]).await;
    three.follow(&[before]).await;
    let Instance { bus, id, notices } = two;
    drop(notices);
    for number in 0..10 {
        one.publish(before, head(number)).await;
        assert_eq!(three.next().await, head(number));
    }

    let notices = bus.attach(id).await.expect("an instance can come back");
    let mut two = Instance { bus, id, notices };
    two.follow(&[after]).await;
    one.publish(before, head(10)).await;
    one.publish(after, head(11)).await;
    assert_eq!(two.next().await, head(11));
}

/// A receiver that takes nothing loses notices. It holds up neither the
/// publisher nor another receiver, and hears what is published once it reads on.
pub async fn a_slow_receiver_loses_notices_and_blocks_nobody(ends: Ends) {
    let [one, mut slow, mut other] = Instance::attach_all(&ends).await;
    let [flooded, quiet] = [conversation(), conversation()];
    slow.follow(&[flooded]).await;
    other.follow(&[quiet]).await;
    in_time(async {
        for number in 0..FLOOD {
            one.offer(flooded, head(number)).await;
        }
        while !one.offer(quiet, head(FLOOD)).await {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(other.next().await, head(FLOOD));

    // The publisher repeats itself, for the queue may still be full when the
    // receiver begins to read.
    let (waiting, mut heard_of) = oneshot::channel::<()>();
    let repeating = tokio::spawn(async move {
        while heard_of.try_recv() == Err(TryRecvError::Empty) {
            one.offer(flooded, head(FLOOD)).await;
            tokio::task::yield_now().await;
        }
    });
    let mut heard: u64 = 0;
    while slow.next().await != head(FLOOD) {
        heard += 1;
    }
    drop(waiting);
    repeating.await.expect("publishing does not panic");
    assert!(heard > 0, "what the queue could take has arrived");
    assert!(heard < FLOOD, "a queue has an end");
}

/// Who publishes is told that a notice went out, also when nobody hears it.
pub async fn a_notice_that_goes_out_is_said_to_have_gone_out(ends: Ends) {
    let [one, mut two, _three] = Instance::attach_all(&ends).await;
    let [followed, quiet] = [conversation(), conversation()];
    two.follow(&[followed]).await;
    for (number, topic) in (1..).zip([followed, quiet]) {
        let passage = one.publish(topic, head(number)).await;
        assert!(in_time(passage.went_out()).await);
    }
    assert_eq!(two.next().await, head(1));
}

/// Whatever a notice says, the other end hears the same.
pub async fn every_kind_of_notice_arrives_unchanged(ends: Ends) {
    let [one, mut two, _three] = Instance::attach_all(&ends).await;
    let topic = conversation();
    two.follow(&[topic]).await;
    let notices = every_kind();
    let kinds: HashSet<u8> = notices.iter().map(kind).collect();
    assert_eq!(kinds.len(), usize::from(KINDS));
    for notice in notices {
        one.publish(topic, notice.clone()).await;
        assert_eq!(two.next().await, notice);
    }
}

/// What one instance says of its users, the others are told when they ask.
pub async fn who_is_online_on_one_instance_is_known_on_all(ends: Ends) {
    let [one, two, three] = Instance::attach_all(&ends).await;
    let [ada, bob, cleo] = [(); 3].map(|()| UserId::new(NOW));
    one.lease(&[ada]).await;
    two.lease(&[bob]).await;
    for instance in [&one, &two, &three] {
        assert_eq!(
            instance.leased(&[ada, bob, cleo]).await,
            HashSet::from([ada, bob])
        );
        assert_eq!(instance.leased(&[]).await, HashSet::new());
    }
    one.release(&[ada, cleo]).await;
    assert_eq!(three.leased(&[ada, bob, cleo]).await, HashSet::from([bob]));
    // Nothing to say is nothing wrong.
    one.lease(&[]).await;
    one.release(&[]).await;
}

/// A user with devices on two instances is online until both let them go.
pub async fn who_left_one_instance_is_still_online_on_another(ends: Ends) {
    let [one, two, three] = Instance::attach_all(&ends).await;
    let ada = UserId::new(NOW);
    one.lease(&[ada]).await;
    two.lease(&[ada]).await;
    one.release(&[ada]).await;
    assert_eq!(three.leased(&[ada]).await, HashSet::from([ada]));
    two.release(&[ada]).await;
    assert_eq!(three.leased(&[ada]).await, HashSet::new());
}

/// Saying it again prolongs it and takes no second word to take back.
pub async fn the_same_lease_twice_is_one(ends: Ends) {
    let [one, two, _three] = Instance::attach_all(&ends).await;
    let ada = UserId::new(NOW);
    one.lease(&[ada]).await;
    one.lease(&[ada, ada]).await;
    one.release(&[ada]).await;
    assert_eq!(two.leased(&[ada]).await, HashSet::new());
}

const KINDS: u8 = 6;

/// A kind that is added must be added to [`every_kind`] too.
const fn kind(notice: &Notice) -> u8 {
    match notice {
        Notice::Rows { .. } => 0,
        Notice::Head(_) => 1,
        Notice::Ephemeral { .. } => 2,
        Notice::ForUser { .. } => 3,
        Notice::Joined { .. } => 4,
        Notice::SessionRevoked { .. } => KINDS - 1,
    }
}

fn every_kind() -> Vec<Notice> {
    let id = ConversationId::new(NOW);
    let user = UserId::new(NOW);
    let row = |seq: Seq, kind: RowKind, epoch: Option<u64>, body: &str| StoredRow {
        conversation: id,
        seq,
        kind,
        sender: user,
        device: DeviceId::new(NOW),
        client_msg_id: ClientMsgId::new(NOW),
        epoch,
        server_ts: NOW,
        body: body.into(),
    };
    let rows = |delta: Option<RosterDelta>, rows: Vec<StoredRow>| Notice::Rows {
        incarnation: Incarnation::new(u64::MAX),
        conversation: id,
        roster_version: 12,
        delta,
        rows: rows.into(),
    };
    let position = PositionEvent {
        conversation: id,
        user,
        seq: Seq::MAX,
    };
    let typing = TypingEvent {
        conversation: id,
        user,
        active: true,
    };
    let presence = Presence { user, online: true };
    let ephemeral = |event| Notice::Ephemeral {
        to: Audience {
            conversation: id,
            roster_version: u64::MAX,
            except: user,
        },
        event,
    };
    let delta = RosterDelta {
        added: vec![UserId::new(NOW), UserId::new(NOW)],
        removed: vec![UserId::new(NOW)],
        member_count: 17,
    };
    vec![
        rows(
            None,
            vec![
                row(
                    Seq::new(1),
                    RowKind::Message,
                    None,
                    r#"{"v":1,"x":"perché 🦀\n"}"#,
                ),
                row(
                    Seq::MAX,
                    RowKind::Message,
                    Some(u64::MAX),
                    &"x".repeat(60_000),
                ),
            ],
        ),
        rows(
            Some(delta),
            vec![row(Seq::new(2), RowKind::System, Some(0), "{}")],
        ),
        rows(Some(RosterDelta::default()), Vec::new()),
        Notice::Head(ConversationHead {
            conversation: id,
            head: Seq::MAX,
            roster_version: u64::MAX,
        }),
        Notice::Joined {
            user,
            conversation: id,
        },
        ephemeral(Event::Typing(typing)),
        ephemeral(Event::Presence(presence)),
        ephemeral(Event::Delivered(position)),
        ephemeral(Event::Read(position)),
        Notice::ForUser {
            user,
            event: Event::Read(position),
        },
        Notice::SessionRevoked {
            user,
            session: SessionId::new(NOW),
        },
    ]
}
