//! The bus inside one process.

use std::collections::{HashMap, HashSet};

use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::{Bus, BusError, InstanceId, Notice, Notices, Topic};

/// Notices that an instance may be behind before it loses some.
const QUEUE: usize = 4_096;

/// Carries notices between engines in one process. With a single engine on it,
/// publishing costs one look into an empty map.
#[derive(Debug, Default)]
pub struct LocalBus {
    instances: Mutex<HashMap<InstanceId, Instance>>,
}

#[derive(Debug)]
struct Instance {
    topics: HashSet<Topic>,
    queue: mpsc::Sender<Notice>,
}

impl LocalBus {
    /// A bus with nobody on it.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many instances hear a topic.
    #[must_use]
    pub fn followers(&self, topic: Topic) -> usize {
        let instances = self.instances.lock();
        let followers = instances
            .values()
            .filter(|instance| instance.topics.contains(&topic));
        followers.count()
    }
}

impl Bus for LocalBus {
    async fn attach(&self, instance: InstanceId) -> Result<Notices, BusError> {
        let (queue, notices) = mpsc::channel(QUEUE);
        let topics = HashSet::new();
        self.instances
            .lock()
            .insert(instance, Instance { topics, queue });
        Ok(Notices::new(notices))
    }

    async fn follow(&self, instance: InstanceId, topics: Vec<Topic>) -> Result<(), BusError> {
        if let Some(instance) = self.instances.lock().get_mut(&instance) {
            instance.topics.extend(topics);
        }
        Ok(())
    }

    async fn unfollow(&self, instance: InstanceId, topics: Vec<Topic>) -> Result<(), BusError> {
        if let Some(instance) = self.instances.lock().get_mut(&instance) {
            for topic in topics {
                instance.topics.remove(&topic);
            }
        }
        Ok(())
    }

    async fn publish(
        &self,
        from: InstanceId,
        topic: Topic,
        notice: Notice,
    ) -> Result<(), BusError> {
        self.instances.lock().retain(|id, instance| {
            if *id != from && instance.topics.contains(&topic) {
                // A full queue drops the notice: it was only a hint.
                let _ = instance.queue.try_send(notice.clone());
            }
            !instance.queue.is_closed()
        });
        Ok(())
    }
}
