//! Every amount that a server is given: what lies beyond it is refused with the
//! word that the protocol has for it, stores nothing, and is well again when the
//! time that was named is over.
#![cfg(all(feature = "http", feature = "sqlite"))]
#![expect(
    clippy::unwrap_used,
    reason = "a test stops at what it does not expect, in its helpers too"
)]

mod commits;
mod counts;
mod groups;
mod logins;
mod messages;
mod pages;
mod poison;
mod queues;
mod rates;
mod slow_store;
mod sockets;
mod support;
