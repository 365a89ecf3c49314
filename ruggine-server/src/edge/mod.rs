//! What HTTP and WebSocket have in common: an operation's name and raw
//! parameters in, an encoded answer or a localised error out.

mod content;
pub(crate) mod error;
mod text;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use ruggine_core::ErrorCode;
use ruggine_core::api::message::{PageRequest, Send};
use ruggine_core::api::{
    Method, account, conversation, identity, key_package, member, message, position, presence,
    session, sync,
};
use ruggine_core::codec::{Encoding, Raw};
use ruggine_core::frame::ResultFrame;
use serde::Serialize;

pub(crate) use text::Locale;

use crate::engine::{Caller, Engine, EngineError, EngineResult, Verb};
use crate::metrics::Measurement;

/// How an answer is wrapped.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Shape {
    /// Alone, as an HTTP body.
    Body,
    /// In a frame with the request's id.
    Frame(u64),
}

impl Shape {
    fn encode<T: Serialize>(self, encoding: Encoding, result: &T) -> EngineResult<Bytes> {
        match self {
            Self::Body => encoding.encode(result),
            Self::Frame(id) => encoding.encode(&ResultFrame { id, result }),
        }
        .map_err(EngineError::internal)
    }
}

/// An answer that is being made.
pub(crate) type Answer = BoxFuture<'static, EngineResult<Bytes>>;

/// Reads the parameters of an operation at once and returns its answer to be
/// awaited. A panic inside becomes an internal error of this request alone.
///
/// # Errors
/// When the parameters are not the operation's.
pub(crate) fn call(
    engine: &Engine,
    caller: Caller,
    method: Method,
    params: Raw<'_>,
    encoding: Encoding,
    shape: Shape,
) -> EngineResult<Answer> {
    // Two operations also take and give content in place of a payload.
    match method {
        Method::MessageSend => {
            let send = content::to_payload(decode::<Send>(params)?)?;
            return Ok(answer(engine, caller, send, encoding, shape, |ack| ack));
        }
        Method::MessagePage => {
            let request = decode::<PageRequest>(params)?;
            let as_content = request.as_content;
            return Ok(answer(
                engine,
                caller,
                request,
                encoding,
                shape,
                move |mut page| {
                    if as_content {
                        content::to_content(&mut page.items);
                    }
                    page
                },
            ));
        }
        _ => {}
    }
    macro_rules! dispatch {
        ($( $(#[$meta:meta])* $variant:ident $name:literal $request:path => $response:path, $access:ident, $effect:ident; )+) => {
            match method {
                $( Method::$variant => {
                    let request = decode::<$request>(params)?;
                    Ok(answer(engine, caller, request, encoding, shape, |response| response))
                } )+
                _ => Err(EngineError::rejected(ErrorCode::UnknownMethod)),
            }
        };
    }
    ruggine_core::for_each_operation!(dispatch)
}

fn decode<T: serde::de::DeserializeOwned>(params: Raw<'_>) -> EngineResult<T> {
    params
        .decode()
        .map_err(|error| EngineError::detailed(ErrorCode::InvalidParams, error.outline()))
}

fn answer<V: Verb>(
    engine: &Engine,
    caller: Caller,
    verb: V,
    encoding: Encoding,
    shape: Shape,
    present: impl FnOnce(V::Response) -> V::Response + std::marker::Send + 'static,
) -> Answer {
    let engine = engine.clone();
    Box::pin(async move {
        let call = std::panic::AssertUnwindSafe(engine.call(&caller, verb));
        match call.catch_unwind().await {
            Ok(result) => shape.encode(encoding, &present(result?)),
            Err(_) => {
                engine.metrics().record(Measurement::Panicked);
                Err(EngineError::internal("the operation panicked"))
            }
        }
    })
}
