//! Conversations, their rosters, and what each member may see of the log.
#![cfg(all(feature = "http", feature = "sqlite"))]

mod bounds;
mod creation;
mod messages;
mod pages;
mod rosters;
mod support;
mod windows;
