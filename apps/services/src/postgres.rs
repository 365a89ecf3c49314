//! A PostgreSQL server.

use std::ffi::OsString;
use std::fs::File;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use rustix::process::Signal;

use crate::free_port;
use crate::process::Process;

const USER: &str = "ruggine";
/// It guards nothing but this server on the loopback.
const PASSWORD: &str = "only-for-tests";
/// Whom the server becomes where we are root, which it refuses to be.
const ACCOUNT: &str = "postgres";
const SETTINGS: [&str; 6] = [
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "max_connections=400",
    "shared_buffers=256MB",
    "max_wal_size=4GB",
    "max_locks_per_transaction=256",
];
/// Counts what statements cost, for tests that ask whether it grows. Each test's
/// database has statements of its own, and none may be forgotten while it lives.
const COUNTING: [&str; 3] = [
    "shared_preload_libraries=pg_stat_statements",
    "pg_stat_statements.max=20000",
    "compute_query_id=on",
];

/// A PostgreSQL server with a password, on a port of its own.
#[derive(Debug)]
pub struct Postgres {
    folder: PathBuf,
    account: Option<Account>,
    port: u16,
    settings: Vec<&'static str>,
    environment: Vec<(OsString, OsString)>,
    process: Option<Process>,
}

impl Postgres {
    /// Starts a server in a new folder, with nothing stored.
    ///
    /// # Errors
    /// When it is not installed or does not start.
    pub fn create(folder: &Path) -> anyhow::Result<Self> {
        Self::create_with(folder, SETTINGS.to_vec(), Vec::new())
    }

    /// The same, with these variables in the environment of its programs: a
    /// library that they load, say, which makes their disk a bad one.
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub fn create_with_environment(
        folder: &Path,
        environment: Vec<(OsString, OsString)>,
    ) -> anyhow::Result<Self> {
        Self::create_with(folder, SETTINGS.to_vec(), environment)
    }

    /// The same, on which the cost of statements is counted (`pg_stat_statements`).
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub fn create_counting(folder: &Path) -> anyhow::Result<Self> {
        Self::create_with(folder, [&SETTINGS[..], &COUNTING[..]].concat(), Vec::new())
    }

    fn create_with(
        folder: &Path,
        settings: Vec<&'static str>,
        environment: Vec<(OsString, OsString)>,
    ) -> anyhow::Result<Self> {
        let account = if is_root() {
            Some(Account::find()?)
        } else {
            None
        };
        std::fs::create_dir(folder)?;
        if let Some(account) = &account {
            account.give(folder)?;
        }
        let mut postgres = Self {
            folder: folder.to_path_buf(),
            account,
            port: free_port()?,
            settings,
            environment,
            process: None,
        };
        postgres.make_cluster()?;
        postgres.start()?;
        Ok(postgres)
    }

    /// A second server, made from a backup of this one that lacks nothing yet: it
    /// goes on from there on a timeline of its own, as after a restore or when a
    /// standby takes over.
    ///
    /// # Errors
    /// When the backup cannot be taken or the server does not start.
    pub fn restore(&self, folder: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir(folder)?;
        if let Some(account) = &self.account {
            account.give(folder)?;
        }
        let mut restored = Self {
            folder: folder.to_path_buf(),
            account: self.account,
            port: free_port()?,
            settings: [&self.settings[..], &["restore_command=false"]].concat(),
            environment: self.environment.clone(),
            process: None,
        };
        let taken = restored
            .command("pg_basebackup")?
            .args(["--checkpoint=fast", "--dbname", &self.url(), "--pgdata"])
            .arg(restored.data())
            .status()
            .context("cannot run pg_basebackup")?;
        if !taken.success() {
            let said = std::fs::read_to_string(restored.log()).unwrap_or_default();
            bail!("the backup failed; pg_basebackup said:\n{said}");
        }
        // Its owner is found by the server to be right, whoever made it.
        File::create(restored.data().join("recovery.signal"))?;
        restored.start()?;
        Ok(restored)
    }

    /// The maintenance database, as a user who may make others.
    #[must_use]
    pub fn url(&self) -> String {
        format!(
            "postgres://{USER}:{PASSWORD}@127.0.0.1:{}/postgres",
            self.port
        )
    }

    /// The number of its first process, while it runs.
    #[must_use]
    pub fn process(&self) -> Option<u32> {
        self.process.as_ref().map(Process::id)
    }

    /// Starts it on its port with what it stored, if it does not run.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(&mut self) -> anyhow::Result<()> {
        if self.process.is_some() {
            return Ok(());
        }
        let mut command = self.command("postgres")?;
        command
            .arg("-D")
            .arg(self.data())
            .args(["-p", &self.port.to_string()]);
        for setting in &self.settings {
            command.args(["-c", setting]);
        }
        self.process = Some(Process::start(command, self.port, &self.log())?);
        Ok(())
    }

    /// Ends it in the middle of its work, as `pg_ctl stop -m immediate` does:
    /// the next start has to recover from the log.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub fn stop_immediately(&mut self) -> anyhow::Result<()> {
        if let Some(process) = self.process.take() {
            process.end(Signal::QUIT)?;
        }
        Ok(())
    }

    fn make_cluster(&self) -> anyhow::Result<()> {
        let password = self.folder.join("password");
        writeln!(File::create(&password)?, "{PASSWORD}")?;
        let made = self
            .command("initdb")?
            .arg("--pgdata")
            .arg(self.data())
            .args(["--username", USER, "--encoding=UTF8", "--no-locale"])
            .args(["--auth=scram-sha-256", "--pwfile"])
            .arg(&password)
            .status()
            .context("cannot run initdb")?;
        if !made.success() {
            let said = std::fs::read_to_string(self.log()).unwrap_or_default();
            bail!("initdb failed; it said:\n{said}");
        }
        Ok(())
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn log(&self) -> PathBuf {
        self.folder.join("log")
    }

    /// One of its programs, as the account that it runs as.
    fn command(&self, name: &str) -> anyhow::Result<Command> {
        let mut command = Command::new(program(name)?);
        command
            .current_dir(&self.folder)
            .env("LC_ALL", "C")
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(File::create(self.log())?)
            .stderr(File::options().append(true).open(self.log())?);
        if let Some(account) = &self.account {
            command.uid(account.uid).gid(account.gid);
        }
        Ok(command)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // Nothing that it stored is wanted any more.
        let _ = self.stop_immediately();
    }
}

/// Somebody on this machine.
#[derive(Debug, Clone, Copy)]
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

/// Whether this process may do everything.
#[must_use]
pub fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

/// A program of PostgreSQL. Debian keeps those of the server in a folder for
/// each version, outside the search path.
///
/// # Errors
/// When it is not installed.
pub fn program(name: &str) -> anyhow::Result<PathBuf> {
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
