//! Requests of every operation that are readable and of the wrong form.

use ruggine_core::api::Method;
use ruggine_core::codec::Encoding;
use ruggine_core::{ErrorCode, limits};
use ruggine_server::testing::fresh_message_id;
use serde_json::{Value, json};

use super::raw_http::code;
use super::scene::Scene;

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
        (M::IdentityPublish, json!({}), "invalid_params"),
        (M::IdentityPublish, json!({"list": null}), "invalid_params"),
        (M::IdentityPublish, json!({"list": [1]}), "invalid_params"),
        (M::IdentityPublish, json!({"list": "a="}), "invalid_params"),
        (M::IdentityPublish, json!({"list": ""}), "invalid_identity"),
        (
            M::IdentityPublish,
            json!({"list": "A".repeat(40_000)}),
            "invalid_identity",
        ),
        (M::IdentityGet, json!({"users": [null]}), "invalid_params"),
        (M::IdentityGet, json!({"users": [user]}), "invalid_params"),
        (
            M::IdentityGet,
            json!({"users": [{"user": user, "after": -1}]}),
            "invalid_params",
        ),
        (
            M::IdentityGet,
            json!({"users": vec![json!({"user": user}); limits::IDENTITY_QUERY_MAX + 1]}),
            "limit_reached",
        ),
        (M::KeyPackagePublish, json!({}), "invalid_params"),
        (
            M::KeyPackagePublish,
            json!({"packages": [1]}),
            "invalid_params",
        ),
        (
            M::KeyPackagePublish,
            json!({"packages": [], "last_resort": []}),
            "invalid_params",
        ),
        (
            M::KeyPackagePublish,
            json!({"packages": ["YQ"]}),
            "invalid_key_package",
        ),
        (
            M::KeyPackagePublish,
            json!({"packages": vec!["YQ"; limits::KEY_PACKAGES_PER_REQUEST + 1]}),
            "limit_reached",
        ),
        (M::KeyPackageClaim, json!({"user": user}), "invalid_params"),
        (
            M::KeyPackageClaim,
            json!({"user": user, "suite": 65_536}),
            "invalid_params",
        ),
        (
            M::KeyPackageClaim,
            json!({"user": user, "suite": 2}),
            "invalid_params",
        ),
        (
            M::KeyPackageClaim,
            json!({"user": id, "suite": 1}),
            "user_not_found",
        ),
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
