//! `cargo xtask bench load`: a server as in production, loaded by the generator.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};

use crate::command::{self, cargo, say};
use crate::services::{Services, free_port};

const PATIENCE: Duration = Duration::from_secs(30);
/// It seals what is measured and then thrown away.
const MASTER_KEY: &str = "9f2c61d7b8a5430e1c7f9a3d5b2e8460c1d3f5a7092b4d6e8f1a3c5e7092b4d6";

#[derive(Debug, Args)]
pub(crate) struct LoadArguments {
    /// Where the server keeps everything
    #[arg(long, value_enum, default_value_t = Store::Postgres)]
    store: Store,
    /// Leave Redis out
    #[arg(long)]
    without_redis: bool,
    /// What the generator shall know, such as --scenario pairs; its --help says all
    #[arg(last = true)]
    generator: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Store {
    Postgres,
    Sqlite,
}

/// The server under load. Dropping it ends it.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        let _ = self.0.wait();
    }
}

pub(crate) fn run(arguments: &LoadArguments) -> anyhow::Result<()> {
    crate::test::prerequisites::ensure()?;
    command::run(cargo(&[
        "build",
        "--release",
        "--package",
        "ruggine-server-app",
        "--package",
        "ruggine-benches",
        "--bins",
    ]))?;
    let services = match arguments.store {
        Store::Postgres => Some(Services::start()?),
        Store::Sqlite => None,
    };
    let folder = tempfile::tempdir().context("cannot make a folder for the server")?;
    let programs = programs()?;
    let api = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
    let mut command = Command::new(programs.join("ruggine-server"));
    command
        .current_dir(folder.path())
        .env_clear()
        .env("SERVER_PORT", api.port().to_string())
        .env("WEBSOCKET_PORT", free_port()?.to_string())
        .env("ADMIN_ADDR", format!("127.0.0.1:{}", free_port()?))
        .env("ENCRYPTION_MASTER_KEY", MASTER_KEY)
        .env("RUGGINE_RATE_LIMITS", "false")
        .env("LOG_LEVEL", "warn")
        .stdin(Stdio::null());
    match &services {
        Some(services) => {
            command.env("DATABASE_URL", services.postgres_url());
            if !arguments.without_redis {
                command.env("REDIS_URL", services.redis_url());
            }
        }
        None => {
            let url = format!("sqlite:{}", folder.path().join("load.sqlite").display());
            command.env("DATABASE_URL", url);
        }
    }
    let mut server = Server(command.spawn().context("cannot start the server")?);
    wait_for(api, &mut server)?;
    say(&format!("\nThe server listens on {api}."));
    let mut load = Command::new(programs.join("ruggine-load"));
    load.args(["--server", &api.to_string()])
        .args(["--server-pid", &server.0.id().to_string()])
        .args(&arguments.generator);
    if let Some(services) = &services {
        load.args(["--database-pid", &services.postgres_process().to_string()]);
    }
    command::run(load)
}

/// Where cargo puts what it builds for release.
fn programs() -> anyhow::Result<PathBuf> {
    // This program stands in the folder of another profile beside it.
    let here = std::env::current_exe()?;
    let target = here.parent().and_then(Path::parent);
    Ok(target
        .context("the target folder is not where it was")?
        .join("release"))
}

fn wait_for(address: SocketAddr, server: &mut Server) -> anyhow::Result<()> {
    let start = Instant::now();
    while TcpStream::connect(address).is_err() {
        if let Some(status) = server.0.try_wait()? {
            bail!("the server ended with {status}");
        }
        if start.elapsed() > PATIENCE {
            bail!("the server does not listen");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}
