//! The directories of device lists and key packages, with real keys.
#![cfg(all(feature = "http", feature = "sqlite"))]
#![expect(
    clippy::unwrap_used,
    reason = "a test stops at what it does not expect, in its helpers too"
)]

mod identities;
mod packages;
mod refusals;
mod support;
