//! The delivery contract on one instance, over real sockets.
#![cfg(all(feature = "http", feature = "sqlite"))]

mod acks;
mod endings;
mod heads;
mod order;
mod positions;
mod presence;
mod rosters;
mod slow_readers;
mod support;
mod write_counter;
