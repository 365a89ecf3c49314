//! What an instance follows on the bus, also when the bus fails to follow it.

use std::collections::HashSet;

use parking_lot::Mutex;
use ruggine_core::ConversationId;

use super::Engine;
use super::background::SWEEP_HEADS;
use crate::bus::Topic;

/// The turn in which topics are followed and given up, and those that the bus
/// failed to follow.
#[derive(Debug, Default)]
pub(super) struct Following {
    /// Following and giving up happen one after the other.
    turn: tokio::sync::Mutex<()>,
    unheard: Mutex<HashSet<Topic>>,
}

impl Following {
    /// Whether there are topics of which nothing may be heard.
    pub(super) fn is_incomplete(&self) -> bool {
        !self.unheard.lock().is_empty()
    }

    /// Remembers topics that were not followed; whether they are the first.
    fn miss(&self, topics: Vec<Topic>) -> bool {
        let mut unheard = self.unheard.lock();
        let is_first = unheard.is_empty();
        unheard.extend(topics);
        is_first
    }

    fn forget(&self, topics: &[Topic]) {
        let mut unheard = self.unheard.lock();
        for topic in topics {
            unheard.remove(topic);
        }
    }
}

impl Engine {
    /// Follows topics. Those that the bus fails to follow are asked for again,
    /// and until then the store is asked instead.
    pub(super) async fn follow(&self, mut topics: Vec<Topic>) {
        if topics.is_empty() {
            return;
        }
        let following = &self.0.following;
        let _turn = following.turn.lock().await;
        // Who needed them may have gone while others had their turn.
        topics.retain(|topic| self.needs(*topic));
        if topics.is_empty() {
            return;
        }
        let followed = self.0.bus.follow(self.0.instance, topics.clone()).await;
        if let Err(error) = followed {
            tracing::warn!(%error, "topics could not be followed yet");
            if following.miss(topics) {
                self.0.look.notify_one();
            }
        }
    }

    /// Follows a conversation that a row has opened here, while everything else
    /// goes on: neither a lane nor who hears the bus waits for it.
    pub(super) fn begin_follow(&self, id: ConversationId) {
        let engine = self.clone();
        self.0.tasks.spawn(async move {
            let topic = Topic::Conversation(id);
            engine.follow(vec![topic]).await;
            engine.compare_heads(&[topic]).await;
        });
    }

    /// Gives a conversation up, while everything else goes on.
    pub(super) fn begin_unfollow(&self, id: ConversationId) {
        let engine = self.clone();
        self.0.tasks.spawn(async move {
            engine.unfollow(vec![Topic::Conversation(id)]).await;
        });
    }

    /// Compares conversations with the store, while everything else goes on:
    /// what was said before they could be heard is found there.
    pub(super) fn begin_compare(&self, topics: Vec<Topic>) {
        if topics.is_empty() {
            return;
        }
        let engine = self.clone();
        self.0
            .tasks
            .spawn(async move { engine.compare_heads(&topics).await });
    }

    async fn compare_heads(&self, topics: &[Topic]) {
        let ids = topics.iter().filter_map(|topic| match topic {
            Topic::Conversation(id) => Some(*id),
            Topic::User(_) => None,
        });
        let ids: Vec<ConversationId> = ids.collect();
        for some in ids.chunks(SWEEP_HEADS) {
            match self.0.store.heads(some.to_vec()).await {
                Ok(heads) => heads.iter().for_each(|head| self.hear_head(head)),
                // The sweep compares them again.
                Err(error) => tracing::debug!(%error, "new conversations could not be compared"),
            }
        }
    }

    /// Asks again for what the bus failed to follow and somebody still needs.
    pub(super) async fn follow_again(&self) {
        let following = &self.0.following;
        let _turn = following.turn.lock().await;
        let missed: Vec<Topic> = following.unheard.lock().iter().copied().collect();
        let (needed, left): (Vec<Topic>, Vec<Topic>) =
            missed.into_iter().partition(|topic| self.needs(*topic));
        following.forget(&left);
        if needed.is_empty() {
            return;
        }
        match self.0.bus.follow(self.0.instance, needed.clone()).await {
            Ok(()) => following.forget(&needed),
            Err(error) => tracing::debug!(%error, "topics could still not be followed"),
        }
    }

    /// Gives up those of the topics that nobody here needs any more. Whoever
    /// came meanwhile has a seat before they follow, so they are seen here.
    pub(super) async fn unfollow(&self, mut topics: Vec<Topic>) {
        let following = &self.0.following;
        let _turn = following.turn.lock().await;
        topics.retain(|topic| !self.needs(*topic));
        if topics.is_empty() {
            return;
        }
        following.forget(&topics);
        if let Err(error) = self.0.bus.unfollow(self.0.instance, topics).await {
            tracing::warn!(%error, "topics could not be given up");
        }
    }

    /// Whether somebody here is told what is said on a topic.
    fn needs(&self, topic: Topic) -> bool {
        match topic {
            Topic::Conversation(id) => self.0.hub.repair_start(id).is_some(),
            Topic::User(user) => self.0.hub.is_online(user),
        }
    }
}
