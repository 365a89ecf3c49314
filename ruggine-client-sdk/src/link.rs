//! One connection at a time to the server: made, greeted, kept and made again.
//!
//! Requests find their answers by id; events go to the sync. A connection that
//! ends fails the requests that were under way: they may have been done, so
//! whoever asked decides whether to ask again.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use ruggine_core::api::Operation;
use ruggine_core::api::session::Refresh;
use ruggine_core::api::sync::{Heads, Hello};
use ruggine_core::codec::Encoding;
use ruggine_core::error::CloseCode;
use ruggine_core::frame::{RequestFrame, ServerFrame};
use ruggine_core::version::ProtocolVersion;
use ruggine_core::{ApiError, ErrorCode, Event, UserId};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::backoff::Backoff;
use crate::client::Shared;
use crate::error::RequestError;
use crate::event::ConnectionState;
use crate::store::{ClientStore, StoreResult};
use crate::transport::{Closed, Connection, Received};

/// How long an answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// Pause before a local store that failed is asked again.
const STORE_AGAIN: Duration = Duration::from_millis(500);
/// Requests that may wait for their turn or their answer.
pub(crate) const REQUESTS: usize = 256;

/// An answer as it came: encoded, or an error.
type Answer = Result<(Encoding, Bytes), RequestError>;

/// A request on its way to the connection.
#[derive(Debug)]
pub(crate) struct Request {
    method: &'static str,
    /// Encodes the frame once its id and the connection's encoding are known.
    encode: EncodeFrame,
    answer: oneshot::Sender<Answer>,
}

/// A request's frame, waiting for its id.
struct EncodeFrame(Box<dyn FnOnce(Encoding, u64, Option<u64>) -> Option<Bytes> + Send>);

impl std::fmt::Debug for EncodeFrame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EncodeFrame")
    }
}

/// What the connection tells the sync.
#[derive(Debug)]
pub(crate) enum LinkEvent {
    /// A connection was greeted; the first page of what is new.
    Online(Heads),
    /// Something happened.
    Event(Event),
    /// The connection ended.
    Offline,
}

/// The way to the connection for those who ask.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    requests: mpsc::Sender<Request>,
}

impl Link {
    pub(crate) fn new() -> (Self, mpsc::Receiver<Request>) {
        let (requests, receiver) = mpsc::channel(REQUESTS);
        (Self { requests }, receiver)
    }

    /// Asks and waits for the answer.
    pub(crate) async fn request<O: Operation>(
        &self,
        operation: O,
    ) -> Result<O::Response, RequestError> {
        let (answer, answered) = oneshot::channel();
        let request = Request {
            method: O::METHOD.as_str(),
            encode: EncodeFrame(Box::new(move |encoding, id, write_counter| {
                let frame = RequestFrame {
                    id,
                    method: O::METHOD.as_str(),
                    params: &operation,
                    write_counter,
                };
                encoding.encode(&frame).ok()
            })),
            answer,
        };
        let exchange = async {
            self.requests
                .send(request)
                .await
                .map_err(|_| RequestError::Disconnected)?;
            answered.await.map_err(|_| RequestError::Disconnected)?
        };
        let (encoding, bytes) = tokio::time::timeout(ANSWER_TIMEOUT, exchange)
            .await
            .map_err(|_| RequestError::TimedOut)??;
        encoding
            .decode_from_server(&bytes)
            .map_err(|_| RequestError::Nonsense("an answer has another form"))
    }
}

/// Keeps a connection until the client stops.
pub(crate) struct Driver {
    pub(crate) shared: Shared,
    pub(crate) requests: mpsc::Receiver<Request>,
    pub(crate) events: mpsc::Sender<LinkEvent>,
    /// Whose connection was the last.
    pub(crate) served: Option<UserId>,
}

/// Why a connection is over.
enum Over {
    /// It ended; another may be made.
    Ended(Closed),
    /// The login has ended: no other will be accepted.
    LoggedOut,
    /// The client stops.
    Stopping,
}

impl Driver {
    pub(crate) async fn run(mut self) {
        let mut backoff = Backoff::new(self.shared.options().backoff);
        loop {
            if !self.wait_for_login().await {
                break;
            }
            self.shared.set_state(ConnectionState::Connecting);
            let began = Instant::now();
            let over = self.connect_once().await;
            backoff.held(began.elapsed());
            if self.events.send(LinkEvent::Offline).await.is_err() {
                break;
            }
            match over {
                Over::Stopping => break,
                Over::LoggedOut => self.shared.set_state(ConnectionState::LoggedOut),
                Over::Ended(closed) => {
                    let wait = closed
                        .retry_in
                        .map(bounded)
                        .unwrap_or_else(|| backoff.next());
                    self.shared.set_state(ConnectionState::Waiting(wait));
                    if !self.pause(wait).await {
                        break;
                    }
                }
            }
        }
        self.shared.set_state(ConnectionState::Stopped);
    }

    /// Waits until there are tokens; `false` when the client stops.
    async fn wait_for_login(&mut self) -> bool {
        let stopping = self.shared.stopping();
        loop {
            let mut asked_again = false;
            match self.shared.store_step(|store| store.identity()).await {
                Ok(Some(identity)) if identity.tokens.is_some() => return true,
                Ok(_) => self.shared.set_state(ConnectionState::LoggedOut),
                Err(error) => {
                    error.report();
                    asked_again = true;
                }
            }
            tokio::select! {
                () = self.shared.login_changed() => {}
                () = tokio::time::sleep(STORE_AGAIN), if asked_again => {}
                Some(request) = self.requests.recv() => {
                    let _ = request.answer.send(Err(RequestError::LoggedOut));
                }
                () = stopping.cancelled() => return false,
            }
        }
    }

    /// Waits before the next attempt. A request that comes meanwhile learns
    /// that there is no connection; somebody who asks to hurry ends the wait.
    async fn pause(&mut self, wait: Duration) -> bool {
        let stopping = self.shared.stopping();
        let mut sleep = std::pin::pin!(tokio::time::sleep(wait));
        loop {
            tokio::select! {
                () = &mut sleep => return true,
                () = self.shared.hurried() => return true,
                () = self.shared.login_changed() => return true,
                Some(request) = self.requests.recv() => {
                    let _ = request.answer.send(Err(RequestError::Disconnected));
                }
                () = stopping.cancelled() => return false,
            }
        }
    }

    async fn connect_once(&mut self) -> Over {
        let stopping = self.shared.stopping();
        let transport = self.shared.transport();
        let connection = tokio::select! {
            connection = transport.connect() => connection,
            () = stopping.cancelled() => return Over::Stopping,
        };
        let mut live = match connection {
            Ok(connection) => Live::new(connection),
            Err(error) => {
                tracing::info!(%error, "not connected");
                return Over::Ended(Closed::default());
            }
        };
        let heads = tokio::select! {
            greeted = self.greet(&mut live) => match greeted {
                Ok(heads) => heads,
                Err(over) => return over,
            },
            () = stopping.cancelled() => return Over::Stopping,
        };
        // What the user before asked for is not done in the name of this one.
        if self
            .served
            .replace(heads.user)
            .is_some_and(|before| before != heads.user)
        {
            while let Ok(request) = self.requests.try_recv() {
                let _ = request.answer.send(Err(RequestError::Disconnected));
            }
        }
        self.shared.begin_watching_for_faults();
        if self.events.send(LinkEvent::Online(heads)).await.is_err() {
            return Over::Stopping;
        }
        self.shared.set_state(ConnectionState::Online);
        self.serve(&mut live).await
    }

    /// Says hello, with fresh tokens where the access token has ended.
    async fn greet(&self, live: &mut Live) -> Result<Heads, Over> {
        let mut refreshed = false;
        loop {
            let hello = self.hello().await.map_err(broken)?;
            let Some(hello) = hello else {
                return Err(Over::LoggedOut);
            };
            let counter = self.shared.store_step(ClientStore::write_counter).await;
            let counter = counter.map_err(broken)?;
            match live.exchange(&hello, Some(counter)).await {
                Ok(heads) if self.is_for_us(&heads).await.map_err(broken)? => return Ok(heads),
                Ok(_) => {
                    tracing::warn!("the server greets somebody else");
                    return Err(Over::Ended(Closed::default()));
                }
                Err(RequestError::Refused(error))
                    if error.code == ErrorCode::Unauthenticated && !refreshed =>
                {
                    self.refresh(live).await?;
                    refreshed = true;
                }
                Err(RequestError::Refused(error)) if error.code == ErrorCode::Unauthenticated => {
                    return Err(self.log_out().await);
                }
                Err(RequestError::Refused(error)) if error.code == ErrorCode::DeviceRestored => {
                    return Err(self.give_up_device().await);
                }
                Err(error) => {
                    tracing::info!(%error, "hello was not accepted");
                    return Err(Over::Ended(ended(&error)));
                }
            }
        }
    }

    /// Whether the greeting is for the user and device of this store.
    async fn is_for_us(&self, heads: &Heads) -> StoreResult<bool> {
        let identity = self.shared.store_step(ClientStore::identity).await?;
        Ok(identity.is_some_and(|me| me.user.id == heads.user && me.device == heads.device))
    }

    async fn hello(&self) -> StoreResult<Option<Hello>> {
        let locale = self.shared.options().locale.clone();
        self.shared
            .store_step(move |store| {
                let tokens = store.identity()?.and_then(|identity| identity.tokens);
                let incarnation = store.incarnation()?;
                Ok(tokens.map(|tokens| Hello {
                    token: tokens.access,
                    protocol: ProtocolVersion::CURRENT,
                    locale: locale.map(|locale| locale.to_string()),
                    incarnation,
                }))
            })
            .await
    }

    async fn refresh(&self, live: &mut Live) -> Result<(), Over> {
        let tokens = self
            .shared
            .store_step(|store| Ok(store.identity()?.and_then(|identity| identity.tokens)))
            .await
            .map_err(broken)?;
        let Some(tokens) = tokens else {
            return Err(Over::LoggedOut);
        };
        let refresh = Refresh {
            refresh: tokens.refresh,
        };
        match live.exchange(&refresh, None).await {
            // On stable storage before their first use: the old ones end then.
            Ok(next) => self
                .shared
                .store_step(move |store| store.set_tokens(next.clone()))
                .await
                .map_err(broken),
            Err(RequestError::Refused(error))
                if matches!(
                    error.code,
                    ErrorCode::Unauthenticated | ErrorCode::TokenReused
                ) =>
            {
                Err(self.log_out().await)
            }
            Err(error) => Err(Over::Ended(ended(&error))),
        }
    }

    async fn log_out(&self) -> Over {
        if let Err(error) = self.shared.store_step(ClientStore::forget_tokens).await {
            error.report();
        }
        Over::LoggedOut
    }

    /// This store is an old copy of one that went on: the device is given up.
    async fn give_up_device(&self) -> Over {
        tracing::warn!("this store is an old copy: log in again to begin as a new device");
        if let Err(error) = self.shared.store_step(ClientStore::forget_device).await {
            error.report();
        }
        Over::LoggedOut
    }

    async fn serve(&mut self, live: &mut Live) -> Over {
        let stopping = self.shared.stopping();
        let patience = self.shared.options().silence;
        let mut probe = tokio::time::interval(patience / 3);
        loop {
            tokio::select! {
                received = live.connection.next() => match received {
                    Received::Frame(frame) => {
                        live.heard = Instant::now();
                        if let Some(event) = live.sort(&frame)
                            && self.events.send(LinkEvent::Event(event)).await.is_err()
                        {
                            return Over::Stopping;
                        }
                    }
                    Received::Alive => live.heard = Instant::now(),
                    Received::Closed(closed) => return self.closed(closed).await,
                },
                Some(request) = self.requests.recv() => {
                    let counter = self.shared.store_step(ClientStore::write_counter).await.ok();
                    if live.ask(request, counter).await.is_err() {
                        return Over::Ended(Closed::default());
                    }
                }
                _ = probe.tick() => {
                    if live.heard.elapsed() > patience || live.connection.ping().await.is_err() {
                        return Over::Ended(Closed::default());
                    }
                    live.forget_abandoned();
                }
                () = self.shared.reconnect_wanted() => return Over::Ended(Closed {
                    code: None,
                    retry_in: Some(Duration::ZERO),
                }),
                () = self.shared.fault_noted() => return Over::Ended(Closed::default()),
                () = stopping.cancelled() => return Over::Stopping,
            }
        }
    }

    async fn closed(&self, closed: Closed) -> Over {
        tracing::debug!(code = ?closed.code, "the server closed the connection");
        if closed.code == Some(CloseCode::SessionRevoked.number()) {
            return self.log_out().await;
        }
        Over::Ended(closed)
    }
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "it is the function of a map_err"
)]
fn broken(error: crate::store::StoreError) -> Over {
    error.report();
    Over::Ended(Closed::default())
}

/// The longest time for which a server can send somebody away.
const AWAY_MAX: Duration = Duration::from_secs(10 * 60);

/// A wait that a server asked for, as long as that is reasonable.
pub(crate) fn bounded(wait: Duration) -> Duration {
    wait.min(AWAY_MAX)
}

/// How long to stay away after a refusal.
fn ended(error: &RequestError) -> Closed {
    let retry_in = match error {
        RequestError::Refused(error) => error.retry_after_ms.map(Duration::from_millis),
        _ => None,
    };
    Closed {
        code: None,
        retry_in,
    }
}

/// A connection with the requests under way on it.
pub(crate) struct Live {
    connection: Box<dyn Connection>,
    pending: HashMap<u64, oneshot::Sender<Answer>>,
    last_id: u64,
    heard: Instant,
}

impl Live {
    pub(crate) fn new(connection: Box<dyn Connection>) -> Self {
        Self {
            connection,
            pending: HashMap::new(),
            last_id: 0,
            heard: Instant::now(),
        }
    }

    fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    async fn ask(&mut self, request: Request, counter: Option<u64>) -> Result<(), ()> {
        let id = self.next_id();
        let Some(frame) = request.encode.0(self.connection.encoding(), id, counter) else {
            let _ = request
                .answer
                .send(Err(RequestError::Nonsense(request.method)));
            return Ok(());
        };
        self.pending.insert(id, request.answer);
        self.connection.send(frame).await.map_err(|_| ())
    }

    /// Asks alone on the connection, before it is served.
    pub(crate) async fn exchange<O: Operation>(
        &mut self,
        operation: &O,
        write_counter: Option<u64>,
    ) -> Result<O::Response, RequestError> {
        let id = self.next_id();
        let encoding = self.connection.encoding();
        let frame = RequestFrame {
            id,
            method: O::METHOD.as_str(),
            params: operation,
            write_counter,
        };
        let frame = encoding
            .encode(&frame)
            .map_err(|_| RequestError::Nonsense("the request cannot be encoded"))?;
        let exchange = async {
            self.connection.send(frame).await?;
            loop {
                match self.connection.next().await {
                    Received::Alive => {}
                    Received::Closed(_) => return Err(RequestError::Disconnected),
                    Received::Frame(bytes) => match ServerFrame::decode(encoding, &bytes) {
                        Ok(ServerFrame::Response { id: of, outcome }) if of == id => {
                            let raw = outcome.map_err(RequestError::Refused)?;
                            return raw
                                .decode()
                                .map_err(|_| RequestError::Nonsense("an answer has another form"));
                        }
                        Ok(_) => {}
                        Err(_) => return Err(RequestError::Nonsense("a frame cannot be read")),
                    },
                }
            }
        };
        tokio::time::timeout(ANSWER_TIMEOUT, exchange)
            .await
            .map_err(|_| RequestError::TimedOut)?
    }

    /// Gives an answer to whoever asked, or returns an event.
    fn sort(&mut self, bytes: &Bytes) -> Option<Event> {
        let encoding = self.connection.encoding();
        match ServerFrame::decode(encoding, bytes) {
            Ok(ServerFrame::Response { id, outcome }) => {
                if let Some(answer) = self.pending.remove(&id) {
                    let outcome: Result<_, ApiError> = outcome;
                    let _ = answer.send(
                        outcome
                            .map(|raw| (encoding, bytes.slice_ref(raw.bytes())))
                            .map_err(RequestError::Refused),
                    );
                }
                None
            }
            Ok(ServerFrame::Event { name, data }) => match Event::decode(&name, data) {
                Ok(event) => event,
                Err(error) => {
                    tracing::warn!(event = %name, reason = error.outline(), "an event cannot be read");
                    None
                }
            },
            Err(error) => {
                tracing::warn!(reason = error.reason.outline(), "a frame cannot be read");
                None
            }
        }
    }

    /// Drops requests whose asker has given up.
    fn forget_abandoned(&mut self) {
        self.pending.retain(|_, answer| !answer.is_closed());
    }
}
