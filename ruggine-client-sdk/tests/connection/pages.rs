//! Pages that do not continue what is kept.

use ruggine_core::api::message::{Item, Page, PageRequest, PageStart, Row};
use ruggine_core::event::{HeadMark, ResyncEvent};
use ruggine_core::{ConversationId, Event};
use ruggine_server::testing::patiently;

use super::support::replies::result;
use super::support::script::Script;
use super::support::world::World;
use super::support::{all_words, assert_sound, assert_whole, kept, quick, rows_told, seq};

/// Pages as a lying server gives them, then true ones.
async fn lied_to_with_pages(
    lies: usize,
    mut lie: impl FnMut(&World, ConversationId, &mut Page) + Send + 'static,
) {
    let mut world = World::new();
    let id = world.room(150);
    let mut left = lies;
    let served = Script::start(world, quick()).serve(move |world, asked| {
        if asked.is::<PageRequest>() && left > 0 {
            left -= 1;
            let mut page = world.page(&asked.read());
            lie(world, id, &mut page);
            return result::<PageRequest>(asked, &page);
        }
        world.answer(asked)
    });
    let mut events = served.client.events();
    let told = tokio::spawn(async move { rows_told(&mut events, id, seq(151)).await });
    served.online().await;
    // However often it was lied to, it asks when it hears that there is more.
    patiently("the true rows to be stored", async {
        loop {
            let record = served
                .store
                .direct()
                .conversation(id)
                .expect("the store can be read");
            if record.is_some_and(|record| record.cursor == seq(150)) {
                break;
            }
            served.tell(&Event::Resync(ResyncEvent {
                heads: vec![HeadMark {
                    conversation: id,
                    head: seq(150),
                }],
            }));
            served.settled().await;
        }
    })
    .await;
    assert_sound(served.store.direct());
    let rows = kept(served.store.direct(), id);
    assert_whole(&rows, 51, 150);
    let words: Vec<String> = (51..=150).map(|number| format!("row {number}")).collect();
    assert_eq!(all_words(&rows), words);
    // Whatever was told, was told once and in order.
    served.write(id, "the end");
    let told = told.await.expect("every row is told");
    assert_whole(&told, 51, 151);
}

#[tokio::test]
async fn a_page_in_reverse_is_not_kept() {
    lied_to_with_pages(2, |_, _, page| page.items.reverse()).await;
}

#[tokio::test]
async fn a_page_that_leaves_numbers_out_is_kept_up_to_there() {
    lied_to_with_pages(2, |_, _, page| {
        page.items.remove(1);
        page.items.truncate(3);
    })
    .await;
}

#[tokio::test]
async fn a_page_that_begins_too_late_is_not_kept() {
    lied_to_with_pages(2, |_, _, page| {
        page.items.drain(..10);
    })
    .await;
}

#[tokio::test]
async fn an_empty_page_where_there_are_rows_is_asked_for_again() {
    lied_to_with_pages(3, |_, _, page| page.items.clear()).await;
}

#[tokio::test]
async fn a_page_with_everything_twice_is_kept_once() {
    lied_to_with_pages(1, |_, _, page| {
        let twice = page
            .items
            .iter()
            .flat_map(|item| [item.clone(), item.clone()]);
        page.items = twice.collect();
    })
    .await;
}

#[tokio::test]
async fn a_page_of_what_is_known_already_is_asked_for_again() {
    lied_to_with_pages(2, |world, id, page| {
        page.items = world.rooms[&id].items[..20].to_vec();
    })
    .await;
}

#[tokio::test]
async fn older_pages_that_do_not_continue_what_is_kept_are_not_kept() {
    type Lie = fn(&mut Vec<Item>);
    let lies: [(&str, Lie); 6] = [
        ("in reverse", |items| items.reverse()),
        ("with a number left out", |items| {
            items.remove(3);
        }),
        ("with the last left out", |items| {
            items.pop();
        }),
        ("with a stray first", |items| items.rotate_right(1)),
        ("with everything twice", |items| {
            let twice = items.iter().flat_map(|item| [item.clone(), item.clone()]);
            *items = twice.collect();
        }),
        ("with a number far above in front", |items| {
            if let Some(Item::Row(row)) = items.last().cloned() {
                let above = Row {
                    seq: seq(60),
                    ..row
                };
                items.insert(0, Item::Row(above));
            }
        }),
    ];
    for (what, lie) in lies {
        let mut world = World::new();
        let id = world.room(10);
        let mut options = quick();
        options.recent = 2;
        let served = Script::start(world, options).serve(move |world, asked| {
            if asked.is::<PageRequest>()
                && matches!(asked.read::<PageRequest>().from, PageStart::Before(_))
            {
                let mut page = world.page(&asked.read());
                lie(&mut page.items);
                return result::<PageRequest>(asked, &page);
            }
            world.answer(asked)
        });
        served.has(id, 10).await;
        // Whether it is an error or nothing, what is kept has no hole in it.
        let _ = served.client.conversation(id).load_older().await;
        let record = served
            .store
            .direct()
            .conversation(id)
            .expect("the store can be read");
        let record = record.expect("it is known");
        let rows = kept(served.store.direct(), id);
        assert!(record.floor <= record.cursor, "{what}: {record:?}");
        let numbers: Vec<u64> = rows.iter().map(|row| row.seq.get()).collect();
        let whole: Vec<u64> = (record.floor.get() + 1..=record.cursor.get()).collect();
        assert_eq!(numbers, whole, "{what}");
    }
}
