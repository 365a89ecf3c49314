//! Running programs, seen by whoever waits.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

/// Prints a line. A reader that is gone is no failure of the task.
pub(crate) fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{text}");
    let _ = out.flush();
}

/// The workspace's folder.
pub(crate) fn workspace() -> PathBuf {
    // Cargo says where this crate is now; where it was built may be elsewhere.
    let here = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    here.ancestors().nth(2).unwrap_or(&here).to_path_buf()
}

/// A program, run in the workspace's folder.
pub(crate) fn program<S: AsRef<OsStr>>(name: &str, arguments: &[S]) -> Command {
    let mut command = Command::new(name);
    command.args(arguments).current_dir(workspace());
    command
}

/// The cargo that runs us.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    program(&cargo, arguments)
}

/// Builds the server and the programs that measure it.
pub(crate) fn build_for_release() -> anyhow::Result<()> {
    run(cargo(&[
        "build",
        "--release",
        "--package",
        "ruggine-server-app",
        "--package",
        "ruggine-benches",
        "--bins",
    ]))
}

/// Where cargo puts what it builds for release.
pub(crate) fn release_programs() -> anyhow::Result<PathBuf> {
    // This program stands in the folder of another profile beside it.
    let here = std::env::current_exe()?;
    let target = here.parent().and_then(Path::parent);
    Ok(target
        .context("the target folder is not where it was")?
        .join("release"))
}

/// Runs a command to a good end.
pub(crate) fn run(mut command: Command) -> anyhow::Result<()> {
    say(&format!("\n$ {}", shown(&command)));
    let status = command
        .status()
        .with_context(|| format!("cannot start {}", shown(&command)))?;
    if !status.success() {
        bail!("`{}` failed with {status}", shown(&command));
    }
    Ok(())
}

/// Runs a command to a good end and returns its lines, which are shown as they come.
pub(crate) fn run_and_read(mut command: Command) -> anyhow::Result<Vec<String>> {
    say(&format!("\n$ {}", shown(&command)));
    let shown = shown(&command);
    // Test runners report on the error stream; both are read as one.
    let (reader, writer) = std::io::pipe()?;
    command
        .stdout(writer.try_clone()?)
        .stderr(writer)
        .stdin(Stdio::null());
    let mut child = command
        .spawn()
        .with_context(|| format!("cannot start {shown}"))?;
    // Our copies of the writing end close with the command, or reading never ends.
    drop(command);
    let mut lines = Vec::new();
    for line in BufReader::new(reader).split(b'\n') {
        let line = String::from_utf8_lossy(&line?).into_owned();
        say(&line);
        lines.push(line);
    }
    let status = child.wait()?;
    if !status.success() {
        bail!("`{shown}` failed with {status}");
    }
    Ok(lines)
}

/// Whether a program can be started.
pub(crate) fn exists(name: &str) -> bool {
    Command::new(name)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok()
}

fn shown(command: &Command) -> String {
    let name = Path::new(command.get_program());
    let name = name.file_name().unwrap_or(command.get_program());
    let words = std::iter::once(name).chain(command.get_args());
    words
        .map(|word| word.to_string_lossy().into_owned())
        .collect::<Vec<_>>()
        .join(" ")
}
