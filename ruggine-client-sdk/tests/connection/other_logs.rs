//! Rows and pages of a log with another incarnation.

use ruggine_core::api::message::{Item, Page, PageRequest, PageStart};
use ruggine_core::event::MessageEvent;
use ruggine_core::{Event, Incarnation, Seq};

use super::support::replies::result;
use super::support::script::Script;
use super::support::world::World;
use super::support::{
    all_words, assert_sound, assert_whole, kept, quick, rows_told, seq, text, until,
};

#[tokio::test]
async fn a_server_with_another_log_is_read_from_its_beginning() {
    let mut world = World::new();
    let id = world.room(5);
    let mut options = quick();
    options.recent = 2;
    let script = Script::start(world, options);
    let mut events = script.client.events();
    let served = script.serve_well().await;
    assert_whole(&rows_told(&mut events, id, seq(5)).await, 4, 5);
    assert_whole(&kept(served.store.direct(), id), 4, 5);
    {
        let mut world = served.world.lock();
        world.incarnation = Incarnation::new(99);
        let room = world.rooms.get_mut(&id).expect("it exists");
        room.items.clear();
        room.conversation.head = Seq::ZERO;
        for number in 1..=3 {
            world.write(id, &format!("new log {number}"));
        }
    }
    served.lose();
    let rows = rows_told(&mut events, id, seq(3)).await;
    assert_eq!(all_words(&rows), ["new log 1", "new log 2", "new log 3"]);
    assert_eq!(kept(served.store.direct(), id), rows);
    let record = served
        .store
        .direct()
        .conversation(id)
        .expect("the store can be read");
    let record = record.expect("it is known");
    assert_eq!((record.cursor, record.head), (seq(3), seq(3)));
    assert_sound(served.store.direct());
}

#[tokio::test]
async fn rows_of_another_log_are_never_kept() {
    let mut world = World::new();
    let id = world.room(1);
    let served = Script::start(world, quick()).serve_well().await;
    served.has(id, 1).await;
    let stranger = {
        let world = served.world.lock();
        let row = world.row(id, seq(2), text("of another log"));
        MessageEvent {
            incarnation: Incarnation::new(1_234),
            ..world.event(id, Item::Row(row))
        }
    };
    served.tell(&Event::Message(stranger));
    until(&served.client, "a new connection", async || {
        served.connections() == 2
    })
    .await;
    served.online().await;
    served.write(id, "of this log");
    served.has(id, 2).await;
    assert_eq!(
        all_words(&kept(served.store.direct(), id)),
        ["row 1", "of this log"]
    );
}

#[tokio::test]
async fn pages_of_another_log_are_never_kept() {
    let mut world = World::new();
    let id = world.room(2);
    let mut lies = 1;
    let served = Script::start(world, quick()).serve(move |world, asked| {
        if asked.is::<PageRequest>() && lies > 0 {
            lies -= 1;
            let row = world.row(id, seq(1), text("of another log"));
            let page = Page {
                incarnation: Incarnation::new(1_234),
                from: seq(1),
                to: seq(1),
                head: seq(2),
                items: vec![Item::Row(row)],
            };
            return result::<PageRequest>(asked, &page);
        }
        world.answer(asked)
    });
    served.has(id, 2).await;
    assert_eq!(
        all_words(&kept(served.store.direct(), id)),
        ["row 1", "row 2"]
    );
}

#[tokio::test]
async fn older_pages_of_another_log_are_never_kept() {
    let mut world = World::new();
    let id = world.room(10);
    let mut options = quick();
    options.recent = 2;
    let served = Script::start(world, options).serve(move |world, asked| {
        if asked.is::<PageRequest>()
            && matches!(asked.read::<PageRequest>().from, PageStart::Before(_))
        {
            let page = Page {
                incarnation: Incarnation::new(1_234),
                ..world.page(&asked.read())
            };
            return result::<PageRequest>(asked, &page);
        }
        world.answer(asked)
    });
    served.has(id, 10).await;
    let looked = served.client.conversation(id).load_older().await;
    assert!(!matches!(looked, Ok(true)), "{looked:?}");
    assert_whole(&kept(served.store.direct(), id), 9, 10);
}
