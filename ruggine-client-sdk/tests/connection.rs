//! The connection: made, greeted, kept and made again, whatever the server does.

#[expect(dead_code, reason = "each of the test programs uses a part")]
mod support;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use ruggine_client_sdk::store::{ClientStore, StoreError};
use ruggine_client_sdk::transport::scripted::ScriptedTransport;
use ruggine_client_sdk::{
    BackoffBounds, Client, ClientEvent, ClientOptions, ConnectionState, RequestError,
};
use ruggine_core::api::account::{LogIn, Login, LookUp};
use ruggine_core::api::message::{Hole, Item, Page, PageRequest, PageStart, Row, Undecryptable};
use ruggine_core::api::session::{Refresh, Tokens};
use ruggine_core::api::sync::{HeadsRequest, Hello};
use ruggine_core::codec::Encoding;
use ruggine_core::error::CloseCode;
use ruggine_core::event::{HeadMark, MessageEvent, PositionEvent, ResyncEvent};
use ruggine_core::secret::SecretText;
use ruggine_core::time::ManualClock;
use ruggine_core::version::ProtocolVersion;
use ruggine_core::{
    ApiError, ConversationId, DeviceId, ErrorCode, Event, Incarnation, Seq, SessionId,
};
use ruggine_server::Drain;
use ruggine_server::testing::{TestServer, eventually, patiently};
use support::device::{Device, open_store};
use support::script::{Script, Served, World, error, refusal, result, tokens};
use support::{
    all_words, assert_sound, assert_whole, fresh_conversation, kept, next_event, now, person,
    quick, rows_told, seq, text, until,
};

/// Who fails waits for so long that nothing else happens in a test.
fn slow() -> ClientOptions {
    let mut options = quick();
    options.backoff = BackoffBounds {
        base: Duration::from_secs(3_600),
        cap: Duration::from_secs(3_600),
        ..BackoffBounds::default()
    };
    options
}

fn is_waiting(state: &ConnectionState) -> bool {
    matches!(state, ConnectionState::Waiting(_))
}

fn stored_tokens(store: &dyn ClientStore) -> Option<Tokens> {
    let identity = store.identity().expect("the store can be read");
    identity.expect("somebody has logged in").tokens
}

fn nobody() -> LookUp {
    LookUp {
        username: "nobody".to_owned(),
    }
}

#[tokio::test]
async fn hello_comes_first_and_shows_the_token() {
    let mut options = quick();
    options.locale = Some("it".into());
    let mut script = Script::start(World::new(), options);
    let mut wire = script.arrival().await;
    let asked = wire.asked().await;
    let hello = asked.read::<Hello>();
    assert_eq!(hello.token, tokens("one").access);
    assert_eq!(hello.protocol, ProtocolVersion::CURRENT);
    assert_eq!(hello.locale.as_deref(), Some("it"));
    assert_eq!(hello.incarnation, None, "a new device counts in no log");
    wire.reply(script.world.answer(&asked));
    script
        .wait_for(|state| *state == ConnectionState::Online)
        .await;
    eventually("the log to be noted", async || {
        let incarnation = script.store.direct().incarnation();
        incarnation.expect("the store can be read").is_some()
    })
    .await;
    drop(wire);
    let hello = script.arrival().await.asked().await.read::<Hello>();
    assert_eq!(hello.incarnation, Some(script.world.incarnation));
}

#[tokio::test]
async fn an_access_token_that_ended_is_refreshed_and_stored_before_its_use() {
    let mut script = Script::start(World::new(), slow());
    let mut wire = script.arrival().await;
    let hello = wire.asked().await;
    wire.reply(error(&hello, &refusal(ErrorCode::Unauthenticated)));
    let refresh = wire.asked().await;
    assert_eq!(refresh.read::<Refresh>().refresh, tokens("one").refresh);
    wire.reply(result::<Refresh>(&refresh, &tokens("two")));
    let again = wire.asked().await;
    assert_eq!(again.read::<Hello>().token, tokens("two").access);
    assert_eq!(stored_tokens(script.store.direct()), Some(tokens("two")));
    wire.reply(script.world.answer(&again));
    script
        .wait_for(|state| *state == ConnectionState::Online)
        .await;
}

#[tokio::test]
async fn tokens_that_cannot_be_stored_are_not_used() {
    let mut script = Script::prepared(World::new(), slow(), |store| {
        store.before(|step| match step {
            "set_tokens" => Err(support::watched::disk_is_full()),
            _ => Ok(()),
        });
    });
    let mut wire = script.arrival().await;
    let hello = wire.asked().await;
    wire.reply(error(&hello, &refusal(ErrorCode::Unauthenticated)));
    let refresh = wire.asked().await;
    wire.reply(result::<Refresh>(&refresh, &tokens("two")));
    assert!(
        wire.try_asked().await.is_none(),
        "the connection is given up"
    );
    script.wait_for(is_waiting).await;
    assert_eq!(stored_tokens(script.store.direct()), Some(tokens("one")));
}

#[tokio::test]
async fn a_refused_refresh_ends_the_login_and_forgets_the_tokens() {
    for code in [ErrorCode::Unauthenticated, ErrorCode::TokenReused] {
        let mut script = Script::start(World::new(), quick());
        let mut wire = script.arrival().await;
        let hello = wire.asked().await;
        wire.reply(error(&hello, &refusal(ErrorCode::Unauthenticated)));
        let refresh = wire.asked().await;
        wire.reply(error(&refresh, &refusal(code)));
        script
            .wait_for(|state| *state == ConnectionState::LoggedOut)
            .await;
        assert_eq!(stored_tokens(script.store.direct()), None);
        assert!(
            wire.try_asked().await.is_none(),
            "the connection is given up"
        );
        let refused = script.client.request(nobody()).await;
        assert!(
            matches!(refused, Err(RequestError::LoggedOut)),
            "{refused:?}"
        );
        assert!(
            script.arrivals.try_recv().is_err(),
            "no other connection is tried"
        );
    }
}

#[tokio::test]
async fn fresh_tokens_that_are_refused_too_end_the_login() {
    let mut script = Script::start(World::new(), quick());
    let mut wire = script.arrival().await;
    let hello = wire.asked().await;
    wire.reply(error(&hello, &refusal(ErrorCode::Unauthenticated)));
    let refresh = wire.asked().await;
    wire.reply(result::<Refresh>(&refresh, &tokens("two")));
    let again = wire.asked().await;
    wire.reply(error(&again, &refusal(ErrorCode::Unauthenticated)));
    script
        .wait_for(|state| *state == ConnectionState::LoggedOut)
        .await;
    assert_eq!(stored_tokens(script.store.direct()), None);
}

#[tokio::test]
async fn a_refresh_that_cannot_be_done_now_keeps_the_tokens_and_waits() {
    let mut script = Script::start(World::new(), slow());
    let mut wire = script.arrival().await;
    let hello = wire.asked().await;
    wire.reply(error(&hello, &refusal(ErrorCode::Unauthenticated)));
    let refresh = wire.asked().await;
    let busy = ApiError {
        retry_after_ms: Some(40),
        ..refusal(ErrorCode::Unavailable)
    };
    wire.reply(error(&refresh, &busy));
    let mut next = script.arrival().await;
    let hello = next.asked().await;
    assert_eq!(hello.read::<Hello>().token, tokens("one").access);
    assert_eq!(stored_tokens(script.store.direct()), Some(tokens("one")));
}

#[tokio::test]
async fn a_lost_answer_to_a_refresh_makes_it_be_asked_for_again() {
    let mut script = Script::start(World::new(), quick());
    for _ in 0..3 {
        let mut wire = script.arrival().await;
        let hello = wire.asked().await;
        wire.reply(error(&hello, &refusal(ErrorCode::Unauthenticated)));
        let refresh = wire.asked().await;
        assert_eq!(refresh.read::<Refresh>().refresh, tokens("one").refresh);
    }
    assert_eq!(stored_tokens(script.store.direct()), Some(tokens("one")));
}

#[tokio::test]
async fn a_hello_that_is_refused_for_another_reason_is_said_again_later() {
    let mut script = Script::start(World::new(), slow());
    let mut events = script.client.events();
    let mut wire = script.arrival().await;
    let hello = wire.asked().await;
    let busy = ApiError {
        retry_after_ms: Some(30),
        ..refusal(ErrorCode::Overloaded)
    };
    wire.reply(error(&hello, &busy));
    let wait = next_event(&mut events, "the wait", |event| match event {
        ClientEvent::Connection(ConnectionState::Waiting(wait)) => Some(wait),
        _ => None,
    })
    .await;
    assert_eq!(wait, Duration::from_millis(30));
    script.greeted().await;
}

#[tokio::test]
async fn an_expired_token_is_refreshed_at_a_real_server() {
    let clock = Arc::new(ManualClock::new(now()));
    let server = TestServer::options().clock(clock.clone()).start().await;
    let mut ada = Device::register(&server, "ada").await;
    let talk = ada.group(&[]).await;
    for _ in 0..3 {
        ada.close().await;
        clock.advance(Duration::from_secs(24 * 60 * 60));
        ada.open().await;
        ada.online().await;
    }
    ada.say(talk, "still here").await;
    ada.has(talk, 2).await;
}

#[tokio::test]
async fn a_login_that_lasted_too_long_ends_at_a_real_server() {
    let clock = Arc::new(ManualClock::new(now()));
    let server = TestServer::options().clock(clock.clone()).start().await;
    let mut ada = Device::register(&server, "ada").await;
    let talk = ada.group(&[]).await;
    ada.say(talk, "kept").await;
    ada.has(talk, 2).await;
    ada.close().await;
    clock.advance(Duration::from_secs(60 * 24 * 60 * 60));
    ada.open().await;
    ada.wait_for(ConnectionState::LoggedOut).await;
    eventually("the tokens to be forgotten", async || {
        let identity = ada
            .client()
            .identity()
            .await
            .expect("the store can be read");
        identity.expect("whose it is stays known").tokens.is_none()
    })
    .await;
    assert_eq!(all_words(&ada.log(talk).await), ["kept"]);
    let password = SecretText::new(support::device::PASSWORD);
    ada.client()
        .log_in("ada", password, None)
        .await
        .expect("the password is right");
    ada.online().await;
    assert_eq!(
        all_words(&ada.log(talk).await),
        ["kept"],
        "the same device, the same store"
    );
}

#[tokio::test]
async fn a_session_that_is_revoked_ends_the_login() {
    let server = TestServer::start().await;
    let phone = Device::register(&server, "ada").await;
    let (laptop, _events) = Device::log_in(&server, "ada", quick()).await;
    let identity = laptop
        .client()
        .identity()
        .await
        .expect("the store can be read");
    let session = identity.expect("somebody has logged in").session;
    let revoke = ruggine_core::api::session::Revoke { session };
    phone
        .client()
        .request(revoke)
        .await
        .expect("one's own session");
    laptop.wait_for(ConnectionState::LoggedOut).await;
    let identity = laptop
        .client()
        .identity()
        .await
        .expect("the store can be read");
    assert!(identity.expect("whose it is stays known").tokens.is_none());
    assert_eq!(phone.client().connection(), ConnectionState::Online);
}

#[tokio::test]
async fn a_close_that_revokes_the_session_ends_the_login() {
    let mut script = Script::start(World::new(), quick());
    let wire = script.greeted().await;
    script
        .wait_for(|state| *state == ConnectionState::Online)
        .await;
    wire.close(CloseCode::SessionRevoked.number(), None);
    script
        .wait_for(|state| *state == ConnectionState::LoggedOut)
        .await;
    assert_eq!(stored_tokens(script.store.direct()), None);
    assert!(
        script.arrivals.try_recv().is_err(),
        "no other connection is tried"
    );
}

#[tokio::test]
async fn a_server_that_goes_away_says_when_to_come_back() {
    let mut script = Script::start(World::new(), slow());
    let wire = script.greeted().await;
    script
        .wait_for(|state| *state == ConnectionState::Online)
        .await;
    let asked_for = Duration::from_millis(120);
    let began = Instant::now();
    wire.close(CloseCode::GoingAway.number(), Some(asked_for));
    let state = script.wait_for(is_waiting).await;
    assert_eq!(state, ConnectionState::Waiting(asked_for));
    script.greeted().await;
    assert!(began.elapsed() >= asked_for);
}

#[tokio::test]
async fn a_real_server_that_goes_away_says_when_to_come_back() {
    let mut server = TestServer::start().await;
    let ada = Device::register_with(&server, "ada", slow()).await;
    let mut events = ada.events();
    server.drain(Drain::default()).await;
    let wait = next_event(&mut events, "the wait", |event| match event {
        ClientEvent::Connection(ConnectionState::Waiting(wait)) => Some(wait),
        _ => None,
    })
    .await;
    assert!(wait <= Duration::from_secs(2), "{wait:?}");
    server.resume().await;
    ada.online().await;
}

#[tokio::test]
async fn waits_are_random_and_below_a_bound_that_doubles() {
    let bounds = BackoffBounds {
        base: Duration::from_millis(2),
        cap: Duration::from_millis(16),
        ..BackoffBounds::default()
    };
    let mut options = quick();
    options.backoff = bounds;
    let mut script = Script::start(World::new(), options);
    let mut events = script.client.events();
    let wire = script.greeted().await;
    script.transport.refuse(true);
    drop(wire);
    let mut waits = Vec::new();
    while waits.len() < 40 {
        let wait = next_event(&mut events, "a wait", |event| match event {
            ClientEvent::Connection(ConnectionState::Waiting(wait)) => Some(wait),
            _ => None,
        })
        .await;
        let bound = bounds.base * (1 << waits.len().min(16));
        assert!(
            wait <= bound.min(bounds.cap),
            "wait {} was {wait:?}",
            waits.len()
        );
        waits.push(wait);
    }
    let different: HashSet<Duration> = waits.iter().copied().collect();
    assert!(different.len() > 30, "{waits:?}");
    assert!(
        waits.iter().skip(4).any(|wait| *wait < bounds.cap / 2),
        "{waits:?}"
    );
    assert!(
        waits.iter().skip(4).any(|wait| *wait > bounds.cap / 2),
        "{waits:?}"
    );
    script.transport.refuse(false);
    script.greeted().await;
}

#[tokio::test]
async fn who_asks_to_hurry_does_not_wait() {
    let mut script = Script::start(World::new(), slow());
    let wire = script.greeted().await;
    script.transport.refuse(true);
    drop(wire);
    script.wait_for(is_waiting).await;
    script.transport.refuse(false);
    script.client.connect_now();
    script.greeted().await;
}

#[tokio::test]
async fn a_request_under_way_fails_when_the_connection_is_lost() {
    let mut script = Script::start(World::new(), slow());
    let mut wire = script.greeted().await;
    let client = script.client.clone();
    let asking = client.request(nobody());
    let losing = async {
        wire.asked_for::<LookUp>(&mut script.world).await;
        drop(wire);
    };
    let (answer, ()) = tokio::join!(asking, losing);
    let failed = answer.expect_err("there is no answer");
    assert!(matches!(failed, RequestError::Disconnected), "{failed:?}");
    assert!(failed.is_retryable());
    script.wait_for(is_waiting).await;
    let refused = script.client.request(nobody()).await;
    assert!(
        matches!(refused, Err(RequestError::Disconnected)),
        "{refused:?}"
    );
}

#[tokio::test]
async fn answers_find_who_asked_in_whatever_order_they_come() {
    let mut script = Script::start(World::new(), slow());
    let mut wire = script.greeted().await;
    let look_up = |name: &str| {
        script.client.request(LookUp {
            username: name.to_owned(),
        })
    };
    let asking = async { tokio::join!(look_up("ada"), look_up("bob"), look_up("eva")) };
    let answering = async {
        let mut asked = Vec::new();
        while asked.len() < 3 {
            let next = wire.asked().await;
            if next.is::<LookUp>() {
                asked.push(next);
            }
        }
        for asked in asked.iter().rev() {
            let name = asked.read::<LookUp>().username;
            wire.reply(result::<LookUp>(asked, &person(&name)));
            // An answer that comes twice finds nobody.
            wire.reply(result::<LookUp>(asked, &person("twice")));
        }
    };
    let ((ada, bob, eva), ()) = tokio::join!(asking, answering);
    for (answer, name) in [(ada, "ada"), (bob, "bob"), (eva, "eva")] {
        assert_eq!(answer.expect("it was answered").username.as_str(), name);
    }
}

#[tokio::test]
async fn an_answer_of_another_form_is_nonsense_and_harms_nothing_else() {
    let mut script = Script::start(World::new(), slow());
    let mut wire = script.greeted().await;
    let client = script.client.clone();
    let answering = async {
        let asked = wire.asked_for::<LookUp>(&mut script.world).await;
        wire.reply(result::<HeadsRequest>(&asked, &script.world.heads()));
        let asked = wire.asked_for::<LookUp>(&mut script.world).await;
        wire.reply(result::<LookUp>(&asked, &person("ada")));
    };
    let asking = async {
        let nonsense = client.request(nobody()).await;
        assert!(
            matches!(nonsense, Err(RequestError::Nonsense(_))),
            "{nonsense:?}"
        );
        client
            .request(nobody())
            .await
            .expect("the connection holds");
    };
    tokio::join!(asking, answering);
}

#[tokio::test]
async fn what_cannot_be_read_is_passed_over() {
    let mut world = World::new();
    let id = world.room(1);
    let served = Script::start(world, slow()).serve_well().await;
    served.has(id, 1).await;
    let codec = Encoding::MsgPack;
    let encoded = |value: serde_json::Value| codec.encode(&value).expect("plain data");
    let garbage = [
        Bytes::new(),
        Bytes::from_static(b"\xff\xff\xff"),
        Bytes::from_static(b"\x80"),
        Bytes::from_static(b"\xdd\xff\xff\xff\xff"),
        encoded(serde_json::json!({ "event": "hologram", "data": { "glow": true } })),
        encoded(serde_json::json!({ "event": "message", "data": { "glow": true } })),
        encoded(serde_json::json!({ "event": "message", "data": [] })),
        encoded(serde_json::json!({ "event": "read", "data": { "seq": -1 } })),
        encoded(serde_json::json!({ "id": 999_999, "result": {} })),
        encoded(
            serde_json::json!({ "id": 999_999, "error": { "code": "?", "message": "", "retryable": false } }),
        ),
        encoded(serde_json::json!({ "id": "seven", "result": 1 })),
        encoded(serde_json::json!([1, 2, 3])),
        encoded(serde_json::json!("hello")),
    ];
    for frame in garbage {
        served.raw(frame);
    }
    served.write(id, "after the noise");
    served.has(id, 2).await;
    assert_eq!(served.connections(), 1, "the same connection");
    assert_eq!(
        all_words(&kept(served.store.direct(), id)),
        ["row 1", "after the noise"]
    );
}

#[tokio::test]
async fn garbage_in_place_of_a_greeting_ends_the_connection_only() {
    let mut script = Script::start(World::new(), quick());
    for frame in [&b"\xff\xff"[..], b"", b"\x81\xa2id\xc3"] {
        let mut wire = script.arrival().await;
        wire.asked().await;
        wire.raw(Bytes::from_static(frame));
        assert!(
            wire.try_asked().await.is_none(),
            "the connection is given up"
        );
    }
    let mut wire = script.arrival().await;
    let hello = wire.asked().await;
    wire.reply(result::<LookUp>(&hello, &person("ada")));
    assert!(
        wire.try_asked().await.is_none(),
        "the connection is given up"
    );
    let _wire = script.greeted().await;
    script
        .wait_for(|state| *state == ConnectionState::Online)
        .await;
    assert_eq!(stored_tokens(script.store.direct()), Some(tokens("one")));
}

#[tokio::test]
async fn silence_counts_as_a_lost_connection() {
    let mut options = quick();
    options.silence = Duration::from_millis(90);
    let mut script = Script::start(World::new(), options);
    let mut first = script.greeted().await;
    // Held open, and nothing is said.
    script.greeted().await;
    assert!(
        first.try_asked().await.is_none(),
        "the silent one is let go"
    );
}

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

/// A client with a conversation of five rows, and what a lying server may say of it.
async fn lied_to(
    lie: impl FnOnce(&World, ConversationId) -> Vec<Event>,
) -> (Served, ConversationId) {
    let mut world = World::new();
    let id = world.room(5);
    let served = Script::start(world, quick()).serve_well().await;
    served.has(id, 5).await;
    let events = lie(&served.world.lock(), id);
    for event in events {
        served.tell(&event);
    }
    served.settled().await;
    assert_sound(served.store.direct());
    (served, id)
}

/// The truth still finds its way, and nothing else was kept.
async fn recovers(served: &Served, id: ConversationId) {
    served.write(id, "the truth");
    served.has(id, 6).await;
    let rows = kept(served.store.direct(), id);
    assert_whole(&rows, 1, 6);
    let expected = ["row 1", "row 2", "row 3", "row 4", "row 5", "the truth"];
    assert_eq!(all_words(&rows), expected);
    assert_sound(served.store.direct());
}

fn event_of(world: &World, id: ConversationId, item: Item) -> Event {
    Event::Message(world.event(id, item))
}

fn row(world: &World, id: ConversationId, number: u64) -> Item {
    Item::Row(world.row(id, seq(number), text("a lie")))
}

#[tokio::test]
async fn a_row_far_ahead_is_not_kept_where_it_does_not_belong() {
    let (served, id) = lied_to(|world, id| vec![event_of(world, id, row(world, id, 10))]).await;
    recovers(&served, id).await;
}

#[tokio::test]
async fn rows_that_come_again_or_late_change_nothing() {
    let (served, id) = lied_to(|world, id| {
        let again = [3, 1, 5, 5, 2, 4, 1, 0];
        again
            .map(|number| event_of(world, id, row(world, id, number)))
            .to_vec()
    })
    .await;
    recovers(&served, id).await;
}

#[tokio::test]
async fn rows_out_of_order_are_read_in_order() {
    let mut world = World::new();
    let id = world.room(5);
    let script = Script::start(world, quick());
    let mut events = script.client.events();
    let served = script.serve_well().await;
    served.has(id, 5).await;
    let told: Vec<MessageEvent> = {
        let mut world = served.world.lock();
        (6..=12)
            .map(|number| world.write(id, &format!("row {number}")))
            .collect()
    };
    for at in [2, 0, 1, 1, 6, 5, 3, 4, 0] {
        served.tell(&Event::Message(told[at].clone()));
    }
    let rows = rows_told(&mut events, id, seq(12)).await;
    assert_whole(&rows, 1, 12);
    served.settled().await;
    let all = kept(served.store.direct(), id);
    assert_whole(&all, 1, 12);
    let words: Vec<String> = (1..=12).map(|number| format!("row {number}")).collect();
    assert_eq!(all_words(&all), words);
}

#[tokio::test]
async fn a_row_that_is_told_twice_at_once_is_handed_on_once() {
    let mut world = World::new();
    let id = world.room(5);
    let script = Script::start(world, quick());
    let mut events = script.client.events();
    let served = script.serve_well().await;
    served.has(id, 5).await;
    for number in 6..=10 {
        let event = served.world.lock().write(id, &format!("row {number}"));
        for _ in 0..3 {
            served.tell(&Event::Message(event.clone()));
        }
    }
    let rows = rows_told(&mut events, id, seq(10)).await;
    assert_whole(&rows, 1, 10);
    assert_whole(&kept(served.store.direct(), id), 1, 10);
}

#[tokio::test]
async fn spans_that_end_before_they_begin_cross_nothing() {
    let (served, id) = lied_to(|world, id| {
        let hole = |from, to| {
            let hole = Hole {
                from: seq(from),
                to: seq(to),
            };
            event_of(world, id, Item::Hole(hole))
        };
        vec![hole(6, 2), hole(9, 6), hole(6, 0), hole(100, 6)]
    })
    .await;
    recovers(&served, id).await;
}

#[tokio::test]
async fn a_hole_over_what_is_kept_takes_nothing_away() {
    let (served, id) = lied_to(|world, id| {
        let hole = Hole {
            from: seq(1),
            to: seq(5),
        };
        vec![event_of(world, id, Item::Hole(hole))]
    })
    .await;
    recovers(&served, id).await;
}

#[tokio::test]
async fn a_hole_to_the_end_of_all_numbers_is_survived() {
    let (served, id) = lied_to(|world, id| {
        let hole = Hole {
            from: seq(6),
            to: Seq::MAX,
        };
        let lost = Undecryptable {
            seq: Seq::MAX,
            kind: ruggine_core::api::message::RowKind::Message,
            sender: world.other(id),
            device: DeviceId::from_bytes([1; 16]),
            client_msg_id: ruggine_core::ClientMsgId::new(now()),
            server_ts: now(),
        };
        vec![
            event_of(world, id, Item::Hole(hole)),
            event_of(world, id, Item::Undecryptable(lost)),
            event_of(world, id, row(world, id, u64::MAX)),
        ]
    })
    .await;
    assert_eq!(kept(served.store.direct(), id).len(), 5);
}

#[tokio::test]
async fn positions_that_nobody_can_have_are_survived() {
    let (served, id) = lied_to(|world, id| {
        let position = |user, number| PositionEvent {
            conversation: id,
            user,
            seq: seq(number),
        };
        vec![
            Event::Read(position(world.me.id, u64::MAX)),
            Event::Read(position(world.other(id), u64::MAX)),
            Event::Delivered(position(person("stranger").id, 3)),
            Event::Delivered(PositionEvent {
                conversation: fresh_conversation(),
                ..position(world.me.id, 1)
            }),
        ]
    })
    .await;
    let record = served
        .store
        .direct()
        .conversation(id)
        .expect("the store can be read");
    assert_eq!(record.expect("it is known").unread, 0);
    recovers(&served, id).await;
}

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

#[tokio::test]
async fn a_thousand_events_of_unknown_conversations_are_survived() {
    let mut world = World::new();
    let id = world.room(1);
    let served = Script::start(world, quick()).serve_well().await;
    served.has(id, 1).await;
    for _ in 0..1_000 {
        let event = {
            let world = served.world.lock();
            let item = row(&world, id, 1);
            MessageEvent {
                conversation: fresh_conversation(),
                ..world.event(id, item)
            }
        };
        served.tell(&Event::Message(event));
    }
    served.settled().await;
    served.write(id, "the truth");
    served.has(id, 2).await;
    assert_sound(served.store.direct());
    let known = served
        .store
        .direct()
        .conversations()
        .expect("the store can be read");
    assert_eq!(known.len(), 1);
}

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
            "set_incarnation" => Err(support::watched::disk_is_full()),
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
                return Err(support::watched::disk_is_full());
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
            return Err(StoreError::Database("the disk is full".into()));
        }
        Ok(())
    });
    for number in 2..=6 {
        served.write(id, &format!("row {number}"));
    }
    served.has(id, 6).await;
    assert_whole(&kept(served.store.direct(), id), 1, 6);
}

#[tokio::test]
async fn logging_out_forgets_the_tokens_and_keeps_the_messages() {
    let server = TestServer::start().await;
    let ada = Device::register(&server, "ada").await;
    let talk = ada.group(&[]).await;
    ada.say(talk, "kept").await;
    ada.has(talk, 2).await;
    let before = ada
        .client()
        .identity()
        .await
        .expect("the store can be read");
    let before = before.expect("somebody has logged in");
    ada.client()
        .log_out()
        .await
        .expect("the server can be reached");
    ada.wait_for(ConnectionState::LoggedOut).await;
    let identity = ada
        .client()
        .identity()
        .await
        .expect("the store can be read");
    assert!(identity.expect("whose it is stays known").tokens.is_none());
    assert_eq!(all_words(&ada.log(talk).await), ["kept"]);
    let refused = ada.client().request(nobody()).await;
    assert!(
        matches!(refused, Err(RequestError::LoggedOut)),
        "{refused:?}"
    );

    let password = SecretText::new(support::device::PASSWORD);
    ada.client()
        .log_in("ADA", password, None)
        .await
        .expect("the password is right");
    ada.online().await;
    let after = ada
        .client()
        .identity()
        .await
        .expect("the store can be read");
    let after = after.expect("somebody has logged in");
    assert_eq!((before.user, before.device), (after.user, after.device));
    assert_ne!(before.session, after.session);
    assert_eq!(all_words(&ada.log(talk).await), ["kept"]);
}

#[tokio::test]
async fn another_users_login_finds_an_empty_store() {
    let server = TestServer::start().await;
    let ada = Device::register(&server, "ada").await;
    let _bob = Device::register(&server, "bob").await;
    let talk = ada.group(&[]).await;
    ada.say(talk, "mine").await;
    ada.has(talk, 2).await;
    let password = SecretText::new(support::device::PASSWORD);
    ada.client()
        .log_in("bob", password, None)
        .await
        .expect("the password is right");
    ada.online().await;
    assert_eq!(
        ada.client()
            .conversations()
            .await
            .expect("the store can be read"),
        []
    );
    assert_eq!(ada.log(talk).await, []);
}

#[tokio::test]
async fn a_refused_login_changes_nothing() {
    let server = TestServer::start().await;
    let ada = Device::register(&server, "ada").await;
    let wrong = SecretText::new("not the password at all");
    let refused = ada.client().log_in("ada", wrong, None).await;
    let refused = refused.expect_err("the password is wrong");
    assert_eq!(refused.code(), Some(ErrorCode::InvalidCredentials));
    let taken = SecretText::new(support::device::PASSWORD);
    let refused = ada.client().register("ada", taken, None, None).await;
    let refused = refused.expect_err("the name is taken");
    assert_eq!(refused.code(), Some(ErrorCode::UsernameTaken));
    assert_eq!(ada.client().connection(), ConnectionState::Online);
    let identity = ada
        .client()
        .identity()
        .await
        .expect("the store can be read");
    assert!(identity.expect("somebody has logged in").tokens.is_some());
}

#[tokio::test]
async fn an_old_copy_of_a_store_begins_as_a_new_device_at_the_next_login() {
    let mut script = Script::start(World::new(), quick());
    let mut wire = script.arrival().await;
    let hello = wire.asked().await;
    wire.reply(error(&hello, &refusal(ErrorCode::DeviceRestored)));
    script
        .wait_for(|state| *state == ConnectionState::LoggedOut)
        .await;
    let me = script.world.me.clone();
    let client = script.client.clone();
    let username = me.username.to_string();
    let logging_in = async {
        let password = SecretText::new("four unrelated quiet words");
        let login = client.log_in(&username, password, None);
        login.await.expect("the script agrees")
    };
    let fresh = DeviceId::new(now());
    let agreeing = async {
        let mut wire = script.arrival().await;
        let asked = wire.asked().await;
        assert!(asked.read::<LogIn>().device.is_none(), "a new device");
        let login = Login {
            user: me.clone(),
            device: fresh,
            device_secret: Some(SecretText::new("another secret")),
            session: SessionId::new(now()),
            tokens: tokens("of the new device"),
        };
        wire.reply(result::<LogIn>(&asked, &login));
        while wire.try_asked().await.is_some() {}
    };
    tokio::join!(logging_in, agreeing);
    let mut wire = script.arrival().await;
    let hello = wire.asked().await;
    let token = hello.read::<Hello>().token;
    assert_eq!(token, tokens("of the new device").access);
    let identity = script.store.direct().identity().expect("readable");
    assert_eq!(identity.expect("somebody").device, fresh);
}

/// A connection that was being greeted for one user must not bring its
/// answers into the store of the next.
#[tokio::test]
async fn a_greeting_for_somebody_else_reaches_no_store() {
    let mut world = World::new();
    let id = world.room(3);
    let mut script = Script::start(world, quick());
    let mut first = script.arrival().await;
    let hello = first.asked().await;
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
            device: DeviceId::new(now()),
            device_secret: Some(SecretText::new("another secret")),
            session: SessionId::new(now()),
            tokens: tokens("of the next"),
        };
        wire.reply(result::<LogIn>(&asked, &login));
        while wire.try_asked().await.is_some() {}
    };
    tokio::join!(logging_in, agreeing);
    // The answer for the user before comes late.
    first.reply(script.world.answer(&hello));
    let mut old_world = script.world.clone();
    let old = async {
        while let Some(asked) = first.try_asked().await {
            first.reply(old_world.answer(&asked));
        }
    };
    let new = async {
        let mut wire = script.arrival().await;
        wire.asked().await.read::<Hello>().token
    };
    let (token, ()) = patiently("the next user to be greeted", async {
        tokio::join!(new, old)
    })
    .await;
    assert_eq!(token, tokens("of the next").access);
    let foreign = script
        .store
        .direct()
        .conversation(id)
        .expect("the store can be read");
    assert_eq!(foreign, None, "a conversation of the user before");
}

#[tokio::test]
async fn a_client_without_a_login_tries_no_connection() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open_store(folder.path()).await;
    let (transport, mut arrivals) = ScriptedTransport::new();
    let client = Client::builder().options(quick()).start(transport, store);
    let refused = client.request(nobody()).await;
    assert!(
        matches!(refused, Err(RequestError::LoggedOut)),
        "{refused:?}"
    );
    assert_eq!(client.connection(), ConnectionState::LoggedOut);
    assert!(arrivals.try_recv().is_err());
    patiently("the client to stop", client.stop()).await;
    assert_eq!(client.connection(), ConnectionState::Stopped);
}

#[tokio::test]
async fn dropping_every_handle_ends_the_work() {
    let mut script = Script::start(World::new(), quick());
    let mut wire = script.greeted().await;
    script
        .wait_for(|state| *state == ConnectionState::Online)
        .await;
    let mut events = script.client.events();
    let Script { client, .. } = script;
    let other = client.clone();
    drop(client);
    assert_eq!(other.connection(), ConnectionState::Online);
    drop(other);
    while wire.try_asked().await.is_some() {}
    patiently("the events to end", async {
        while events.next().await.is_some() {}
    })
    .await;
}

#[tokio::test]
async fn garbage_of_every_kind_never_ends_a_client() {
    let mut world = World::new();
    let id = world.room(2);
    let mut random = 0x9e37_79b9_u64;
    let mut next = move || {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (random >> 33) as usize
    };
    let served = Script::start(world, quick()).serve_well().await;
    served.has(id, 2).await;
    let good = {
        let world = served.world.lock();
        let event = event_of(&world, id, row(&world, id, 3));
        event
            .encode(Encoding::MsgPack)
            .expect("plain data")
            .to_vec()
    };
    for _ in 0..500 {
        let mut frame = good.clone();
        for _ in 0..=next() % 4 {
            let at = next() % frame.len();
            frame[at] = next() as u8;
        }
        frame.truncate(1 + next() % good.len());
        served.raw(frame.into());
    }
    served.settled().await;
    assert_sound(served.store.direct());
}

/// A login that comes while the client waits is not left waiting.
#[tokio::test]
async fn a_login_does_not_wait_for_the_next_attempt() {
    let mut script = Script::start(World::new(), slow());
    let wire = script.greeted().await;
    drop(wire);
    script.wait_for(is_waiting).await;
    let client = script.client.clone();
    let logging_in = async {
        let login = client.log_in("ada", SecretText::new("four unrelated quiet words"), None);
        login.await.expect("the script agrees")
    };
    let world = script.world.clone();
    let agreeing = async {
        let mut wire = script.arrival().await;
        let asked = wire.asked().await;
        let known = asked.read::<LogIn>().device.expect("it names its device");
        assert_eq!(known.id, world.device);
        let login = Login {
            user: world.me.clone(),
            device: world.device,
            device_secret: None,
            session: SessionId::new(now()),
            tokens: tokens("two"),
        };
        wire.reply(result::<LogIn>(&asked, &login));
        while wire.try_asked().await.is_some() {}
    };
    tokio::join!(logging_in, agreeing);
    let hello = script.arrival().await.asked().await.read::<Hello>();
    assert_eq!(hello.token, tokens("two").access);
}
