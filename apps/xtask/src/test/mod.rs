//! `cargo xtask test`: everything that must be true before a change is taken.

mod count;
pub(crate) mod prerequisites;

use anyhow::Context;
use clap::Args;

use crate::command::{self, cargo, run_and_read, say};
use crate::layers;
use crate::services;
use count::Count;

#[derive(Debug, Args)]
pub(crate) struct TestArguments {
    /// Leave out formatting, lints and documents
    #[arg(long)]
    only_tests: bool,
}

/// Lints as errors, on every combination of features that is shipped.
const CLIPPY: [&[&str]; 3] = [
    &[
        "clippy",
        "--workspace",
        "--all-targets",
        "--all-features",
        "--",
        "--deny",
        "warnings",
    ],
    &[
        "clippy",
        "--workspace",
        "--all-targets",
        "--",
        "--deny",
        "warnings",
    ],
    &[
        "clippy",
        "--no-default-features",
        "--package",
        "ruggine-core",
        "--package",
        "ruggine-crypto",
        "--package",
        "ruggine-server",
        "--package",
        "ruggine-client-sdk",
        "--",
        "--deny",
        "warnings",
    ],
];

pub(crate) fn run(arguments: &TestArguments) -> anyhow::Result<()> {
    prerequisites::ensure()?;
    if !arguments.only_tests {
        command::run(cargo(&["fmt", "--all", "--check"])).context("run `cargo fmt --all`")?;
        layers::check()?;
        for lints in CLIPPY {
            command::run(cargo(lints))?;
        }
    }
    let mut count = Count::default();
    let services = services::start()?;
    let mut nextest = cargo(&[
        "nextest",
        "run",
        "--workspace",
        "--all-features",
        "--no-fail-fast",
    ]);
    services::show(&services, &mut nextest);
    count.add_nextest(&run_and_read(nextest)?)?;
    let doc_tests = cargo(&["test", "--workspace", "--all-features", "--doc"]);
    count.add_libtest(&run_and_read(doc_tests)?)?;
    // Criterion runs each bench once, as a test of the bench itself.
    command::run(cargo(&[
        "test",
        "--package",
        "ruggine-benches",
        "--benches",
    ]))?;
    if !arguments.only_tests {
        let mut docs = cargo(&["doc", "--workspace", "--all-features", "--no-deps"]);
        docs.env("RUSTDOCFLAGS", "--deny warnings");
        command::run(docs)?;
    }
    say("");
    say(&count.to_string());
    Ok(())
}
