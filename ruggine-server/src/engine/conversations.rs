//! Conversations: creating, listing, showing.

use std::collections::BTreeSet;

use ruggine_core::api::Done;
use ruggine_core::api::conversation::{
    Conversation, ConversationKind, Conversations, Create, Focus, Get, List, ProtectionMode, Role,
};
use ruggine_core::api::message::RowKind;
use ruggine_core::content::Notice;
use ruggine_core::{Blob, ClientMsgId, ConversationId, ErrorCode, UserId, limits};
use tokio::sync::oneshot;

use super::lane::Job;
use super::{Caller, Engine, EngineError, EngineResult, Verb};
use crate::auth::Principal;
use crate::store::{ConversationRecord, CreateConversation, NewConversation, NewRow};

impl Engine {
    /// The row of a notice, and its payload.
    pub(super) fn notice_row(
        &self,
        conversation: ConversationId,
        principal: Principal,
        notice: &Notice,
    ) -> EngineResult<(NewRow, Blob)> {
        let now = self.0.clock.now();
        let payload = Blob::from(notice.to_payload());
        let client_msg_id = ClientMsgId::new(now);
        let sealed = self
            .0
            .sealer
            .seal_row(
                conversation,
                client_msg_id,
                principal.user,
                principal.device,
                now,
                RowKind::System,
                &payload,
            )
            .map_err(EngineError::internal)?;
        let row = NewRow {
            conversation,
            kind: RowKind::System,
            sender: principal.user,
            device: principal.device,
            client_msg_id,
            epoch: None,
            server_ts: now,
            key_id: sealed.key_id,
            body: sealed.body,
            write_counter: None,
            counter_floor: None,
        };
        Ok((row, payload))
    }

    pub(super) async fn conversation_record(
        &self,
        id: ConversationId,
        user: UserId,
    ) -> EngineResult<ConversationRecord> {
        self.0
            .store
            .conversation(id, user)
            .await?
            .ok_or(EngineError::rejected(ErrorCode::ConversationNotFound))
    }

    /// The conversation that a request to create one would return as it is.
    async fn existing(
        &self,
        user: UserId,
        kind: ConversationKind,
        id: Option<ConversationId>,
        others: &BTreeSet<UserId>,
    ) -> EngineResult<Option<ConversationRecord>> {
        if let (ConversationKind::Group, Some(id)) = (kind, id) {
            let known = self.0.store.conversation(id, user).await?;
            return Ok(known.filter(|record| {
                record.creator == user
                    && record.kind == kind
                    && record.mode == ProtectionMode::Managed
            }));
        }
        let mut after = None;
        loop {
            let page = self
                .0
                .store
                .conversations(user, after, limits::HEADS_PAGE)
                .await?;
            after = page.last().map(|record| record.id);
            let found = page.into_iter().find(|record| {
                kind == ConversationKind::Direct
                    && record.mode == ProtectionMode::Managed
                    && record.peer.is_some_and(|peer| others.contains(&peer))
            });
            if found.is_some() || after.is_none() {
                return Ok(found);
            }
        }
    }

    /// Every user exists and has room for one more conversation.
    async fn check_room(&self, users: &BTreeSet<UserId>) -> EngineResult<()> {
        let counts = self
            .0
            .store
            .conversation_counts(users.iter().copied().collect())
            .await?;
        if counts.len() < users.len() {
            return Err(EngineError::rejected(ErrorCode::UserNotFound));
        }
        let most = self.0.config.limits.conversations_per_user;
        if counts.iter().any(|(_, count)| *count as usize >= most) {
            return Err(EngineError::detailed(
                ErrorCode::LimitReached,
                "conversations of one user",
            ));
        }
        Ok(())
    }
}

impl Verb for Create {
    async fn run(self, engine: &Engine, caller: &Caller) -> EngineResult<Conversation> {
        let principal = caller.principal()?;
        if self.mode != ProtectionMode::Managed {
            return Err(EngineError::detailed(
                ErrorCode::WrongMode,
                "this server offers managed conversations only",
            ));
        }
        if self.members.len() > limits::MEMBERS_PER_REQUEST {
            return Err(EngineError::detailed(
                ErrorCode::LimitReached,
                "members named at once",
            ));
        }
        let others: BTreeSet<UserId> = self
            .members
            .into_iter()
            .filter(|user| *user != principal.user)
            .collect();
        let creator_role = match self.kind {
            ConversationKind::Direct if others.len() == 1 => Role::Member,
            ConversationKind::Direct => {
                return Err(EngineError::detailed(
                    ErrorCode::InvalidParams,
                    "a direct conversation has exactly one other member",
                ));
            }
            ConversationKind::Group => Role::Owner,
            _ => return Err(EngineError::detailed(ErrorCode::InvalidParams, "kind")),
        };
        let mut everybody = others.clone();
        everybody.insert(principal.user);
        if everybody.len() > engine.0.config.limits.group_members {
            return Err(EngineError::detailed(
                ErrorCode::LimitReached,
                "members of a group",
            ));
        }
        if let Err(error) = engine.check_room(&everybody).await {
            // What exists takes no room.
            let existing = match error.code() {
                ErrorCode::LimitReached => {
                    engine
                        .existing(principal.user, self.kind, self.id, &others)
                        .await?
                }
                _ => None,
            };
            return existing.map(|record| shown(&record)).ok_or(error);
        }

        let id = self
            .id
            .filter(|_| self.kind == ConversationKind::Group)
            .unwrap_or_else(|| ConversationId::new(engine.0.clock.now()));
        let mut members = vec![(principal.user, creator_role)];
        members.extend(others.into_iter().map(|user| (user, Role::Member)));
        let (notice, payload) = engine.notice_row(
            id,
            principal,
            &Notice::Created {
                kind: self.kind,
                members: members.iter().map(|(user, _)| *user).collect(),
            },
        )?;
        let new = NewConversation {
            id,
            kind: self.kind,
            mode: self.mode,
            members,
            notice,
        };
        let (answer, outcome) = oneshot::channel();
        engine
            .0
            .lanes
            .submit(id, Job::Create(Box::new(new), payload, answer))?;
        let outcome = outcome
            .await
            .map_err(|_| EngineError::rejected(ErrorCode::Unavailable))??;
        let id = match outcome {
            CreateConversation::Created { .. } => id,
            CreateConversation::Existed(id) => id,
            CreateConversation::IdTaken => {
                return Err(EngineError::rejected(ErrorCode::ConversationExists));
            }
        };
        engine
            .conversation_record(id, principal.user)
            .await
            .map(|record| shown(&record))
    }
}

impl Verb for Get {
    fn conversation(&self) -> Option<ConversationId> {
        Some(self.conversation)
    }

    async fn run(self, engine: &Engine, caller: &Caller) -> EngineResult<Conversation> {
        let user = caller.principal()?.user;
        engine
            .conversation_record(self.conversation, user)
            .await
            .map(|record| shown(&record))
    }
}

impl Verb for Focus {
    async fn run(self, engine: &Engine, caller: &Caller) -> EngineResult<Done> {
        let principal = caller.principal()?;
        engine
            .0
            .hub
            .focus(principal.user, principal.session, self.conversation);
        Ok(Done {})
    }
}

impl Verb for List {
    async fn run(self, engine: &Engine, caller: &Caller) -> EngineResult<Conversations> {
        let user = caller.principal()?.user;
        let records = engine
            .0
            .store
            .conversations(user, self.after, limits::HEADS_PAGE)
            .await?;
        let next = (records.len() == limits::HEADS_PAGE)
            .then(|| records.last().map(|record| record.id))
            .flatten();
        Ok(Conversations {
            conversations: records.iter().map(shown).collect(),
            next,
        })
    }
}

const fn shown(record: &ConversationRecord) -> Conversation {
    Conversation {
        id: record.id,
        kind: record.kind,
        mode: record.mode,
        created_at: record.created_at,
        head: record.head,
        roster_version: record.roster_version,
        member_count: record.member_count,
        role: record.role,
        own_read: record.own_read,
        peer: record.peer,
    }
}
