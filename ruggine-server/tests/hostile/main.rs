//! Peers that break the rules, on real sockets: each gets the answer that the
//! protocol names, its neighbours notice nothing, and nothing of it is kept.
#![cfg(all(feature = "http", feature = "sqlite", feature = "metrics"))]
#![expect(
    clippy::unwrap_used,
    reason = "a test stops at what it does not expect, in its helpers too"
)]

mod bodies;
mod conversations;
mod credentials;
mod frames;
mod handshakes;
mod http;
mod ids;
mod in_flight;
mod malformed;
mod patience;
mod raw_http;
mod raw_socket;
mod scene;
mod values;
