//! The program as it is run: a process with flags, an environment, files and signals.

mod collisions;
mod database_url;
mod defaults;
mod durability;
mod ending;
mod examples;
mod figures;
mod logs;
mod redis;
mod refusals;
mod secrecy;
mod services;
mod support;
mod tls;
