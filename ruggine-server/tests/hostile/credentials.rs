//! Passwords and tokens that are nearly right.

use std::sync::Arc;
use std::time::Duration;

use ruggine_core::api::account::{LogIn, Register};
use ruggine_core::api::session::LogOut;
use ruggine_core::api::sync::Hello;
use ruggine_core::codec::Encoding;
use ruggine_core::secret::SecretText;
use ruggine_core::time::{ManualClock, SystemClock};
use ruggine_core::version::ProtocolVersion;
use ruggine_core::{Clock, ErrorCode, Timestamp, UserId};
use ruggine_crypto::token::{self, TokenKind};
use ruggine_server::testing::{Person, SocketClient, TestServer};

use super::scene::{BOTH, Scene, refused};

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
