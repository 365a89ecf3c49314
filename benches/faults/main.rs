//! Three server processes behind a load balancer, under load, while everything
//! that they stand on fails in turn.
//!
//! The devices keep the client's part of the contract; the judge of histories
//! then says whether anything that was promised is missing, came twice or came
//! in another order. `cargo xtask faults` builds everything and calls this
//! program in its long form, `cargo xtask test` in its short one.

mod balancer;
mod harms;
mod report;
mod watch;
mod world;

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Context;
use clap::Parser;

use harms::Harm;
use report::Report;
use world::World;

/// Lets everything fail under load and judges what clients saw.
#[derive(Debug, Parser)]
#[command(name = "ruggine-faults")]
struct Arguments {
    /// The server program
    #[arg(long, value_name = "FILE")]
    server: PathBuf,

    /// Go on until so many messages are acknowledged and every harm was done once
    #[arg(long, default_value_t = 1_000_000)]
    messages: u64,

    /// Messages between one harm and the next
    #[arg(long, default_value_t = 10_000)]
    between: u64,

    /// Only these harms; all of them where it is left out
    #[arg(long, value_enum)]
    harm: Vec<Harm>,

    /// Write the report as JSON to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    runtime.block_on(run(&arguments))
}

async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let harms = match arguments.harm.as_slice() {
        [] => Harm::ALL.as_slice(),
        some => some,
    };
    let mut world = World::start(&arguments.server).await?;
    let mut report = Report::new(arguments.messages);
    let start = Instant::now();
    for (done, harm) in harms.iter().cycle().enumerate() {
        world.progress(arguments.between).await?;
        if done >= harms.len() && world.acked() >= arguments.messages {
            break;
        }
        let gap = world.suffer(*harm).await?;
        report.add(*harm, gap, world.acked());
    }
    report.loaded(start.elapsed());
    let summary = world.end().await?;
    report.judged(summary);
    if let Some(path) = &arguments.json {
        let json = serde_json::to_string_pretty(&report)?;
        std::fs::write(path, json + "\n")
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}
