//! A Redis server.

use std::fs::File;
use std::io::{Read, Write};
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
    process: Option<Process>,
}

impl Redis {
    /// Starts a server in a new folder.
    ///
    /// # Errors
    /// When it is not installed or does not start.
    pub fn create(folder: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir(folder)?;
        let mut redis = Self {
            folder: folder.to_path_buf(),
            port: free_port()?,
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
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))
            .context("the Redis server does not run")?;
        stream.set_read_timeout(Some(ANSWER))?;
        stream.write_all(b"FLUSHALL\r\n")?;
        let mut answer = [0; 5];
        stream.read_exact(&mut answer)?;
        if answer != *b"+OK\r\n" {
            bail!("the Redis server refuses to forget everything");
        }
        Ok(())
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}
