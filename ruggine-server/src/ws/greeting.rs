//! Before `hello`: a connection that nobody vouches for yet.

use futures_util::FutureExt;
use ruggine_core::ErrorCode;
use ruggine_core::api::sync::Hello;
use ruggine_core::api::{Access, Method};
use ruggine_core::codec::Encoding;
use ruggine_core::error::CloseCode;
use ruggine_core::frame::{ClientFrame, ErrorFrame, ResultFrame};
use tokio::io::{AsyncRead, AsyncWrite};

use super::connection::{Connection, Ending};
use super::wire::{Incoming, Wire};
use crate::edge::error::api_error;
use crate::edge::{self, Locale, Shape};
use crate::engine::{Caller, EngineError, OpenSocket};
use crate::metrics::Measurement;

/// Registrations, logins and refreshes that one connection may ask for.
const PUBLIC_CALLS: usize = 8;

impl Connection {
    /// Answers what needs no login until a `hello` is accepted. Each answer
    /// begins the time for the next frame anew.
    pub(super) async fn greet<S: AsyncRead + AsyncWrite + Unpin + Send>(
        &mut self,
        wire: &mut Wire<S>,
    ) -> Result<OpenSocket, Ending> {
        for _ in 0..PUBLIC_CALLS {
            let deadline = tokio::time::sleep(self.edge.config.hello_timeout);
            tokio::pin!(deadline);
            let frame = loop {
                tokio::select! {
                    incoming = wire.next() => match incoming {
                        Incoming::Frame(frame) => break frame,
                        Incoming::Alive => {}
                        Incoming::WrongKind => return Err(Ending::Code(CloseCode::BadFrame)),
                        Incoming::Gone => return Err(Ending::Gone),
                        Incoming::Broken(code) => return Err(Ending::Broken(code)),
                    },
                    () = &mut deadline => return Err(Ending::Code(CloseCode::Unauthenticated)),
                    () = self.edge.lifecycle.draining.cancelled() => return Err(Ending::Draining),
                }
            };
            if let Some(open) = self.answer_stranger(wire, &frame).await? {
                return Ok(open);
            }
        }
        Err(Ending::Code(CloseCode::Unauthenticated))
    }

    async fn answer_stranger<S: AsyncRead + AsyncWrite + Unpin + Send>(
        &mut self,
        wire: &mut Wire<S>,
        bytes: &[u8],
    ) -> Result<Option<OpenSocket>, Ending> {
        let frame = match ClientFrame::decode(self.encoding, bytes) {
            Ok(frame) => frame,
            Err(error) => {
                let Some(id) = error.id else {
                    return Err(Ending::Code(CloseCode::BadFrame));
                };
                let error = EngineError::detailed(ErrorCode::BadFrame, error.reason.outline());
                send(wire, error_frame(self.encoding, self.locale, id, &error)).await?;
                return Ok(None);
            }
        };
        let caller = Caller {
            write_counter: frame.write_counter,
            ..Caller::anonymous(self.address)
        };
        let result = match Method::from_name(&frame.method) {
            Some(Method::Hello) => return self.hello(wire, &frame, &caller).await,
            Some(method) if method.access() == Access::Public => {
                let shape = Shape::Frame(frame.id);
                match edge::call(
                    &self.edge.engine,
                    caller,
                    method,
                    frame.params,
                    self.encoding,
                    shape,
                ) {
                    Ok(answer) => answer.await,
                    Err(error) => Err(error),
                }
            }
            Some(_) => Err(EngineError::rejected(ErrorCode::HelloRequired)),
            None => Err(EngineError::rejected(ErrorCode::UnknownMethod)),
        };
        let answer = match result {
            Ok(answer) => answer,
            Err(error) => error_frame(self.encoding, self.locale, frame.id, &error),
        };
        send(wire, answer).await?;
        Ok(None)
    }

    async fn hello<S: AsyncRead + AsyncWrite + Unpin + Send>(
        &mut self,
        wire: &mut Wire<S>,
        frame: &ClientFrame<'_>,
        caller: &Caller,
    ) -> Result<Option<OpenSocket>, Ending> {
        let opened = match frame.params.decode::<Hello>() {
            Ok(hello) => {
                if let Some(locale) = &hello.locale {
                    self.locale = Locale::from_tags(locale);
                }
                let engine = &self.edge.engine;
                let opening = engine.open_socket(caller, hello, self.encoding);
                let opening = std::panic::AssertUnwindSafe(opening).catch_unwind();
                opening.await.unwrap_or_else(|_| {
                    engine.metrics().record(Measurement::Panicked);
                    Err(EngineError::internal("hello panicked"))
                })
            }
            Err(error) => Err(EngineError::detailed(
                ErrorCode::InvalidParams,
                error.outline(),
            )),
        };
        match opened {
            Ok((open, heads)) => {
                self.arrival.authenticated();
                self.counter_floor = frame.write_counter;
                let answer = self.encoding.encode(&ResultFrame {
                    id: frame.id,
                    result: &heads,
                });
                send(wire, answer.map_err(|_| Ending::Gone)?).await?;
                Ok(Some(open))
            }
            Err(error) => {
                let answer = error_frame(self.encoding, self.locale, frame.id, &error);
                send(wire, answer).await?;
                // A stranger who fails to log in may try a public operation
                // next, such as a refresh; one over a limit may not.
                match error {
                    EngineError::Limited {
                        code: ErrorCode::TooManyConnections,
                        ..
                    } => Err(Ending::Code(CloseCode::TooManyConnections)),
                    _ => Ok(None),
                }
            }
        }
    }
}

async fn send<S: AsyncRead + AsyncWrite + Unpin + Send>(
    wire: &mut Wire<S>,
    frame: bytes::Bytes,
) -> Result<(), Ending> {
    wire.feed(frame).await?;
    wire.flush().await?;
    Ok(())
}

/// The frame of a failed request.
pub(super) fn error_frame(
    encoding: Encoding,
    locale: Locale,
    id: u64,
    error: &EngineError,
) -> bytes::Bytes {
    let error = api_error(error, locale);
    encoding
        .encode(&ErrorFrame { id, error: &error })
        .unwrap_or_default()
}
