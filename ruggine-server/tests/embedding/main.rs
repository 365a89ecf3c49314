//! The server inside somebody else's program.
#![cfg(all(feature = "http", feature = "sqlite"))]

mod accounts;
mod endings;
mod engines;
mod hooks;
mod operations;
mod routes;
mod support;
