//! The view-models: lists that say how they change.

#[expect(dead_code, reason = "each of the test programs uses a part")]
mod support;

use std::time::Duration;

use ruggine_client_sdk::Client;
use ruggine_client_sdk::store::SendProgress;
use ruggine_client_sdk::ui::{
    Body, ConversationItem, ConversationList, Diff, SendState, Timeline, TimelineItem, apply_diffs,
};
use ruggine_core::api::conversation::{ConversationKind, ProtectionMode, Role};
use ruggine_core::api::member::List as MemberList;
use ruggine_core::api::message::{Item, Row, RowKind, Send, Undecryptable};
use ruggine_core::content::{Content, Notice, Text, Title};
use ruggine_core::secret::SecretText;
use ruggine_core::{Blob, ClientMsgId, ConversationId, DeviceId, ErrorCode, Event, Seq, UserId};
use ruggine_server::testing::{TestServer, eventually, patiently};
use support::device::{Device, PASSWORD};
use support::script::{Script, Served, World, error, refusal};
use support::{next_event, now, quick, seq, until};

/// A list with a reader who sees only the first items and the changes.
struct Read<L, T> {
    list: L,
    seen: Vec<T>,
}

trait Changing {
    type Item: Clone + PartialEq + std::fmt::Debug;

    fn items(&self) -> &[Self::Item];
    async fn next(&mut self) -> Option<Vec<Diff<Self::Item>>>;
}

impl Changing for ConversationList {
    type Item = ConversationItem;

    fn items(&self) -> &[ConversationItem] {
        Self::items(self)
    }

    async fn next(&mut self) -> Option<Vec<Diff<ConversationItem>>> {
        Self::next(self).await.expect("the store can be read")
    }
}

impl Changing for Timeline {
    type Item = TimelineItem;

    fn items(&self) -> &[TimelineItem] {
        Self::items(self)
    }

    async fn next(&mut self) -> Option<Vec<Diff<TimelineItem>>> {
        Self::next(self).await.expect("the store can be read")
    }
}

impl<L: Changing> Read<L, L::Item> {
    fn new(list: L) -> Self {
        let seen = list.items().to_vec();
        Self { list, seen }
    }

    /// One step on; what the reader sees is what the list holds.
    async fn step(&mut self) -> Vec<Diff<L::Item>> {
        let diffs = self.list.next().await.expect("the client goes on");
        assert!(!diffs.is_empty(), "a change that changes nothing was told");
        apply_diffs(&mut self.seen, &diffs);
        assert_eq!(self.seen, self.list.items());
        diffs
    }

    /// Takes what has happened so far.
    async fn drain(&mut self) {
        while tokio::time::timeout(Duration::from_millis(300), self.step())
            .await
            .is_ok()
        {}
    }

    /// Leads on until the reader sees what is wanted.
    async fn until(&mut self, what: &str, mut holds: impl FnMut(&[L::Item]) -> bool) {
        patiently(what, async {
            while !holds(&self.seen) {
                self.step().await;
            }
        })
        .await;
    }
}

async fn list(client: &Client) -> Read<ConversationList, ConversationItem> {
    Read::new(
        client
            .conversation_list()
            .await
            .expect("the store can be read"),
    )
}

async fn timeline(client: &Client, id: ConversationId) -> Read<Timeline, TimelineItem> {
    Read::new(client.timeline(id).await.expect("the store can be read"))
}

fn ids(items: &[ConversationItem]) -> Vec<ConversationId> {
    items.iter().map(|item| item.id).collect()
}

fn body_words(body: &Body) -> &str {
    match body {
        Body::Text(text) => &text.body,
        Body::Title(_) => "<title>",
        Body::Notice(_) => "<notice>",
        Body::Undecryptable => "<undecryptable>",
        _ => "<unsupported>",
    }
}

fn shown(items: &[TimelineItem]) -> Vec<&str> {
    items.iter().map(|item| body_words(&item.body)).collect()
}

/// The only item of the user's own that is text.
fn own(items: &[TimelineItem]) -> Option<&TimelineItem> {
    items
        .iter()
        .find(|item| item.is_own && matches!(item.body, Body::Text(_)))
}

async fn mark_read(device: &Device, id: ConversationId, number: u64) {
    let read = device.at(id).mark_read(seq(number)).await;
    read.expect("the store can be written");
}

#[tokio::test]
async fn a_local_echo_keeps_its_name_from_sending_to_read() {
    let mut server = TestServer::start().await;
    let ada = Device::register(&server, "ada").await;
    let mut bob = Device::register(&server, "bob").await;
    let talk = ada.direct(&bob).await;
    for device in [&ada, &bob] {
        device.has(talk, 1).await;
    }
    bob.close().await;
    server.stop().await;
    let mut timeline = timeline(ada.client(), talk).await;
    let message = ada.at(talk).send_text("a word").await.expect("queued");
    let in_state = |wanted: SendState| {
        move |items: &[TimelineItem]| own(items).is_some_and(|item| item.state == wanted)
    };
    timeline
        .until("it to be sending", in_state(SendState::Sending))
        .await;
    let echo = own(&timeline.seen).expect("it is shown").clone();
    assert_eq!(echo.key.client_msg_id, message);
    assert_eq!(echo.seq, None);
    assert_eq!(echo.sender, ada.user());
    assert_eq!(echo.sender_name.as_deref(), Some("ada"));
    let still = |seen: &[TimelineItem]| {
        let item = own(seen).expect("it is shown all the time");
        assert_eq!(item.key, echo.key);
        assert_eq!(shown(seen), ["<notice>", "a word"]);
    };
    server.resume().await;
    timeline
        .until("it to be sent", in_state(SendState::Sent))
        .await;
    still(&timeline.seen);
    bob.open().await;
    timeline
        .until("it to be delivered", in_state(SendState::Delivered))
        .await;
    still(&timeline.seen);
    assert_eq!(own(&timeline.seen).and_then(|item| item.seq), Some(seq(2)));
    bob.has(talk, 2).await;
    mark_read(&bob, talk, 2).await;
    timeline
        .until("it to be read", in_state(SendState::Read))
        .await;
    still(&timeline.seen);
}

#[tokio::test]
async fn an_echo_is_never_gone_or_doubled_on_its_way() {
    let server = TestServer::start().await;
    let ada = Device::register(&server, "ada").await;
    let bob = Device::register(&server, "bob").await;
    let talk = ada.direct(&bob).await;
    ada.has(talk, 1).await;
    let mut timeline = timeline(ada.client(), talk).await;
    let mut written = Vec::new();
    for number in 1..=40 {
        let words = format!("word {number}");
        written.push(ada.at(talk).send_text(words).await.expect("queued"));
    }
    let mut known = 0;
    timeline
        .until("all to be sent", |items| {
            let keys: Vec<ClientMsgId> = items
                .iter()
                .filter(|item| matches!(item.body, Body::Text(_)))
                .map(|item| item.key.client_msg_id)
                .collect();
            assert!(keys.len() >= known, "a message that was shown is gone");
            known = keys.len();
            assert_eq!(keys, written[..known]);
            items.iter().all(|item| item.seq.is_some()) && known == written.len()
        })
        .await;
}

#[tokio::test]
async fn a_message_that_failed_says_why() {
    let mut world = World::new();
    let id = world.room(1);
    let served = Script::start(world, quick()).serve(|world, asked| {
        if asked.is::<Send>() {
            return error(asked, &refusal(ErrorCode::Refused));
        }
        world.answer(asked)
    });
    served.has(id, 1).await;
    let mut timeline = timeline(&served.client, id).await;
    let conversation = served.client.conversation(id);
    let message = conversation.send_text("no").await.expect("queued");
    timeline
        .until("the failure", |items| {
            own(items).is_some_and(|item| item.state == SendState::Failed(ErrorCode::Refused))
        })
        .await;
    assert!(
        conversation
            .discard(message)
            .await
            .expect("the store can be written")
    );
    timeline
        .until("it to be gone", |items| own(items).is_none())
        .await;
    assert_eq!(shown(&timeline.seen), ["row 1"]);
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
async fn the_first_notice_of_a_group_names_its_members() {
    let server = TestServer::start().await;
    let ada = Device::register(&server, "ada").await;
    let bob = Device::register(&server, "bob").await;
    let group = ada.group(&[&bob]).await;
    let mut timeline = timeline(bob.client(), group).await;
    timeline.until("the notice", |items| items.len() == 1).await;
    let Body::Notice(Notice::Created { kind, members }) = &timeline.seen[0].body else {
        panic!("{:?}", timeline.seen);
    };
    assert_eq!(*kind, ConversationKind::Group);
    assert!(members.contains(&ada.user()) && members.contains(&bob.user()));
    assert_eq!(timeline.seen[0].state, SendState::Received);
}

#[tokio::test]
async fn what_cannot_be_shown_stands_in_its_place() {
    let mut world = World::new();
    let id = world.room(1);
    let add = |world: &mut World, payload: &[u8], kind: RowKind| {
        let row = Row {
            kind,
            ..world.row(id, world.head(id).next(), Blob::from(payload.to_vec()))
        };
        world.add(id, Item::Row(row));
    };
    add(
        &mut world,
        br#"{"hologram":{"glow":true}}"#,
        RowKind::Message,
    );
    add(&mut world, b"no json at all \xff", RowKind::Message);
    add(&mut world, br#"{"text":{"body":"fine"}}"#, RowKind::Message);
    add(
        &mut world,
        br#"{"text":{"body":"of the future"}}"#,
        RowKind::Unknown,
    );
    add(&mut world, br#"{"moved_to_mars":{}}"#, RowKind::System);
    add(
        &mut world,
        br#"{"title":{"title":"Lake"}}"#,
        RowKind::Message,
    );
    add(&mut world, &b"[".repeat(5_000), RowKind::Message);
    let lost = Undecryptable {
        seq: world.head(id).next(),
        kind: RowKind::Message,
        sender: world.other(id),
        device: DeviceId::from_bytes([9; 16]),
        client_msg_id: ClientMsgId::new(now()),
        server_ts: now(),
    };
    world.add(id, Item::Undecryptable(lost));
    let served = Script::start(world, quick()).serve_well().await;
    served.has(id, 9).await;
    let timeline = timeline(&served.client, id).await;
    let expected = [
        "row 1",
        "<unsupported>",
        "<unsupported>",
        "fine",
        "<unsupported>",
        "<unsupported>",
        "<title>",
        "<unsupported>",
        "<undecryptable>",
    ];
    assert_eq!(shown(&timeline.seen), expected);
    let list = list(&served.client).await;
    let item = &list.seen[0];
    assert_eq!(item.title.as_deref(), Some("Lake"));
    let newest = item.newest.as_ref().expect("something was said");
    assert_eq!(newest.body, Body::Undecryptable, "somebody wrote it");
    // Text twice, two that cannot be read, one nested too deeply, one lost.
    assert_eq!(item.unread, 6);
}

#[tokio::test]
async fn a_timeline_begins_with_the_newest_rows_and_looks_back() {
    let mut world = World::new();
    let id = world.room(170);
    let served = Script::start(world, quick()).serve_well().await;
    served.has(id, 170).await;
    let mut timeline = timeline(&served.client, id).await;
    let numbers = |items: &[TimelineItem]| -> (u64, u64, usize) {
        let number =
            |item: Option<&TimelineItem>| item.and_then(|item| item.seq).map_or(0, Seq::get);
        (number(items.first()), number(items.last()), items.len())
    };
    assert_eq!(numbers(&timeline.seen), (121, 170, 50));
    for first in [71, 21, 1] {
        let diffs = timeline
            .list
            .look_back()
            .await
            .expect("there is a connection");
        apply_diffs(&mut timeline.seen, &diffs);
        assert_eq!(timeline.seen, timeline.list.items());
        assert_eq!(numbers(&timeline.seen), (first, 170, 171 - first as usize));
    }
    let none = timeline
        .list
        .look_back()
        .await
        .expect("there is a connection");
    assert_eq!(none, [], "there is nothing before the beginning");
    served.write(id, "row 171");
    timeline
        .until("the new row", |items| numbers(items).1 == 171)
        .await;
    assert_eq!(numbers(&timeline.seen), (1, 171, 171));
}

#[tokio::test]
async fn what_is_kept_is_shown_without_a_connection() {
    let mut world = World::new();
    let id = world.room(200);
    let mut options = quick();
    options.recent = 70;
    options.backoff.base = Duration::from_secs(3_600);
    options.backoff.cap = Duration::from_secs(3_600);
    let served = Script::start(world, options).serve_well().await;
    served.has(id, 200).await;
    let mut timeline = timeline(&served.client, id).await;
    assert_eq!(timeline.seen.len(), 50);
    served.transport.refuse(true);
    served.lose();
    patiently(
        "the connection to be lost",
        served.client.wait_for_connection(|state| {
            matches!(state, ruggine_client_sdk::ConnectionState::Waiting(_))
        }),
    )
    .await;
    let diffs = timeline
        .list
        .look_back()
        .await
        .expect("there are rows that are kept");
    apply_diffs(&mut timeline.seen, &diffs);
    assert_eq!(timeline.seen.len(), 70);
    let nothing = timeline.list.look_back().await;
    assert!(nothing.is_err(), "the rest is at the server");
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
    mark_read(&phone, talk, 2).await;
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
    mark_read(&bob, group, 2).await;
    list.until("one", |items| counts(items) == [(1, 1)]).await;
    mark_read(&bob, group, 3).await;
    list.until("none", |items| counts(items) == [(0, 0)]).await;
}

#[tokio::test]
async fn another_users_login_empties_what_is_shown() {
    let server = TestServer::start().await;
    let ada = Device::register(&server, "ada").await;
    let _bob = Device::register(&server, "bob").await;
    let group = ada.group(&[]).await;
    ada.say(group, "mine").await;
    ada.has(group, 2).await;
    let mut list = list(ada.client()).await;
    let mut timeline = timeline(ada.client(), group).await;
    list.until("the conversation", |items| items.len() == 1)
        .await;
    timeline.until("the rows", |items| items.len() == 2).await;
    // What is still on its way would make the lists look again by chance.
    list.drain().await;
    timeline.drain().await;
    let login = ada
        .client()
        .log_in("bob", SecretText::new(PASSWORD), None)
        .await;
    login.expect("the password is right");
    list.until("nothing", |items| items.is_empty()).await;
    timeline.until("nothing", |items| items.is_empty()).await;
}

#[tokio::test]
async fn lists_end_with_their_client() {
    let mut world = World::new();
    let id = world.room(1);
    let served = Script::start(world, quick()).serve_well().await;
    served.has(id, 1).await;
    let mut list = served.client.conversation_list().await.expect("readable");
    let mut timeline = served.client.timeline(id).await.expect("readable");
    patiently("the client to stop", served.client.stop()).await;
    drop(served);
    patiently("the list to end", async {
        while list.next().await.expect("readable").is_some() {}
    })
    .await;
    patiently("the timeline to end", async {
        while timeline.next().await.expect("readable").is_some() {}
    })
    .await;
}

#[tokio::test]
async fn a_reader_who_was_too_slow_sees_the_state_as_it_is() {
    let mut world = World::new();
    let id = world.room(1);
    let served = Script::start(world, quick()).serve_well().await;
    served.has(id, 1).await;
    let mut list = list(&served.client).await;
    let mut timeline = timeline(&served.client, id).await;
    for number in 2..=1_500 {
        served.write(id, &format!("row {number}"));
    }
    served.has(id, 1_500).await;
    served.settled().await;
    list.until("the last row", |items| {
        items[0]
            .newest
            .as_ref()
            .is_some_and(|newest| newest.seq == seq(1_500))
    })
    .await;
    timeline
        .until("the last row", |items| {
            items.last().and_then(|item| item.seq) == Some(seq(1_500))
        })
        .await;
    assert_eq!(timeline.seen.len(), 50);
}

/// A sequence of numbers that looks random.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }
}

/// Random doings of three people, while the first one's lists are read.
async fn random_activity(seed: u64) {
    let server = TestServer::start().await;
    let ada = Device::register(&server, "ada").await;
    let bob = Device::register(&server, "bob").await;
    let eva = Device::register(&server, "eva").await;
    let mut rooms = vec![ada.group(&[&bob]).await, bob.group(&[&ada, &eva]).await];
    for room in &rooms {
        ada.has(*room, 1).await;
        bob.has(*room, 1).await;
    }
    let mut list = list(ada.client()).await;
    let mut lines = Vec::new();
    for room in &rooms {
        lines.push(timeline(ada.client(), *room).await);
    }
    let mut dice = Dice(seed);
    for step in 0..60 {
        let room = rooms[dice.roll(2)];
        let who = [&ada, &bob][dice.roll(2)];
        // Refusals are part of the game.
        match dice.roll(8) {
            0..=3 => who.say(room, &format!("step {step}")).await,
            4 => {
                let head = who.record(room).await.head;
                mark_read(who, room, head.get()).await;
            }
            5 => {
                let title = Content::Title(Title {
                    title: format!("title {step}"),
                });
                let _ = who.at(room).send(title).await;
            }
            6 => {
                let _ = who.at(room).add(vec![eva.user()]).await;
            }
            _ => {
                let _ = who.at(room).remove(eva.user()).await;
            }
        }
        if step == 30 {
            rooms.push(ada.direct(&eva).await);
        }
    }
    for room in &rooms {
        until(
            ada.client(),
            "every message to have an answer",
            async || {
                let line = ada.at(*room).outbox().await.expect("readable");
                line.iter().all(|message| match message.progress {
                    SendProgress::Failed(code) => {
                        // A plain member may not change a title.
                        assert_eq!(code, ErrorCode::Forbidden);
                        true
                    }
                    _ => false,
                })
            },
        )
        .await;
    }
    agree(&ada, &mut list, async || {
        ada.client().conversation_list().await.expect("readable")
    })
    .await;
    for (line, room) in lines.iter_mut().zip(&rooms) {
        agree(&ada, line, async || {
            ada.client().timeline(*room).await.expect("readable")
        })
        .await;
    }
}

/// A list that was led along by its changes becomes what a new one is at once.
async fn agree<L: Changing>(ada: &Device, read: &mut Read<L, L::Item>, fresh: impl AsyncFn() -> L) {
    patiently("the list to be as it is", async {
        while read.seen != fresh().await.items() {
            tokio::select! {
                _ = read.step() => {}
                // What comes late makes the fresh one another.
                () = tokio::time::sleep(Duration::from_millis(50)) => {}
            }
        }
    })
    .await;
    assert!(ada.client().identity().await.expect("readable").is_some());
}

#[tokio::test]
async fn changes_lead_to_the_same_lists_whatever_happens_1() {
    random_activity(1).await;
}

#[tokio::test]
async fn changes_lead_to_the_same_lists_whatever_happens_2() {
    random_activity(2).await;
}

#[tokio::test]
async fn changes_lead_to_the_same_lists_whatever_happens_3() {
    random_activity(3).await;
}

#[tokio::test]
async fn a_server_that_doubles_a_name_does_not_lead_the_reader_astray() {
    let mut world = World::new();
    let id = world.room(2);
    let served: Served = Script::start(world, quick()).serve_well().await;
    served.has(id, 2).await;
    let mut timeline = timeline(&served.client, id).await;
    for words in ["once", "twice"] {
        let event = {
            let mut world = served.world.lock();
            let row = Row {
                client_msg_id: ClientMsgId::from_bytes([3; 16]),
                ..world.row(id, world.head(id).next(), support::text(words))
            };
            world.add(id, Item::Row(row))
        };
        served.tell(&Event::Message(event));
    }
    served.has(id, 4).await;
    timeline
        .until("both", |items| {
            items.last().and_then(|item| item.seq) == Some(seq(4))
        })
        .await;
    assert_eq!(timeline.seen.len(), 4);
    let _: UserId = served
        .store
        .direct()
        .identity()
        .expect("readable")
        .expect("somebody")
        .user
        .id;
    let mut events = served.client.events();
    served.write(id, "after");
    next_event(&mut events, "the row", |event| {
        matches!(event, ruggine_client_sdk::ClientEvent::Message { .. }).then_some(())
    })
    .await;
    timeline.until("the last", |items| items.len() == 5).await;
}
