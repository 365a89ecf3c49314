//! A connection from its upgrade to its end.

use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use ruggine_core::ErrorCode;
use ruggine_core::api::Method;
use ruggine_core::codec::Encoding;
use ruggine_core::error::CloseCode;
use ruggine_core::frame::ClientFrame;
use ruggine_crypto::random;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Interval};

use super::greeting::error_frame;
use super::wire::{Incoming, Wire, WriteFailed};
use crate::edge::{self, Locale, Shape};
use crate::engine::{Arrival, Caller, EngineError, OpenSocket};
use crate::http::Edge;
use crate::hub::{Outgoing, Socket};

/// Frames written between two looks at what the peer sends.
const BURST: usize = 64;
/// Longest time over which clients are asked to spread their return.
const RETURN_SPREAD: Duration = Duration::from_secs(2);

/// A WebSocket that is being served.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(super) edge: Edge,
    pub(super) encoding: Encoding,
    pub(super) address: IpAddr,
    pub(super) locale: Locale,
    pub(super) arrival: Arrival,
    /// The write counter of the client when it said hello.
    pub(super) counter_floor: Option<u64>,
}

/// Why a connection ends.
#[derive(Debug)]
pub(super) enum Ending {
    /// The peer closed or is gone.
    Gone,
    /// We close, with this code.
    Code(CloseCode),
    /// The peer broke a limit, or the protocol where there is no code.
    Broken(Option<CloseCode>),
    /// The server shuts down.
    Draining,
}

impl From<WriteFailed> for Ending {
    fn from(failed: WriteFailed) -> Self {
        match failed {
            WriteFailed::TooSlow => Self::Code(CloseCode::SlowConsumer),
            WriteFailed::Gone => Self::Gone,
        }
    }
}

/// The answer to a request, and the permit that it holds until it is sent.
type Reply = (Bytes, Option<OwnedSemaphorePermit>);

/// Requests that are being answered.
type Requests = FuturesUnordered<BoxFuture<'static, Reply>>;

impl Connection {
    pub(crate) const fn new(
        edge: Edge,
        encoding: Encoding,
        address: IpAddr,
        locale: Locale,
        arrival: Arrival,
    ) -> Self {
        Self {
            edge,
            encoding,
            address,
            locale,
            arrival,
            counter_floor: None,
        }
    }

    /// Serves the connection to its end.
    pub(crate) async fn run<S: AsyncRead + AsyncWrite + Unpin + Send>(mut self, stream: S) {
        let write_timeout = self.edge.config.write_timeout;
        let mut wire = Wire::new(stream, self.encoding, write_timeout).await;
        let ending = match self.greet(&mut wire).await {
            Ok(open) => {
                let ending = self.serve(&mut wire, &open).await;
                drop(open);
                ending
            }
            Err(ending) => ending,
        };
        match ending {
            Ending::Gone => wire.answer_close().await,
            Ending::Code(code) => wire.close(Some(code), "").await,
            Ending::Broken(code) => wire.close(code, "").await,
            Ending::Draining => {
                let reason = format!("retry_in_ms={}", jitter(RETURN_SPREAD).as_millis());
                wire.close(Some(CloseCode::GoingAway), &reason).await;
            }
        }
    }

    async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send>(
        &self,
        wire: &mut Wire<S>,
        open: &OpenSocket,
    ) -> Ending {
        let socket = open.socket();
        let mut requests = Requests::new();
        let one_page = Arc::new(Semaphore::new(1));
        let mut heartbeat = self.heartbeat();
        let mut heard = Instant::now();
        let most = self.edge.engine.config().limits.requests_in_flight;
        let mut leave = pin!(self.turn_to_leave());
        loop {
            tokio::select! {
                incoming = wire.next(), if requests.len() < most => {
                    heard = Instant::now();
                    match incoming {
                        Incoming::Frame(bytes) => {
                            if let Err(ending) = self.take(&bytes, socket, &one_page, &mut requests) {
                                break ending;
                            }
                        }
                        Incoming::Alive => {}
                        Incoming::WrongKind => break Ending::Code(CloseCode::BadFrame),
                        Incoming::Gone => break Ending::Gone,
                        Incoming::Broken(code) => break Ending::Broken(code),
                    }
                }
                Some((answer, permit)) = requests.next() => socket.reply(answer, permit),
                outgoing = socket.next() => {
                    if let Err(ending) = send(wire, socket, outgoing).await {
                        break ending;
                    }
                }
                _ = heartbeat.tick() => {
                    if heard.elapsed() >= self.edge.config.silence {
                        break Ending::Code(CloseCode::Silent);
                    }
                    if let Err(failed) = wire.ping().await {
                        break failed.into();
                    }
                }
                () = &mut leave => {
                    let finishing = self.finish(wire, socket, &mut requests);
                    let finished = tokio::time::timeout(self.edge.config.write_timeout, finishing);
                    break finished.await.unwrap_or(Ending::Draining);
                }
            }
        }
    }

    /// Pings begin at a random part of the interval, so that connections that
    /// came together do not beat together.
    fn heartbeat(&self) -> Interval {
        let period = self.edge.config.heartbeat;
        tokio::time::interval_at(Instant::now() + jitter(period), period)
    }

    /// Takes a request. It is begun at once, so that messages reach their lane
    /// in the order in which they came, and answered when it is done.
    fn take(
        &self,
        bytes: &[u8],
        socket: &Arc<Socket>,
        one_page: &Arc<Semaphore>,
        requests: &mut Requests,
    ) -> Result<(), Ending> {
        let frame = match ClientFrame::decode(self.encoding, bytes) {
            Ok(frame) => frame,
            Err(error) => {
                // Without an id nobody could tell which request failed.
                let id = error.id.ok_or(Ending::Code(CloseCode::BadFrame))?;
                let error = EngineError::detailed(ErrorCode::BadFrame, error.reason.outline());
                socket.reply(error_frame(self.encoding, self.locale, id, &error), None);
                return Ok(());
            }
        };
        let (id, encoding, locale) = (frame.id, self.encoding, self.locale);
        let caller = Caller {
            principal: Some(*socket.principal()),
            address: self.address,
            write_counter: frame.write_counter,
            counter_floor: self.counter_floor,
        };
        let begun = match Method::from_name(&frame.method) {
            None => Err(EngineError::rejected(ErrorCode::UnknownMethod)),
            Some(Method::Hello) => Err(EngineError::detailed(
                ErrorCode::InvalidParams,
                "hello was said before",
            )),
            Some(method) => {
                let engine = &self.edge.engine;
                edge::call(
                    engine,
                    caller,
                    method,
                    frame.params,
                    encoding,
                    Shape::Frame(id),
                )
                .map(|answer| (method, answer))
            }
        };
        let (method, answer) = match begun {
            Ok(begun) => begun,
            Err(error) => {
                socket.reply(error_frame(encoding, locale, id, &error), None);
                return Ok(());
            }
        };
        let is_page = matches!(method, Method::MessagePage | Method::IdentityGet);
        let pages = is_page.then(|| Arc::clone(one_page));
        let mut reply: BoxFuture<'static, Reply> = Box::pin(async move {
            // One page at a time: the next is read when the last was sent.
            let permit = match pages {
                Some(pages) => pages.acquire_owned().await.ok(),
                None => None,
            };
            let answer = match answer.await {
                Ok(answer) => answer,
                Err(error) => error_frame(encoding, locale, id, &error),
            };
            (answer, permit)
        });
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match reply.as_mut().poll(&mut context) {
            Poll::Ready((answer, permit)) => socket.reply(answer, permit),
            // Polled again with a real waker when the set is next looked at.
            Poll::Pending => requests.push(reply),
        }
        Ok(())
    }

    /// When the server ends and it is this connection's turn to go. Until then
    /// it is served as ever.
    async fn turn_to_leave(&self) {
        self.edge.lifecycle.draining.cancelled().await;
        let spread = *self.edge.lifecycle.spread.lock();
        tokio::time::sleep(jitter(spread)).await;
    }

    /// Answers what was taken, before the goodbye.
    async fn finish<S: AsyncRead + AsyncWrite + Unpin + Send>(
        &self,
        wire: &mut Wire<S>,
        socket: &Arc<Socket>,
        requests: &mut Requests,
    ) -> Ending {
        while !requests.is_empty() {
            tokio::select! {
                Some((answer, permit)) = requests.next() => socket.reply(answer, permit),
                outgoing = socket.next() => {
                    if let Err(ending) = send(wire, socket, outgoing).await {
                        return ending;
                    }
                }
            }
        }
        while let Some(outgoing) = socket.try_next() {
            if let Err(ending) = send(wire, socket, outgoing).await {
                return ending;
            }
        }
        Ending::Draining
    }
}

/// Sends what is queued, a burst at the most, in one write where it fits.
async fn send<S: AsyncRead + AsyncWrite + Unpin + Send>(
    wire: &mut Wire<S>,
    socket: &Arc<Socket>,
    first: Outgoing,
) -> Result<(), Ending> {
    let mut next = Some(first);
    // Permits are held until their frames are on the way.
    let mut permits = Vec::new();
    for sent in 1.. {
        match next {
            Some(Outgoing::Frame(frame, permit)) => {
                wire.feed(frame).await?;
                permits.extend(permit);
            }
            Some(Outgoing::Close(code)) => return Err(Ending::Code(code)),
            None => break,
        }
        if sent == BURST {
            break;
        }
        next = socket.try_next();
    }
    wire.flush().await?;
    Ok(())
}

/// A random part of `most`.
fn jitter(most: Duration) -> Duration {
    let part = random::number().map_or(0, |number| number % 1_000);
    most.mul_f64(part as f64 / 1_000.0)
}
