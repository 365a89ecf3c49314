//! For people and bots with curl: content in place of a payload. The engine
//! never sees it.

use ruggine_core::api::message::{Item, Send};
use ruggine_core::content::ContentError;
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
    let payload = content.to_payload().map_err(|error| match error {
        ContentError::TooLarge(_) => EngineError::rejected(ErrorCode::PayloadTooLarge),
        error => EngineError::detailed(ErrorCode::InvalidContent, error.to_string()),
    })?;
    send.payload = Some(payload);
    Ok(send)
}

/// Puts content in the place of every payload that is one.
pub(super) fn to_content(items: &mut [Item]) {
    for item in items {
        if let Item::Row(row) = item
            && let Ok(content) = Content::from_payload(&row.payload)
            && is_no_longer(&content, row.payload.len())
        {
            row.content = Some(content);
            row.payload = Blob::default();
        }
    }
}

/// Whether content takes no more room than its payload did as base64. Some
/// grows when it is written anew, and a page of it would burst a frame.
fn is_no_longer(content: &Content, payload: usize) -> bool {
    serde_json::to_vec(content).is_ok_and(|json| json.len() <= payload.div_ceil(3) * 4)
}
