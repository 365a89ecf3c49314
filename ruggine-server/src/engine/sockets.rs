//! Live connections: from `hello` to their end.

use std::sync::Arc;
use std::time::Duration;

use ruggine_core::api::Method;
use ruggine_core::api::sync::{Heads, HeadsRequest, Hello};
use ruggine_core::codec::Encoding;
use ruggine_core::error::CloseCode;
use ruggine_core::secret::SecretText;
use ruggine_core::version::ProtocolVersion;
use ruggine_core::{ConversationId, ErrorCode};
use tokio::runtime::Handle;

use super::{Caller, Engine, EngineError, EngineResult};
use crate::auth::Principal;
use crate::bus::Topic;
use crate::hub::{Joined, QueueBounds, Socket};
use crate::metrics::Measurement;
use crate::store::Membership;

/// How often memberships are read anew when rosters change meanwhile.
const ATTEMPTS: usize = 16;

/// A connection that has said hello. Dropping it makes it unreachable.
#[derive(Debug)]
pub struct OpenSocket {
    engine: Engine,
    socket: Arc<Socket>,
}

impl OpenSocket {
    /// Its queue.
    #[must_use]
    pub const fn socket(&self) -> &Arc<Socket> {
        &self.socket
    }
}

impl Drop for OpenSocket {
    fn drop(&mut self) {
        let engine = self.engine.clone();
        let user = self.socket.principal().user;
        let (deserted, was_last) = engine.0.hub.leave(&self.socket);
        engine.0.metrics.record(Measurement::Disconnected);
        let mut topics: Vec<Topic> = deserted.into_iter().map(Topic::Conversation).collect();
        if was_last {
            topics.push(Topic::User(user));
            engine.0.presence.touch(user);
        }
        // Outside a runtime nothing can be given up; hints for topics that
        // nobody here follows are passed over.
        if let (false, Ok(runtime)) = (topics.is_empty(), Handle::try_current()) {
            let tasks = engine.0.tasks.clone();
            tasks.spawn_on(async move { engine.unfollow(topics).await }, &runtime);
        }
    }
}

/// A roster changed each time that it was read.
const fn roster_in_motion() -> EngineError {
    EngineError::Limited {
        code: ErrorCode::Overloaded,
        retry_after: Duration::from_secs(1),
    }
}

impl Engine {
    /// Who holds a token.
    ///
    /// # Errors
    /// When nobody does.
    pub async fn authenticate(&self, token: SecretText) -> EngineResult<Principal> {
        Ok(self.0.authenticator.authenticate(token).await?)
    }

    /// The principal of a `hello` that can be answered.
    pub(super) async fn greet(&self, hello: &Hello) -> EngineResult<Principal> {
        if hello.protocol != ProtocolVersion::CURRENT {
            return Err(EngineError::detailed(
                ErrorCode::UnsupportedProtocol,
                format!(
                    "this server speaks version {}",
                    ProtocolVersion::CURRENT.get()
                ),
            ));
        }
        self.authenticate(hello.token.clone()).await
    }

    /// Opens a connection: from the answer on, every event of the user's
    /// conversations is queued for it, and what was before stands in the heads.
    ///
    /// # Errors
    /// When the hello is refused, or the user has too many connections.
    pub async fn open_socket(
        &self,
        caller: &Caller,
        hello: Hello,
        encoding: Encoding,
    ) -> EngineResult<(OpenSocket, Heads)> {
        let attempt = self.attempt(Method::Hello, caller, None);
        let result = match self.admit(Method::Hello, caller, attempt).await {
            Ok(note) => {
                let result = self.open(hello, caller.write_counter, encoding).await;
                self.report(attempt, note, result.as_ref().err().map(EngineError::code));
                result
            }
            Err(error) => {
                self.report(attempt, None, Some(error.code()));
                Err(error)
            }
        };
        if let Err(EngineError::Limited { .. }) = &result {
            self.0.metrics.record(Measurement::Limited);
        }
        result
    }

    async fn open(
        &self,
        hello: Hello,
        write_counter: Option<u64>,
        encoding: Encoding,
    ) -> EngineResult<(OpenSocket, Heads)> {
        let principal = self.greet(&hello).await?;
        if let Some(counter) = write_counter {
            self.check_write_counter(principal, counter, None).await?;
        }
        let limits = &self.0.config.limits;
        if self.0.hub.sockets_of(principal.user) >= limits.sockets_per_user {
            return Err(EngineError::Limited {
                code: ErrorCode::TooManyConnections,
                retry_after: Duration::from_secs(30),
            });
        }
        let bounds = QueueBounds {
            events: limits.socket_events,
            bytes: limits.socket_bytes,
            mark_interval: self.0.config.mark_interval,
        };
        let socket = Arc::new(Socket::new(principal, encoding, bounds));
        // Reachable before anything is read, so that nothing falls between.
        let is_first = self.0.hub.register(&socket);
        self.0.metrics.record(Measurement::Connected);
        let open = OpenSocket {
            engine: self.clone(),
            socket,
        };
        if is_first {
            self.follow(vec![Topic::User(principal.user)]).await;
            self.0.presence.touch(principal.user);
        }
        // The session may have been revoked while the socket was unreachable.
        self.authenticate(hello.token).await?;
        self.take_seats(&open.socket, false).await?;
        self.0
            .store
            .touch_session(principal.user, principal.session, self.0.clock.now())
            .await?;
        let request = HeadsRequest {
            incarnation: hello.incarnation,
            after: None,
        };
        let heads = self.heads(principal, request).await?;
        Ok((open, heads))
    }

    /// Seats a socket in every conversation that its user is in.
    pub(super) async fn take_seats(
        &self,
        socket: &Arc<Socket>,
        heads_were_told: bool,
    ) -> EngineResult<()> {
        let user = socket.principal().user;
        for _ in 0..ATTEMPTS {
            let memberships = self.0.store.memberships(user).await?;
            let seats = memberships.iter().map(|membership| (membership, socket));
            if self.seat(seats, heads_were_told).await {
                return Ok(());
            }
        }
        Err(roster_in_motion())
    }

    /// Seats every socket of every member in a conversation.
    pub(super) async fn seat_roster(&self, id: ConversationId) -> EngineResult<()> {
        for _ in 0..ATTEMPTS {
            let Some(roster) = self.0.store.roster(id).await? else {
                return Ok(());
            };
            let member_count = u32::try_from(roster.members.len()).unwrap_or(u32::MAX);
            let mut found = Vec::new();
            for (user, from_seq) in &roster.members {
                let membership = Membership {
                    conversation: id,
                    roster_version: roster.version,
                    member_count,
                    head: roster.head,
                    from_seq: *from_seq,
                };
                let sockets = self.0.hub.unseated(*user, id);
                found.extend(sockets.into_iter().map(|socket| (membership, socket)));
            }
            let seats = found
                .iter()
                .map(|(membership, socket)| (membership, socket));
            if self.seat(seats, true).await {
                return Ok(());
            }
        }
        Err(roster_in_motion())
    }

    /// Seats sockets by what was read; `false` when a roster has changed since.
    async fn seat<'a>(
        &self,
        seats: impl Iterator<Item = (&'a Membership, &'a Arc<Socket>)> + Send,
        heads_were_told: bool,
    ) -> bool {
        let mut opened = Vec::new();
        let mut current = true;
        for (membership, socket) in seats {
            match self.0.hub.join(membership, socket, heads_were_told) {
                Joined::Seated => {}
                Joined::Opened => opened.push(Topic::Conversation(membership.conversation)),
                Joined::Outdated => current = false,
            }
        }
        let compared = opened.clone();
        self.follow(opened).await;
        // Others may have sat down here while nothing was heard yet.
        self.begin_compare(compared);
        current
    }

    /// Asks every live connection to close; how many there are.
    pub fn close_sockets(&self, code: CloseCode) -> usize {
        let sockets = self.0.hub.sockets();
        for socket in &sockets {
            socket.close(code);
        }
        sockets.len()
    }

    /// How many connections are live.
    #[must_use]
    pub fn live_sockets(&self) -> usize {
        self.0.hub.sockets().len()
    }
}
