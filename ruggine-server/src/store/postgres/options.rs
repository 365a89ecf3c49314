//! Where the database is and how it is used.

mod address;

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use ruggine_core::secret::SecretText;
use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgSslMode};

use super::maintenance::SynchronousCommit;
use address::Address;

/// How many lanes there are unless told.
const LANES: std::ops::RangeInclusive<usize> = 1..=4;
const CONNECTIONS: u32 = 16;
const ACQUIRE: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(30);

/// How a [`PostgresStore`](super::PostgresStore) finds and uses its database.
#[derive(Clone)]
pub struct PostgresOptions {
    connect: PgConnectOptions,
    pub(super) lanes: usize,
    pub(super) connections: u32,
    pub(super) acquire_timeout: Duration,
    pub(super) patience: Duration,
}

/// A database URL that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UrlError {
    /// It does not have the form of one.
    #[error(
        "this is no address of a PostgreSQL database, as postgres://user:password@host:5432/name would be"
    )]
    Malformed,
    /// It asks for a connection that anybody on the way can read.
    #[error(
        "the database is on another machine and sslmode={0} does not insist on TLS: set sslmode=require or stronger"
    )]
    Insecure(&'static str),
    /// It leaves out the user or the database.
    #[error("it names no {0}, as postgres://user:password@host:5432/name would")]
    Incomplete(&'static str),
    /// A variable of the environment would change what the URL means.
    #[error(
        "the environment variable {0} is set, which the database driver would heed: unset it, and say the same in the URL where it is wanted"
    )]
    Environment(&'static str),
}

impl PostgresOptions {
    /// Reads a database URL, which alone decides: no variable of the environment
    /// and no `~/.pgpass` adds to it. Without a host it means this machine,
    /// without a port 5432. A database on another machine is spoken to over TLS:
    /// where the URL says nothing of it, TLS is required.
    ///
    /// # Errors
    /// When the URL is malformed, names no user or no database, or forgoes TLS to
    /// another machine; when `PGOPTIONS`, `PGSSLCERT` or `PGSSLKEY` is set, which
    /// the driver cannot be kept from heeding.
    pub fn from_url(url: &SecretText) -> Result<Self, UrlError> {
        let url = url.expose();
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err(UrlError::Malformed);
        }
        let address = Address::of(url).ok_or(UrlError::Malformed)?;
        address.check_environment()?;
        let whole = SecretText::new(address.completed());
        let mut connect =
            PgConnectOptions::from_str(whole.expose()).map_err(|_| UrlError::Malformed)?;
        if connect.get_username().is_empty() {
            return Err(UrlError::Incomplete("user"));
        }
        if connect.get_database().is_none_or(str::is_empty) {
            return Err(UrlError::Incomplete("database"));
        }
        if !address.names_roots() {
            // None besides those that browsers trust, whatever PGSSLROOTCERT says.
            connect = connect.ssl_root_cert_from_pem(Vec::new());
        }
        if is_elsewhere(&connect) {
            let says_how = url.contains("sslmode=") || url.contains("ssl-mode=");
            match connect.get_ssl_mode() {
                PgSslMode::Disable => return Err(UrlError::Insecure("disable")),
                PgSslMode::Allow => return Err(UrlError::Insecure("allow")),
                PgSslMode::Prefer if says_how => return Err(UrlError::Insecure("prefer")),
                PgSslMode::Prefer => connect = connect.ssl_mode(PgSslMode::Require),
                _ => {}
            }
        }
        Ok(Self {
            connect: connect.disable_statement_logging(),
            lanes: lanes(),
            connections: CONNECTIONS,
            acquire_timeout: ACQUIRE,
            patience: PATIENCE,
        })
    }

    /// How many batches are committed at once, at least 1; unless told one for
    /// each processor, 4 at the most.
    #[must_use]
    pub const fn lanes(mut self, lanes: usize) -> Self {
        self.lanes = if lanes == 0 { 1 } else { lanes };
        self
    }

    /// Connections at the most; 16 unless told, at least 1.
    #[must_use]
    pub const fn connections(mut self, connections: u32) -> Self {
        self.connections = if connections == 0 { 1 } else { connections };
        self
    }

    /// How long a step waits for a connection; 2 s unless told.
    #[must_use]
    pub const fn acquire_timeout(mut self, timeout: Duration) -> Self {
        self.acquire_timeout = timeout;
        self
    }

    /// How long opening goes on trying a server that cannot be reached; 30 s
    /// unless told.
    #[must_use]
    pub const fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Connections on which steps run: none holds a lock for long.
    pub(super) fn for_steps(&self, commit: &SynchronousCommit) -> PgConnectOptions {
        self.connect.clone().options([
            (SynchronousCommit::SETTING, commit.0.as_str()),
            ("statement_timeout", "5s"),
            ("idle_in_transaction_session_timeout", "10s"),
            ("default_transaction_isolation", "read committed"),
            ("plan_cache_mode", "auto"),
        ])
    }

    /// A connection that may take its time.
    pub(super) fn for_migrations(&self) -> PgConnectOptions {
        self.connect.clone()
    }
}

/// One for each processor here: where batches cannot be made at once, they had
/// better be large.
fn lanes() -> usize {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    processors.clamp(*LANES.start(), *LANES.end())
}

impl fmt::Display for PostgresOptions {
    /// Host, port and database, without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.connect.get_host(), self.connect.get_port())?;
        match self.connect.get_database() {
            Some(name) => write!(f, "/{name}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for PostgresOptions {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresOptions")
            .field("host", &self.connect.get_host())
            .field("port", &self.connect.get_port())
            .field("database", &self.connect.get_database())
            .field("lanes", &self.lanes)
            .field("connections", &self.connections)
            .finish_non_exhaustive()
    }
}

/// Whether the way to the database leaves this machine.
fn is_elsewhere(connect: &PgConnectOptions) -> bool {
    let host = connect.get_host();
    let is_loopback = host
        .trim_matches(['[', ']'])
        .parse::<IpAddr>()
        .map_or(host == "localhost", |ip| ip.is_loopback());
    connect.get_socket().is_none() && !is_loopback && !host.starts_with('/')
}
