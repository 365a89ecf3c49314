//! The protocol of the Ruggine chat platform as plain data.
//!
//! This crate owns what travels between a client and a server: [ids](id), the
//! [operations](api) with their requests and responses, [events](event), the
//! [frames](frame) that carry them, the two [encodings](codec) with their
//! [limits], and the [content] of a message. It performs no I/O and spawns
//! nothing; both the server engine and the client SDK are built on it.
//!
//! ```
//! use ruggine_core::codec::Encoding;
//! use ruggine_core::content::{Content, Text};
//!
//! let payload = Content::from(Text::new("ciao")).to_payload()?;
//! let back = Content::from_payload(&payload)?;
//! assert_eq!(back.as_text().map(|text| text.body.as_str()), Some("ciao"));
//!
//! let frame = Encoding::MsgPack.encode(&payload)?;
//! assert!(frame.len() < 64);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![warn(missing_docs)]

mod wire_enum;

pub mod api;
pub mod blob;
pub mod codec;
pub mod content;
pub mod error;
pub mod event;
pub mod frame;
pub mod id;
pub mod limits;
pub mod name;
pub mod policy;
pub mod secret;
pub mod seq;
pub mod time;
pub mod version;

pub use blob::Blob;
pub use content::Content;
pub use error::{ApiError, ErrorCode};
pub use event::Event;
pub use id::{ClientMsgId, ConversationId, DeviceId, SessionId, UserId};
pub use seq::{Incarnation, Seq};
pub use time::{Clock, Timestamp};
