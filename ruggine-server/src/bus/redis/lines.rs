//! Connections for commands, opened anew where they failed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::{FromRedisValue, Pipeline};

use super::error::ConnectRedisError;
use super::failed;
use super::server::{Line, Server};
use crate::bus::BusError;

/// How long a failed attempt to connect stands for others.
const RESPITE: Duration = Duration::from_millis(250);

/// The connections of the process for commands. Everybody uses the same ones
/// until they fail for somebody, who opens new ones for all.
#[derive(Debug)]
pub(super) struct Lines {
    server: Arc<Server>,
    /// Held while new ones are opened, so that nobody opens others meanwhile.
    current: tokio::sync::Mutex<Current>,
}

#[derive(Debug)]
struct Current {
    line: Line,
    /// How often they were opened.
    generation: u64,
    failed: Option<Instant>,
}

/// Somebody's hold on the connection to the node of one bucket.
#[derive(Debug, Clone)]
pub(super) struct Hold {
    bucket: usize,
    /// Which connections were used last.
    generation: u64,
    /// Absent before the first use and after a failure.
    connection: Option<MultiplexedConnection>,
}

impl Lines {
    pub(super) async fn open(server: Arc<Server>) -> Result<Self, ConnectRedisError> {
        let current = Current {
            line: server.open().await?,
            generation: 1,
            failed: None,
        };
        Ok(Self {
            server,
            current: tokio::sync::Mutex::new(current),
        })
    }

    /// The connection for a hold that has none: one that it has not tried yet.
    async fn renew(&self, hold: &mut Hold) -> Result<MultiplexedConnection, BusError> {
        let mut current = self.current.lock().await;
        if current.generation <= hold.generation {
            if current.failed.is_some_and(|at| at.elapsed() < RESPITE) {
                return Err(BusError("the server could not be reached just now".into()));
            }
            match self.server.open().await {
                Ok(line) => {
                    current.line = line;
                    current.generation += 1;
                    current.failed = None;
                }
                Err(error) => {
                    current.failed = Some(Instant::now());
                    return Err(error.into());
                }
            }
        }
        hold.generation = current.generation;
        current
            .line
            .to(hold.bucket)
            .ok_or_else(|| BusError("a node of the cluster cannot be reached".into()))
    }
}

impl Hold {
    pub(super) const fn new(bucket: usize) -> Self {
        Self {
            bucket,
            generation: 0,
            connection: None,
        }
    }

    /// Asks the server something. After any failure the next question goes over
    /// another connection: the answer may have been that a slot has moved.
    pub(super) async fn query<T: FromRedisValue>(
        &mut self,
        lines: &Lines,
        pipe: &Pipeline,
    ) -> Result<T, BusError> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => lines.renew(self).await?,
        };
        let answer = pipe.query_async(&mut connection).await.map_err(failed)?;
        self.connection = Some(connection);
        Ok(answer)
    }
}
