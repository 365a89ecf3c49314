//! What the statements of a database have cost, as its server counts them.

use std::ops::Sub;

use sqlx::postgres::PgConnection;
use sqlx::{Executor, Row};

/// In the text of whatever reads the counts, so that it is not counted.
const OWN: &str = "pg_stat_statements";

/// Counts are kept for the whole server, whose databases come and go.
const READ: &str = "SELECT coalesce(sum(calls), 0)::bigint AS calls,
            coalesce(sum(rows), 0)::bigint AS rows,
            coalesce(sum(shared_blks_hit + shared_blks_read), 0)::bigint AS blocks,
            (SELECT dealloc FROM pg_stat_statements_info) AS forgotten
     FROM pg_stat_statements
     WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
       AND strpos(query, $1) = 0 AND strpos(query, $2) > 0";

/// Reads what the statements of one database have cost. The server has to load
/// the extension `pg_stat_statements` when it starts.
///
/// Its own statements are left out, and so is every other in whose text the
/// name of the extension stands, be it in a comment. A statement counts from
/// when it has ended; whoever has its answer finds it counted.
#[derive(Debug)]
pub struct StatementCounter {
    connection: PgConnection,
    /// How often the server had forgotten the counts of rare statements.
    forgotten: Option<i64>,
}

/// What statements have cost, at one moment or between two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StatementCounts {
    /// How often one was carried out. Those that begin and end transactions
    /// are statements too.
    pub calls: u64,
    /// The rows that they returned or changed. What a statement writes in a
    /// `WITH`, and what it reads without returning it, is not among them.
    pub rows: u64,
    /// Pages of 8 KiB that were looked at, in memory or not, each time that one
    /// was. Every row that is read lies on one and every step down an index
    /// is another, so this is what grows when a statement reads more than it
    /// returns. Planning is left out.
    pub blocks: u64,
}

impl Sub for StatementCounts {
    type Output = Self;

    /// What was added since `before`.
    fn sub(self, before: Self) -> Self {
        Self {
            calls: self.calls - before.calls,
            rows: self.rows - before.rows,
            blocks: self.blocks - before.blocks,
        }
    }
}

impl StatementCounter {
    /// Counts over this connection, from which nothing else may be asked.
    pub(super) async fn start(mut connection: PgConnection) -> Self {
        connection
            .execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
            .await
            .expect("the server has pg_stat_statements, which comes with PostgreSQL");
        Self {
            connection,
            forgotten: None,
        }
    }

    /// What all statements have cost so far.
    ///
    /// # Panics
    /// When the server does not count, or has forgotten counts since they were
    /// last read.
    pub async fn read(&mut self) -> StatementCounts {
        self.read_of("").await
    }

    /// What the statements in whose text this part stands have cost so far.
    ///
    /// # Panics
    /// As [`read`](Self::read).
    pub async fn read_of(&mut self, part: &str) -> StatementCounts {
        let row = sqlx::query(READ)
            .bind(OWN)
            .bind(part)
            .fetch_one(&mut self.connection)
            .await
            .expect(
                "the server counts statements: start it with \
                 shared_preload_libraries=pg_stat_statements, as `cargo xtask services` does",
            );
        let forgotten: i64 = row.get("forgotten");
        let before = *self.forgotten.get_or_insert(forgotten);
        assert_eq!(
            before, forgotten,
            "the server had to forget statements: start it with a larger pg_stat_statements.max"
        );
        let number = |column: &'static str| {
            let number: i64 = row.get(column);
            u64::try_from(number).expect("counts begin at zero")
        };
        StatementCounts {
            calls: number("calls"),
            rows: number("rows"),
            blocks: number("blocks"),
        }
    }
}
