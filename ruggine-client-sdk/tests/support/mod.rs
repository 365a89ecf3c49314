//! What the tests of this crate share: devices on a real server, a server that
//! follows a script, and a store that the test can look into and hold back.

pub(crate) mod device;
pub(crate) mod replies;
pub(crate) mod script;
pub(crate) mod watched;
pub(crate) mod world;

use std::time::Duration;

use ruggine_client_sdk::store::{ClientStore, MessageRecord};
use ruggine_client_sdk::{
    BackoffBounds, Client, ClientEvent, ClientOptions, ConnectionState, Events,
};
use ruggine_core::api::account::User;
use ruggine_core::content::{Content, Text};
use ruggine_core::time::SystemClock;
use ruggine_core::{Blob, Clock, ConversationId, Seq, Timestamp, UserId};
use ruggine_server::testing::patiently;

pub(crate) fn seq(number: u64) -> Seq {
    Seq::new(number)
}

pub(crate) fn now() -> Timestamp {
    SystemClock.now()
}

/// A conversation of which nobody has heard.
pub(crate) fn fresh_conversation() -> ConversationId {
    ConversationId::new(now())
}

pub(crate) fn person(username: &str) -> User {
    User {
        id: UserId::new(now()),
        username: username.parse().expect("a username"),
        display_name: username.to_uppercase().parse().expect("a display name"),
    }
}

/// Options with which nothing takes longer than it must.
pub(crate) fn quick() -> ClientOptions {
    let mut options = ClientOptions::default();
    options.backoff = BackoffBounds {
        base: Duration::from_millis(10),
        cap: Duration::from_millis(80),
        ..BackoffBounds::default()
    };
    options.receipt_interval = Duration::from_millis(5);
    options
}

/// Who fails waits for so long that nothing else happens in a test.
pub(crate) fn slow() -> ClientOptions {
    let mut options = quick();
    options.backoff = BackoffBounds {
        base: Duration::from_secs(3_600),
        cap: Duration::from_secs(3_600),
        ..BackoffBounds::default()
    };
    options
}

pub(crate) fn is_waiting(state: &ConnectionState) -> bool {
    matches!(state, ConnectionState::Waiting(_))
}

pub(crate) fn text(words: &str) -> Blob {
    Content::from(Text::new(words))
        .to_payload()
        .expect("the words fit into a payload")
}

/// What a row says, where it is written words.
pub(crate) fn words(row: &MessageRecord) -> Option<String> {
    let content = Content::from_payload(row.payload.as_deref()?).ok()?;
    content.as_text().map(|text| text.body.clone())
}

/// The words of all rows that are written.
pub(crate) fn all_words(rows: &[MessageRecord]) -> Vec<String> {
    rows.iter().filter_map(words).collect()
}

/// Waits until something holds, looking again after every event of the client.
pub(crate) async fn until(client: &Client, what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let mut events = client.events();
    patiently(what, async {
        while !holds().await {
            events.next().await.expect("the client goes on");
        }
    })
    .await;
}

/// The next event that fits; others are passed over.
pub(crate) async fn next_event<T>(
    events: &mut Events,
    what: &str,
    mut fits: impl FnMut(ClientEvent) -> Option<T>,
) -> T {
    patiently(what, async {
        loop {
            let event = events.next().await.expect("the client goes on");
            if let Some(found) = fits(event) {
                return found;
            }
        }
    })
    .await
}

/// The rows that are told of a conversation, up to and with a number.
pub(crate) async fn rows_told(
    events: &mut Events,
    id: ConversationId,
    last: Seq,
) -> Vec<MessageRecord> {
    let mut rows = Vec::new();
    next_event(events, "the rows of a conversation", |event| match event {
        ClientEvent::Message {
            conversation,
            message,
        } if conversation == id => {
            let at = message.seq;
            rows.push(message);
            (at >= last).then_some(())
        }
        ClientEvent::Missed => panic!("the test reads events too slowly"),
        ClientEvent::SendFailed { code, .. } => panic!("a message was refused for good: {code}"),
        _ => None,
    })
    .await;
    rows
}

/// These rows are exactly the numbers from `first` to `last`, each once, in order.
pub(crate) fn assert_whole(rows: &[MessageRecord], first: u64, last: u64) {
    let numbers: Vec<u64> = rows.iter().map(|row| row.seq.get()).collect();
    let expected: Vec<u64> = (first..=last).collect();
    assert_eq!(numbers, expected);
}

/// What a store keeps of a conversation, oldest first.
pub(crate) fn kept(store: &dyn ClientStore, id: ConversationId) -> Vec<MessageRecord> {
    let mut rows = store
        .messages(id, Seq::MAX, usize::MAX)
        .expect("the store can be read");
    rows.reverse();
    rows
}

/// What holds of a store whatever a server has sent.
pub(crate) fn assert_sound(store: &dyn ClientStore) {
    for record in store.conversations().expect("the store can be read") {
        assert!(record.floor <= record.cursor, "{record:?}");
        assert!(record.cursor <= record.head, "{record:?}");
        let rows = kept(store, record.id);
        assert!(
            rows.iter()
                .all(|row| row.seq > record.floor && row.seq <= record.cursor),
            "a row lies outside the part that is kept: {record:?}"
        );
        assert!(rows.is_sorted_by(|one, other| one.seq < other.seq));
        assert!(record.mentions <= record.unread, "{record:?}");
        assert!(record.unread as usize <= rows.len(), "{record:?}");
    }
}
