//! The conversations, the one with the newest message first.

use ruggine_core::api::conversation::{ConversationKind, ProtectionMode};
use ruggine_core::{ConversationId, Seq, Timestamp, UserId};

use super::diff::{Diff, diff};
use super::timeline::{Body, body};
use crate::client::{Client, Shared};
use crate::event::{ClientEvent, ConnectionState, Events};
use crate::store::{ClientStore, ConversationRecord, StoreResult};

/// Members named where a group has no title.
const NAMES: usize = 3;

/// A conversation in the list.
#[derive(Debug, Clone, PartialEq)]
pub struct ConversationItem {
    /// Which.
    pub id: ConversationId,
    /// What it is.
    pub kind: ConversationKind,
    /// Who can read it.
    pub mode: ProtectionMode,
    /// The title in force; absent without one.
    pub title: Option<String>,
    /// Others in it, at most three, who stand for a title where there is none.
    pub names: Vec<String>,
    /// How many others there are.
    pub others: usize,
    /// The newest message that counts.
    pub newest: Option<Preview>,
    /// Messages of others above the read position.
    pub unread: u32,
    /// Those of them that name the user.
    pub mentions: u32,
    /// Whether the user is still in it.
    pub is_member: bool,
    /// When something that counts happened last; what the list is sorted by.
    pub at: Timestamp,
}

/// The newest message of a conversation.
#[derive(Debug, Clone, PartialEq)]
pub struct Preview {
    /// Its number.
    pub seq: Seq,
    /// Who wrote it.
    pub sender: UserId,
    /// The sender's display name, where known.
    pub sender_name: Option<String>,
    /// What it says.
    pub body: Body,
}

/// The list of conversations.
#[derive(Debug)]
pub struct ConversationList {
    shared: Shared,
    events: Events,
    items: Vec<ConversationItem>,
}

impl Client {
    /// The list of conversations.
    ///
    /// # Errors
    /// When the local store fails.
    pub async fn conversation_list(&self) -> StoreResult<ConversationList> {
        // Listening begins before reading, so that no change falls between.
        let mut list = ConversationList {
            shared: self.shared_handle(),
            events: self.events(),
            items: Vec::new(),
        };
        list.items = list.read().await?;
        Ok(list)
    }
}

impl ConversationList {
    /// The items as they are.
    #[must_use]
    pub fn items(&self) -> &[ConversationItem] {
        &self.items
    }

    /// Waits until something changes and returns how; `None` once the client
    /// is gone. Cancel safe: a change that is not returned is found again.
    ///
    /// # Errors
    /// When the local store fails.
    pub async fn next(&mut self) -> StoreResult<Option<Vec<Diff<ConversationItem>>>> {
        loop {
            let Some(event) = self.events.next().await else {
                return Ok(None);
            };
            if event == ClientEvent::Connection(ConnectionState::Stopped) {
                return Ok(None);
            }
            let concerns = matches!(
                event,
                ClientEvent::Conversation(_) | ClientEvent::Missed | ClientEvent::Login
            );
            if !concerns {
                continue;
            }
            let items = self.read().await?;
            let diffs = diff(&self.items, &items, |item| item.id);
            self.items = items;
            if !diffs.is_empty() {
                return Ok(Some(diffs));
            }
        }
    }

    async fn read(&self) -> StoreResult<Vec<ConversationItem>> {
        self.shared.store_step(read_items).await
    }
}

fn read_items(store: &dyn ClientStore) -> StoreResult<Vec<ConversationItem>> {
    let Some(identity) = store.identity()? else {
        return Ok(Vec::new());
    };
    let me = identity.user.id;
    let mut items = store
        .conversations()?
        .into_iter()
        .map(|record| item(store, record, me))
        .collect::<StoreResult<Vec<_>>>()?;
    items.sort_by_key(|item| std::cmp::Reverse((item.at, item.id)));
    Ok(items)
}

fn item(
    store: &dyn ClientStore,
    record: ConversationRecord,
    me: UserId,
) -> StoreResult<ConversationItem> {
    let members = store.members(record.id)?;
    let others: Vec<String> = members
        .iter()
        .filter(|member| member.user.id != me)
        .map(|member| member.user.display_name.to_string())
        .collect();
    let at = record
        .newest
        .as_ref()
        .map_or(record.created_at, |newest| newest.server_ts);
    let newest = match record.newest {
        None => None,
        Some(newest) => Some(Preview {
            seq: newest.seq,
            sender: newest.sender,
            sender_name: store
                .user(newest.sender)?
                .map(|user| user.display_name.to_string()),
            body: body(newest.kind, newest.payload.as_deref()),
        }),
    };
    Ok(ConversationItem {
        id: record.id,
        kind: record.kind,
        mode: record.mode,
        title: Some(record.title).filter(|title| !title.is_empty()),
        others: others.len(),
        names: others.into_iter().take(NAMES).collect(),
        newest,
        unread: record.unread,
        mentions: record.mentions,
        is_member: record.role.is_some(),
        at,
    })
}
