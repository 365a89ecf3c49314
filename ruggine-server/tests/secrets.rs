//! What nobody may read: canaries are sent through every operation, and then
//! looked for wherever a server leaves anything. Records that were tampered with
//! do not open, and a server does not start with keys that do not fit.
#![cfg(all(unix, feature = "http", feature = "sqlite", feature = "metrics"))]
#![expect(
    clippy::unwrap_used,
    reason = "a test stops at what it does not expect, in its helpers too"
)]

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use ruggine_core::api::account::{KnownDevice, LogIn, Login, LookUp, Register};
use ruggine_core::api::conversation::{
    self, Conversation, ConversationKind, Create, Focus, ProtectionMode, Role,
};
use ruggine_core::api::message::{Fetch, Item, PageRequest, PageStart, Send};
use ruggine_core::api::session::{LogOut, Refresh, Revoke};
use ruggine_core::api::sync::{HeadsRequest, Hello};
use ruggine_core::api::{Access, Method, Operation, member, position, presence, session};
use ruggine_core::codec::Encoding;
use ruggine_core::content::{Content, Title};
use ruggine_core::secret::SecretText;
use ruggine_core::time::SystemClock;
use ruggine_core::version::ProtocolVersion;
use ruggine_core::{ApiError, Blob, Clock, ConversationId, ErrorCode, Seq, UserId};
use ruggine_crypto::at_rest::{MasterKey, MasterKeyError};
use ruggine_crypto::token::{self, TokenKind};
use ruggine_server::auth::Principal;
use ruggine_server::engine::{Caller, StartError};
use ruggine_server::hooks::{Attempt, Hooks, Outcome, Verdict};
use ruggine_server::key_source::{FixedKeys, KeyFile, KeySource, KeySourceError, read_private};
use ruggine_server::metrics::{Measurement, Metrics, PrometheusMetrics};
use ruggine_server::sealing::{KeyCheckError, Sealer};
use ruggine_server::store::{LoginDevice, NewSession, NewToken, NewTokens};
use ruggine_server::testing::inspect::sealed_rows;
use ruggine_server::testing::{
    HttpClient, Person, SocketClient, TestServer, eventually, fresh_message_id, open_sqlite,
    text_message, words_of,
};
use ruggine_server::{BuildError, Drain, Server};
use serde_json::{Value, json};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection, Row};
use tempfile::TempDir;

const BOTH: [Encoding; 2] = [Encoding::Json, Encoding::MsgPack];

/// Everything that is logged in this process, at every level.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// Begins to listen; the panics of this process are written down too.
    fn listen() -> Self {
        static LOG: OnceLock<Log> = OnceLock::new();
        LOG.get_or_init(|| {
            let log = Self::default();
            let writer = log.clone();
            tracing_subscriber::fmt()
                .with_max_level(tracing::Level::TRACE)
                .with_ansi(false)
                .with_writer(move || writer.clone())
                .init();
            let panics = log.clone();
            let report = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                let mut panics = panics.clone();
                // Writing to memory does not fail.
                let _ = writeln!(panics, "panicked: {panic}");
                report(panic);
            }));
            log
        })
        .clone()
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock()).into_owned()
    }

    fn lines_with(&self, words: &str) -> Vec<String> {
        self.text()
            .lines()
            .filter(|line| line.contains(words))
            .map(str::to_owned)
            .collect()
    }
}

fn base64(bytes: &[u8]) -> String {
    let text = serde_json::to_string(&Blob::from(bytes.to_vec())).unwrap();
    text.trim_matches('"').to_owned()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Each byte as the character of its number, so that bytes can be searched as text.
fn latin(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

/// The ways in which bytes may stand somewhere: as they are, in hexadecimal, in
/// base64 whatever is before and after them.
fn spellings(bytes: &[u8]) -> Vec<String> {
    let mut spellings = vec![latin(bytes), hex(bytes)];
    for before in 0..3 {
        let shifted = [&[0; 2][..before], bytes].concat();
        let text = base64(&shifted);
        // What the neighbours have a share in is cut off.
        let inner = text[before + usize::from(before > 0)..text.len() - 2].to_owned();
        spellings.push(inner.replace('-', "+").replace('_', "/"));
        spellings.push(inner);
    }
    spellings
}

/// What must be found nowhere, in every spelling.
#[derive(Clone)]
struct Canaries(Vec<(&'static str, Vec<String>)>);

impl Canaries {
    fn of<'a>(texts: impl IntoIterator<Item = (&'static str, &'a str)>) -> Self {
        let texts = texts.into_iter();
        Self(
            texts
                .map(|(name, text)| (name, spellings(text.as_bytes())))
                .collect(),
        )
    }

    /// A token, and the secret in it alone.
    fn and_token(mut self, token: &SecretText) -> Self {
        const PREFIX: usize = 4;
        const USER: usize = 16;
        let text = &token.expose()[PREFIX..];
        let bytes: Blob = serde_json::from_value(text.into()).unwrap();
        assert_eq!(bytes.len(), USER + 32);
        let mut ways = spellings(&bytes[USER..]);
        ways.push(token.expose().to_owned());
        self.0.push(("a token", ways));
        self
    }

    /// A master key, as text and as what it spells.
    fn and_key(mut self, key: &str) -> Self {
        let digit = |at: usize| u8::from_str_radix(&key[at..at + 2], 16).unwrap();
        let bytes: Vec<u8> = (0..key.len()).step_by(2).map(digit).collect();
        let mut ways = spellings(&bytes);
        ways.extend(spellings(key.as_bytes()));
        ways.push(key.to_uppercase());
        self.0.push(("a master key", ways));
        self
    }

    fn in_bytes(&self, bytes: &[u8]) -> BTreeSet<&'static str> {
        let text = latin(bytes);
        let found = self
            .0
            .iter()
            .filter(|(_, ways)| ways.iter().any(|way| text.contains(way)));
        found.map(|(name, _)| *name).collect()
    }

    fn in_text(&self, text: &str) -> Vec<&'static str> {
        self.in_bytes(text.as_bytes()).into_iter().collect()
    }

    /// Which of these stand in a file of the folder, and in which.
    fn in_folder(&self, folder: &Path) -> BTreeSet<(String, &'static str)> {
        let mut hits = BTreeSet::new();
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let file = entry.file_name().to_string_lossy().into_owned();
            let found = self.in_bytes(&std::fs::read(entry.path()).unwrap());
            hits.extend(found.into_iter().map(|name| (file.clone(), name)));
        }
        hits
    }
}

const PASSWORD: &str = "canarino-9f27c1 tavolo di vetro";
const WRONG_PASSWORD: &str = "canarino-41bb07 sedia di sasso";
const DISPLAY_NAME: &str = "Canarina Mostrata 7d31e8";
const DEVICE_NAME: &str = "canary device 5c90af";
const MESSAGE: &str = "canary message e3b772: nobody but the members reads this";
const TITLE: &str = "canary title 18d4c6";
const MISPLACED: &str = "canary misplaced 60aa9d";

fn register(username: &str) -> Register {
    Register {
        username: username.to_owned(),
        password: SecretText::new(PASSWORD),
        display_name: Some(DISPLAY_NAME.to_owned()),
        device_name: Some(DEVICE_NAME.to_owned()),
    }
}

fn log_in(username: &str, password: &str, device: Option<KnownDevice>) -> LogIn {
    LogIn {
        username: username.to_owned(),
        password: SecretText::new(password),
        device,
        device_name: Some(DEVICE_NAME.to_owned()),
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

fn group_of(members: Vec<UserId>) -> Create {
    Create {
        kind: ConversationKind::Group,
        mode: ProtectionMode::Managed,
        members,
        id: None,
    }
}

fn page_of(conversation: ConversationId) -> PageRequest {
    PageRequest {
        conversation,
        from: PageStart::After(Seq::ZERO),
        limit: None,
        as_content: false,
    }
}

/// A client over HTTP or over a socket.
enum Client {
    Http(HttpClient),
    Socket(Box<SocketClient>),
}

impl Client {
    /// Both ways in both encodings, for one who has logged in.
    async fn all(server: &TestServer, token: &SecretText) -> Vec<Self> {
        let mut clients = Vec::new();
        for encoding in BOTH {
            let http = server.http().with_encoding(encoding).with_token(token);
            clients.push(Self::Http(http));
            let mut socket = SocketClient::connect(server.address(), encoding).await;
            socket.hello(token).await.unwrap();
            clients.push(Self::Socket(Box::new(socket)));
        }
        clients
    }

    async fn call<O: Operation>(&mut self, request: O) -> Result<O::Response, ApiError> {
        match self {
            Self::Http(http) => http.call(request).await,
            Self::Socket(socket) => socket.call(request).await,
        }
    }
}

/// Calls every operation so that it succeeds, and again so that it does not.
/// Returns the tokens that were handed out.
async fn use_everything(server: &TestServer, round: usize, ada: &Login) -> Vec<SecretText> {
    let mut tokens = Vec::new();
    let mut keep = |login: &Login| {
        tokens.push(login.tokens.access.clone());
        tokens.push(login.tokens.refresh.clone());
        tokens.extend(login.device_secret.clone());
    };
    for (number, mut client) in (0..).zip(Client::all(server, &ada.tokens.access).await) {
        let username = format!("bob-{round}-{number}");
        let bob = client.call(register(&username)).await.unwrap();
        keep(&bob);
        client.call(register(&username)).await.unwrap_err();
        let weak = Register {
            password: SecretText::new("canarino"),
            ..register("weak")
        };
        client.call(weak).await.unwrap_err();
        let known = KnownDevice {
            id: bob.device,
            secret: bob.device_secret.clone().unwrap(),
        };
        let again = client
            .call(log_in(&username, PASSWORD, Some(known.clone())))
            .await
            .unwrap();
        keep(&again);
        let misplaced = KnownDevice {
            id: ada.device,
            ..known
        };
        client
            .call(log_in(&username, PASSWORD, Some(misplaced)))
            .await
            .unwrap_err();
        client
            .call(log_in(&username, WRONG_PASSWORD, None))
            .await
            .unwrap_err();
        client
            .call(log_in(PASSWORD, PASSWORD, None))
            .await
            .unwrap_err();
        client
            .call(log_in("nobody", PASSWORD, None))
            .await
            .unwrap_err();
        client
            .call(LookUp {
                username: username.clone(),
            })
            .await
            .unwrap();
        client
            .call(LookUp {
                username: PASSWORD.to_owned(),
            })
            .await
            .unwrap_err();
        let refresh = |token: &SecretText| Refresh {
            refresh: token.clone(),
        };
        let next = client.call(refresh(&again.tokens.refresh)).await.unwrap();
        tokens_of(&next, &mut keep, &again);
        client.call(refresh(&next.refresh)).await.unwrap();
        client
            .call(refresh(&again.tokens.refresh))
            .await
            .unwrap_err();
        client
            .call(refresh(&again.tokens.access))
            .await
            .unwrap_err();
        client
            .call(refresh(&SecretText::new(PASSWORD)))
            .await
            .unwrap_err();

        let made: Conversation = client.call(group_of(vec![bob.user.id])).await.unwrap();
        let conversation = made.id;
        client
            .call(group_of(vec![UserId::from_bytes([9; 16])]))
            .await
            .unwrap_err();
        client.call(conversation::List::default()).await.unwrap();
        client
            .call(conversation::Get { conversation })
            .await
            .unwrap();
        let focus = Focus {
            conversation: Some(conversation),
        };
        client.call(focus).await.unwrap();
        let title = Content::Title(Title {
            title: TITLE.to_owned(),
        })
        .to_payload()
        .unwrap();
        let send = |payload: Blob| Send {
            payload: Some(payload),
            ..text_message(conversation, MESSAGE)
        };
        client.call(send(title)).await.unwrap();
        let message = text_message(conversation, MESSAGE);
        client.call(message.clone()).await.unwrap();
        client.call(message.clone()).await.unwrap();
        let other = Send {
            client_msg_id: message.client_msg_id,
            ..text_message(conversation, MISPLACED)
        };
        client.call(other).await.unwrap_err();
        client
            .call(text_message(ConversationId::from_bytes([9; 16]), MESSAGE))
            .await
            .unwrap_err();
        client
            .call(send(MESSAGE.repeat(750).into_bytes().into()))
            .await
            .unwrap_err();
        client
            .call(send(MESSAGE.as_bytes().to_vec().into()))
            .await
            .unwrap();
        for as_content in [false, true] {
            client
                .call(PageRequest {
                    as_content,
                    ..page_of(conversation)
                })
                .await
                .unwrap();
        }
        client
            .call(Fetch {
                conversation,
                seq: Seq::new(3),
            })
            .await
            .unwrap();
        client
            .call(Fetch {
                conversation,
                seq: Seq::new(99),
            })
            .await
            .unwrap_err();
        let seq = Seq::new(2);
        client
            .call(position::Delivered { conversation, seq })
            .await
            .unwrap();
        client
            .call(position::Read { conversation, seq })
            .await
            .unwrap();
        client
            .call(presence::SetTyping {
                conversation,
                active: true,
            })
            .await
            .unwrap();
        client
            .call(presence::Query {
                users: vec![bob.user.id],
            })
            .await
            .unwrap();
        client.call(HeadsRequest::default()).await.unwrap();
        let user = bob.user.id;
        client
            .call(member::List {
                conversation,
                after: None,
            })
            .await
            .unwrap();
        client
            .call(member::ChangeRole {
                conversation,
                user,
                role: Role::Admin,
            })
            .await
            .unwrap();
        client
            .call(member::Remove { conversation, user })
            .await
            .unwrap();
        client
            .call(member::Remove { conversation, user })
            .await
            .unwrap_err();
        client
            .call(member::Add {
                conversation,
                users: vec![user],
            })
            .await
            .unwrap();
        client
            .call(member::Leave { conversation })
            .await
            .unwrap_err();
        client.call(session::List {}).await.unwrap();
        client
            .call(Revoke {
                session: bob.session,
            })
            .await
            .unwrap_err();
        let bobs = server.http().with_token(&bob.tokens.access);
        bobs.call(Revoke {
            session: bob.session,
        })
        .await
        .unwrap();
        bobs.call(LogOut {}).await.unwrap_err();
    }
    for encoding in BOTH {
        let http = server.http().with_encoding(encoding);
        http.call(hello(&ada.tokens.access)).await.unwrap();
        http.call(hello(&ada.tokens.refresh)).await.unwrap_err();
        let mut socket = SocketClient::connect(server.address(), encoding).await;
        socket.hello(&ada.tokens.refresh).await.unwrap_err();
        socket.hello(&SecretText::new(PASSWORD)).await.unwrap_err();
    }
    tokens
}

fn tokens_of(tokens: &session::Tokens, keep: &mut impl FnMut(&Login), like: &Login) {
    keep(&Login {
        tokens: tokens.clone(),
        device_secret: None,
        ..like.clone()
    });
}

/// Puts a text where others belong: into every field of every operation, and
/// into every part of a request. No answer may repeat it.
async fn misplace(server: &TestServer, ada: &Login, text: &str) {
    const FIELDS: [&str; 31] = [
        "id",
        "kind",
        "mode",
        "members",
        "users",
        "user",
        "role",
        "conversation",
        "client_msg_id",
        "payload",
        "content",
        "epoch",
        "from",
        "limit",
        "as_content",
        "seq",
        "active",
        "after",
        "incarnation",
        "token",
        "protocol",
        "locale",
        "session",
        "refresh",
        "username",
        "password",
        "display_name",
        "device_name",
        "device",
        "unknown",
        "method",
    ];
    let whole: Value = FIELDS
        .iter()
        .map(|field| ((*field).to_owned(), json!(text)))
        .collect();
    let mut bodies = vec![whole, json!(text), json!([text]), json!({text: text})];
    bodies.extend(FIELDS.iter().map(|field| json!({*field: {text: [text]}})));
    let says_nothing = |answer: &[u8], what: &str| {
        let answer = String::from_utf8_lossy(answer);
        assert!(!answer.contains(text), "{what}: {answer}");
    };
    for encoding in BOTH {
        let http = server
            .http()
            .with_encoding(encoding)
            .with_token(&ada.tokens.access);
        // A logout has no fields: it takes anything, and would end this.
        let others = || {
            let methods = Method::ALL.iter();
            methods.filter(|method| **method != Method::SessionLogout)
        };
        for method in others() {
            for body in &bodies {
                let bytes = encoding.encode(body).unwrap();
                let answer = http.post(&format!("/v1/{method}"), &bytes).await;
                assert!(answer.status < 500, "{method}");
                if answer.status != 200 {
                    says_nothing(&answer.body, method.as_str());
                }
            }
        }
        let mut socket = SocketClient::connect(server.address(), encoding).await;
        socket.hello(&ada.tokens.access).await.unwrap();
        for method in others().filter(|method| method.access() == Access::Session) {
            for body in &bodies {
                let frame = json!({"id": 1_000, "method": method.as_str(), "params": body});
                socket
                    .send_raw(encoding.encode(&frame).unwrap())
                    .await
                    .unwrap();
            }
        }
        let frame = json!({"id": 1_000, "method": text, "params": text, text: text});
        socket
            .send_raw(encoding.encode(&frame).unwrap())
            .await
            .unwrap();
        let frame = json!({"id": 1_000, "method": "hello", "write_counter": text});
        socket
            .send_raw(encoding.encode(&frame).unwrap())
            .await
            .unwrap();
        socket.catch_up().await;
        // Without an id the connection ends.
        socket
            .send_raw(
                encoding
                    .encode(&json!({"id": text, "method": text}))
                    .unwrap(),
            )
            .await
            .unwrap();
        assert_eq!(socket.ending().await.code, Some(4000));
    }
    let http = server.http().with_token(&ada.tokens.access);
    let safe = text.replace([' ', ':'], "-");
    for (name, value) in [
        ("content-type", text),
        ("content-encoding", text),
        ("ruggine-write-counter", text),
        ("accept-language", text),
        ("authorization", text),
        ("cookie", text),
        ("origin", text),
        ("x-forwarded-for", text),
        ("sec-websocket-protocol", text),
    ] {
        let http = match name {
            // A second header of these would hide the first.
            "authorization" => server.http(),
            _ => http.clone(),
        };
        let http = http.with_header(name, value);
        for answer in [
            http.post("/v1/session.list", b"{}").await,
            http.get("/v1/ws").await,
        ] {
            says_nothing(&answer.body, name);
        }
    }
    for path in [
        format!("/v1/{safe}"),
        format!("/v1/ws?token={safe}"),
        format!("/{safe}"),
        format!("/readyz?{safe}"),
    ] {
        for answer in [
            http.post(&path, safe.as_bytes()).await,
            http.get(&path).await,
        ] {
            assert!(
                !String::from_utf8_lossy(&answer.body).contains(&safe),
                "{path}"
            );
        }
    }
}

/// Panics before the operations that it is told to.
#[derive(Debug, Default)]
struct Nervous {
    before: Mutex<Option<Method>>,
    after: Mutex<Option<Method>>,
}

impl Hooks for Nervous {
    async fn before(&self, attempt: Attempt) -> Verdict {
        let nervous = *self.before.lock() == Some(attempt.method);
        assert!(!nervous, "a hook panics before {attempt:?}");
        Verdict::Annotate(format!("a note on {}", attempt.method))
    }

    async fn after(&self, outcome: Outcome) {
        let nervous = *self.after.lock() == Some(outcome.attempt.method);
        assert!(!nervous, "a hook panics after {outcome:?}");
    }
}

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
        }),
    }
}

/// Counts what must not go unnoticed.
#[derive(Debug, Default)]
struct Faults {
    panics: AtomicU64,
    unreadable: AtomicU64,
}

impl Metrics for Faults {
    fn record(&self, measurement: Measurement) {
        match measurement {
            Measurement::Panicked => self.panics.fetch_add(1, Ordering::SeqCst),
            Measurement::DecryptionFailed => self.unreadable.fetch_add(1, Ordering::SeqCst),
            _ => 0,
        };
    }
}

impl Faults {
    fn unreadable(&self) -> u64 {
        self.unreadable.load(Ordering::SeqCst)
    }

    fn panics(&self) -> u64 {
        self.panics.load(Ordering::SeqCst)
    }
}

#[tokio::test]
async fn a_panic_during_an_operation_ends_that_operation_alone() {
    let faults = Arc::new(Faults::default());
    let hooks = Arc::new(Nervous::default());
    let server = TestServer::options()
        .metrics(faults.clone())
        .hooks(hooks.clone())
        .start()
        .await;
    let ada = server.register("ada").await;
    let group = server.group(&ada, &[]).await;
    for encoding in BOTH {
        let mut socket = server.socket(&ada, encoding).await;
        *hooks.before.lock() = Some(Method::MessageSend);
        let refused = socket.call(text_message(group, "now")).await.unwrap_err();
        assert_eq!(refused.code, ErrorCode::Internal);
        assert!(refused.retryable);
        *hooks.before.lock() = Some(Method::AccountLogin);
        let mut stranger = SocketClient::connect(server.address(), encoding).await;
        let refused = stranger.call(ada.new_login()).await.unwrap_err();
        assert_eq!(refused.code, ErrorCode::Internal);
        *hooks.before.lock() = None;
        stranger.call(ada.new_login()).await.unwrap();
        socket.call(text_message(group, "again")).await.unwrap();
    }
    assert_eq!(faults.panics(), 4);
    assert_eq!(server.http_of(&ada).read_log(group).await.unwrap().len(), 3);
}

/// Hello over a socket is an operation like the others.
#[tokio::test]
async fn a_panic_during_hello_is_answered_and_counted() {
    let faults = Arc::new(Faults::default());
    let hooks = Arc::new(Nervous::default());
    let server = TestServer::options()
        .metrics(faults.clone())
        .hooks(hooks.clone())
        .start()
        .await;
    let ada = server.register("ada").await;
    *hooks.before.lock() = Some(Method::Hello);
    let mut socket = SocketClient::connect(server.address(), Encoding::Json).await;
    let answer = socket.try_call(hello(ada.token())).await;
    assert_eq!(faults.panics(), 1, "{answer:?}");
    assert_eq!(answer.unwrap().unwrap_err().code, ErrorCode::Internal);
    *hooks.before.lock() = None;
    server.socket(&ada, Encoding::Json).await;
    assert_eq!(server.engine().live_sockets(), 1);
}

/// What runs beside an operation is watched too.
#[tokio::test]
async fn a_panic_after_an_operation_is_counted() {
    let faults = Arc::new(Faults::default());
    let hooks = Arc::new(Nervous::default());
    let server = TestServer::options()
        .metrics(faults.clone())
        .hooks(hooks.clone())
        .start()
        .await;
    let ada = server.register("ada").await;
    let http = server.http_of(&ada);
    *hooks.after.lock() = Some(Method::UserLookup);
    for _ in 0..3 {
        http.call(LookUp {
            username: "ada".to_owned(),
        })
        .await
        .unwrap();
    }
    // A task that is made later is run later, on a runtime of one thread.
    *hooks.after.lock() = None;
    http.call(LookUp {
        username: "ada".to_owned(),
    })
    .await
    .unwrap();
    assert_eq!(faults.panics(), 3);
}

fn shows_nothing(canaries: &Canaries, value: &impl Debug) {
    for text in [format!("{value:?}"), format!("{value:#?}")] {
        assert_eq!(canaries.in_text(&text), [""; 0], "{text}");
    }
}

#[tokio::test]
async fn no_debug_text_shows_a_secret() {
    let server = TestServer::start().await;
    let ada = server.http().call(register("ada")).await.unwrap();
    let key = MasterKey::generate();
    let hex = key.to_hex().to_string();
    let (token, hash) = token::issue(TokenKind::Access, ada.user.id).unwrap();
    let canaries = Canaries::of([
        ("a password", PASSWORD),
        ("a message", MESSAGE),
        ("a title", TITLE),
    ])
    .and_token(&ada.tokens.access)
    .and_token(&ada.tokens.refresh)
    .and_token(ada.device_secret.as_ref().unwrap())
    .and_token(&token)
    .and_key(&hex);
    let hash_hex = crate::hex(hash.as_bytes());
    let text_hex = [hash_hex.as_str(), &format!("{:?}", hash.as_bytes())];
    let now = SystemClock.now();
    let principal = Principal {
        user: ada.user.id,
        device: ada.device,
        session: ada.session,
    };
    let caller = Caller {
        principal: Some(principal),
        ..Caller::anonymous(Ipv4Addr::LOCALHOST.into())
    };
    let engine = server.engine();
    let greeting = hello(&ada.tokens.access);
    let group: Conversation = engine.call(&caller, group_of(Vec::new())).await.unwrap();
    let message = text_message(group.id, MESSAGE);
    let pending = engine.submit(&caller, message.clone()).unwrap();
    shows_nothing(&canaries, &pending);
    engine.acknowledge(pending).await.unwrap();
    let page = engine.call(&caller, page_of(group.id)).await.unwrap();
    assert_eq!(
        page.items.last().and_then(words_of).as_deref(),
        Some(MESSAGE)
    );
    shows_nothing(&canaries, &page);
    let known = KnownDevice {
        id: ada.device,
        secret: ada.device_secret.clone().unwrap(),
    };
    let content = Content::Title(Title {
        title: TITLE.to_owned(),
    });
    let with_content = Send {
        payload: None,
        content: Some(content.clone()),
        ..message.clone()
    };
    shows_nothing(
        &canaries,
        &(register("ada"), log_in("ada", PASSWORD, Some(known))),
    );
    shows_nothing(&canaries, &(ada.clone(), ada.tokens.clone(), greeting));
    shows_nothing(
        &canaries,
        &Refresh {
            refresh: ada.tokens.refresh.clone(),
        },
    );
    shows_nothing(&canaries, &(message, with_content, content));
    shows_nothing(&canaries, &(engine, engine.config(), caller, principal));
    shows_nothing(&canaries, &server);

    let fixed = FixedKeys::new(
        SecretText::new(hex.clone()),
        vec![SecretText::new(hex.clone())],
    );
    shows_nothing(&canaries, &fixed);
    let path = server.folder().join("other.key");
    std::fs::write(&path, &hex).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let file = KeyFile::new(&path);
    let keys = KeySource::master_keys(&file).await.unwrap();
    shows_nothing(
        &canaries,
        &(&file, &keys, key.id(), read_private(&path).unwrap()),
    );
    let ring = ruggine_crypto::at_rest::KeyRing::new(keys.primary, Vec::new()).unwrap();
    let sealer = Sealer::new(Some(ring), Arc::new(Faults::default()));
    shows_nothing(&canaries, &sealer);
    shows_nothing(&canaries, &Server::builder().keys(fixed));

    // A hash is as good as a secret to who can look it up.
    let new = NewToken {
        hash,
        expires_at: now,
    };
    let session = NewSession {
        id: ada.session,
        user: ada.user.id,
        device: LoginDevice::Known {
            id: ada.device,
            secret: hash,
        },
        tokens: NewTokens {
            access: new,
            refresh: new,
        },
        at: now,
    };
    let debug = format!("{hash:?} {session:?}");
    assert!(text_hex.iter().all(|text| !debug.contains(text)), "{debug}");
}

#[tokio::test]
async fn no_debug_text_of_a_socket_shows_what_waits_in_it() {
    let server = TestServer::start().await;
    let ada = server.register("ada").await;
    let group = server.group(&ada, &[]).await;
    let canaries = Canaries::of([("a message", MESSAGE)]);
    for encoding in BOTH {
        let anonymous = Caller::anonymous(Ipv4Addr::LOCALHOST.into());
        let opened = server
            .engine()
            .open_socket(&anonymous, hello(ada.token()), encoding);
        let (open, _) = opened.await.unwrap();
        let http = server.http_of(&ada);
        http.call(text_message(group, MESSAGE)).await.unwrap();
        let page = http.call(page_of(group)).await.unwrap();
        let answer = encoding.encode(&page).unwrap();
        open.socket().reply(answer, None);
        shows_nothing(&canaries, &open);
        shows_nothing(&canaries, open.socket());
        while let Some(outgoing) = open.socket().try_next() {
            shows_nothing(&canaries, &outgoing);
        }
    }
}

/// A password's hash can be guessed at by who reads it.
#[tokio::test]
async fn no_debug_text_of_a_record_shows_a_password_hash() {
    let mut server = TestServer::start().await;
    server.http().call(register("ada")).await.unwrap();
    server.stop().await;
    let store = open_sqlite(server.folder()).await;
    let record = store
        .user_by_name("ada".parse().unwrap())
        .await
        .unwrap()
        .unwrap();
    let hash = record.password_hash.clone().unwrap();
    assert!(hash.starts_with("$argon2id$"));
    let debug = format!("{record:?}");
    assert!(!debug.contains(&hash), "{debug}");
    store.close().await;
}

async fn beside(path: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(path);
    options.connect().await.unwrap()
}

#[tokio::test]
async fn tokens_and_device_secrets_are_stored_as_hashes_and_passwords_as_argon2id() {
    let mut server = TestServer::start().await;
    let ada = server.http().call(register("ada")).await.unwrap();
    let refresh = Refresh {
        refresh: ada.tokens.refresh.clone(),
    };
    let next = server.http().call(refresh).await.unwrap();
    server.stop().await;
    let mut database = beside(&server.database()).await;
    let hash =
        |kind, text: &SecretText| *token::parse(kind, text.expose()).unwrap().hash.as_bytes();
    let tokens = [
        (TokenKind::Access, "access", &ada.tokens.access),
        (TokenKind::Refresh, "refresh", &ada.tokens.refresh),
        (TokenKind::Access, "access", &next.access),
        (TokenKind::Refresh, "refresh", &next.refresh),
    ];
    let rows = sqlx::query("SELECT hash, kind FROM tokens")
        .fetch_all(&mut database)
        .await
        .unwrap();
    let stored: BTreeSet<(Vec<u8>, String)> =
        rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    let expected = tokens
        .iter()
        .map(|(kind, name, text)| (hash(*kind, text).to_vec(), (*name).to_owned()))
        .collect();
    assert_eq!(stored, expected);

    let secret: Vec<u8> = sqlx::query_scalar("SELECT secret_hash FROM devices")
        .fetch_one(&mut database)
        .await
        .unwrap();
    assert_eq!(
        secret,
        hash(TokenKind::Device, ada.device_secret.as_ref().unwrap())
    );
    let password: String = sqlx::query_scalar("SELECT password_hash FROM users")
        .fetch_one(&mut database)
        .await
        .unwrap();
    assert!(
        password.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
        "{password}"
    );
    let profile: String = sqlx::query_scalar("SELECT profile FROM users")
        .fetch_one(&mut database)
        .await
        .unwrap();
    let profile: Value = serde_json::from_str(&profile).unwrap();
    assert_eq!(profile["alg"], "A256GCM-HKDF-SHA256-C");
    let rows: Vec<String> = sqlx::query_scalar("SELECT record FROM sealing_keys")
        .fetch_all(&mut database)
        .await
        .unwrap();
    assert_eq!(rows.len(), 1);
    database.close().await.unwrap();
}

#[tokio::test]
async fn a_key_file_is_made_for_its_owner_alone_and_kept() {
    let mut server = TestServer::start().await;
    let path = server.folder().join("master.key");
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let key = std::fs::read_to_string(&path).unwrap();
    assert!(MasterKey::from_hex(key.trim()).is_ok());
    server.restart().await;
    assert_eq!(std::fs::read_to_string(&path).unwrap(), key);
}

/// A server with three messages in a group, stopped.
async fn written(faults: &Arc<Faults>) -> (TestServer, Person, ConversationId) {
    let mut server = TestServer::options().metrics(faults.clone()).start().await;
    let ada = server.register("ada").await;
    let group = server.group(&ada, &[]).await;
    for words in ["first", "second", "third"] {
        server
            .http_of(&ada)
            .call(text_message(group, words))
            .await
            .unwrap();
    }
    server.stop().await;
    (server, ada, group)
}

async fn body_of(database: &mut SqliteConnection, group: ConversationId, seq: i64) -> String {
    sqlx::query_scalar("SELECT body FROM messages WHERE conv_id = ?1 AND seq = ?2")
        .bind(&group.as_bytes()[..])
        .bind(seq)
        .fetch_one(database)
        .await
        .unwrap()
}

async fn set_body(database: &mut SqliteConnection, group: ConversationId, seq: i64, body: &str) {
    let changed = sqlx::query("UPDATE messages SET body = ?3 WHERE conv_id = ?1 AND seq = ?2")
        .bind(&group.as_bytes()[..])
        .bind(seq)
        .bind(body)
        .execute(database)
        .await
        .unwrap();
    assert_eq!(changed.rows_affected(), 1);
}

/// What is read of each row of a group: its words, or that it does not open.
async fn read(server: &TestServer, ada: &Person, group: ConversationId) -> Vec<String> {
    let page = server.http_of(ada).call(page_of(group)).await.unwrap();
    let read = page.items.iter().map(|item| match item {
        Item::Row(_) => words_of(item).unwrap_or_else(|| "notice".to_owned()),
        Item::Undecryptable(_) => "undecryptable".to_owned(),
        item => panic!("{item:?}"),
    });
    read.collect()
}

/// Changes one character of a field's text.
fn damage(body: &str, field: &str) -> String {
    let mut body: Value = serde_json::from_str(body).unwrap();
    let text = body[field].as_str().unwrap();
    let first = if text.starts_with('A') { "B" } else { "A" };
    body[field] = format!("{first}{}", &text[1..]).into();
    body.to_string()
}

#[tokio::test]
async fn a_damaged_row_is_told_as_such_and_the_rest_of_the_page_is_served() {
    let log = Log::listen();
    let faults = Arc::new(Faults::default());
    let (mut server, ada, group) = written(&faults).await;
    let mut database = beside(&server.database()).await;
    let good = body_of(&mut database, group, 3).await;
    let kid = serde_json::from_str::<Value>(&good).unwrap()["kid"]
        .as_str()
        .unwrap()
        .to_owned();
    let cases = [
        (damage(&good, "ciphertext"), "tag_mismatch"),
        (damage(&good, "nonce"), "tag_mismatch"),
        (damage(&good, "salt"), "commit_mismatch"),
        (damage(&good, "commit"), "commit_mismatch"),
        (good.replace(&kid, "0123456789abcdef"), "unknown_kid"),
        (good.replace("\"v\":1", "\"v\":2"), "malformed"),
        (good.replace("A256GCM-HKDF-SHA256-C", "none"), "malformed"),
        (good[..good.len() / 2].to_owned(), "malformed"),
        ("{}".to_owned(), "malformed"),
        (String::new(), "malformed"),
    ];
    for (number, (body, reason)) in (1..).zip(cases) {
        set_body(&mut database, group, 3, &body).await;
        server.resume().await;
        assert_eq!(
            read(&server, &ada, group).await,
            ["notice", "first", "undecryptable", "third"],
            "{reason}"
        );
        assert_eq!(faults.unreadable(), number);
        let lines = log.lines_with(&format!("{group}/3"));
        assert_eq!(
            lines.len(),
            usize::try_from(number).unwrap(),
            "one line each time"
        );
        let line = lines.last().unwrap();
        assert!(line.contains(reason), "{line}");
        assert!(line.contains("[DECRYPTION FAILED]"), "{line}");
        assert!(line.contains("ERROR"), "{line}");
        if !matches!(reason, "malformed" | "unknown_kid") {
            assert!(line.contains(&kid), "{line}");
        }
        assert!(
            !line.contains("second") && !line.contains("ciphertext"),
            "{line}"
        );
        server.stop().await;
    }
    // Mended, it is there again.
    set_body(&mut database, group, 3, &good).await;
    server.resume().await;
    assert_eq!(
        read(&server, &ada, group).await,
        ["notice", "first", "second", "third"]
    );
    server.stop().await;
    database.close().await.unwrap();
}

#[tokio::test]
async fn a_damaged_row_can_be_fetched_is_crossed_and_does_not_stop_the_log() {
    let faults = Arc::new(Faults::default());
    let mut server = TestServer::options().metrics(faults.clone()).start().await;
    let ada = server.register("ada").await;
    let group = server.group(&ada, &[]).await;
    let message = text_message(group, "lost");
    let ack = server.http_of(&ada).call(message.clone()).await.unwrap();
    server.stop().await;
    let mut database = beside(&server.database()).await;
    for seq in [1, 2] {
        let body = body_of(&mut database, group, seq).await;
        set_body(&mut database, group, seq, &damage(&body, "ciphertext")).await;
    }
    database.close().await.unwrap();
    server.resume().await;
    for encoding in BOTH {
        let mut socket = server.socket(&ada, encoding).await;
        let fetched = socket
            .call(Fetch {
                conversation: group,
                seq: ack.seq,
            })
            .await
            .unwrap();
        let Item::Undecryptable(lost) = fetched.item else {
            panic!("{fetched:?}");
        };
        assert_eq!(
            (lost.seq, lost.client_msg_id),
            (ack.seq, message.client_msg_id)
        );
        assert_eq!((lost.sender, lost.device), (ada.user(), ada.device()));
        // What cannot be opened cannot be compared.
        let error = socket.call(message.clone()).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::Undecryptable);
        let next = socket.call(text_message(group, "onwards")).await.unwrap();
        let (_, row) = socket.next_row().await;
        assert_eq!(row.seq, next.seq);
    }
    assert_eq!(
        read(&server, &ada, group).await,
        ["undecryptable", "undecryptable", "onwards", "onwards"]
    );
}

#[tokio::test]
async fn a_row_that_was_moved_or_given_to_another_does_not_open() {
    let faults = Arc::new(Faults::default());
    let mut server = TestServer::options().metrics(faults.clone()).start().await;
    let ada = server.register("ada").await;
    let eve = server.register("eve").await;
    let group = server.group(&ada, &[&eve]).await;
    let other = server.group(&ada, &[&eve]).await;
    let http = server.http_of(&ada);
    for conversation in [group, other] {
        http.call(text_message(conversation, "a secret"))
            .await
            .unwrap();
        http.call(text_message(conversation, "another"))
            .await
            .unwrap();
    }
    server.stop().await;
    let untouched = server.folder().join("untouched.db");
    std::fs::copy(server.database(), &untouched).unwrap();
    let changes = [
        "UPDATE messages SET sender = ?2 WHERE conv_id = ?1 AND seq = 2 AND ?3 <> x''",
        "UPDATE messages SET device_id = ?2 WHERE conv_id = ?1 AND seq = 2 AND ?3 <> x''",
        "UPDATE messages SET client_msg_id = ?2 WHERE conv_id = ?1 AND seq = 2 AND ?3 <> x''",
        "UPDATE messages SET created_at = created_at + 1 WHERE conv_id = ?1 AND seq = 2 AND ?2 <> ?3",
        "UPDATE messages SET kind = 'system' WHERE conv_id = ?1 AND seq = 2 AND ?2 <> ?3",
        // The body of the row beside it, and that of the same number elsewhere.
        "UPDATE messages SET body = (SELECT body FROM messages WHERE conv_id = ?1 AND seq = 3)
         WHERE conv_id = ?1 AND seq = 2 AND ?2 <> ?3",
        "UPDATE messages SET body = (SELECT body FROM messages WHERE conv_id = ?3 AND seq = 2)
         WHERE conv_id = ?1 AND seq = 2 AND ?2 <> x''",
    ];
    for change in changes {
        std::fs::copy(&untouched, server.database()).unwrap();
        let mut database = beside(&server.database()).await;
        let changed = sqlx::query(change)
            .bind(&group.as_bytes()[..])
            .bind(&eve.user().as_bytes()[..])
            .bind(&other.as_bytes()[..])
            .execute(&mut database)
            .await
            .unwrap();
        assert_eq!(changed.rows_affected(), 1, "{change}");
        database.close().await.unwrap();
        server.resume().await;
        let read = read(&server, &ada, group).await;
        assert_eq!(read, ["notice", "undecryptable", "another"], "{change}");
        server.stop().await;
    }
    // The whole row, moved to another conversation.
    std::fs::copy(&untouched, server.database()).unwrap();
    let mut database = beside(&server.database()).await;
    for statement in [
        "DELETE FROM messages WHERE conv_id = ?1 AND seq = 2 AND ?2 <> x''",
        "UPDATE messages SET conv_id = ?1 WHERE conv_id = ?2 AND seq = 2",
        "UPDATE conversations SET last_seq = 3 WHERE conv_id IN (?1, ?2)",
    ] {
        sqlx::query(statement)
            .bind(&group.as_bytes()[..])
            .bind(&other.as_bytes()[..])
            .execute(&mut database)
            .await
            .unwrap();
    }
    database.close().await.unwrap();
    server.resume().await;
    assert_eq!(
        read(&server, &ada, group).await,
        ["notice", "undecryptable", "another"]
    );
}

#[tokio::test]
async fn a_profile_that_was_moved_shows_the_username_instead() {
    let log = Log::listen();
    let faults = Arc::new(Faults::default());
    let mut server = TestServer::options().metrics(faults.clone()).start().await;
    let ada = server.http().call(register("ada")).await.unwrap();
    let eve = server.register("eve").await;
    server.stop().await;
    let mut database = beside(&server.database()).await;
    sqlx::query("UPDATE users SET profile = (SELECT profile FROM users WHERE username = 'ada') WHERE username = 'eve'")
        .execute(&mut database)
        .await
        .unwrap();
    database.close().await.unwrap();
    server.resume().await;
    let look_up = |username: &str| LookUp {
        username: username.to_owned(),
    };
    let http = server.http().with_token(&ada.tokens.access);
    let found = http.call(look_up("ada")).await.unwrap();
    assert_eq!(found.display_name.as_str(), DISPLAY_NAME);
    let found = http.call(look_up("eve")).await.unwrap();
    assert_eq!(found.display_name.as_str(), "eve");
    assert_eq!(faults.unreadable(), 1);
    let lines = log.lines_with(&format!("user {}", eve.user()));
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("[DECRYPTION FAILED]"));
}

fn text(key: &MasterKey) -> SecretText {
    SecretText::new(key.to_hex().to_string())
}

fn keys(primary: &MasterKey, legacy: &[&MasterKey]) -> FixedKeys {
    FixedKeys::new(text(primary), legacy.iter().map(|key| text(key)).collect())
}

enum Sealing {
    Under(FixedKeys),
    File(KeyFile),
    Off,
}

/// Starts a server on a folder's database, or does not.
async fn start(folder: &Path, sealing: Sealing) -> Result<Server, BuildError> {
    let builder = Server::builder()
        .sqlite(folder.join("ruggine.db"))
        .await?
        .listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    match sealing {
        Sealing::Under(keys) => builder.keys(keys),
        Sealing::File(file) => builder.keys(file),
        Sealing::Off => builder.without_sealing(),
    }
    .start()
    .await
}

async fn refused(folder: &Path, sealing: Sealing) -> StartError {
    match start(folder, sealing).await {
        Err(BuildError::Engine(error)) => error,
        Err(error) => panic!("{error}"),
        Ok(server) => {
            server.shut_down(Drain::default()).await;
            panic!("the server started");
        }
    }
}

async fn stop(server: Server) {
    server.shut_down(Drain::default()).await;
}

fn client(server: &Server) -> HttpClient {
    HttpClient::new(server.addresses()[0])
}

/// The ids of the keys that are registered, in the folder's database.
async fn registered(folder: &Path) -> Vec<String> {
    let mut database = beside(&folder.join("ruggine.db")).await;
    let kids = sqlx::query_scalar("SELECT kid FROM sealing_keys ORDER BY kid")
        .fetch_all(&mut database)
        .await
        .unwrap();
    database.close().await.unwrap();
    kids
}

/// A folder with a database that was sealed so, and somebody in it.
async fn sealed(sealing: Sealing) -> (TempDir, Login, ConversationId) {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path(), sealing).await.unwrap();
    let login = client(&server).call(register("ada")).await.unwrap();
    let http = client(&server).with_token(&login.tokens.access);
    let group = http.call(group_of(Vec::new())).await.unwrap().id;
    http.call(text_message(group, "old words")).await.unwrap();
    stop(server).await;
    (folder, login, group)
}

async fn words(server: &Server, login: &Login, group: ConversationId) -> Vec<Option<String>> {
    let http = client(server).with_token(&login.tokens.access);
    let log = http.read_log(group).await.unwrap();
    log.iter().skip(1).map(words_of).collect()
}

fn some(words: &[&str]) -> Vec<Option<String>> {
    words
        .iter()
        .map(|words| Some((*words).to_owned()))
        .collect()
}

#[tokio::test]
async fn a_server_does_not_start_with_keys_that_do_not_fit_its_database() {
    let [right, wrong, third] = [(); 3].map(|()| MasterKey::generate());
    let (folder, login, group) = sealed(Sealing::Under(keys(&right, &[]))).await;
    let before = registered(folder.path()).await;
    assert_eq!(before, [right.id().to_string()]);

    let cases = [keys(&wrong, &[]), keys(&wrong, &[&third])];
    for unfit in cases {
        let error = refused(folder.path(), Sealing::Under(unfit)).await;
        let StartError::KeyCheck(KeyCheckError::MissingKey(kid)) = &error else {
            panic!("{error}");
        };
        assert_eq!(*kid, right.id().to_string());
        assert!(
            error.to_string().contains("ENCRYPTION_LEGACY_KEYS"),
            "{error}"
        );
    }
    let error = refused(folder.path(), Sealing::Off).await;
    assert!(
        matches!(error, StartError::KeyCheck(KeyCheckError::HoldsSealed)),
        "{error}"
    );
    assert!(
        error.to_string().contains("ENABLE_ENCRYPTION=false"),
        "{error}"
    );
    let error = refused(folder.path(), Sealing::Under(keys(&right, &[&right]))).await;
    assert!(matches!(error, StartError::DuplicateKey(_)), "{error}");
    let error = refused(
        folder.path(),
        Sealing::Under(keys(&right, &[&third, &third])),
    )
    .await;
    assert!(matches!(error, StartError::DuplicateKey(_)), "{error}");
    assert_eq!(
        registered(folder.path()).await,
        before,
        "nothing was registered"
    );

    // A check record that was changed is no proof.
    let mut database = beside(&folder.path().join("ruggine.db")).await;
    let good: String = sqlx::query_scalar("SELECT record FROM sealing_keys")
        .fetch_one(&mut database)
        .await
        .unwrap();
    for record in [
        damage(&good, "ciphertext"),
        damage(&good, "commit"),
        "{}".to_owned(),
    ] {
        sqlx::query("UPDATE sealing_keys SET record = ?1")
            .bind(&record)
            .execute(&mut database)
            .await
            .unwrap();
        let error = refused(folder.path(), Sealing::Under(keys(&right, &[]))).await;
        assert!(
            matches!(error, StartError::KeyCheck(KeyCheckError::WrongKey(..))),
            "{error}"
        );
    }
    sqlx::query("UPDATE sealing_keys SET record = ?1")
        .bind(&good)
        .execute(&mut database)
        .await
        .unwrap();
    database.close().await.unwrap();

    // None of this harmed the database, nor was it left in use.
    let server = start(folder.path(), Sealing::Under(keys(&right, &[&third])))
        .await
        .unwrap();
    assert_eq!(words(&server, &login, group).await, some(&["old words"]));
    stop(server).await;
    assert_eq!(
        registered(folder.path()).await,
        before,
        "a legacy key seals nothing"
    );
}

#[tokio::test]
async fn a_database_that_was_not_sealed_is_not_sealed_later() {
    let (folder, login, group) = sealed(Sealing::Off).await;
    let error = refused(
        folder.path(),
        Sealing::Under(keys(&MasterKey::generate(), &[])),
    )
    .await;
    assert!(
        matches!(error, StartError::KeyCheck(KeyCheckError::HoldsUnsealed)),
        "{error}"
    );
    assert_eq!(registered(folder.path()).await, ["none"]);
    let server = start(folder.path(), Sealing::Off).await.unwrap();
    assert_eq!(words(&server, &login, group).await, some(&["old words"]));
    stop(server).await;
    let rows = sealed_rows(folder.path().join("ruggine.db")).await.unwrap();
    assert!(
        rows.iter().all(|row| row.contains(r#""alg":"none""#)),
        "{rows:?}"
    );
    // A row that says of itself that it is sealed is not believed here either.
    let (other, ..) = sealed(Sealing::Under(keys(&MasterKey::generate(), &[]))).await;
    let foreign = sealed_rows(other.path().join("ruggine.db")).await.unwrap();
    let mut database = beside(&folder.path().join("ruggine.db")).await;
    set_body(&mut database, group, 2, &foreign[1]).await;
    database.close().await.unwrap();
    let server = start(folder.path(), Sealing::Off).await.unwrap();
    assert_eq!(words(&server, &login, group).await, [None]);
    stop(server).await;
}

/// A row that says of itself that it is not sealed, in a sealed database.
#[tokio::test]
async fn an_unsealed_row_in_a_sealed_database_does_not_open() {
    let (plain, ..) = sealed(Sealing::Off).await;
    let key = MasterKey::generate();
    let (folder, login, group) = sealed(Sealing::Under(keys(&key, &[]))).await;
    let plain = sealed_rows(plain.path().join("ruggine.db")).await.unwrap();
    let mut database = beside(&folder.path().join("ruggine.db")).await;
    let own = body_of(&mut database, group, 2).await;
    let mut forged: Value = serde_json::from_str(&plain[1]).unwrap();
    forged["meta"] = serde_json::from_str::<Value>(&own).unwrap()["meta"].clone();
    for body in [plain[1].clone(), forged.to_string()] {
        set_body(&mut database, group, 2, &body).await;
        let server = start(folder.path(), Sealing::Under(keys(&key, &[])))
            .await
            .unwrap();
        assert_eq!(words(&server, &login, group).await, [None]);
        stop(server).await;
    }
    database.close().await.unwrap();
}

#[tokio::test]
async fn a_key_that_anybody_could_guess_is_not_taken() {
    const SAMPLE: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    let good = MasterKey::generate();
    let good_text = good.to_hex().to_string();
    let bad = [
        (SAMPLE.to_owned(), MasterKeyError::Sample),
        (SAMPLE.to_uppercase(), MasterKeyError::Sample),
        ("0".repeat(64), MasterKeyError::AllEqual),
        ("ab".repeat(32), MasterKeyError::AllEqual),
        (good_text[..62].to_owned(), MasterKeyError::Length(62)),
        (format!("{good_text}00"), MasterKeyError::Length(66)),
        (String::new(), MasterKeyError::Length(0)),
        (format!("{}zz", &good_text[..62]), MasterKeyError::NotHex),
        (format!("{}è", &good_text[..62]), MasterKeyError::NotHex),
    ];
    let folder = tempfile::tempdir().unwrap();
    let canary = Canaries::of([("a key", &good_text[..48])]);
    for (number, (bad, expected)) in bad.iter().enumerate() {
        let secret = SecretText::new(bad.as_str());
        let path = folder.path().join(format!("bad-{number}.key"));
        std::fs::write(&path, bad).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        let tried = [
            (
                Sealing::Under(FixedKeys::new(secret.clone(), Vec::new())),
                "ENCRYPTION_MASTER_KEY",
            ),
            (
                Sealing::Under(FixedKeys::new(text(&good), vec![secret])),
                "ENCRYPTION_LEGACY_KEYS",
            ),
            (Sealing::File(KeyFile::new(&path)), "bad-"),
        ];
        for (sealing, named) in tried {
            let error = refused(folder.path(), sealing).await;
            let StartError::Keys(KeySourceError::Key { name, reason }) = &error else {
                panic!("{error}");
            };
            assert!(name.contains(named), "{name}");
            assert_eq!(reason, expected);
            shows_nothing(&canary, &error);
            assert_eq!(canary.in_text(&error.to_string()), [""; 0]);
        }
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            *bad,
            "a bad key is not replaced"
        );
    }
    assert_eq!(registered(folder.path()).await, [""; 0]);
}

#[tokio::test]
async fn a_key_file_that_others_can_read_is_not_taken() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("master.key");
    let file = || Sealing::File(KeyFile::new(&path));
    stop(start(folder.path(), file()).await.unwrap()).await;
    for mode in [0o644, 0o640, 0o604, 0o660, 0o620, 0o610, 0o601, 0o777] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let error = refused(folder.path(), file()).await;
        assert!(
            matches!(error, StartError::Keys(KeySourceError::Exposed(_))),
            "{mode:o}: {error}"
        );
        assert!(error.to_string().contains("chmod 600"), "{error}");
    }
    for mode in [0o600, 0o400] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        stop(start(folder.path(), file()).await.unwrap()).await;
    }
    // A key that is gone is not made anew under a database that needs it.
    std::fs::remove_file(&path).unwrap();
    let error = refused(folder.path(), file()).await;
    assert!(
        matches!(error, StartError::KeyCheck(KeyCheckError::MissingKey(_))),
        "{error}"
    );
    let nowhere = folder.path().join("master.key").join("below.key");
    let error = refused(folder.path(), Sealing::File(KeyFile::new(nowhere))).await;
    assert!(
        matches!(error, StartError::Keys(KeySourceError::File { .. })),
        "{error}"
    );
}

#[tokio::test]
async fn a_server_without_a_word_about_keys_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    let builder = Server::builder()
        .sqlite(folder.path().join("ruggine.db"))
        .await
        .unwrap();
    assert!(matches!(builder.start().await, Err(BuildError::NoKeys)));
    assert!(matches!(
        Server::builder().without_sealing().start().await,
        Err(BuildError::NoStore)
    ));
}

#[tokio::test]
async fn after_a_rotation_old_rows_open_and_new_ones_are_sealed_under_the_new_key() {
    let [old, new, newest] = [(); 3].map(|()| MasterKey::generate());
    let (folder, login, group) = sealed(Sealing::Under(keys(&old, &[]))).await;
    let under = |primary: &MasterKey, legacy: &[&MasterKey]| Sealing::Under(keys(primary, legacy));
    let kids = async || {
        let mut database = beside(&folder.path().join("ruggine.db")).await;
        let rows = sqlx::query("SELECT key_id, body FROM messages ORDER BY seq")
            .fetch_all(&mut database)
            .await
            .unwrap();
        database.close().await.unwrap();
        let kids = rows.iter().map(|row| {
            let (kid, body): (String, String) = (row.get(0), row.get(1));
            let body: Value = serde_json::from_str(&body).unwrap();
            assert_eq!(body["kid"], kid, "the column names the key that sealed");
            kid
        });
        kids.collect::<Vec<_>>()
    };
    let [first, second, third] = [&old, &new, &newest].map(|key| key.id().to_string());

    // The new key is made known first, then it becomes the primary one.
    let server = start(folder.path(), under(&old, &[&new])).await.unwrap();
    stop(server).await;
    let server = start(folder.path(), under(&new, &[&old])).await.unwrap();
    let http = client(&server).with_token(&login.tokens.access);
    http.call(text_message(group, "new words")).await.unwrap();
    let everything = some(&["old words", "new words"]);
    assert_eq!(words(&server, &login, group).await, everything);
    let found = http
        .call(LookUp {
            username: "ada".to_owned(),
        })
        .await
        .unwrap();
    assert_eq!(found.display_name.as_str(), DISPLAY_NAME, "profiles too");
    stop(server).await;
    assert_eq!(kids().await, [first.clone(), first.clone(), second.clone()]);

    // Both are needed from now on, in whichever place.
    for unfit in [under(&new, &[]), under(&old, &[]), under(&newest, &[&new])] {
        let error = refused(folder.path(), unfit).await;
        assert!(
            matches!(error, StartError::KeyCheck(KeyCheckError::MissingKey(_))),
            "{error}"
        );
    }
    let server = start(folder.path(), under(&newest, &[&new, &old]))
        .await
        .unwrap();
    let http = client(&server).with_token(&login.tokens.access);
    assert_eq!(words(&server, &login, group).await, everything);
    http.call(text_message(group, "newest words"))
        .await
        .unwrap();
    stop(server).await;
    assert_eq!(
        kids().await,
        [first.clone(), first.clone(), second.clone(), third.clone()]
    );
    let mut expected = [first, second, third];
    expected.sort();
    assert_eq!(registered(folder.path()).await, expected);

    // And back again.
    let server = start(folder.path(), under(&old, &[&newest, &new]))
        .await
        .unwrap();
    let everything = some(&["old words", "new words", "newest words"]);
    assert_eq!(words(&server, &login, group).await, everything);
    stop(server).await;
}

/// Without a key in the ring a row's own word for its key leads nowhere.
#[tokio::test]
async fn rows_under_a_key_that_was_lost_are_told_as_such_and_open_again_with_it() {
    let [old, new] = [(); 2].map(|()| MasterKey::generate());
    let (folder, login, group) = sealed(Sealing::Under(keys(&old, &[]))).await;
    let server = start(folder.path(), Sealing::Under(keys(&new, &[&old])))
        .await
        .unwrap();
    let http = client(&server).with_token(&login.tokens.access);
    http.call(text_message(group, "new words")).await.unwrap();
    stop(server).await;
    // Somebody gives the old key up for good, and says so in the database.
    let path = folder.path().join("ruggine.db");
    let mut database = beside(&path).await;
    let kid = old.id().to_string();
    let record: String = sqlx::query_scalar("SELECT record FROM sealing_keys WHERE kid = ?1")
        .bind(&kid)
        .fetch_one(&mut database)
        .await
        .unwrap();
    sqlx::query("DELETE FROM sealing_keys WHERE kid = ?1")
        .bind(&kid)
        .execute(&mut database)
        .await
        .unwrap();
    let server = start(folder.path(), Sealing::Under(keys(&new, &[])))
        .await
        .unwrap();
    let lost = vec![None, Some("new words".to_owned())];
    assert_eq!(words(&server, &login, group).await, lost);
    let http = client(&server).with_token(&login.tokens.access);
    http.call(text_message(group, "newer words")).await.unwrap();
    stop(server).await;
    sqlx::query("INSERT INTO sealing_keys (kid, record) VALUES (?1, ?2)")
        .bind(&kid)
        .bind(&record)
        .execute(&mut database)
        .await
        .unwrap();
    database.close().await.unwrap();
    let server = start(folder.path(), Sealing::Under(keys(&new, &[&old])))
        .await
        .unwrap();
    let everything = some(&["old words", "new words", "newer words"]);
    assert_eq!(words(&server, &login, group).await, everything);
    stop(server).await;
}

#[tokio::test]
async fn a_panic_leaves_nothing_held() {
    let hooks = Arc::new(Nervous::default());
    let server = TestServer::options().hooks(hooks.clone()).start().await;
    let ada = server.register("ada").await;
    *hooks.before.lock() = Some(Method::Hello);
    for _ in 0..5 {
        let mut socket = SocketClient::connect(server.address(), Encoding::Json).await;
        let _ = socket.try_call(hello(ada.token())).await;
    }
    *hooks.before.lock() = None;
    eventually("no socket to be left", async || {
        server.engine().live_sockets() == 0
    })
    .await;
    server.socket(&ada, Encoding::MsgPack).await;
}
