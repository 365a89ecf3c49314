//! WebSocket handshakes that are incomplete, foreign, or ask for too much.

use ruggine_core::ErrorCode;
use ruggine_server::testing::TestServer;
use tokio::net::TcpStream;

use super::raw_http::{HANDSHAKE, ask, code, upgrade};
use super::scene::Scene;

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
