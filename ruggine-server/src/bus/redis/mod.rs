//! The bus over Redis: pub/sub between the instances of one deployment.
//!
//! Publishing is one queue and one connection per process, subscribing one
//! connection per instance. Neither is ever waited for: what does not fit or
//! cannot go out is dropped, because it was only a hint. When a connection
//! comes back, an instance hears its topics again first and is then told that
//! it may have missed something.

mod leases;
mod options;
mod publisher;
mod subscriber;
mod wire;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use redis::aio::MultiplexedConnection;
use ruggine_core::UserId;

use super::{Bus, BusError, InstanceId, Notice, Notices, Topic};
pub use options::{RedisOptions, RedisUrlError};
use publisher::Publisher;
use subscriber::Subscriber;

/// How long a failed question keeps others from being asked.
const RESPITE: Duration = Duration::from_secs(1);

/// The connection for questions, or when the last one failed.
#[derive(Debug, Clone)]
enum Asking {
    Over(MultiplexedConnection),
    Failed(Instant),
}

/// Carries notices over a Redis server.
#[derive(Debug)]
pub struct RedisBus {
    options: Arc<RedisOptions>,
    publisher: Publisher,
    subscribers: Mutex<HashMap<InstanceId, Subscriber>>,
    /// For what has to be answered: leases.
    asking: Mutex<Asking>,
}

impl RedisBus {
    /// Connects once, to find out whether the server can be used at all. Later
    /// losses heal by themselves. Needs a Tokio runtime.
    ///
    /// # Errors
    /// When the server cannot be reached, refuses the login, or is too old.
    pub async fn connect(options: RedisOptions) -> Result<Self, BusError> {
        let connection = options.connect().await?;
        options::check_server(&mut connection.clone()).await?;
        let options = Arc::new(options);
        Ok(Self {
            publisher: Publisher::start(Arc::clone(&options), connection.clone()),
            options,
            subscribers: Mutex::default(),
            asking: Mutex::new(Asking::Over(connection)),
        })
    }

    fn subscriber(&self, instance: InstanceId) -> Result<Subscriber, BusError> {
        let subscribers = self.subscribers.lock();
        subscribers
            .get(&instance)
            .cloned()
            .ok_or_else(|| BusError("the instance is not attached".into()))
    }

    /// Asks the server something, on a new connection where the last one failed.
    /// For a moment after a failure nobody waits for another one.
    async fn ask<T: redis::FromRedisValue>(&self, pipe: &redis::Pipeline) -> Result<T, BusError> {
        let known = self.asking.lock().clone();
        let result = match known {
            Asking::Failed(at) if at.elapsed() < RESPITE => {
                return Err(BusError("the server did not answer just now".into()));
            }
            Asking::Failed(_) => self.options.connect().await,
            Asking::Over(connection) => Ok(connection),
        };
        let answer = match result {
            Ok(mut connection) => {
                let answer = pipe.query_async(&mut connection).await;
                answer.map(|answer| (answer, connection)).map_err(failed)
            }
            Err(error) => Err(error),
        };
        match answer {
            Ok((answer, connection)) => {
                *self.asking.lock() = Asking::Over(connection);
                Ok(answer)
            }
            Err(error) => {
                *self.asking.lock() = Asking::Failed(Instant::now());
                Err(error)
            }
        }
    }
}

impl Bus for RedisBus {
    async fn attach(&self, instance: InstanceId) -> Result<Notices, BusError> {
        let (subscriber, notices) = Subscriber::start(&self.options, instance).await?;
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
    ) -> Result<(), BusError> {
        let hint = wire::encode(from, &notice)?;
        self.publisher.publish(self.options.channel(topic), hint)
    }

    async fn lease(&self, instance: InstanceId, users: Vec<UserId>) -> Result<(), BusError> {
        match leases::lease(&self.options, instance, &users) {
            Some(pipe) => self.ask(&pipe).await,
            None => Ok(()),
        }
    }

    async fn release(&self, instance: InstanceId, users: Vec<UserId>) -> Result<(), BusError> {
        match leases::release(&self.options, instance, &users) {
            Some(pipe) => self.ask(&pipe).await,
            None => Ok(()),
        }
    }

    async fn leased(&self, users: Vec<UserId>) -> Result<HashSet<UserId>, BusError> {
        let Some(pipe) = leases::leased(&self.options, &users) else {
            return Ok(HashSet::new());
        };
        let counts: Vec<u64> = self.ask(&pipe).await?;
        let held = users
            .into_iter()
            .zip(counts)
            .filter(|(_, count)| *count > 0);
        Ok(held.map(|(user, _)| user).collect())
    }
}

fn failed(error: redis::RedisError) -> BusError {
    BusError(Box::new(error))
}
