//! `cargo xtask bench`.

mod load;

use clap::{Args, Subcommand};

use crate::command::{self, cargo};
use load::LoadArguments;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct BenchArguments {
    #[command(subcommand)]
    kind: Option<Kind>,
    /// One suite, such as `codec`; all of them without it
    suite: Option<String>,
    /// What criterion shall know, such as a filter
    #[arg(last = true)]
    criterion: Vec<String>,
}

#[derive(Debug, Subcommand)]
enum Kind {
    /// Start a server with all that it needs, load it, and say what it cost
    Load(LoadArguments),
}

pub(crate) fn run(arguments: &BenchArguments) -> anyhow::Result<()> {
    if let Some(Kind::Load(arguments)) = &arguments.kind {
        return load::run(arguments);
    }
    let mut command = cargo(&["bench", "--package", "ruggine-benches"]);
    match &arguments.suite {
        Some(suite) => command.args(["--bench", suite]),
        None => command.arg("--benches"),
    };
    if !arguments.criterion.is_empty() {
        command.arg("--").args(&arguments.criterion);
    }
    command::run(command)
}
