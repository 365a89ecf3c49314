//! What the tests need on a machine: installed where that is allowed, named
//! exactly where it is not.

use anyhow::{Context, bail};
use ruggine_services::postgres;

use crate::command::{cargo, exists, program, run, say};

/// Programs and the Debian packages that bring them.
const PROGRAMS: [(&str, &str); 7] = [
    ("cc", "gcc"),
    ("make", "make"),
    ("perl", "perl"),
    ("curl", "curl"),
    ("python3", "python3"),
    ("openssl", "openssl"),
    ("redis-server", "redis-server"),
];
const NEXTEST: &str = "cargo-nextest";

pub(crate) fn ensure() -> anyhow::Result<()> {
    let mut missing: Vec<&str> = PROGRAMS
        .iter()
        .filter(|(name, _)| !exists(name))
        .map(|(_, package)| *package)
        .collect();
    if postgres::program("postgres").is_err() || postgres::program("initdb").is_err() {
        missing.push("postgresql");
    }
    if !missing.is_empty() {
        install_packages(&missing)?;
    }
    ensure_component("rustfmt", "fmt")?;
    ensure_component("clippy", "clippy")?;
    ensure_nextest()
}

fn install_packages(packages: &[&str]) -> anyhow::Result<()> {
    let by_hand = format!("apt-get install -y {}", packages.join(" "));
    if !exists("apt-get") || !postgres::is_root() {
        bail!(
            "these programs are missing: {}. Install them, on Debian with `sudo {by_hand}`, and run \
             `cargo xtask test` again",
            packages.join(", ")
        );
    }
    run(program("apt-get", &["update", "-qq"]))?;
    let mut install = program(
        "apt-get",
        &["install", "-y", "-qq", "--no-install-recommends"],
    );
    install
        .args(packages)
        .env("DEBIAN_FRONTEND", "noninteractive");
    run(install).with_context(|| format!("run `{by_hand}` by hand to see why"))
}

fn ensure_component(component: &str, subcommand: &str) -> anyhow::Result<()> {
    let there = cargo(&[subcommand, "--version"])
        .output()
        .is_ok_and(|output| output.status.success());
    if there {
        return Ok(());
    }
    run(program("rustup", &["component", "add", component]))
        .with_context(|| format!("install the toolchain's {component}, then run this again"))
}

fn ensure_nextest() -> anyhow::Result<()> {
    let there = cargo(&["nextest", "--version"])
        .output()
        .is_ok_and(|output| output.status.success());
    if there {
        return Ok(());
    }
    say("The test runner is built once; this takes a few minutes.");
    run(cargo(&["install", "--locked", NEXTEST]))
        .context("install cargo-nextest by hand, then run this again")
}
