//! Messages that are refused one by one: by a hook that does not decide, or for
//! their mentions.

use std::sync::Arc;
use std::time::Duration;

use ruggine_core::api::Method;
use ruggine_core::codec::Encoding;
use ruggine_core::{ErrorCode, limits};
use ruggine_server::hooks::{Attempt, Hooks, Outcome, Verdict};
use ruggine_server::testing::{TestServer, fresh_message_id, text_message};

use super::support::{head, look_up, refused};

/// Never says anything of one operation.
#[derive(Debug)]
struct Undecided(Method);

impl Hooks for Undecided {
    async fn before(&self, attempt: Attempt) -> Verdict {
        if attempt.method == self.0 {
            std::future::pending::<()>().await;
        }
        Verdict::Allow
    }

    async fn after(&self, outcome: Outcome) {
        if outcome.attempt.method == self.0 {
            std::future::pending::<()>().await;
        }
    }
}

#[tokio::test]
async fn a_hook_that_does_not_decide_in_time_has_refused() {
    let server = TestServer::options()
        .hooks(Arc::new(Undecided(Method::MessageSend)))
        .config(|config| config.hook_deadline = Duration::from_millis(50))
        .start()
        .await;
    let ada = server.register("ada").await;
    let group = server.group(&ada, &[]).await;
    let http = server.http_of(&ada);
    let error = refused(&http, text_message(group, "may I?")).await;
    assert_eq!(error.code, ErrorCode::Refused);
    assert_eq!(head(&http, group).await, 1);
    let mut socket = server.socket(&ada, Encoding::Json).await;
    let waiting = socket
        .begin(&text_message(group, "and now?"))
        .await
        .unwrap();
    socket.call(look_up("ada")).await.unwrap();
    let error = socket.finish(waiting).await.unwrap().unwrap_err();
    assert_eq!(error.code, ErrorCode::Refused);
    assert_eq!(head(&http, group).await, 1);
}

#[tokio::test]
async fn more_mentions_than_a_text_may_have_are_refused() {
    let server = TestServer::start().await;
    let ada = server.register("ada").await;
    let group = server.group(&ada, &[]).await;
    let http = server.http_of(&ada);
    let send = |count: usize| {
        let mention = serde_json::json!({"user": ada.user(), "start": 0, "end": 1});
        let text = serde_json::json!({"body": "a", "mentions": vec![mention; count]});
        let send = serde_json::json!({
            "conversation": group,
            "client_msg_id": fresh_message_id(),
            "content": {"text": text},
        });
        serde_json::to_vec(&send).unwrap()
    };
    let answer = http
        .post("/v1/message.send", &send(limits::MENTIONS_MAX))
        .await;
    assert_eq!(answer.status, 200);
    let answer = http
        .post("/v1/message.send", &send(limits::MENTIONS_MAX + 1))
        .await;
    assert_eq!(answer.error(Encoding::Json).code, ErrorCode::InvalidContent);
    assert_eq!(head(&http, group).await, 2);
}
