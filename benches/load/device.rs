//! A protocol client: no store, no sync, as little CPU as it takes.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, bail};
use bytes::Bytes;
use futures_util::{FutureExt, SinkExt, StreamExt};
use parking_lot::Mutex;
use ruggine_benches::payload;
use ruggine_core::api::Operation;
use ruggine_core::api::account::Login;
use ruggine_core::api::message::{Item, Send};
use ruggine_core::api::sync::Hello;
use ruggine_core::codec::Encoding;
use ruggine_core::frame::{RequestFrame, ServerFrame};
use ruggine_core::time::SystemClock;
use ruggine_core::version::{ProtocolVersion, SUBPROTOCOL_MSGPACK};
use ruggine_core::{Blob, ClientMsgId, Clock, ConversationId, Event, limits};
use ruggine_server::testing::{HttpClient, Person};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use crate::latency::Latencies;

const BODY: usize = 256;

/// When messages were sent, for those who receive them.
pub(crate) type Sent = Arc<Mutex<HashMap<ClientMsgId, Instant>>>;

pub(crate) async fn register(server: SocketAddr, name: &str) -> anyhow::Result<Person> {
    let login: Login = HttpClient::new(server)
        .call(Person::registration(name))
        .await
        .with_context(|| format!("{name} cannot be registered"))?;
    Ok(Person { login })
}

pub(crate) fn http(server: SocketAddr, person: &Person) -> HttpClient {
    HttpClient::new(server).with_token(person.token())
}

/// A live connection.
pub(crate) struct Device {
    stream: WebSocketStream<TcpStream>,
    last_id: u64,
    payload: Blob,
    /// Messages without an answer, and when they were sent.
    pending: HashMap<u64, Instant>,
    pub(crate) acked: u64,
    pub(crate) received: u64,
    pub(crate) ack_times: Latencies,
    pub(crate) receive_times: Latencies,
    /// Where receivers look up when a message was sent; absent where nobody asks.
    pub(crate) sent: Option<Sent>,
}

impl Device {
    /// Connects and says hello.
    pub(crate) async fn connect(server: SocketAddr, person: &Person) -> anyhow::Result<Self> {
        let tcp = TcpStream::connect(server).await?;
        tcp.set_nodelay(true)?;
        let mut request = format!("ws://{server}/v1/ws").into_client_request()?;
        request.headers_mut().insert(
            "sec-websocket-protocol",
            HeaderValue::from_static(SUBPROTOCOL_MSGPACK),
        );
        let config = WebSocketConfig::default()
            .read_buffer_size(4 * 1024)
            .write_buffer_size(4 * 1024)
            .max_message_size(Some(limits::SERVER_FRAME_MAX))
            .max_frame_size(Some(limits::SERVER_FRAME_MAX));
        let (stream, _) = client_async_with_config(request, tcp, Some(config)).await?;
        let mut device = Self {
            stream,
            last_id: 0,
            payload: payload(BODY),
            pending: HashMap::new(),
            acked: 0,
            received: 0,
            ack_times: Latencies::default(),
            receive_times: Latencies::default(),
            sent: None,
        };
        let hello = Hello {
            token: person.token().clone(),
            protocol: ProtocolVersion::CURRENT,
            locale: None,
            incarnation: None,
        };
        device.ask(&hello).await?;
        Ok(device)
    }

    /// Puts a message into the buffer; [`flush`](Self::flush) sends it.
    pub(crate) async fn write(&mut self, conversation: ConversationId) -> anyhow::Result<()> {
        let now = Instant::now();
        let message = Send {
            conversation,
            client_msg_id: ClientMsgId::new(SystemClock.now()),
            payload: Some(self.payload.clone()),
            content: None,
            epoch: None,
        };
        if let Some(sent) = &self.sent {
            sent.lock().insert(message.client_msg_id, now);
        }
        let id = self.feed(&message).await?;
        self.pending.insert(id, now);
        Ok(())
    }

    pub(crate) async fn flush(&mut self) -> anyhow::Result<()> {
        Ok(self.stream.flush().await?)
    }

    /// Messages without an answer.
    pub(crate) fn waiting(&self) -> usize {
        self.pending.len()
    }

    /// Takes what has arrived, at least one frame.
    pub(crate) async fn take(&mut self) -> anyhow::Result<()> {
        let mut next = Some(self.stream.next().await);
        while let Some(message) = next {
            self.sort(message.context("the connection ended")??)?;
            next = self.stream.next().now_or_never();
        }
        Ok(())
    }

    fn sort(&mut self, message: Message) -> anyhow::Result<()> {
        let Message::Binary(bytes) = message else {
            return Ok(());
        };
        match ServerFrame::decode(Encoding::MsgPack, &bytes)? {
            ServerFrame::Response { id, outcome } => {
                outcome.map_err(|error| anyhow::anyhow!("a message was refused: {error}"))?;
                if let Some(sent) = self.pending.remove(&id) {
                    self.acked += 1;
                    self.ack_times.add(sent.elapsed());
                }
            }
            ServerFrame::Event { name, data } if name == "message" => {
                self.received += 1;
                if let Some(sent) = &self.sent
                    && let Some(Event::Message(event)) = Event::decode(&name, data)?
                    && let Item::Row(row) = event.item
                    && let Some(sent) = sent.lock().get(&row.client_msg_id)
                {
                    self.receive_times.add(sent.elapsed());
                }
            }
            ServerFrame::Event { name, .. } if name == "resync" => {
                bail!("the generator reads too slowly for this load");
            }
            ServerFrame::Event { .. } => {}
        }
        Ok(())
    }

    /// Asks something and waits for the answer; events meanwhile are counted.
    pub(crate) async fn ask<O: Operation>(&mut self, request: &O) -> anyhow::Result<O::Response> {
        let id = self.feed(request).await?;
        self.flush().await?;
        loop {
            let message = self.stream.next().await.context("the connection ended")??;
            if let Message::Binary(bytes) = &message
                && let ServerFrame::Response {
                    id: answered,
                    outcome,
                } = ServerFrame::decode(Encoding::MsgPack, bytes)?
                && answered == id
            {
                let raw = outcome.map_err(|error| anyhow::anyhow!("{}: {error}", O::METHOD))?;
                return Ok(raw.decode()?);
            }
            self.sort(message)?;
        }
    }

    async fn feed<O: Operation>(&mut self, request: &O) -> anyhow::Result<u64> {
        self.last_id += 1;
        let frame = RequestFrame {
            id: self.last_id,
            method: O::METHOD.as_str(),
            params: request,
            write_counter: None,
        };
        let bytes: Bytes = Encoding::MsgPack.encode(&frame)?;
        self.stream.feed(Message::Binary(bytes)).await?;
        Ok(self.last_id)
    }
}
