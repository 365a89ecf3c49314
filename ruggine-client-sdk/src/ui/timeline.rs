//! A conversation as it is read: the newest rows that are kept, and below them
//! what this device is sending.

use ruggine_core::api::message::RowKind;
use ruggine_core::content::{Content, Notice, Text};
use ruggine_core::{ClientMsgId, ConversationId, DeviceId, ErrorCode, Seq, Timestamp, UserId};

use super::diff::{Diff, diff};
use crate::client::{Client, Shared};
use crate::error::RequestError;
use crate::event::{ClientEvent, ConnectionState, Events};
use crate::store::{
    ClientStore, MemberRecord, MessageRecord, OutboxRecord, SendProgress, StoreResult,
};

/// Rows shown at first, and added by each look further back.
const WINDOW: usize = 50;

/// Names an item for as long as it is shown, from its local echo on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ItemKey {
    /// The device that wrote it.
    pub device: DeviceId,
    /// The sender's id for it.
    pub client_msg_id: ClientMsgId,
}

/// A row of a timeline.
#[derive(Debug, Clone, PartialEq)]
pub struct TimelineItem {
    /// Its name.
    pub key: ItemKey,
    /// Its number; absent while the server does not have it.
    pub seq: Option<Seq>,
    /// Who wrote it.
    pub sender: UserId,
    /// The sender's display name, where known.
    pub sender_name: Option<String>,
    /// Whether the user of this client wrote it.
    pub is_own: bool,
    /// When the server took it, or when it was written here.
    pub at: Timestamp,
    /// What it says.
    pub body: Body,
    /// How far it is.
    pub state: SendState,
}

/// What an item says.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Body {
    /// Something written.
    Text(Text),
    /// A change of the title; empty removes it.
    Title(String),
    /// A change of the roster.
    Notice(Notice),
    /// The server could not open its record.
    Undecryptable,
    /// A kind that this build does not know, or no valid content.
    Unsupported,
}

/// How far a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendState {
    /// Somebody else's.
    Received,
    /// On this device only; it is being sent.
    Sending,
    /// The server refused it for good.
    Failed(ErrorCode),
    /// On the server's stable storage.
    Sent,
    /// On a device of every other member.
    Delivered,
    /// Read by every other member.
    Read,
}

/// The timeline of one conversation.
#[derive(Debug)]
pub struct Timeline {
    client: Client,
    shared: Shared,
    id: ConversationId,
    events: Events,
    window: usize,
    items: Vec<TimelineItem>,
}

impl Client {
    /// The timeline of a conversation.
    ///
    /// # Errors
    /// When the local store fails.
    pub async fn timeline(&self, id: ConversationId) -> StoreResult<Timeline> {
        // Listening begins before reading, so that no change falls between.
        let mut timeline = Timeline {
            client: self.clone(),
            shared: self.shared_handle(),
            id,
            events: self.events(),
            window: WINDOW,
            items: Vec::new(),
        };
        timeline.items = timeline.read().await?;
        Ok(timeline)
    }
}

impl Timeline {
    /// The items as they are, oldest first.
    #[must_use]
    pub fn items(&self) -> &[TimelineItem] {
        &self.items
    }

    /// Waits until something changes and returns how; `None` once the client
    /// is gone. Cancel safe: a change that is not returned is found again.
    ///
    /// # Errors
    /// When the local store fails.
    pub async fn next(&mut self) -> StoreResult<Option<Vec<Diff<TimelineItem>>>> {
        loop {
            let Some(event) = self.events.next().await else {
                return Ok(None);
            };
            if event == ClientEvent::Connection(ConnectionState::Stopped) {
                return Ok(None);
            }
            if self.concerns(&event) {
                let diffs = self.refresh().await?;
                if !diffs.is_empty() {
                    return Ok(Some(diffs));
                }
            }
        }
    }

    /// Looks further back, at rows that are kept or at the server's; what
    /// changed. Nothing at the beginning of the conversation.
    ///
    /// # Errors
    /// When there is no connection and what is kept has been shown.
    pub async fn look_back(&mut self) -> Result<Vec<Diff<TimelineItem>>, RequestError> {
        self.window += WINDOW;
        let kept = self.refresh().await?;
        if !kept.is_empty() {
            return Ok(kept);
        }
        self.client.conversation(self.id).load_older().await?;
        Ok(self.refresh().await?)
    }

    fn concerns(&self, event: &ClientEvent) -> bool {
        match event {
            ClientEvent::Message { conversation, .. }
            | ClientEvent::Acknowledged { conversation, .. }
            | ClientEvent::SendFailed { conversation, .. }
            | ClientEvent::Receipt { conversation, .. }
            | ClientEvent::Conversation(conversation)
            | ClientEvent::Outbox(conversation) => *conversation == self.id,
            ClientEvent::Missed | ClientEvent::Login => true,
            _ => false,
        }
    }

    async fn refresh(&mut self) -> StoreResult<Vec<Diff<TimelineItem>>> {
        let items = self.read().await?;
        let diffs = diff(&self.items, &items, |item| item.key);
        self.items = items;
        Ok(diffs)
    }

    async fn read(&self) -> StoreResult<Vec<TimelineItem>> {
        let (id, window) = (self.id, self.window);
        self.shared
            .store_step(move |store| read_items(store, id, window))
            .await
    }
}

fn read_items(
    store: &dyn ClientStore,
    id: ConversationId,
    window: usize,
) -> StoreResult<Vec<TimelineItem>> {
    let Some(identity) = store.identity()? else {
        return Ok(Vec::new());
    };
    let me = identity.user.id;
    let members = store.members(id)?;
    // The line first: a message that leaves it meanwhile is in the log then.
    let line = store.line(id)?;
    let mut items: Vec<TimelineItem> = Vec::new();
    for message in store.messages(id, Seq::MAX, window)?.into_iter().rev() {
        let name = match members
            .iter()
            .find(|member| member.user.id == message.sender)
        {
            Some(member) => Some(member.user.display_name.to_string()),
            None => store
                .user(message.sender)?
                .map(|user| user.display_name.to_string()),
        };
        items.push(kept_item(&message, me, name, &members));
    }
    let own_name = identity.user.display_name.to_string();
    for waiting in line {
        let echo = outbox_item(&waiting, me, identity.device, own_name.clone());
        if !items.iter().any(|item| item.key == echo.key) {
            items.push(echo);
        }
    }
    Ok(items)
}

fn kept_item(
    message: &MessageRecord,
    me: UserId,
    sender_name: Option<String>,
    members: &[MemberRecord],
) -> TimelineItem {
    let is_own = message.sender == me;
    let others = || members.iter().filter(|member| member.user.id != me);
    let state = if !is_own {
        SendState::Received
    } else if others().next().is_none() {
        SendState::Sent
    } else if others().all(|member| member.read >= message.seq) {
        SendState::Read
    } else if others().all(|member| member.delivered >= message.seq) {
        SendState::Delivered
    } else {
        SendState::Sent
    };
    TimelineItem {
        key: ItemKey {
            device: message.device,
            client_msg_id: message.client_msg_id,
        },
        seq: Some(message.seq),
        sender: message.sender,
        sender_name,
        is_own,
        at: message.server_ts,
        body: body(message.kind, message.payload.as_deref()),
        state,
    }
}

fn outbox_item(
    message: &OutboxRecord,
    me: UserId,
    device: DeviceId,
    sender_name: String,
) -> TimelineItem {
    let (seq, at, state) = match message.progress {
        SendProgress::Waiting => (None, message.created_at, SendState::Sending),
        SendProgress::Acknowledged(seq, at) => (Some(seq), at, SendState::Sent),
        SendProgress::Failed(code) => (None, message.created_at, SendState::Failed(code)),
    };
    TimelineItem {
        key: ItemKey {
            device,
            client_msg_id: message.client_msg_id,
        },
        seq,
        sender: me,
        sender_name: Some(sender_name),
        is_own: true,
        at,
        body: body(RowKind::Message, Some(&message.payload)),
        state,
    }
}

pub(super) fn body(kind: RowKind, payload: Option<&[u8]>) -> Body {
    let Some(payload) = payload else {
        return Body::Undecryptable;
    };
    match kind {
        RowKind::System => Notice::from_payload(payload).map_or(Body::Unsupported, Body::Notice),
        RowKind::Message => match Content::from_payload(payload) {
            Ok(Content::Text(text)) => Body::Text(text),
            Ok(Content::Title(title)) => Body::Title(title.title),
            _ => Body::Unsupported,
        },
        _ => Body::Unsupported,
    }
}
