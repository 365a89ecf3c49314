//! A PostgreSQL server for the tests.

use std::fs::File;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, bail};

use super::{free_port, wait_for};

const USER: &str = "ruggine";
/// It guards nothing but the tests' own server on the loopback.
const PASSWORD: &str = "only-for-tests";
/// Whom the server becomes where we are root, which it refuses to be.
const ACCOUNT: &str = "postgres";

#[derive(Debug)]
pub(super) struct Postgres {
    server: Child,
    port: u16,
}

impl Postgres {
    pub(super) fn start(folder: &Path) -> anyhow::Result<Self> {
        let account = if is_root() {
            Some(Account::find()?)
        } else {
            None
        };
        std::fs::create_dir(folder)?;
        if let Some(account) = &account {
            account.give(folder)?;
        }
        let data = folder.join("data");
        let log = folder.join("log");
        let password = folder.join("password");
        writeln!(File::create(&password)?, "{PASSWORD}")?;
        let as_account = |name: &str| -> anyhow::Result<Command> {
            let mut command = Command::new(program(name)?);
            command
                .current_dir(folder)
                .env("LC_ALL", "C")
                .stdin(Stdio::null())
                .stdout(File::create(&log)?)
                .stderr(File::options().append(true).open(&log)?);
            if let Some(account) = &account {
                command.uid(account.uid).gid(account.gid);
            }
            Ok(command)
        };
        let made = as_account("initdb")?
            .arg("--pgdata")
            .arg(&data)
            .args(["--username", USER, "--encoding=UTF8", "--no-locale"])
            .args(["--auth=scram-sha-256", "--pwfile"])
            .arg(&password)
            .status()
            .context("cannot run initdb")?;
        if !made.success() {
            let said = std::fs::read_to_string(&log).unwrap_or_default();
            bail!("initdb failed; it said:\n{said}");
        }
        let port = free_port()?;
        let mut server = as_account("postgres")?
            .arg("-D")
            .arg(&data)
            .args(["-p", &port.to_string()])
            .args(["-c", "listen_addresses=127.0.0.1"])
            .args(["-c", "unix_socket_directories="])
            .args(["-c", "max_connections=400"])
            .args(["-c", "shared_buffers=256MB"])
            .args(["-c", "max_wal_size=4GB"])
            .args(["-c", "max_locks_per_transaction=256"])
            .spawn()
            .context("cannot start postgres")?;
        wait_for(port, &log, || Ok(server.try_wait()?.is_some()))?;
        Ok(Self { server, port })
    }

    /// The maintenance database, as a user who may make others.
    pub(super) fn url(&self) -> String {
        format!(
            "postgres://{USER}:{PASSWORD}@127.0.0.1:{}/postgres",
            self.port
        )
    }
}

impl Postgres {
    pub(super) fn process(&self) -> u32 {
        self.server.id()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // Nothing that it stored is wanted any more.
        let _ = Command::new("kill")
            .args(["-QUIT", &self.server.id().to_string()])
            .status();
        let _ = self.server.wait();
    }
}

/// Somebody on this machine.
struct Account {
    uid: u32,
    gid: u32,
}

impl Account {
    fn find() -> anyhow::Result<Self> {
        Ok(Self {
            uid: id_of("-u")?,
            gid: id_of("-g")?,
        })
    }

    /// Gives a folder away, and lets its owner come as far as to it.
    fn give(&self, folder: &Path) -> anyhow::Result<()> {
        use std::os::unix::fs::PermissionsExt;
        std::os::unix::fs::chown(folder, Some(self.uid), Some(self.gid))?;
        if let Some(above) = folder.parent() {
            std::fs::set_permissions(above, std::fs::Permissions::from_mode(0o711))?;
        }
        Ok(())
    }
}

fn id_of(which: &str) -> anyhow::Result<u32> {
    let output = Command::new("id").args([which, ACCOUNT]).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim()
        .parse()
        .with_context(|| format!("there is no user {ACCOUNT:?}, as whom the server could run"))
}

pub(crate) fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

/// A program of PostgreSQL. Debian keeps those of the server in a folder for
/// each version, outside the search path.
pub(crate) fn program(name: &str) -> anyhow::Result<PathBuf> {
    let mut versions: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path().join("bin").join(name))
        .filter(|path| path.is_file())
        .collect();
    versions.sort_by_key(|path| version_in(path));
    if let Some(newest) = versions.pop() {
        return Ok(newest);
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
        .with_context(|| format!("{name} is missing: install PostgreSQL 14 or newer"))
}

fn version_in(path: &Path) -> u32 {
    let folder = path.iter().nth_back(2).unwrap_or_default();
    folder.to_string_lossy().parse().unwrap_or(0)
}
