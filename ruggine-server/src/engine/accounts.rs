//! Registering, logging in, finding somebody.

use ruggine_core::ErrorCode;
use ruggine_core::api::account::{LogIn, Login, LookUp, Register, User};
use ruggine_core::name::Username;

use super::{Caller, Engine, EngineError, EngineResult, Verb};
use crate::auth::AuthError;

impl Verb for Register {
    async fn run(self, engine: &Engine, caller: &Caller) -> EngineResult<Login> {
        engine.0.rates.registrations.check(&caller.address)?;
        Ok(engine.0.authenticator.register(self).await?)
    }
}

impl Verb for LogIn {
    async fn run(self, engine: &Engine, caller: &Caller) -> EngineResult<Login> {
        engine.0.rates.logins.check(&caller.address)?;
        // Only texts that can be usernames are remembered: nothing else has an
        // account to protect, and what a stranger types is not kept.
        let account = self.username.parse::<Username>().ok();
        let failures = &engine.0.rates.failures;
        if let Some(account) = &account {
            failures.attempt(account.as_str(), engine.0.clock.now())?;
        }
        let result = engine.0.authenticator.log_in(self).await;
        if let Some(account) = &account {
            match &result {
                Ok(_) => failures.succeeded(account.as_str()),
                Err(AuthError::InvalidCredentials) => {}
                Err(_) => failures.withdrawn(account.as_str(), engine.0.clock.now()),
            }
        }
        Ok(result?)
    }
}

impl Verb for LookUp {
    async fn run(self, engine: &Engine, caller: &Caller) -> EngineResult<User> {
        caller.principal()?;
        let not_found = || EngineError::rejected(ErrorCode::UserNotFound);
        let username: Username = self.username.parse().map_err(|_| not_found())?;
        let record = engine
            .0
            .store
            .user_by_name(username)
            .await?
            .ok_or_else(not_found)?;
        Ok(engine.0.sealer.open_user(&record))
    }
}
