//! Sessions: refreshing, listing, ending.

use ruggine_core::api::Done;
use ruggine_core::api::session::{List, LogOut, Refresh, Revoke, Session, Sessions, Tokens};
use ruggine_core::{ErrorCode, SessionId, UserId};

use super::{Caller, Engine, EngineError, EngineResult, Verb};
use crate::auth::AuthError;
use crate::bus::{Notice, Topic};

impl Engine {
    /// Closes a session's sockets here and on every other instance.
    async fn end_session(&self, user: UserId, session: SessionId) {
        self.0.hub.close_session(user, session);
        self.publish(Topic::User(user), Notice::SessionRevoked { user, session })
            .await;
    }

    async fn revoke(&self, user: UserId, session: SessionId) -> EngineResult<bool> {
        let revoked = self
            .0
            .store
            .revoke_session(user, session, self.0.clock.now())
            .await?;
        self.end_session(user, session).await;
        Ok(revoked)
    }
}

impl Verb for Refresh {
    async fn run(self, engine: &Engine, _: &Caller) -> EngineResult<Tokens> {
        match engine.0.authenticator.refresh(self).await {
            Ok(tokens) => Ok(tokens),
            Err(error) => {
                if let AuthError::TokenReused { user, session } = &error {
                    tracing::warn!(%user, %session, "a refresh token was used again: session revoked");
                    engine.end_session(*user, *session).await;
                }
                Err(error.into())
            }
        }
    }
}

impl Verb for LogOut {
    async fn run(self, engine: &Engine, caller: &Caller) -> EngineResult<Done> {
        let principal = caller.principal()?;
        engine.revoke(principal.user, principal.session).await?;
        Ok(Done {})
    }
}

impl Verb for List {
    async fn run(self, engine: &Engine, caller: &Caller) -> EngineResult<Sessions> {
        let principal = caller.principal()?;
        let records = engine
            .0
            .store
            .sessions(principal.user, engine.0.clock.now())
            .await?;
        let sessions = records
            .into_iter()
            .map(|record| Session {
                id: record.id,
                device: record.device,
                device_name: record.device_name,
                created_at: record.created_at,
                last_seen_at: record.last_seen_at,
                current: record.id == principal.session,
            })
            .collect();
        Ok(Sessions { sessions })
    }
}

impl Verb for Revoke {
    async fn run(self, engine: &Engine, caller: &Caller) -> EngineResult<Done> {
        let user = caller.principal()?.user;
        if engine.revoke(user, self.session).await? {
            Ok(Done {})
        } else {
            Err(EngineError::rejected(ErrorCode::SessionNotFound))
        }
    }
}
