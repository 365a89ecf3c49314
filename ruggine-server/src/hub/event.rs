//! An event that many sockets share: encoded once per encoding, however many
//! receive it.

use std::fmt;
use std::sync::OnceLock;

use bytes::Bytes;
use ruggine_core::codec::Encoding;
use ruggine_core::{ConversationId, Event, Seq};

/// What may become of an event when its socket is slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weight {
    /// A row of a log. Left out, its number is told so that it can be read.
    Durable(ConversationId, Seq),
    /// The state behind it can be asked for; left out when the queue is full.
    Receipt,
    /// Forgotten first, when the queue is half full.
    Ephemeral,
}

/// An event and its frames.
pub(crate) struct SharedEvent {
    event: Event,
    weight: Weight,
    json: OnceLock<Bytes>,
    msgpack: OnceLock<Bytes>,
}

impl fmt::Debug for SharedEvent {
    /// The frames hold what people wrote.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedEvent")
            .field("event", &self.event.name())
            .field("weight", &self.weight)
            .finish_non_exhaustive()
    }
}

impl SharedEvent {
    pub(crate) fn new(event: Event) -> Self {
        let weight = match &event {
            Event::Message(message) => match message.item.span() {
                Some((_, last)) => Weight::Durable(message.conversation, last),
                None => Weight::Receipt,
            },
            Event::Typing(_) | Event::Presence(_) => Weight::Ephemeral,
            _ => Weight::Receipt,
        };
        Self {
            event,
            weight,
            json: OnceLock::new(),
            msgpack: OnceLock::new(),
        }
    }

    pub(crate) const fn weight(&self) -> Weight {
        self.weight
    }

    /// The frame in this encoding. The bytes are shared, not copied.
    pub(crate) fn frame(&self, encoding: Encoding) -> Bytes {
        let frame = match encoding {
            Encoding::Json => &self.json,
            Encoding::MsgPack => &self.msgpack,
        };
        frame
            .get_or_init(|| {
                self.event.encode(encoding).unwrap_or_else(|error| {
                    tracing::error!(%error, event = self.event.name(), "an event cannot be encoded");
                    Bytes::new()
                })
            })
            .clone()
    }
}
