//! An embedder's hooks see everything, and may refuse.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use ruggine_core::api::Method;
use ruggine_core::api::conversation::Get;
use ruggine_core::codec::Encoding;
use ruggine_core::{ConversationId, ErrorCode, Timestamp};
use ruggine_server::auth::Principal;
use ruggine_server::hooks::{Attempt, Hooks, Outcome, Verdict};
use ruggine_server::testing::{SocketClient, TestServer, eventually, text_message};

/// Hooks that note what they see, and answer by the method.
#[derive(Debug, Default)]
pub(crate) struct Watching {
    verdicts: HashMap<Method, Verdict>,
    hanging: HashSet<Method>,
    pub(crate) attempts: Mutex<Vec<Attempt>>,
    outcomes: Mutex<Vec<Outcome>>,
}

pub(crate) struct Watched(pub(crate) Arc<Watching>);

impl Hooks for Watched {
    async fn before(&self, attempt: Attempt) -> Verdict {
        self.0.attempts.lock().push(attempt);
        if self.0.hanging.contains(&attempt.method) {
            std::future::pending::<()>().await;
        }
        self.0
            .verdicts
            .get(&attempt.method)
            .cloned()
            .unwrap_or_default()
    }

    async fn after(&self, outcome: Outcome) {
        self.0.outcomes.lock().push(outcome);
    }
}

impl Watching {
    async fn outcome_of(&self, method: Method) -> Outcome {
        let of_method = |outcome: &&Outcome| outcome.attempt.method == method;
        eventually("a hook to be told", || async {
            self.outcomes
                .lock()
                .iter()
                .any(|outcome| of_method(&outcome))
        })
        .await;
        self.outcomes
            .lock()
            .iter()
            .find(of_method)
            .cloned()
            .expect("it is there")
    }
}

async fn watched(seen: &Arc<Watching>) -> TestServer {
    TestServer::options()
        .hooks(Arc::new(Watched(seen.clone())))
        .config(|config| config.hook_deadline = Duration::from_millis(100))
        .start()
        .await
}

#[tokio::test]
async fn a_hook_sees_who_does_what_where_and_how_it_ended() {
    let seen = Arc::new(Watching {
        verdicts: HashMap::from([(
            Method::MessageSend,
            Verdict::Annotate("looked at".to_owned()),
        )]),
        ..Watching::default()
    });
    let server = watched(&seen).await;
    let ada = server.register("ada").await;
    let registered = seen.outcome_of(Method::AccountRegister).await;
    assert_eq!(registered.attempt.principal, None);
    assert_eq!((registered.note, registered.error), (None, None));
    let group = server.group(&ada, &[]).await;
    let http = server.http_of(&ada);
    http.call(text_message(group, "ciao")).await.unwrap();
    let sent = seen.outcome_of(Method::MessageSend).await;
    let principal = Principal {
        user: ada.user(),
        device: ada.device(),
        session: ada.session(),
    };
    assert_eq!(sent.attempt.principal, Some(principal));
    assert_eq!(sent.attempt.conversation, Some(group));
    assert_eq!(sent.attempt.address, IpAddr::V4(Ipv4Addr::LOCALHOST));
    assert_eq!(
        (sent.note.as_deref(), sent.error),
        (Some("looked at"), None)
    );

    let nowhere = ConversationId::new(Timestamp::from_millis(1));
    http.call(Get {
        conversation: nowhere,
    })
    .await
    .unwrap_err();
    let failed = seen.outcome_of(Method::ConversationGet).await;
    assert_eq!(failed.error, Some(ErrorCode::ConversationNotFound));
    server.socket(&ada, Encoding::Json).await;
    assert_eq!(seen.outcome_of(Method::Hello).await.error, None);
}

#[tokio::test]
async fn what_a_hook_denies_is_not_done_and_its_reason_is_told() {
    let deny = Verdict::Deny {
        reason: "not on Sundays".to_owned(),
    };
    let seen = Arc::new(Watching {
        verdicts: HashMap::from([(Method::MessageSend, deny.clone()), (Method::Hello, deny)]),
        ..Watching::default()
    });
    let server = watched(&seen).await;
    let ada = server.register("ada").await;
    let group = server.group(&ada, &[]).await;
    let http = server.http_of(&ada);
    let refused = http.call(text_message(group, "ciao")).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::Refused);
    assert_eq!(refused.details.as_deref(), Some("not on Sundays"));
    assert_eq!(http.read_log(group).await.unwrap().len(), 1);
    assert_eq!(
        seen.outcome_of(Method::MessageSend).await.error,
        Some(ErrorCode::Refused)
    );
    let mut socket = SocketClient::connect(server.address(), Encoding::Json).await;
    let refused = socket.hello(ada.token()).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::Refused);
    assert_eq!(
        seen.outcome_of(Method::Hello).await.error,
        Some(ErrorCode::Refused),
        "a refused hello is told afterwards like any refused operation"
    );
}

#[tokio::test]
async fn a_hook_that_does_not_answer_in_time_counts_as_a_refusal() {
    let seen = Arc::new(Watching {
        hanging: HashSet::from([Method::MessageSend]),
        ..Watching::default()
    });
    let server = watched(&seen).await;
    let ada = server.register("ada").await;
    let group = server.group(&ada, &[]).await;
    let http = server.http_of(&ada);
    let refused = http.call(text_message(group, "ciao")).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::Refused);
    assert_eq!(http.read_log(group).await.unwrap().len(), 1);
}
