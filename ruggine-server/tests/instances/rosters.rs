//! Members who come and go at one instance while their sockets are on another.

use std::time::Duration;

use ruggine_core::Event;
use ruggine_core::api::member;
use ruggine_core::api::message::Item;
use ruggine_core::api::position::Read;
use ruggine_core::api::presence::SetTyping;
use ruggine_core::codec::Encoding;
use ruggine_core::event::MessageEvent;
use ruggine_server::bus::{Bus, InstanceId, Notice, Topic};
use ruggine_server::testing::{Faults, eventually};

use super::{expect_rows, pair, pair_that_sweeps, say};

#[tokio::test]
async fn who_is_added_by_one_instance_hears_of_it_on_the_other() {
    let pair = pair().await;
    let ada = pair.one.register("ada").await;
    let bob = pair.one.register("bob").await;
    let cleo = pair.one.register("cleo").await;
    let group = pair.one.group(&ada, &[&cleo]).await;
    let mut b = pair.other.socket(&bob, Encoding::Json).await;
    let add = member::Add {
        conversation: group,
        users: vec![bob.user()],
    };
    pair.one.http_of(&ada).call(add).await.unwrap();
    let told = |event: &Event| match event {
        Event::Message(message) => message.conversation == group,
        Event::Resync(resync) => resync.heads.iter().any(|mark| mark.conversation == group),
        _ => false,
    };
    b.wait_for(told).await;
    let next = say(&pair.one, &ada, group).await.get();
    expect_rows(&mut b, group, next..=next).await;
    let direct = pair.one.direct(&ada, &bob).await;
    let told = |event: &Event| match event {
        Event::Message(message) => message.conversation == direct,
        Event::Resync(resync) => resync.heads.iter().any(|mark| mark.conversation == direct),
        _ => false,
    };
    b.wait_for(told).await;
}

#[tokio::test]
async fn who_is_added_hears_of_it_although_another_member_has_come_since() {
    let pair = pair().await;
    let ada = pair.one.register("ada").await;
    let bob = pair.one.register("bob").await;
    let cleo = pair.one.register("cleo").await;
    let group = pair.one.group(&ada, &[&cleo]).await;
    let mut b = pair.other.socket(&bob, Encoding::Json).await;
    pair.bus.set_faults(Faults::EVERYTHING_IS_LOST);
    let add = member::Add {
        conversation: group,
        users: vec![bob.user()],
    };
    pair.one.http_of(&ada).call(add).await.unwrap();
    pair.bus.heal().await;
    // With her the conversation is known there up to the row that added him.
    let mut c = pair.other.socket(&cleo, Encoding::Json).await;
    let joined = Notice::Joined {
        user: bob.user(),
        conversation: group,
    };
    let topic = Topic::User(bob.user());
    Bus::publish(&*pair.bus, InstanceId::new(), topic, joined)
        .await
        .unwrap();
    let told = |event: &Event| match event {
        Event::Resync(resync) => resync.heads.iter().any(|mark| mark.conversation == group),
        _ => false,
    };
    b.wait_for(told).await;
    let next = say(&pair.one, &ada, group).await.get();
    expect_rows(&mut b, group, next..=next).await;
    expect_rows(&mut c, group, next..=next).await;
}

#[tokio::test]
async fn a_conversation_whose_last_listener_is_removed_is_no_longer_followed() {
    for lost in [Faults::default(), Faults::EVERYTHING_IS_LOST] {
        let pair = pair_that_sweeps(Duration::from_millis(50)).await;
        let ada = pair.one.register("ada").await;
        let bob = pair.one.register("bob").await;
        let group = pair.one.group(&ada, &[&bob]).await;
        let mut b = pair.other.socket(&bob, Encoding::Json).await;
        assert_eq!(pair.bus.followers(Topic::Conversation(group)), 1);
        pair.bus.set_faults(lost);
        let remove = member::Remove {
            conversation: group,
            user: bob.user(),
        };
        pair.one.http_of(&ada).call(remove).await.unwrap();
        eventually("the conversation to be given up", || async {
            pair.bus.followers(Topic::Conversation(group)) == 0
        })
        .await;
        b.catch_up().await;
    }
}

#[tokio::test]
async fn who_is_added_while_the_bus_is_down_hears_of_it_by_the_sweep() {
    let pair = pair_that_sweeps(Duration::from_millis(50)).await;
    let ada = pair.one.register("ada").await;
    let bob = pair.one.register("bob").await;
    let mut b = pair.other.socket(&bob, Encoding::Json).await;
    pair.bus.set_faults(Faults::EVERYTHING_IS_LOST);
    let group = pair.one.group(&ada, &[&bob]).await;
    let told = |event: &Event| match event {
        Event::Message(message) => message.conversation == group,
        Event::Resync(resync) => resync.heads.iter().any(|mark| mark.conversation == group),
        _ => false,
    };
    b.wait_for(told).await;
}

#[tokio::test]
async fn a_member_removed_by_one_instance_hears_nothing_more_on_the_other() {
    for lost in [Faults::default(), Faults::EVERYTHING_IS_LOST] {
        let pair = pair().await;
        let ada = pair.one.register("ada").await;
        let bob = pair.one.register("bob").await;
        let cleo = pair.one.register("cleo").await;
        let group = pair.one.group(&ada, &[&bob, &cleo]).await;
        let mut b = pair.other.socket(&bob, Encoding::Json).await;
        let mut c = pair.other.socket(&cleo, Encoding::Json).await;
        pair.bus.set_faults(lost);
        let remove = member::Remove {
            conversation: group,
            user: bob.user(),
        };
        let removed = pair.one.http_of(&ada).call(remove).await.unwrap();
        pair.bus.heal().await;
        let last = say(&pair.one, &ada, group).await;
        expect_rows(&mut c, group, 2..=last.get()).await;
        let events = b.catch_up().await;
        let rows = events.iter().filter_map(|event| match event {
            Event::Message(MessageEvent {
                item: Item::Row(row),
                ..
            }) => Some(row.seq),
            _ => None,
        });
        assert!(
            rows.into_iter().all(|seq| seq <= removed.head),
            "{events:?}"
        );
        let told = events
            .iter()
            .any(|event| matches!(event, Event::Message(_)) || matches!(event, Event::Resync(_)));
        assert!(told, "the removal itself, or the word to read up to it");
    }
}

#[tokio::test]
async fn a_member_whose_removal_was_not_heard_hears_nobody_type_or_read_any_more() {
    let pair = pair().await;
    let ada = pair.one.register("ada").await;
    let bob = pair.one.register("bob").await;
    let cleo = pair.one.register("cleo").await;
    let group = pair.one.group(&ada, &[&bob, &cleo]).await;
    let ways = [Encoding::Json, Encoding::MsgPack];
    for (way, tells_of_typing) in ways.into_iter().zip([true, false]) {
        let mut b = pair.other.socket(&bob, way).await;
        let mut c = pair.other.socket(&cleo, way).await;
        pair.bus.set_faults(Faults::EVERYTHING_IS_LOST);
        let remove = member::Remove {
            conversation: group,
            user: bob.user(),
        };
        let removed = pair.one.http_of(&ada).call(remove).await.unwrap();
        pair.bus.heal().await;
        if tells_of_typing {
            let typing = SetTyping {
                conversation: group,
                active: true,
            };
            pair.one.http_of(&ada).call(typing).await.unwrap();
        } else {
            let read = Read {
                conversation: group,
                seq: removed.head,
            };
            pair.one.http_of(&ada).call(read).await.unwrap();
        }
        // What was told made the other instance read the roster, and with it the row.
        expect_rows(&mut c, group, removed.head.get()..=removed.head.get()).await;
        let events = b.catch_up().await;
        let is_of_ada = |event: &Event| matches!(event, Event::Typing(_) | Event::Read(_));
        assert!(!events.iter().any(is_of_ada), "{events:?}");
        let told = |event: &Event| matches!(event, Event::Resync(_) | Event::Message(_));
        assert!(events.iter().any(told), "the word to read up to the end");
        let add = member::Add {
            conversation: group,
            users: vec![bob.user()],
        };
        pair.one.http_of(&ada).call(add).await.unwrap();
    }
}
