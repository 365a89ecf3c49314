//! Accounts with a password, sessions with opaque tokens.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ruggine_core::api::account::{LogIn, Login, Register, User};
use ruggine_core::api::session::{Refresh, Tokens};
use ruggine_core::name::{DisplayName, Username};
use ruggine_core::secret::SecretText;
use ruggine_core::{Clock, DeviceId, SessionId, UserId};
use ruggine_crypto::password;
use ruggine_crypto::token::{self, TokenKind};
use tokio::sync::Semaphore;

use super::{AuthError, Authenticator, Principal, password_policy};
use crate::config::EngineConfig;
use crate::sealing::Sealer;
use crate::store::{
    CreateUser, LoginDevice, NewSession, NewToken, NewTokens, NewUser, OpenSession, RotateTokens,
    Rotated, Store,
};

const DEVICE_NAME: &str = "unnamed device";

/// Passwords hashed with Argon2id, sessions in the store.
#[derive(Debug)]
pub struct PasswordAuthenticator {
    store: Arc<dyn Store>,
    sealer: Arc<Sealer>,
    clock: Arc<dyn Clock>,
    access_lifetime: Duration,
    refresh_lifetime: Duration,
    hashing: Hashing,
}

impl PasswordAuthenticator {
    /// An authenticator over this store.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        sealer: Arc<Sealer>,
        clock: Arc<dyn Clock>,
        config: &EngineConfig,
    ) -> Self {
        let permits = match config.limits.hashing_permits {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            permits => permits,
        };
        Self {
            store,
            sealer,
            clock,
            access_lifetime: config.access_lifetime,
            refresh_lifetime: config.refresh_lifetime,
            hashing: Hashing {
                permits: Arc::new(Semaphore::new(permits)),
                waiting: Arc::default(),
                queue: config.limits.hashing_queue,
            },
        }
    }

    fn issue_tokens(&self, user: UserId) -> Result<(Tokens, NewTokens), AuthError> {
        let now = self.clock.now();
        let (access, access_hash) = token::issue(TokenKind::Access, user).map_err(internal)?;
        let (refresh, refresh_hash) = token::issue(TokenKind::Refresh, user).map_err(internal)?;
        let access_expires_at = now.after(self.access_lifetime);
        let refresh_expires_at = now.after(self.refresh_lifetime);
        let stored = NewTokens {
            access: NewToken {
                hash: access_hash,
                expires_at: access_expires_at,
            },
            refresh: NewToken {
                hash: refresh_hash,
                expires_at: refresh_expires_at,
            },
        };
        let shown = Tokens {
            access,
            access_expires_at,
            refresh,
            refresh_expires_at,
        };
        Ok((shown, stored))
    }

    async fn open_session(
        &self,
        user: User,
        device: LoginDevice,
        device_secret: Option<SecretText>,
    ) -> Result<Login, AuthError> {
        let now = self.clock.now();
        let session = SessionId::new(now);
        let (tokens, stored) = self.issue_tokens(user.id)?;
        let opened = self
            .store
            .open_session(NewSession {
                id: session,
                user: user.id,
                device,
                tokens: stored,
                at: now,
            })
            .await?;
        match opened {
            OpenSession::Opened(device) => Ok(Login {
                user,
                device,
                device_secret,
                session,
                tokens,
            }),
            OpenSession::WrongDevice => Err(AuthError::InvalidCredentials),
        }
    }

    fn new_device(
        &self,
        user: UserId,
        name: Option<&str>,
    ) -> Result<(LoginDevice, SecretText), AuthError> {
        let name: DisplayName = name.unwrap_or(DEVICE_NAME).parse()?;
        let (secret, hash) = token::issue(TokenKind::Device, user).map_err(internal)?;
        let device = LoginDevice::New {
            id: DeviceId::new(self.clock.now()),
            name: name.to_string(),
            secret: hash,
        };
        Ok((device, secret))
    }
}

impl Authenticator for PasswordAuthenticator {
    async fn register(&self, request: Register) -> Result<Login, AuthError> {
        let username: Username = request.username.parse()?;
        let display_name = match &request.display_name {
            Some(name) => name.parse()?,
            None => DisplayName::from(&username),
        };
        password_policy::check(request.password.expose(), username.as_str())?;
        let now = self.clock.now();
        let id = UserId::new(now);
        // Everything that can be wrong with the request is found before the
        // account exists.
        let (device, secret) = self.new_device(id, request.device_name.as_deref())?;
        if self.store.user_by_name(username.clone()).await?.is_some() {
            return Err(AuthError::UsernameTaken);
        }
        let password_hash = self
            .hashing
            .run(request.password, |password| {
                password::hash(password.expose())
            })
            .await?
            .map_err(internal)?;
        let profile = self
            .sealer
            .seal_profile(id, now, &display_name)
            .map_err(internal)?;
        let created = self
            .store
            .create_user(NewUser {
                id,
                username: username.clone(),
                profile: profile.body,
                password_hash: Some(password_hash),
                created_at: now,
            })
            .await?;
        if created == CreateUser::UsernameTaken {
            return Err(AuthError::UsernameTaken);
        }
        let user = User {
            id,
            username,
            display_name,
        };
        self.open_session(user, device, Some(secret)).await
    }

    async fn log_in(&self, request: LogIn) -> Result<Login, AuthError> {
        let record = match request.username.parse::<Username>() {
            Ok(username) => self.store.user_by_name(username).await?,
            Err(_) => None,
        };
        let stored = record
            .as_ref()
            .and_then(|record| record.password_hash.clone());
        let verified = self
            .hashing
            .run(request.password, move |password| match stored {
                Some(stored) => password::verify(password.expose(), &stored),
                None => {
                    password::verify_nobody(password.expose());
                    false
                }
            })
            .await?;
        let Some(record) = record.filter(|_| verified) else {
            return Err(AuthError::InvalidCredentials);
        };
        let user = self.sealer.open_user(&record);
        match request.device {
            None => {
                let (device, secret) = self.new_device(user.id, request.device_name.as_deref())?;
                self.open_session(user, device, Some(secret)).await
            }
            Some(known) => {
                let secret = token::parse(TokenKind::Device, known.secret.expose())
                    .ok_or(AuthError::InvalidCredentials)?;
                let device = LoginDevice::Known {
                    id: known.id,
                    secret: secret.hash,
                };
                self.open_session(user, device, None).await
            }
        }
    }

    async fn refresh(&self, request: Refresh) -> Result<Tokens, AuthError> {
        let presented = token::parse(TokenKind::Refresh, request.refresh.expose())
            .ok_or(AuthError::Unauthenticated)?;
        let user = presented.user;
        let (tokens, next) = self.issue_tokens(user)?;
        let rotated = self
            .store
            .rotate_tokens(RotateTokens {
                user,
                presented: presented.hash,
                next,
                at: self.clock.now(),
            })
            .await?;
        match rotated {
            Rotated::Stored(_) => Ok(tokens),
            Rotated::Unknown => Err(AuthError::Unauthenticated),
            Rotated::Reused(session) => Err(AuthError::TokenReused { user, session }),
        }
    }

    async fn authenticate(&self, token: SecretText) -> Result<Principal, AuthError> {
        let presented =
            token::parse(TokenKind::Access, token.expose()).ok_or(AuthError::Unauthenticated)?;
        let session = self
            .store
            .session_by_access(presented.user, presented.hash, self.clock.now())
            .await?
            .ok_or(AuthError::Unauthenticated)?;
        Ok(Principal {
            user: session.user,
            device: session.device,
            session: session.id,
        })
    }
}

/// Hashing costs a core and 19 MiB for tens of milliseconds: so many at once,
/// so many waiting, and no more.
#[derive(Debug)]
struct Hashing {
    permits: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
    queue: usize,
}

impl Hashing {
    async fn run<T: Send + 'static>(
        &self,
        password: SecretText,
        work: impl FnOnce(&SecretText) -> T + Send + 'static,
    ) -> Result<T, AuthError> {
        let place = Place::take(&self.waiting, self.queue)?;
        let permits = Arc::clone(&self.permits);
        let permit = permits.acquire_owned().await.map_err(internal)?;
        // Both go with the work: it goes on when nobody waits for it any more.
        let hash = move || {
            let _held = (place, permit);
            work(&password)
        };
        tokio::task::spawn_blocking(hash).await.map_err(internal)
    }
}

/// A place among those who hash or wait, given back when dropped.
struct Place(Arc<AtomicUsize>);

impl Place {
    fn take(waiting: &Arc<AtomicUsize>, queue: usize) -> Result<Self, AuthError> {
        let place = Self(Arc::clone(waiting));
        if waiting.fetch_add(1, Ordering::Relaxed) >= queue {
            return Err(AuthError::Busy {
                retry_after: Duration::from_secs(1),
            });
        }
        Ok(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn internal(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> AuthError {
    AuthError::Internal(error.into())
}
