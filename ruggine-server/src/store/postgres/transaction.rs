//! How a step runs: on which connection, in which transaction, and how often.

use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::BoxFuture;
use ruggine_crypto::random;
use sqlx::pool::PoolConnection;
use sqlx::postgres::PgConnection;
use sqlx::{Connection, Postgres};
use tokio::time::error::Elapsed;
use tokio::time::timeout;

use super::PostgresStore;
use super::errors::{Cure, cure, store_error};
use crate::store::{StoreError, StoreResult};

/// How often a step is repeated that somebody else got in the way of.
const REPEATS: u32 = 10;
/// How often another connection is tried.
const RECONNECTS: u32 = 4;
/// How long an attempt may take. The server gives a statement up before that,
/// so only one that has vanished without a word reaches it.
const ATTEMPT: Duration = Duration::from_secs(10);
const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LAST_PAUSE: Duration = Duration::from_millis(200);

/// What a step wants done with what it wrote.
pub(super) enum End<T> {
    Commit(T),
    RollBack(T),
}

/// Whether a step may be repeated when its commit went unanswered, so that
/// nobody knows whether it happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unanswered {
    /// Doing it twice is the same as doing it once.
    Repeat,
    /// The caller has to be told.
    Fail,
}

/// A failure, and whether it left the outcome open.
struct Failure {
    error: StoreError,
    at_commit: bool,
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self {
            error,
            at_commit: false,
        }
    }
}

impl PostgresStore {
    /// A connection to the server that was opened, and to no other.
    async fn connection(&self) -> StoreResult<PoolConnection<Postgres>> {
        let acquired = self.pool.acquire().await;
        if self.is_replaced.load(Ordering::Relaxed) {
            return Err(StoreError::Replaced);
        }
        acquired.map_err(store_error)
    }

    /// Runs a step of reading in statements of their own.
    pub(super) async fn read<I: Sync, T>(
        &self,
        input: &I,
        step: impl for<'c> Fn(&'c mut PgConnection, &'c I) -> BoxFuture<'c, StoreResult<T>>,
    ) -> StoreResult<T> {
        let mut tries = Tries::default();
        loop {
            let result = async {
                let mut connection = self.connection().await?;
                let reading = timeout(ATTEMPT, step(&mut connection, input)).await;
                in_time(&mut connection, reading)
            };
            match result.await {
                Err(error) if tries.again(&error).await => {}
                result => return result,
            }
        }
    }

    /// Runs a step of reading that sees one state of the database throughout.
    pub(super) async fn read_at_once<I: Sync, T>(
        &self,
        input: &I,
        step: impl for<'c> Fn(&'c mut PgConnection, &'c I) -> BoxFuture<'c, StoreResult<T>>,
    ) -> StoreResult<T> {
        let mut tries = Tries::default();
        loop {
            let result = async {
                let mut connection = self.connection().await?;
                let reading = timeout(ATTEMPT, async {
                    let mut tx = connection
                        .begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
                        .await
                        .map_err(store_error)?;
                    let result = step(&mut tx, input).await?;
                    tx.commit().await.map_err(store_error)?;
                    Ok(result)
                });
                let reading = reading.await;
                in_time(&mut connection, reading)
            };
            match result.await {
                Err(error) if tries.again(&error).await => {}
                result => return result,
            }
        }
    }

    /// Runs a step of writing in one transaction.
    pub(super) async fn write<I: Sync, T>(
        &self,
        unanswered: Unanswered,
        input: &I,
        step: impl for<'c> Fn(&'c mut PgConnection, &'c I) -> BoxFuture<'c, StoreResult<End<T>>>,
    ) -> StoreResult<T> {
        let mut tries = Tries::default();
        loop {
            let result: Result<T, Failure> = async {
                let mut connection = self.connection().await?;
                let writing = timeout(ATTEMPT, async {
                    let mut tx = connection.begin().await.map_err(store_error)?;
                    let end = step(&mut tx, input).await?;
                    match end {
                        End::Commit(result) => match tx.commit().await {
                            Ok(()) => Ok(result),
                            Err(error) => Err(Failure {
                                error: store_error(error),
                                at_commit: true,
                            }),
                        },
                        End::RollBack(result) => {
                            tx.rollback().await.map_err(store_error)?;
                            Ok(result)
                        }
                    }
                });
                let writing = writing.await;
                in_time(&mut connection, writing)
            }
            .await;
            match result {
                Ok(result) => return Ok(result),
                Err(failure) => {
                    let is_open = failure.at_commit && cure(&failure.error) == Cure::Reconnect;
                    let may_repeat = !is_open || unanswered == Unanswered::Repeat;
                    if !(may_repeat && tries.again(&failure.error).await) {
                        return Err(failure.error);
                    }
                }
            }
        }
    }
}

/// What became of an attempt. A connection on which one took too long is not
/// used again: what comes over it later would answer another question.
fn in_time<T, E: From<StoreError>>(
    connection: &mut PoolConnection<Postgres>,
    attempt: Result<Result<T, E>, Elapsed>,
) -> Result<T, E> {
    attempt.unwrap_or_else(|elapsed| {
        connection.close_on_drop();
        Err(StoreError::Unavailable(Box::new(elapsed)).into())
    })
}

/// What has been tried so far.
#[derive(Default)]
struct Tries {
    repeats: u32,
    reconnects: u32,
}

impl Tries {
    /// Waits and says yes, if the step may go through when it is tried again.
    async fn again(&mut self, error: &StoreError) -> bool {
        let (count, limit) = match cure(error) {
            Cure::Repeat => (&mut self.repeats, REPEATS),
            Cure::Reconnect => (&mut self.reconnects, RECONNECTS),
            Cure::None => return false,
        };
        if *count >= limit {
            return false;
        }
        let longest = FIRST_PAUSE
            .saturating_mul(1 << (*count).min(16))
            .min(LAST_PAUSE);
        *count += 1;
        tracing::debug!(%error, "a step of the store is tried again");
        tokio::time::sleep(vary(longest)).await;
        true
    }
}

/// A random part of a pause, so that those who met do not meet again.
fn vary(longest: Duration) -> Duration {
    let part = random::number().map_or(1.0, |number| {
        f64::from((number >> 32) as u32) / f64::from(u32::MAX)
    });
    longest.mul_f64(part)
}
