//! What waits for a connection or for its turn is sent in order later.

use ruggine_client_sdk::store::SendProgress;
use ruggine_core::api::message::Send;
use ruggine_server::testing::TestServer;

use super::support::device::Device;
use super::support::replies::Reply;
use super::support::script::Script;
use super::support::world::World;
use super::support::{self, all_words, assert_whole, quick, rows_told, seq, until};
use super::{delivered, line, progress, said, say};

#[tokio::test]
async fn what_is_written_without_a_connection_is_sent_in_order_later() {
    let mut server = TestServer::start().await;
    let ada = Device::register(&server, "ada").await;
    let bob = Device::register(&server, "bob").await;
    let mut events = bob.events();
    let talk = ada.direct(&bob).await;
    for device in [&ada, &bob] {
        device.has(talk, 1).await;
    }
    server.stop().await;
    let said: Vec<String> = (1..=30).map(|number| format!("word {number}")).collect();
    for words in &said {
        ada.say(talk, words).await;
    }
    assert_eq!(
        progress(ada.client(), talk).await,
        [SendProgress::Waiting; 30]
    );
    server.resume().await;
    let rows = rows_told(&mut events, talk, seq(31)).await;
    assert_whole(&rows, 1, 31);
    assert_eq!(all_words(&rows), said);
    delivered(ada.client(), talk).await;
}

#[tokio::test]
async fn what_waits_survives_a_client_that_is_dropped() {
    let mut server = TestServer::start().await;
    let mut ada = Device::register(&server, "ada").await;
    let bob = Device::register(&server, "bob").await;
    let talk = ada.direct(&bob).await;
    ada.has(talk, 1).await;
    server.stop().await;
    let said: Vec<String> = (1..=10).map(|number| format!("word {number}")).collect();
    for words in &said[..5] {
        ada.say(talk, words).await;
    }
    let before = line(ada.client(), talk).await;
    ada.vanish();
    ada.open().await;
    assert_eq!(line(ada.client(), talk).await, before);
    for words in &said[5..] {
        ada.say(talk, words).await;
    }
    ada.vanish();
    server.resume().await;
    ada.open().await;
    bob.has(talk, 11).await;
    assert_eq!(all_words(&bob.log(talk).await), said);
    delivered(ada.client(), talk).await;
}

#[tokio::test]
async fn sending_in_many_conversations_at_once_is_never_refused() {
    let server = TestServer::start().await;
    let ada = Device::register(&server, "ada").await;
    let bob = Device::register(&server, "bob").await;
    let mut groups = Vec::new();
    for _ in 0..6 {
        groups.push(ada.group(&[&bob]).await);
    }
    for group in &groups {
        ada.has(*group, 1).await;
        bob.has(*group, 1).await;
    }
    for number in 1..=25 {
        for group in &groups {
            ada.say(*group, &format!("word {number}")).await;
        }
        bob.say(groups[0], &format!("answer {number}")).await;
        ada.mark_read(groups[0], number).await;
    }
    for group in &groups {
        until(
            ada.client(),
            "every message to have an answer",
            async || {
                let progress = progress(ada.client(), *group).await;
                !progress.contains(&SendProgress::Waiting)
            },
        )
        .await;
        let failed: Vec<SendProgress> = progress(ada.client(), *group)
            .await
            .into_iter()
            .filter(|progress| matches!(progress, SendProgress::Failed(_)))
            .collect();
        assert_eq!(failed, []);
    }
    bob.has(groups[1], 26).await;
    let said: Vec<String> = (1..=25).map(|number| format!("word {number}")).collect();
    assert_eq!(all_words(&bob.log(groups[1]).await), said);
}

#[tokio::test]
async fn the_next_message_of_a_line_waits_for_the_answer_to_the_one_before() {
    let mut world = World::new();
    let id = world.room(0);
    let mut script = Script::start(world, quick());
    let room = script.world.rooms[&id].conversation.clone();
    let store = script.store.clone();
    store
        .direct()
        .put_conversation(&room, 100)
        .expect("the store can be written");
    for number in 1..=3 {
        say(&script.client, id, &format!("word {number}")).await;
    }
    let mut wire = script.greeted().await;
    for number in 1..=3 {
        let asked = wire.asked_for::<Send>(&mut script.world).await;
        assert_eq!(said(&asked.read()), format!("word {number}"));
        // Anything asked now comes behind whatever the client has sent.
        let probe = script.client.request(ruggine_core::api::session::List {});
        let answering = async {
            let next = wire.asked().await;
            assert!(!next.is::<Send>(), "the line did not wait for its answer");
            wire.reply(script.world.answer(&next));
            if !next.is::<ruggine_core::api::session::List>() {
                let probe = wire
                    .asked_for::<ruggine_core::api::session::List>(&mut script.world)
                    .await;
                wire.reply(script.world.answer(&probe));
            }
        };
        let (probed, ()) = tokio::join!(probe, answering);
        assert!(probed.is_err(), "the script knows no such operation");
        wire.reply(script.world.answer(&asked));
    }
}

#[tokio::test]
async fn one_conversation_that_waits_does_not_hold_back_another() {
    let mut world = World::new();
    let stuck = world.room(1);
    let free = world.room(1);
    let served = Script::start(world, quick()).serve(move |world, asked| {
        if asked.is::<Send>() && asked.read::<Send>().conversation == stuck {
            return Reply::Silence;
        }
        world.answer(asked)
    });
    served.has(stuck, 1).await;
    served.has(free, 1).await;
    say(&served.client, stuck, "waits").await;
    for number in 1..=10 {
        say(&served.client, free, &format!("word {number}")).await;
    }
    served.has(free, 11).await;
    assert_eq!(
        progress(&served.client, stuck).await,
        [SendProgress::Waiting]
    );
}

#[tokio::test]
async fn a_line_goes_on_after_the_store_has_failed() {
    let mut world = World::new();
    let id = world.room(1);
    let served = Script::start(world, quick()).serve_well().await;
    served.has(id, 1).await;
    let mut failures = 2;
    served.store.before(move |step| {
        if matches!(step, "acknowledged" | "head_of_line") && failures > 0 {
            failures -= 1;
            return Err(support::watched::disk_is_full());
        }
        Ok(())
    });
    say(&served.client, id, "first").await;
    say(&served.client, id, "second").await;
    until(&served.client, "both to be acknowledged", async || {
        let progress = progress(&served.client, id).await;
        !progress.contains(&SendProgress::Waiting)
    })
    .await;
    let items = served.world.lock().rooms[&id].items.clone();
    assert_eq!(items.len(), 3, "no double");
}

#[tokio::test]
async fn every_request_carries_the_write_counter_and_it_never_goes_back() {
    let mut world = World::new();
    let id = world.room(1);
    let served = Script::start(world, quick()).serve_well().await;
    served.has(id, 1).await;
    for number in 1..=5 {
        say(&served.client, id, &format!("word {number}")).await;
        served.has(id, number + 1).await;
    }
    let world = served.world.lock();
    let greeted = world
        .requests
        .iter()
        .position(|asked| asked.method == "hello");
    let after = &world.requests[greeted.expect("it said hello") + 1..];
    let counters: Vec<u64> = after
        .iter()
        .map(|asked| asked.write_counter.expect("a store has a counter"))
        .collect();
    assert!(counters.is_sorted(), "{counters:?}");
    assert_eq!(counters.last(), Some(&5));
}
