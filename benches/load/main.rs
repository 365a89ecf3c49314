//! The load generator: protocol clients without a local store against a running
//! server, with the CPU that server and database used for each message.
//!
//! `cargo xtask bench load` builds everything, starts what is needed and calls
//! this program; its `--help` names the scenarios.

mod device;
mod latency;
mod machine;
mod report;
mod scenarios;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::{Parser, ValueEnum};

use machine::Observed;
use report::Report;
use scenarios::Scene;

/// Loads a running server and says what it cost.
#[derive(Debug, Parser)]
#[command(name = "ruggine-load")]
struct Arguments {
    /// Where the server listens
    #[arg(long, value_name = "ADDRESS:PORT")]
    server: SocketAddr,

    /// The server's process, whose CPU and memory are read from /proc
    #[arg(long, value_name = "PID")]
    server_pid: Option<u32>,

    /// The database server's first process, whose CPU is read with that of all that it started
    #[arg(long, value_name = "PID")]
    database_pid: Option<u32>,

    /// What to do; everything where it is left out
    #[arg(long, value_enum)]
    scenario: Vec<Scenario>,

    /// How long each scenario is measured, after it has warmed up
    #[arg(long, default_value_t = 10, value_name = "SECONDS")]
    seconds: u64,

    /// Write the report as JSON to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Scenario {
    /// 50 pairs of devices, a window of 8, bodies of 256 bytes
    Pairs,
    /// One group of 100 members, 5 senders, a window of 4
    Group,
    /// 1,000 and 5,000 idle connections
    Idle,
    /// Devices that read a log of 5,000 messages from its beginning
    History,
    /// 200 messages a second over 20 pairs
    Paced,
}

const ALL: [Scenario; 5] = [
    Scenario::Pairs,
    Scenario::Group,
    Scenario::History,
    Scenario::Paced,
    Scenario::Idle,
];

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    runtime.block_on(run(arguments))
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let scene = Scene {
        server: arguments.server,
        observed: Observed {
            server: arguments.server_pid,
            database: arguments.database_pid,
        },
        time: Duration::from_secs(arguments.seconds),
    };
    let chosen = match arguments.scenario.as_slice() {
        [] => &ALL[..],
        some => some,
    };
    let mut report = Report::default();
    for scenario in chosen {
        let figures = match scenario {
            Scenario::Pairs => scenarios::pairs::run(&scene).await?,
            Scenario::Group => scenarios::group::run(&scene).await?,
            Scenario::Idle => scenarios::idle::run(&scene).await?,
            Scenario::History => scenarios::history::run(&scene).await?,
            Scenario::Paced => scenarios::paced::run(&scene).await?,
        };
        report.add(figures)?;
    }
    if let Some(path) = &arguments.json {
        let json = serde_json::to_string_pretty(&report)?;
        std::fs::write(path, json + "\n")
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}
