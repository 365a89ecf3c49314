//! `cargo xtask faults`: everything fails in turn under a long load.

use std::process::Command;

use clap::Args;

use crate::command;

#[derive(Debug, Args)]
pub(crate) struct FaultsArguments {
    /// What the program shall know, such as --messages 100000; its --help says all
    #[arg(last = true)]
    program: Vec<String>,
}

pub(crate) fn run(arguments: &FaultsArguments) -> anyhow::Result<()> {
    crate::test::prerequisites::ensure()?;
    command::build_for_release()?;
    let programs = command::release_programs()?;
    let mut faults = Command::new(programs.join("ruggine-faults"));
    faults
        .arg("--server")
        .arg(programs.join("ruggine-server"))
        .args(&arguments.program);
    command::run(faults)
}
