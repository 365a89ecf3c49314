//! The client's store on SQLCipher: every promise of its trait, its encryption,
//! and what a crash leaves behind.

#[expect(dead_code, reason = "each of the test programs uses a part")]
#[path = "../support/mod.rs"]
mod support;

mod conversations;
mod crash;
mod encryption;
mod identity;
mod incarnation;
mod key_files;
mod members;
mod opening;
mod outbox;
mod own_store;
mod reading;
mod rows;
mod threads;
