//! What travels, byte for byte: a changed snapshot is a changed protocol.

mod content;
mod events;
mod examples;
mod frames;
mod operations;
mod secrecy;
mod snapshot;
mod values;
