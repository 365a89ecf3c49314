//! What envelope v1 promises, seen from outside.
#![cfg(feature = "at-rest")]

mod arbitrary;
mod damage;
mod forms;
mod json;
mod master_keys;
mod ring;
mod rows;
mod samples;
mod sealing;
