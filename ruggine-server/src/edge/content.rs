//! For people and bots with curl: content in place of a payload. The engine
//! never sees it.

use ruggine_core::api::message::{Item, Send};
use ruggine_core::{Blob, Content, ErrorCode};

use crate::engine::{EngineError, EngineResult};

/// Puts the payload of the content that was given in its place.
pub(super) fn to_payload(mut send: Send) -> EngineResult<Send> {
    let Some(content) = send.content.take() else {
        return Ok(send);
    };
    if send.payload.is_some() {
        return Err(EngineError::detailed(
            ErrorCode::InvalidParams,
            "give payload or content, not both",
        ));
    }
    let payload = content
        .to_payload()
        .map_err(|error| EngineError::detailed(ErrorCode::InvalidContent, error.to_string()))?;
    send.payload = Some(payload);
    Ok(send)
}

/// Puts content in the place of every payload that is one.
pub(super) fn to_content(items: &mut [Item]) {
    for item in items {
        if let Item::Row(row) = item
            && let Ok(content) = Content::from_payload(&row.payload)
        {
            row.content = Some(content);
            row.payload = Blob::default();
        }
    }
}
