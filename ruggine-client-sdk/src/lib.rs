//! The client SDK of the Ruggine chat platform.
//!
//! A [`Client`] is one device of one user on one server. It keeps a connection,
//! reads what it missed, and sends what waits in its outbox, across restarts of
//! either side. Everything that it shows is on stable storage first, in a
//! [store](store::ClientStore) that is encrypted as a whole. On top of it the
//! [view-models](ui) give lists that tell how they change.
//!
//! ```no_run
//! # #[cfg(feature = "sqlite")]
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use ruggine_client_sdk::store::{KeyFile, sqlite::SqliteStore};
//! use ruggine_client_sdk::{Client, ClientEvent, transport::WebSocketTransport};
//! use ruggine_core::secret::SecretText;
//!
//! let store = SqliteStore::open("bot.store", &KeyFile::new("bot.key"))?;
//! let transport = WebSocketTransport::new("http://127.0.0.1:8443".parse()?);
//! let client = Client::builder().start(transport, store);
//! client.log_in("echo", SecretText::new("four unrelated quiet words"), None).await?;
//!
//! let me = client.identity().await?.map(|identity| identity.user.id);
//! let mut events = client.events();
//! while let Some(event) = events.next().await {
//!     if let ClientEvent::Message { conversation, message } = event
//!         && Some(message.sender) != me
//!     {
//!         client.conversation(conversation).send_text("I heard you.").await?;
//!     }
//! }
//! # Ok(())
//! # }
//! ```
#![warn(missing_docs)]

mod backoff;
mod client;
mod error;
mod event;
mod link;
mod outbox;
pub mod store;
mod sync;
pub mod transport;
pub mod ui;

pub use backoff::BackoffBounds;
pub use client::{Client, ClientBuilder, ClientOptions, Conversation};
pub use error::{RequestError, SendError};
pub use event::{ClientEvent, ConnectionState, Events};
pub use ruggine_core as core;
