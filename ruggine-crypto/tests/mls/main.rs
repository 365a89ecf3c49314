//! Groups between devices, and the server that watches them.
#![cfg(feature = "delivery")]

mod attacks;
mod delivery;
mod groups;
mod joining;
mod providers;
mod roles;
mod stubborn;
mod tables;
mod world;
