//! The server inside somebody else's program.
#![cfg(all(feature = "http", feature = "sqlite"))]

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use parking_lot::Mutex;
use ruggine_core::api::account::{LogIn, Login, Register};
use ruggine_core::api::conversation::{ConversationKind, Create, Get, ProtectionMode};
use ruggine_core::api::message::{PageRequest, PageStart};
use ruggine_core::api::session::{List, Refresh, Tokens};
use ruggine_core::api::sync::Hello;
use ruggine_core::api::{Access, Method};
use ruggine_core::codec::Encoding;
use ruggine_core::name::Username;
use ruggine_core::secret::SecretText;
use ruggine_core::time::SystemClock;
use ruggine_core::version::ProtocolVersion;
use ruggine_core::{
    Clock, ConversationId, DeviceId, ErrorCode, Event, Seq, SessionId, Timestamp, UserId,
};
use ruggine_crypto::token::{self, TokenKind};
use ruggine_server::auth::{AuthError, Authenticator, Principal};
use ruggine_server::bus::LocalBus;
use ruggine_server::config::{EngineConfig, Limits};
use ruggine_server::engine::{Caller, Engine, EngineParts, Outgoing};
use ruggine_server::hooks::{Attempt, Hooks, Outcome, Verdict};
use ruggine_server::http::openapi_document;
use ruggine_server::key_source::KeyFile;
use ruggine_server::metrics::{Measurement, Metrics, NoMetrics, PrometheusMetrics};
use ruggine_server::store::{
    CreateUser, LoginDevice, NewSession, NewToken, NewTokens, NewUser, OpenSession, Store,
};
use ruggine_server::testing::{
    HttpClient, Person, SocketClient, TestServer, eventually, open_sqlite, patiently, text_message,
    words_of,
};
use ruggine_server::{Drain, Mounted, Server};
use serde_json::Value;
use tokio::net::TcpListener;

fn group_of(members: &[UserId]) -> Create {
    Create {
        kind: ConversationKind::Group,
        mode: ProtectionMode::Managed,
        members: members.to_vec(),
        id: None,
    }
}

fn quick() -> EngineConfig {
    let mut config = EngineConfig::default();
    config.limits = Limits::without_rates();
    config
}

async fn mount(folder: &Path) -> Mounted {
    Server::builder()
        .store(open_sqlite(folder).await)
        .keys(KeyFile::new(folder.join("master.key")))
        .config(quick())
        .mount()
        .await
        .expect("the engine starts")
}

/// Serves an application as its own program would.
async fn serve(app: Router) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
    let listener = listener.expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    let service = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await });
    address
}

#[tokio::test]
async fn the_routes_work_beside_those_of_another_application() {
    let folder = tempfile::tempdir().unwrap();
    let chat = mount(folder.path()).await;
    let app = Router::new()
        .route("/", get(|| async { "my service" }))
        .merge(chat.router());
    let address = serve(app).await;
    let http = HttpClient::new(address);
    assert_eq!(&http.get("/").await.body[..], b"my service");
    assert_eq!(http.get("/readyz").await.status, 200);

    let ada = Person {
        login: http.call(Person::registration("ada")).await.unwrap(),
    };
    let http = http.with_token(ada.token());
    let group = http.call(group_of(&[])).await.unwrap().id;
    let mut sockets = Vec::new();
    for encoding in [Encoding::Json, Encoding::MsgPack] {
        let mut socket = SocketClient::connect(address, encoding).await;
        socket.hello(ada.token()).await.unwrap();
        sockets.push(socket);
    }
    let ack = http
        .call(text_message(group, "through axum::serve"))
        .await
        .unwrap();
    for socket in &mut sockets {
        assert_eq!(socket.next_row().await.1.seq, ack.seq);
    }

    chat.shut_down(Drain::default()).await;
    for socket in &mut sockets {
        assert_eq!(socket.ending().await.code, Some(4009));
    }
    assert_eq!(
        &http.get("/").await.body[..],
        b"my service",
        "the application goes on"
    );
    assert_eq!(http.get("/readyz").await.status, 503);
    let refused = http
        .call(Get {
            conversation: group,
        })
        .await
        .unwrap_err();
    assert_eq!(refused.code, ErrorCode::Unavailable);
}

#[tokio::test]
async fn the_routes_work_below_a_path() {
    let folder = tempfile::tempdir().unwrap();
    let chat = mount(folder.path()).await;
    let app = Router::new().nest("/chat", chat.router());
    let http = HttpClient::new(serve(app).await).with_prefix("/chat");
    assert_eq!(http.get("/healthz").await.status, 200);
    http.call(Person::registration("ada")).await.unwrap();
    let answer = http.post("/v1/no.such", b"{}").await;
    assert_eq!(answer.status, 404);
    assert_eq!(answer.error(Encoding::Json).code, ErrorCode::UnknownMethod);
    chat.shut_down(Drain::default()).await;
}

#[tokio::test]
async fn rates_count_the_peers_address_that_the_application_hands_on() {
    let folder = tempfile::tempdir().unwrap();
    let seen = Arc::new(Watching::default());
    let chat = Server::builder()
        .store(open_sqlite(folder.path()).await)
        .keys(KeyFile::new(folder.path().join("master.key")))
        .hooks(Watched(seen.clone()))
        .mount()
        .await
        .unwrap();
    let http = HttpClient::new(serve(chat.router()).await);
    http.call(Person::registration("ada")).await.unwrap();
    let addresses: HashSet<IpAddr> = seen.attempts.lock().iter().map(|a| a.address).collect();
    assert_eq!(addresses, HashSet::from([Ipv4Addr::LOCALHOST.into()]));
    chat.shut_down(Drain::default()).await;
}

/// An embedder's accounts: a token is a name, and a name is a principal.
#[derive(Debug, Clone, Default)]
struct OwnAccounts(Arc<Mutex<HashMap<String, Principal>>>);

impl OwnAccounts {
    /// Makes somebody known, also to the store, where profiles and devices are.
    async fn add(&self, store: &dyn Store, name: &str) -> Principal {
        let now = SystemClock.now();
        let principal = Principal {
            user: UserId::new(now),
            device: DeviceId::new(now),
            session: SessionId::new(now),
        };
        let user = NewUser {
            id: principal.user,
            username: name.parse::<Username>().expect("it is a username"),
            profile: "{}".into(),
            password_hash: None,
            created_at: now,
        };
        let created = store.create_user(user).await.expect("the store is there");
        assert_eq!(created, CreateUser::Created);
        let hash = |kind| {
            token::issue(kind, principal.user)
                .expect("there is randomness")
                .1
        };
        let stored = |kind| NewToken {
            hash: hash(kind),
            expires_at: Timestamp::from_millis(i64::MAX),
        };
        let session = NewSession {
            id: principal.session,
            user: principal.user,
            device: LoginDevice::New {
                id: principal.device,
                name: "theirs".to_owned(),
                secret: hash(TokenKind::Device),
            },
            tokens: NewTokens {
                access: stored(TokenKind::Access),
                refresh: stored(TokenKind::Refresh),
            },
            at: now,
        };
        let opened = store
            .open_session(session)
            .await
            .expect("the store is there");
        assert_eq!(opened, OpenSession::Opened(principal.device));
        self.0.lock().insert(format!("token of {name}"), principal);
        principal
    }
}

impl Authenticator for OwnAccounts {
    async fn register(&self, _: Register) -> Result<Login, AuthError> {
        Err(AuthError::Unsupported)
    }

    async fn log_in(&self, _: LogIn) -> Result<Login, AuthError> {
        Err(AuthError::Unsupported)
    }

    async fn refresh(&self, _: Refresh) -> Result<Tokens, AuthError> {
        Err(AuthError::Unsupported)
    }

    async fn authenticate(&self, token: SecretText) -> Result<Principal, AuthError> {
        let known = self.0.lock();
        known
            .get(token.expose())
            .copied()
            .ok_or(AuthError::Unauthenticated)
    }
}

#[tokio::test]
async fn an_embedders_own_tokens_open_every_door() {
    let folder = tempfile::tempdir().unwrap();
    let store = open_sqlite(folder.path()).await;
    let accounts = OwnAccounts::default();
    let ada = accounts.add(&*store, "ada").await;
    let bob = accounts.add(&*store, "bob").await;
    let server = Server::builder()
        .store(store)
        .keys(KeyFile::new(folder.path().join("master.key")))
        .authenticator(accounts)
        .listen((Ipv4Addr::LOCALHOST, 0).into())
        .start()
        .await
        .unwrap();
    let address = server.addresses()[0];
    let of = |name: &str| SecretText::new(format!("token of {name}"));
    let http = HttpClient::new(address).with_token(&of("ada"));
    let group = http.call(group_of(&[bob.user])).await.unwrap().id;
    let mut socket = SocketClient::connect(address, Encoding::MsgPack).await;
    let heads = socket.hello(&of("bob")).await.unwrap();
    assert_eq!((heads.user, heads.device), (bob.user, bob.device));
    http.call(text_message(group, "with a token of ours"))
        .await
        .unwrap();
    let (_, row) = socket.next_row().await;
    assert_eq!((row.sender, row.device), (ada.user, ada.device));

    let stranger = HttpClient::new(address).with_token(&of("eve"));
    let refused = stranger.call(List {}).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::Unauthenticated);
    let person = Person::registration("eve");
    let refused = HttpClient::new(address).call(person).await.unwrap_err();
    assert_eq!(
        refused.code,
        ErrorCode::Forbidden,
        "there is no such way in"
    );
    server.shut_down(Drain::default()).await;
}

/// Hooks that note what they see, and answer by the method.
#[derive(Debug, Default)]
struct Watching {
    verdicts: HashMap<Method, Verdict>,
    hanging: HashSet<Method>,
    attempts: Mutex<Vec<Attempt>>,
    outcomes: Mutex<Vec<Outcome>>,
}

struct Watched(Arc<Watching>);

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

#[tokio::test]
async fn an_engine_serves_without_any_transport() {
    let folder = tempfile::tempdir().unwrap();
    let parts = EngineParts {
        config: quick(),
        store: open_sqlite(folder.path()).await,
        bus: Arc::new(LocalBus::new()),
        keys: None,
        authenticator: None,
        hooks: None,
        clock: Arc::new(SystemClock),
        metrics: Arc::new(NoMetrics),
    };
    let engine = Engine::start(parts).await.unwrap();
    let stranger = Caller::anonymous(Ipv4Addr::LOCALHOST.into());
    let ada = engine
        .call(&stranger, Person::registration("ada"))
        .await
        .unwrap();
    let refused = engine.call(&stranger, group_of(&[])).await.unwrap_err();
    assert_eq!(refused.code(), ErrorCode::Unauthenticated);

    let token = ada.tokens.access.clone();
    let caller = Caller {
        principal: Some(engine.authenticate(token.clone()).await.unwrap()),
        ..stranger
    };
    let group = engine.call(&caller, group_of(&[])).await.unwrap().id;
    let hello = Hello {
        token,
        protocol: ProtocolVersion::CURRENT,
        locale: None,
        incarnation: None,
    };
    let (open, heads) = engine
        .open_socket(&stranger, hello, Encoding::Json)
        .await
        .unwrap();
    assert_eq!(heads.conversations[0].id, group);
    let first = engine.submit(&caller, text_message(group, "one")).unwrap();
    let second = engine.submit(&caller, text_message(group, "two")).unwrap();
    let second = engine.acknowledge(second).await.unwrap();
    let first = engine.acknowledge(first).await.unwrap();
    assert_eq!((first.seq, second.seq), (Seq::new(2), Seq::new(3)));
    for number in 2..=3 {
        let Outgoing::Frame(frame, _) = patiently("a frame", open.socket().next()).await else {
            panic!("the connection is not closed")
        };
        let frame: Value = serde_json::from_slice(&frame).unwrap();
        assert_eq!(frame["event"], "message");
        assert_eq!(frame["data"]["item"]["row"]["seq"], number);
    }
    let page = PageRequest {
        conversation: group,
        from: PageStart::Newest,
        limit: Some(1),
        as_content: false,
    };
    let page = engine.call(&caller, page).await.unwrap();
    assert_eq!(words_of(&page.items[0]).as_deref(), Some("two"));
    assert_eq!(engine.live_sockets(), 1);
    drop(open);
    assert_eq!(engine.live_sockets(), 0);
    assert!(engine.ready().await.unwrap());
    engine.shut_down().await;
    assert!(!engine.ready().await.unwrap());
    let refused = engine
        .call(&caller, text_message(group, "too late"))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), ErrorCode::Unavailable);
}

#[derive(Debug, Default)]
struct Committed(AtomicU64);

impl Metrics for Committed {
    fn record(&self, measurement: Measurement) {
        if let Measurement::MessagesCommitted(count) = measurement {
            self.0.fetch_add(count, Ordering::Relaxed);
        }
    }
}

#[tokio::test]
async fn two_engines_in_one_process_share_neither_figures_nor_people() {
    let counts = [
        Arc::new(Committed::default()),
        Arc::new(Committed::default()),
    ];
    let figures = Arc::new(PrometheusMetrics::new().unwrap());
    let one = TestServer::options()
        .metrics(counts[0].clone())
        .start()
        .await;
    let other = TestServer::options()
        .metrics(counts[1].clone())
        .start()
        .await;
    let third = TestServer::options().metrics(figures.clone()).start().await;
    let fourth = TestServer::options()
        .metrics(Arc::new(PrometheusMetrics::new().unwrap()))
        .start()
        .await;
    for (server, messages) in [(&one, 3), (&other, 5), (&third, 2), (&fourth, 1)] {
        let ada = server.register("ada").await;
        let group = server.group(&ada, &[]).await;
        for _ in 0..messages {
            server
                .http_of(&ada)
                .call(text_message(group, "ciao"))
                .await
                .unwrap();
        }
    }
    assert_eq!(counts[0].0.load(Ordering::Relaxed), 3);
    assert_eq!(counts[1].0.load(Ordering::Relaxed), 5);
    let text = figures.render();
    assert!(text.contains("message_count 2"), "{text}");
    assert!(text.contains("active_connections 0"), "{text}");
    let ada = other.register("bob").await;
    let refused = one.http_of(&ada).call(List {}).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::Unauthenticated);
    assert_ne!(one.engine().incarnation(), other.engine().incarnation());
}

#[tokio::test]
async fn a_server_without_a_drain_ends_at_once() {
    let mut server = TestServer::start().await;
    let ada = server.register("ada").await;
    let mut socket = server.socket(&ada, Encoding::MsgPack).await;
    let mut stranger = SocketClient::connect(server.address(), Encoding::Json).await;
    // Connections of which nobody has heard anything are no reason to wait.
    let _idle = tokio::net::TcpStream::connect(server.address())
        .await
        .unwrap();
    let begun = tokio::time::Instant::now();
    let ending = tokio::spawn(server.take().shut_down(Drain::default()));
    assert_eq!(socket.ending().await.code, Some(4009));
    assert_eq!(stranger.ending().await.code, Some(4009));
    ending.await.unwrap();
    assert!(
        begun.elapsed() < Duration::from_secs(2),
        "{:?}",
        begun.elapsed()
    );
    let refused = SocketClient::try_connect(server.address(), Encoding::Json).await;
    assert!(refused.is_err());
}

#[tokio::test]
async fn a_server_says_that_it_leaves_before_it_does() {
    let mut server = TestServer::start().await;
    let ada = server.register("ada").await;
    let http = server.http_of(&ada);
    let group = server.group(&ada, &[]).await;
    let mut socket = server.socket(&ada, Encoding::Json).await;
    for path in ["/healthz", "/readyz"] {
        assert_eq!(http.get(path).await.status, 200);
    }
    let drain = Drain {
        lead: Duration::from_secs(2),
        spread: Duration::ZERO,
    };
    let ending = tokio::spawn(server.take().shut_down(drain));
    patiently("the server to say that it leaves", async {
        while http.get("/readyz").await.status != 503 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(http.get("/healthz").await.status, 200);
    // Until the balancer has noticed, everything still works.
    http.call(text_message(group, "still here")).await.unwrap();
    socket.next_row().await;
    assert!(
        SocketClient::try_connect(server.address(), Encoding::Json)
            .await
            .is_ok()
    );
    assert_eq!(socket.ending().await.code, Some(4009));
    ending.await.unwrap();
}

#[tokio::test]
async fn a_server_whose_store_is_gone_lives_and_is_not_ready() {
    let folder = tempfile::tempdir().unwrap();
    let store = open_sqlite(folder.path()).await;
    let server = TestServer::options()
        .folder(folder.path())
        .store(store.clone())
        .start()
        .await;
    let http = server.http();
    assert_eq!(http.get("/readyz").await.status, 200);
    store.close().await;
    assert_eq!(http.get("/readyz").await.status, 503);
    assert_eq!(http.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn the_api_describes_every_operation_and_every_reference_leads_somewhere() {
    let server = TestServer::start().await;
    let answer = server.http().get("/v1/openapi.json").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let document: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(document, openapi_document());
    let paths = document["paths"].as_object().unwrap();
    assert_eq!(paths.len(), Method::ALL.len());
    for method in Method::ALL {
        let operation = &paths[&format!("/v1/{method}")]["post"];
        assert_eq!(operation["operationId"], method.as_str());
        assert!(!operation["summary"].as_str().unwrap().is_empty());
    }
    for code in ErrorCode::ALL {
        assert_eq!(document["x-error-codes"][code.as_str()], code.number());
    }
    for event in Event::NAMES {
        assert!(!document["x-events"][event].is_null(), "{event}");
    }
    let mut references = Vec::new();
    collect_references(&document, &mut references);
    assert!(references.len() > 2 * Method::ALL.len());
    for reference in references {
        let pointer = reference
            .strip_prefix('#')
            .expect("it leads into the document");
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}

fn collect_references(value: &Value, references: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                match field {
                    Value::String(reference) if name == "$ref" => {
                        references.push(reference.clone())
                    }
                    _ => collect_references(field, references),
                }
            }
        }
        Value::Array(items) => {
            for item in items {
                collect_references(item, references);
            }
        }
        _ => {}
    }
}

#[tokio::test]
async fn every_operation_is_served_and_those_of_a_session_ask_for_one() {
    let server = TestServer::start().await;
    for method in Method::ALL {
        let answer = server.http().post(&format!("/v1/{method}"), b"{}").await;
        let error = answer.error(Encoding::Json);
        let expected = match method.access() {
            Access::Public => ErrorCode::InvalidParams,
            Access::Session => ErrorCode::Unauthenticated,
        };
        assert_eq!(error.code, expected, "{method}");
    }
}
