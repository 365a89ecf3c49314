//! The servers that tests and measurements need, as processes of their own on
//! free ports of the loopback: PostgreSQL and Redis in a folder that goes with
//! them, and Ruggine's own program on top of both.
//!
//! Each can be stopped in the middle of its work and started again on the same
//! port, with what it had stored.

mod instance;
pub mod postgres;
mod process;
mod redis;
mod redis_cluster;

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;

use anyhow::Context;
use tempfile::TempDir;

pub use instance::{Instance, InstanceOptions};
pub use postgres::Postgres;
pub use redis::Redis;
pub use redis_cluster::RedisCluster;

/// Running servers. Dropping them ends them and removes what they stored.
#[derive(Debug)]
pub struct Services {
    /// The database server.
    pub postgres: Postgres,
    /// The bus between instances.
    pub redis: Redis,
    // It goes after those who keep their files in it.
    _folder: TempDir,
}

impl Services {
    /// Starts both with nothing stored.
    ///
    /// # Errors
    /// When one of them is not installed or does not start; it says what it printed.
    pub fn start() -> anyhow::Result<Self> {
        Self::start_with(Postgres::create)
    }

    /// The same, with what statements cost being counted.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_counting() -> anyhow::Result<Self> {
        Self::start_with(Postgres::create_counting)
    }

    fn start_with(
        postgres: impl FnOnce(&Path) -> anyhow::Result<Postgres>,
    ) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("ruggine-services-")
            .tempdir()
            .context("cannot make a folder for the services")?;
        Ok(Self {
            postgres: postgres(&folder.path().join("postgres"))?,
            redis: Redis::create(&folder.path().join("redis"))?,
            _folder: folder,
        })
    }
}

/// A port that nobody uses now.
///
/// # Errors
/// When the loopback has none left.
pub fn free_port() -> anyhow::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?.port())
}
