//! Canaries sent through every operation, and looked for wherever a server
//! leaves anything.

use std::collections::BTreeSet;
use std::sync::Arc;

use ruggine_core::api::Method;
use ruggine_core::api::account::Login;
use ruggine_core::codec::Encoding;
use ruggine_core::{ConversationId, ErrorCode};
use ruggine_server::Drain;
use ruggine_server::metrics::PrometheusMetrics;
use ruggine_server::testing::{TestServer, fresh_message_id};
use serde_json::{Value, json};

use super::canaries::Canaries;
use super::everything::use_everything;
use super::faults::Nervous;
use super::log::Log;
use super::misplaced::misplace;
use super::requests::{
    DEVICE_NAME, DISPLAY_NAME, MESSAGE, MISPLACED, PASSWORD, TITLE, WRONG_PASSWORD, register,
};

#[tokio::test]
async fn a_canary_is_found_in_no_log_no_figure_and_no_file() {
    let log = Log::listen();
    let metrics = Arc::new(PrometheusMetrics::new().unwrap());
    let hooks = Arc::new(Nervous::default());
    let mut server = TestServer::options()
        .metrics(metrics.clone())
        .hooks(hooks.clone())
        .start()
        .await;
    let http = server.http();
    let ada = http.call(register("ada")).await.unwrap();
    let mut tokens = use_everything(&server, 0, &ada).await;
    for text in [MISPLACED, PASSWORD, ada.tokens.refresh.expose()] {
        misplace(&server, &ada, text).await;
    }
    // Every operation once with a hook that panics, called with all there is.
    let before = metrics.render();
    assert!(before.contains("\npanics 0\n"), "{before}");
    for method in Method::ALL {
        *hooks.before.lock() = Some(*method);
        let conversation = ConversationId::from_bytes([9; 16]);
        let body = panic_bait(*method, &ada, conversation);
        let answer = http
            .clone()
            .with_token(&ada.tokens.access)
            .post(
                &format!("/v1/{method}"),
                &serde_json::to_vec(&body).unwrap(),
            )
            .await;
        assert_eq!(answer.status, 500, "{method}");
        assert_eq!(
            answer.error(Encoding::Json).code,
            ErrorCode::Internal,
            "{method}"
        );
    }
    *hooks.before.lock() = None;
    let panics = format!("\npanics {}\n", Method::ALL.len());
    assert!(metrics.render().contains(&panics), "{}", metrics.render());
    tokens.extend(use_everything(&server, 1, &ada).await);

    let key = std::fs::read_to_string(server.folder().join("master.key")).unwrap();
    let key = key.trim().to_owned();
    assert_eq!(key.len(), 64);
    let mut on_disk = Canaries::of([
        ("a password", PASSWORD),
        ("a wrong password", WRONG_PASSWORD),
        ("a display name", DISPLAY_NAME),
        ("a message", MESSAGE),
        ("a title", TITLE),
        ("a misplaced text", MISPLACED),
    ])
    .and_key(&key);
    tokens.extend([ada.tokens.access.clone(), ada.tokens.refresh.clone()]);
    tokens.extend(ada.device_secret.clone());
    for token in &tokens {
        on_disk = on_disk.and_token(token);
    }
    let device_name = Canaries::of([("a device name", DEVICE_NAME)]);
    let mut elsewhere = on_disk.clone();
    elsewhere.0.extend(device_name.0.clone());

    let engine = format!("{:?} {:#?}", server.engine(), server.engine());
    assert_eq!(
        elsewhere.in_text(&engine),
        [""; 0],
        "in the engine's debug text"
    );
    assert_eq!(elsewhere.in_text(&metrics.render()), [""; 0]);
    assert!(
        metrics
            .render()
            .contains("latency_count{method=\"account.login\"}")
    );

    let key_file = ("master.key".to_owned(), "a master key");
    let expected = BTreeSet::from([key_file]);
    // With the write-ahead log beside it, and without.
    assert!(server.folder().join("ruggine.db-wal").exists());
    assert_eq!(on_disk.in_folder(server.folder()), expected);
    let stopped = server.take();
    let debug = format!("{stopped:?}");
    assert_eq!(
        elsewhere.in_text(&debug),
        [""; 0],
        "in the server's debug text"
    );
    stopped.shut_down(Drain::default()).await;
    assert_eq!(on_disk.in_folder(server.folder()), expected);
    // The device's name stands there as it is, so this search does find things.
    assert!(!device_name.in_folder(server.folder()).is_empty());

    let text = log.text();
    assert!(text.contains("a hook panics before"), "panics are heard");
    assert!(text.contains("session revoked"), "logs are heard");
    assert!(text.contains("DEBUG"), "at every level");
    assert_eq!(elsewhere.in_text(&text), [""; 0], "in the log");
}

/// A good request of an operation, full of canaries.
fn panic_bait(method: Method, ada: &Login, conversation: ConversationId) -> Value {
    let id = fresh_message_id();
    match method {
        Method::AccountRegister | Method::AccountLogin => json!({
            "username": "ada",
            "password": PASSWORD,
            "device_name": DEVICE_NAME,
            "display_name": DISPLAY_NAME,
        }),
        Method::UserLookup => json!({"username": "ada"}),
        Method::SessionRefresh => json!({"refresh": ada.tokens.refresh.expose()}),
        Method::Hello => json!({"token": ada.tokens.access.expose(), "protocol": 1}),
        _ => json!({
            "conversation": conversation,
            "client_msg_id": id,
            "content": {"text": {"body": MESSAGE}},
            "from": "newest",
            "seq": 1,
            "session": ada.session,
            "kind": "group",
            "mode": "managed",
            "members": [],
            "users": [],
            "user": ada.user.id,
            "role": "admin",
            "active": true,
            "list": "YQ",
            "packages": [],
            "suite": 1,
        }),
    }
}
