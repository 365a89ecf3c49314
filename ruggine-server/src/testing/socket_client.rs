//! The bare protocol over a WebSocket, without any of an SDK's cleverness.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::marker::PhantomData;
use std::net::SocketAddr;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use ruggine_core::api::Operation;
use ruggine_core::api::message::{Item, Row};
use ruggine_core::api::sync::{Heads, HeadsRequest, Hello};
use ruggine_core::codec::Encoding;
use ruggine_core::frame::{RequestFrame, ServerFrame};
use ruggine_core::secret::SecretText;
use ruggine_core::version::{
    ProtocolVersion, SUBPROTOCOL_JSON, SUBPROTOCOL_MSGPACK, WEBSOCKET_PATH,
};
use ruggine_core::{ApiError, ConversationId, Event, limits};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message, Utf8Bytes};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use super::patiently;

/// A connection of one client. It reads only while it is asked for something,
/// and keeps what arrives meanwhile for later.
#[derive(Debug)]
pub struct SocketClient {
    stream: WebSocketStream<TcpStream>,
    encoding: Encoding,
    write_counter: Option<u64>,
    last_id: u64,
    answers: HashMap<u64, Result<Bytes, ApiError>>,
    events: VecDeque<Event>,
    ending: Option<Ending>,
}

/// How a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// The close code; absent when the connection just broke.
    pub code: Option<u16>,
    /// What was said with it.
    pub reason: String,
}

impl Ending {
    /// When the server wants the client back, where it said so.
    #[must_use]
    pub fn retry_in_ms(&self) -> Option<u64> {
        self.reason.strip_prefix("retry_in_ms=")?.parse().ok()
    }
}

/// A request whose answer has not been asked for yet.
#[derive(Debug)]
#[must_use = "nobody looks at the answer"]
pub struct Pending<O> {
    id: u64,
    operation: PhantomData<fn() -> O>,
}

impl SocketClient {
    /// Opens a connection that has not said hello.
    ///
    /// # Panics
    /// When the server does not take it.
    pub async fn connect(address: SocketAddr, encoding: Encoding) -> Self {
        Self::try_connect(address, encoding)
            .await
            .expect("the server takes a WebSocket")
    }

    /// Opens a connection, which a server that ends may not take.
    ///
    /// # Errors
    /// When the server does not take it.
    pub async fn try_connect(address: SocketAddr, encoding: Encoding) -> io::Result<Self> {
        let stream = patiently("a connection", TcpStream::connect(address)).await?;
        Self::over(stream, encoding).await
    }

    /// Opens a connection over a stream whose options were chosen beforehand.
    ///
    /// # Errors
    /// When the server does not take it.
    ///
    /// # Panics
    /// When the stream has no peer.
    pub async fn over(stream: TcpStream, encoding: Encoding) -> io::Result<Self> {
        let address = stream.peer_addr()?;
        let mut request = format!("ws://{address}{WEBSOCKET_PATH}")
            .into_client_request()
            .map_err(io::Error::other)?;
        let subprotocol = match encoding {
            Encoding::Json => SUBPROTOCOL_JSON,
            Encoding::MsgPack => SUBPROTOCOL_MSGPACK,
        };
        request.headers_mut().insert(
            "sec-websocket-protocol",
            HeaderValue::from_static(subprotocol),
        );
        let config = WebSocketConfig::default()
            .max_message_size(Some(limits::SERVER_FRAME_MAX))
            .max_frame_size(Some(limits::SERVER_FRAME_MAX));
        let handshake = client_async_with_config(request, stream, Some(config));
        let (stream, _) = patiently("a WebSocket handshake", handshake)
            .await
            .map_err(io::Error::other)?;
        Ok(Self {
            stream,
            encoding,
            write_counter: None,
            last_id: 0,
            answers: HashMap::new(),
            events: VecDeque::new(),
            ending: None,
        })
    }

    /// Sends this write counter with every further request.
    pub const fn set_write_counter(&mut self, counter: Option<u64>) {
        self.write_counter = counter;
    }

    /// Says hello as a device that has nothing yet.
    ///
    /// # Errors
    /// What the server answers instead of the heads.
    pub async fn hello(&mut self, token: &SecretText) -> Result<Heads, ApiError> {
        self.call(Hello {
            token: token.clone(),
            protocol: ProtocolVersion::CURRENT,
            locale: None,
            incarnation: None,
        })
        .await
    }

    /// Does an operation.
    ///
    /// # Errors
    /// What the server answers instead of the response.
    ///
    /// # Panics
    /// When the connection ends before the answer.
    pub async fn call<O: Operation>(&mut self, request: O) -> Result<O::Response, ApiError> {
        self.try_call(request).await.unwrap_or_else(|ending| {
            panic!("the connection ended ({ending:?}) before {}", O::METHOD)
        })
    }

    /// Does an operation on a connection that may end.
    ///
    /// # Errors
    /// How the connection ended, without an answer.
    pub async fn try_call<O: Operation>(
        &mut self,
        request: O,
    ) -> Result<Result<O::Response, ApiError>, Ending> {
        let pending = self.begin(&request).await?;
        self.finish(pending).await
    }

    /// Sends a request without waiting for its answer.
    ///
    /// # Errors
    /// How the connection ended.
    ///
    /// # Panics
    /// When the server takes nothing for too long.
    pub async fn begin<O: Operation>(&mut self, request: &O) -> Result<Pending<O>, Ending> {
        self.last_id += 1;
        let frame = RequestFrame {
            id: self.last_id,
            method: O::METHOD.as_str(),
            params: request,
            write_counter: self.write_counter,
        };
        let bytes = self
            .encoding
            .encode(&frame)
            .expect("requests are plain data");
        self.send_raw(bytes).await?;
        Ok(Pending {
            id: self.last_id,
            operation: PhantomData,
        })
    }

    /// Waits for the answer to a request. Answers that come before it are kept.
    ///
    /// # Errors
    /// How the connection ended, without an answer.
    ///
    /// # Panics
    /// When no answer comes, or one that is not the operation's.
    pub async fn finish<O: Operation>(
        &mut self,
        pending: Pending<O>,
    ) -> Result<Result<O::Response, ApiError>, Ending> {
        let id = pending.id;
        let answer = patiently(O::METHOD.as_str(), async {
            loop {
                if let Some(answer) = self.answers.remove(&id) {
                    return Ok(answer);
                }
                self.receive().await?;
            }
        });
        let answer = answer.await?;
        Ok(answer.map(|bytes| {
            self.encoding
                .decode_from_server(&bytes)
                .expect("a response is the operation's")
        }))
    }

    /// Sends bytes as one frame of the connection's kind, whatever they are.
    ///
    /// # Errors
    /// How the connection ended.
    ///
    /// # Panics
    /// When the server takes nothing for too long, or JSON is not UTF-8.
    pub async fn send_raw(&mut self, bytes: Bytes) -> Result<(), Ending> {
        let message = match self.encoding {
            Encoding::Json => {
                Message::Text(Utf8Bytes::try_from(bytes).expect("a text frame is UTF-8"))
            }
            Encoding::MsgPack => Message::Binary(bytes),
        };
        self.send_message(message).await
    }

    /// Sends a frame of the other kind: binary where text was agreed, or the reverse.
    ///
    /// # Errors
    /// How the connection ended.
    pub async fn send_wrong_kind(&mut self) -> Result<(), Ending> {
        let message = match self.encoding {
            Encoding::Json => Message::Binary(Bytes::from_static(b"\x80")),
            Encoding::MsgPack => Message::Text(Utf8Bytes::from_static("{}")),
        };
        self.send_message(message).await
    }

    async fn send_message(&mut self, message: Message) -> Result<(), Ending> {
        if let Err(error) = patiently("a frame to go out", self.stream.send(message)).await {
            // Why it ended may still stand in what the server sent before.
            let ending = self.ending().await;
            return Err(match ending.code {
                Some(_) => ending,
                None => broken(&error.to_string()),
            });
        }
        Ok(())
    }

    /// The next event, from what was kept or from the wire.
    ///
    /// # Panics
    /// When none comes, or the connection ends.
    pub async fn next_event(&mut self) -> Event {
        self.try_next_event()
            .await
            .unwrap_or_else(|ending| panic!("the connection ended ({ending:?}) before an event"))
    }

    /// The next event on a connection that may end.
    ///
    /// # Errors
    /// How the connection ended.
    ///
    /// # Panics
    /// When neither comes.
    pub async fn try_next_event(&mut self) -> Result<Event, Ending> {
        patiently("an event", async {
            loop {
                if let Some(event) = self.events.pop_front() {
                    return Ok(event);
                }
                self.receive().await?;
            }
        })
        .await
    }

    /// The first event that fits, now or later. Others are kept in their order.
    ///
    /// # Panics
    /// When none comes, or the connection ends.
    pub async fn wait_for(&mut self, mut fits: impl FnMut(&Event) -> bool) -> Event {
        patiently("an event that fits", async {
            let mut looked_at = 0;
            loop {
                let found = self.events.iter().skip(looked_at).position(&mut fits);
                if let Some(event) = found.and_then(|at| self.events.remove(looked_at + at)) {
                    return event;
                }
                looked_at = self.events.len();
                if let Err(ending) = self.receive().await {
                    panic!("the connection ended ({ending:?}) before an event that fits");
                }
            }
        })
        .await
    }

    /// The next row of any conversation, and of which. Other events are kept.
    ///
    /// # Panics
    /// When none comes, or the connection ends.
    pub async fn next_row(&mut self) -> (ConversationId, Row) {
        let is_row = |event: &Event| matches!(event, Event::Message(message) if matches!(message.item, Item::Row(_)));
        match self.wait_for(is_row).await {
            Event::Message(message) => match message.item {
                Item::Row(row) => (message.conversation, row),
                item => unreachable!("{item:?} is no row"),
            },
            event => unreachable!("{event:?} is no message"),
        }
    }

    /// Takes the events that have arrived, without waiting for more.
    pub fn take_events(&mut self) -> Vec<Event> {
        self.events.drain(..).collect()
    }

    /// Waits until every event that the server had queued so far is here, and
    /// takes them: a request's answer stands behind them in the same queue.
    ///
    /// # Panics
    /// When the connection ends.
    pub async fn catch_up(&mut self) -> Vec<Event> {
        self.call(HeadsRequest::default())
            .await
            .expect("one who has said hello may ask for heads");
        self.take_events()
    }

    /// Waits for the end of the connection. Events that come before are kept.
    ///
    /// # Panics
    /// When it does not end.
    pub async fn ending(&mut self) -> Ending {
        patiently("the end of the connection", async {
            loop {
                if let Err(ending) = self.receive().await {
                    return ending;
                }
            }
        })
        .await
    }

    /// Closes the connection properly.
    ///
    /// # Panics
    /// When the server does not let go.
    pub async fn close(mut self) {
        // One that is closed already is closed well enough.
        let _ = patiently("a close to go out", self.stream.close(None)).await;
        self.ending().await;
    }

    /// Reads one frame and puts it where it belongs. A ping is one too, so who
    /// waits for something else sets the limit of the wait.
    async fn receive(&mut self) -> Result<(), Ending> {
        if let Some(ending) = &self.ending {
            return Err(ending.clone());
        }
        let ending = match self.stream.next().await {
            Some(Ok(Message::Text(text))) => {
                self.file(text.as_bytes());
                return Ok(());
            }
            Some(Ok(Message::Binary(bytes))) => {
                self.file(&bytes);
                return Ok(());
            }
            Some(Ok(Message::Close(frame))) => {
                // Reading on answers the close.
                while let Some(Ok(_)) = self.stream.next().await {}
                match frame {
                    Some(frame) => Ending {
                        code: Some(frame.code.into()),
                        reason: frame.reason.to_string(),
                    },
                    None => broken("closed without a code"),
                }
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => return Ok(()),
            Some(Err(tungstenite::Error::ConnectionClosed)) | None => broken("closed"),
            Some(Err(error)) => broken(&error.to_string()),
        };
        self.ending = Some(ending.clone());
        Err(ending)
    }

    fn file(&mut self, bytes: &[u8]) {
        match ServerFrame::decode(self.encoding, bytes).expect("a server sends valid frames") {
            ServerFrame::Response { id, outcome } => {
                let answer = outcome.map(|raw| Bytes::copy_from_slice(raw.bytes()));
                self.answers.insert(id, answer);
            }
            ServerFrame::Event { name, data } => {
                let event = Event::decode(&name, data).expect("an event has its form");
                self.events.extend(event);
            }
        }
    }
}

fn broken(reason: &str) -> Ending {
    Ending {
        code: None,
        reason: reason.to_owned(),
    }
}
