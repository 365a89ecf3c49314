//! `cargo xtask bench`.

use clap::Args;

use crate::command::{self, cargo};

#[derive(Debug, Args)]
pub(crate) struct BenchArguments {
    /// One suite, such as `codec`; all of them without it
    suite: Option<String>,
    /// What criterion shall know, such as a filter
    #[arg(last = true)]
    criterion: Vec<String>,
}

pub(crate) fn run(arguments: &BenchArguments) -> anyhow::Result<()> {
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
