//! A WebSocket on which anything can be sent, down to its frames.

use std::net::SocketAddr;

use ruggine_core::codec::Encoding;
use ruggine_core::frame::ServerFrame;
use ruggine_core::version::{SUBPROTOCOL_JSON, SUBPROTOCOL_MSGPACK};
use ruggine_server::testing::patiently;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::raw_http::{HANDSHAKE, upgrade};

pub(crate) const PROTOCOL_ERROR: u16 = 1002;
pub(crate) const NOT_UTF8: u16 = 1007;
pub(crate) const TOO_BIG: u16 = 1009;
pub(crate) const BAD_FRAME: u16 = 4000;
pub(crate) const UNAUTHENTICATED: u16 = 4001;
pub(crate) const SILENT: u16 = 4007;
pub(crate) const SLOW_CONSUMER: u16 = 4008;

// Opcodes of RFC 6455, and the bit of a last fragment.
pub(crate) const FIN: u8 = 0x80;
pub(crate) const CONTINUATION: u8 = 0x0;
pub(crate) const TEXT: u8 = 0x1;
pub(crate) const BINARY: u8 = 0x2;
pub(crate) const CLOSE: u8 = 0x8;
pub(crate) const PING: u8 = 0x9;
pub(crate) const PONG: u8 = 0xa;

/// A WebSocket on which anything can be sent.
pub(crate) struct RawSocket {
    stream: TcpStream,
    encoding: Encoding,
}

/// How a server ended a WebSocket.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) code: Option<u16>,
    /// Whether the system cut the connection instead of ending it.
    pub(crate) reset: bool,
}

impl RawSocket {
    pub(crate) async fn open(address: SocketAddr, encoding: Encoding) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        Self::over(stream, encoding).await
    }

    pub(crate) async fn over(mut stream: TcpStream, encoding: Encoding) -> Self {
        let protocol = match encoding {
            Encoding::Json => SUBPROTOCOL_JSON,
            Encoding::MsgPack => SUBPROTOCOL_MSGPACK,
        };
        let mut headers = HANDSHAKE.to_vec();
        headers.push(("sec-websocket-protocol", protocol));
        let answer = upgrade(&mut stream, &headers).await;
        assert_eq!(answer.status, 101);
        Self { stream, encoding }
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        patiently("bytes to go out", self.stream.write_all(bytes))
            .await
            .unwrap();
    }

    /// Sends what may be cut off by the server's end.
    pub(crate) async fn try_send(&mut self, bytes: &[u8]) {
        // A server that has heard enough does not read on.
        let _ = patiently("bytes to go out", self.stream.write_all(bytes)).await;
    }

    /// Sends one whole message of the connection's kind.
    pub(crate) async fn message(&mut self, payload: &[u8]) {
        let opcode = match self.encoding {
            Encoding::Json => TEXT,
            Encoding::MsgPack => BINARY,
        };
        self.try_send(&frame(FIN | opcode, payload)).await;
    }

    /// Sends a request under an id.
    pub(crate) async fn begin(&mut self, id: u64, request: &Value) {
        let mut request = request.clone();
        request["id"] = id.into();
        let bytes = self.encoding.encode(&request).unwrap();
        self.message(&bytes).await;
    }

    /// The next frame: its opcode and its payload.
    pub(crate) async fn receive(&mut self) -> std::io::Result<(u8, Vec<u8>)> {
        patiently("a frame", async {
            let first = self.stream.read_u8().await?;
            let length = match self.stream.read_u8().await? {
                126 => u64::from(self.stream.read_u16().await?),
                127 => self.stream.read_u64().await?,
                length => u64::from(length),
            };
            let mut payload = vec![0; usize::try_from(length).unwrap()];
            self.stream.read_exact(&mut payload).await?;
            Ok((first & 0x0f, payload))
        })
        .await
    }

    /// The next answer to a request, whatever comes before it.
    pub(crate) async fn answer(&mut self) -> Value {
        loop {
            let (opcode, payload) = self.receive().await.unwrap();
            assert_ne!(opcode, CLOSE, "closed with {:?}", code_of(&payload));
            if matches!(opcode, PING | PONG) {
                continue;
            }
            match ServerFrame::decode(self.encoding, &payload).unwrap() {
                ServerFrame::Response {
                    id,
                    outcome: Err(error),
                } => return json!({"id": id, "error": error}),
                // Ids are bytes in MessagePack, which a value of JSON cannot be.
                ServerFrame::Response {
                    id,
                    outcome: Ok(result),
                } => {
                    let result = serde_json::from_slice(result.bytes());
                    return json!({"id": id, "result": result.unwrap_or_else(|_| json!({}))});
                }
                ServerFrame::Event { .. } => {}
            }
        }
    }

    /// The error that a request is answered with.
    pub(crate) async fn refusal(&mut self, id: u64) -> String {
        let answer = self.answer().await;
        assert_eq!(answer["id"], id, "{answer}");
        let code = answer["error"]["code"].as_str();
        code.unwrap_or_else(|| panic!("no error: {answer}"))
            .to_owned()
    }

    /// Reads to the end, answering a close as a well-behaved peer does.
    pub(crate) async fn ended(self) -> Ended {
        self.end(true).await
    }

    /// Reads to the end and says nothing more.
    pub(crate) async fn ended_unanswered(self) -> Ended {
        self.end(false).await
    }

    async fn end(mut self, answers: bool) -> Ended {
        let mut code = None;
        let error = loop {
            match self.receive().await {
                Ok((CLOSE, payload)) => {
                    code = code_of(&payload);
                    if answers {
                        self.try_send(&frame(FIN | CLOSE, &payload)).await;
                    }
                }
                Ok(_) => {}
                Err(error) => break error,
            }
        };
        Ended {
            code,
            reset: error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }
}

pub(crate) fn code_of(payload: &[u8]) -> Option<u16> {
    payload.first_chunk().map(|code| u16::from_be_bytes(*code))
}

/// A frame as a client sends it, masked.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    const MASK: [u8; 4] = [0x5a, 0x00, 0xff, 0x11];
    let mut bytes = header(first, payload.len() as u64);
    bytes.extend(MASK);
    bytes.extend(
        payload
            .iter()
            .zip(MASK.iter().cycle())
            .map(|(byte, mask)| byte ^ mask),
    );
    bytes
}

/// The head of a masked frame, up to its mask.
pub(crate) fn header(first: u8, length: u64) -> Vec<u8> {
    let mut bytes = vec![first];
    match length {
        0..=125 => bytes.push(0x80 | u8::try_from(length).unwrap()),
        126..=0xffff => {
            bytes.push(0x80 | 126);
            bytes.extend(u16::try_from(length).unwrap().to_be_bytes());
        }
        _ => {
            bytes.push(0x80 | 127);
            bytes.extend(length.to_be_bytes());
        }
    }
    bytes
}
