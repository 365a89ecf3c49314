//! Ruggine at work in one process: a real server on loopback, real clients of
//! three people, an absence, a group, and a restart in the middle; then the
//! proof that nothing was lost, doubled, reordered or left readable.

mod checks;
mod house;
mod latency;
mod person;
mod story;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Args;

use crate::output::line;

/// The whole must end within this.
const DEADLINE: Duration = Duration::from_secs(30);

#[derive(Debug, Args)]
pub(crate) struct DemoArguments {
    /// Keep the folder with the database and the clients' stores, and say where it is.
    #[arg(long)]
    keep: bool,
    /// Make the folder in this one [default: the system's temporary folder].
    #[arg(long, value_name = "FOLDER")]
    r#in: Option<PathBuf>,
}

pub(crate) async fn run(arguments: DemoArguments) -> anyhow::Result<ExitCode> {
    let mut builder = tempfile::Builder::new();
    builder
        .prefix("ruggine-demo-")
        .disable_cleanup(arguments.keep);
    let folder = match &arguments.r#in {
        Some(parent) => builder.tempdir_in(parent),
        None => builder.tempdir(),
    }
    .context("cannot make a folder for the demo")?;
    let told = tokio::time::timeout(DEADLINE, story::tell(folder.path())).await;
    if arguments.keep {
        line(&format!("The folder is kept: {}", folder.path().display()))?;
    }
    match told {
        Ok(Ok(())) => Ok(ExitCode::SUCCESS),
        Ok(Err(error)) => Err(error.context("the demo failed")),
        Err(_) => anyhow::bail!("the demo failed: it did not end within {DEADLINE:?}"),
    }
}
