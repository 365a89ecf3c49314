//! The bus over Redis: pub/sub between the instances of one deployment, on a
//! server of its own or in a cluster.
//!
//! Publishing is one set of queues and connections per process, subscribing one
//! set of connections per instance. Neither is ever waited for: what does not fit
//! or cannot go out in time is dropped, because it was only a hint, and is said to
//! be lost. When a connection comes back, an instance hears its topics again first
//! and is then told that it may have missed something.
//!
//! In a cluster everything is done bucket by bucket: each bucket is one slot and
//! so lies on one node, and channels are sharded, so that a notice goes to that
//! node alone.

mod error;
mod layout;
mod leases;
mod lines;
mod listening;
mod names;
mod options;
mod publisher;
mod questions;
mod server;
mod sharded;
mod subscriber;
mod wire;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures_util::future::join_all;
use parking_lot::Mutex;
use ruggine_core::UserId;

use super::{Bus, BusError, InstanceId, Notice, Notices, Passage, Topic};
pub use error::ConnectRedisError;
use leases::Question;
use lines::Lines;
pub use names::{RedisPrefix, RedisPrefixError};
pub use options::{RedisCaError, RedisOptions, RedisUrlError};
use publisher::Publisher;
use questions::Questions;
use server::Server;
use subscriber::Subscriber;

/// Carries notices over a Redis server, or over the nodes of a Redis Cluster.
#[derive(Debug)]
pub struct RedisBus {
    server: Arc<Server>,
    publisher: Publisher,
    subscribers: Mutex<HashMap<InstanceId, Subscriber>>,
    /// For what has to be answered: leases.
    questions: Questions,
}

impl RedisBus {
    /// Connects once, to find out what the server is and whether it can be used
    /// at all. Later losses heal by themselves. Needs a Tokio runtime.
    ///
    /// Whether it is a cluster is found out here: a server that becomes one needs
    /// a new start.
    ///
    /// # Errors
    /// When the server cannot be reached, refuses the login, or is too old, and
    /// when a cluster has slots that nobody serves.
    pub async fn connect(options: RedisOptions) -> Result<Self, ConnectRedisError> {
        let server = Arc::new(Server::find(options).await?);
        let lines = Arc::new(Lines::open(Arc::clone(&server)).await?);
        Ok(Self {
            publisher: Publisher::start(server.names(), &lines),
            subscribers: Mutex::default(),
            questions: Questions::new(lines, server.names().buckets()),
            server,
        })
    }

    fn subscriber(&self, instance: InstanceId) -> Result<Subscriber, BusError> {
        let subscribers = self.subscribers.lock();
        subscribers
            .get(&instance)
            .cloned()
            .ok_or_else(|| BusError("the instance is not attached".into()))
    }

    /// Asks the nodes of all buckets at once. One that fails takes nothing from
    /// the others but the answer.
    async fn tell(&self, questions: &[Question]) -> Result<(), BusError> {
        let mut asking = Vec::with_capacity(questions.len());
        for question in questions {
            asking.push(self.questions.ask::<()>(question.bucket, &question.pipe));
        }
        join_all(asking).await.into_iter().collect()
    }
}

impl Bus for RedisBus {
    async fn attach(&self, instance: InstanceId) -> Result<Notices, BusError> {
        let stuck = self.publisher.stuck();
        let (subscriber, notices) = Subscriber::start(&self.server, instance, stuck).await?;
        let mut subscribers = self.subscribers.lock();
        subscribers.retain(|_, subscriber| !subscriber.is_over());
        subscribers.insert(instance, subscriber);
        Ok(notices)
    }

    async fn follow(&self, instance: InstanceId, topics: Vec<Topic>) -> Result<(), BusError> {
        self.subscriber(instance)?.follow(topics).await
    }

    async fn unfollow(&self, instance: InstanceId, topics: Vec<Topic>) -> Result<(), BusError> {
        self.subscriber(instance)?.unfollow(topics).await
    }

    async fn publish(
        &self,
        from: InstanceId,
        topic: Topic,
        notice: Notice,
    ) -> Result<Passage, BusError> {
        let hint = wire::encode(from, &notice)?;
        self.publisher.publish(topic, hint)
    }

    async fn lease(&self, instance: InstanceId, users: Vec<UserId>) -> Result<(), BusError> {
        let names = self.server.names();
        self.tell(&leases::lease(names, instance, &users)).await
    }

    async fn release(&self, instance: InstanceId, users: Vec<UserId>) -> Result<(), BusError> {
        let names = self.server.names();
        self.tell(&leases::release(names, instance, &users)).await
    }

    async fn leased(&self, users: Vec<UserId>) -> Result<HashSet<UserId>, BusError> {
        let questions = leases::leased(self.server.names(), &users);
        let mut asking = Vec::with_capacity(questions.len());
        for question in &questions {
            asking.push(
                self.questions
                    .ask::<Vec<u64>>(question.bucket, &question.pipe),
            );
        }
        let answers = join_all(asking).await;
        let mut online = HashSet::new();
        for (question, counts) in questions.iter().zip(answers) {
            let held = question.users.iter().zip(counts?);
            online.extend(held.filter(|(_, count)| *count > 0).map(|(user, _)| *user));
        }
        Ok(online)
    }
}

fn failed(error: redis::RedisError) -> BusError {
    BusError(Box::new(error))
}
