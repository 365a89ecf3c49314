//! The bus inside one process.

use std::collections::{HashMap, HashSet};

use parking_lot::Mutex;
use ruggine_core::UserId;
use tokio::sync::mpsc;

use super::{Bus, BusError, InstanceId, Notice, Notices, Passage, Topic};

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
    online: HashSet<UserId>,
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
        let attached = Instance {
            topics: HashSet::new(),
            online: HashSet::new(),
            queue,
        };
        self.instances.lock().insert(instance, attached);
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
    ) -> Result<Passage, BusError> {
        self.instances.lock().retain(|id, instance| {
            if *id != from && instance.topics.contains(&topic) {
                // A full queue drops the notice: it was only a hint.
                let _ = instance.queue.try_send(notice.clone());
            }
            !instance.queue.is_closed()
        });
        Ok(Passage::over())
    }

    async fn lease(&self, instance: InstanceId, users: Vec<UserId>) -> Result<(), BusError> {
        // It holds while the instance is attached: nobody dies alone here.
        if let Some(instance) = self.instances.lock().get_mut(&instance) {
            instance.online.extend(users);
        }
        Ok(())
    }

    async fn release(&self, instance: InstanceId, users: Vec<UserId>) -> Result<(), BusError> {
        if let Some(instance) = self.instances.lock().get_mut(&instance) {
            for user in users {
                instance.online.remove(&user);
            }
        }
        Ok(())
    }

    async fn leased(&self, mut users: Vec<UserId>) -> Result<HashSet<UserId>, BusError> {
        let instances = self.instances.lock();
        users.retain(|user| {
            instances
                .values()
                .any(|instance| !instance.queue.is_closed() && instance.online.contains(user))
        });
        Ok(users.into_iter().collect())
    }
}
