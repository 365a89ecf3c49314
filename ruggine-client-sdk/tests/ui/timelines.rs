//! The timeline of a conversation: what is shown of it, and how far back.

use ruggine_client_sdk::ui::{Body, SendState, TimelineItem, apply_diffs};
use ruggine_core::api::conversation::ConversationKind;
use ruggine_core::api::message::{Item, Row, RowKind, Undecryptable};
use ruggine_core::content::Notice;
use ruggine_core::{Blob, ClientMsgId, DeviceId, Event, Seq, UserId};
use ruggine_server::testing::{TestServer, patiently};

use super::reader::{list, timeline};
use super::shown;
use super::support::device::Device;
use super::support::script::{Script, Served};
use super::support::world::World;
use super::support::{self, is_waiting, next_event, now, quick, seq, slow};

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
    let mut options = slow();
    options.recent = 70;
    let served = Script::start(world, options).serve_well().await;
    served.has(id, 200).await;
    let mut timeline = timeline(&served.client, id).await;
    assert_eq!(timeline.seen.len(), 50);
    served.transport.refuse(true);
    served.lose();
    patiently(
        "the connection to be lost",
        served.client.wait_for_connection(is_waiting),
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
