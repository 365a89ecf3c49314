//! The program as it is run: a process with flags, an environment, files and signals.

mod defaults;
mod durability;
mod examples;
mod refusals;
mod support;
mod tls;
