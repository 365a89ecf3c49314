//! A secret put wherever it does not belong, which no answer may repeat.

use ruggine_core::api::account::Login;
use ruggine_core::api::{Access, Method};
use ruggine_server::testing::{SocketClient, TestServer};
use serde_json::{Value, json};

use super::requests::BOTH;

/// Puts a text where others belong: into every field of every operation, and
/// into every part of a request. No answer may repeat it.
pub(crate) async fn misplace(server: &TestServer, ada: &Login, text: &str) {
    const FIELDS: [&str; 35] = [
        "id",
        "kind",
        "mode",
        "members",
        "users",
        "user",
        "role",
        "conversation",
        "client_msg_id",
        "payload",
        "content",
        "epoch",
        "from",
        "limit",
        "as_content",
        "seq",
        "active",
        "after",
        "incarnation",
        "token",
        "protocol",
        "locale",
        "session",
        "refresh",
        "username",
        "password",
        "display_name",
        "device_name",
        "device",
        "list",
        "packages",
        "last_resort",
        "suite",
        "unknown",
        "method",
    ];
    let whole: Value = FIELDS
        .iter()
        .map(|field| ((*field).to_owned(), json!(text)))
        .collect();
    let mut bodies = vec![whole, json!(text), json!([text]), json!({text: text})];
    bodies.extend(FIELDS.iter().map(|field| json!({*field: {text: [text]}})));
    let says_nothing = |answer: &[u8], what: &str| {
        let answer = String::from_utf8_lossy(answer);
        assert!(!answer.contains(text), "{what}: {answer}");
    };
    for encoding in BOTH {
        let http = server
            .http()
            .with_encoding(encoding)
            .with_token(&ada.tokens.access);
        // A logout has no fields: it takes anything, and would end this.
        let others = || {
            let methods = Method::ALL.iter();
            methods.filter(|method| **method != Method::SessionLogout)
        };
        for method in others() {
            for body in &bodies {
                let bytes = encoding.encode(body).unwrap();
                let answer = http.post(&format!("/v1/{method}"), &bytes).await;
                assert!(answer.status < 500, "{method}");
                if answer.status != 200 {
                    says_nothing(&answer.body, method.as_str());
                }
            }
        }
        let mut socket = SocketClient::connect(server.address(), encoding).await;
        socket.hello(&ada.tokens.access).await.unwrap();
        for method in others().filter(|method| method.access() == Access::Session) {
            for body in &bodies {
                let frame = json!({"id": 1_000, "method": method.as_str(), "params": body});
                socket
                    .send_raw(encoding.encode(&frame).unwrap())
                    .await
                    .unwrap();
            }
        }
        let frame = json!({"id": 1_000, "method": text, "params": text, text: text});
        socket
            .send_raw(encoding.encode(&frame).unwrap())
            .await
            .unwrap();
        let frame = json!({"id": 1_000, "method": "hello", "write_counter": text});
        socket
            .send_raw(encoding.encode(&frame).unwrap())
            .await
            .unwrap();
        socket.catch_up().await;
        // Without an id the connection ends.
        socket
            .send_raw(
                encoding
                    .encode(&json!({"id": text, "method": text}))
                    .unwrap(),
            )
            .await
            .unwrap();
        assert_eq!(socket.ending().await.code, Some(4000));
    }
    let http = server.http().with_token(&ada.tokens.access);
    let safe = text.replace([' ', ':'], "-");
    for (name, value) in [
        ("content-type", text),
        ("content-encoding", text),
        ("ruggine-write-counter", text),
        ("accept-language", text),
        ("authorization", text),
        ("cookie", text),
        ("origin", text),
        ("x-forwarded-for", text),
        ("sec-websocket-protocol", text),
    ] {
        let http = match name {
            // A second header of these would hide the first.
            "authorization" => server.http(),
            _ => http.clone(),
        };
        let http = http.with_header(name, value);
        for answer in [
            http.post("/v1/session.list", b"{}").await,
            http.get("/v1/ws").await,
        ] {
            says_nothing(&answer.body, name);
        }
    }
    for path in [
        format!("/v1/{safe}"),
        format!("/v1/ws?token={safe}"),
        format!("/{safe}"),
        format!("/readyz?{safe}"),
    ] {
        for answer in [
            http.post(&path, safe.as_bytes()).await,
            http.get(&path).await,
        ] {
            assert!(
                !String::from_utf8_lossy(&answer.body).contains(&safe),
                "{path}"
            );
        }
    }
}
