//! What nobody may read: canaries are sent through every operation, and then
//! looked for wherever a server leaves anything. Records that were tampered with
//! do not open, and a server does not start with keys that do not fit.
#![cfg(all(unix, feature = "http", feature = "sqlite", feature = "metrics"))]
#![expect(
    clippy::unwrap_used,
    reason = "a test stops at what it does not expect, in its helpers too"
)]

mod canaries;
mod database;
mod debug_text;
mod everything;
mod faults;
mod keys;
mod leaks;
mod log;
mod misplaced;
mod panics;
mod requests;
mod rotation;
mod sealing;
mod stored;
mod tampering;
mod unsealed;
