//! Bodies over HTTP that are unreadable, too long, or of another type.

use ruggine_core::codec::Encoding;
use ruggine_core::{ErrorCode, limits};
use serde_json::json;
use tokio::net::TcpStream;

use super::raw_http::{ask, code, exchange};
use super::scene::Scene;

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
