//! Conversations: finding, beginning, and working in one.

use ruggine_core::api::conversation::{ConversationKind, Create, Focus, ProtectionMode, Role};
use ruggine_core::api::member::{Add, ChangeRole, Leave, Remove};
use ruggine_core::api::message::{PageRequest, PageStart};
use ruggine_core::api::presence::SetTyping;
use ruggine_core::content::{Content, Text, Title};
use ruggine_core::{ClientMsgId, ConversationId, Seq, UserId};

use super::Client;
use crate::error::{RequestError, SendError};
use crate::event::ClientEvent;
use crate::store::{
    ClientStore, ConversationRecord, MemberRecord, MessageRecord, OutboxRecord, StoreResult,
};
use crate::sync::log_entries;

impl Client {
    /// The conversations that are known here, in no order.
    ///
    /// # Errors
    /// When the local store fails.
    pub async fn conversations(&self) -> StoreResult<Vec<ConversationRecord>> {
        self.shared.store_step(|store| store.conversations()).await
    }

    /// Says which conversation the user has before them. In very large groups
    /// the server tells the others only where the log stands.
    pub async fn focus(&self, conversation: Option<ConversationId>) {
        self.shared.set_focus(conversation);
        // Without a connection it is said when there is one again.
        let _ = self.request(Focus { conversation }).await;
    }

    /// A handle to a conversation, known here or not.
    #[must_use]
    pub fn conversation(&self, id: ConversationId) -> Conversation {
        Conversation {
            client: self.clone(),
            id,
        }
    }

    /// The direct conversation with somebody, begun where there was none.
    ///
    /// # Errors
    /// When there is no connection, or the server refuses.
    pub async fn direct(
        &self,
        peer: UserId,
        mode: ProtectionMode,
    ) -> Result<Conversation, RequestError> {
        self.create(Create {
            kind: ConversationKind::Direct,
            mode,
            members: vec![peer],
            id: None,
        })
        .await
    }

    /// Begins a group. A title is sent as its first message.
    ///
    /// # Errors
    /// When there is no connection, or the server refuses.
    pub async fn group(
        &self,
        members: Vec<UserId>,
        mode: ProtectionMode,
        title: Option<&str>,
    ) -> Result<Conversation, RequestError> {
        let group = self
            .create(Create {
                kind: ConversationKind::Group,
                mode,
                members,
                // Chosen here, so that asking again makes no second group.
                id: Some(ConversationId::new(self.shared.now())),
            })
            .await?;
        if let Some(title) = title {
            let title = Content::Title(Title {
                title: title.to_owned(),
            });
            group.send(title).await.map_err(|error| match error {
                SendError::Store(error) => RequestError::Store(error),
                _ => RequestError::Nonsense("the title is too long"),
            })?;
        }
        Ok(group)
    }

    async fn create(&self, create: Create) -> Result<Conversation, RequestError> {
        let created = self.request(create).await?;
        let id = created.id;
        let recent = self.shared.options().recent;
        self.shared
            .store_step(move |store| store.put_conversation(&created, recent))
            .await?;
        self.shared.emit(ClientEvent::Conversation(id));
        Ok(self.conversation(id))
    }
}

/// A handle to one conversation.
#[derive(Debug, Clone)]
pub struct Conversation {
    client: Client,
    id: ConversationId,
}

impl Conversation {
    /// Which.
    #[must_use]
    pub const fn id(&self) -> ConversationId {
        self.id
    }

    /// What is known of it here.
    ///
    /// # Errors
    /// When the local store fails.
    pub async fn record(&self) -> StoreResult<Option<ConversationRecord>> {
        let id = self.id;
        self.client
            .shared
            .store_step(move |store| store.conversation(id))
            .await
    }

    /// Puts a message into the outbox, on stable storage. From here on it is
    /// sent until the server has it or refuses it for good, across restarts.
    ///
    /// # Errors
    /// When the content breaks a limit, or the local store fails.
    pub async fn send(&self, content: Content) -> Result<ClientMsgId, SendError> {
        let payload = content.to_payload()?;
        let shared = &self.client.shared;
        let (id, now) = (self.id, shared.now());
        let client_msg_id = ClientMsgId::new(now);
        let queued = shared
            .store_step(move |store| {
                if store.identity()?.is_none() {
                    return Ok(Some(SendError::LoggedOut));
                }
                if store.conversation(id)?.is_none() {
                    return Ok(Some(SendError::UnknownConversation));
                }
                store.enqueue(id, client_msg_id, payload, now)?;
                Ok(None)
            })
            .await?;
        if let Some(error) = queued {
            return Err(error);
        }
        shared.emit(ClientEvent::Outbox(id));
        shared.lines().work(shared, id);
        Ok(client_msg_id)
    }

    /// Puts a plain text into the outbox.
    ///
    /// # Errors
    /// As [`Conversation::send`].
    pub async fn send_text(&self, body: impl Into<String>) -> Result<ClientMsgId, SendError> {
        self.send(Text::new(body).into()).await
    }

    /// Kept rows below `before`, newest first.
    ///
    /// # Errors
    /// When the local store fails.
    pub async fn messages(&self, before: Seq, limit: usize) -> StoreResult<Vec<MessageRecord>> {
        let id = self.id;
        self.client
            .shared
            .store_step(move |store| store.messages(id, before, limit))
            .await
    }

    /// Reads a page of rows older than those that are kept; `false` when there
    /// are none.
    ///
    /// # Errors
    /// When there is no connection, or the local store fails.
    pub async fn load_older(&self) -> Result<bool, RequestError> {
        let Some(record) = self.record().await? else {
            return Ok(false);
        };
        if record.floor == Seq::ZERO {
            return Ok(false);
        }
        let page = self
            .client
            .request(PageRequest {
                conversation: self.id,
                from: PageStart::Before(record.floor.next()),
                limit: None,
                as_content: false,
            })
            .await?;
        let (id, me) = (self.id, self.client.identity().await?.map(|me| me.user.id));
        let ours = self
            .client
            .shared
            .store_step(ClientStore::incarnation)
            .await?;
        if ours != Some(page.incarnation) {
            return Err(RequestError::Nonsense("the server serves another log"));
        }
        let entries = log_entries(&page, me);
        if entries.is_empty() {
            return Ok(false);
        }
        self.client
            .shared
            .store_step(move |store| store.apply_older(id, &entries))
            .await?;
        self.client.shared.emit(ClientEvent::Conversation(id));
        Ok(true)
    }

    /// Messages of the outbox, oldest first.
    ///
    /// # Errors
    /// When the local store fails.
    pub async fn outbox(&self) -> StoreResult<Vec<OutboxRecord>> {
        let id = self.id;
        self.client
            .shared
            .store_step(move |store| store.line(id))
            .await
    }

    /// Sends a message that failed once more; `false` when it has not failed.
    ///
    /// # Errors
    /// When the local store fails.
    pub async fn retry(&self, client_msg_id: ClientMsgId) -> StoreResult<bool> {
        let id = self.id;
        let shared = &self.client.shared;
        let again = shared
            .store_step(move |store| store.retry(id, client_msg_id))
            .await?;
        if again {
            shared.emit(ClientEvent::Outbox(id));
            shared.lines().work(shared, id);
        }
        Ok(again)
    }

    /// Gives up a message that failed; `false` when it has not failed.
    ///
    /// # Errors
    /// When the local store fails.
    pub async fn discard(&self, client_msg_id: ClientMsgId) -> StoreResult<bool> {
        let id = self.id;
        let shared = &self.client.shared;
        let gone = shared
            .store_step(move |store| store.discard(id, client_msg_id))
            .await?;
        if gone {
            shared.emit(ClientEvent::Outbox(id));
        }
        Ok(gone)
    }

    /// Notes that the user has read up to a number. The server is told now, or
    /// when there is a connection again.
    ///
    /// # Errors
    /// When the local store fails.
    pub async fn mark_read(&self, seq: Seq) -> StoreResult<()> {
        let id = self.id;
        let shared = &self.client.shared;
        let moved = shared
            .store_step(move |store| store.set_read(id, seq))
            .await?;
        if moved {
            shared.emit(ClientEvent::Conversation(id));
            shared.note_receipt();
        }
        Ok(())
    }

    /// The members, as known here.
    ///
    /// # Errors
    /// When the local store fails.
    pub async fn members(&self) -> StoreResult<Vec<MemberRecord>> {
        let id = self.id;
        self.client
            .shared
            .store_step(move |store| store.members(id))
            .await
    }

    /// Adds users to the group.
    ///
    /// # Errors
    /// When there is no connection, or the server refuses.
    pub async fn add(&self, users: Vec<UserId>) -> Result<(), RequestError> {
        let conversation = self.id;
        self.client
            .request(Add {
                conversation,
                users,
            })
            .await?;
        Ok(())
    }

    /// Removes a user from the group.
    ///
    /// # Errors
    /// When there is no connection, or the server refuses.
    pub async fn remove(&self, user: UserId) -> Result<(), RequestError> {
        let conversation = self.id;
        self.client.request(Remove { conversation, user }).await?;
        Ok(())
    }

    /// Gives a member another role.
    ///
    /// # Errors
    /// When there is no connection, or the server refuses.
    pub async fn change_role(&self, user: UserId, role: Role) -> Result<(), RequestError> {
        let conversation = self.id;
        self.client
            .request(ChangeRole {
                conversation,
                user,
                role,
            })
            .await?;
        Ok(())
    }

    /// Leaves the group.
    ///
    /// # Errors
    /// When there is no connection, or the server refuses.
    pub async fn leave(&self) -> Result<(), RequestError> {
        let conversation = self.id;
        self.client.request(Leave { conversation }).await?;
        Ok(())
    }

    /// Tells the others that the user is typing, or has stopped.
    ///
    /// # Errors
    /// When there is no connection, or it was told a moment ago.
    pub async fn set_typing(&self, active: bool) -> Result<(), RequestError> {
        let conversation = self.id;
        self.client
            .request(SetTyping {
                conversation,
                active,
            })
            .await?;
        Ok(())
    }
}
