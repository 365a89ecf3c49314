//! Messages as tests write them.

use ruggine_core::api::message::{Item, Send};
use ruggine_core::content::{Content, Text};
use ruggine_core::time::SystemClock;
use ruggine_core::{ClientMsgId, Clock, ConversationId};

/// An id that no message has.
#[must_use]
pub fn fresh_message_id() -> ClientMsgId {
    ClientMsgId::new(SystemClock.now())
}

/// A written message under a fresh id.
///
/// # Panics
/// When the words are longer than a payload may be.
#[must_use]
pub fn text_message(conversation: ConversationId, words: &str) -> Send {
    let payload = Content::from(Text::new(words))
        .to_payload()
        .expect("the words fit into a payload");
    Send {
        conversation,
        client_msg_id: fresh_message_id(),
        epoch: None,
        payload: Some(payload),
        content: None,
    }
}

/// The words of an entry that is a written message.
#[must_use]
pub fn words_of(item: &Item) -> Option<String> {
    let Item::Row(row) = item else { return None };
    let content = match &row.content {
        Some(content) => content.clone(),
        None => Content::from_payload(&row.payload).ok()?,
    };
    content.as_text().map(|text| text.body.clone())
}
