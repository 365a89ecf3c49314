//! HTTP written by hand, so that it may be wrong.

use std::net::SocketAddr;

use ruggine_core::ErrorCode;
use ruggine_core::codec::Encoding;
use ruggine_server::testing::{HttpAnswer, patiently};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(crate) const HANDSHAKE: [(&str, &str); 4] = [
    ("connection", "Upgrade"),
    ("upgrade", "websocket"),
    ("sec-websocket-version", "13"),
    ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
];

pub(crate) async fn upgrade(stream: &mut TcpStream, headers: &[(&str, &str)]) -> HttpAnswer {
    let request = request("GET", "/v1/ws", headers, b"");
    exchange(stream, &request).await.unwrap()
}

pub(crate) fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
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
pub(crate) async fn exchange(stream: &mut TcpStream, request: &[u8]) -> Option<HttpAnswer> {
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

pub(crate) async fn ask(
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

pub(crate) fn code(answer: &HttpAnswer) -> ErrorCode {
    answer.error(Encoding::Json).code
}
