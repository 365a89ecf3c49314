//! The way in: one connection of an instance, and what it follows.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use redis::aio::{PubSub, PubSubSink, PubSubStream};
use ruggine_crypto::random;
use tokio::sync::{mpsc, oneshot, watch};

use super::options::RedisOptions;
use super::{failed, wire};
use crate::bus::{BusError, BusState, InstanceId, Notice, Notices, Topic};

/// Notices that an instance may be behind before it loses some.
const QUEUE: usize = 4_096;
/// Changes of topics that may wait.
const ORDERS: usize = 256;
/// Channels named in one command.
const TOGETHER: usize = 512;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LAST_PAUSE: Duration = Duration::from_secs(5);
/// How long a connection may be silent before it is asked whether it lives.
const SILENCE: Duration = Duration::from_secs(10);
const ANSWER: Duration = Duration::from_secs(2);

/// Speaks to the task that owns the connection.
#[derive(Debug, Clone)]
pub(super) struct Subscriber(mpsc::Sender<Order>);

#[derive(Debug)]
struct Order {
    change: Change,
    done: oneshot::Sender<Result<(), BusError>>,
}

#[derive(Debug)]
enum Change {
    Follow(Vec<Topic>),
    Unfollow(Vec<Topic>),
}

impl Subscriber {
    pub(super) async fn start(
        options: &Arc<RedisOptions>,
        instance: InstanceId,
    ) -> Result<(Self, Notices), BusError> {
        let connection = options.listen().await?;
        let (orders_out, orders) = mpsc::channel(ORDERS);
        let (queue, notices) = mpsc::channel(QUEUE);
        let (state, states) = watch::channel(BusState::Connected);
        let task = Task {
            options: Arc::clone(options),
            instance,
            topics: HashSet::new(),
            orders,
            queue,
            state,
        };
        tokio::spawn(task.run(connection));
        Ok((Self(orders_out), Notices::with_state(notices, states)))
    }

    pub(super) fn is_over(&self) -> bool {
        self.0.is_closed()
    }

    pub(super) async fn follow(&self, topics: Vec<Topic>) -> Result<(), BusError> {
        self.order(Change::Follow(topics)).await
    }

    pub(super) async fn unfollow(&self, topics: Vec<Topic>) -> Result<(), BusError> {
        self.order(Change::Unfollow(topics)).await
    }

    async fn order(&self, change: Change) -> Result<(), BusError> {
        let (done, answer) = oneshot::channel();
        let gone = || BusError("the instance is detached".into());
        self.0
            .send(Order { change, done })
            .await
            .map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

struct Task {
    options: Arc<RedisOptions>,
    instance: InstanceId,
    topics: HashSet<Topic>,
    orders: mpsc::Receiver<Order>,
    queue: mpsc::Sender<Notice>,
    state: watch::Sender<BusState>,
}

/// Why a connection was left.
enum Left {
    Lost,
    /// Nobody hears the instance any more.
    Detached,
}

impl Task {
    async fn run(mut self, connection: PubSub) {
        let mut connection = Some(connection);
        let mut pause = FIRST_PAUSE;
        loop {
            if let Some(live) = connection.take() {
                let (mut sink, stream) = live.split();
                // What was followed before is followed again before anybody is
                // told, so that comparing afterwards finds all that was missed.
                if self.subscribe_again(&mut sink).await.is_ok() {
                    if self.state.send_replace(BusState::Connected) == BusState::Away {
                        tracing::info!("the bus is back");
                    }
                    pause = FIRST_PAUSE;
                    if matches!(self.serve(sink, stream).await, Left::Detached) {
                        return;
                    }
                }
                self.state.send_replace(BusState::Away);
                tracing::warn!("the bus is away: heads are read from the store meanwhile");
            }
            if !self.wait(pause).await {
                return;
            }
            pause = (pause * 2).min(LAST_PAUSE);
            connection = self.options.listen().await.ok();
        }
    }

    async fn subscribe_again(&self, sink: &mut PubSubSink) -> Result<(), BusError> {
        let topics: Vec<Topic> = self.topics.iter().copied().collect();
        for some in topics.chunks(TOGETHER) {
            subscribe(&self.options, sink, some).await?;
        }
        Ok(())
    }

    async fn serve(&mut self, mut sink: PubSubSink, mut stream: PubSubStream) -> Left {
        loop {
            tokio::select! {
                message = stream.next() => match message {
                    Some(message) => self.hear(message.get_payload_bytes()),
                    None => return Left::Lost,
                },
                order = self.orders.recv() => {
                    let Some(order) = order else { return Left::Detached };
                    if self.carry_out(order, &mut sink, &mut stream).await.is_err() {
                        return Left::Lost;
                    }
                }
                () = self.queue.closed() => return Left::Detached,
                () = tokio::time::sleep(SILENCE) => {
                    let alive = tokio::time::timeout(ANSWER, sink.ping::<redis::Value>()).await;
                    if !matches!(alive, Ok(Ok(_))) {
                        return Left::Lost;
                    }
                }
            }
        }
    }

    /// Follows or leaves topics while what arrives goes on being taken: the
    /// answer to a command comes behind the notices before it.
    async fn carry_out(
        &mut self,
        order: Order,
        sink: &mut PubSubSink,
        stream: &mut PubSubStream,
    ) -> Result<(), BusError> {
        let topics = self.note(&order.change);
        let options = Arc::clone(&self.options);
        let follows = matches!(order.change, Change::Follow(_));
        let result = {
            let work = async {
                for some in topics.chunks(TOGETHER) {
                    if follows {
                        subscribe(&options, sink, some).await?;
                    } else {
                        unsubscribe(&options, sink, some).await?;
                    }
                }
                Ok(())
            };
            let mut work = std::pin::pin!(work);
            loop {
                tokio::select! {
                    result = &mut work => break result,
                    Some(message) = stream.next() => self.hear(message.get_payload_bytes()),
                }
            }
        };
        let is_lost = result.is_err();
        // Whoever no longer waits has no use for the answer.
        let _ = order.done.send(result);
        if is_lost {
            return Err(BusError("the connection was lost".into()));
        }
        Ok(())
    }

    /// Remembers a change; the topics for which the server has to be told.
    fn note(&mut self, change: &Change) -> Vec<Topic> {
        match change {
            Change::Follow(topics) => topics
                .iter()
                .copied()
                .filter(|topic| self.topics.insert(*topic))
                .collect(),
            Change::Unfollow(topics) => topics
                .iter()
                .copied()
                .filter(|topic| self.topics.remove(topic))
                .collect(),
        }
    }

    fn hear(&self, payload: &[u8]) {
        match wire::decode(payload) {
            Ok((from, _)) if from == self.instance => {}
            // A full queue drops the notice: it was only a hint.
            Ok((_, notice)) => drop(self.queue.try_send(notice)),
            Err(error) => tracing::debug!(%error, "a notice of another kind was passed over"),
        }
    }

    /// Waits before the next attempt; changes are noted meanwhile and answered
    /// as not carried out. `false` when nobody hears the instance any more.
    async fn wait(&mut self, longest: Duration) -> bool {
        let part = random::number().map_or(1.0, |number| {
            f64::from((number >> 32) as u32) / f64::from(u32::MAX)
        });
        let mut sleep = std::pin::pin!(tokio::time::sleep(longest.mul_f64(0.5 + part / 2.0)));
        loop {
            tokio::select! {
                () = &mut sleep => return true,
                () = self.queue.closed() => return false,
                order = self.orders.recv() => {
                    let Some(order) = order else { return false };
                    self.note(&order.change);
                    let _ = order.done.send(Err(BusError("there is no connection now".into())));
                }
            }
        }
    }
}

async fn subscribe(
    options: &RedisOptions,
    sink: &mut PubSubSink,
    topics: &[Topic],
) -> Result<(), BusError> {
    let channels: Vec<String> = topics.iter().map(|topic| options.channel(*topic)).collect();
    tokio::time::timeout(ANSWER, sink.subscribe(channels))
        .await
        .map_err(|error| BusError(Box::new(error)))?
        .map_err(failed)
}

async fn unsubscribe(
    options: &RedisOptions,
    sink: &mut PubSubSink,
    topics: &[Topic],
) -> Result<(), BusError> {
    let channels: Vec<String> = topics.iter().map(|topic| options.channel(*topic)).collect();
    tokio::time::timeout(ANSWER, sink.unsubscribe(channels))
        .await
        .map_err(|error| BusError(Box::new(error)))?
        .map_err(failed)
}
