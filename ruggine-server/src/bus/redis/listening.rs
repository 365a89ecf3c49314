//! Hearing, on a server of its own and in a cluster alike: what changes what is
//! heard, and what arrives.

use futures_util::StreamExt;
use redis::aio::{PubSubSink, PubSubStream};
use redis::{Msg, RedisResult, Value};
use tokio::sync::mpsc;

use super::failed;
use super::names::Names;
use super::options::ANSWER;
use super::sharded::Sharded;
use crate::bus::{BusError, Topic};

/// Changes what is heard.
pub(super) enum Tuner {
    /// Over the one connection to the one server.
    One(PubSubSink),
    /// Over a connection to each node.
    Sharded(Sharded),
}

/// What is heard, until something of it is lost.
pub(super) enum Arriving {
    One(PubSubStream),
    Sharded(mpsc::Receiver<Msg>),
}

impl Tuner {
    /// From its return on the topics are heard.
    pub(super) async fn subscribe(
        &mut self,
        names: &Names,
        topics: &[Topic],
    ) -> Result<(), BusError> {
        match self {
            Self::One(sink) => in_time(sink.subscribe(channels(names, topics))).await,
            Self::Sharded(sharded) => in_time(sharded.subscribe(names, topics)).await,
        }
    }

    /// From its return on the topics are no longer heard.
    pub(super) async fn unsubscribe(
        &mut self,
        names: &Names,
        topics: &[Topic],
    ) -> Result<(), BusError> {
        match self {
            Self::One(sink) => in_time(sink.unsubscribe(channels(names, topics))).await,
            Self::Sharded(sharded) => in_time(sharded.unsubscribe(names, topics)).await,
        }
    }

    /// Asks whether everything that is followed can still be heard.
    pub(super) async fn is_alive(&mut self) -> bool {
        let alive = match self {
            Self::One(sink) => in_time(async { sink.ping::<Value>().await.map(drop) }).await,
            Self::Sharded(sharded) => in_time(sharded.ping()).await,
        };
        alive.is_ok()
    }

    /// Whether a message shows that everything can be heard: in a cluster it
    /// speaks for one node only.
    pub(super) const fn is_shown_to_live_by_a_message(&self) -> bool {
        matches!(self, Self::One(_))
    }
}

impl Arriving {
    /// The next message; `None` once something is lost. Cancel safe.
    pub(super) async fn next(&mut self) -> Option<Msg> {
        match self {
            Self::One(stream) => stream.next().await,
            Self::Sharded(arriving) => arriving.recv().await,
        }
    }
}

fn channels(names: &Names, topics: &[Topic]) -> Vec<String> {
    topics.iter().map(|topic| names.channel(*topic)).collect()
}

async fn in_time(answer: impl Future<Output = RedisResult<()>>) -> Result<(), BusError> {
    tokio::time::timeout(ANSWER, answer)
        .await
        .map_err(|late| BusError(Box::new(late)))?
        .map_err(failed)
}
