//! The list of conversations: its order, its names and its counts.

use ruggine_client_sdk::ui::{Body, ConversationItem};
use ruggine_core::ConversationId;
use ruggine_core::api::conversation::{ConversationKind, ProtectionMode, Role};
use ruggine_core::api::member::List as MemberList;
use ruggine_core::content::{Content, Notice, Text, Title};
use ruggine_server::testing::{TestServer, eventually};

use super::body_words;
use super::reader::{list, timeline};
use super::support::device::Device;
use super::support::{quick, seq, until};

fn ids(items: &[ConversationItem]) -> Vec<ConversationId> {
    items.iter().map(|item| item.id).collect()
}

#[tokio::test]
async fn conversations_stand_in_the_order_of_their_newest_message() {
    let server = TestServer::start().await;
    let ada = Device::register(&server, "ada").await;
    let bob = Device::register(&server, "bob").await;
    let mut list = list(bob.client()).await;
    assert_eq!(list.seen, []);
    let mut groups = Vec::new();
    for _ in 0..3 {
        groups.push(ada.group(&[&bob]).await);
    }
    list.until("all three", |items| items.len() == 3).await;
    let newest_first: Vec<ConversationId> = groups.iter().rev().copied().collect();
    list.until("the newest first", |items| ids(items) == newest_first)
        .await;

    ada.say(groups[0], "up").await;
    let moved = [groups[0], groups[2], groups[1]];
    list.until("the first to move up", |items| ids(items) == moved)
        .await;
    let top = &list.seen[0];
    let newest = top.newest.as_ref().expect("something was said");
    assert_eq!(body_words(&newest.body), "up");
    assert_eq!((newest.seq, newest.sender), (seq(2), ada.user()));
    assert_eq!(newest.sender_name.as_deref(), Some("ada"));
    assert_eq!((top.unread, top.mentions), (1, 0));

    // A title and a notice move nothing, though they are told.
    let title = Content::Title(Title {
        title: "Lake".to_owned(),
    });
    ada.at(groups[1]).send(title).await.expect("queued");
    ada.at(groups[1])
        .change_role(bob.user(), Role::Admin)
        .await
        .expect("an owner may give roles");
    list.until("the title", |items| {
        items
            .iter()
            .any(|item| item.title.as_deref() == Some("Lake"))
    })
    .await;
    bob.has(groups[1], 3).await;
    assert_eq!(ids(&list.seen), moved);
    assert_eq!(list.seen[2].newest, None);
    bob.say(groups[1], "now").await;
    list.until("it to move up", |items| items[0].id == groups[1])
        .await;
    assert_eq!(list.seen[0].unread, 0);
}

#[tokio::test]
async fn names_stand_for_a_title_where_there_is_none() {
    let server = TestServer::start().await;
    let ada = Device::register(&server, "ada").await;
    let mut others = Vec::new();
    for name in ["eva", "bob", "dora", "carl", "fred"] {
        others.push(Device::register(&server, name).await);
    }
    let mut list = list(ada.client()).await;
    let talk = ada.direct(&others[0]).await;
    list.until("the name", |items| {
        items.iter().any(|item| item.others == 1)
    })
    .await;
    let item = &list.seen[0];
    assert_eq!((item.id, item.kind), (talk, ConversationKind::Direct));
    assert_eq!(item.mode, ProtectionMode::Managed);
    assert_eq!(item.names, ["eva"]);
    assert_eq!(item.title, None);
    assert!(item.is_member);

    let everybody: Vec<&Device> = others.iter().collect();
    let group = ada.group(&everybody).await;
    let find = |items: &[ConversationItem]| items.iter().find(|item| item.id == group).cloned();
    list.until("the names", |items| {
        find(items).is_some_and(|item| item.others == 5)
    })
    .await;
    let item = find(&list.seen).expect("it is there");
    assert_eq!(item.names, ["bob", "carl", "dora"]);
    ada.at(group)
        .remove(others[1].user())
        .await
        .expect("an owner may remove");
    list.until("one less", |items| {
        find(items).is_some_and(|item| item.others == 4)
    })
    .await;
    assert_eq!(
        find(&list.seen).expect("it is there").names,
        ["carl", "dora", "eva"]
    );
}

#[tokio::test]
async fn who_is_no_longer_a_member_keeps_a_name_and_a_place() {
    let server = TestServer::start().await;
    let ada = Device::register(&server, "ada").await;
    let bob = Device::register(&server, "bob").await;
    let group = ada.group(&[&bob]).await;
    bob.has(group, 1).await;
    bob.say(group, "farewell").await;
    ada.has(group, 2).await;
    let mut of_bob = list(bob.client()).await;
    let mut timeline = timeline(ada.client(), group).await;
    bob.at(group).leave().await.expect("anybody may leave");
    of_bob
        .until("the leaving", |items| {
            items.iter().any(|item| !item.is_member)
        })
        .await;
    assert_eq!(ids(&of_bob.seen), [group]);
    timeline
        .until("the leaving", |items| items.len() == 3)
        .await;
    until(ada.client(), "the roster", async || {
        ada.at(group)
            .members()
            .await
            .expect("the store can be read")
            .len()
            == 1
    })
    .await;
    let fresh = ada
        .client()
        .timeline(group)
        .await
        .expect("the store can be read");
    let farewell = &fresh.items()[1];
    assert_eq!(body_words(&farewell.body), "farewell");
    assert_eq!(farewell.sender_name.as_deref(), Some("bob"));
    let Body::Notice(notice) = &fresh.items()[2].body else {
        panic!("{:?}", fresh.items()[2]);
    };
    assert_eq!(*notice, Notice::Left {});
}

#[tokio::test]
async fn what_was_read_elsewhere_while_away_is_read_in_the_list() {
    let server = TestServer::start().await;
    let ada = Device::register(&server, "ada").await;
    let phone = Device::register(&server, "bob").await;
    let (mut laptop, _events) = Device::log_in(&server, "bob", quick()).await;
    let talk = ada.direct(&phone).await;
    ada.say(talk, "a word").await;
    for device in [&phone, &laptop] {
        device.has(talk, 2).await;
    }
    laptop.close().await;
    phone.mark_read(talk, 2).await;
    eventually("the server to know", async || {
        let request = MemberList {
            conversation: talk,
            after: None,
        };
        let answer = ada
            .client()
            .request(request)
            .await
            .expect("a member may ask");
        answer
            .members
            .iter()
            .any(|member| member.user.id == phone.user() && member.read == seq(2))
    })
    .await;
    laptop.open().await;
    let mut list = list(laptop.client()).await;
    list.until("nothing to be read", |items| {
        items.iter().all(|item| item.unread == 0)
    })
    .await;
}

#[tokio::test]
async fn unread_counts_fall_when_something_is_read_here() {
    let server = TestServer::start().await;
    let ada = Device::register(&server, "ada").await;
    let bob = Device::register(&server, "bob").await;
    let group = ada.group(&[&bob]).await;
    let mut list = list(bob.client()).await;
    ada.say(group, "one").await;
    let naming = Text::new("@bob two").mentioning(bob.user(), 0..4);
    ada.at(group).send(naming.into()).await.expect("queued");
    let counts = |items: &[ConversationItem]| -> Vec<(u32, u32)> {
        items
            .iter()
            .map(|item| (item.unread, item.mentions))
            .collect()
    };
    list.until("both", |items| counts(items) == [(2, 1)]).await;
    bob.mark_read(group, 2).await;
    list.until("one", |items| counts(items) == [(1, 1)]).await;
    bob.mark_read(group, 3).await;
    list.until("none", |items| counts(items) == [(0, 0)]).await;
}
