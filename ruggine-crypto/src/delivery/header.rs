//! What can be read of a message without opening it.

use openmls::prelude::ContentType;

use super::error::DeliveryError;
use crate::mls::GroupId;
use crate::mls::protocol_message;

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderKind {
    /// A sealed message.
    Application,
    /// A change of the group.
    Commit,
    /// A request that others shall commit.
    Proposal,
}

/// What can be read of a message without opening it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// To which group it says that it belongs.
    pub group: GroupId,
    /// In which epoch it says that it was made.
    pub epoch: u64,
    /// What it is.
    pub kind: HeaderKind,
}

/// Reads a message's header.
///
/// # Errors
/// When the bytes are no message of a group as we send them: application
/// messages sealed, everything else in public.
pub fn header(bytes: &[u8]) -> Result<Header, DeliveryError> {
    let message = protocol_message(bytes).map_err(DeliveryError::part("message"))?;
    Ok(Header {
        group: GroupId::of(message.group_id()).ok_or(DeliveryError::Malformed("group id"))?,
        epoch: message.epoch().as_u64(),
        kind: match message.content_type() {
            ContentType::Application => HeaderKind::Application,
            ContentType::Commit => HeaderKind::Commit,
            ContentType::Proposal => HeaderKind::Proposal,
        },
    })
}
