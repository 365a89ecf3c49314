//! What fails again and again neither storms the server nor costs the rest.

use std::time::Duration;

use ruggine_core::api::message::PageRequest;
use ruggine_core::event::{HeadMark, MessageEvent, ResyncEvent};
use ruggine_core::{ConversationId, ErrorCode, Event, Incarnation};

use super::lies::row;
use super::support::replies::{error, refusal};
use super::support::script::{Script, Served};
use super::support::watched::disk_is_full;
use super::support::world::World;
use super::support::{assert_whole, kept, quick, seq};

/// What fails again and again must not keep the rest from being read.
#[tokio::test]
async fn conversations_that_cannot_be_read_do_not_hold_back_the_others() {
    let mut world = World::new();
    let bad: Vec<ConversationId> = (0..20)
        .map(|n| ConversationId::from_bytes([n; 16]))
        .collect();
    for id in &bad {
        world.room_named(*id, 1);
    }
    let good = world.room_named(ConversationId::from_bytes([255; 16]), 3);
    let served = Script::start(world, quick()).serve(move |world, asked| {
        let about_good = match asked.method.as_str() {
            "message.page" => asked.read::<PageRequest>().conversation == good,
            _ => true,
        };
        if about_good {
            return world.answer(asked);
        }
        error(asked, &refusal(ErrorCode::Internal))
    });
    served.has(good, 3).await;
    assert_whole(&kept(served.store.direct(), good), 1, 3);
}

/// Requests that come within a minute while nothing can be achieved. The clock
/// is the runtime's, and it goes on only when nobody has anything to do.
async fn requests_in_vain(served: &Served) -> usize {
    let before = served.world.lock().requests.len();
    tokio::time::sleep(Duration::from_secs(60)).await;
    served.world.lock().requests.len() - before
}

#[tokio::test(start_paused = true)]
async fn rows_that_the_server_promises_and_never_gives_are_asked_for_with_pauses() {
    let mut world = World::new();
    let id = world.room(3);
    let served = Script::start(world, quick()).serve_well().await;
    served.has(id, 3).await;
    served.tell(&Event::Resync(ResyncEvent {
        heads: vec![HeadMark {
            conversation: id,
            head: seq(1_000),
        }],
    }));
    served.settled().await;
    let asked = requests_in_vain(&served).await;
    assert!((1..=60).contains(&asked), "{asked} requests in a minute");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_speaks_of_another_log_is_not_stormed_with_connections() {
    let mut options = quick();
    options.backoff.base = Duration::from_secs(20);
    options.backoff.cap = Duration::from_secs(20);
    let mut world = World::new();
    let id = world.room(1);
    let mut script = Script::start(world, options);
    let lie = MessageEvent {
        incarnation: Incarnation::new(1_234),
        ..script.world.event(id, row(&script.world, id, 2))
    };
    let mut connections = 0;
    let connecting = async {
        loop {
            let mut wire = script.greeted().await;
            connections += 1;
            wire.tell(&Event::Message(lie.clone()));
            while let Some(asked) = wire.try_asked().await {
                wire.reply(script.world.answer(&asked));
            }
        }
    };
    let _ = tokio::time::timeout(Duration::from_secs(60), connecting).await;
    assert!(
        (2..=12).contains(&connections),
        "{connections} connections in a minute"
    );
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_does_not_storm_the_server_with_connections() {
    let mut options = quick();
    options.backoff.base = Duration::from_secs(20);
    options.backoff.cap = Duration::from_secs(20);
    let mut world = World::new();
    world.room(3);
    let script = Script::prepared(world, options, |store| {
        store.before(|step| match step {
            "set_incarnation" => Err(disk_is_full()),
            _ => Ok(()),
        });
    });
    let served = script.serve(World::answer);
    tokio::time::sleep(Duration::from_secs(60)).await;
    let connections = served.connections();
    assert!(
        (2..=12).contains(&connections),
        "{connections} connections in a minute"
    );
}

#[tokio::test]
async fn a_store_that_failed_once_while_the_login_was_read_is_asked_again() {
    let mut failures = 1;
    let script = Script::prepared(World::new(), quick(), |store| {
        store.before(move |step| {
            if step == "identity" && failures > 0 {
                failures -= 1;
                return Err(disk_is_full());
            }
            Ok(())
        });
    });
    let served = script.serve(World::answer);
    served.online().await;
}

#[tokio::test]
async fn a_store_that_fails_for_a_while_costs_no_row() {
    let mut world = World::new();
    let id = world.room(1);
    let served = Script::start(world, quick()).serve_well().await;
    served.has(id, 1).await;
    let mut failures = 3;
    served.store.before(move |step| {
        if step == "apply" && failures > 0 {
            failures -= 1;
            return Err(disk_is_full());
        }
        Ok(())
    });
    for number in 2..=6 {
        served.write(id, &format!("row {number}"));
    }
    served.has(id, 6).await;
    assert_whole(&kept(served.store.direct(), id), 1, 6);
}
