//! The services that the tests need: a PostgreSQL server and a Redis server of
//! their own, on free ports of the loopback, in a folder that goes with them.

pub(crate) mod postgres;
mod redis;

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::Args;
use tempfile::TempDir;

use crate::command::{run, say};
use postgres::Postgres;
use redis::Redis;

/// Where the tests look for the servers.
const POSTGRES: &str = "TEST_POSTGRES_URL";
const REDIS: &str = "TEST_REDIS_URL";

const PATIENCE: Duration = Duration::from_secs(60);

/// Running servers. Dropping them ends them and removes what they stored.
#[derive(Debug)]
pub(crate) struct Services {
    postgres: Postgres,
    redis: Redis,
    _folder: TempDir,
}

#[derive(Debug, Args)]
pub(crate) struct ServicesArguments {
    /// The command that needs them, such as `cargo nextest run`
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

impl Services {
    pub(crate) fn start() -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("ruggine-services-")
            .tempdir()
            .context("cannot make a folder for the services")?;
        let services = Self {
            postgres: Postgres::start(&folder.path().join("postgres"))?,
            redis: Redis::start(&folder.path().join("redis"))?,
            _folder: folder,
        };
        say("\nPostgreSQL and Redis run for the tests.");
        Ok(services)
    }

    pub(crate) fn postgres_url(&self) -> String {
        self.postgres.url()
    }

    pub(crate) fn redis_url(&self) -> String {
        self.redis.url()
    }

    /// The first process of the database server.
    pub(crate) fn postgres_process(&self) -> u32 {
        self.postgres.process()
    }

    /// Tells a command where they are.
    pub(crate) fn show_to(&self, command: &mut Command) {
        command
            .env(POSTGRES, self.postgres_url())
            .env(REDIS, self.redis_url());
    }
}

/// Runs a command beside the services.
pub(crate) fn run_with(arguments: &ServicesArguments) -> anyhow::Result<()> {
    crate::test::prerequisites::ensure()?;
    let services = Services::start()?;
    let Some((name, rest)) = arguments.command.split_first() else {
        bail!("name the command that needs the services");
    };
    let mut command = crate::command::program(name, rest);
    services.show_to(&mut command);
    run(command)
}

/// A port that nobody uses now.
pub(crate) fn free_port() -> anyhow::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?.port())
}

/// Waits until something listens, or says why it never will.
fn wait_for(
    port: u16,
    log: &Path,
    mut is_over: impl FnMut() -> anyhow::Result<bool>,
) -> anyhow::Result<()> {
    let start = Instant::now();
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
        let over = is_over()?;
        if over || start.elapsed() > PATIENCE {
            let said = std::fs::read_to_string(log).unwrap_or_default();
            bail!("a service did not start; it said:\n{said}");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}
