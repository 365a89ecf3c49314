//! How long devices waited while something was wrong.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ruggine_core::{ConversationId, Seq};
use ruggine_server::testing::RoamingDevice;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// How often everybody is looked at, and so how exact the times are.
const TICK: Duration = Duration::from_millis(5);

/// The longest waits of any device.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Waits {
    /// From one acknowledgement to the next, while a message was waiting for one.
    pub(crate) ack: Duration,
    /// For a row that another device already had, or whose sender had its number.
    pub(crate) row: Duration,
}

/// Looks at everybody until it is asked what it saw.
#[derive(Debug)]
pub(crate) struct Watch {
    stop: oneshot::Sender<()>,
    task: JoinHandle<Waits>,
}

/// Who is in which conversation.
pub(crate) type Seats = Vec<(ConversationId, Vec<usize>)>;

impl Watch {
    pub(crate) fn start(devices: Arc<Vec<RoamingDevice>>, seats: Arc<Seats>) -> Self {
        let (stop, mut stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            let mut eyes = Eyes::new(devices, seats);
            while stopped
                .try_recv()
                .is_err_and(|error| error == oneshot::error::TryRecvError::Empty)
            {
                eyes.look();
                sleep(TICK).await;
            }
            eyes.look();
            eyes.end()
        });
        Self { stop, task }
    }

    pub(crate) async fn end(self) -> anyhow::Result<Waits> {
        let _ = self.stop.send(());
        Ok(self.task.await?)
    }
}

struct Eyes {
    devices: Arc<Vec<RoamingDevice>>,
    seats: Arc<Seats>,
    /// What each device had been acknowledged, and since when.
    acked: Vec<(u64, Instant)>,
    /// A row that a device lacks, and since when.
    behind: HashMap<(usize, ConversationId), (Seq, Instant)>,
    waits: Waits,
}

impl Eyes {
    fn new(devices: Arc<Vec<RoamingDevice>>, seats: Arc<Seats>) -> Self {
        let now = Instant::now();
        let acked = devices.iter().map(|device| (device.acked(), now));
        Self {
            acked: acked.collect(),
            devices,
            seats,
            behind: HashMap::new(),
            waits: Waits::default(),
        }
    }

    fn look(&mut self) {
        let now = Instant::now();
        for (device, (acked, since)) in self.devices.iter().zip(&mut self.acked) {
            let count = device.acked();
            if count == *acked && device.waiting() > 0 {
                self.waits.ack = self.waits.ack.max(now - *since);
            } else {
                (*acked, *since) = (count, now);
            }
        }
        for (conversation, members) in self.seats.iter() {
            let newest = newest(&self.devices, *conversation);
            for member in members {
                let cursor = self.devices[*member].cursor(*conversation);
                let key = (*member, *conversation);
                match self.behind.get(&key) {
                    Some((row, since)) if cursor >= *row => {
                        self.waits.row = self.waits.row.max(now - *since);
                        self.behind.remove(&key);
                    }
                    Some(_) => {}
                    None if cursor < newest => {
                        self.behind.insert(key, (newest, now));
                    }
                    None => {}
                }
            }
        }
    }

    fn end(mut self) -> Waits {
        let now = Instant::now();
        for (_, since) in self.behind.values() {
            self.waits.row = self.waits.row.max(now - *since);
        }
        self.waits
    }
}

/// The highest number of which anybody knows.
pub(crate) fn newest(devices: &[RoamingDevice], conversation: ConversationId) -> Seq {
    let known = devices.iter().map(|device| device.newest(conversation));
    known.max().unwrap_or_default()
}
