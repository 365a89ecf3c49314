//! What is sent again, with the same bytes, until the right answer has come.

use std::time::{Duration, Instant};

use ruggine_client_sdk::ClientEvent;
use ruggine_client_sdk::store::SendProgress;
use ruggine_core::api::message::{PageRequest, Send};
use ruggine_core::{ApiError, ClientMsgId, ErrorCode, Incarnation};
use ruggine_server::testing::patiently;

use super::support::replies::{Reply, error, refusal, result};
use super::support::script::Script;
use super::support::world::World;
use super::support::{all_words, kept, next_event, now, quick, seq, until};
use super::{delivered, line, progress, said, say, sends};

#[tokio::test]
async fn a_lost_answer_makes_the_same_bytes_be_sent_again_and_no_double() {
    let mut world = World::new();
    let id = world.room(1);
    let mut lost = 0;
    let served = Script::start(world, quick()).serve(move |world, asked| {
        if asked.is::<Send>() && lost < 3 {
            lost += 1;
            // Taken, and the answer is lost with the connection.
            let _ = world.answer(asked);
            return Reply::Lose;
        }
        world.answer(asked)
    });
    served.has(id, 1).await;
    let mut events = served.client.events();
    let message = say(&served.client, id, "only once").await;
    let number = next_event(&mut events, "the acknowledgement", |event| match event {
        ClientEvent::Acknowledged {
            client_msg_id, seq, ..
        } if client_msg_id == message => Some(seq),
        _ => None,
    })
    .await;
    assert_eq!(number, seq(2));
    served.has(id, 2).await;
    delivered(&served.client, id).await;
    let rows = kept(served.store.direct(), id);
    assert_eq!(all_words(&rows), ["row 1", "only once"]);
    // What the log brought first need not be asked for again.
    let sends = sends(&served);
    assert!((1..=4).contains(&sends.len()));
    for send in &sends {
        assert_eq!(send.client_msg_id, message);
        assert_eq!(send.payload, sends[0].payload);
    }
}

#[tokio::test]
async fn a_send_that_never_came_through_is_sent_again_with_the_same_bytes() {
    let mut world = World::new();
    let id = world.room(1);
    let mut script = Script::start(world, quick());
    let mut wire = script.greeted().await;
    wire.asked_for::<PageRequest>(&mut script.world).await;
    let queued = script.client.conversation(id);
    // Known here before anything is answered.
    let room = script.world.rooms[&id].conversation.clone();
    script
        .store
        .direct()
        .put_conversation(&room, 100)
        .expect("the store can be written");
    let message = queued.send_text("at last").await.expect("queued");
    let mut seen: Vec<Send> = Vec::new();
    for _ in 0..3 {
        let asked = wire.asked_for::<Send>(&mut script.world).await;
        seen.push(asked.read());
        drop(wire);
        wire = script.greeted().await;
    }
    let last = wire.asked_for::<Send>(&mut script.world).await;
    seen.push(last.read());
    wire.reply(script.world.answer(&last));
    for send in &seen {
        assert_eq!(send.client_msg_id, message);
        assert_eq!(send.payload, seen[0].payload);
        assert_eq!(said(send), "at last");
    }
    let mut events = script.client.events();
    let acked = async {
        if progress(&script.client, id).await == [SendProgress::Waiting] {
            next_event(&mut events, "the acknowledgement", |event| {
                matches!(event, ClientEvent::Acknowledged { .. }).then_some(())
            })
            .await;
        }
    };
    acked.await;
}

#[tokio::test]
async fn a_server_that_asks_to_wait_is_given_its_time() {
    const WAIT: Duration = Duration::from_millis(300);
    let mut world = World::new();
    let id = world.room(1);
    let mut refusals = 2;
    let times = std::sync::Arc::new(parking_lot::Mutex::new(Vec::new()));
    let noted = std::sync::Arc::clone(&times);
    let served = Script::start(world, quick()).serve(move |world, asked| {
        if asked.is::<Send>() {
            noted.lock().push(Instant::now());
            if refusals > 0 {
                refusals -= 1;
                world.requests.push(asked.clone());
                let limited = ApiError {
                    retry_after_ms: Some(WAIT.as_millis() as u64),
                    ..refusal(ErrorCode::RateLimited)
                };
                return error(asked, &limited);
            }
        }
        world.answer(asked)
    });
    served.has(id, 1).await;
    say(&served.client, id, "patience").await;
    say(&served.client, id, "virtue").await;
    delivered(&served.client, id).await;
    let times = times.lock().clone();
    assert_eq!(times.len(), 4);
    for pair in times[..3].windows(2) {
        assert!(pair[1] - pair[0] >= WAIT, "asked again too early");
    }
    let rows = kept(served.store.direct(), id);
    assert_eq!(all_words(&rows), ["row 1", "patience", "virtue"]);
    let sends = sends(&served);
    assert_eq!(sends[0].payload, sends[1].payload);
    assert_eq!(sends[0].client_msg_id, sends[2].client_msg_id);
}

#[tokio::test]
async fn a_failure_of_the_server_that_may_pass_is_not_the_end_of_a_message() {
    let mut world = World::new();
    let id = world.room(1);
    let mut codes = vec![
        ErrorCode::Internal,
        ErrorCode::Unavailable,
        ErrorCode::Overloaded,
    ];
    let served = Script::start(world, quick()).serve(move |world, asked| {
        if asked.is::<Send>()
            && let Some(code) = codes.pop()
        {
            let soon = ApiError {
                retry_after_ms: Some(1),
                ..refusal(code)
            };
            return error(asked, &soon);
        }
        world.answer(asked)
    });
    served.has(id, 1).await;
    say(&served.client, id, "in the end").await;
    served.has(id, 2).await;
    delivered(&served.client, id).await;
    assert_eq!(
        all_words(&kept(served.store.direct(), id)),
        ["row 1", "in the end"]
    );
}

#[tokio::test]
async fn a_server_that_acknowledges_something_else_is_not_believed() {
    let mut world = World::new();
    let id = world.room(1);
    let elsewhere = world.room(1);
    let mut lies = 0;
    let served = Script::start(world, quick()).serve(move |world, asked| {
        if asked.is::<Send>() && lies < 2 {
            lies += 1;
            world.requests.push(asked.clone());
            let mut ack = ruggine_core::api::message::Ack {
                conversation: id,
                client_msg_id: asked.read::<Send>().client_msg_id,
                incarnation: world.incarnation,
                seq: seq(2),
                server_ts: now(),
            };
            match lies {
                1 => ack.client_msg_id = ClientMsgId::new(now()),
                _ => ack.conversation = elsewhere,
            }
            return result::<Send>(asked, &ack);
        }
        world.answer(asked)
    });
    served.has(id, 1).await;
    let mut events = served.client.events();
    let message = say(&served.client, id, "the truth").await;
    let (conversation, acked) =
        next_event(&mut events, "an acknowledgement", |event| match event {
            ClientEvent::Acknowledged {
                conversation,
                client_msg_id,
                ..
            } => Some((conversation, client_msg_id)),
            _ => None,
        })
        .await;
    assert_eq!((conversation, acked), (id, message));
    assert_eq!(sends(&served).len(), 3);
    delivered(&served.client, id).await;
}

#[tokio::test]
async fn a_message_that_the_log_brings_before_its_answer_is_not_shown_twice() {
    let mut world = World::new();
    let id = world.room(1);
    let held = std::sync::Arc::new(parking_lot::Mutex::new(None));
    let kept_back = std::sync::Arc::clone(&held);
    let served = Script::start(world, quick()).serve(move |world, asked| {
        if asked.is::<Send>() {
            *kept_back.lock() = Some(world.answer(asked));
            return Reply::Silence;
        }
        world.answer(asked)
    });
    served.has(id, 1).await;
    let mut events = served.client.events();
    say(&served.client, id, "quick log").await;
    patiently("the message to be taken", async {
        while held.lock().is_none() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    served.has(id, 2).await;
    assert!(
        line(&served.client, id).await.is_empty(),
        "it left the outbox with its row"
    );
    if let Some(Reply::Frame(answer)) = held.lock().take() {
        served.raw(answer);
    }
    next_event(&mut events, "the acknowledgement", |event| {
        matches!(event, ClientEvent::Acknowledged { .. }).then_some(())
    })
    .await;
    assert!(line(&served.client, id).await.is_empty());
    assert_eq!(
        all_words(&kept(served.store.direct(), id)),
        ["row 1", "quick log"]
    );
}

#[tokio::test]
async fn what_another_log_had_acknowledged_is_sent_into_the_new_one() {
    let mut world = World::new();
    world.tells = false;
    let id = world.room(1);
    let served = Script::start(world, quick()).serve_well().await;
    served.has(id, 1).await;
    // Acknowledged, and the row is never told.
    say(&served.client, id, "do not lose me").await;
    until(&served.client, "the acknowledgement", async || {
        matches!(
            progress(&served.client, id).await[..],
            [SendProgress::Acknowledged(..)]
        )
    })
    .await;
    {
        let mut world = served.world.lock();
        world.incarnation = Incarnation::new(8);
        let room = world.rooms.get_mut(&id).expect("it exists");
        room.items.truncate(1);
        room.conversation.head = seq(1);
    }
    served.lose();
    served.has(id, 2).await;
    delivered(&served.client, id).await;
    assert_eq!(
        all_words(&kept(served.store.direct(), id)),
        ["row 1", "do not lose me"]
    );
    assert_eq!(served.world.lock().rooms[&id].items.len(), 2);
}
