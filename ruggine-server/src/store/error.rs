//! How a store can fail.

/// A step of the store that did not happen. Nothing of it was written, unless
/// the database was lost in the middle of a commit and could not say any more:
/// [`Unavailable`](Self::Unavailable) then stands for either.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The database cannot be reached or is busy; the same step may succeed later.
    #[error("the store is unavailable: {0}")]
    Unavailable(#[source] Source),
    /// The database refused the step because of what it was given.
    #[error("the store refused the step: {0}")]
    Refused(#[source] Source),
    /// The disk is full or read-only: reading goes on, writing does not.
    #[error("the store cannot write: {0}")]
    CannotWrite(#[source] Source),
    /// The database behind the address is not the one that was opened: it was
    /// restored, or a standby took over. Only opening it again helps.
    #[error(
        "the database was replaced by one that may lack what was acknowledged: start again, so that its log begins anew"
    )]
    Replaced,
    /// A stored row does not have the form that this program writes.
    #[error("the table {table} holds a row that cannot be understood, column {column}")]
    Inconsistent {
        /// Where the row stands.
        table: &'static str,
        /// What is wrong in it.
        column: &'static str,
    },
}

/// The cause below, whatever driver it comes from.
pub type Source = Box<dyn std::error::Error + Send + Sync>;

impl StoreError {
    /// Whether the same step may succeed later.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

/// A store that could not be opened. The sentence says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenStoreError {
    /// The folder cannot be made or written.
    #[error("cannot use {path}: {source}")]
    Folder {
        /// Which.
        path: std::path::PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Another process has the database.
    #[error("{0} is in use by another server: stop that one, or set DATABASE_URL to another file")]
    Locked(std::path::PathBuf),
    /// The database was written by a newer program.
    #[error(
        "the database has schema version {found}, newer than the {known} that this program knows: start the newer program, or restore the backup made before the upgrade"
    )]
    NewerSchema {
        /// In the database.
        found: i64,
        /// In this program.
        known: i64,
    },
    /// A migration could not be applied; none of it remains.
    #[error("cannot bring the database up to date: {0}")]
    Migration(#[source] Source),
    /// The database does not open.
    #[error("cannot open the database: {0}")]
    Database(#[source] Source),
    /// The server of the database cannot be reached.
    #[error(
        "cannot reach the database: {0}: check that it runs and that DATABASE_URL names its host and port"
    )]
    Unreachable(#[source] Source),
    /// The server of the database refuses the user or the password.
    #[error("the database refuses the login: {0}: check user and password in DATABASE_URL")]
    Credentials(#[source] Source),
    /// The server has no database of that name.
    #[error("there is no such database: {0}: create it, or name another in DATABASE_URL")]
    NoDatabase(#[source] Source),
    /// The user may not do what is needed.
    #[error(
        "the database forbids what is needed: {0}: let the user of DATABASE_URL own the database"
    )]
    Forbidden(#[source] Source),
    /// The server takes no writes.
    #[error(
        "the database takes no writes: let DATABASE_URL name the primary server, and a database that is not read-only"
    )]
    ReadOnly,
    /// The server is too old.
    #[error("the database server has version {found}: PostgreSQL 14 or newer is needed")]
    OldServer {
        /// What it says of itself.
        found: String,
    },
    /// What was set to make acknowledgements durable is not in force.
    #[error(
        "the database does not keep {setting}={expected}, it says {found}: acknowledged messages could be lost"
    )]
    NotDurable {
        /// Which setting.
        setting: &'static str,
        /// What it must be.
        expected: &'static str,
        /// What it is.
        found: String,
    },
}
