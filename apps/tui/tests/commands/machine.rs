//! A machine on which the program is run, and what it prints there.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::Stdio;

use ruggine_server::testing::{TestServer, patiently};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

pub(crate) const PASSWORD: &str = "quattro sassi nel torrente";

/// A machine on which people have their profiles.
pub(crate) struct Machine {
    pub(crate) home: TempDir,
    pub(crate) server: String,
}

/// A command that has ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    out: String,
    pub(crate) err: String,
}

impl Ran {
    /// What was printed by a command that succeeded.
    pub(crate) fn printed(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        assert_eq!(self.err, "");
        self.out
    }

    /// What was said by a command that failed.
    pub(crate) fn said(self) -> String {
        assert_eq!(self.code, Some(1), "{self:?}");
        assert_eq!(self.out, "");
        assert!(self.err.starts_with("ruggine-tui: "), "{}", self.err);
        self.err
    }

    /// The objects that were printed, one a line.
    pub(crate) fn objects(self) -> Vec<Value> {
        let out = self.printed();
        out.lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}")))
            .collect()
    }
}

impl Machine {
    pub(crate) fn of(server: &TestServer) -> Self {
        Self {
            home: tempfile::tempdir().expect("a temporary folder can be made"),
            server: format!("http://{}", server.address()),
        }
    }

    /// The folder of all profiles.
    pub(crate) fn home(&self) -> PathBuf {
        self.home.path().join("profiles")
    }

    pub(crate) fn command(
        &self,
        profile: &str,
        arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
    ) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ruggine-tui"));
        command
            .env_clear()
            .env("HOME", self.home.path())
            .env("RUGGINE_HOME", self.home())
            .args(["--profile", profile])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    pub(crate) async fn run(&self, profile: &str, arguments: &[&str]) -> Ran {
        run(self.command(profile, arguments), "").await
    }

    /// Runs a command that asks for a password.
    pub(crate) async fn with_password(
        &self,
        profile: &str,
        arguments: &[&str],
        password: &str,
    ) -> Ran {
        run(self.command(profile, arguments), &format!("{password}\n")).await
    }

    /// Makes an account and logs a profile of the same name in.
    pub(crate) async fn register(&self, username: &str) {
        let arguments = ["register", username, "--server", &self.server];
        let ran = self.with_password(username, &arguments, PASSWORD).await;
        assert_eq!(
            ran.printed(),
            format!("Welcome, {username}. You are logged in.\n")
        );
    }

    pub(crate) async fn send(&self, from: &str, to: &str, words: &str) {
        assert_eq!(self.run(from, &["send", to, words]).await.printed(), "");
    }

    /// The words of a conversation, as a profile has them.
    pub(crate) async fn words(&self, profile: &str, to: &str) -> Vec<String> {
        let items = self
            .run(profile, &["history", to, "--json"])
            .await
            .objects();
        items
            .iter()
            .filter(|item| item["kind"] == "text")
            .map(|item| item["text"].as_str().expect("a text has words").to_owned())
            .collect()
    }

    /// Begins to show messages as they arrive.
    pub(crate) fn tail(&self, profile: &str, arguments: &[&str]) -> Tail {
        let mut child = self
            .command(profile, ["tail"].iter().chain(arguments))
            .spawn()
            .expect("the program can be run");
        let stdout = child.stdout.take().expect("standard output is a pipe");
        let lines = BufReader::new(stdout).lines();
        Tail { child, lines }
    }
}

/// Runs a command to its end with this on its standard input.
pub(crate) async fn run(mut command: Command, input: &str) -> Ran {
    command.stdin(Stdio::piped());
    let mut child = command.spawn().expect("the program can be run");
    let mut stdin = child.stdin.take().expect("standard input is a pipe");
    // Who does not ask does not read.
    let _ = stdin.write_all(input.as_bytes()).await;
    drop(stdin);
    let output = patiently("the end of a command", child.wait_with_output()).await;
    let output = output.expect("the program can be waited for");
    Ran {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).expect("it prints text"),
        err: String::from_utf8(output.stderr).expect("it says text"),
    }
}

/// A `tail` that runs.
pub(crate) struct Tail {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Tail {
    pub(crate) async fn line(&mut self) -> String {
        let line = patiently("a line of tail", self.lines.next_line()).await;
        let line = line.expect("it prints text");
        line.expect("tail goes on")
    }

    /// Presses Ctrl-C and returns the exit code.
    pub(crate) async fn interrupt(mut self) -> Option<i32> {
        let id = self.child.id().and_then(|id| i32::try_from(id).ok());
        let id = id.and_then(Pid::from_raw).expect("tail runs");
        kill_process(id, Signal::INT).expect("tail runs");
        let status = patiently("the end of tail", self.child.wait()).await;
        status.expect("tail can be waited for").code()
    }
}
