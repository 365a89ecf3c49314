//! The way in: what an instance follows, and the task that hears it.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use ruggine_crypto::random;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};

use super::listening::{Arriving, Tuner};
use super::server::Server;
use super::wire;
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
    /// `stuck` counts the ways out that are closed: an instance that is not heard
    /// is as good as away.
    pub(super) async fn start(
        server: &Arc<Server>,
        instance: InstanceId,
        stuck: watch::Receiver<usize>,
    ) -> Result<(Self, Notices), BusError> {
        let connection = server.listen().await?;
        let (orders_out, orders) = mpsc::channel(ORDERS);
        let (queue, notices) = mpsc::channel(QUEUE);
        let (state, states) = watch::channel(BusState::Connected);
        let task = Task {
            server: Arc::clone(server),
            instance,
            topics: HashSet::new(),
            orders,
            queue,
            stuck,
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
    server: Arc<Server>,
    instance: InstanceId,
    topics: HashSet<Topic>,
    orders: mpsc::Receiver<Order>,
    queue: mpsc::Sender<Notice>,
    stuck: watch::Receiver<usize>,
    state: watch::Sender<BusState>,
}

/// Why a connection was left.
enum Left {
    Lost,
    /// Nobody hears the instance any more.
    Detached,
}

impl Task {
    async fn run(mut self, connection: (Tuner, Arriving)) {
        let mut connection = Some(connection);
        let mut pause = FIRST_PAUSE;
        loop {
            if let Some((mut tuner, arriving)) = connection.take() {
                // What was followed before is followed again before anybody is
                // told, so that comparing afterwards finds all that was missed.
                if self.subscribe_again(&mut tuner).await.is_ok() {
                    self.tell_whether_it_hears(true);
                    pause = FIRST_PAUSE;
                    if matches!(self.serve(tuner, arriving).await, Left::Detached) {
                        return;
                    }
                }
                self.tell_whether_it_hears(false);
            }
            if !self.wait(pause).await {
                return;
            }
            pause = (pause * 2).min(LAST_PAUSE);
            connection = match self.server.listen().await {
                Ok(connection) => Some(connection),
                Err(error) => {
                    tracing::debug!(%error, "there is still nothing to hear with");
                    None
                }
            };
        }
    }

    /// Says how the bus is, to whoever waits for a change of that.
    fn tell_whether_it_hears(&mut self, hears: bool) {
        let goes_out = *self.stuck.borrow_and_update() == 0;
        let now = if hears && goes_out {
            BusState::Connected
        } else {
            BusState::Away
        };
        let has_changed = self.state.send_if_modified(|state| {
            let has_changed = *state != now;
            *state = now;
            has_changed
        });
        match now {
            BusState::Connected if has_changed => tracing::info!("the bus is back"),
            BusState::Away if has_changed => {
                tracing::warn!("the bus is away: heads are read from the store meanwhile");
            }
            _ => {}
        }
    }

    async fn subscribe_again(&self, tuner: &mut Tuner) -> Result<(), BusError> {
        let topics: Vec<Topic> = self.topics.iter().copied().collect();
        for some in topics.chunks(TOGETHER) {
            tuner.subscribe(self.server.names(), some).await?;
        }
        Ok(())
    }

    async fn serve(&mut self, mut tuner: Tuner, mut arriving: Arriving) -> Left {
        let mut doubtful = Instant::now() + SILENCE;
        loop {
            tokio::select! {
                message = arriving.next() => match message {
                    Some(message) => {
                        self.hear(message.get_payload_bytes());
                        if tuner.is_shown_to_live_by_a_message() {
                            doubtful = Instant::now() + SILENCE;
                        }
                    }
                    None => return Left::Lost,
                },
                order = self.orders.recv() => {
                    let Some(order) = order else { return Left::Detached };
                    if self.carry_out(order, &mut tuner, &mut arriving).await.is_err() {
                        return Left::Lost;
                    }
                }
                changed = self.stuck.changed() => match changed {
                    Ok(()) => self.tell_whether_it_hears(true),
                    Err(_) => return Left::Detached,
                },
                () = self.queue.closed() => return Left::Detached,
                () = sleep_until(doubtful) => {
                    // What arrives meanwhile goes on being taken.
                    let mut asking = std::pin::pin!(tuner.is_alive());
                    let is_alive = loop {
                        tokio::select! {
                            is_alive = &mut asking => break is_alive,
                            Some(message) = arriving.next() => self.hear(message.get_payload_bytes()),
                        }
                    };
                    if !is_alive {
                        return Left::Lost;
                    }
                    doubtful = Instant::now() + SILENCE;
                }
            }
        }
    }

    /// Follows or leaves topics while what arrives goes on being taken: the
    /// answer to a command comes behind the notices before it.
    async fn carry_out(
        &mut self,
        order: Order,
        tuner: &mut Tuner,
        arriving: &mut Arriving,
    ) -> Result<(), BusError> {
        let topics = self.note(&order.change);
        let server = Arc::clone(&self.server);
        let follows = matches!(order.change, Change::Follow(_));
        let result = {
            let work = async {
                for some in topics.chunks(TOGETHER) {
                    if follows {
                        tuner.subscribe(server.names(), some).await?;
                    } else {
                        tuner.unsubscribe(server.names(), some).await?;
                    }
                }
                Ok(())
            };
            let mut work = std::pin::pin!(work);
            loop {
                tokio::select! {
                    result = &mut work => break result,
                    Some(message) = arriving.next() => self.hear(message.get_payload_bytes()),
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
