//! The WebSocket edge: one task per connection.
//!
//! The task reads requests, sends what is queued, keeps the connection alive
//! and ends it with a code that says why. It owns its socket; nothing else
//! writes to it, and nothing waits for it.

mod connection;
mod greeting;
mod wire;

pub(crate) use connection::Connection;
