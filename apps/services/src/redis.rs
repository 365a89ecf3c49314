//! A Redis server.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::process::Signal;

use crate::free_port;
use crate::process::Process;

const ANSWER: Duration = Duration::from_secs(10);

/// A Redis server that stores nothing on disk.
#[derive(Debug)]
pub struct Redis {
    folder: PathBuf,
    port: u16,
    arguments: Vec<String>,
    process: Option<Process>,
}

impl Redis {
    /// Starts a server in a new folder.
    ///
    /// # Errors
    /// When it is not installed or does not start.
    pub fn create(folder: &Path) -> anyhow::Result<Self> {
        Self::create_with(folder, &[])
    }

    /// Starts a server in a new folder, with these arguments besides.
    ///
    /// # Errors
    /// When it is not installed or does not start.
    pub fn create_with(folder: &Path, arguments: &[&str]) -> anyhow::Result<Self> {
        std::fs::create_dir(folder)?;
        let mut redis = Self {
            folder: folder.to_path_buf(),
            port: free_port()?,
            arguments: arguments.iter().map(ToString::to_string).collect(),
            process: None,
        };
        redis.start()?;
        Ok(redis)
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// The port on which it listens.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Starts it on its port, if it does not run.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(&mut self) -> anyhow::Result<()> {
        if self.process.is_some() {
            return Ok(());
        }
        let log = self.folder.join("log");
        let mut command = Command::new("redis-server");
        command
            .args(["--bind", "127.0.0.1", "--port", &self.port.to_string()])
            .args(["--save", "", "--appendonly", "no", "--dir"])
            .arg(&self.folder)
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(File::create(&log)?)
            .stderr(File::options().append(true).open(&log)?);
        self.process = Some(Process::start(command, self.port, &log)?);
        Ok(())
    }

    /// Ends it at once, with all that it knew.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        if let Some(process) = self.process.take() {
            process.end(Signal::KILL)?;
        }
        Ok(())
    }

    /// Makes it forget everything while it runs (`FLUSHALL`).
    ///
    /// # Errors
    /// When it does not answer.
    pub fn flush(&self) -> anyhow::Result<()> {
        ask(self.port, "FLUSHALL").map(drop)
    }

    /// Gives it one command, as its words with spaces between, and returns the
    /// answer: a word, a number or a text.
    ///
    /// # Errors
    /// When it does not answer, or refuses the command.
    pub fn ask(&self, command: &str) -> anyhow::Result<String> {
        ask(self.port, command)
    }
}

fn ask(port: u16, command: &str) -> anyhow::Result<String> {
    let mut stream =
        TcpStream::connect((Ipv4Addr::LOCALHOST, port)).context("the Redis server does not run")?;
    stream.set_read_timeout(Some(ANSWER))?;
    write!(stream, "{command}\r\n")?;
    let mut answer = BufReader::new(stream);
    let mut first = String::new();
    answer.read_line(&mut first)?;
    let first = first.trim_end();
    if let Some(why) = first.strip_prefix('-') {
        bail!("the Redis server refuses {command}: {why}");
    }
    let Some(length) = first.strip_prefix('$') else {
        return Ok(first.trim_start_matches(['+', ':']).to_owned());
    };
    let mut text = vec![0; length.parse()?];
    answer.read_exact(&mut text)?;
    Ok(String::from_utf8(text)?)
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}
