//! The ranges that a client reads from a scripted server, and what comes meanwhile.

use ruggine_client_sdk::ClientEvent;
use ruggine_core::api::conversation::Role;
use ruggine_core::api::message::{Item, PageRequest, RowKind};
use ruggine_core::api::sync::{HeadsRequest, Hello};
use ruggine_core::event::{HeadMark, ResyncEvent, TypingEvent};
use ruggine_core::{Event, UserId};
use ruggine_server::testing::eventually;

use super::support::replies::result;
use super::support::script::Script;
use super::support::world::World;
use super::support::{
    self, assert_sound, assert_whole, kept, next_event, quick, rows_told, seq, until, words,
};

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
            let busy = support::replies::refusal(ruggine_core::ErrorCode::Unavailable);
            return support::replies::error(asked, &busy);
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
