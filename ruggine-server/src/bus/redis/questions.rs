//! What has to be answered, and by whom.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use redis::{FromRedisValue, Pipeline};

use super::lines::{Hold, Lines};
use crate::bus::BusError;

/// How long a failed question keeps others from being asked.
const RESPITE: Duration = Duration::from_secs(1);

/// Asks the server, or the node of a bucket.
#[derive(Debug)]
pub(super) struct Questions {
    lines: Arc<Lines>,
    /// One for each bucket: a node that is gone keeps nobody from asking another.
    buckets: Vec<Mutex<Asking>>,
}

#[derive(Debug, Clone)]
struct Asking {
    hold: Hold,
    failed: Option<Instant>,
}

impl Questions {
    pub(super) fn new(lines: Arc<Lines>, buckets: usize) -> Self {
        let asking = |bucket| {
            Mutex::new(Asking {
                hold: Hold::new(bucket),
                failed: None,
            })
        };
        Self {
            lines,
            buckets: (0..buckets).map(asking).collect(),
        }
    }

    /// Asks about names in one bucket, on a new connection where the last one
    /// failed. For a moment after a failure nobody waits for another one.
    pub(super) async fn ask<T: FromRedisValue>(
        &self,
        bucket: usize,
        pipe: &Pipeline,
    ) -> Result<T, BusError> {
        let Asking { mut hold, failed } = self.buckets[bucket].lock().clone();
        if failed.is_some_and(|at| at.elapsed() < RESPITE) {
            return Err(BusError("the server did not answer just now".into()));
        }
        let answer = hold.query(&self.lines, pipe).await;
        let failed = answer.is_err().then(Instant::now);
        *self.buckets[bucket].lock() = Asking { hold, failed };
        answer
    }
}
