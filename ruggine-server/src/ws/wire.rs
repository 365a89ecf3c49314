//! Frames on and off a WebSocket, with every buffer bounded by hand.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use ruggine_core::codec::Encoding;
use ruggine_core::error::CloseCode;
use ruggine_core::limits;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode as WireCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};

/// The library's defaults would cost an idle connection 128 KiB and let a slow
/// one queue without end.
const BUFFER: usize = 4 * 1024;
const WRITE_BUFFER_MAX: usize = 1024 * 1024;

/// What a peer sent.
#[derive(Debug)]
pub(super) enum Incoming {
    /// A whole message in the negotiated encoding.
    Frame(Bytes),
    /// A sign of life.
    Alive,
    /// A message of the other kind: text where binary was agreed, or the reverse.
    WrongKind,
    /// The peer closes or is gone.
    Gone,
    /// The peer broke a limit or the protocol.
    Broken(Option<CloseCode>),
}

#[derive(Debug)]
pub(super) struct Wire<S> {
    stream: WebSocketStream<S>,
    encoding: Encoding,
    write_timeout: Duration,
    /// What the peer sends can no longer be read as frames.
    broken: bool,
}

/// The peer took nothing for too long, or is gone.
#[derive(Debug)]
pub(super) enum WriteFailed {
    TooSlow,
    Gone,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Wire<S> {
    pub(super) async fn new(stream: S, encoding: Encoding, write_timeout: Duration) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(BUFFER)
            .write_buffer_size(BUFFER)
            .max_write_buffer_size(WRITE_BUFFER_MAX)
            .max_message_size(Some(limits::CLIENT_FRAME_MAX))
            .max_frame_size(Some(limits::CLIENT_FRAME_MAX))
            .accept_unmasked_frames(false);
        Self {
            stream: WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).await,
            encoding,
            write_timeout,
            broken: false,
        }
    }

    /// The next thing that the peer sent. Cancel safe.
    pub(super) async fn next(&mut self) -> Incoming {
        let next = self.stream.next().await;
        self.broken |= matches!(next, Some(Err(_)));
        match next {
            None => Incoming::Gone,
            Some(Ok(message)) => self.sort(message),
            Some(Err(Error::Capacity(_))) => Incoming::Broken(Some(CloseCode::TooBig)),
            Some(Err(Error::Utf8(_))) => Incoming::Broken(Some(CloseCode::NotUtf8)),
            Some(Err(Error::Protocol(error))) => {
                tracing::debug!(%error, "a peer broke the WebSocket protocol");
                Incoming::Broken(None)
            }
            Some(Err(error)) => {
                tracing::debug!(%error, "a WebSocket failed");
                Incoming::Gone
            }
        }
    }

    fn sort(&self, message: Message) -> Incoming {
        match (message, self.encoding) {
            (Message::Text(text), Encoding::Json) => Incoming::Frame(text.into()),
            (Message::Binary(bytes), Encoding::MsgPack) => Incoming::Frame(bytes),
            (Message::Text(_) | Message::Binary(_), _) => Incoming::WrongKind,
            (Message::Ping(_) | Message::Pong(_) | Message::Frame(_), _) => Incoming::Alive,
            (Message::Close(_), _) => Incoming::Gone,
        }
    }

    /// Puts a frame into the write buffer, sending what does not fit.
    pub(super) async fn feed(&mut self, frame: Bytes) -> Result<(), WriteFailed> {
        let message = match self.encoding {
            // What the codec wrote as JSON is UTF-8.
            Encoding::Json => match Utf8Bytes::try_from(frame) {
                Ok(text) => Message::Text(text),
                Err(_) => return Err(WriteFailed::Gone),
            },
            Encoding::MsgPack => Message::Binary(frame),
        };
        within(self.write_timeout, self.stream.feed(message)).await
    }

    /// Sends what is buffered.
    pub(super) async fn flush(&mut self) -> Result<(), WriteFailed> {
        within(self.write_timeout, self.stream.flush()).await
    }

    pub(super) async fn ping(&mut self) -> Result<(), WriteFailed> {
        within(
            self.write_timeout,
            self.stream.send(Message::Ping(Bytes::new())),
        )
        .await
    }

    /// Lets the library answer the peer's close, so that it ends cleanly there.
    pub(super) async fn answer_close(mut self) {
        let patience = self.write_timeout.min(Duration::from_secs(1));
        let goodbye = async { while let Some(Ok(_)) = self.stream.next().await {} };
        let _ = tokio::time::timeout(patience, goodbye).await;
    }

    /// Says why and ends. A peer that does not answer is not waited for.
    pub(super) async fn close(mut self, code: Option<CloseCode>, reason: &str) {
        let code = code.map_or(WireCode::Protocol, |code| WireCode::from(code.number()));
        let frame = CloseFrame {
            code,
            reason: Utf8Bytes::from(reason),
        };
        let goodbye = async {
            self.stream.close(Some(frame)).await?;
            // Who answers the close says nothing after it and waits for us to go.
            while !self.broken {
                match self.stream.next().await {
                    Some(Ok(_)) => {}
                    Some(Err(_)) => self.broken = true,
                    None => return Ok(()),
                }
            }
            // Others may still be sending. That is read to its end, so that the
            // system does not reset the connection under our last words.
            let mut ignored = [0u8; 1024];
            while self.stream.get_mut().read(&mut ignored).await? > 0 {}
            Ok::<(), Error>(())
        };
        let patience = self.write_timeout.min(Duration::from_secs(1));
        let _ = tokio::time::timeout(patience, goodbye).await;
    }
}

async fn within(
    time: Duration,
    write: impl Future<Output = Result<(), Error>>,
) -> Result<(), WriteFailed> {
    match tokio::time::timeout(time, write).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(Error::WriteBufferFull(_))) | Err(_) => Err(WriteFailed::TooSlow),
        Ok(Err(error)) => {
            tracing::debug!(%error, "a WebSocket could not be written");
            Err(WriteFailed::Gone)
        }
    }
}
