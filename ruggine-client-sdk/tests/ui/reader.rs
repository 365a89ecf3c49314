//! A reader of a list who sees only its first items and its changes.

use std::time::Duration;

use ruggine_client_sdk::Client;
use ruggine_client_sdk::ui::{
    ConversationItem, ConversationList, Diff, Timeline, TimelineItem, apply_diffs,
};
use ruggine_core::ConversationId;
use ruggine_server::testing::patiently;

/// A list with a reader who sees only the first items and the changes.
pub(crate) struct Read<L, T> {
    pub(crate) list: L,
    pub(crate) seen: Vec<T>,
}

pub(crate) trait Changing {
    type Item: Clone + PartialEq + std::fmt::Debug;

    fn items(&self) -> &[Self::Item];
    async fn next(&mut self) -> Option<Vec<Diff<Self::Item>>>;
}

impl Changing for ConversationList {
    type Item = ConversationItem;

    fn items(&self) -> &[ConversationItem] {
        Self::items(self)
    }

    async fn next(&mut self) -> Option<Vec<Diff<ConversationItem>>> {
        Self::next(self).await.expect("the store can be read")
    }
}

impl Changing for Timeline {
    type Item = TimelineItem;

    fn items(&self) -> &[TimelineItem] {
        Self::items(self)
    }

    async fn next(&mut self) -> Option<Vec<Diff<TimelineItem>>> {
        Self::next(self).await.expect("the store can be read")
    }
}

impl<L: Changing> Read<L, L::Item> {
    fn new(list: L) -> Self {
        let seen = list.items().to_vec();
        Self { list, seen }
    }

    /// One step on; what the reader sees is what the list holds.
    pub(crate) async fn step(&mut self) -> Vec<Diff<L::Item>> {
        let diffs = self.list.next().await.expect("the client goes on");
        assert!(!diffs.is_empty(), "a change that changes nothing was told");
        apply_diffs(&mut self.seen, &diffs);
        assert_eq!(self.seen, self.list.items());
        diffs
    }

    /// Takes what has happened so far.
    pub(crate) async fn drain(&mut self) {
        while tokio::time::timeout(Duration::from_millis(300), self.step())
            .await
            .is_ok()
        {}
    }

    /// Leads on until the reader sees what is wanted.
    pub(crate) async fn until(&mut self, what: &str, mut holds: impl FnMut(&[L::Item]) -> bool) {
        patiently(what, async {
            while !holds(&self.seen) {
                self.step().await;
            }
        })
        .await;
    }
}

pub(crate) async fn list(client: &Client) -> Read<ConversationList, ConversationItem> {
    Read::new(
        client
            .conversation_list()
            .await
            .expect("the store can be read"),
    )
}

pub(crate) async fn timeline(client: &Client, id: ConversationId) -> Read<Timeline, TimelineItem> {
    Read::new(client.timeline(id).await.expect("the store can be read"))
}
