//! Ruggine's server program.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::bail;
use rustix::process::Signal;

use crate::free_port;
use crate::process::Process;

/// It seals what is thrown away afterwards.
const MASTER_KEY: &str = "9f2c61d7b8a5430e1c7f9a3d5b2e8460c1d3f5a7092b4d6e8f1a3c5e7092b4d6";

/// How the program is started.
#[derive(Debug, Clone)]
pub struct InstanceOptions {
    program: PathBuf,
    folder: PathBuf,
    environment: Vec<(String, String)>,
}

impl InstanceOptions {
    /// This program in this folder, without limits of rates and with little to log.
    #[must_use]
    pub fn new(program: &Path, folder: &Path) -> Self {
        Self {
            program: program.to_path_buf(),
            folder: folder.to_path_buf(),
            environment: Vec::new(),
        }
        .env("ENCRYPTION_MASTER_KEY", MASTER_KEY)
        .env("RUGGINE_RATE_LIMITS", "false")
        .env("LOG_LEVEL", "warn")
    }

    /// With a variable in its environment, which has nothing else in it.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.push((name.to_owned(), value.into()));
        self
    }
}

/// A process of the program that has begun to listen.
#[derive(Debug)]
pub struct Instance {
    process: Option<Process>,
    address: SocketAddr,
}

impl Instance {
    /// Starts the program on ports that are free.
    ///
    /// # Errors
    /// When it cannot be started or ends by itself; it says what it printed.
    pub fn start(options: &InstanceOptions) -> anyhow::Result<Self> {
        let port = free_port()?;
        let log = options.folder.join(format!("server-{port}.log"));
        let mut command = Command::new(&options.program);
        command
            .current_dir(&options.folder)
            .env_clear()
            .env("SERVER_PORT", port.to_string())
            .env("WEBSOCKET_PORT", free_port()?.to_string())
            .env("ADMIN_ADDR", format!("127.0.0.1:{}", free_port()?))
            .envs(options.environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(File::create(&log)?)
            .stderr(File::options().append(true).open(&log)?);
        Ok(Self {
            process: Some(Process::start(command, port, &log)?),
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        })
    }

    /// Where clients reach it.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The number of its process, while it runs.
    #[must_use]
    pub fn process(&self) -> Option<u32> {
        self.process.as_ref().map(Process::id)
    }

    /// Stops it from doing anything (`SIGSTOP`), with all its connections open.
    ///
    /// # Errors
    /// When it is gone.
    pub fn freeze(&self) -> anyhow::Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets it go on after [`freeze`](Self::freeze).
    ///
    /// # Errors
    /// When it is gone.
    pub fn thaw(&self) -> anyhow::Result<()> {
        self.signal(Signal::CONT)
    }

    /// Ends it in the middle of its work (`SIGKILL`).
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub fn kill(mut self) -> anyhow::Result<()> {
        if let Some(process) = self.process.take() {
            process.end(Signal::KILL)?;
        }
        Ok(())
    }

    /// Ends it in order (`SIGTERM`), and waits as long as that takes.
    ///
    /// # Errors
    /// When it ends with a failure.
    pub fn terminate(mut self) -> anyhow::Result<()> {
        if let Some(process) = self.process.take() {
            let status = process.end(Signal::TERM)?;
            if !status.success() {
                bail!("the server ended with {status}");
            }
        }
        Ok(())
    }

    fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        match &self.process {
            Some(process) => process.signal(signal),
            None => bail!("the server does not run"),
        }
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        if let Some(process) = self.process.take() {
            let _ = process.end(Signal::KILL);
        }
    }
}
