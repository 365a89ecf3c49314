//! Reading one conversation: what the server says of it, its members, and its rows
//! up to its head.

use ruggine_core::api::conversation::Get;
use ruggine_core::api::member::List as MemberList;
use ruggine_core::api::message::{PageRequest, PageStart};
use ruggine_core::{ConversationId, Incarnation, UserId};

use super::Done;
use super::applying::apply;
use super::entries::log_entries;
use crate::client::Shared;
use crate::error::RequestError;
use crate::event::ClientEvent;
use crate::store::Applied;

/// Reading one conversation up to its head.
pub(super) struct Pull {
    pub(super) shared: Shared,
    pub(super) id: ConversationId,
    pub(super) me: Option<UserId>,
    pub(super) incarnation: Option<Incarnation>,
    /// A roster at least this new is wanted.
    pub(super) roster_version: u64,
    pub(super) generation: u64,
}

impl Pull {
    pub(super) async fn run(self) -> Done {
        let result = self.pull().await;
        Done::Pulled(self.generation, self.id, result)
    }

    async fn pull(&self) -> Result<(), RequestError> {
        let id = self.id;
        self.refresh().await?;
        loop {
            let record = self
                .shared
                .store_step(move |store| store.conversation(id))
                .await?
                .ok_or(RequestError::Nonsense("a conversation vanished"))?;
            let page = self
                .shared
                .link()
                .request(PageRequest {
                    conversation: id,
                    from: PageStart::After(record.cursor),
                    limit: None,
                    as_content: false,
                })
                .await?;
            if Some(page.incarnation) != self.incarnation {
                self.shared.note_fault();
                return Err(RequestError::Nonsense("the server serves another log"));
            }
            let entries = log_entries(&page, self.me);
            if entries.is_empty() {
                return Ok(());
            }
            match apply(&self.shared, id, entries).await? {
                Applied::Advanced { from, to } if to > from && to < page.head => {}
                Applied::Advanced { .. } => return Ok(()),
                Applied::Gap(_) | Applied::Unknown => {
                    return Err(RequestError::Nonsense("a page does not continue the log"));
                }
            }
        }
    }

    /// What the server says of the conversation, and its members where they
    /// are not known yet or have changed.
    async fn refresh(&self) -> Result<(), RequestError> {
        let id = self.id;
        let known = self
            .shared
            .store_step(move |store| store.conversation(id))
            .await?;
        let fresh = known.is_some_and(|record| {
            record.members_version >= self.roster_version.max(record.roster_version)
                && record.members_version > 0
        });
        if fresh {
            return Ok(());
        }
        let conversation = self.shared.link().request(Get { conversation: id }).await?;
        let (recent, is_member) = (self.shared.options().recent, conversation.role.is_some());
        let version = conversation.roster_version;
        self.shared
            .store_step(move |store| store.put_conversation(&conversation, recent))
            .await?;
        if is_member {
            self.refresh_members().await?;
        } else {
            // Who left sees no roster; the last known one stays.
            let members = Vec::new();
            self.shared
                .store_step(move |store| store.put_members(id, version, &members))
                .await?;
        }
        self.shared.emit(ClientEvent::Conversation(id));
        Ok(())
    }

    async fn refresh_members(&self) -> Result<(), RequestError> {
        let id = self.id;
        let mut members = Vec::new();
        let mut after = None;
        let mut version = 0;
        loop {
            let page = self
                .shared
                .link()
                .request(MemberList {
                    conversation: id,
                    after,
                })
                .await?;
            members.extend(page.members);
            version = page.roster_version.max(version);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        self.shared
            .store_step(move |store| store.put_members(id, version, &members))
            .await?;
        Ok(())
    }
}
