//! What is never stored: typing and presence.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use ruggine_core::api::Done;
use ruggine_core::api::presence::{Presence, Presences, Query, SetTyping};
use ruggine_core::event::TypingEvent;
use ruggine_core::{ConversationId, ErrorCode, Event, UserId, limits};
use tokio::sync::Notify;

use super::{Caller, Engine, EngineError, EngineResult, Verb};
use crate::bus::{Audience, LEASE, Notice, Topic};
use crate::hub::SharedEvent;

/// How often leases are renewed: twice within each.
const RENEWAL: Duration = LEASE.saturating_sub(Duration::from_secs(35));
/// Users named in one renewal.
const LEASED_TOGETHER: usize = 500;

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

    /// Says again who is online here before the word of it ends.
    pub(super) async fn run_leases(self) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(RENEWAL) => {}
                () = self.0.stopping.cancelled() => return,
            }
            for users in self.0.hub.online().chunks(LEASED_TOGETHER) {
                // The next renewal may go through.
                if let Err(error) = self.0.bus.lease(self.0.instance, users.to_vec()).await {
                    tracing::debug!(%error, "who is online here could not be said again");
                }
            }
        }
    }

    /// Takes back that anybody is online here.
    pub(super) async fn release_presence(&self) {
        let online: Vec<UserId> = self.0.presence.online.lock().drain().collect();
        for users in online.chunks(LEASED_TOGETHER) {
            // Without the bus the word ends by itself.
            let _ = self.0.bus.release(self.0.instance, users.to_vec()).await;
        }
    }

    /// Notes a change of presence for other instances; `false` when the user is
    /// still online on one of them.
    async fn note_presence(&self, presence: Presence) -> bool {
        let users = vec![presence.user];
        if presence.online {
            let noted = self.0.bus.lease(self.0.instance, users).await;
            if let Err(error) = noted {
                tracing::debug!(%error, "other instances were not told who is online here");
            }
            return true;
        }
        // Without the bus, this instance tells what it knows.
        if self
            .0
            .bus
            .release(self.0.instance, users.clone())
            .await
            .is_err()
        {
            return true;
        }
        let held = self.0.bus.leased(users).await;
        held.map_or(true, |held| held.is_empty())
    }

    async fn tell_presence(&self, presence: Presence) {
        if !self.note_presence(presence).await {
            return;
        }
        let memberships = match self.0.store.memberships(presence.user).await {
            Ok(memberships) => memberships,
            Err(error) => {
                tracing::warn!(%error, "a presence could not be told");
                return;
            }
        };
        let most = self.0.config.presence_members_max;
        let audiences: Vec<Audience> = memberships
            .iter()
            .filter(|membership| membership.member_count <= most)
            .map(|membership| Audience {
                conversation: membership.conversation,
                roster_version: membership.roster_version,
                except: presence.user,
            })
            .collect();
        let event = Event::Presence(presence);
        let shared = Arc::new(SharedEvent::new(event.clone()));
        for outdated in self.0.hub.tell_acquaintances(&audiences, &shared) {
            self.begin_repair(outdated);
        }
        for to in audiences {
            self.publish_ephemeral(to, event.clone()).await;
        }
    }

    /// Tells the members of a conversation something that can be asked for
    /// again. In a large group only the user's own devices hear of it.
    pub(super) async fn tell_members(&self, to: Audience, event: Event) {
        let user = to.except;
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
        if self.is_small(to.conversation) {
            self.broadcast(&to, &shared);
            self.publish_ephemeral(to, event).await;
        }
    }

    /// Whether members of a conversation are told of each other's presence and
    /// positions. Where nobody of it is here its size is unknown, and others may
    /// still be elsewhere: they judge for themselves.
    pub(super) fn is_small(&self, conversation: ConversationId) -> bool {
        let count = self.0.hub.member_count(conversation);
        count.is_none_or(|count| count <= self.0.config.presence_members_max)
    }

    async fn publish_ephemeral(&self, to: Audience, event: Event) {
        let topic = Topic::Conversation(to.conversation);
        self.publish(topic, Notice::Ephemeral { to, event }).await;
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
        let to = Audience {
            conversation: self.conversation,
            roster_version: record.roster_version,
            except: principal.user,
        };
        engine.broadcast(&to, &Arc::new(SharedEvent::new(event.clone())));
        engine.publish_ephemeral(to, event).await;
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
        let asked: Vec<UserId> = self
            .users
            .into_iter()
            .filter(|other| *other == user || known.contains(other))
            .collect();
        let elsewhere: Vec<UserId> = asked
            .iter()
            .copied()
            .filter(|user| !engine.0.hub.is_online(*user))
            .collect();
        // Without the bus, this instance tells what it knows.
        let elsewhere = match elsewhere.is_empty() {
            true => HashSet::new(),
            false => engine.0.bus.leased(elsewhere).await.unwrap_or_default(),
        };
        let presences = asked
            .into_iter()
            .map(|user| Presence {
                user,
                online: engine.0.hub.is_online(user) || elsewhere.contains(&user),
            })
            .collect();
        Ok(Presences { presences })
    }
}
