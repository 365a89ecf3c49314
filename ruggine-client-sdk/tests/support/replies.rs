//! What a client asks of a server that the test plays, and what it may be answered.

use bytes::Bytes;
use ruggine_core::api::Operation;
use ruggine_core::codec::Encoding;
use ruggine_core::frame::{ClientFrame, ErrorFrame, ResultFrame};
use ruggine_core::{ApiError, ErrorCode};

pub(super) const CODEC: Encoding = Encoding::MsgPack;

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) id: u64,
    pub(crate) method: String,
    pub(crate) write_counter: Option<u64>,
    frame: Bytes,
}

impl Asked {
    pub(super) fn new(frame: Bytes) -> Self {
        let read = ClientFrame::decode(CODEC, &frame).expect("a client sends valid frames");
        let (id, write_counter) = (read.id, read.write_counter);
        let method = read.method.into_owned();
        Self {
            id,
            method,
            write_counter,
            frame,
        }
    }

    pub(crate) fn is<O: Operation>(&self) -> bool {
        self.method == O::METHOD.as_str()
    }

    pub(crate) fn read<O: Operation>(&self) -> O {
        assert!(self.is::<O>(), "{} is no {}", self.method, O::METHOD);
        let frame = ClientFrame::decode(CODEC, &self.frame).expect("it was read before");
        frame
            .params
            .decode()
            .expect("the parameters are the operation's")
    }
}

/// What the server does about a request.
#[derive(Debug)]
pub(crate) enum Reply {
    /// Answers with this frame.
    Frame(Bytes),
    /// Says nothing.
    Silence,
    /// Loses the connection.
    Lose,
}

pub(crate) fn result<O: Operation>(asked: &Asked, response: &O::Response) -> Reply {
    let frame = ResultFrame {
        id: asked.id,
        result: response,
    };
    Reply::Frame(CODEC.encode(&frame).expect("responses are plain data"))
}

pub(crate) fn error(asked: &Asked, error: &ApiError) -> Reply {
    let frame = ErrorFrame {
        id: asked.id,
        error,
    };
    Reply::Frame(CODEC.encode(&frame).expect("errors are plain data"))
}

pub(crate) fn refusal(code: ErrorCode) -> ApiError {
    ApiError {
        code,
        message: "refused by the script".to_owned(),
        retryable: code.is_retryable(),
        retry_after_ms: None,
        details: None,
    }
}
