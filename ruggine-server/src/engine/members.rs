//! Rosters of managed groups. A change is judged on a view of the roster and
//! written only if the roster is still the one that was judged.

use std::collections::BTreeSet;

use ruggine_core::api::conversation::{ConversationKind, ProtectionMode, Role};
use ruggine_core::api::member::{
    Add, ChangeRole, Leave, List, Member, Members, Remove, RosterChanged,
};
use ruggine_core::content::Notice;
use ruggine_core::policy::{Action, allows};
use ruggine_core::{ConversationId, ErrorCode, UserId, limits};
use tokio::sync::oneshot;

use super::lane::{Job, RosterJob};
use super::{Caller, Engine, EngineError, EngineResult, Verb};
use crate::auth::Principal;
use crate::bus::RosterDelta;
use crate::store::{ChangeRoster, MemberEffect, RosterOutcome, RosterUser, RosterView};

/// How often a change is judged anew when others change the roster meanwhile.
const ATTEMPTS: usize = 8;

/// A change that was judged good, or nothing to do.
type Judged = Option<(Vec<MemberEffect>, Notice)>;

/// The roster as a change sees it.
struct Bench<'a> {
    view: &'a RosterView,
    /// The caller's role.
    role: Role,
}

impl Bench<'_> {
    fn user(&self, id: UserId) -> Option<&RosterUser> {
        self.view.users.iter().find(|user| user.id == id)
    }

    fn role_of(&self, id: UserId) -> EngineResult<Role> {
        self.user(id)
            .and_then(|user| user.role)
            .ok_or(EngineError::rejected(ErrorCode::NotAMember))
    }

    fn demand(&self, action: Action) -> EngineResult<()> {
        if allows(self.role, action) {
            Ok(())
        } else {
            Err(EngineError::rejected(ErrorCode::Forbidden))
        }
    }

    /// A group with `remaining` members keeps an owner when one ceases to be it.
    fn demand_another_owner(&self, ceasing: Role, remaining: u32) -> EngineResult<()> {
        if ceasing == Role::Owner && self.view.owner_count <= 1 && remaining > 0 {
            return Err(EngineError::rejected(ErrorCode::LastOwner));
        }
        Ok(())
    }

    /// Members that are left when one goes.
    const fn remaining(&self) -> u32 {
        self.view.member_count.saturating_sub(1)
    }
}

impl Engine {
    async fn change_roster(
        &self,
        principal: Principal,
        conversation: ConversationId,
        concerned: Vec<UserId>,
        judge: impl Fn(&Bench<'_>) -> EngineResult<Judged> + Send,
    ) -> EngineResult<RosterChanged> {
        let mut users = concerned;
        users.push(principal.user);
        for _ in 0..ATTEMPTS {
            let view = self
                .0
                .store
                .roster_view(conversation, users.clone())
                .await?
                .ok_or(EngineError::rejected(ErrorCode::ConversationNotFound))?;
            let role = view
                .users
                .iter()
                .find(|user| user.id == principal.user)
                .and_then(|user| user.role)
                .ok_or(EngineError::rejected(ErrorCode::ConversationNotFound))?;
            if view.mode != ProtectionMode::Managed || view.kind != ConversationKind::Group {
                return Err(EngineError::rejected(ErrorCode::WrongMode));
            }
            let Some((effects, notice)) = judge(&Bench { view: &view, role })? else {
                let record = self
                    .conversation_record(conversation, principal.user)
                    .await?;
                return Ok(RosterChanged {
                    roster_version: record.roster_version,
                    head: record.head,
                });
            };
            if let Some(changed) = self
                .write_change(principal, conversation, &view, effects, &notice)
                .await?
            {
                return Ok(changed);
            }
        }
        Err(EngineError::Limited {
            code: ErrorCode::Overloaded,
            retry_after: std::time::Duration::from_millis(250),
        })
    }

    /// Writes a change; `None` when the roster had changed before.
    async fn write_change(
        &self,
        principal: Principal,
        conversation: ConversationId,
        view: &RosterView,
        effects: Vec<MemberEffect>,
        notice: &Notice,
    ) -> EngineResult<Option<RosterChanged>> {
        let (row, payload) = self.notice_row(conversation, principal, notice)?;
        let mut delta = RosterDelta {
            member_count: view.member_count,
            ..RosterDelta::default()
        };
        for effect in &effects {
            match effect {
                MemberEffect::Add(user, _) => {
                    delta.added.push(*user);
                    delta.member_count += 1;
                }
                MemberEffect::Remove(user) => {
                    delta.removed.push(*user);
                    delta.member_count = delta.member_count.saturating_sub(1);
                }
                MemberEffect::SetRole(..) => {}
            }
        }
        let (answer, outcome) = oneshot::channel();
        let job = RosterJob {
            change: ChangeRoster {
                expected_version: view.version,
                effects,
                notice: row,
            },
            delta,
            payload,
            answer,
        };
        self.0
            .lanes
            .submit(conversation, Job::Roster(Box::new(job)))?;
        let outcome = outcome
            .await
            .map_err(|_| EngineError::rejected(ErrorCode::Unavailable))??;
        Ok(match outcome {
            RosterOutcome::Changed { seq, version, .. } => Some(RosterChanged {
                roster_version: version,
                head: seq,
            }),
            RosterOutcome::Conflict => None,
        })
    }
}

impl Verb for Add {
    fn conversation(&self) -> Option<ConversationId> {
        Some(self.conversation)
    }

    async fn run(self, engine: &Engine, caller: &Caller) -> EngineResult<RosterChanged> {
        if self.users.len() > limits::MEMBERS_PER_REQUEST {
            return Err(EngineError::detailed(
                ErrorCode::LimitReached,
                "users named at once",
            ));
        }
        let wanted: BTreeSet<UserId> = self.users.into_iter().collect();
        let config = &engine.0.config.limits;
        let judge = |bench: &Bench<'_>| {
            bench.demand(Action::AddMember)?;
            let mut added = Vec::new();
            for id in &wanted {
                let user = bench
                    .user(*id)
                    .ok_or(EngineError::rejected(ErrorCode::UserNotFound))?;
                if user.role.is_some() {
                    continue;
                }
                if user.conversations as usize >= config.conversations_per_user {
                    return Err(EngineError::detailed(
                        ErrorCode::LimitReached,
                        "conversations of one user",
                    ));
                }
                added.push(*id);
            }
            if bench.view.member_count as usize + added.len() > config.group_members {
                return Err(EngineError::detailed(
                    ErrorCode::LimitReached,
                    "members of a group",
                ));
            }
            if added.is_empty() {
                return Ok(None);
            }
            let effects = added
                .iter()
                .map(|user| MemberEffect::Add(*user, Role::Member))
                .collect();
            Ok(Some((effects, Notice::Added { users: added })))
        };
        let concerned = wanted.iter().copied().collect();
        engine
            .change_roster(caller.principal()?, self.conversation, concerned, judge)
            .await
    }
}

impl Verb for Remove {
    fn conversation(&self) -> Option<ConversationId> {
        Some(self.conversation)
    }

    async fn run(self, engine: &Engine, caller: &Caller) -> EngineResult<RosterChanged> {
        let principal = caller.principal()?;
        if self.user == principal.user {
            return Err(EngineError::detailed(
                ErrorCode::InvalidParams,
                "use member.leave to leave",
            ));
        }
        let user = self.user;
        let judge = |bench: &Bench<'_>| {
            // Who may not remove anybody need not learn who is here.
            bench.demand(Action::RemoveMember(Role::Member))?;
            let role = bench.role_of(user)?;
            bench.demand(Action::RemoveMember(role))?;
            bench.demand_another_owner(role, bench.remaining())?;
            Ok(Some((
                vec![MemberEffect::Remove(user)],
                Notice::Removed { user },
            )))
        };
        engine
            .change_roster(principal, self.conversation, vec![user], judge)
            .await
    }
}

impl Verb for Leave {
    fn conversation(&self) -> Option<ConversationId> {
        Some(self.conversation)
    }

    async fn run(self, engine: &Engine, caller: &Caller) -> EngineResult<RosterChanged> {
        let principal = caller.principal()?;
        let judge = |bench: &Bench<'_>| {
            bench.demand(Action::Leave)?;
            bench.demand_another_owner(bench.role, bench.remaining())?;
            Ok(Some((
                vec![MemberEffect::Remove(principal.user)],
                Notice::Left {},
            )))
        };
        engine
            .change_roster(principal, self.conversation, Vec::new(), judge)
            .await
    }
}

impl Verb for ChangeRole {
    fn conversation(&self) -> Option<ConversationId> {
        Some(self.conversation)
    }

    async fn run(self, engine: &Engine, caller: &Caller) -> EngineResult<RosterChanged> {
        let (user, role) = (self.user, self.role);
        let judge = |bench: &Bench<'_>| {
            let before = bench.role_of(user)?;
            bench.demand(Action::ChangeRole(before, role))?;
            if before == role {
                return Ok(None);
            }
            bench.demand_another_owner(before, bench.view.member_count)?;
            Ok(Some((
                vec![MemberEffect::SetRole(user, role)],
                Notice::RoleChanged { user, role },
            )))
        };
        engine
            .change_roster(caller.principal()?, self.conversation, vec![user], judge)
            .await
    }
}

impl Verb for List {
    fn conversation(&self) -> Option<ConversationId> {
        Some(self.conversation)
    }

    async fn run(self, engine: &Engine, caller: &Caller) -> EngineResult<Members> {
        let user = caller.principal()?.user;
        let record = engine.conversation_record(self.conversation, user).await?;
        if record.role.is_none() {
            return Err(EngineError::rejected(ErrorCode::ConversationNotFound));
        }
        let (roster_version, records) = engine
            .0
            .store
            .members(self.conversation, self.after, limits::HEADS_PAGE)
            .await?;
        let next = (records.len() == limits::HEADS_PAGE)
            .then(|| records.last().map(|record| record.user.id))
            .flatten();
        let members = records
            .iter()
            .map(|record| Member {
                user: engine.0.sealer.open_user(&record.user),
                role: record.role,
                from_seq: record.from_seq,
                delivered: record.delivered,
                read: record.read,
            })
            .collect();
        Ok(Members {
            roster_version,
            members,
            next,
        })
    }
}
