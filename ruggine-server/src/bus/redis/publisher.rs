//! The way out: a bounded queue, emptied into pipelines.

use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use tokio::sync::mpsc;

use super::options::RedisOptions;
use crate::bus::BusError;

/// Notices that may wait to go out.
const QUEUE: usize = 8_192;
/// Notices that go out together at the most.
const PIPELINE: usize = 256;
const RETRY: Duration = Duration::from_millis(250);

#[derive(Debug)]
pub(super) struct Publisher(mpsc::Sender<Hint>);

struct Hint {
    channel: String,
    bytes: Vec<u8>,
}

impl Publisher {
    pub(super) fn start(options: Arc<RedisOptions>, connection: MultiplexedConnection) -> Self {
        let (queue, hints) = mpsc::channel(QUEUE);
        tokio::spawn(run(options, connection, hints));
        Self(queue)
    }

    /// Takes a notice on its way. Never waits.
    pub(super) fn publish(&self, channel: String, bytes: Vec<u8>) -> Result<(), BusError> {
        self.0
            .try_send(Hint { channel, bytes })
            .map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => BusError("too many notices wait".into()),
                mpsc::error::TrySendError::Closed(_) => BusError("the bus is closed".into()),
            })
    }
}

async fn run(
    options: Arc<RedisOptions>,
    connection: MultiplexedConnection,
    mut hints: mpsc::Receiver<Hint>,
) {
    let mut connection = Some(connection);
    let mut burst = Vec::with_capacity(PIPELINE);
    while hints.recv_many(&mut burst, PIPELINE).await > 0 {
        let mut pipe = redis::pipe();
        for hint in burst.drain(..) {
            pipe.cmd("PUBLISH")
                .arg(hint.channel)
                .arg(hint.bytes)
                .ignore();
        }
        let mut used = match connection.take() {
            Some(connection) => connection,
            None => match options.connect().await {
                Ok(connection) => connection,
                Err(error) => {
                    tracing::debug!(%error, "notices are dropped: there is no way out");
                    tokio::time::sleep(RETRY).await;
                    continue;
                }
            },
        };
        match pipe.query_async::<()>(&mut used).await {
            Ok(()) => connection = Some(used),
            Err(error) => tracing::warn!(%error, "notices were lost on their way out"),
        }
    }
}
