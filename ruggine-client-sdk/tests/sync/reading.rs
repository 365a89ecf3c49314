//! What is unread, what was read on another device, and what a writer sees of it.

use std::time::Duration;

use ruggine_client_sdk::ClientEvent;
use ruggine_client_sdk::ui::{SendState, Timeline, TimelineItem};
use ruggine_core::api::member::List as MemberList;
use ruggine_core::content::Text;
use ruggine_core::{ConversationId, Seq, UserId};
use ruggine_server::testing::{TestServer, eventually, patiently};

use super::support::device::Device;
use super::support::script::Script;
use super::support::world::World;
use super::support::{next_event, quick, seq, until};

/// Leads a timeline on until it shows what is wanted.
async fn shows(timeline: &mut Timeline, what: &str, holds: impl Fn(&[TimelineItem]) -> bool) {
    patiently(what, async {
        while !holds(timeline.items()) {
            let step = timeline.next().await.expect("the store can be read");
            step.expect("the client goes on");
        }
    })
    .await;
}

fn states(items: &[TimelineItem]) -> Vec<SendState> {
    let own = items.iter().filter(|item| item.is_own);
    own.filter(|item| !matches!(item.body, ruggine_client_sdk::ui::Body::Notice(_)))
        .map(|item| item.state)
        .collect()
}

/// What the server says of a member's positions.
async fn read_position(device: &Device, id: ConversationId, user: UserId) -> Seq {
    let request = MemberList {
        conversation: id,
        after: None,
    };
    let answer = device
        .client()
        .request(request)
        .await
        .expect("a member may ask");
    let member = answer.members.iter().find(|member| member.user.id == user);
    member.expect("they are a member").read
}

#[tokio::test]
async fn unread_messages_and_those_that_name_the_user_are_counted() {
    let server = TestServer::start().await;
    let ada = Device::register(&server, "ada").await;
    let bob = Device::register(&server, "bob").await;
    let group = ada.group(&[&bob]).await;
    bob.has(group, 1).await;
    assert_eq!(
        bob.record(group).await.unread,
        0,
        "a notice is nothing to be read"
    );
    ada.say(group, "one").await;
    let to_bob = Text::new("@bob two").mentioning(bob.user(), 0..4);
    ada.at(group).send(to_bob.into()).await.expect("queued");
    let to_ada = Text::new("@ada three").mentioning(ada.user(), 0..4);
    ada.at(group).send(to_ada.into()).await.expect("queued");
    bob.has(group, 4).await;
    let record = bob.record(group).await;
    assert_eq!((record.unread, record.mentions), (3, 1));
    bob.mark_read(group, 3).await;
    let record = bob.record(group).await;
    assert_eq!((record.unread, record.mentions), (1, 0));
    ada.has(group, 4).await;
    assert_eq!(ada.record(group).await.unread, 0, "one's own are read");
}

#[tokio::test]
async fn what_one_device_reads_is_read_on_the_other() {
    let server = TestServer::start().await;
    let ada = Device::register(&server, "ada").await;
    let phone = Device::register(&server, "bob").await;
    let (laptop, _events) = Device::log_in(&server, "bob", quick()).await;
    let talk = ada.direct(&phone).await;
    for number in 1..=5 {
        ada.say(talk, &format!("word {number}")).await;
    }
    for device in [&phone, &laptop] {
        device.has(talk, 6).await;
        assert_eq!(device.record(talk).await.unread, 5);
    }
    phone.mark_read(talk, 4).await;
    until(laptop.client(), "the position", async || {
        laptop.record(talk).await.unread == 2
    })
    .await;
    laptop.mark_read(talk, 6).await;
    until(phone.client(), "the position", async || {
        phone.record(talk).await.unread == 0
    })
    .await;
}

#[tokio::test]
async fn what_one_device_reads_is_read_on_the_other_that_was_away() {
    let server = TestServer::start().await;
    let ada = Device::register(&server, "ada").await;
    let phone = Device::register(&server, "bob").await;
    let (mut laptop, _events) = Device::log_in(&server, "bob", quick()).await;
    let talk = ada.direct(&phone).await;
    ada.say(talk, "known to both").await;
    for device in [&phone, &laptop] {
        device.has(talk, 2).await;
    }
    laptop.close().await;
    phone.mark_read(talk, 2).await;
    eventually("the server to know", async || {
        read_position(&ada, talk, phone.user()).await == seq(2)
    })
    .await;
    let mut events = laptop.open().await;
    next_event(
        &mut events,
        "the conversation to be told as changed",
        |event| matches!(event, ClientEvent::Conversation(id) if id == talk).then_some(()),
    )
    .await;
    assert_eq!(laptop.record(talk).await.unread, 0);

    laptop.close().await;
    ada.say(talk, "new to the laptop").await;
    phone.has(talk, 3).await;
    phone.mark_read(talk, 3).await;
    eventually("the server to know", async || {
        read_position(&ada, talk, phone.user()).await == seq(3)
    })
    .await;
    laptop.open().await;
    laptop.has(talk, 3).await;
    assert_eq!(laptop.record(talk).await.unread, 0);
}

#[tokio::test]
async fn what_was_read_without_a_connection_is_told_later() {
    let mut server = TestServer::start().await;
    let ada = Device::register(&server, "ada").await;
    let mut bob = Device::register(&server, "bob").await;
    let talk = ada.direct(&bob).await;
    ada.say(talk, "a word").await;
    bob.has(talk, 2).await;
    server.stop().await;
    bob.mark_read(talk, 2).await;
    bob.close().await;
    server.resume().await;
    bob.open().await;
    ada.online().await;
    eventually("the server to know", async || {
        read_position(&ada, talk, bob.user()).await == seq(2)
    })
    .await;
}

#[tokio::test]
async fn a_message_goes_from_sent_to_delivered_to_read() {
    let server = TestServer::start().await;
    let ada = Device::register(&server, "ada").await;
    let mut bob = Device::register(&server, "bob").await;
    let talk = ada.direct(&bob).await;
    bob.has(talk, 1).await;
    bob.close().await;
    let mut timeline = ada
        .client()
        .timeline(talk)
        .await
        .expect("the store can be read");
    ada.say(talk, "a word").await;
    shows(&mut timeline, "the message as sent", |items| {
        states(items) == [SendState::Sent]
    })
    .await;
    bob.open().await;
    shows(&mut timeline, "the message as delivered", |items| {
        states(items) == [SendState::Delivered]
    })
    .await;
    bob.has(talk, 2).await;
    bob.mark_read(talk, 2).await;
    shows(&mut timeline, "the message as read", |items| {
        states(items) == [SendState::Read]
    })
    .await;
}

#[tokio::test]
async fn in_a_group_a_message_is_read_when_the_last_has_read_it() {
    let server = TestServer::start().await;
    let ada = Device::register(&server, "ada").await;
    let bob = Device::register(&server, "bob").await;
    let eva = Device::register(&server, "eva").await;
    let group = ada.group(&[&bob, &eva]).await;
    let mut timeline = ada
        .client()
        .timeline(group)
        .await
        .expect("the store can be read");
    ada.say(group, "a word").await;
    for device in [&bob, &eva] {
        device.has(group, 2).await;
    }
    bob.mark_read(group, 2).await;
    eventually("the server to know", async || {
        read_position(&ada, group, bob.user()).await == seq(2)
    })
    .await;
    shows(&mut timeline, "the message as delivered", |items| {
        states(items) == [SendState::Delivered]
    })
    .await;
    eva.mark_read(group, 2).await;
    shows(&mut timeline, "the message as read", |items| {
        states(items) == [SendState::Read]
    })
    .await;
}

#[tokio::test]
async fn what_was_read_while_its_writer_was_away_is_shown_as_read() {
    let server = TestServer::start().await;
    let mut ada = Device::register(&server, "ada").await;
    let bob = Device::register(&server, "bob").await;
    let talk = ada.direct(&bob).await;
    ada.say(talk, "a word").await;
    ada.has(talk, 2).await;
    bob.has(talk, 2).await;
    ada.close().await;
    bob.mark_read(talk, 2).await;
    eventually("the server to know", async || {
        read_position(&bob, talk, bob.user()).await == seq(2)
    })
    .await;
    ada.open().await;
    let mut timeline = ada
        .client()
        .timeline(talk)
        .await
        .expect("the store can be read");
    shows(&mut timeline, "the message as read", |items| {
        states(items) == [SendState::Read]
    })
    .await;
}

#[tokio::test]
async fn receipts_are_told_together_and_not_more_often_than_allowed() {
    let mut world = World::new();
    let id = world.room(1);
    let mut options = quick();
    options.receipt_interval = Duration::from_millis(400);
    let served = Script::start(world, options).serve_well().await;
    served.has(id, 1).await;
    let began = std::time::Instant::now();
    for number in 2..=60 {
        served.write(id, &format!("row {number}"));
        served.has(id, number).await;
    }
    eventually("the last position to be told", async || {
        let world = served.world.lock();
        let told = world
            .requests
            .iter()
            .filter(|asked| asked.is::<ruggine_core::api::position::Delivered>());
        told.last().is_some_and(|asked| {
            asked.read::<ruggine_core::api::position::Delivered>().seq == seq(60)
        })
    })
    .await;
    let allowed = 2 + began.elapsed().as_millis() / 400;
    let told = served.asked_for::<ruggine_core::api::position::Delivered>() as u128;
    assert!(
        told <= allowed,
        "{told} reports where {allowed} were allowed"
    );
}
