//! A Redis server for the tests.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::Context;

use super::{free_port, wait_for};

#[derive(Debug)]
pub(super) struct Redis {
    server: Child,
    port: u16,
}

impl Redis {
    pub(super) fn start(folder: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir(folder)?;
        let log = folder.join("log");
        let port = free_port()?;
        let mut server = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--port", &port.to_string()])
            .args(["--save", "", "--appendonly", "no", "--dir"])
            .arg(folder)
            .stdin(Stdio::null())
            .stdout(File::create(&log)?)
            .stderr(File::options().append(true).open(&log)?)
            .spawn()
            .context("cannot start redis-server")?;
        wait_for(port, &log, || Ok(server.try_wait()?.is_some()))?;
        Ok(Self { server, port })
    }

    pub(super) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
