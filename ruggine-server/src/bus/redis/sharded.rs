//! Hearing in a cluster: a connection to each node, and the channels of each
//! bucket on the node that has it.
//!
//! The driver has a client for clusters. It is not used, because it subscribes
//! again behind our back and names channels of many slots in one command then,
//! which a cluster refuses. Here whatever changes in the cluster ends all of it,
//! as a lost connection does, and somebody begins anew with the new layout.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::future::{join_all, try_join_all};
use parking_lot::Mutex;
use redis::aio::MultiplexedConnection;
use redis::{Msg, Pipeline, PushInfo, PushKind, RedisError, Value};
use tokio::sync::mpsc;

use super::error::ConnectRedisError;
use super::layout::Layout;
use super::names::Names;
use super::options::RedisOptions;
use crate::bus::Topic;

/// Messages that may wait for whoever hears them.
const QUEUE: usize = 4_096;

/// The connections, to change what is heard over them.
pub(super) struct Sharded {
    nodes: Vec<MultiplexedConnection>,
    of: Vec<usize>,
    inbox: Arc<Inbox>,
}

/// Where all of them put what they hear.
struct Inbox(Mutex<Incoming>);

struct Incoming {
    /// Absent from the first sign that something is lost on.
    queue: Option<mpsc::Sender<Msg>>,
    /// Channels that we leave, and how many words of it are to come.
    leaving: HashMap<Vec<u8>, u32>,
}

impl Sharded {
    /// Connects to every node. What arrives ends when one of them is lost, or
    /// gives a slot away.
    pub(super) async fn connect(
        options: &RedisOptions,
        layout: Layout,
    ) -> Result<(Self, mpsc::Receiver<Msg>), ConnectRedisError> {
        let (queue, arriving) = mpsc::channel(QUEUE);
        let inbox = Arc::new(Inbox(Mutex::new(Incoming {
            queue: Some(queue),
            leaving: HashMap::new(),
        })));
        let mut connecting = Vec::with_capacity(layout.nodes.len());
        for node in &layout.nodes {
            let inbox = Arc::clone(&inbox);
            connecting.push(options.listen_to(node, move |push| inbox.take(push)));
        }
        let sharded = Self {
            nodes: try_join_all(connecting).await?,
            of: layout.of,
            inbox,
        };
        Ok((sharded, arriving))
    }

    pub(super) async fn subscribe(
        &self,
        names: &Names,
        topics: &[Topic],
    ) -> Result<(), RedisError> {
        let channels = topics
            .iter()
            .map(|topic| (names.bucket_of(*topic), names.channel(*topic)));
        self.tell("SSUBSCRIBE", channels.collect()).await
    }

    pub(super) async fn unsubscribe(
        &self,
        names: &Names,
        topics: &[Topic],
    ) -> Result<(), RedisError> {
        let channels: Vec<_> = topics
            .iter()
            .map(|topic| (names.bucket_of(*topic), names.channel(*topic)))
            .collect();
        for (_, channel) in &channels {
            self.inbox.expect_leaving(channel.as_bytes());
        }
        self.tell("SUNSUBSCRIBE", channels).await
    }

    /// Asks every node whether its connection lives.
    pub(super) async fn ping(&self) -> Result<(), RedisError> {
        let mut asking = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let mut node = node.clone();
            asking.push(async move { redis::cmd("PING").query_async::<()>(&mut node).await });
        }
        join_all(asking).await.into_iter().collect()
    }

    /// Gives a command for each channel to its node: one command takes channels
    /// of one slot only.
    async fn tell(
        &self,
        command: &'static str,
        channels: Vec<(usize, String)>,
    ) -> Result<(), RedisError> {
        let mut pipes: Vec<Pipeline> = self.nodes.iter().map(|_| redis::pipe()).collect();
        for (bucket, channel) in channels {
            pipes[self.of[bucket]].cmd(command).arg(channel).ignore();
        }
        let mut telling = Vec::with_capacity(pipes.len());
        for (node, pipe) in self.nodes.iter().zip(&pipes) {
            if pipe.is_empty() {
                continue;
            }
            let mut node = node.clone();
            telling.push(async move { pipe.query_async::<()>(&mut node).await });
        }
        join_all(telling).await.into_iter().collect()
    }
}

impl Inbox {
    /// Takes what a node says unasked. Never waits: what the queue cannot take
    /// was only a hint.
    fn take(&self, push: PushInfo) {
        let mut incoming = self.0.lock();
        match push.kind {
            PushKind::SMessage => {
                if let (Some(queue), Some(message)) = (&incoming.queue, Msg::from_push_info(push)) {
                    drop(queue.try_send(message));
                }
            }
            // The slot has gone to another node, unless we wanted to leave.
            PushKind::SUnsubscribe if !incoming.is_leaving(push.data.first()) => {
                incoming.queue = None;
            }
            PushKind::Disconnection => incoming.queue = None,
            _ => {}
        }
    }

    fn expect_leaving(&self, channel: &[u8]) {
        let mut incoming = self.0.lock();
        *incoming.leaving.entry(channel.to_vec()).or_default() += 1;
    }
}

impl Incoming {
    /// Whether we are leaving this channel; one word of it has come then.
    fn is_leaving(&mut self, channel: Option<&Value>) -> bool {
        let Some(Value::BulkString(channel)) = channel else {
            return false;
        };
        let Some(words) = self.leaving.get_mut(channel) else {
            return false;
        };
        *words -= 1;
        if *words == 0 {
            self.leaving.remove(channel);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inbox() -> (Inbox, mpsc::Receiver<Msg>) {
        let (queue, arriving) = mpsc::channel(1);
        let incoming = Incoming {
            queue: Some(queue),
            leaving: HashMap::new(),
        };
        (Inbox(Mutex::new(incoming)), arriving)
    }

    fn push(kind: PushKind, data: &[&str]) -> PushInfo {
        let text = |text: &&str| Value::BulkString(text.as_bytes().to_vec());
        PushInfo {
            kind,
            data: data.iter().map(text).collect(),
        }
    }

    #[tokio::test]
    async fn what_the_queue_cannot_take_is_dropped_and_what_comes_later_is_heard() {
        let (inbox, mut arriving) = inbox();
        for words in ["one", "two"] {
            inbox.take(push(PushKind::SMessage, &["channel", words]));
        }
        assert_eq!(arriving.recv().await.unwrap().get_payload_bytes(), b"one");
        inbox.take(push(PushKind::SMessage, &["channel", "three"]));
        assert_eq!(arriving.recv().await.unwrap().get_payload_bytes(), b"three");
    }

    #[tokio::test]
    async fn a_channel_that_is_taken_away_ends_what_arrives_and_one_that_is_left_does_not() {
        let (inbox, mut arriving) = inbox();
        inbox.expect_leaving(b"left");
        inbox.take(push(PushKind::SUnsubscribe, &["left"]));
        inbox.take(push(PushKind::SMessage, &["kept", "words"]));
        assert!(arriving.recv().await.is_some());
        inbox.take(push(PushKind::SUnsubscribe, &["kept"]));
        assert!(arriving.recv().await.is_none());
    }

    #[tokio::test]
    async fn a_lost_node_ends_what_arrives_behind_what_has_arrived() {
        let (inbox, mut arriving) = inbox();
        inbox.take(push(PushKind::SMessage, &["channel", "words"]));
        inbox.take(push(PushKind::Disconnection, &[]));
        assert!(arriving.recv().await.is_some());
        assert!(arriving.recv().await.is_none());
    }
}
