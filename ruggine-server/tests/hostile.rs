//! Peers that break the rules, on real sockets: each gets the answer that the
//! protocol names, its neighbours notice nothing, and nothing of it is kept.
#![cfg(all(feature = "http", feature = "sqlite", feature = "metrics"))]
#![expect(
    clippy::unwrap_used,
    reason = "a test stops at what it does not expect, in its helpers too"
)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ruggine_core::api::Method;
use ruggine_core::api::account::{LogIn, LookUp, Register, User};
use ruggine_core::api::message::{PageRequest, PageStart, Send};
use ruggine_core::api::session::LogOut;
use ruggine_core::api::sync::Hello;
use ruggine_core::codec::Encoding;
use ruggine_core::frame::ServerFrame;
use ruggine_core::secret::SecretText;
use ruggine_core::time::{ManualClock, SystemClock};
use ruggine_core::version::{ProtocolVersion, SUBPROTOCOL_JSON, SUBPROTOCOL_MSGPACK};
use ruggine_core::{ApiError, Blob, Clock, ConversationId, ErrorCode, Timestamp, UserId, limits};
use ruggine_crypto::token::{self, TokenKind};
use ruggine_server::hooks::{Attempt, Hooks, Outcome, Verdict};
use ruggine_server::metrics::PrometheusMetrics;
use ruggine_server::testing::{
    HttpAnswer, HttpClient, Person, ServerOptions, SocketClient, TestServer, eventually,
    fresh_message_id, patiently, text_message, words_of,
};
use serde_json::{Value, json};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Row};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Semaphore;

const PROTOCOL_ERROR: u16 = 1002;
const NOT_UTF8: u16 = 1007;
const TOO_BIG: u16 = 1009;
const BAD_FRAME: u16 = 4000;
const UNAUTHENTICATED: u16 = 4001;
const SILENT: u16 = 4007;
const SLOW_CONSUMER: u16 = 4008;

const BOTH: [Encoding; 2] = [Encoding::Json, Encoding::MsgPack];

// Opcodes of RFC 6455, and the bit of a last fragment.
const FIN: u8 = 0x80;
const CONTINUATION: u8 = 0x0;
const TEXT: u8 = 0x1;
const BINARY: u8 = 0x2;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xa;

/// A server with somebody who means harm and a neighbour who must not notice.
struct Scene {
    server: TestServer,
    metrics: Arc<PrometheusMetrics>,
    mallory: Person,
    /// A group that Mallory is in.
    shared: ConversationId,
    /// One of the neighbour's that Mallory is not in.
    private: ConversationId,
    neighbour: SocketClient,
    database: SqliteConnection,
    stored: Vec<i64>,
}

impl Scene {
    async fn new() -> Self {
        Self::of(TestServer::options()).await
    }

    async fn of(options: ServerOptions) -> Self {
        let metrics = Arc::new(PrometheusMetrics::new().unwrap());
        let server = options.metrics(metrics.clone()).start().await;
        let ada = server.register("ada").await;
        let mallory = server.register("mallory").await;
        let shared = server.group(&ada, &[&mallory]).await;
        let private = server.group(&ada, &[]).await;
        let mut neighbour = SocketClient::connect(server.address(), Encoding::MsgPack).await;
        neighbour.hello(ada.token()).await.unwrap();
        let database = SqliteConnectOptions::new()
            .filename(server.database())
            .read_only(true)
            .connect()
            .await
            .unwrap();
        let mut scene = Self {
            server,
            metrics,
            mallory,
            shared,
            private,
            neighbour,
            database,
            stored: Vec::new(),
        };
        scene.stored = scene.count().await;
        scene
    }

    fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Mallory over HTTP.
    fn http(&self) -> HttpClient {
        self.server.http_of(&self.mallory)
    }

    /// Mallory over a WebSocket, after hello where `greeted`.
    async fn raw(&self, encoding: Encoding, greeted: bool) -> RawSocket {
        let mut socket = RawSocket::open(self.address(), encoding).await;
        if greeted {
            let hello = hello(self.mallory.token());
            socket.begin(0, &hello).await;
            let answer = socket.answer().await;
            assert!(answer["result"].is_object(), "{answer}");
        }
        socket
    }

    /// How much the database holds of everything that a request can add.
    async fn count(&mut self) -> Vec<i64> {
        let row = sqlx::query(
            "SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM usernames),
                    (SELECT count(*) FROM devices), (SELECT count(*) FROM sessions),
                    (SELECT count(*) FROM tokens), (SELECT count(*) FROM conversations),
                    (SELECT count(*) FROM members), (SELECT count(*) FROM messages),
                    (SELECT count(*) FROM device_cursors), (SELECT count(*) FROM read_positions),
                    (SELECT sum(last_seq) FROM conversations),
                    (SELECT count(*) FROM sessions WHERE revoked_at IS NULL),
                    (SELECT sum(write_counter) FROM devices)",
        )
        .fetch_one(&mut self.database)
        .await
        .unwrap();
        (0..row.len()).map(|column| row.get(column)).collect()
    }

    /// Takes what has been stored since as meant to be.
    async fn accept(&mut self) {
        self.stored = self.count().await;
    }

    /// Nothing was stored, nothing panicked, and the neighbour is still served.
    async fn is_unharmed(&mut self, after: &str) {
        assert_eq!(self.count().await, self.stored, "stored by {after}");
        let figures = self.metrics.render();
        assert!(figures.contains("\npanics 0\n"), "{after}: {figures}");
        let message = text_message(self.private, after);
        let ack = self.neighbour.call(message).await.unwrap();
        // What was sent elsewhere comes to the neighbour too.
        let row = loop {
            let (conversation, row) = self.neighbour.next_row().await;
            if conversation == self.private {
                break row;
            }
        };
        assert_eq!(row.seq, ack.seq, "{after}");
        self.accept().await;
    }
}

fn hello(token: &SecretText) -> Value {
    let params = json!({"token": token.expose(), "protocol": 1});
    json!({"method": "hello", "params": params})
}

/// A WebSocket on which anything can be sent.
struct RawSocket {
    stream: TcpStream,
    encoding: Encoding,
}

/// How a server ended a WebSocket.
#[derive(Debug, PartialEq, Eq)]
struct Ended {
    code: Option<u16>,
    /// Whether the system cut the connection instead of ending it.
    reset: bool,
}

impl RawSocket {
    async fn open(address: SocketAddr, encoding: Encoding) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        Self::over(stream, encoding).await
    }

    async fn over(mut stream: TcpStream, encoding: Encoding) -> Self {
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

    async fn send(&mut self, bytes: &[u8]) {
        patiently("bytes to go out", self.stream.write_all(bytes))
            .await
            .unwrap();
    }

    /// Sends what may be cut off by the server's end.
    async fn try_send(&mut self, bytes: &[u8]) {
        // A server that has heard enough does not read on.
        let _ = patiently("bytes to go out", self.stream.write_all(bytes)).await;
    }

    /// Sends one whole message of the connection's kind.
    async fn message(&mut self, payload: &[u8]) {
        let opcode = match self.encoding {
            Encoding::Json => TEXT,
            Encoding::MsgPack => BINARY,
        };
        self.try_send(&frame(FIN | opcode, payload)).await;
    }

    /// Sends a request under an id.
    async fn begin(&mut self, id: u64, request: &Value) {
        let mut request = request.clone();
        request["id"] = id.into();
        let bytes = self.encoding.encode(&request).unwrap();
        self.message(&bytes).await;
    }

    /// The next frame: its opcode and its payload.
    async fn receive(&mut self) -> std::io::Result<(u8, Vec<u8>)> {
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
    async fn answer(&mut self) -> Value {
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
    async fn refusal(&mut self, id: u64) -> String {
        let answer = self.answer().await;
        assert_eq!(answer["id"], id, "{answer}");
        let code = answer["error"]["code"].as_str();
        code.unwrap_or_else(|| panic!("no error: {answer}"))
            .to_owned()
    }

    /// Reads to the end, answering a close as a well-behaved peer does.
    async fn ended(self) -> Ended {
        self.end(true).await
    }

    /// Reads to the end and says nothing more.
    async fn ended_unanswered(self) -> Ended {
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

fn code_of(payload: &[u8]) -> Option<u16> {
    payload.first_chunk().map(|code| u16::from_be_bytes(*code))
}

/// A frame as a client sends it, masked.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
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
fn header(first: u8, length: u64) -> Vec<u8> {
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

/// A request of exactly so many bytes that asks for heads.
fn padded(encoding: Encoding, id: u8, length: usize) -> Vec<u8> {
    let (mut bytes, end): (Vec<u8>, &[u8]) = match encoding {
        Encoding::Json => {
            let text = format!(r#"{{"id":{id},"method":"sync.heads","pad":""#);
            (text.into(), b"\"}")
        }
        Encoding::MsgPack => {
            let mut bytes = b"\x83\xa2id".to_vec();
            bytes.push(id);
            bytes.extend(b"\xa6method\xaasync.heads\xa3pad\xc6");
            let rest = length - bytes.len() - 4;
            bytes.extend(u32::try_from(rest).unwrap().to_be_bytes());
            (bytes, b"")
        }
    };
    bytes.resize(length - end.len(), b'x');
    bytes.extend(end);
    assert_eq!(bytes.len(), length);
    bytes
}

const HANDSHAKE: [(&str, &str); 4] = [
    ("connection", "Upgrade"),
    ("upgrade", "websocket"),
    ("sec-websocket-version", "13"),
    ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
];

async fn upgrade(stream: &mut TcpStream, headers: &[(&str, &str)]) -> HttpAnswer {
    let request = request("GET", "/v1/ws", headers, b"");
    exchange(stream, &request).await.unwrap()
}

fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut text = format!("{method} {path} HTTP/1.1\r\n");
    if !headers.iter().any(|(name, _)| *name == "host") {
        text += "host: chat.test\r\n";
    }
    for (name, value) in headers {
        text += &format!("{name}: {value}\r\n");
    }
    if !body.is_empty() {
        text += &format!("content-length: {}\r\n", body.len());
    }
    text += "\r\n";
    let mut bytes = text.into_bytes();
    bytes.extend(body);
    bytes
}

/// Sends a request and reads one answer; `None` when the server just ends.
async fn exchange(stream: &mut TcpStream, request: &[u8]) -> Option<HttpAnswer> {
    // One that refuses by the headers need not read the body.
    let _ = patiently("a request to go out", stream.write_all(request)).await;
    read_answer(stream).await
}

async fn read_answer(stream: &mut TcpStream) -> Option<HttpAnswer> {
    patiently("an HTTP answer", async {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.ok()?);
        }
        let head = String::from_utf8(head).unwrap();
        let mut lines = head.split("\r\n");
        let status = lines.next()?.split(' ').nth(1)?.parse().unwrap();
        let headers: Vec<_> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let mut answer = HttpAnswer {
            status,
            headers,
            body: bytes::Bytes::new(),
        };
        let length = answer
            .header("content-length")
            .map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.unwrap();
        answer.body = body.into();
        Some(answer)
    })
    .await
}

async fn ask(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> HttpAnswer {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = request(method, path, headers, body);
    exchange(&mut stream, &request)
        .await
        .unwrap_or_else(|| panic!("{method} {path} was not answered"))
}

fn code(answer: &HttpAnswer) -> ErrorCode {
    answer.error(Encoding::Json).code
}

async fn refused<O: ruggine_core::api::Operation>(http: &HttpClient, request: O) -> ApiError
where
    O::Response: std::fmt::Debug,
{
    http.call(request).await.unwrap_err()
}

#[tokio::test]
async fn a_message_of_64_kib_is_read_and_one_byte_more_closes() {
    let mut scene = Scene::new().await;
    for encoding in BOTH {
        for greeted in [false, true] {
            let what = format!("{encoding:?}, greeted: {greeted}");
            let mut socket = scene.raw(encoding, greeted).await;
            socket
                .message(&padded(encoding, 1, limits::CLIENT_FRAME_MAX))
                .await;
            let answer = socket.answer().await;
            assert_eq!(answer["result"].is_object(), greeted, "{what}: {answer}");
            socket
                .message(&padded(encoding, 2, limits::CLIENT_FRAME_MAX + 1))
                .await;
            assert_eq!(socket.ended().await.code, Some(TOO_BIG), "{what}");
            scene.is_unharmed(&what).await;
        }
    }
}

#[tokio::test]
async fn a_length_that_is_only_declared_closes_before_a_byte_of_it_comes() {
    let mut scene = Scene::new().await;
    for length in [
        limits::CLIENT_FRAME_MAX as u64 + 1,
        64 << 20,
        1 << 40,
        u64::MAX >> 1,
        u64::MAX,
    ] {
        for greeted in [false, true] {
            let mut socket = scene.raw(Encoding::MsgPack, greeted).await;
            let mut bytes = header(FIN | BINARY, length);
            bytes.extend([0; 4]);
            socket.send(&bytes).await;
            let code = socket.ended().await.code;
            assert!(
                matches!(code, Some(TOO_BIG | PROTOCOL_ERROR)),
                "{length}: {code:?}"
            );
        }
        scene.is_unharmed(&format!("{length} bytes declared")).await;
    }
}

#[tokio::test]
async fn fragments_count_together_however_small_they_are() {
    let mut scene = Scene::new().await;
    let piece = |number: usize| match number {
        0 => frame(TEXT, b"x"),
        _ => frame(CONTINUATION, b"x"),
    };
    for greeted in [false, true] {
        let mut socket = scene.raw(Encoding::Json, greeted).await;
        let flood: Vec<u8> = (0..100_000).flat_map(piece).collect();
        socket.try_send(&flood).await;
        assert_eq!(
            socket.ended().await.code,
            Some(TOO_BIG),
            "greeted: {greeted}"
        );
        scene.is_unharmed("100,000 fragments").await;
    }

    let mut socket = scene.raw(Encoding::Json, true).await;
    let halves = [
        frame(TEXT, &[b'x'; 40 * 1024]),
        frame(FIN, &[b'x'; 40 * 1024]),
    ];
    socket.try_send(&halves.concat()).await;
    assert_eq!(socket.ended().await.code, Some(TOO_BIG));

    let mut socket = scene.raw(Encoding::Json, true).await;
    let request = padded(Encoding::Json, 7, 2_000);
    for (number, byte) in request.iter().enumerate() {
        let first = if number == 0 { TEXT } else { CONTINUATION };
        let last = if number + 1 == request.len() { FIN } else { 0 };
        socket.send(&frame(first | last, &[*byte])).await;
        if number == 1_000 {
            // A control frame may stand between fragments.
            socket.send(&frame(FIN | PING, b"between")).await;
        }
    }
    assert_eq!(socket.answer().await["id"], 7);
    scene.is_unharmed("small fragments within the limit").await;
}

#[tokio::test]
async fn text_that_is_not_utf_8_closes() {
    let mut scene = Scene::new().await;
    let whole = |bytes: &[u8]| frame(FIN | TEXT, bytes);
    let cases = [
        whole(b"{\"id\":1,\"method\":\"\xff\"}"),
        whole(b"\xc0\x80"),
        whole(b"\xed\xa0\x80"),
        whole(b"\xf4\x90\x80\x80"),
        whole(b"{\"id\":1}\xe2\x82"),
        [frame(TEXT, b"{\"id\":\xe2"), frame(FIN, b"\x28\xa1")].concat(),
        frame(FIN | CLOSE, b"\x03\xe8\xff"),
    ];
    for (number, bytes) in cases.iter().enumerate() {
        for greeted in [false, true] {
            let mut socket = scene.raw(Encoding::Json, greeted).await;
            socket.send(bytes).await;
            let code = socket.ended().await.code;
            assert_eq!(code, Some(NOT_UTF8), "case {number}, greeted: {greeted}");
        }
        scene.is_unharmed(&format!("case {number}")).await;
    }
    // A character that is split over two fragments is one.
    let mut socket = scene.raw(Encoding::Json, true).await;
    socket
        .send(&frame(TEXT, b"{\"id\":3,\"method\":\"\xc3"))
        .await;
    socket.send(&frame(FIN, b"\xa8\"}")).await;
    assert_eq!(socket.refusal(3).await, "unknown_method");
}

#[tokio::test]
async fn a_broken_websocket_frame_closes() {
    let mut scene = Scene::new().await;
    let body = br#"{"id":1,"method":"sync.heads"}"#;
    let mut unmasked = frame(FIN | TEXT, body);
    unmasked[1] &= 0x7f;
    let cases: [(&str, Vec<u8>); 13] = [
        ("unmasked", unmasked),
        ("first reserved bit", frame(FIN | 0x40 | TEXT, body)),
        ("second reserved bit", frame(FIN | 0x20 | TEXT, body)),
        ("third reserved bit", frame(FIN | 0x10 | TEXT, body)),
        ("reserved bit of a ping", frame(FIN | 0x40 | PING, b"")),
        ("reserved data opcode", frame(FIN | 0x3, body)),
        ("reserved control opcode", frame(FIN | 0xb, b"")),
        ("fragmented ping", frame(PING, b"")),
        ("long ping", frame(FIN | PING, &[0; 126])),
        ("continuation of nothing", frame(FIN | CONTINUATION, body)),
        (
            "text inside text",
            [frame(TEXT, b"{"), frame(FIN | TEXT, body)].concat(),
        ),
        ("close of one byte", frame(FIN | CLOSE, b"\x03")),
        (
            "close code that none may send",
            frame(FIN | CLOSE, &1005u16.to_be_bytes()),
        ),
    ];
    for (what, bytes) in &cases {
        for greeted in [false, true] {
            let mut socket = scene.raw(Encoding::Json, greeted).await;
            socket.send(bytes).await;
            let code = socket.ended().await.code;
            assert_eq!(code, Some(PROTOCOL_ERROR), "{what}, greeted: {greeted}");
        }
        scene.is_unharmed(what).await;
    }
}

/// A reset may overtake the close frame, and then nobody learns the code.
#[tokio::test]
async fn a_close_is_not_followed_by_a_reset() {
    let scene = Scene::new().await;
    let long = vec![b'x'; limits::CLIENT_FRAME_MAX + 1];
    let more = vec![b'x'; 8 * 1024];
    let cases: [(&str, u16, Vec<u8>); 4] = [
        ("wrong kind", BAD_FRAME, frame(FIN | BINARY, b"\x80")),
        ("too long", TOO_BIG, frame(FIN | TEXT, &long)),
        ("not UTF-8", NOT_UTF8, frame(FIN | TEXT, b"\xff")),
        (
            "reserved bit",
            PROTOCOL_ERROR,
            frame(FIN | 0x40 | TEXT, b"{}"),
        ),
    ];
    for (what, code, bytes) in cases {
        let mut socket = scene.raw(Encoding::Json, true).await;
        let bytes = [bytes, frame(FIN | TEXT, &more), frame(FIN | TEXT, &more)].concat();
        socket.send(&bytes).await;
        let ended = Ended {
            code: Some(code),
            reset: false,
        };
        assert_eq!(socket.ended_unanswered().await, ended, "{what}");
    }
}

#[tokio::test]
async fn a_frame_of_the_other_kind_closes() {
    let mut scene = Scene::new().await;
    for encoding in BOTH {
        for greeted in [false, true] {
            let mut socket = scene.raw(encoding, greeted).await;
            let (opcode, bytes): (u8, &[u8]) = match encoding {
                Encoding::Json => (BINARY, b"\x82\xa2id\x01\xa6method\xaasync.heads"),
                Encoding::MsgPack => (TEXT, br#"{"id":1,"method":"sync.heads"}"#),
            };
            socket.send(&frame(FIN | opcode, bytes)).await;
            let code = socket.ended().await.code;
            assert_eq!(code, Some(BAD_FRAME), "{encoding:?}, greeted: {greeted}");
        }
        scene
            .is_unharmed(&format!("the other kind than {encoding:?}"))
            .await;
    }
}

#[tokio::test]
async fn a_frame_without_a_readable_id_closes() {
    let mut scene = Scene::new().await;
    let deep = format!(
        r#"{{"id":1,"method":"sync.heads","params":{}"#,
        "[".repeat(10_000)
    );
    let closed = format!("{deep}{}}}", "]".repeat(10_000));
    let many = format!(
        r#"{{"id":1,"method":"presence.query","params":{{"users":[{}]}}}}"#,
        vec!["0"; limits::ELEMENTS_MAX + 1].join(",")
    );
    let json = [
        "",
        " ",
        "{}",
        "null",
        "[]",
        "7",
        "\"hello\"",
        "nonsense",
        "{",
        "}",
        "\0",
        "\u{feff}{}",
        r#"{"method":"sync.heads"}"#,
        r#"{"id":null,"method":"sync.heads"}"#,
        r#"{"id":"1","method":"sync.heads"}"#,
        r#"{"id":-1,"method":"sync.heads"}"#,
        r#"{"id":1.5,"method":"sync.heads"}"#,
        r#"{"id":18446744073709551616,"method":"sync.heads"}"#,
        r#"{"id":1,"id":1,"method":"sync.heads"}"#,
        r#"{"id":1,"method":"sync.heads"} {"id":2}"#,
        r#"{"id":1,"method":"sync.heads""#,
        r#"[1,"sync.heads",{}]"#,
        &deep,
        &closed,
        &many,
    ];
    for text in json {
        for greeted in [false, true] {
            let mut socket = scene.raw(Encoding::Json, greeted).await;
            socket.message(text.as_bytes()).await;
            let code = socket.ended().await.code;
            assert_eq!(code, Some(BAD_FRAME), "{:.60}, greeted: {greeted}", text);
        }
    }
    scene.is_unharmed("JSON frames without an id").await;

    let lying = |marker: u8| {
        let mut bytes = b"\x83\xa2id\x01\xa6method\xaasync.heads\xa6params".to_vec();
        bytes.push(marker);
        bytes.extend([0xff; 4]);
        bytes
    };
    let mut deep = b"\x83\xa2id\x01\xa6method\xaasync.heads\xa6params".to_vec();
    deep.extend([0x91; 10_000]);
    deep.push(0xc0);
    let msgpack: Vec<Vec<u8>> = vec![
        b"".to_vec(),
        b"\x80".to_vec(),
        b"\xc0".to_vec(),
        b"\xc1".to_vec(),
        b"\x93\x01\xaasync.heads\x80".to_vec(),
        b"\x81\xa2id".to_vec(),
        b"\x81\xa2id\xd3\xff\xff\xff\xff\xff\xff\xff\xff".to_vec(),
        b"\x81\xa2id\x01\x00".to_vec(),
        b"\x82\xa2id\x01\xa2id\x01".to_vec(),
        b"\x82\xa2id\x01\xa6method\xd4\x01\x00".to_vec(),
        b"\xdf\xff\xff\xff\xff".to_vec(),
        b"\xdd\xff\xff\xff\xff".to_vec(),
        b"\xdb\xff\xff\xff\xff".to_vec(),
        b"\xc6\xff\xff\xff\xff".to_vec(),
        lying(0xc6),
        lying(0xc9),
        lying(0xdb),
        lying(0xdd),
        lying(0xdf),
        deep,
    ];
    for bytes in msgpack {
        for greeted in [false, true] {
            let mut socket = scene.raw(Encoding::MsgPack, greeted).await;
            socket.message(&bytes).await;
            let code = socket.ended().await.code;
            let start = &bytes[..bytes.len().min(48)];
            assert_eq!(code, Some(BAD_FRAME), "{start:02x?}, greeted: {greeted}");
        }
    }
    scene.is_unharmed("MessagePack frames without an id").await;
}

#[tokio::test]
async fn a_frame_with_an_id_is_answered_whatever_else_is_wrong() {
    let mut scene = Scene::new().await;
    let mut socket = scene.raw(Encoding::Json, true).await;
    let cases = [
        (r#"{"id":ID}"#, "bad_frame"),
        (r#"{"id":ID,"method":null}"#, "bad_frame"),
        (r#"{"id":ID,"method":5}"#, "bad_frame"),
        (r#"{"id":ID,"method":["sync.heads"]}"#, "bad_frame"),
        (
            r#"{"id":ID,"method":"sync.heads","method":"sync.heads"}"#,
            "bad_frame",
        ),
        (
            r#"{"id":ID,"method":"sync.heads","write_counter":-1}"#,
            "bad_frame",
        ),
        (
            r#"{"id":ID,"method":"sync.heads","write_counter":"1"}"#,
            "bad_frame",
        ),
        (
            r#"{"id":ID,"method":"sync.heads","params":{},"params":{}}"#,
            "bad_frame",
        ),
        (r#"{"id":ID,"method":""}"#, "unknown_method"),
        (r#"{"id":ID,"method":"SYNC.HEADS"}"#, "unknown_method"),
        (r#"{"id":ID,"method":"sync.heads\u0000"}"#, "unknown_method"),
        (r#"{"id":ID,"method":"sync.heads "}"#, "unknown_method"),
        (
            r#"{"id":ID,"method":"'; DROP TABLE users; --"}"#,
            "unknown_method",
        ),
        (
            r#"{"id":ID,"method":"message.delete","params":{}}"#,
            "unknown_method",
        ),
        (r#"{"id":ID,"method":"user.lookup"}"#, "invalid_params"),
        (
            r#"{"id":ID,"method":"user.lookup","params":null}"#,
            "invalid_params",
        ),
        (
            r#"{"id":ID,"method":"user.lookup","params":[]}"#,
            "invalid_params",
        ),
        (
            r#"{"id":ID,"method":"user.lookup","params":["ada"]}"#,
            "invalid_params",
        ),
        (
            r#"{"id":ID,"method":"user.lookup","params":"ada"}"#,
            "invalid_params",
        ),
        (
            r#"{"id":ID,"method":"user.lookup","params":{"username":null}}"#,
            "invalid_params",
        ),
        (
            r#"{"id":ID,"method":"user.lookup","params":{"username":"ada","username":"bob"}}"#,
            "invalid_params",
        ),
    ];
    for (number, (text, expected)) in (1..).zip(cases) {
        let request = text.replace("ID", &number.to_string());
        socket.message(request.as_bytes()).await;
        assert_eq!(socket.refusal(number).await, expected, "{text}");
    }
    socket.begin(99, &json!({"method": "sync.heads"})).await;
    assert!(socket.answer().await["result"].is_object());

    let mut socket = scene.raw(Encoding::MsgPack, true).await;
    let cases: [(&[u8], &str); 6] = [
        (b"\x81\xa2id\x01", "bad_frame"),
        (b"\x82\xa2id\x01\xa6method\x05", "bad_frame"),
        (b"\x82\xa2id\x01\xa6method\xa1\xff", "bad_frame"),
        (b"\x82\xa2id\x01\xa6method\xa4nope", "unknown_method"),
        (
            b"\x83\xa2id\x01\xa6method\xabuser.lookup\xa6params\x90",
            "invalid_params",
        ),
        (
            b"\x83\xa2id\x01\xa6method\xabuser.lookup\xa6params\x81\xa8username\xa1\xff",
            "invalid_params",
        ),
    ];
    for (bytes, expected) in cases {
        socket.message(bytes).await;
        assert_eq!(socket.refusal(1).await, expected, "{bytes:02x?}");
    }
    scene
        .is_unharmed("frames that are wrong beside their id")
        .await;
}

/// Each request, what it is answered with, and whether that is a matter of the
/// form alone, so that it is so without a member or a conversation too.
fn malformed(scene: &Scene) -> Vec<(Method, Value, &'static str)> {
    use Method as M;
    let (shared, user) = (scene.shared.to_string(), scene.mallory.user().to_string());
    let id = fresh_message_id().to_string();
    let send = |mut extra: Value| {
        extra["conversation"] = shared.clone().into();
        extra["client_msg_id"] = id.clone().into();
        extra
    };
    let page = |from: Value| json!({"conversation": shared, "from": from});
    let long_title = "x".repeat(limits::TITLE_MAX + 1);
    let mention = |start: i64, end: i64| {
        let mentions = json!([{"user": user, "start": start, "end": end}]);
        send(json!({"content": {"text": {"body": "è", "mentions": mentions}}}))
    };
    let group = |members: Value| json!({"kind": "group", "mode": "managed", "members": members});
    vec![
        (M::UserLookup, json!({}), "invalid_params"),
        (M::UserLookup, json!({"username": 5}), "invalid_params"),
        (
            M::UserLookup,
            json!({"username": ["ada"]}),
            "invalid_params",
        ),
        (
            M::UserLookup,
            json!({"username": {"ada": 1}}),
            "invalid_params",
        ),
        (
            M::UserLookup,
            json!({"username": "a\0da"}),
            "user_not_found",
        ),
        (
            M::UserLookup,
            json!({"username": "' OR 1=1 --"}),
            "user_not_found",
        ),
        (M::UserLookup, json!({"username": "___"}), "user_not_found"),
        (M::UserLookup, json!({"username": "%"}), "user_not_found"),
        (
            M::AccountLogin,
            json!({"username": "ada"}),
            "invalid_params",
        ),
        (
            M::AccountLogin,
            json!({"username": "ada", "password": null}),
            "invalid_params",
        ),
        (
            M::AccountLogin,
            json!({"username": "ada", "password": 123456789012i64}),
            "invalid_params",
        ),
        (
            M::AccountLogin,
            json!({"username": "ada", "password": "x", "device": {"id": user}}),
            "invalid_params",
        ),
        (
            M::AccountRegister,
            json!({"username": null, "password": null}),
            "invalid_params",
        ),
        (M::SessionRefresh, json!({"refresh": 5}), "invalid_params"),
        (M::SessionRefresh, json!({"refresh": ""}), "unauthenticated"),
        (M::SessionRevoke, json!({"session": 5}), "invalid_params"),
        (M::SessionRevoke, json!({"session": "5"}), "invalid_params"),
        (
            M::SessionRevoke,
            json!({"session": user}),
            "session_not_found",
        ),
        (
            M::ConversationCreate,
            json!({"kind": "group", "members": []}),
            "invalid_params",
        ),
        (M::ConversationCreate, group(Value::Null), "invalid_params"),
        (
            M::ConversationCreate,
            group(json!([null])),
            "invalid_params",
        ),
        (
            M::ConversationCreate,
            group(json!([user, null])),
            "invalid_params",
        ),
        (
            M::ConversationCreate,
            group(json!([[user]])),
            "invalid_params",
        ),
        (
            M::ConversationCreate,
            group(json!(["not an id"])),
            "invalid_params",
        ),
        (
            M::ConversationCreate,
            group(json!({"0": user})),
            "invalid_params",
        ),
        (
            M::ConversationCreate,
            json!({"kind": "party", "mode": "managed", "members": []}),
            "invalid_params",
        ),
        (
            M::ConversationCreate,
            json!({"kind": "group", "mode": "open", "members": []}),
            "wrong_mode",
        ),
        (
            M::ConversationCreate,
            json!({"kind": "direct", "mode": "managed", "members": []}),
            "invalid_params",
        ),
        (M::ConversationList, json!({"after": 5}), "invalid_params"),
        (
            M::ConversationGet,
            json!({"conversation": null}),
            "invalid_params",
        ),
        (
            M::MemberList,
            json!({"conversation": shared, "after": []}),
            "invalid_params",
        ),
        (
            M::MemberAdd,
            json!({"conversation": shared, "users": [null]}),
            "invalid_params",
        ),
        (
            M::MemberAdd,
            json!({"conversation": shared, "users": user}),
            "invalid_params",
        ),
        (
            M::MemberRole,
            json!({"conversation": shared, "user": user, "role": 1}),
            "invalid_params",
        ),
        (
            M::MemberRole,
            json!({"conversation": shared, "user": user, "role": "emperor"}),
            "forbidden",
        ),
        (M::MessageSend, send(json!({})), "invalid_content"),
        (
            M::MessageSend,
            send(json!({"payload": null})),
            "invalid_content",
        ),
        (
            M::MessageSend,
            send(json!({"payload": ""})),
            "invalid_content",
        ),
        (
            M::MessageSend,
            send(json!({"payload": 5})),
            "invalid_params",
        ),
        (
            M::MessageSend,
            send(json!({"payload": [1, 2]})),
            "invalid_params",
        ),
        (
            M::MessageSend,
            send(json!({"payload": "not base64!"})),
            "invalid_params",
        ),
        (
            M::MessageSend,
            send(json!({"payload": "YQ=="})),
            "invalid_params",
        ),
        (
            M::MessageSend,
            send(json!({"payload": "YQ", "epoch": "1"})),
            "invalid_params",
        ),
        (
            M::MessageSend,
            send(json!({"payload": "YQ", "epoch": -1})),
            "invalid_params",
        ),
        (
            M::MessageSend,
            send(json!({"payload": "YQ", "epoch": 1})),
            "stale_epoch",
        ),
        (
            M::MessageSend,
            send(json!({"payload": "YQ", "epoch": u64::MAX})),
            "stale_epoch",
        ),
        (
            M::MessageSend,
            send(json!({"payload": "YQ", "content": {"text": {"body": "a"}}})),
            "invalid_params",
        ),
        (
            M::MessageSend,
            send(json!({"content": 5})),
            "invalid_params",
        ),
        (
            M::MessageSend,
            send(json!({"content": {}})),
            "invalid_params",
        ),
        (
            M::MessageSend,
            send(json!({"content": {"text": null}})),
            "invalid_params",
        ),
        (
            M::MessageSend,
            send(json!({"content": {"text": {"body": null}}})),
            "invalid_params",
        ),
        (
            M::MessageSend,
            send(json!({"content": {"text": {"body": "a", "mentions": [null]}}})),
            "invalid_params",
        ),
        (
            M::MessageSend,
            send(json!({"content": {"text": {"body": "a"}, "title": {"title": "b"}}})),
            "invalid_params",
        ),
        (M::MessageSend, mention(0, 1), "invalid_content"),
        (M::MessageSend, mention(2, 1), "invalid_content"),
        (M::MessageSend, mention(0, 3), "invalid_content"),
        (M::MessageSend, mention(-1, 2), "invalid_params"),
        (
            M::MessageSend,
            send(json!({"content": {"title": {"title": long_title}}})),
            "invalid_content",
        ),
        (
            M::MessageSend,
            json!({"conversation": shared, "payload": "YQ"}),
            "invalid_params",
        ),
        (
            M::MessageSend,
            json!({"conversation": shared, "client_msg_id": [], "payload": "YQ"}),
            "invalid_params",
        ),
        (M::MessagePage, page(json!("nowhere")), "invalid_params"),
        (M::MessagePage, page(json!({"after": -1})), "invalid_params"),
        (
            M::MessagePage,
            page(json!({"after": 1.5})),
            "invalid_params",
        ),
        (
            M::MessagePage,
            page(json!({"after": null})),
            "invalid_params",
        ),
        (
            M::MessagePage,
            json!({"conversation": shared, "from": "newest", "limit": -1}),
            "invalid_params",
        ),
        (
            M::MessagePage,
            json!({"conversation": shared, "from": "newest", "limit": 1e30}),
            "invalid_params",
        ),
        (
            M::MessagePage,
            json!({"conversation": shared, "from": "newest", "as_content": null}),
            "invalid_params",
        ),
        (
            M::MessageFetch,
            json!({"conversation": shared, "seq": null}),
            "invalid_params",
        ),
        (
            M::MessageFetch,
            json!({"conversation": shared, "seq": 0}),
            "message_not_found",
        ),
        (
            M::MessageFetch,
            json!({"conversation": shared, "seq": i64::MAX}),
            "message_not_found",
        ),
        (
            M::PositionRead,
            json!({"conversation": shared, "seq": "1"}),
            "invalid_params",
        ),
        (
            M::PositionDelivered,
            json!({"conversation": shared, "seq": -1}),
            "invalid_params",
        ),
        (
            M::TypingSet,
            json!({"conversation": shared, "active": "yes"}),
            "invalid_params",
        ),
        (
            M::TypingSet,
            json!({"conversation": shared, "active": null}),
            "invalid_params",
        ),
        (M::PresenceQuery, json!({"users": [null]}), "invalid_params"),
        (M::PresenceQuery, json!({"users": {}}), "invalid_params"),
        (M::SyncHeads, json!({"after": 5}), "invalid_params"),
        (M::SyncHeads, json!({"incarnation": "1"}), "invalid_params"),
        (M::SyncHeads, json!({"incarnation": -1}), "invalid_params"),
    ]
}

#[tokio::test]
async fn a_request_of_the_wrong_form_is_refused_over_http_and_over_a_socket() {
    let mut scene = Scene::new().await;
    let cases = malformed(&scene);
    let mut socket = scene.raw(Encoding::Json, true).await;
    let http = scene.http();
    for (number, (method, body, expected)) in (1..).zip(&cases) {
        let bytes = serde_json::to_vec(body).unwrap();
        let answer = http.post(&format!("/v1/{method}"), &bytes).await;
        let error = answer.error(Encoding::Json);
        assert_eq!(error.code.as_str(), *expected, "{method} {body}: {error}");
        assert!(
            (400..500).contains(&answer.status),
            "{method} {body}: {}",
            answer.status
        );
        assert!(!error.retryable, "{method} {body}");
        let frame = json!({"method": method.as_str(), "params": body});
        socket.begin(number, &frame).await;
        assert_eq!(socket.refusal(number).await, *expected, "{method} {body}");
    }
    scene.is_unharmed("requests of the wrong form").await;

    // Every operation refuses what is no map, by position or not.
    for method in Method::ALL {
        for body in ["[]", "[\"ada\"]", "null", "5", "\"x\"", "true"] {
            let answer = http.post(&format!("/v1/{method}"), body.as_bytes()).await;
            assert_eq!(answer.status, 400, "{method} {body}");
            assert_eq!(code(&answer), ErrorCode::InvalidParams, "{method} {body}");
        }
    }
    scene.is_unharmed("bodies that are no map").await;
}

#[tokio::test]
async fn a_json_body_that_is_not_json_is_a_bad_frame() {
    let mut scene = Scene::new().await;
    let http = scene.http();
    for body in [
        "{",
        "{\"username\":",
        "{username:1}",
        "{\"username\":\"ada\"} {}",
        "{\"username\":\"ada\",}",
        "{\"username\":\"\u{1}\"}",
    ] {
        let answer = http.post("/v1/user.lookup", body.as_bytes()).await;
        assert_eq!(
            (answer.status, code(&answer)),
            (400, ErrorCode::BadFrame),
            "{body:?}"
        );
    }
    scene.is_unharmed("bodies that are not JSON").await;
}

/// PROTOCOL section 3: a body that is of its encoding is no bad frame.
#[tokio::test]
async fn json_of_the_wrong_form_is_not_called_unreadable() {
    let mut scene = Scene::new().await;
    let http = scene.http();
    for from in [
        json!(null),
        json!(5),
        json!([]),
        json!({}),
        json!({"after": 1, "before": 2}),
    ] {
        let body = json!({"conversation": scene.shared, "from": from});
        let bytes = serde_json::to_vec(&body).unwrap();
        let answer = http.post("/v1/message.page", &bytes).await;
        let expected = (400, ErrorCode::InvalidParams);
        assert_eq!((answer.status, code(&answer)), expected, "{from}");
    }
    scene.is_unharmed("pages from nowhere").await;
}

#[tokio::test]
async fn bytes_beyond_a_bound_are_refused_before_they_are_read() {
    let mut scene = Scene::new().await;
    let http = scene.http();
    let nested = |depth: usize| {
        format!(
            "{{\"username\":{}{}}}",
            "[".repeat(depth - 1),
            "]".repeat(depth - 1)
        )
    };
    let listed = |count: usize| format!("{{\"users\":[{}]}}", vec!["\"x\""; count].join(","));
    let fields = |count: usize| {
        let fields: Vec<_> = (0..count)
            .map(|number| format!("\"f{number}\":0"))
            .collect();
        format!("{{{}}}", fields.join(","))
    };
    let cases = [
        (
            "user.lookup",
            nested(limits::DEPTH_MAX),
            ErrorCode::InvalidParams,
        ),
        (
            "user.lookup",
            nested(limits::DEPTH_MAX + 1),
            ErrorCode::BadFrame,
        ),
        ("user.lookup", nested(10_000), ErrorCode::BadFrame),
        ("user.lookup", "[".repeat(100_000), ErrorCode::BadFrame),
        ("user.lookup", "{\"a\":".repeat(40_000), ErrorCode::BadFrame),
        (
            "presence.query",
            listed(limits::ELEMENTS_MAX),
            ErrorCode::InvalidParams,
        ),
        (
            "presence.query",
            listed(limits::ELEMENTS_MAX + 1),
            ErrorCode::BadFrame,
        ),
        (
            "user.lookup",
            fields(limits::ELEMENTS_MAX),
            ErrorCode::InvalidParams,
        ),
        (
            "user.lookup",
            fields(limits::ELEMENTS_MAX + 1),
            ErrorCode::BadFrame,
        ),
    ];
    for (method, body, expected) in cases {
        let answer = http.post(&format!("/v1/{method}"), body.as_bytes()).await;
        assert_eq!(
            (answer.status, code(&answer)),
            (400, expected),
            "{body:.40}"
        );
    }
    scene.is_unharmed("JSON beyond its bounds").await;

    let http = http.with_encoding(Encoding::MsgPack);
    let mut deep = [0x81, 0xa1, b'a'].repeat(10_000);
    deep.push(0xc0);
    let mut cases: Vec<(Vec<u8>, ErrorCode)> = vec![
        (deep, ErrorCode::BadFrame),
        (b"\xc1".to_vec(), ErrorCode::BadFrame),
        (b"\x81\xa8username".to_vec(), ErrorCode::BadFrame),
        (b"\x80\x80".to_vec(), ErrorCode::BadFrame),
        (b"\x91\xa3ada".to_vec(), ErrorCode::InvalidParams),
        (
            b"\x81\xa8username\xa1\xff".to_vec(),
            ErrorCode::InvalidParams,
        ),
        (
            b"\x81\xa8username\xd4\x01\x00".to_vec(),
            ErrorCode::BadFrame,
        ),
        (b"\x81\x01\xa3ada".to_vec(), ErrorCode::InvalidParams),
    ];
    for marker in [0xc6, 0xc9, 0xdb, 0xdd, 0xdf] {
        let mut bytes = b"\x81\xa8username".to_vec();
        bytes.push(marker);
        bytes.extend([0xff; 4]);
        cases.push((bytes, ErrorCode::BadFrame));
    }
    for (body, expected) in cases {
        let answer = http.post("/v1/user.lookup", &body).await;
        let error = answer.error(Encoding::MsgPack);
        let start = &body[..body.len().min(32)];
        assert_eq!((answer.status, error.code), (400, expected), "{start:02x?}");
    }
    scene.is_unharmed("MessagePack beyond its bounds").await;
}

#[tokio::test]
async fn what_people_write_is_kept_as_it_is_however_odd() {
    let scene = Scene::new().await;
    let odd = [
        "a\0b",
        "'; DROP TABLE messages; --",
        "%_\\\"'`",
        "\u{202e}gnirts\u{202c}",
        "\u{1b}[31mred",
        "\u{feff}\u{fffd}\u{10ffff}",
        "\r\n\t",
        "",
        "{\"text\":{\"body\":\"nested\"}}",
    ];
    for encoding in BOTH {
        let mut socket = scene.server.socket(&scene.mallory, encoding).await;
        for words in odd {
            let ack = socket
                .call(text_message(scene.shared, words))
                .await
                .unwrap();
            let (_, row) = socket.next_row().await;
            assert_eq!(row.seq, ack.seq);
            let item = ruggine_core::api::message::Item::Row(row);
            assert_eq!(words_of(&item).as_deref(), Some(words));
        }
        socket.close().await;
    }
    // Payloads are not looked into, so one that is no content at all is kept too.
    let garbage = Blob::from(vec![0, 0xff, 0xfe, b'{']);
    let send = Send {
        conversation: scene.shared,
        client_msg_id: fresh_message_id(),
        epoch: None,
        payload: Some(garbage.clone()),
        content: None,
    };
    let http = scene.http();
    http.call(send).await.unwrap();
    for as_content in [false, true] {
        let request = PageRequest {
            conversation: scene.shared,
            from: PageStart::Newest,
            limit: None,
            as_content,
        };
        let page = http.call(request).await.unwrap();
        assert_eq!(page.items.len(), 2 + 2 * odd.len());
        let ruggine_core::api::message::Item::Row(row) = page.items.last().unwrap() else {
            panic!("not a row");
        };
        assert_eq!((&row.payload, &row.content), (&garbage, &None));
    }
}

#[tokio::test]
async fn a_password_is_compared_to_its_last_byte() {
    let scene = Scene::new().await;
    let password = "tavolo\0nebbia remo sasso";
    let http = scene.server.http();
    let register = Register {
        password: SecretText::new(password),
        ..Person::registration("nul")
    };
    http.call(register).await.unwrap();
    let log_in = |password: &str| LogIn {
        username: "nul".to_owned(),
        password: SecretText::new(password),
        device: None,
        device_name: None,
    };
    for wrong in [
        "tavolo",
        "tavolo\0",
        "tavolo\0nebbia remo sass",
        "tavolo\0nebbia remo sasso ",
        "",
    ] {
        let error = refused(&http, log_in(wrong)).await;
        assert_eq!(error.code, ErrorCode::InvalidCredentials, "{wrong:?}");
    }
    http.call(log_in(password)).await.unwrap();
    // Beyond any password, but within the body: answered, not worked on for long.
    let error = refused(&http, log_in(&"x".repeat(3_500))).await;
    assert_eq!(error.code, ErrorCode::InvalidCredentials);
}

#[tokio::test]
async fn every_token_that_is_not_good_is_refused_with_the_same_words() {
    let clock = Arc::new(ManualClock::new(SystemClock.now()));
    let mut scene = Scene::of(TestServer::options().clock(clock.clone())).await;
    let expiring = scene.server.another_device(&scene.mallory).await;
    clock.advance(Duration::from_secs(20 * 60));
    let log_in = scene.mallory.new_login();
    let fresh: Person = Person {
        login: scene.server.http().call(log_in).await.unwrap(),
    };
    let over = scene.server.another_device(&scene.mallory).await;
    scene.server.http_of(&over).call(LogOut {}).await.unwrap();
    scene.accept().await;

    let good = fresh.token().expose();
    let flipped = |at: usize| {
        let mut bytes = good.as_bytes().to_vec();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        String::from_utf8(bytes).unwrap()
    };
    let nobody = UserId::new(Timestamp::from_millis(1));
    let issue = |kind, user| token::issue(kind, user).unwrap().0.expose().to_owned();
    let bad: Vec<String> = vec![
        expiring.token().expose().to_owned(),
        over.token().expose().to_owned(),
        issue(TokenKind::Access, nobody),
        issue(TokenKind::Access, scene.mallory.user()),
        fresh.login.tokens.refresh.expose().to_owned(),
        fresh
            .login
            .device_secret
            .as_ref()
            .unwrap()
            .expose()
            .to_owned(),
        good.replacen("rga_", "rgr_", 1),
        good.replacen("rga_", "RGA_", 1),
        flipped(5),
        flipped(good.len() - 10),
        good[..good.len() - 1].to_owned(),
        good[..4].to_owned(),
        good["rga_".len()..].to_owned(),
        format!("{good}A"),
        format!("{good}="),
        format!("{good}\0"),
        "rga_".to_owned(),
        "0".to_owned(),
        "'; DROP TABLE tokens; --".to_owned(),
        "x".repeat(2_000),
        "è".to_owned(),
        String::new(),
    ];
    let hello = |token: &str| Hello {
        token: SecretText::new(token),
        protocol: ProtocolVersion::CURRENT,
        locale: None,
        incarnation: None,
    };
    let expected = refused(&scene.server.http(), LogOut {}).await;
    assert_eq!(expected.code, ErrorCode::Unauthenticated);
    assert_eq!(expected.details, None);
    for token in &bad {
        let short: String = token.chars().take(12).collect();
        for encoding in BOTH {
            let mut socket = SocketClient::connect(scene.address(), encoding).await;
            let error = socket.call(hello(token)).await.unwrap_err();
            assert_eq!(error, expected, "{short}");
        }
        let http = scene.server.http();
        assert_eq!(refused(&http, hello(token)).await, expected, "{short}");
        if token.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
            let answer = http
                .with_token(&SecretText::new(token.as_str()))
                .post("/v1/session.list", b"{}")
                .await;
            assert_eq!(answer.status, 401, "{short}");
            assert_eq!(answer.error(Encoding::Json), expected, "{short}");
        }
    }
    for header in ["", "Bearer", "Bearer ", "Basic YTpi", good, "Token abc"] {
        let http = scene.server.http().with_header("authorization", header);
        let answer = http.post("/v1/session.list", b"{}").await;
        assert_eq!(answer.error(Encoding::Json), expected, "{}", header.len());
    }
    scene.is_unharmed("tokens that are not good").await;
    scene.server.http_of(&fresh).call(LogOut {}).await.unwrap();
}

#[tokio::test]
async fn a_peer_that_does_not_say_hello_in_time_is_closed_whatever_else_it_sends() {
    let options =
        TestServer::options().edge(|edge| edge.hello_timeout = Duration::from_millis(200));
    let mut scene = Scene::of(options).await;
    let silent = scene.raw(Encoding::Json, false).await;
    assert_eq!(silent.ended().await.code, Some(UNAUTHENTICATED));

    let mut half = scene.raw(Encoding::Json, false).await;
    half.send(&frame(FIN | TEXT, br#"{"id":1,"method":"hello"}"#)[..12])
        .await;
    assert_eq!(half.ended().await.code, Some(UNAUTHENTICATED));

    let mut endless = scene.raw(Encoding::Json, false).await;
    endless.send(&frame(TEXT, b"{")).await;
    assert_eq!(endless.ended().await.code, Some(UNAUTHENTICATED));

    for ping in [frame(FIN | PING, b"alive"), frame(FIN | PONG, b"")] {
        let mut pinging = scene.raw(Encoding::Json, false).await;
        let mut pause = tokio::time::interval(Duration::from_millis(20));
        let code = patiently("a close", async {
            loop {
                tokio::select! {
                    received = pinging.receive() => match received.unwrap() {
                        (CLOSE, payload) => break code_of(&payload),
                        (opcode, _) => assert_eq!(opcode, PONG),
                    },
                    _ = pause.tick() => pinging.try_send(&ping).await,
                }
            }
        });
        assert_eq!(code.await, Some(UNAUTHENTICATED));
    }
    scene.is_unharmed("peers without a hello").await;

    // What needs a login is refused before it, and eight answers are all.
    let mut stranger = scene.raw(Encoding::Json, false).await;
    for id in 1..=8 {
        stranger.begin(id, &json!({"method": "session.list"})).await;
        assert_eq!(stranger.refusal(id).await, "hello_required");
    }
    assert_eq!(stranger.ended().await.code, Some(UNAUTHENTICATED));
    scene.is_unharmed("a stranger").await;
}

#[tokio::test]
async fn a_second_hello_is_refused_and_changes_nothing() {
    let scene = Scene::new().await;
    let bob = scene.server.register("bob").await;
    let mut socket = scene.raw(Encoding::Json, true).await;
    for (id, token) in [(1, scene.mallory.token()), (2, bob.token())] {
        socket.begin(id, &hello(token)).await;
        assert_eq!(socket.refusal(id).await, "invalid_params");
    }
    socket.begin(3, &json!({"method": "sync.heads"})).await;
    let answer = socket.answer().await;
    assert_eq!(answer["result"]["user"], scene.mallory.user().to_string());
    let offline = patiently("presence", async {
        let users = vec![bob.user()];
        let query = ruggine_core::api::presence::Query { users };
        scene
            .server
            .http_of(&bob)
            .call(query)
            .await
            .unwrap()
            .presences
    });
    assert!(!offline.await[0].online);
}

#[tokio::test]
async fn a_peer_from_which_nothing_is_heard_is_closed_and_one_that_answers_is_not() {
    const BEATS: usize = 30;
    let options = TestServer::options().edge(|edge| {
        edge.heartbeat = Duration::from_millis(50);
        edge.silence = Duration::from_secs(1);
    });
    let metrics = Arc::new(PrometheusMetrics::new().unwrap());
    let server = options.metrics(metrics.clone()).start().await;
    let mallory = server.register("mallory").await;
    let open = async || {
        let mut socket = RawSocket::open(server.address(), Encoding::Json).await;
        socket.begin(0, &hello(mallory.token())).await;
        assert!(socket.answer().await["result"].is_object());
        socket
    };
    let mut alive = open().await;
    // Longer than the silence that is allowed, with a sign of life each beat.
    for _ in 0..BEATS {
        let (opcode, payload) = alive.receive().await.unwrap();
        assert_eq!(opcode, PING);
        alive.send(&frame(FIN | PONG, &payload)).await;
    }
    assert_eq!(alive.ended().await.code, Some(SILENT));

    // Bytes of a frame that never ends are no sign of life.
    let mut dripping = open().await;
    dripping.send(&header(FIN | TEXT, 60_000)).await;
    dripping.send(&[0; 4]).await;
    let mut pause = tokio::time::interval(Duration::from_millis(20));
    let code = patiently("a close", async {
        loop {
            tokio::select! {
                received = dripping.receive() => match received.unwrap() {
                    (CLOSE, payload) => break code_of(&payload),
                    (opcode, _) => assert_eq!(opcode, PING),
                },
                _ = pause.tick() => dripping.try_send(b"x").await,
            }
        }
    });
    assert_eq!(code.await, Some(SILENT));
    eventually("no socket to be left", async || {
        server.engine().live_sockets() == 0
    })
    .await;
    assert!(metrics.render().contains("\npanics 0\n"));
}

#[tokio::test]
async fn a_peer_that_takes_nothing_is_closed_and_told_so_if_it_listens_again() {
    let options = TestServer::options().edge(|edge| edge.write_timeout = Duration::from_secs(1));
    let mut scene = Scene::of(options).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4 * 1024).unwrap();
    let stream = socket.connect(scene.address()).await.unwrap();
    let mut stuck = RawSocket::over(stream, Encoding::MsgPack).await;
    stuck.begin(0, &hello(scene.mallory.token())).await;
    stuck.answer().await;
    let words = "x".repeat(30 * 1024);
    patiently("the connection to be given up", async {
        while scene.server.engine().live_sockets() > 1 {
            let message = text_message(scene.shared, &words);
            scene.neighbour.call(message).await.unwrap();
            scene.neighbour.take_events();
        }
    })
    .await;
    assert_eq!(stuck.ended().await.code, Some(SLOW_CONSUMER));
    scene.neighbour.catch_up().await;
    scene.accept().await;
    scene.is_unharmed("a peer that takes nothing").await;
}

/// Holds one operation of one user back, and counts how many are inside.
#[derive(Debug)]
struct Gate {
    method: Method,
    user: OnceLock<UserId>,
    inside: AtomicUsize,
    most: AtomicUsize,
    open: Semaphore,
}

impl Gate {
    fn before(method: Method) -> Arc<Self> {
        Arc::new(Self {
            method,
            user: OnceLock::new(),
            inside: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
            open: Semaphore::new(0),
        })
    }
}

impl Hooks for Gate {
    async fn before(&self, attempt: Attempt) -> Verdict {
        let user = attempt.principal.map(|principal| principal.user);
        if attempt.method == self.method && user.as_ref() == self.user.get() {
            let inside = self.inside.fetch_add(1, Ordering::SeqCst) + 1;
            self.most.fetch_max(inside, Ordering::SeqCst);
            drop(self.open.acquire().await);
            self.inside.fetch_sub(1, Ordering::SeqCst);
        }
        Verdict::Allow
    }

    async fn after(&self, _: Outcome) {}
}

#[tokio::test]
async fn no_more_requests_of_a_socket_are_under_way_than_may_be() {
    const REQUESTS: usize = 12;
    for (method, most) in [(Method::UserLookup, 3), (Method::MessagePage, 1)] {
        let gate = Gate::before(method);
        let options = TestServer::options().hooks(gate.clone()).config(|config| {
            config.limits.requests_in_flight = 3;
            config.hook_deadline = Duration::from_secs(600);
        });
        let mut scene = Scene::of(options).await;
        gate.user.set(scene.mallory.user()).unwrap();
        let mut socket = scene.server.socket(&scene.mallory, Encoding::Json).await;
        let lookup = LookUp {
            username: "ada".to_owned(),
        };
        let page = PageRequest {
            conversation: scene.shared,
            from: PageStart::Newest,
            limit: None,
            as_content: false,
        };
        let mut lookups = Vec::new();
        let mut pages = Vec::new();
        for _ in 0..REQUESTS {
            match method {
                Method::UserLookup => lookups.push(socket.begin(&lookup).await.unwrap()),
                _ => pages.push(socket.begin(&page).await.unwrap()),
            }
        }
        eventually("the gate to fill", async || {
            gate.inside.load(Ordering::SeqCst) == most
        })
        .await;
        scene.is_unharmed("requests that wait").await;
        assert_eq!(gate.inside.load(Ordering::SeqCst), most);
        gate.open.add_permits(REQUESTS);
        for pending in lookups {
            let user: User = socket.finish(pending).await.unwrap().unwrap();
            assert_eq!(user.username.as_str(), "ada");
        }
        for pending in pages {
            let page = socket.finish(pending).await.unwrap().unwrap();
            assert_eq!(page.items.len(), 1);
        }
        assert_eq!(gate.most.load(Ordering::SeqCst), most, "{method}");
    }
}

#[tokio::test]
async fn a_conversation_of_others_and_one_that_does_not_exist_are_answered_alike() {
    let mut scene = Scene::new().await;
    let nowhere = ConversationId::new(SystemClock.now());
    let private = scene.private;
    for encoding in BOTH {
        let mut socket = scene.server.socket(&scene.mallory, encoding).await;
        let http = scene.http().with_encoding(encoding);
        for method in Method::ALL {
            let mut answers = Vec::new();
            for conversation in [private, nowhere] {
                use ruggine_core::api::{
                    conversation as conv, member, message, position, presence,
                };
                let user = scene.mallory.user();
                let seq = ruggine_core::Seq::new(1);
                macro_rules! both {
                    ($request:expr) => {{
                        let request = $request;
                        answers.push(refused(&http, request.clone()).await);
                        answers.push(socket.call(request).await.unwrap_err());
                    }};
                }
                match method {
                    Method::MessageSend => both!(text_message(conversation, "knock")),
                    Method::MessagePage => both!(PageRequest {
                        conversation,
                        from: PageStart::Newest,
                        limit: None,
                        as_content: false,
                    }),
                    Method::MessageFetch => both!(message::Fetch { conversation, seq }),
                    Method::ConversationGet => both!(conv::Get { conversation }),
                    Method::MemberList => both!(member::List {
                        conversation,
                        after: None
                    }),
                    Method::MemberAdd => both!(member::Add {
                        conversation,
                        users: vec![user]
                    }),
                    Method::MemberRemove => {
                        let ada = scene.server.http().call(Person::registration("ada")).await;
                        assert!(ada.is_err());
                        both!(member::Remove {
                            conversation,
                            user: UserId::from_bytes([7; 16])
                        });
                    }
                    Method::MemberLeave => both!(member::Leave { conversation }),
                    Method::MemberRole => both!(member::ChangeRole {
                        conversation,
                        user,
                        role: conv::Role::Owner,
                    }),
                    Method::PositionDelivered => both!(position::Delivered { conversation, seq }),
                    Method::PositionRead => both!(position::Read { conversation, seq }),
                    Method::TypingSet => both!(presence::SetTyping {
                        conversation,
                        active: true
                    }),
                    _ => {}
                }
            }
            for answer in &answers {
                assert_eq!(answer.code, ErrorCode::ConversationNotFound, "{method}");
                assert_eq!(answer, &answers[0], "{method}");
            }
        }
        socket.close().await;
        scene.is_unharmed("knocking at other doors").await;
    }
}

#[tokio::test]
async fn a_payload_of_40_kib_is_taken_and_one_byte_more_is_not() {
    let mut scene = Scene::new().await;
    let send = |length: usize| Send {
        conversation: scene.shared,
        client_msg_id: fresh_message_id(),
        epoch: None,
        payload: Some(vec![b'x'; length].into()),
        content: None,
    };
    for encoding in BOTH {
        let mut socket = scene.server.socket(&scene.mallory, encoding).await;
        let http = scene.http().with_encoding(encoding);
        socket.call(send(limits::PAYLOAD_MAX)).await.unwrap();
        http.call(send(limits::PAYLOAD_MAX)).await.unwrap();
        let before = http.read_log(scene.shared).await.unwrap();
        for length in [limits::PAYLOAD_MAX + 1, 45 * 1024] {
            let error = socket.call(send(length)).await.unwrap_err();
            assert_eq!(error.code, ErrorCode::PayloadTooLarge);
            let bytes = encoding.encode(&send(length)).unwrap();
            let answer = http.post("/v1/message.send", &bytes).await;
            assert_eq!(answer.status, 413);
            assert_eq!(answer.error(encoding), error);
        }
        assert_eq!(http.read_log(scene.shared).await.unwrap(), before);
        socket.close().await;
    }
    scene.accept().await;
    scene.is_unharmed("payloads that are too long").await;
}

#[tokio::test]
async fn a_content_that_is_too_long_is_not_stored() {
    let mut scene = Scene::new().await;
    let body = "x".repeat(limits::PAYLOAD_MAX);
    let send = json!({
        "conversation": scene.shared,
        "client_msg_id": fresh_message_id(),
        "content": {"text": {"body": body}},
    });
    let bytes = serde_json::to_vec(&send).unwrap();
    let answer = scene.http().post("/v1/message.send", &bytes).await;
    assert_eq!(
        (answer.status, code(&answer)),
        (413, ErrorCode::PayloadTooLarge)
    );
    scene.is_unharmed("a content that is too long").await;
}

#[tokio::test]
async fn http_bodies_are_bounded_by_4_kib_before_a_login_and_256_kib_after() {
    let mut scene = Scene::new().await;
    let http = scene.server.http();
    let padded = |start: &str, length: usize| {
        let mut body = format!("{{{start}\"pad\":\"");
        body.extend(std::iter::repeat_n('x', length - body.len() - 2));
        body += "\"}";
        body.into_bytes()
    };
    let public = [
        (
            "account.login",
            r#""username":"ada","password":"wrong","#,
            ErrorCode::InvalidCredentials,
        ),
        (
            "account.register",
            r#""username":"ada","password":"wrong","#,
            ErrorCode::WeakPassword,
        ),
        (
            "session.refresh",
            r#""refresh":"wrong","#,
            ErrorCode::Unauthenticated,
        ),
        (
            "hello",
            r#""token":"wrong","protocol":1,"#,
            ErrorCode::Unauthenticated,
        ),
    ];
    for (method, start, expected) in public {
        let path = format!("/v1/{method}");
        let answer = http.post(&path, &padded(start, 4 * 1024)).await;
        assert_eq!(code(&answer), expected, "{method}");
        let answer = http.post(&path, &padded(start, 4 * 1024 + 1)).await;
        assert_eq!(
            (answer.status, code(&answer)),
            (413, ErrorCode::FrameTooLarge),
            "{method}"
        );
    }
    let start = r#""username":"nobody","#;
    let mallory = scene.http();
    let answer = mallory
        .post("/v1/user.lookup", &padded(start, 256 * 1024))
        .await;
    assert_eq!(code(&answer), ErrorCode::UserNotFound);
    let answer = mallory
        .post("/v1/user.lookup", &padded(start, 256 * 1024 + 1))
        .await;
    assert_eq!(
        (answer.status, code(&answer)),
        (413, ErrorCode::FrameTooLarge)
    );

    // Nobody's body is read before it is known whose it is.
    let answer = http
        .post("/v1/user.lookup", &padded(start, 256 * 1024 + 1))
        .await;
    assert_eq!(code(&answer), ErrorCode::Unauthenticated);
    // A declared length is not waited for.
    let mut stream = TcpStream::connect(scene.address()).await.unwrap();
    let mut bytes =
        b"POST /v1/account.login HTTP/1.1\r\nhost: x\r\ncontent-length: 1099511627776\r\n\r\n"
            .to_vec();
    bytes.extend(padded("", 5 * 1024));
    let answer = exchange(&mut stream, &bytes).await.unwrap();
    assert_eq!(answer.status, 413);
    // Nor does it help not to declare one.
    let mut stream = TcpStream::connect(scene.address()).await.unwrap();
    let mut bytes =
        b"POST /v1/account.login HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n1400\r\n"
            .to_vec();
    bytes.extend(padded("", 0x1400));
    bytes.extend(b"\r\n");
    let answer = exchange(&mut stream, &bytes).await.unwrap();
    assert_eq!(answer.status, 413);
    scene.is_unharmed("long bodies").await;
}

#[tokio::test]
async fn bodies_that_are_compressed_or_of_another_type_are_refused() {
    let mut scene = Scene::new().await;
    let bearer = format!("Bearer {}", scene.mallory.token().expose());
    let ask = async |headers: &[(&str, &str)]| {
        let mut headers = headers.to_vec();
        headers.push(("authorization", &bearer));
        ask(
            scene.address(),
            "POST",
            "/v1/user.lookup",
            &headers,
            br#"{"username":"ada"}"#,
        )
        .await
    };
    for encoding in ["gzip", "deflate", "br", "zstd", "identity", ""] {
        let answer = ask(&[
            ("content-type", "application/json"),
            ("content-encoding", encoding),
        ])
        .await;
        assert_eq!(
            (answer.status, code(&answer)),
            (415, ErrorCode::BadFrame),
            "{encoding}"
        );
    }
    for other in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "json",
        "",
        "application/jsonx",
        "text/json",
        "application/json, text/plain",
    ] {
        let answer = ask(&[("content-type", other)]).await;
        assert_eq!(
            (answer.status, code(&answer)),
            (415, ErrorCode::BadFrame),
            "{other:?}"
        );
    }
    for good in [
        "application/json",
        "Application/JSON",
        "application/json; charset=utf-8",
    ] {
        assert_eq!(ask(&[("content-type", good)]).await.status, 200, "{good}");
    }
    assert_eq!(ask(&[]).await.status, 200);
    scene.is_unharmed("other kinds of bodies").await;
}

#[tokio::test]
async fn headers_are_bounded_in_number_and_size() {
    let mut scene = Scene::new().await;
    let ask = async |extra: &[(String, String)]| {
        let mut stream = TcpStream::connect(scene.address()).await.unwrap();
        let headers: Vec<_> = extra
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        exchange(&mut stream, &request("GET", "/healthz", &headers, b"")).await
    };
    // One more is the host.
    let many = |count: usize| {
        (1..count)
            .map(|number| (format!("x-{number}"), "1".to_owned()))
            .collect::<Vec<_>>()
    };
    assert_eq!(ask(&many(64)).await.unwrap().status, 200);
    assert_eq!(ask(&many(65)).await.unwrap().status, 431);
    let long = |bytes: usize| vec![("x-long".to_owned(), "x".repeat(bytes))];
    assert_eq!(ask(&long(15 * 1024)).await.unwrap().status, 200);
    assert_eq!(ask(&long(17 * 1024)).await.unwrap().status, 431);
    let several: Vec<_> = (0..20)
        .map(|number| (format!("x-{number}"), "x".repeat(900)))
        .collect();
    assert_eq!(ask(&several).await.unwrap().status, 431);
    scene.is_unharmed("too many headers").await;
}

#[tokio::test]
async fn what_is_not_http_is_refused() {
    let mut scene = Scene::new().await;
    let cases: [&[u8]; 8] = [
        b"\0\0\0\0\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"hello\r\n\r\n",
        b"GET /healthz HTTP/9.9\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nbad header\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nx: \0\r\n\r\n",
        b"POST /v1/hello HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n{}",
        b"POST /v1/hello HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n{}",
    ];
    for bytes in cases {
        let mut stream = TcpStream::connect(scene.address()).await.unwrap();
        let answer = exchange(&mut stream, bytes).await;
        let status = answer.map(|answer| answer.status);
        assert!(
            matches!(status, None | Some(400 | 505)),
            "{}: {status:?}",
            bytes.escape_ascii()
        );
        let mut rest = Vec::new();
        let _ = patiently("the end", stream.read_to_end(&mut rest)).await;
        assert_eq!(rest, b"", "{}", bytes.escape_ascii());
    }
    scene.is_unharmed("what is not HTTP").await;
}

#[tokio::test]
async fn headers_and_bodies_that_come_too_slowly_are_cut() {
    let options = TestServer::options().edge(|edge| edge.read_timeout = Duration::from_millis(200));
    let mut scene = Scene::of(options).await;
    let starts: [&[u8]; 3] = [
        b"",
        b"GET /hea",
        b"GET /healthz HTTP/1.1\r\nhost: x\r\nx-slow: ",
    ];
    for start in starts {
        let mut stream = TcpStream::connect(scene.address()).await.unwrap();
        stream.write_all(start).await.unwrap();
        let mut pause = tokio::time::interval(Duration::from_millis(20));
        let mut read = Vec::new();
        let cut = patiently("the connection to be cut", async {
            loop {
                tokio::select! {
                    result = stream.read_buf(&mut read) => match result {
                        Ok(0) | Err(_) => break,
                        Ok(_) => {}
                    },
                    _ = pause.tick(), if !start.is_empty() => {
                        // The server may have ended in between.
                        let _ = stream.write_all(b"x").await;
                    }
                }
            }
        });
        cut.await;
        let text = String::from_utf8_lossy(&read);
        assert!(
            read.is_empty() || text.starts_with("HTTP/1.1 408"),
            "{text}"
        );
    }
    for path in ["/v1/account.login", "/v1/hello"] {
        let mut stream = TcpStream::connect(scene.address()).await.unwrap();
        let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{{");
        let answer = exchange(&mut stream, head.as_bytes()).await.unwrap();
        assert_eq!(
            (answer.status, code(&answer)),
            (408, ErrorCode::BadFrame),
            "{path}"
        );
    }
    // An upgrade that is not completed holds nothing.
    drop(TcpStream::connect(scene.address()).await.unwrap());
    scene.is_unharmed("slow requests").await;
}

#[tokio::test]
async fn unknown_paths_and_methods_are_refused_in_the_servers_own_words() {
    let mut scene = Scene::new().await;
    let address = scene.address();
    let wrong_method = [
        ("GET", "/v1/user.lookup"),
        ("PUT", "/v1/user.lookup"),
        ("DELETE", "/v1/session.list"),
        ("OPTIONS", "/v1/account.login"),
        ("TRACE", "/v1/account.login"),
        ("POST", "/v1/ws"),
        ("POST", "/v1/openapi.json"),
        ("POST", "/healthz"),
        ("BREW", "/v1/hello"),
    ];
    for (method, path) in wrong_method {
        let answer = ask(address, method, path, &[], b"").await;
        assert_eq!(
            (answer.status, code(&answer)),
            (405, ErrorCode::UnknownMethod),
            "{method} {path}"
        );
        assert!(answer.header("allow").is_some(), "{method} {path}");
    }
    let unknown = [
        ("POST", "/v1/nothing"),
        ("POST", "/v1/user.lookup/"),
        ("POST", "/v1/User.Lookup"),
        ("POST", "/v1/user%2elookup%00"),
        ("POST", "/v2/user.lookup"),
        ("POST", "/v1/"),
        ("POST", "//v1/user.lookup"),
        ("POST", "/v1/../v1/user.lookup"),
        ("GET", "/"),
        ("GET", "/metrics"),
        ("GET", "/v1/%2e%2e/%2e%2e/etc/passwd"),
    ];
    for (method, path) in unknown {
        let answer = ask(address, method, path, &[], b"").await;
        assert_eq!(
            (answer.status, code(&answer)),
            (404, ErrorCode::UnknownMethod),
            "{method} {path}"
        );
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{path}");
        assert_eq!(
            answer.header("content-type"),
            Some("application/json"),
            "{path}"
        );
    }
    scene.is_unharmed("unknown paths").await;
}

#[tokio::test]
async fn a_path_that_is_not_utf_8_is_an_unknown_operation() {
    let scene = Scene::new().await;
    let answer = ask(scene.address(), "POST", "/v1/%ff", &[], b"").await;
    assert_eq!(answer.status, 404);
    assert_eq!(code(&answer), ErrorCode::UnknownMethod);
}

#[tokio::test]
async fn only_pages_of_this_host_or_of_the_list_may_open_a_socket() {
    let options = TestServer::options()
        .edge(|edge| edge.allowed_origins = vec!["https://chat.example.org".to_owned()]);
    let mut scene = Scene::of(options).await;
    let try_from = async |host: &str, origin: Option<&str>| {
        let mut headers = HANDSHAKE.to_vec();
        headers.push(("host", host));
        headers.extend(origin.map(|origin| ("origin", origin)));
        let mut stream = TcpStream::connect(scene.address()).await.unwrap();
        upgrade(&mut stream, &headers).await
    };
    let refused = [
        "https://evil.example.org",
        "https://chat.example.org.evil.org",
        "http://chat.example.org",
        "https://chat.example.org:444",
        "https://chat.example.org/",
        "HTTPS://CHAT.EXAMPLE.ORG/..",
        "null",
        "",
        "chat.test",
        "https://chat.test@evil.org",
        "https://chat.test:8443",
    ];
    for origin in refused {
        let answer = try_from("chat.test", Some(origin)).await;
        assert_eq!(
            (answer.status, code(&answer)),
            (403, ErrorCode::Forbidden),
            "{origin}"
        );
    }
    for origin in [
        None,
        Some("https://chat.example.org"),
        Some("https://chat.test"),
        Some("http://chat.test"),
    ] {
        assert_eq!(
            try_from("chat.test", origin).await.status,
            101,
            "{origin:?}"
        );
    }
    assert_eq!(
        try_from("chat.test:8443", Some("https://chat.test:8443"))
            .await
            .status,
        101
    );
    scene.is_unharmed("foreign pages").await;
}

#[tokio::test]
async fn a_handshake_negotiates_a_known_subprotocol_and_no_extension() {
    let mut scene = Scene::new().await;
    let shake = async |extra: &[(&'static str, &'static str)]| {
        let mut headers = HANDSHAKE.to_vec();
        headers.extend(extra);
        let mut stream = TcpStream::connect(scene.address()).await.unwrap();
        upgrade(&mut stream, &headers).await
    };
    let name = "sec-websocket-protocol";
    let answer = shake(&[(
        "sec-websocket-extensions",
        "permessage-deflate; client_max_window_bits",
    )])
    .await;
    assert_eq!(answer.status, 101);
    assert_eq!(answer.header("sec-websocket-extensions"), None);
    assert_eq!(
        answer.header("sec-websocket-accept"),
        Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    );
    assert_eq!(answer.header(name), None);
    let known = [
        ("ruggine.v1.json", "ruggine.v1.json"),
        ("ruggine.v1.msgpack,ruggine.v1.json", "ruggine.v1.msgpack"),
        ("graphql-ws, ruggine.v1.json", "ruggine.v1.json"),
    ];
    for (offered, expected) in known {
        let answer = shake(&[(name, offered)]).await;
        assert_eq!(
            (answer.status, answer.header(name)),
            (101, Some(expected)),
            "{offered}"
        );
    }
    for foreign in [
        "graphql-ws",
        "ruggine.v2.json",
        "RUGGINE.V1.JSON",
        "ruggine.v1.jsonx",
        "",
        ",",
    ] {
        let answer = shake(&[(name, foreign)]).await;
        assert_eq!(
            (answer.status, code(&answer)),
            (400, ErrorCode::UnsupportedProtocol),
            "{foreign:?}"
        );
    }
    scene.is_unharmed("handshakes").await;
}

#[tokio::test]
async fn what_is_no_handshake_is_told_to_upgrade() {
    let mut scene = Scene::new().await;
    for missing in 0..HANDSHAKE.len() {
        let mut headers = HANDSHAKE.to_vec();
        let (name, _) = headers.remove(missing);
        let answer = ask(scene.address(), "GET", "/v1/ws", &headers, b"").await;
        assert_eq!(
            (answer.status, code(&answer)),
            (426, ErrorCode::BadFrame),
            "without {name}"
        );
    }
    for (name, wrong) in [
        ("sec-websocket-version", "8"),
        ("upgrade", "h2c"),
        ("connection", "close"),
    ] {
        let headers =
            HANDSHAKE.map(|(known, value)| (known, if known == name { wrong } else { value }));
        let answer = ask(scene.address(), "GET", "/v1/ws", &headers, b"").await;
        assert_eq!(
            (answer.status, code(&answer)),
            (426, ErrorCode::BadFrame),
            "{name}: {wrong}"
        );
    }
    scene.is_unharmed("no handshakes").await;
}

/// RFC 9110 section 15.5.22 and RFC 6455 section 4.2.2.
#[tokio::test]
async fn who_is_told_to_upgrade_is_told_to_what() {
    let scene = Scene::new().await;
    let answer = ask(scene.address(), "GET", "/v1/ws", &[], b"").await;
    assert_eq!(answer.status, 426);
    assert_eq!(answer.header("upgrade"), Some("websocket"));
    assert_eq!(answer.header("sec-websocket-version"), Some("13"));
}

/// RFC 6455 section 4.1: sixteen bytes in base64.
#[tokio::test]
async fn a_handshake_key_that_is_none_is_refused() {
    let scene = Scene::new().await;
    for key in ["x", "", "dGhlIHNhbXBsZSBub25jZQ", "not base64 at all!!!!!!"] {
        let headers = HANDSHAKE.map(|(name, value)| {
            (
                name,
                if name == "sec-websocket-key" {
                    key
                } else {
                    value
                },
            )
        });
        let answer = ask(scene.address(), "GET", "/v1/ws", &headers, b"").await;
        assert_eq!(answer.status, 426, "{key:?}");
    }
}

#[tokio::test]
async fn a_write_counter_that_is_no_number_is_refused() {
    let mut scene = Scene::new().await;
    for counter in ["", "x", "-1", "1.5", "18446744073709551616", "1,2"] {
        let http = scene.http().with_header("ruggine-write-counter", counter);
        let error = refused(&http, text_message(scene.shared, "counted")).await;
        assert_eq!(error.code, ErrorCode::InvalidParams, "{counter:?}");
    }
    scene.is_unharmed("counters that are no numbers").await;
}

/// SQLite's integers are signed: nothing above them may come back as less.
#[tokio::test]
async fn numbers_at_the_end_of_their_range_are_refused_or_kept() {
    let mut scene = Scene::new().await;
    let http = scene.http();
    let shared = scene.shared;
    for seq in [i64::MAX as u64, i64::MAX as u64 + 1, u64::MAX] {
        for (method, body) in [
            (
                "message.page",
                json!({"conversation": shared, "from": {"after": seq}}),
            ),
            (
                "message.page",
                json!({"conversation": shared, "from": {"before": seq}}),
            ),
            ("message.fetch", json!({"conversation": shared, "seq": seq})),
        ] {
            let bytes = serde_json::to_vec(&body).unwrap();
            let answer = http.post(&format!("/v1/{method}"), &bytes).await;
            assert!(
                matches!(answer.status, 200 | 400 | 404),
                "{method} {seq}: {}",
                answer.status
            );
        }
    }
    scene.is_unharmed("numbers at the end of their range").await;

    let largest = http
        .clone()
        .with_header("ruggine-write-counter", &u64::MAX.to_string());
    let first = largest.call(text_message(shared, "counted")).await;
    let below = http.with_header("ruggine-write-counter", "5");
    let second = below.call(text_message(shared, "counted less")).await;
    match first {
        Ok(_) => assert_eq!(second.unwrap_err().code, ErrorCode::DeviceRestored),
        Err(error) => {
            assert_eq!(error.code, ErrorCode::InvalidParams);
            second.unwrap();
        }
    }
    assert!(scene.metrics.render().contains("\npanics 0\n"));
}
