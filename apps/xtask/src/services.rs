//! `cargo xtask services`, and what tests are told of the services.

use std::process::Command;

use anyhow::bail;
use clap::Args;
use ruggine_services::{RedisCluster, Services};

use crate::command::{run, say};

/// Where the tests look for the servers.
const POSTGRES: &str = "TEST_POSTGRES_URL";
const REDIS: &str = "TEST_REDIS_URL";
const REDIS_CLUSTER: &str = "TEST_REDIS_CLUSTER_URL";

/// What the tests need. Dropping it ends it all.
#[derive(Debug)]
pub(crate) struct TestServices {
    services: Services,
    redis_cluster: RedisCluster,
}

#[derive(Debug, Args)]
pub(crate) struct ServicesArguments {
    /// The command that needs them, such as `cargo nextest run`
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

/// Starts them for tests.
pub(crate) fn start() -> anyhow::Result<TestServices> {
    let services = TestServices {
        services: Services::start_counting()?,
        redis_cluster: RedisCluster::create()?,
    };
    say("\nPostgreSQL, Redis and a Redis Cluster run for the tests.");
    Ok(services)
}

/// Tells a command where they are.
pub(crate) fn show(running: &TestServices, command: &mut Command) {
    command
        .env(POSTGRES, running.services.postgres.url())
        .env(REDIS, running.services.redis.url())
        .env(REDIS_CLUSTER, running.redis_cluster.url());
}

/// Runs a command beside the services.
pub(crate) fn run_with(arguments: &ServicesArguments) -> anyhow::Result<()> {
    crate::test::prerequisites::ensure()?;
    let services = start()?;
    let Some((name, rest)) = arguments.command.split_first() else {
        bail!("name the command that needs the services");
    };
    let mut command = crate::command::program(name, rest);
    show(&services, &mut command);
    run(command)
}
