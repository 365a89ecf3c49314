//! Accounts, devices and sessions, through the real edges.
#![cfg(all(feature = "http", feature = "sqlite"))]

use std::sync::Arc;
use std::time::Duration;

use ruggine_core::api::account::{KnownDevice, LogIn, LookUp, Register};
use ruggine_core::api::conversation;
use ruggine_core::api::session::{List, LogOut, Refresh, Revoke};
use ruggine_core::api::sync::Hello;
use ruggine_core::codec::Encoding;
use ruggine_core::secret::SecretText;
use ruggine_core::time::ManualClock;
use ruggine_core::version::ProtocolVersion;
use ruggine_core::{ErrorCode, SessionId, Timestamp};
use ruggine_server::testing::{Person, SocketClient, TestServer};

const REVOKED: Option<u16> = Some(4003);
const UNAUTHENTICATED: Option<u16> = Some(4001);

fn look_up(username: &str) -> LookUp {
    LookUp {
        username: username.to_owned(),
    }
}

fn refresh(token: &SecretText) -> Refresh {
    Refresh {
        refresh: token.clone(),
    }
}

fn hello(token: &SecretText) -> Hello {
    Hello {
        token: token.clone(),
        protocol: ProtocolVersion::CURRENT,
        locale: None,
        incarnation: None,
    }
}

#[tokio::test]
async fn a_registration_logs_its_first_device_in() {
    let server = TestServer::start().await;
    let request = Register {
        display_name: Some("Ada Lovelace".to_owned()),
        device_name: Some("analytical engine".to_owned()),
        ..Person::registration("ada")
    };
    let login = server.http().call(request).await.unwrap();
    assert_eq!(login.user.username.as_str(), "ada");
    assert_eq!(login.user.display_name.as_str(), "Ada Lovelace");
    assert!(login.device_secret.is_some());

    let ada = Person { login };
    let sessions = server.http_of(&ada).call(List {}).await.unwrap().sessions;
    assert_eq!(sessions.len(), 1);
    assert_eq!(sessions[0].id, ada.session());
    assert_eq!(sessions[0].device, ada.device());
    assert_eq!(sessions[0].device_name, "analytical engine");
    assert!(sessions[0].current);
}

#[tokio::test]
async fn a_taken_username_is_refused_with_the_specified_italian_words() {
    let server = TestServer::start().await;
    let ada = server.register("ada").await;
    let http = server.http();
    let italian = http
        .clone()
        .with_header("accept-language", "it-IT, en;q=0.5");
    let refused = italian.call(Person::registration("ada")).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::UsernameTaken);
    assert_eq!(refused.message, "ERR: Username già in uso");

    let english = http.call(Person::registration("ada")).await.unwrap_err();
    assert_eq!(english.code, ErrorCode::UsernameTaken);
    assert_ne!(english.message, refused.message);

    for encoding in [Encoding::Json, Encoding::MsgPack] {
        let mut socket = SocketClient::connect(server.address(), encoding).await;
        let greeting = Hello {
            locale: Some("it".to_owned()),
            ..hello(ada.token())
        };
        socket.call(greeting).await.unwrap();
        let refused = socket.call(Person::registration("ada")).await.unwrap_err();
        assert_eq!(refused.message, "ERR: Username già in uso");
    }
}

#[tokio::test]
async fn of_many_who_want_a_username_at_once_one_gets_it() {
    let server = TestServer::start().await;
    let http = server.http();
    let wanting = (0..6).map(|_| http.call(Person::registration("ada")));
    let results = futures_util::future::join_all(wanting).await;
    let (got, refused): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
    assert_eq!(got.len(), 1);
    assert!(
        refused
            .into_iter()
            .all(|result| result.unwrap_err().code == ErrorCode::UsernameTaken)
    );
}

#[tokio::test]
async fn usernames_are_the_same_in_any_case() {
    let server = TestServer::start().await;
    let ada = server.register("Ada.L").await;
    assert_eq!(ada.login.user.username.as_str(), "ada.l");
    let http = server.http_of(&ada);
    let taken = http.call(Person::registration("ADA.l")).await.unwrap_err();
    assert_eq!(taken.code, ErrorCode::UsernameTaken);
    let request = LogIn {
        username: "aDA.L".to_owned(),
        ..ada.new_login()
    };
    assert_eq!(http.call(request).await.unwrap().user.id, ada.user());
    let found = http.call(look_up("ADA.L")).await.unwrap();
    assert_eq!(found, ada.login.user);
}

#[tokio::test]
async fn a_name_that_cannot_be_one_makes_no_account() {
    let server = TestServer::start().await;
    let http = server.http();
    for bad in ["ab", "", "no spaces", "à-la", "a/b", &"x".repeat(33)] {
        let refused = http.call(Person::registration(bad)).await.unwrap_err();
        assert_eq!(refused.code, ErrorCode::InvalidUsername, "{bad:?}");
        assert!(!refused.retryable);
    }
    let with_names = |display: Option<&str>, device: Option<&str>| Register {
        display_name: display.map(str::to_owned),
        device_name: device.map(str::to_owned),
        ..Person::registration("ada")
    };
    for bad in ["", "  ", "two\nlines", "evil\u{202e}txt", &"é".repeat(65)] {
        for request in [with_names(Some(bad), None), with_names(None, Some(bad))] {
            let refused = http.call(request).await.unwrap_err();
            assert_eq!(refused.code, ErrorCode::InvalidDisplayName, "{bad:?}");
        }
    }
    server.register("ada").await;
}

#[tokio::test]
async fn a_weak_password_is_refused_and_not_repeated() {
    let server = TestServer::start().await;
    let long = "zebra kiwi ".repeat(12);
    for weak in [
        "kz7-über",
        "passwordpassword",
        "aaaaaaaaaaaaa",
        "Ada.Lovelace",
        &long,
    ] {
        let request = Register {
            password: SecretText::new(weak),
            ..Person::registration("ada.lovelace")
        };
        let refused = server.http().call(request).await.unwrap_err();
        assert_eq!(refused.code, ErrorCode::WeakPassword, "{weak}");
        let details = refused.details.unwrap();
        assert!(!details.contains(weak) && !refused.message.contains(weak));
    }
    server.register("ada.lovelace").await;
}

#[tokio::test]
async fn an_unknown_user_and_a_wrong_password_are_answered_alike() {
    let server = TestServer::start().await;
    let ada = server.register("ada").await;
    let http = server.http();
    let attempt = |username: &str, password: &str| LogIn {
        username: username.to_owned(),
        password: SecretText::new(password),
        ..ada.new_login()
    };
    let mut answers = Vec::new();
    for (username, password) in [
        ("ada", "not the password of ada"),
        ("nobody", "not the password of ada"),
        ("no such name!", "not the password of ada"),
        ("ada", ""),
    ] {
        let body = Encoding::Json.encode(&attempt(username, password)).unwrap();
        let answer = http.post("/v1/account.login", &body).await;
        assert_eq!(
            answer.error(Encoding::Json).code,
            ErrorCode::InvalidCredentials
        );
        answers.push((answer.status, answer.body));
    }
    let known = KnownDevice {
        id: ada.device(),
        secret: SecretText::new("nonsense"),
    };
    let wrong_device = LogIn {
        device: Some(known),
        ..ada.new_login()
    };
    let body = Encoding::Json.encode(&wrong_device).unwrap();
    let answer = http.post("/v1/account.login", &body).await;
    answers.push((answer.status, answer.body));
    assert_eq!(answers[0].0, 401);
    assert!(
        answers.iter().all(|answer| *answer == answers[0]),
        "{answers:?}"
    );
}

#[tokio::test]
async fn a_login_without_a_device_makes_one_and_with_its_secret_finds_it_again() {
    let server = TestServer::start().await;
    let ada = server.register("ada").await;
    let http = server.http();

    let second = server.another_device(&ada).await;
    assert_eq!(second.user(), ada.user());
    assert_ne!(second.device(), ada.device());
    assert_ne!(second.session(), ada.session());
    assert_ne!(second.login.device_secret, ada.login.device_secret);

    let again = http.call(ada.same_device_login()).await.unwrap();
    assert_eq!(again.device, ada.device());
    assert_ne!(again.session, ada.session());
    assert!(again.device_secret.is_none(), "it is given once");
}

#[tokio::test]
async fn a_device_is_proved_by_its_own_secret_only() {
    let server = TestServer::start().await;
    let ada = server.register("ada").await;
    let second = server.another_device(&ada).await;
    let bob = server.register("bob").await;
    let secret = |person: &Person| person.login.device_secret.clone().unwrap();
    for (id, secret) in [
        (ada.device(), secret(&second)),
        (ada.device(), secret(&bob)),
        (bob.device(), secret(&bob)),
        (ada.device(), ada.token().clone()),
    ] {
        let request = LogIn {
            device: Some(KnownDevice { id, secret }),
            ..ada.new_login()
        };
        let refused = server.http().call(request).await.unwrap_err();
        assert_eq!(refused.code, ErrorCode::InvalidCredentials);
    }
}

#[tokio::test]
async fn after_too_many_wrong_passwords_even_the_right_one_must_wait() {
    let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_700_000_000_000)));
    let server = TestServer::options()
        .config(|config| config.limits.login_failures_per_account = 3)
        .clock(clock.clone())
        .start()
        .await;
    let ada = server.register("ada").await;
    let http = server.http();
    let wrong = LogIn {
        password: SecretText::new("not the password of ada"),
        ..ada.new_login()
    };
    for _ in 0..3 {
        let refused = http.call(wrong.clone()).await.unwrap_err();
        assert_eq!(refused.code, ErrorCode::InvalidCredentials);
    }
    let limited = http.call(ada.new_login()).await.unwrap_err();
    assert_eq!(limited.code, ErrorCode::RateLimited);
    assert!(limited.retryable);
    clock.advance(Duration::from_millis(limited.retry_after_ms.unwrap()));
    assert!(http.call(ada.new_login()).await.is_ok());
}

#[tokio::test]
async fn a_user_is_found_by_the_exact_name_and_only_by_who_has_logged_in() {
    let server = TestServer::start().await;
    let ada = server.register("ada").await;
    let bob = server.register("bob.kahn").await;
    let http = server.http_of(&ada);
    assert_eq!(
        http.call(look_up("bob.kahn")).await.unwrap(),
        bob.login.user
    );
    for other in ["bob", "bob.kahn2", "bob_kahn", "%", "no such name!"] {
        let refused = http.call(look_up(other)).await.unwrap_err();
        assert_eq!(refused.code, ErrorCode::UserNotFound, "{other}");
    }
    let stranger = server.http().call(look_up("bob.kahn")).await.unwrap_err();
    assert_eq!(stranger.code, ErrorCode::Unauthenticated);
}

#[tokio::test]
async fn a_refresh_token_stays_good_until_its_successor_is_used() {
    let server = TestServer::start().await;
    let ada = server.register("ada").await;
    let http = server.http();
    let first = &ada.login.tokens;
    let lost = http.call(refresh(&first.refresh)).await.unwrap();
    let second = http.call(refresh(&first.refresh)).await.unwrap();
    assert_ne!(lost.refresh, second.refresh);
    for access in [&first.access, &lost.access, &second.access] {
        let sessions = http.clone().with_token(access).call(List {}).await.unwrap();
        assert_eq!(sessions.sessions.len(), 1, "it is one session still");
    }
    let third = http.call(refresh(&second.refresh)).await.unwrap();
    assert!(http.call(refresh(&third.refresh)).await.is_ok());
}

#[tokio::test]
async fn a_refresh_token_used_after_its_successor_ends_the_session_everywhere() {
    let server = TestServer::start().await;
    let ada = server.register("ada").await;
    let other_login = server.another_device(&ada).await;
    let mut socket = server.socket(&ada, Encoding::MsgPack).await;
    let mut other_socket = server.socket(&other_login, Encoding::Json).await;

    let http = server.http();
    let second = http.call(refresh(&ada.login.tokens.refresh)).await.unwrap();
    let third = http.call(refresh(&second.refresh)).await.unwrap();
    let reused = http
        .call(refresh(&ada.login.tokens.refresh))
        .await
        .unwrap_err();
    assert_eq!(reused.code, ErrorCode::TokenReused);

    assert_eq!(socket.ending().await.code, REVOKED);
    for tokens in [&ada.login.tokens, &second, &third] {
        let refused = http.call(refresh(&tokens.refresh)).await.unwrap_err();
        assert_eq!(refused.code, ErrorCode::Unauthenticated);
        let refused = http.clone().with_token(&tokens.access).call(List {}).await;
        assert_eq!(refused.unwrap_err().code, ErrorCode::Unauthenticated);
    }
    let sessions = other_socket.call(List {}).await.unwrap().sessions;
    assert_eq!(sessions.len(), 1);
    assert_eq!(sessions[0].id, other_login.session());
}

#[tokio::test]
async fn an_access_token_is_no_refresh_token_nor_the_reverse() {
    let server = TestServer::start().await;
    let ada = server.register("ada").await;
    let tokens = &ada.login.tokens;
    let http = server.http();
    let refused = http.call(refresh(&tokens.access)).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::Unauthenticated);
    let secret = ada.login.device_secret.clone().unwrap();
    for token in [&tokens.refresh, &secret, &SecretText::new("x")] {
        let refused = http
            .clone()
            .with_token(token)
            .call(List {})
            .await
            .unwrap_err();
        assert_eq!(refused.code, ErrorCode::Unauthenticated);
    }
}

#[tokio::test]
async fn a_logout_ends_its_session_and_its_socket() {
    let server = TestServer::start().await;
    let ada = server.register("ada").await;
    let other_login = server.another_device(&ada).await;
    let mut socket = server.socket(&ada, Encoding::Json).await;
    let http = server.http_of(&ada);
    http.call(LogOut {}).await.unwrap();

    assert_eq!(socket.ending().await.code, REVOKED);
    assert_eq!(
        http.call(List {}).await.unwrap_err().code,
        ErrorCode::Unauthenticated
    );
    let refused = http
        .call(refresh(&ada.login.tokens.refresh))
        .await
        .unwrap_err();
    assert_eq!(refused.code, ErrorCode::Unauthenticated);
    let left = server.http_of(&other_login).call(List {}).await.unwrap();
    assert_eq!(left.sessions.len(), 1);
}

#[tokio::test]
async fn a_logout_over_a_socket_is_answered_before_the_socket_closes() {
    let server = TestServer::start().await;
    let ada = server.register("ada").await;
    let mut socket = server.socket(&ada, Encoding::Json).await;
    let answer = socket.try_call(LogOut {}).await;
    assert_eq!(answer.map(|answer| answer.is_ok()), Ok(true));
    assert_eq!(socket.ending().await.code, REVOKED);
}

#[tokio::test]
async fn a_revoked_session_loses_its_socket_and_its_tokens() {
    let server = TestServer::start().await;
    let ada = server.register("ada").await;
    let phone = server.another_device(&ada).await;
    let bob = server.register("bob").await;
    let mut phone_socket = server.socket(&phone, Encoding::MsgPack).await;
    let mut socket = server.socket(&ada, Encoding::MsgPack).await;

    let sessions = socket.call(List {}).await.unwrap().sessions;
    let mut listed: Vec<_> = sessions
        .iter()
        .map(|session| (session.id, session.current))
        .collect();
    listed.sort_unstable();
    let mut expected = vec![(ada.session(), true), (phone.session(), false)];
    expected.sort_unstable();
    assert_eq!(listed, expected);

    let revoke = |session| Revoke { session };
    for foreign in [bob.session(), SessionId::new(Timestamp::from_millis(1))] {
        let refused = socket.call(revoke(foreign)).await.unwrap_err();
        assert_eq!(refused.code, ErrorCode::SessionNotFound);
    }
    socket.call(revoke(phone.session())).await.unwrap();
    assert_eq!(phone_socket.ending().await.code, REVOKED);
    let refused = server.http_of(&phone).call(List {}).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::Unauthenticated);
    assert_eq!(socket.call(List {}).await.unwrap().sessions.len(), 1);
    assert!(server.http_of(&bob).call(List {}).await.is_ok());

    let mut late = SocketClient::connect(server.address(), Encoding::MsgPack).await;
    let refused = late.hello(phone.token()).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::Unauthenticated);
}

#[tokio::test]
async fn a_socket_outlives_its_access_token_but_no_new_one_opens_with_it() {
    let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_700_000_000_000)));
    let server = TestServer::options().clock(clock.clone()).start().await;
    let ada = server.register("ada").await;
    let mut socket = server.socket(&ada, Encoding::MsgPack).await;

    let lifetime = server.engine().config().access_lifetime;
    clock.advance(lifetime + Duration::from_secs(120));
    let http = server.http_of(&ada);
    assert_eq!(
        http.call(List {}).await.unwrap_err().code,
        ErrorCode::Unauthenticated
    );
    assert!(socket.call(List {}).await.is_ok());

    let mut late = SocketClient::connect(server.address(), Encoding::MsgPack).await;
    let refused = late.hello(ada.token()).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::Unauthenticated);
    let tokens = late.call(refresh(&ada.login.tokens.refresh)).await.unwrap();
    late.hello(&tokens.access).await.unwrap();

    clock.advance(server.engine().config().refresh_lifetime + Duration::from_secs(120));
    let refused = http.call(refresh(&tokens.refresh)).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::Unauthenticated);
}

#[tokio::test]
async fn before_hello_a_socket_may_only_log_in() {
    let server = TestServer::start().await;
    let ada = server.register("ada").await;
    let mut socket = SocketClient::connect(server.address(), Encoding::Json).await;
    let refused = socket.call(List {}).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::HelloRequired);
    let other_version = Hello {
        protocol: ProtocolVersion::new(99),
        ..hello(ada.token())
    };
    let refused = socket.call(other_version).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::UnsupportedProtocol);
    let login = socket.call(ada.new_login()).await.unwrap();
    socket.hello(&login.tokens.access).await.unwrap();
    assert!(socket.call(conversation::List::default()).await.is_ok());
    let again = socket.call(hello(ada.token())).await.unwrap_err();
    assert_eq!(again.code, ErrorCode::InvalidParams);
}

#[tokio::test]
async fn a_socket_that_does_not_log_in_is_closed() {
    let server = TestServer::options()
        .edge(|edge| edge.hello_timeout = Duration::from_millis(100))
        .start()
        .await;
    let mut silent = SocketClient::connect(server.address(), Encoding::Json).await;
    assert_eq!(silent.ending().await.code, UNAUTHENTICATED);

    let server = TestServer::start().await;
    let mut guessing = SocketClient::connect(server.address(), Encoding::Json).await;
    let nonsense = SecretText::new("nonsense");
    let ending = loop {
        match guessing.try_call(hello(&nonsense)).await {
            Ok(answer) => assert_eq!(answer.unwrap_err().code, ErrorCode::Unauthenticated),
            Err(ending) => break ending,
        }
    };
    assert_eq!(ending.code, UNAUTHENTICATED);
}

#[tokio::test]
async fn more_sockets_than_a_user_may_have_are_closed() {
    let server = TestServer::options()
        .config(|config| config.limits.sockets_per_user = 2)
        .start()
        .await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let first = server.socket(&ada, Encoding::Json).await;
    let _second = server.socket(&ada, Encoding::Json).await;
    let mut third = SocketClient::connect(server.address(), Encoding::Json).await;
    let refused = third.hello(ada.token()).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::TooManyConnections);
    assert_eq!(third.ending().await.code, Some(4029));
    server.socket(&bob, Encoding::Json).await;
    first.close().await;
    server.socket(&ada, Encoding::Json).await;
}
