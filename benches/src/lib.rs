//! What the suites share: things to be measured, made the same way each time.

use std::sync::Arc;

use ruggine_core::api::message::{Item, Row, RowKind};
use ruggine_core::content::{Content, Text};
use ruggine_core::event::MessageEvent;
use ruggine_core::{
    Blob, ClientMsgId, ConversationId, DeviceId, Event, Incarnation, Seq, Timestamp, UserId,
};
use ruggine_server::bus::LocalBus;
use ruggine_server::config::{EngineConfig, Limits};
use ruggine_server::engine::{Caller, Engine, EngineParts};
use ruggine_server::key_source::FixedKeys;
use ruggine_server::metrics::NoMetrics;
use ruggine_server::store::sqlite::SqliteStore;

/// A master key for measuring only.
pub const KEY: &str = "5b2f9c01d7a84e63b90c1f7e2d3a4856c7e8190a2b3c4d5e6f70819203a4b5c6";

/// The moment in which everything here happens.
pub const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// A text of this many bytes, as a payload.
///
/// # Panics
/// When the text is longer than a payload may be.
#[must_use]
pub fn payload(bytes: usize) -> Blob {
    Content::from(Text::new("x".repeat(bytes)))
        .to_payload()
        .expect("the text fits")
}

/// A message event, as a receiver gets it.
#[must_use]
pub fn message_event(bytes: usize) -> Event {
    Event::Message(MessageEvent {
        conversation: ConversationId::new(NOW),
        incarnation: Incarnation::new(7),
        roster_version: 1,
        item: Item::Row(Row {
            seq: Seq::new(1_000),
            kind: RowKind::Message,
            sender: UserId::new(NOW),
            device: DeviceId::new(NOW),
            client_msg_id: ClientMsgId::new(NOW),
            server_ts: NOW,
            epoch: None,
            payload: payload(bytes),
            content: None,
        }),
    })
}

/// An engine on SQLite in a fresh folder, without rates.
///
/// # Panics
/// When it cannot be started.
pub async fn engine(folder: &std::path::Path) -> Engine {
    let store = SqliteStore::open(folder.join("bench.sqlite"))
        .await
        .expect("the folder is fresh");
    let mut config = EngineConfig::default();
    config.limits = Limits::without_rates();
    Engine::start(EngineParts {
        config,
        store: Arc::new(store),
        bus: Arc::new(LocalBus::new()),
        keys: Some(Arc::new(FixedKeys::new(
            ruggine_core::secret::SecretText::new(KEY),
            Vec::new(),
        ))),
        authenticator: None,
        hooks: None,
        clock: Arc::new(ruggine_core::time::SystemClock),
        metrics: Arc::new(NoMetrics),
    })
    .await
    .expect("every part is good")
}

/// Somebody who has registered, ready to call the engine.
#[derive(Debug, Clone)]
pub struct Somebody {
    /// As the engine sees them.
    pub caller: Caller,
    /// Who they are.
    pub user: UserId,
    /// Their access token.
    pub token: ruggine_core::secret::SecretText,
}

/// Registers somebody.
///
/// # Panics
/// When the engine refuses.
pub async fn register(engine: &Engine, username: &str) -> Somebody {
    let anonymous = Caller::anonymous(std::net::Ipv4Addr::LOCALHOST.into());
    let login = engine
        .call(
            &anonymous,
            ruggine_core::api::account::Register {
                username: username.to_owned(),
                password: ruggine_core::secret::SecretText::new("granite lantern meadow tide"),
                display_name: None,
                device_name: None,
            },
        )
        .await
        .expect("the name is free");
    let principal = engine
        .authenticate(login.tokens.access.clone())
        .await
        .expect("the token is fresh");
    Somebody {
        caller: Caller {
            principal: Some(principal),
            ..anonymous
        },
        user: login.user.id,
        token: login.tokens.access,
    }
}

/// A managed group of these people, the first its owner.
///
/// # Panics
/// When the engine refuses.
pub async fn group(engine: &Engine, people: &[Somebody]) -> ConversationId {
    let members = people.iter().map(|person| person.user).collect();
    engine
        .call(
            &people[0].caller,
            ruggine_core::api::conversation::Create {
                kind: ruggine_core::api::conversation::ConversationKind::Group,
                mode: ruggine_core::api::conversation::ProtectionMode::Managed,
                members,
                id: None,
            },
        )
        .await
        .expect("everybody exists")
        .id
}

/// A message to be sent.
#[must_use]
pub fn message(conversation: ConversationId, payload: &Blob) -> ruggine_core::api::message::Send {
    ruggine_core::api::message::Send {
        conversation,
        client_msg_id: ClientMsgId::new(NOW),
        epoch: None,
        payload: Some(payload.clone()),
        content: None,
    }
}

/// The examples of the README are compiled as documentation tests.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
#[derive(Debug)]
pub struct Readme;
