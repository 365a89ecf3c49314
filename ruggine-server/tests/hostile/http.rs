//! Requests over HTTP that break its rules, dawdle, or lead nowhere.

use std::time::Duration;

use ruggine_core::ErrorCode;
use ruggine_server::testing::{TestServer, patiently};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::raw_http::{ask, code, exchange, request};
use super::scene::Scene;

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
