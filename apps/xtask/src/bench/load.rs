//! `cargo xtask bench load`: a server as in production, loaded by the generator.

use std::process::Command;

use anyhow::Context;
use clap::{Args, ValueEnum};
use ruggine_services::{Instance, InstanceOptions, Services};

use crate::command::{self, say};

#[derive(Debug, Args)]
pub(crate) struct LoadArguments {
    /// Where the server keeps everything
    #[arg(long, value_enum, default_value_t = Store::Postgres)]
    store: Store,
    /// Leave Redis out
    #[arg(long)]
    without_redis: bool,
    /// What the generator shall know, such as --scenario pairs; its --help says all
    #[arg(last = true)]
    generator: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Store {
    Postgres,
    Sqlite,
}

pub(crate) fn run(arguments: &LoadArguments) -> anyhow::Result<()> {
    crate::test::prerequisites::ensure()?;
    command::build_for_release()?;
    let folder = tempfile::tempdir().context("cannot make a folder for the server")?;
    let programs = command::release_programs()?;
    let options = InstanceOptions::new(&programs.join("ruggine-server"), folder.path());
    let (services, options) = match arguments.store {
        Store::Postgres => {
            let services = Services::start()?;
            let mut options = options.env("DATABASE_URL", services.postgres.url());
            if !arguments.without_redis {
                options = options.env("REDIS_URL", services.redis.url());
            }
            (Some(services), options)
        }
        Store::Sqlite => {
            let file = folder.path().join("load.sqlite");
            let url = format!("sqlite:{}", file.display());
            (None, options.env("DATABASE_URL", url))
        }
    };
    let server = Instance::start(&options)?;
    say(&format!("\nThe server listens on {}.", server.address()));
    let mut load = Command::new(programs.join("ruggine-load"));
    load.args(["--server", &server.address().to_string()])
        .args(&arguments.generator);
    if let Some(process) = server.process() {
        load.args(["--server-pid", &process.to_string()]);
    }
    let database = services.as_ref().and_then(|some| some.postgres.process());
    if let Some(process) = database {
        load.args(["--database-pid", &process.to_string()]);
    }
    command::run(load)?;
    server.terminate()
}
