//! One server as a child process.

use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};

const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(10);

/// A child that has not been waited for.
#[derive(Debug)]
pub(crate) struct Process(Child);

impl Process {
    /// Starts a command and waits until it listens, or says why it never will.
    pub(crate) fn start(mut command: Command, port: u16, log: &Path) -> anyhow::Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        let child = command.spawn();
        let mut process = Self(child.with_context(|| format!("cannot start {name}"))?);
        let start = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            if process.is_over()? || start.elapsed() > PATIENCE {
                let said = std::fs::read_to_string(log).unwrap_or_default();
                let _ = process.0.kill();
                let _ = process.0.wait();
                bail!("{name} did not start; it said:\n{said}");
            }
            std::thread::sleep(PAUSE);
        }
        Ok(process)
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    pub(crate) fn is_over(&mut self) -> anyhow::Result<bool> {
        Ok(self.0.try_wait()?.is_some())
    }

    pub(crate) fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let id = i32::try_from(self.id()).ok().and_then(Pid::from_raw);
        let id = id.context("a process has a number above zero")?;
        kill_process(id, signal).context("the process is gone")
    }

    /// Sends a signal that ends it and waits for that.
    pub(crate) fn end(mut self, signal: Signal) -> anyhow::Result<ExitStatus> {
        if !self.is_over()? {
            self.signal(signal)?;
        }
        Ok(self.0.wait()?)
    }
}
