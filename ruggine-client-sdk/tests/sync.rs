//! Keeping level with the log, against a real server and against a scripted one.

#[expect(dead_code, reason = "each of the test programs uses a part")]
mod support;

use std::time::Duration;

use ruggine_client_sdk::store::MemberRecord;
use ruggine_client_sdk::ui::{SendState, Timeline, TimelineItem};
use ruggine_client_sdk::{ClientEvent, ConnectionState};
use ruggine_core::api::conversation::{ProtectionMode, Role};
use ruggine_core::api::member::List as MemberList;
use ruggine_core::api::message::{Item, PageRequest, RowKind};
use ruggine_core::api::sync::{HeadsRequest, Hello};
use ruggine_core::codec::Encoding;
use ruggine_core::content::{Content, Text, Title};
use ruggine_core::event::{HeadMark, ResyncEvent, TypingEvent};
use ruggine_core::{ConversationId, Event, Seq, UserId};
use ruggine_server::testing::{Person, TestServer, eventually, patiently, text_message};
use support::device::Device;
use support::script::{Script, World, result};
use support::{
    all_words, assert_sound, assert_whole, kept, next_event, quick, rows_told, seq, until, words,
};

/// Requests that a socket may have under way.
const AT_ONCE: usize = 25;

/// Writes numbered messages, many at once; their words.
async fn write_many(
    server: &TestServer,
    writer: &Person,
    id: ConversationId,
    count: usize,
) -> Vec<String> {
    let said: Vec<String> = (1..=count)
        .map(|number| format!("thought {number}"))
        .collect();
    let mut socket = server.socket(writer, Encoding::MsgPack).await;
    for burst in said.chunks(AT_ONCE) {
        let mut pending = Vec::new();
        for words in burst {
            let sent = socket.begin(&text_message(id, words)).await;
            pending.push(sent.expect("the connection holds"));
        }
        for sent in pending {
            let answer = socket.finish(sent).await.expect("the connection holds");
            answer.expect("a member may write");
        }
    }
    socket.close().await;
    said
}

async fn group_with(device: &Device, users: &[UserId]) -> ConversationId {
    let group = device
        .client()
        .group(users.to_vec(), ProtectionMode::Managed, None)
        .await
        .expect("a group can be made");
    group.id()
}

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
async fn what_two_people_write_is_told_to_both_once_and_in_order() {
    let server = TestServer::start().await;
    let ada = Device::register(&server, "ada").await;
    let bob = Device::register(&server, "bob").await;
    let (mut of_ada, mut of_bob) = (ada.events(), bob.events());
    let talk = ada.direct(&bob).await;
    bob.has(talk, 1).await;
    for number in 1..=40 {
        ada.say(talk, &format!("ada {number}")).await;
        bob.say(talk, &format!("bob {number}")).await;
    }
    let heard_by_ada = rows_told(&mut of_ada, talk, seq(81)).await;
    let heard_by_bob = rows_told(&mut of_bob, talk, seq(81)).await;
    assert_whole(&heard_by_ada, 1, 81);
    assert_eq!(heard_by_ada, heard_by_bob);
    for name in ["ada", "bob"] {
        let mine: Vec<String> = all_words(&heard_by_ada)
            .into_iter()
            .filter(|words| words.starts_with(name))
            .collect();
        let said: Vec<String> = (1..=40).map(|number| format!("{name} {number}")).collect();
        assert_eq!(mine, said);
    }
    assert_eq!(ada.log(talk).await, heard_by_ada);
}

#[tokio::test]
async fn three_people_in_a_group_have_the_same_log() {
    let server = TestServer::start().await;
    let ada = Device::register(&server, "ada").await;
    let bob = Device::register(&server, "bob").await;
    let eva = Device::register(&server, "eva").await;
    let group = ada.group(&[&bob, &eva]).await;
    let everybody = [&ada, &bob, &eva];
    for device in everybody {
        device.has(group, 1).await;
    }
    for number in 1..=15 {
        for device in everybody {
            device.say(group, &format!("round {number}")).await;
        }
    }
    for device in everybody {
        device.has(group, 46).await;
    }
    let log = ada.log(group).await;
    assert_whole(&log, 1, 46);
    for device in everybody {
        assert_eq!(device.log(group).await, log);
        let members = device
            .at(group)
            .members()
            .await
            .expect("the store can be read");
        assert_eq!(members.len(), 3);
    }
}

#[tokio::test]
async fn five_hundred_messages_missed_while_away_are_told_once_and_in_order() {
    let server = TestServer::start().await;
    let ada = server.register("ada").await;
    let mut bob = Device::register(&server, "bob").await;
    let group = group_with(&bob, &[ada.user()]).await;
    bob.has(group, 1).await;
    bob.close().await;
    let said = write_many(&server, &ada, group, 500).await;
    let mut events = bob.open().await;
    let rows = rows_told(&mut events, group, seq(501)).await;
    assert_whole(&rows, 2, 501);
    assert_eq!(all_words(&rows), said);
    assert_whole(&bob.log(group).await, 1, 501);
    assert_eq!(bob.record(group).await.unread, 500);
}

#[tokio::test]
async fn a_new_device_reads_the_recent_rows_and_looks_back_to_the_beginning() {
    let server = TestServer::start().await;
    let ada = server.register("ada").await;
    let bob = Device::register(&server, "bob").await;
    let group = group_with(&bob, &[ada.user()]).await;
    write_many(&server, &ada, group, 250).await;
    let mut options = quick();
    options.recent = 20;
    let (laptop, _events) = Device::log_in(&server, "bob", options).await;
    laptop.has(group, 251).await;
    let record = laptop.record(group).await;
    assert_eq!((record.floor, record.cursor), (seq(231), seq(251)));
    assert_whole(&laptop.log(group).await, 232, 251);

    let mut looks = 0;
    while laptop
        .at(group)
        .load_older()
        .await
        .expect("a page can be read")
    {
        looks += 1;
        assert!(looks < 10, "looking back does not come to an end");
    }
    assert_eq!(looks, 3, "231 rows are three pages");
    let log = laptop.log(group).await;
    assert_whole(&log, 1, 251);
    assert_eq!(laptop.record(group).await.floor, Seq::ZERO);
    bob.has(group, 251).await;
    assert_eq!(bob.log(group).await, log);
}

#[tokio::test]
async fn rows_looked_back_at_are_not_told_as_new() {
    let server = TestServer::start().await;
    let ada = server.register("ada").await;
    let bob = Device::register(&server, "bob").await;
    let group = group_with(&bob, &[ada.user()]).await;
    write_many(&server, &ada, group, 30).await;
    let mut options = quick();
    options.recent = 5;
    let (laptop, mut events) = Device::log_in(&server, "bob", options).await;
    laptop.has(group, 31).await;
    assert!(
        laptop
            .at(group)
            .load_older()
            .await
            .expect("a page can be read")
    );
    write_many(&server, &ada, group, 1).await;
    let told = rows_told(&mut events, group, seq(32)).await;
    assert_whole(&told, 27, 32);
}

#[tokio::test]
async fn a_client_whose_events_are_left_out_reads_what_it_lacks() {
    let server = TestServer::options()
        .config(|config| config.limits.socket_events = 2)
        .start()
        .await;
    let ada = server.register("ada").await;
    let bob = Device::register(&server, "bob").await;
    let group = group_with(&bob, &[ada.user()]).await;
    let mut events = bob.events();
    bob.has(group, 1).await;
    let said = write_many(&server, &ada, group, 400).await;
    let rows = rows_told(&mut events, group, seq(401)).await;
    let first = rows.first().expect("there are rows").seq.get();
    assert_whole(&rows, first, 401);
    assert_eq!(all_words(&bob.log(group).await), said);
}

#[tokio::test]
async fn a_restart_of_the_server_loses_and_doubles_nothing() {
    let mut server = TestServer::start().await;
    let ada = Device::register(&server, "ada").await;
    let bob = Device::register(&server, "bob").await;
    let mut events = bob.events();
    let talk = ada.direct(&bob).await;
    bob.has(talk, 1).await;
    let said: Vec<String> = (1..=60).map(|number| format!("word {number}")).collect();
    for words in &said[..20] {
        ada.say(talk, words).await;
    }
    server.stop().await;
    for words in &said[20..40] {
        ada.say(talk, words).await;
    }
    server.resume().await;
    for words in &said[40..] {
        ada.say(talk, words).await;
    }
    let rows = rows_told(&mut events, talk, seq(61)).await;
    assert_whole(&rows, 1, 61);
    assert_eq!(all_words(&rows), said);
    ada.has(talk, 61).await;
    assert_eq!(ada.log(talk).await, rows);
    let waiting = ada.at(talk).outbox().await.expect("the store can be read");
    assert_eq!(waiting, []);
}

#[tokio::test]
async fn who_joins_later_sees_a_hole_and_not_the_past() {
    let server = TestServer::start().await;
    let ada = Device::register(&server, "ada").await;
    let bob = Device::register(&server, "bob").await;
    let mut options = quick();
    options.recent = 1;
    let eva = Device::register_with(&server, "eva", options).await;
    let group = ada.group(&[&bob]).await;
    for number in 1..=3 {
        ada.say(group, &format!("before {number}")).await;
    }
    ada.has(group, 4).await;
    ada.at(group)
        .add(vec![eva.user()])
        .await
        .expect("an owner may add");
    ada.has(group, 5).await;
    ada.say(group, "after").await;
    eva.has(group, 6).await;
    while eva
        .at(group)
        .load_older()
        .await
        .expect("a page can be read")
    {}
    let log = eva.log(group).await;
    assert_whole(&log, 5, 6);
    assert_eq!(all_words(&log), ["after"]);
    assert_eq!(eva.record(group).await.floor, Seq::ZERO);
    assert_eq!(eva.record(group).await.unread, 1);
    until(ada.client(), "the new member to be known", async || {
        let members = ada
            .at(group)
            .members()
            .await
            .expect("the store can be read");
        members.len() == 3
    })
    .await;
}

#[tokio::test]
async fn who_is_removed_hears_no_more_until_they_are_added_again() {
    let server = TestServer::start().await;
    let ada = Device::register(&server, "ada").await;
    let bob = Device::register(&server, "bob").await;
    let group = ada.group(&[&bob]).await;
    let talk = ada.direct(&bob).await;
    bob.has(group, 1).await;
    bob.has(talk, 1).await;
    let removal = ada.at(group).remove(bob.user()).await;
    removal.expect("an owner may remove");
    until(bob.client(), "the removal to be known", async || {
        bob.record(group).await.role.is_none()
    })
    .await;
    bob.has(group, 2).await;
    ada.has(group, 2).await;
    ada.say(group, "not for bob").await;
    ada.has(group, 3).await;
    // What is said elsewhere later has come, so this would have come too.
    ada.say(talk, "for bob").await;
    bob.has(talk, 2).await;
    let record = bob.record(group).await;
    assert_eq!((record.cursor, record.head), (seq(2), seq(2)));
    assert_eq!(
        bob.at(group)
            .members()
            .await
            .expect("the store can be read"),
        []
    );

    ada.at(group)
        .add(vec![bob.user()])
        .await
        .expect("an owner may add");
    ada.has(group, 4).await;
    ada.say(group, "welcome back").await;
    bob.has(group, 5).await;
    until(bob.client(), "the role to be known", async || {
        bob.record(group).await.role == Some(Role::Member)
    })
    .await;
    let log = bob.log(group).await;
    let numbers: Vec<u64> = log.iter().map(|row| row.seq.get()).collect();
    assert_eq!(numbers, [1, 2, 4, 5]);
    assert_eq!(all_words(&log), ["welcome back"]);
}

#[tokio::test]
async fn who_was_removed_and_added_while_away_finds_the_hole_too() {
    let server = TestServer::start().await;
    let ada = Device::register(&server, "ada").await;
    let mut bob = Device::register(&server, "bob").await;
    let group = ada.group(&[&bob]).await;
    bob.has(group, 1).await;
    bob.close().await;
    ada.at(group)
        .remove(bob.user())
        .await
        .expect("an owner may remove");
    ada.say(group, "not for bob").await;
    ada.has(group, 3).await;
    ada.at(group)
        .add(vec![bob.user()])
        .await
        .expect("an owner may add");
    ada.has(group, 4).await;
    ada.say(group, "welcome back").await;
    ada.has(group, 5).await;
    let mut events = bob.open().await;
    let rows = rows_told(&mut events, group, seq(5)).await;
    let numbers: Vec<u64> = rows.iter().map(|row| row.seq.get()).collect();
    assert_eq!(numbers, [2, 4, 5]);
}

#[tokio::test]
async fn who_leaves_is_no_member_for_anybody() {
    let server = TestServer::start().await;
    let ada = Device::register(&server, "ada").await;
    let bob = Device::register(&server, "bob").await;
    let group = ada.group(&[&bob]).await;
    bob.has(group, 1).await;
    bob.at(group).leave().await.expect("anybody may leave");
    until(bob.client(), "the own leaving to be known", async || {
        bob.record(group).await.role.is_none()
    })
    .await;
    until(ada.client(), "the leaving to be known", async || {
        let members = ada
            .at(group)
            .members()
            .await
            .expect("the store can be read");
        members.len() == 1
    })
    .await;
    assert_whole(&bob.log(group).await, 1, 2);
}

#[tokio::test]
async fn a_role_that_changes_is_known_to_its_bearer_and_to_others() {
    let server = TestServer::start().await;
    let ada = Device::register(&server, "ada").await;
    let bob = Device::register(&server, "bob").await;
    let group = ada.group(&[&bob]).await;
    bob.has(group, 1).await;
    let change = ada.at(group).change_role(bob.user(), Role::Admin).await;
    change.expect("an owner may give roles");
    until(bob.client(), "the own role", async || {
        bob.record(group).await.role == Some(Role::Admin)
    })
    .await;
    until(ada.client(), "the role", async || {
        let members = ada
            .at(group)
            .members()
            .await
            .expect("the store can be read");
        let is_bob = |member: &&MemberRecord| member.user.id == bob.user();
        members
            .iter()
            .find(is_bob)
            .is_some_and(|member| member.role == Role::Admin)
    })
    .await;
}

#[tokio::test]
async fn the_last_title_is_in_force_for_everybody() {
    let server = TestServer::start().await;
    let ada = Device::register(&server, "ada").await;
    let mut bob = Device::register(&server, "bob").await;
    let group = ada
        .client()
        .group(vec![bob.user()], ProtectionMode::Managed, Some("Lake"))
        .await
        .expect("a group can be made")
        .id();
    for device in [&ada, &bob] {
        device.has(group, 2).await;
        assert_eq!(device.record(group).await.title, "Lake");
    }
    bob.close().await;
    for title in ["Mountain", "Sea"] {
        let title = Content::Title(Title {
            title: title.to_owned(),
        });
        ada.at(group)
            .send(title)
            .await
            .expect("the title is queued");
    }
    ada.has(group, 4).await;
    bob.open().await;
    bob.has(group, 4).await;
    for device in [&ada, &bob] {
        let record = device.record(group).await;
        assert_eq!(record.title, "Sea");
        assert_eq!(record.unread, 0, "a title is nothing to be read");
    }
    let none = Content::Title(Title {
        title: String::new(),
    });
    ada.at(group).send(none).await.expect("the title is queued");
    bob.has(group, 5).await;
    assert_eq!(bob.record(group).await.title, "");
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
    bob.at(group)
        .mark_read(seq(3))
        .await
        .expect("the store can be written");
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
    phone
        .at(talk)
        .mark_read(seq(4))
        .await
        .expect("the store can be written");
    until(laptop.client(), "the position", async || {
        laptop.record(talk).await.unread == 2
    })
    .await;
    laptop
        .at(talk)
        .mark_read(seq(6))
        .await
        .expect("the store can be written");
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
    phone
        .at(talk)
        .mark_read(seq(2))
        .await
        .expect("the store can be written");
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
    phone
        .at(talk)
        .mark_read(seq(3))
        .await
        .expect("the store can be written");
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
    bob.at(talk)
        .mark_read(seq(2))
        .await
        .expect("the store can be written");
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
    bob.at(talk)
        .mark_read(seq(2))
        .await
        .expect("the store can be written");
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
    bob.at(group)
        .mark_read(seq(2))
        .await
        .expect("the store can be written");
    eventually("the server to know", async || {
        read_position(&ada, group, bob.user()).await == seq(2)
    })
    .await;
    shows(&mut timeline, "the message as delivered", |items| {
        states(items) == [SendState::Delivered]
    })
    .await;
    eva.at(group)
        .mark_read(seq(2))
        .await
        .expect("the store can be written");
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
    bob.at(talk)
        .mark_read(seq(2))
        .await
        .expect("the store can be written");
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
async fn typing_is_told_to_the_others() {
    let server = TestServer::start().await;
    let ada = Device::register(&server, "ada").await;
    let bob = Device::register(&server, "bob").await;
    let talk = ada.direct(&bob).await;
    bob.has(talk, 1).await;
    let mut events = bob.events();
    for active in [true, false] {
        // Reports that follow too closely are refused.
        patiently("a report to be taken", async {
            while ada.at(talk).set_typing(active).await.is_err() {
                tokio::task::yield_now().await;
            }
        })
        .await;
        let typing = next_event(&mut events, "typing", |event| match event {
            ClientEvent::Typing(typing) => Some(typing),
            _ => None,
        })
        .await;
        assert_eq!(
            (typing.conversation, typing.user, typing.active),
            (talk, ada.user(), active)
        );
    }
}

#[tokio::test]
async fn coming_and_going_is_told_to_acquaintances() {
    let server = TestServer::start().await;
    let mut ada = Device::register(&server, "ada").await;
    let bob = Device::register(&server, "bob").await;
    let talk = ada.direct(&bob).await;
    bob.has(talk, 1).await;
    let mut events = bob.events();
    let presence = |wanted: bool| {
        let ada = ada.user();
        move |event| match event {
            ClientEvent::Presence(presence)
                if presence.user == ada && presence.online == wanted =>
            {
                Some(())
            }
            _ => None,
        }
    };
    let (gone, back) = (presence(false), presence(true));
    ada.close().await;
    next_event(&mut events, "the going", gone).await;
    ada.open().await;
    next_event(&mut events, "the coming", back).await;
}

#[tokio::test]
async fn two_devices_of_one_user_have_the_same_log_and_count_none_of_it() {
    let server = TestServer::start().await;
    let phone = Device::register(&server, "ada").await;
    let bob = Device::register(&server, "bob").await;
    let (laptop, _events) = Device::log_in(&server, "ada", quick()).await;
    let talk = phone.direct(&bob).await;
    laptop.has(talk, 1).await;
    for number in 1..=10 {
        phone.say(talk, &format!("phone {number}")).await;
        laptop.say(talk, &format!("laptop {number}")).await;
    }
    for device in [&phone, &laptop] {
        device.has(talk, 21).await;
        assert_eq!(device.record(talk).await.unread, 0);
        let waiting = device
            .at(talk)
            .outbox()
            .await
            .expect("the store can be read");
        assert_eq!(waiting, []);
        let timeline = device
            .client()
            .timeline(talk)
            .await
            .expect("the store can be read");
        assert!(timeline.items().iter().all(|item| item.is_own));
    }
    assert_eq!(phone.log(talk).await, laptop.log(talk).await);
}

#[tokio::test]
async fn both_who_begin_a_direct_conversation_have_the_same_one() {
    let server = TestServer::start().await;
    let ada = Device::register(&server, "ada").await;
    let bob = Device::register(&server, "bob").await;
    let (one, other) = tokio::join!(ada.direct(&bob), bob.direct(&ada));
    assert_eq!(one, other);
    ada.say(one, "from ada").await;
    bob.say(one, "from bob").await;
    for device in [&ada, &bob] {
        device.has(one, 3).await;
        assert_whole(&device.log(one).await, 1, 3);
    }
    assert_eq!(ada.record(one).await.peer, Some(bob.user()));
    assert_eq!(bob.record(one).await.peer, Some(ada.user()));
}

#[tokio::test]
async fn many_conversations_are_all_read_after_an_absence() {
    let server = TestServer::start().await;
    let ada = Device::register(&server, "ada").await;
    let mut bob = Device::register(&server, "bob").await;
    let mut groups = Vec::new();
    for _ in 0..20 {
        groups.push(ada.group(&[&bob]).await);
    }
    for group in &groups {
        bob.has(*group, 1).await;
    }
    bob.close().await;
    for group in &groups {
        ada.say(*group, "one").await;
        ada.say(*group, "two").await;
    }
    for group in &groups {
        ada.has(*group, 3).await;
    }
    bob.open().await;
    for group in &groups {
        bob.has(*group, 3).await;
        assert_whole(&bob.log(*group).await, 1, 3);
    }
}

#[tokio::test]
async fn what_the_server_left_out_is_read_after_its_notice() {
    let mut world = World::new();
    let id = world.room(3);
    let served = Script::start(world, quick()).serve_well().await;
    let mut events = served.client.events();
    served.has(id, 3).await;
    for _ in 0..5 {
        let mut world = served.world.lock();
        world.write(id, "left out");
    }
    served.tell(&Event::Resync(ResyncEvent {
        heads: vec![HeadMark {
            conversation: id,
            head: seq(8),
        }],
    }));
    let rows = rows_told(&mut events, id, seq(8)).await;
    let first = rows.first().expect("there are rows").seq.get();
    assert_whole(&rows, first, 8);
    assert_whole(&kept(served.store.direct(), id), 1, 8);
}

#[tokio::test]
async fn a_row_that_does_not_follow_makes_the_range_be_read() {
    let mut world = World::new();
    let id = world.room(1);
    let served = Script::start(world, quick()).serve_well().await;
    let mut events = served.client.events();
    served.has(id, 1).await;
    for _ in 0..150 {
        served.world.lock().write(id, "not told");
    }
    served.write(id, "told");
    let rows = rows_told(&mut events, id, seq(152)).await;
    let first = rows.first().expect("there are rows").seq.get();
    assert_whole(&rows, first, 152);
    assert_sound(served.store.direct());
}

#[tokio::test]
async fn rows_that_come_while_a_range_is_read_are_neither_lost_nor_doubled() {
    let mut world = World::new();
    let id = world.room(3);
    let mut script = Script::start(world, quick());
    let mut events = script.client.events();
    let mut wire = script.greeted().await;
    let mut world = script.world.clone();
    let asked = wire.asked_for::<PageRequest>(&mut world).await;
    let page = world.page(&asked.read::<PageRequest>());
    for words in ["meanwhile", "and then"] {
        let event = world.write(id, words);
        wire.tell(&Event::Message(event));
    }
    wire.reply(result::<PageRequest>(&asked, &page));
    script.world = world;
    let reading = rows_told(&mut events, id, seq(5));
    let answering = async {
        while let Some(asked) = wire.try_asked().await {
            wire.reply(script.world.answer(&asked));
        }
    };
    let rows = tokio::select! {
        rows = reading => rows,
        () = answering => panic!("the client let go of the connection"),
    };
    assert_whole(&rows, 1, 5);
}

#[tokio::test]
async fn heads_that_do_not_fit_into_the_greeting_are_asked_for() {
    let mut world = World::new();
    let first = world.room(2);
    let mut script = Script::start(world, quick());
    let mut wire = script.arrival().await;
    let hello = wire.asked().await;
    let mut heads = script.world.heads();
    heads.next = Some(first);
    wire.reply(result::<Hello>(&hello, &heads));
    let more = wire.asked_for::<HeadsRequest>(&mut script.world).await;
    let request = more.read::<HeadsRequest>();
    assert_eq!(request.after, Some(first));
    assert_eq!(request.incarnation, Some(script.world.incarnation));
    let mut rest = World::new();
    let second = rest.room(4);
    let mut heads = rest.heads();
    heads.incarnation = script.world.incarnation;
    wire.reply(result::<HeadsRequest>(&more, &heads));
    let room = rest.rooms.remove(&second).expect("it was made");
    script.world.rooms.insert(second, room);
    let known = until(&script.client, "both conversations", async || {
        let at = |id| {
            let record = script
                .store
                .direct()
                .conversation(id)
                .expect("the store can be read");
            record.map(|record| record.cursor)
        };
        at(first) == Some(seq(2)) && at(second) == Some(seq(4))
    });
    let answering = async {
        while let Some(asked) = wire.try_asked().await {
            wire.reply(script.world.answer(&asked));
        }
    };
    tokio::select! {
        () = known => {}
        () = answering => panic!("the client let go of the connection"),
    }
}

/// A connection that ends while rows are being stored: they are stored, so
/// they have to be told as well.
#[tokio::test]
async fn rows_stored_while_the_connection_ends_are_told() {
    let mut world = World::new();
    let id = world.room(3);
    let script = Script::start(world, quick());
    let mut events = script.client.events();
    script.store.hold("apply");
    let mut greetings = 0;
    let served = script.serve(move |world, asked| {
        if asked.is::<Hello>() {
            greetings += 1;
            if greetings == 2 {
                // Nothing is new, so nothing is read before the step goes on.
                let mut heads = world.heads();
                heads.conversations.clear();
                return result::<Hello>(asked, &heads);
            }
        }
        world.answer(asked)
    });
    eventually("a page to be on its way into the store", async || {
        served.store.is_holding()
    })
    .await;
    served.lose();
    next_event(&mut events, "the connection to be lost", |event| {
        matches!(event, ClientEvent::Connection(ConnectionState::Waiting(_))).then_some(())
    })
    .await;
    served.online().await;
    // A sign that comes after the greeting says that the greeting was heard.
    served.settled().await;
    served.store.release();
    eventually("the rows to be stored", async || {
        kept(served.store.direct(), id).len() == 3
    })
    .await;
    served.write(id, "row 4");
    let rows = rows_told(&mut events, id, seq(4)).await;
    assert_whole(&rows, 1, 4);
}

/// A change of the roster that comes while a range is read is not forgotten
/// when the range is there.
#[tokio::test]
async fn a_roster_that_changes_while_a_range_is_read_is_read_too() {
    let mut world = World::new();
    let id = world.room(1);
    let mut script = Script::start(world, quick());
    let mut wire = script.greeted().await;
    let asked = wire.asked_for::<PageRequest>(&mut script.world).await;
    let room = script.world.rooms.get_mut(&id).expect("it exists");
    room.conversation.roster_version = 2;
    room.members[1].role = Role::Admin;
    let event = script.world.write(id, "with the new roster");
    wire.tell(&Event::Message(event));
    // The answer comes behind the event and brings the row too.
    let mut events = script.client.events();
    let sign = UserId::from_bytes([5; 16]);
    wire.tell(&Event::Typing(TypingEvent {
        conversation: id,
        user: sign,
        active: true,
    }));
    next_event(&mut events, "the event to be heard", |event| match event {
        ClientEvent::Typing(typing) if typing.user == sign => Some(()),
        _ => None,
    })
    .await;
    let reply = script.world.answer(&asked);
    wire.reply(reply);
    let known = eventually("the new role to be known", async || {
        let members = script
            .store
            .direct()
            .members(id)
            .expect("the store can be read");
        members.iter().any(|member| member.role == Role::Admin)
    });
    let answering = async {
        while let Some(asked) = wire.try_asked().await {
            wire.reply(script.world.answer(&asked));
        }
    };
    tokio::select! {
        () = known => {}
        () = answering => panic!("the client let go of the connection"),
    }
    assert_whole(&kept(script.store.direct(), id), 1, 2);
}

#[tokio::test]
async fn a_page_that_failed_is_asked_for_again() {
    let mut world = World::new();
    let id = world.room(3);
    let mut failures = 2;
    let served = Script::start(world, quick()).serve(move |world, asked| {
        if asked.is::<PageRequest>() && failures > 0 {
            failures -= 1;
            let busy = support::script::refusal(ruggine_core::ErrorCode::Unavailable);
            return support::script::error(asked, &busy);
        }
        world.answer(asked)
    });
    served.has(id, 3).await;
    assert_whole(&kept(served.store.direct(), id), 1, 3);
}

#[tokio::test]
async fn entries_of_a_newer_server_are_crossed() {
    let mut world = World::new();
    let id = world.room(1);
    let served = Script::start(world, quick()).serve_well().await;
    served.has(id, 1).await;
    {
        let mut world = served.world.lock();
        let head = world.head(id).next();
        let large = ruggine_core::api::message::Large {
            seq: head,
            kind: RowKind::Message,
            len: 1_000_000,
            hash: vec![0; 32].into(),
        };
        world.add(id, Item::Large(large));
        world.write(id, "after it");
    }
    let marks = vec![HeadMark {
        conversation: id,
        head: seq(3),
    }];
    served.tell(&Event::Resync(ResyncEvent { heads: marks }));
    served.has(id, 3).await;
    let rows = kept(served.store.direct(), id);
    assert_eq!(
        rows.iter().filter_map(words).collect::<Vec<_>>(),
        ["row 1", "after it"]
    );
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

#[tokio::test]
async fn a_client_that_stops_answers_and_tells_no_more() {
    let mut world = World::new();
    world.room(1);
    let served = Script::start(world, quick()).serve_well().await;
    let client = served.client.clone();
    patiently("the client to stop", client.stop()).await;
    assert_eq!(client.connection(), ConnectionState::Stopped);
    let refused = client.request(HeadsRequest::default()).await;
    assert!(refused.is_err());
}
