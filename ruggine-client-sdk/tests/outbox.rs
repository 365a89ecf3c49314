//! The outbox: whatever happens in between, a message arrives once, in order,
//! or its writer is told why it does not.

#[expect(dead_code, reason = "each of the test programs uses a part")]
mod support;

use std::time::{Duration, Instant};

use ruggine_client_sdk::store::{OutboxRecord, SendProgress};
use ruggine_client_sdk::{Client, ClientEvent, ConnectionState, SendError};
use ruggine_core::api::account::{LogIn, Login};
use ruggine_core::api::message::{PageRequest, Send};
use ruggine_core::content::{Content, Text, Title};
use ruggine_core::secret::SecretText;
use ruggine_core::{
    ApiError, ClientMsgId, ConversationId, DeviceId, ErrorCode, Incarnation, SessionId, limits,
};
use ruggine_server::testing::{TestServer, patiently};
use support::device::Device;
use support::script::{Asked, Reply, Script, Served, World, error, refusal, result, tokens};
use support::{
    all_words, assert_whole, fresh_conversation, kept, next_event, now, person, quick, rows_told,
    seq, until,
};

/// The line of a conversation once every message in it is acknowledged or gone.
async fn delivered(client: &Client, id: ConversationId) {
    until(client, "the line to be empty", async || {
        line(client, id).await.is_empty()
    })
    .await;
}

async fn line(client: &Client, id: ConversationId) -> Vec<OutboxRecord> {
    let line = client.conversation(id).outbox().await;
    line.expect("the store can be read")
}

async fn progress(client: &Client, id: ConversationId) -> Vec<SendProgress> {
    line(client, id)
        .await
        .iter()
        .map(|message| message.progress)
        .collect()
}

async fn say(client: &Client, id: ConversationId, words: &str) -> ClientMsgId {
    let queued = client.conversation(id).send_text(words).await;
    queued.expect("the message is queued")
}

/// The sends that the scripted server was asked for, in their order.
fn sends(served: &Served) -> Vec<Send> {
    let world = served.world.lock();
    let sends = world.requests.iter().filter(|asked| asked.is::<Send>());
    sends.map(Asked::read::<Send>).collect()
}

fn said(send: &Send) -> String {
    let payload = send.payload.as_deref().expect("a client sends bytes");
    let content = Content::from_payload(payload).expect("a client sends content");
    content.as_text().expect("it is text").body.clone()
}

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
        let read = ada.at(groups[0]).mark_read(seq(number)).await;
        read.expect("the store can be written");
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

/// A server that refuses what says so, for good.
fn refusing(world: &mut World, asked: &Asked) -> Reply {
    if asked.is::<Send>() && said(&asked.read()).starts_with("refuse") {
        world.requests.push(asked.clone());
        return error(asked, &refusal(ErrorCode::Refused));
    }
    world.answer(asked)
}

#[tokio::test]
async fn what_is_refused_for_good_fails_and_the_next_goes_on() {
    let mut world = World::new();
    let id = world.room(1);
    let served = Script::start(world, quick()).serve(refusing);
    served.has(id, 1).await;
    let mut events = served.client.events();
    let message = say(&served.client, id, "refuse me").await;
    say(&served.client, id, "good words").await;
    let code = next_event(&mut events, "the failure", |event| match event {
        ClientEvent::SendFailed {
            conversation,
            client_msg_id,
            code,
        } if (conversation, client_msg_id) == (id, message) => Some(code),
        _ => None,
    })
    .await;
    assert_eq!(code, ErrorCode::Refused);
    served.has(id, 2).await;
    until(&served.client, "the other to leave the line", async || {
        progress(&served.client, id).await == [SendProgress::Failed(ErrorCode::Refused)]
    })
    .await;
    assert_eq!(
        all_words(&kept(served.store.direct(), id)),
        ["row 1", "good words"]
    );
    assert_eq!(
        sends(&served).len(),
        2,
        "what failed is not sent again by itself"
    );
}

#[tokio::test]
async fn what_failed_stays_failed_over_a_new_start() {
    let mut world = World::new();
    let id = world.room(1);
    let served = Script::start(world, quick()).serve(refusing);
    served.has(id, 1).await;
    say(&served.client, id, "refuse me").await;
    until(&served.client, "the failure", async || {
        progress(&served.client, id).await == [SendProgress::Failed(ErrorCode::Refused)]
    })
    .await;
    let connections = served.connections();
    served.lose();
    until(&served.client, "a new connection", async || {
        served.connections() > connections
    })
    .await;
    served.online().await;
    served.settled().await;
    say(&served.client, id, "after it").await;
    served.has(id, 2).await;
    let words: Vec<String> = sends(&served).iter().map(said).collect();
    assert_eq!(words, ["refuse me", "after it"]);
}

#[tokio::test]
async fn what_failed_can_be_sent_again_or_given_up() {
    let mut world = World::new();
    let id = world.room(1);
    let mut refusals = 2;
    let served = Script::start(world, quick()).serve(move |world, asked| {
        if asked.is::<Send>() && refusals > 0 {
            refusals -= 1;
            return error(asked, &refusal(ErrorCode::Refused));
        }
        world.answer(asked)
    });
    served.has(id, 1).await;
    let conversation = served.client.conversation(id);
    let again = say(&served.client, id, "again").await;
    let never = say(&served.client, id, "never").await;
    let failed = SendProgress::Failed(ErrorCode::Refused);
    until(&served.client, "both to fail", async || {
        progress(&served.client, id).await == [failed; 2]
    })
    .await;
    assert!(
        conversation
            .retry(again)
            .await
            .expect("the store can be written")
    );
    served.has(id, 2).await;
    until(&served.client, "the one to leave the line", async || {
        progress(&served.client, id).await == [failed]
    })
    .await;
    assert!(
        conversation
            .discard(never)
            .await
            .expect("the store can be written")
    );
    assert!(line(&served.client, id).await.is_empty());
    for gone in [again, never] {
        assert!(
            !conversation
                .retry(gone)
                .await
                .expect("the store can be written")
        );
        assert!(
            !conversation
                .discard(gone)
                .await
                .expect("the store can be written")
        );
    }
    assert_eq!(
        all_words(&kept(served.store.direct(), id)),
        ["row 1", "again"]
    );
}

#[tokio::test]
async fn what_still_waits_can_be_neither_retried_nor_discarded() {
    let mut world = World::new();
    let id = world.room(1);
    let served = Script::start(world, quick()).serve(|world, asked| {
        if asked.is::<Send>() {
            return Reply::Silence;
        }
        world.answer(asked)
    });
    served.has(id, 1).await;
    let message = say(&served.client, id, "on its way").await;
    let conversation = served.client.conversation(id);
    assert!(
        !conversation
            .retry(message)
            .await
            .expect("the store can be written")
    );
    assert!(
        !conversation
            .discard(message)
            .await
            .expect("the store can be written")
    );
    assert_eq!(progress(&served.client, id).await, [SendProgress::Waiting]);
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

#[tokio::test]
async fn what_cannot_be_sent_is_refused_before_it_is_queued() {
    let mut world = World::new();
    let id = world.room(1);
    let served = Script::start(world, quick()).serve_well().await;
    served.has(id, 1).await;
    let conversation = served.client.conversation(id);
    let long = conversation
        .send_text("x".repeat(limits::PAYLOAD_MAX))
        .await;
    assert!(matches!(long, Err(SendError::Content(_))), "{long:?}");
    let title = Content::Title(Title {
        title: "x".repeat(limits::TITLE_MAX + 1),
    });
    assert!(matches!(
        conversation.send(title).await,
        Err(SendError::Content(_))
    ));
    let nobody = Text::new("hé").mentioning(person("eva").id, 0..2);
    assert!(matches!(
        conversation.send(nobody.into()).await,
        Err(SendError::Content(_))
    ));
    let nowhere = served.client.conversation(fresh_conversation());
    let unknown = nowhere.send_text("anybody?").await;
    assert!(
        matches!(unknown, Err(SendError::UnknownConversation)),
        "{unknown:?}"
    );
    assert!(line(&served.client, id).await.is_empty());
    assert_eq!(
        served
            .store
            .direct()
            .write_counter()
            .expect("the store can be read"),
        0
    );
}

#[tokio::test]
async fn nobody_can_write_before_a_login() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = support::device::open_store(folder.path()).await;
    let (transport, _arrivals) = ruggine_client_sdk::transport::scripted::ScriptedTransport::new();
    let client = Client::builder().options(quick()).start(transport, store);
    let refused = client
        .conversation(fresh_conversation())
        .send_text("hello?")
        .await;
    assert!(matches!(refused, Err(SendError::LoggedOut)), "{refused:?}");
}

/// Two people may use one program one after the other. What the first had
/// not sent is gone with their store, and is never sent in the name of the second.
#[tokio::test]
async fn what_one_user_had_written_is_never_sent_in_the_name_of_the_next() {
    let mut options = quick();
    options.backoff.base = Duration::from_secs(600);
    options.backoff.cap = Duration::from_secs(600);
    let mut world = World::new();
    let id = world.room(1);
    let mut script = Script::start(world, options);
    let mut wire = script.greeted().await;
    let page = wire.asked_for::<PageRequest>(&mut script.world).await;
    wire.reply(script.world.answer(&page));
    until(&script.client, "the row", async || {
        let record = script
            .store
            .direct()
            .conversation(id)
            .expect("the store can be read");
        record.is_some_and(|record| record.cursor == seq(1))
    })
    .await;
    say(&script.client, id, "for my eyes only").await;
    wire.asked_for::<Send>(&mut script.world).await;
    drop(wire);
    script
        .wait_for(|state| matches!(state, ConnectionState::Waiting(_)))
        .await;

    // The same program, another user, who is in the same conversation.
    let device = DeviceId::new(now());
    let next = person("eva");
    let client = script.client.clone();
    let logging_in = async {
        let login = client.log_in("eva", SecretText::new("four unrelated quiet words"), None);
        login.await.expect("the script agrees")
    };
    let agreeing = async {
        let mut wire = script.arrival().await;
        let asked = wire.asked().await;
        let login = Login {
            user: next.clone(),
            device,
            device_secret: Some(SecretText::new("another secret")),
            session: SessionId::new(now()),
            tokens: tokens("of the next"),
        };
        wire.reply(result::<LogIn>(&asked, &login));
        // Until the client lets go.
        while wire.try_asked().await.is_some() {}
    };
    tokio::join!(logging_in, agreeing);
    script.world.device = device;
    script.world.me = next;
    script.client.connect_now();
    let served = script.serve_well().await;
    served.has(id, 1).await;
    say(&served.client, id, "my own words").await;
    served.has(id, 2).await;
    let words: Vec<String> = sends(&served).iter().map(said).collect();
    assert_eq!(words, ["my own words"]);
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
