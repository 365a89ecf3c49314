//! Events that a server must not send: out of order, far away, about nobody.

use ruggine_core::api::message::{Hole, Item, Undecryptable};
use ruggine_core::event::{MessageEvent, PositionEvent};
use ruggine_core::{ConversationId, DeviceId, Event, Seq};

use super::support::script::{Script, Served};
use super::support::world::World;
use super::support::{
    all_words, assert_sound, assert_whole, fresh_conversation, kept, now, person, quick, rows_told,
    seq, text,
};

/// A client with a conversation of five rows, and what a lying server may say of it.
async fn lied_to(
    lie: impl FnOnce(&World, ConversationId) -> Vec<Event>,
) -> (Served, ConversationId) {
    let mut world = World::new();
    let id = world.room(5);
    let served = Script::start(world, quick()).serve_well().await;
    served.has(id, 5).await;
    let events = lie(&served.world.lock(), id);
    for event in events {
        served.tell(&event);
    }
    served.settled().await;
    assert_sound(served.store.direct());
    (served, id)
}

/// The truth still finds its way, and nothing else was kept.
async fn recovers(served: &Served, id: ConversationId) {
    served.write(id, "the truth");
    served.has(id, 6).await;
    let rows = kept(served.store.direct(), id);
    assert_whole(&rows, 1, 6);
    let expected = ["row 1", "row 2", "row 3", "row 4", "row 5", "the truth"];
    assert_eq!(all_words(&rows), expected);
    assert_sound(served.store.direct());
}

pub(crate) fn event_of(world: &World, id: ConversationId, item: Item) -> Event {
    Event::Message(world.event(id, item))
}

pub(crate) fn row(world: &World, id: ConversationId, number: u64) -> Item {
    Item::Row(world.row(id, seq(number), text("a lie")))
}

#[tokio::test]
async fn a_row_far_ahead_is_not_kept_where_it_does_not_belong() {
    let (served, id) = lied_to(|world, id| vec![event_of(world, id, row(world, id, 10))]).await;
    recovers(&served, id).await;
}

#[tokio::test]
async fn rows_that_come_again_or_late_change_nothing() {
    let (served, id) = lied_to(|world, id| {
        let again = [3, 1, 5, 5, 2, 4, 1, 0];
        again
            .map(|number| event_of(world, id, row(world, id, number)))
            .to_vec()
    })
    .await;
    recovers(&served, id).await;
}

#[tokio::test]
async fn rows_out_of_order_are_read_in_order() {
    let mut world = World::new();
    let id = world.room(5);
    let script = Script::start(world, quick());
    let mut events = script.client.events();
    let served = script.serve_well().await;
    served.has(id, 5).await;
    let told: Vec<MessageEvent> = {
        let mut world = served.world.lock();
        (6..=12)
            .map(|number| world.write(id, &format!("row {number}")))
            .collect()
    };
    for at in [2, 0, 1, 1, 6, 5, 3, 4, 0] {
        served.tell(&Event::Message(told[at].clone()));
    }
    let rows = rows_told(&mut events, id, seq(12)).await;
    assert_whole(&rows, 1, 12);
    served.settled().await;
    let all = kept(served.store.direct(), id);
    assert_whole(&all, 1, 12);
    let words: Vec<String> = (1..=12).map(|number| format!("row {number}")).collect();
    assert_eq!(all_words(&all), words);
}

#[tokio::test]
async fn a_row_that_is_told_twice_at_once_is_handed_on_once() {
    let mut world = World::new();
    let id = world.room(5);
    let script = Script::start(world, quick());
    let mut events = script.client.events();
    let served = script.serve_well().await;
    served.has(id, 5).await;
    for number in 6..=10 {
        let event = served.world.lock().write(id, &format!("row {number}"));
        for _ in 0..3 {
            served.tell(&Event::Message(event.clone()));
        }
    }
    let rows = rows_told(&mut events, id, seq(10)).await;
    assert_whole(&rows, 1, 10);
    assert_whole(&kept(served.store.direct(), id), 1, 10);
}

#[tokio::test]
async fn spans_that_end_before_they_begin_cross_nothing() {
    let (served, id) = lied_to(|world, id| {
        let hole = |from, to| {
            let hole = Hole {
                from: seq(from),
                to: seq(to),
            };
            event_of(world, id, Item::Hole(hole))
        };
        vec![hole(6, 2), hole(9, 6), hole(6, 0), hole(100, 6)]
    })
    .await;
    recovers(&served, id).await;
}

#[tokio::test]
async fn a_hole_over_what_is_kept_takes_nothing_away() {
    let (served, id) = lied_to(|world, id| {
        let hole = Hole {
            from: seq(1),
            to: seq(5),
        };
        vec![event_of(world, id, Item::Hole(hole))]
    })
    .await;
    recovers(&served, id).await;
}

#[tokio::test]
async fn a_hole_to_the_end_of_all_numbers_is_survived() {
    let (served, id) = lied_to(|world, id| {
        let hole = Hole {
            from: seq(6),
            to: Seq::MAX,
        };
        let lost = Undecryptable {
            seq: Seq::MAX,
            kind: ruggine_core::api::message::RowKind::Message,
            sender: world.other(id),
            device: DeviceId::from_bytes([1; 16]),
            client_msg_id: ruggine_core::ClientMsgId::new(now()),
            server_ts: now(),
        };
        vec![
            event_of(world, id, Item::Hole(hole)),
            event_of(world, id, Item::Undecryptable(lost)),
            event_of(world, id, row(world, id, u64::MAX)),
        ]
    })
    .await;
    assert_eq!(kept(served.store.direct(), id).len(), 5);
}

#[tokio::test]
async fn positions_that_nobody_can_have_are_survived() {
    let (served, id) = lied_to(|world, id| {
        let position = |user, number| PositionEvent {
            conversation: id,
            user,
            seq: seq(number),
        };
        vec![
            Event::Read(position(world.me.id, u64::MAX)),
            Event::Read(position(world.other(id), u64::MAX)),
            Event::Delivered(position(person("stranger").id, 3)),
            Event::Delivered(PositionEvent {
                conversation: fresh_conversation(),
                ..position(world.me.id, 1)
            }),
        ]
    })
    .await;
    let record = served
        .store
        .direct()
        .conversation(id)
        .expect("the store can be read");
    assert_eq!(record.expect("it is known").unread, 0);
    recovers(&served, id).await;
}

#[tokio::test]
async fn a_thousand_events_of_unknown_conversations_are_survived() {
    let mut world = World::new();
    let id = world.room(1);
    let served = Script::start(world, quick()).serve_well().await;
    served.has(id, 1).await;
    for _ in 0..1_000 {
        let event = {
            let world = served.world.lock();
            let item = row(&world, id, 1);
            MessageEvent {
                conversation: fresh_conversation(),
                ..world.event(id, item)
            }
        };
        served.tell(&Event::Message(event));
    }
    served.settled().await;
    served.write(id, "the truth");
    served.has(id, 2).await;
    assert_sound(served.store.direct());
    let known = served
        .store
        .direct()
        .conversations()
        .expect("the store can be read");
    assert_eq!(known.len(), 1);
}
