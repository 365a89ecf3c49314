//! What is never stored: typing and presence.

use std::collections::HashSet;
use std::sync::Arc;

use parking_lot::Mutex;
use ruggine_core::api::Done;
use ruggine_core::api::presence::{Presence, Presences, Query, SetTyping};
use ruggine_core::event::TypingEvent;
use ruggine_core::{ConversationId, ErrorCode, Event, UserId, limits};
use tokio::sync::Notify;

use super::{Caller, Engine, EngineError, EngineResult, Verb};
use crate::bus::{Notice, Topic};
use crate::hub::SharedEvent;

/// Users whose presence may have changed, and what was told of them last.
#[derive(Debug, Default)]
pub(super) struct PresenceBoard {
    changed: Mutex<HashSet<UserId>>,
    online: Mutex<HashSet<UserId>>,
    wake: Notify,
}

impl PresenceBoard {
    pub(super) fn touch(&self, user: UserId) {
        self.changed.lock().insert(user);
        self.wake.notify_one();
    }

    /// What has to be told: each user once, however often they came and went.
    fn take(&self, is_online: impl Fn(UserId) -> bool) -> Vec<Presence> {
        let changed = std::mem::take(&mut *self.changed.lock());
        let mut told = self.online.lock();
        changed
            .into_iter()
            .filter_map(|user| {
                let online = is_online(user);
                let news = if online {
                    told.insert(user)
                } else {
                    told.remove(&user)
                };
                news.then_some(Presence { user, online })
            })
            .collect()
    }
}

impl Engine {
    /// Tells changes of presence, at most once per interval.
    pub(super) async fn run_presence(self) {
        loop {
            tokio::select! {
                () = self.0.presence.wake.notified() => {}
                () = self.0.stopping.cancelled() => return,
            }
            for presence in self.0.presence.take(|user| self.0.hub.is_online(user)) {
                self.tell_presence(presence).await;
            }
            tokio::select! {
                () = tokio::time::sleep(self.0.config.presence_interval) => {}
                () = self.0.stopping.cancelled() => return,
            }
        }
    }

    async fn tell_presence(&self, presence: Presence) {
        let memberships = match self.0.store.memberships(presence.user).await {
            Ok(memberships) => memberships,
            Err(error) => {
                tracing::warn!(%error, "a presence could not be told");
                return;
            }
        };
        let most = self.0.config.presence_members_max;
        let conversations: Vec<ConversationId> = memberships
            .iter()
            .filter(|membership| membership.member_count <= most)
            .map(|membership| membership.conversation)
            .collect();
        let event = Event::Presence(presence);
        self.0.hub.tell_acquaintances(
            &conversations,
            presence.user,
            &Arc::new(SharedEvent::new(event.clone())),
        );
        for conversation in conversations {
            self.publish_ephemeral(conversation, presence.user, event.clone())
                .await;
        }
    }

    /// Tells the members of a conversation something that can be asked for
    /// again. In a large group only the user's own devices hear of it.
    pub(super) async fn tell_members(
        &self,
        conversation: ConversationId,
        user: UserId,
        event: Event,
    ) {
        let shared = Arc::new(SharedEvent::new(event.clone()));
        self.0.hub.tell_user(user, &shared);
        self.publish(
            Topic::User(user),
            Notice::ForUser {
                user,
                event: event.clone(),
            },
        )
        .await;
        if self.is_small(conversation) {
            self.0.hub.broadcast(conversation, user, &shared);
            self.publish_ephemeral(conversation, user, event).await;
        }
    }

    /// Whether members of a conversation are told of each other's presence and
    /// positions. Where nobody of it is here its size is unknown, and others may
    /// still be elsewhere: they judge for themselves.
    pub(super) fn is_small(&self, conversation: ConversationId) -> bool {
        let count = self.0.hub.member_count(conversation);
        count.is_none_or(|count| count <= self.0.config.presence_members_max)
    }

    async fn publish_ephemeral(&self, conversation: ConversationId, except: UserId, event: Event) {
        let notice = Notice::Ephemeral {
            conversation,
            except,
            event,
        };
        self.publish(Topic::Conversation(conversation), notice)
            .await;
    }
}

impl Verb for SetTyping {
    fn conversation(&self) -> Option<ConversationId> {
        Some(self.conversation)
    }

    async fn run(self, engine: &Engine, caller: &Caller) -> EngineResult<Done> {
        let principal = caller.principal()?;
        engine
            .0
            .rates
            .typing
            .check(&(principal.device, self.conversation))?;
        let record = engine
            .conversation_record(self.conversation, principal.user)
            .await?;
        if record.role.is_none() {
            return Err(EngineError::rejected(ErrorCode::ConversationNotFound));
        }
        let event = Event::Typing(TypingEvent {
            conversation: self.conversation,
            user: principal.user,
            active: self.active,
        });
        let shared = Arc::new(SharedEvent::new(event.clone()));
        engine
            .0
            .hub
            .broadcast(self.conversation, principal.user, &shared);
        engine
            .publish_ephemeral(self.conversation, principal.user, event)
            .await;
        Ok(Done {})
    }
}

impl Verb for Query {
    async fn run(self, engine: &Engine, caller: &Caller) -> EngineResult<Presences> {
        let user = caller.principal()?.user;
        if self.users.len() > limits::PRESENCE_QUERY_MAX {
            return Err(EngineError::detailed(ErrorCode::LimitReached, "users"));
        }
        let known = engine
            .0
            .store
            .acquaintances(user, self.users.clone())
            .await?;
        let presences = self
            .users
            .into_iter()
            .filter(|other| *other == user || known.contains(other))
            .map(|user| Presence {
                user,
                online: engine.0.hub.is_online(user),
            })
            .collect();
        Ok(Presences { presences })
    }
}
