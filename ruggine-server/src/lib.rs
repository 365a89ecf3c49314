//! The Ruggine chat server as a library.
//!
//! Two heights to build on. [`Server::builder`] gives a whole server on ports
//! of its own, or, with [`ServerBuilder::mount`], an axum router to nest beside
//! other routes. [`engine::Engine`] below it is the chat itself without any
//! transport: [`Engine::call`](engine::Engine::call) does an operation,
//! [`Engine::open_socket`](engine::Engine::open_socket) opens a live connection.
//!
//! What a service may want to replace stands behind a seam: the
//! [store](store::Store), the [bus](bus::Bus) between instances, the
//! [authenticator](auth::Authenticator), the [source of the master
//! keys](key_source::KeySource), the [hooks](hooks::Hooks), the
//! [metrics](metrics::Metrics) and the clock.
//!
//! ```
//! # #[cfg(all(feature = "http", feature = "sqlite"))]
//! # async fn example(folder: &std::path::Path) -> Result<(), Box<dyn std::error::Error>> {
//! use axum::{Router, routing::get};
//! use ruggine_server::{Drain, Server, key_source::KeyFile};
//!
//! let chat = Server::builder()
//!     .sqlite(folder.join("chat.sqlite")).await?
//!     .keys(KeyFile::new(folder.join("master.key")))
//!     .mount().await?;
//! let app: Router = Router::new()
//!     .route("/", get(|| async { "my service" }))
//!     .merge(chat.router());
//! // … serve `app`, and when it ends:
//! chat.shut_down(Drain::GRACEFUL).await;
//! # drop(app);
//! # Ok(())
//! # }
//! ```
#![warn(missing_docs)]

mod seam;

pub mod auth;
#[cfg(feature = "http")]
mod builder;
pub mod bus;
pub mod config;
#[cfg(feature = "http")]
mod edge;
pub mod engine;
pub mod hooks;
#[cfg(feature = "http")]
pub mod http;
mod hub;
pub mod key_source;
pub mod metrics;
mod rate_limit;
pub mod sealing;
pub mod store;
#[cfg(feature = "testing")]
pub mod testing;
#[cfg(feature = "http")]
mod ws;

#[cfg(feature = "http")]
pub use builder::{BuildError, Drain, Mounted, Server, ServerBuilder};
