//! `cargo xtask services`, and what tests are told of the services.

use std::process::Command;

use anyhow::bail;
use clap::Args;
use ruggine_services::Services;

use crate::command::{run, say};

/// Where the tests look for the servers.
const POSTGRES: &str = "TEST_POSTGRES_URL";
const REDIS: &str = "TEST_REDIS_URL";

#[derive(Debug, Args)]
pub(crate) struct ServicesArguments {
    /// The command that needs them, such as `cargo nextest run`
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

/// Starts them for tests.
pub(crate) fn start() -> anyhow::Result<Services> {
    let services = Services::start()?;
    say("\nPostgreSQL and Redis run for the tests.");
    Ok(services)
}

/// Tells a command where they are.
pub(crate) fn show(services: &Services, command: &mut Command) {
    command
        .env(POSTGRES, services.postgres.url())
        .env(REDIS, services.redis.url());
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
