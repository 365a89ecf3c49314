//! What a client tells without being asked.

use ruggine_core::api::presence::Presence;
use ruggine_core::event::TypingEvent;
use ruggine_core::{ClientMsgId, ConversationId, ErrorCode, Seq, UserId};
use tokio::sync::broadcast;

use crate::store::MessageRecord;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientEvent {
    /// The connection changed its state.
    Connection(ConnectionState),
    /// Somebody logged in on this device; where it is another user than before,
    /// nothing of the former is kept.
    Login,
    /// A conversation is new here, or something about it changed: its head,
    /// title, members, unread count.
    Conversation(ConversationId),
    /// A row was added at the end of a log. Each is told once, in order.
    Message {
        /// Of which conversation.
        conversation: ConversationId,
        /// The row, already on stable storage.
        message: MessageRecord,
    },
    /// A message joined the outbox or moved on in it.
    Outbox(ConversationId),
    /// The server has a message; it is on its stable storage.
    Acknowledged {
        /// Of which conversation.
        conversation: ConversationId,
        /// Which message.
        client_msg_id: ClientMsgId,
        /// Its number.
        seq: Seq,
    },
    /// The server refused a message for good.
    SendFailed {
        /// Of which conversation.
        conversation: ConversationId,
        /// Which message.
        client_msg_id: ClientMsgId,
        /// Why.
        code: ErrorCode,
    },
    /// A member's position moved.
    Receipt {
        /// In which conversation.
        conversation: ConversationId,
        /// Whose.
        user: UserId,
    },
    /// A member is typing, or has stopped.
    Typing(TypingEvent),
    /// Somebody came online or went.
    Presence(Presence),
    /// The reader was too slow and missed events: read the state anew.
    Missed,
}

/// How the connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectionState {
    /// Nobody is logged in, so no connection is tried.
    LoggedOut,
    /// A connection is being made.
    Connecting,
    /// Connected; what was missed is being read.
    Online,
    /// Not connected; the next attempt comes after this long.
    Waiting(std::time::Duration),
    /// The client was shut down.
    Stopped,
}

/// A reader of events. One that is too slow is told so and goes on.
#[derive(Debug)]
pub struct Events(pub(crate) broadcast::Receiver<ClientEvent>);

impl Events {
    /// The next event; `None` once the client is gone. Cancel safe.
    pub async fn next(&mut self) -> Option<ClientEvent> {
        match self.0.recv().await {
            Ok(event) => Some(event),
            Err(broadcast::error::RecvError::Lagged(_)) => Some(ClientEvent::Missed),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}
