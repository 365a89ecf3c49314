//! Developer commands: `cargo xtask --help`.

mod bench;
mod command;
mod faults;
mod layers;
mod services;
mod test;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Developer commands of the Ruggine workspace.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Install what is missing, then check and test everything, as CI does
    Test(test::TestArguments),
    /// Run the criterion suites, or one of them
    Bench(bench::BenchArguments),
    /// Let servers, database, bus and connections fail under load, and judge what clients saw
    Faults(faults::FaultsArguments),
    /// Run a command beside PostgreSQL, Redis and a Redis Cluster of its own
    Services(services::ServicesArguments),
    /// Check that no crate depends on what its layer may not know
    Layers,
}

fn main() -> ExitCode {
    let result = match Arguments::parse().task {
        Task::Test(arguments) => test::run(&arguments),
        Task::Bench(arguments) => bench::run(&arguments),
        Task::Faults(arguments) => faults::run(&arguments),
        Task::Services(arguments) => services::run_with(&arguments),
        Task::Layers => layers::check(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            command::say(&format!("\nxtask: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
