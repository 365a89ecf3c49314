//! What travels, byte for byte: a changed snapshot is a changed protocol.

use std::collections::BTreeSet;
use std::fmt::{Debug, Write as _};
use std::path::{Path, PathBuf};

use ruggine_core::api::conversation::{ConversationKind, ProtectionMode, Role};
use ruggine_core::api::message::{Hole, Item, Large, Page, PageStart, Row, RowKind, Undecryptable};
use ruggine_core::api::{
    Done, Method, Operation, account, conversation, member, message, position, presence, session,
    sync,
};
use ruggine_core::codec::Encoding;
use ruggine_core::content::{Notice, Reply, Text, Title};
use ruggine_core::error::CloseCode;
use ruggine_core::event::{Event, HeadMark, MessageEvent, PositionEvent, ResyncEvent, TypingEvent};
use ruggine_core::frame::{
    ClientFrame, ErrorFrame, EventFrame, RequestFrame, ResultFrame, ServerFrame,
};
use ruggine_core::secret::SecretText;
use ruggine_core::version::{
    ProtocolVersion, SUBPROTOCOL_JSON, SUBPROTOCOL_MSGPACK, WEBSOCKET_PATH,
};
use ruggine_core::{
    ApiError, Blob, ClientMsgId, Content, ConversationId, DeviceId, ErrorCode, Incarnation, Seq,
    SessionId, Timestamp, UserId, for_each_operation,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);
const LATER: Timestamp = Timestamp::from_millis(1_767_229_200_000);
const LOG: Incarnation = Incarnation::new(4_503_599_627_370_497);

const PASSWORD: &str = "correct horse battery";
const DEVICE_SECRET: &str = "device-secret-0f1e2d";
const ACCESS: &str = "access-token-3c4b5a";
const REFRESH: &str = "refresh-token-697887";
const SECRETS: [&str; 4] = [PASSWORD, DEVICE_SECRET, ACCESS, REFRESH];

// ---- values ----

/// Bytes of a UUIDv7 that shows in its last two bytes what it names.
const fn id(kind: u8, number: u8) -> [u8; 16] {
    [
        0x01, 0x9b, 0x76, 0xda, 0xa8, 0x00, 0x70, 0x01, 0x80, 0, 0, 0, 0, 0, kind, number,
    ]
}

const fn user(number: u8) -> UserId {
    UserId::from_bytes(id(0xaa, number))
}

const fn device(number: u8) -> DeviceId {
    DeviceId::from_bytes(id(0xdd, number))
}

const fn session_id(number: u8) -> SessionId {
    SessionId::from_bytes(id(0x55, number))
}

const fn chat(number: u8) -> ConversationId {
    ConversationId::from_bytes(id(0xcc, number))
}

const fn client_msg_id(number: u8) -> ClientMsgId {
    ClientMsgId::from_bytes(id(0xee, number))
}

fn ada() -> account::User {
    account::User {
        id: user(1),
        username: "ada".parse().expect("a username"),
        display_name: "Ada Lovelace 🦀".parse().expect("a display name"),
    }
}

fn tokens() -> session::Tokens {
    session::Tokens {
        access: SecretText::new(ACCESS),
        access_expires_at: NOW,
        refresh: SecretText::new(REFRESH),
        refresh_expires_at: LATER,
    }
}

fn ciao() -> Content {
    Content::from(Text::new("ciao"))
}

fn reply() -> Text {
    Text::new("sì, @bob!")
        .mentioning(user(2), 5..9)
        .in_reply_to(Reply {
            sender: user(2),
            message: client_msg_id(9),
        })
}

fn unknown_content() -> Content {
    Content::Unknown {
        kind: "poll".to_owned(),
        data: serde_json::json!({ "options": ["a", null, 2, -3, 0.5, true], "question": "?" }),
    }
}

fn row() -> Row {
    Row {
        seq: Seq::new(41),
        kind: RowKind::Message,
        sender: user(1),
        device: device(1),
        client_msg_id: client_msg_id(1),
        server_ts: NOW,
        epoch: None,
        payload: ciao().to_payload().expect("content within its limits"),
        content: None,
    }
}

fn items() -> Vec<(&'static str, Item)> {
    vec![
        ("a row", Item::Row(row())),
        (
            "a row of an end-to-end encrypted conversation",
            Item::Row(Row {
                epoch: Some(300),
                payload: Blob::from(vec![0x00, 0x01, 0xfb, 0xff]),
                ..row()
            }),
        ),
        (
            "a row with content instead of a payload",
            Item::Row(Row {
                payload: Blob::default(),
                content: Some(ciao()),
                ..row()
            }),
        ),
        (
            "a row of the server",
            Item::Row(Row {
                kind: RowKind::System,
                payload: Notice::Left {}.to_payload().into(),
                ..row()
            }),
        ),
        (
            "a hole",
            Item::Hole(Hole {
                from: Seq::new(42),
                to: Seq::new(70_000),
            }),
        ),
        (
            "a large row",
            Item::Large(Large {
                seq: Seq::new(70_001),
                kind: RowKind::Message,
                len: 45_000,
                hash: Blob::from(vec![0xab; 32]),
            }),
        ),
        (
            "an undecryptable row",
            Item::Undecryptable(Undecryptable {
                seq: Seq::new(70_002),
                kind: RowKind::Message,
                sender: user(2),
                device: device(2),
                client_msg_id: client_msg_id(2),
                server_ts: LATER,
            }),
        ),
    ]
}

fn overloaded() -> ApiError {
    ApiError {
        code: ErrorCode::Overloaded,
        message: "The server is busy.".to_owned(),
        retryable: true,
        retry_after_ms: Some(1_500),
        details: Some("lane".to_owned()),
    }
}

// ---- an example of every request and response ----

/// Values of a wire type that together show each of its fields.
trait Examples: Sized {
    fn examples() -> Vec<(&'static str, Self)>;
}

impl Examples for Done {
    fn examples() -> Vec<(&'static str, Self)> {
        vec![("always", Self {})]
    }
}

impl Examples for account::Register {
    fn examples() -> Vec<(&'static str, Self)> {
        let least = Self {
            username: "ada".to_owned(),
            password: SecretText::new(PASSWORD),
            display_name: None,
            device_name: None,
        };
        let most = Self {
            display_name: Some("Ada Lovelace 🦀".to_owned()),
            device_name: Some("laptop".to_owned()),
            ..least.clone()
        };
        vec![("with the least", least), ("with everything", most)]
    }
}

impl Examples for account::LogIn {
    fn examples() -> Vec<(&'static str, Self)> {
        let least = Self {
            username: "ada".to_owned(),
            password: SecretText::new(PASSWORD),
            device: None,
            device_name: None,
        };
        let most = Self {
            device: Some(account::KnownDevice {
                id: device(1),
                secret: SecretText::new(DEVICE_SECRET),
            }),
            device_name: Some("laptop".to_owned()),
            ..least.clone()
        };
        vec![("with the least", least), ("with everything", most)]
    }
}

impl Examples for account::Login {
    fn examples() -> Vec<(&'static str, Self)> {
        let again = Self {
            user: ada(),
            device: device(1),
            device_secret: None,
            session: session_id(1),
            tokens: tokens(),
        };
        let first = Self {
            device_secret: Some(SecretText::new(DEVICE_SECRET)),
            ..again.clone()
        };
        vec![("of a known device", again), ("of a new device", first)]
    }
}

impl Examples for account::LookUp {
    fn examples() -> Vec<(&'static str, Self)> {
        let username = "ada".to_owned();
        vec![("always", Self { username })]
    }
}

impl Examples for account::User {
    fn examples() -> Vec<(&'static str, Self)> {
        vec![("always", ada())]
    }
}

impl Examples for session::Refresh {
    fn examples() -> Vec<(&'static str, Self)> {
        let refresh = SecretText::new(REFRESH);
        vec![("always", Self { refresh })]
    }
}

impl Examples for session::Tokens {
    fn examples() -> Vec<(&'static str, Self)> {
        vec![("always", tokens())]
    }
}

impl Examples for session::LogOut {
    fn examples() -> Vec<(&'static str, Self)> {
        vec![("always", Self {})]
    }
}

impl Examples for session::List {
    fn examples() -> Vec<(&'static str, Self)> {
        vec![("always", Self {})]
    }
}

impl Examples for session::Sessions {
    fn examples() -> Vec<(&'static str, Self)> {
        let mine = session::Session {
            id: session_id(1),
            device: device(1),
            device_name: "laptop".to_owned(),
            created_at: NOW,
            last_seen_at: LATER,
            current: true,
        };
        let other = session::Session {
            id: session_id(2),
            device: device(2),
            device_name: String::new(),
            current: false,
            ..mine.clone()
        };
        let sessions = vec![mine, other];
        vec![("of two devices", Self { sessions })]
    }
}

impl Examples for session::Revoke {
    fn examples() -> Vec<(&'static str, Self)> {
        let session = session_id(2);
        vec![("always", Self { session })]
    }
}

impl Examples for conversation::Create {
    fn examples() -> Vec<(&'static str, Self)> {
        let direct = Self {
            kind: ConversationKind::Direct,
            mode: ProtectionMode::E2ee,
            members: vec![user(2)],
            id: None,
        };
        let group = Self {
            kind: ConversationKind::Group,
            mode: ProtectionMode::Managed,
            members: vec![user(2), user(3)],
            id: Some(chat(1)),
        };
        vec![("a direct conversation", direct), ("a group", group)]
    }
}

fn conversations() -> [conversation::Conversation; 2] {
    let group = conversation::Conversation {
        id: chat(1),
        kind: ConversationKind::Group,
        mode: ProtectionMode::Managed,
        created_at: NOW,
        head: Seq::new(41),
        roster_version: 3,
        member_count: 250,
        role: Some(Role::Owner),
        own_read: Seq::new(40),
        peer: None,
    };
    let direct = conversation::Conversation {
        id: chat(2),
        kind: ConversationKind::Direct,
        mode: ProtectionMode::E2ee,
        head: Seq::ZERO,
        member_count: 2,
        role: None,
        own_read: Seq::ZERO,
        peer: Some(user(2)),
        ..group
    };
    [group, direct]
}

impl Examples for conversation::Conversation {
    fn examples() -> Vec<(&'static str, Self)> {
        let [group, direct] = conversations();
        vec![("a group", group), ("a direct conversation", direct)]
    }
}

impl Examples for conversation::List {
    fn examples() -> Vec<(&'static str, Self)> {
        let after = Some(chat(1));
        vec![
            ("from the beginning", Self { after: None }),
            ("going on", Self { after }),
        ]
    }
}

impl Examples for conversation::Conversations {
    fn examples() -> Vec<(&'static str, Self)> {
        let page = Self {
            conversations: conversations().into(),
            next: Some(chat(2)),
        };
        let end = Self {
            conversations: Vec::new(),
            next: None,
        };
        vec![("a page", page), ("the end", end)]
    }
}

impl Examples for conversation::Get {
    fn examples() -> Vec<(&'static str, Self)> {
        let conversation = chat(1);
        vec![("always", Self { conversation })]
    }
}

impl Examples for conversation::Focus {
    fn examples() -> Vec<(&'static str, Self)> {
        let one = Self {
            conversation: Some(chat(1)),
        };
        vec![("on one", one), ("on none", Self { conversation: None })]
    }
}

impl Examples for member::List {
    fn examples() -> Vec<(&'static str, Self)> {
        let first = Self {
            conversation: chat(1),
            after: None,
        };
        let next = Self {
            after: Some(user(1)),
            ..first
        };
        vec![("from the beginning", first), ("going on", next)]
    }
}

impl Examples for member::Members {
    fn examples() -> Vec<(&'static str, Self)> {
        let page = Self {
            roster_version: 3,
            members: vec![member::Member {
                user: ada(),
                role: Role::Admin,
                from_seq: Seq::new(1),
                delivered: Seq::new(41),
                read: Seq::new(40),
            }],
            next: Some(user(1)),
        };
        let end = Self {
            roster_version: 3,
            members: Vec::new(),
            next: None,
        };
        vec![("a page", page), ("the end", end)]
    }
}

impl Examples for member::Add {
    fn examples() -> Vec<(&'static str, Self)> {
        let add = Self {
            conversation: chat(1),
            users: vec![user(2), user(3)],
        };
        vec![("always", add)]
    }
}

impl Examples for member::Remove {
    fn examples() -> Vec<(&'static str, Self)> {
        let remove = Self {
            conversation: chat(1),
            user: user(2),
        };
        vec![("always", remove)]
    }
}

impl Examples for member::Leave {
    fn examples() -> Vec<(&'static str, Self)> {
        let conversation = chat(1);
        vec![("always", Self { conversation })]
    }
}

impl Examples for member::ChangeRole {
    fn examples() -> Vec<(&'static str, Self)> {
        let change = Self {
            conversation: chat(1),
            user: user(2),
            role: Role::Admin,
        };
        vec![("always", change)]
    }
}

impl Examples for member::RosterChanged {
    fn examples() -> Vec<(&'static str, Self)> {
        let changed = Self {
            roster_version: 4,
            head: Seq::new(42),
        };
        vec![("always", changed)]
    }
}

impl Examples for message::Send {
    fn examples() -> Vec<(&'static str, Self)> {
        let bare = Self {
            conversation: chat(1),
            client_msg_id: client_msg_id(1),
            epoch: None,
            payload: None,
            content: None,
        };
        let payload = Self {
            payload: Some(ciao().to_payload().expect("content within its limits")),
            ..bare.clone()
        };
        let sealed = Self {
            epoch: Some(300),
            payload: Some(Blob::from(vec![0x00, 0x01, 0xfb, 0xff])),
            ..bare.clone()
        };
        let content = Self {
            content: Some(Content::from(reply())),
            ..bare
        };
        vec![
            ("with a payload", payload),
            ("with a sealed payload", sealed),
            ("with content", content),
        ]
    }
}

impl Examples for message::Ack {
    fn examples() -> Vec<(&'static str, Self)> {
        let ack = Self {
            conversation: chat(1),
            client_msg_id: client_msg_id(1),
            incarnation: LOG,
            seq: Seq::new(41),
            server_ts: NOW,
        };
        vec![("always", ack)]
    }
}

impl Examples for message::PageRequest {
    fn examples() -> Vec<(&'static str, Self)> {
        let newest = Self {
            conversation: chat(1),
            from: PageStart::Newest,
            limit: None,
            as_content: false,
        };
        let before = Self {
            from: PageStart::Before(Seq::new(41)),
            limit: Some(50),
            ..newest.clone()
        };
        let after = Self {
            from: PageStart::After(Seq::ZERO),
            limit: Some(100),
            as_content: true,
            ..newest.clone()
        };
        vec![
            ("the newest rows", newest),
            ("older rows", before),
            ("newer rows, as content", after),
        ]
    }
}

impl Examples for Page {
    fn examples() -> Vec<(&'static str, Self)> {
        let full = Self {
            incarnation: LOG,
            from: Seq::new(41),
            to: Seq::new(70_001),
            head: Seq::new(80_000),
            items: vec![
                Item::Row(row()),
                Item::Hole(Hole {
                    from: Seq::new(42),
                    to: Seq::new(70_000),
                }),
                Item::Large(Large {
                    seq: Seq::new(70_001),
                    kind: RowKind::Message,
                    len: 45_000,
                    hash: Blob::from(vec![0xab; 32]),
                }),
            ],
        };
        let empty = Self {
            from: Seq::new(1),
            to: Seq::ZERO,
            head: Seq::ZERO,
            items: Vec::new(),
            ..full
        };
        vec![("with items", full), ("empty", empty)]
    }
}

impl Examples for message::Fetch {
    fn examples() -> Vec<(&'static str, Self)> {
        let fetch = Self {
            conversation: chat(1),
            seq: Seq::new(70_001),
        };
        vec![("always", fetch)]
    }
}

impl Examples for message::Fetched {
    fn examples() -> Vec<(&'static str, Self)> {
        let item = Item::Row(row());
        vec![("a row", Self { item })]
    }
}

impl Examples for position::Delivered {
    fn examples() -> Vec<(&'static str, Self)> {
        let delivered = Self {
            conversation: chat(1),
            seq: Seq::new(41),
        };
        vec![("always", delivered)]
    }
}

impl Examples for position::Read {
    fn examples() -> Vec<(&'static str, Self)> {
        let read = Self {
            conversation: chat(1),
            seq: Seq::MAX,
        };
        vec![("at the last position", read)]
    }
}

impl Examples for presence::SetTyping {
    fn examples() -> Vec<(&'static str, Self)> {
        let typing = Self {
            conversation: chat(1),
            active: true,
        };
        vec![("always", typing)]
    }
}

impl Examples for presence::Query {
    fn examples() -> Vec<(&'static str, Self)> {
        let users = vec![user(1), user(2)];
        vec![("always", Self { users })]
    }
}

impl Examples for presence::Presences {
    fn examples() -> Vec<(&'static str, Self)> {
        let presences = vec![
            presence::Presence {
                user: user(1),
                online: true,
            },
            presence::Presence {
                user: user(2),
                online: false,
            },
        ];
        vec![("always", Self { presences })]
    }
}

impl Examples for sync::Hello {
    fn examples() -> Vec<(&'static str, Self)> {
        let least = Self {
            token: SecretText::new(ACCESS),
            protocol: ProtocolVersion::CURRENT,
            locale: None,
            incarnation: None,
        };
        let most = Self {
            locale: Some("it".to_owned()),
            incarnation: Some(LOG),
            ..least.clone()
        };
        vec![("of a new device", least), ("with everything", most)]
    }
}

impl Examples for sync::HeadsRequest {
    fn examples() -> Vec<(&'static str, Self)> {
        let most = Self {
            incarnation: Some(LOG),
            after: Some(chat(1)),
        };
        vec![("of a new device", Self::default()), ("going on", most)]
    }
}

impl Examples for sync::Heads {
    fn examples() -> Vec<(&'static str, Self)> {
        let page = Self {
            user: user(1),
            device: device(1),
            incarnation: LOG,
            conversations: vec![sync::Head {
                id: chat(1),
                kind: ConversationKind::Group,
                mode: ProtectionMode::Managed,
                head: Seq::new(41),
                cursor: Seq::new(12),
                own_read: Seq::new(40),
                roster_version: 3,
            }],
            queue_head: 7,
            next: Some(chat(1)),
        };
        let nothing = Self {
            conversations: Vec::new(),
            queue_head: 0,
            next: None,
            ..page.clone()
        };
        vec![("a page", page), ("nothing new", nothing)]
    }
}

fn events() -> Vec<(&'static str, Event)> {
    let message = |item| {
        Event::Message(MessageEvent {
            conversation: chat(1),
            incarnation: LOG,
            roster_version: 3,
            item,
        })
    };
    let position = PositionEvent {
        conversation: chat(1),
        user: user(2),
        seq: Seq::new(41),
    };
    let typing = |active| {
        Event::Typing(TypingEvent {
            conversation: chat(1),
            user: user(2),
            active,
        })
    };
    let presence = |online| {
        Event::Presence(presence::Presence {
            user: user(2),
            online,
        })
    };
    let mark = |number, head| HeadMark {
        conversation: chat(number),
        head: Seq::new(head),
    };
    let mut events: Vec<_> = items()
        .into_iter()
        .map(|(label, item)| (label, message(item)))
        .collect();
    events.extend([
        ("always", Event::Delivered(position)),
        ("always", Event::Read(position)),
        ("begun", typing(true)),
        ("stopped", typing(false)),
        ("came", presence(true)),
        ("went", presence(false)),
        (
            "two conversations",
            Event::Resync(ResyncEvent {
                heads: vec![mark(1, 41), mark(2, 70_001)],
            }),
        ),
    ]);
    events
}

// ---- how a snapshot is written ----

/// Lower-case hex, 32 bytes on a line.
fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2 + bytes.len() / 32);
    for line in bytes.chunks(32) {
        if !text.is_empty() {
            text.push('\n');
        }
        for byte in line {
            write!(text, "{byte:02x}").expect("a string takes all");
        }
    }
    text
}

fn section(out: &mut String, title: &str, json: &[u8], msgpack: &[u8]) {
    let json = std::str::from_utf8(json).expect("JSON is UTF-8");
    let count = msgpack.len();
    let msgpack = hex(msgpack);
    let break_ = if out.is_empty() { "" } else { "\n\n" };
    write!(
        out,
        "{break_}## {title}\n\n{json}\n\n{count} bytes\n{msgpack}"
    )
    .expect("a string takes all");
}

fn encode<T: Serialize>(value: &T) -> (Vec<u8>, Vec<u8>) {
    let [json, msgpack] = [Encoding::Json, Encoding::MsgPack]
        .map(|encoding| encoding.encode(value).expect("plain data").to_vec());
    (json, msgpack)
}

/// Writes the value in both encodings, and checks that what is written is
/// read as the same value again.
fn both<T: Serialize + DeserializeOwned>(out: &mut String, title: &str, value: &T) {
    let written = encode(value);
    let from_json: T = Encoding::Json.decode(&written.0).expect("own JSON");
    let from_msgpack: T = Encoding::MsgPack
        .decode(&written.1)
        .expect("own MessagePack");
    assert_eq!(encode(&from_json), written, "{title}, through JSON");
    assert_eq!(
        encode(&from_msgpack),
        written,
        "{title}, through MessagePack"
    );
    section(out, title, &written.0, &written.1);
}

fn frame<T: Serialize>(out: &mut String, title: &str, frame: &T) {
    let (json, msgpack) = encode(frame);
    section(out, title, &json, &msgpack);
}

fn operation<O: Operation + Examples>() -> String
where
    O::Response: Examples,
{
    let method = O::METHOD;
    let mut out = format!("# {method} {:?} {:?}\n\n", method.access(), method.effect());
    let mut sections = String::new();
    for (label, request) in O::examples() {
        both(&mut sections, &format!("request, {label}"), &request);
    }
    for (label, response) in O::Response::examples() {
        both(&mut sections, &format!("response, {label}"), &response);
    }
    out.push_str(&sections);
    out
}

macro_rules! document_operations {
    ($( $(#[$meta:meta])* $variant:ident $name:literal $request:path => $response:path, $access:ident, $effect:ident; )+) => {
        fn operations() -> Vec<(Method, String)> {
            vec![$( (Method::$variant, operation::<$request>()) ),+]
        }
    };
}

for_each_operation!(document_operations);

fn operation_file(method: Method) -> String {
    format!("operation_{}", method.as_str().replace('.', "_"))
}

fn event_file(name: &str) -> String {
    format!("event_{name}")
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots")
}

/// Names of the snapshots in the folder that begin with `prefix`.
fn stored(prefix: &str) -> BTreeSet<String> {
    std::fs::read_dir(folder())
        .expect("the snapshots are beside this file")
        .map(|entry| entry.expect("an entry").file_name())
        .filter_map(|name| Some(name.to_str()?.strip_suffix(".snap")?.to_owned()))
        .filter(|name| name.starts_with(prefix))
        .collect()
}

fn check(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}

// ---- the tests ----

#[test]
fn every_operation_travels_as_recorded() {
    for (method, text) in operations() {
        check(&operation_file(method), &text);
    }
}

#[test]
fn every_operation_of_the_table_has_a_snapshot_and_no_other_has_one() {
    let covered: Vec<_> = operations().iter().map(|(method, _)| *method).collect();
    assert_eq!(covered, Method::ALL);
    let files = Method::ALL.iter().map(|m| operation_file(*m)).collect();
    assert_eq!(stored("operation_"), files);
}

#[test]
fn every_event_travels_as_recorded() {
    for name in Event::NAMES {
        let mut out = String::new();
        for (label, event) in events() {
            if event.name() != *name {
                continue;
            }
            let [json, msgpack] = [Encoding::Json, Encoding::MsgPack].map(|encoding| {
                let bytes = event.encode(encoding).expect("plain data");
                let Ok(ServerFrame::Event { name, data }) = ServerFrame::decode(encoding, &bytes)
                else {
                    panic!("an event's frame is not read as one");
                };
                let back = Event::decode(&name, data).expect("the event's own data");
                assert_eq!(back.as_ref(), Some(&event));
                bytes
            });
            section(&mut out, label, &json, &msgpack);
        }
        check(&event_file(name), &out);
    }
}

#[test]
fn every_event_has_a_snapshot_and_no_other_has_one() {
    let covered: BTreeSet<_> = events().iter().map(|(_, event)| event.name()).collect();
    let known: BTreeSet<_> = Event::NAMES.iter().copied().collect();
    assert_eq!(covered, known);
    let files = Event::NAMES.iter().map(|name| event_file(name)).collect();
    assert_eq!(stored("event_"), files);
}

#[test]
fn every_form_of_frame_travels_as_recorded() {
    let request = position::Read {
        conversation: chat(1),
        seq: Seq::new(41),
    };
    let plain = RequestFrame {
        id: 7,
        method: Method::PositionRead.as_str(),
        params: &request,
        write_counter: None,
    };
    let counted = RequestFrame {
        write_counter: Some(1_000),
        ..plain
    };
    let mut out = String::new();
    frame(&mut out, "request", &plain);
    frame(&mut out, "request, with a write counter", &counted);
    frame(
        &mut out,
        "result",
        &ResultFrame {
            id: 7,
            result: &Done {},
        },
    );
    let error = overloaded();
    frame(
        &mut out,
        "error",
        &ErrorFrame {
            id: 7,
            error: &error,
        },
    );
    let data = presence::Presence {
        user: user(2),
        online: true,
    };
    frame(
        &mut out,
        "event",
        &EventFrame {
            event: "presence",
            data: &data,
        },
    );
    check("frames", &out);

    for encoding in [Encoding::Json, Encoding::MsgPack] {
        let bytes = encoding.encode(&plain).unwrap();
        assert_eq!(
            ClientFrame::decode(encoding, &bytes).unwrap().write_counter,
            None
        );
        let bytes = encoding.encode(&counted).unwrap();
        assert_eq!(
            ClientFrame::decode(encoding, &bytes).unwrap().write_counter,
            Some(1_000)
        );
    }
}

#[test]
fn every_form_of_error_travels_as_recorded() {
    let least = ApiError {
        code: ErrorCode::UsernameTaken,
        message: "ERR: Username già in uso".to_owned(),
        retryable: false,
        retry_after_ms: None,
        details: None,
    };
    let mut out = String::new();
    both(&mut out, "with the least", &least);
    both(&mut out, "with everything", &overloaded());
    check("errors", &out);
}

#[test]
fn every_kind_of_content_travels_as_recorded() {
    let examples = [
        ("text", ciao()),
        ("text with a mention and a reply", Content::from(reply())),
        (
            "title",
            Content::Title(Title {
                title: "Analytical engines".to_owned(),
            }),
        ),
        (
            "title, removed",
            Content::Title(Title {
                title: String::new(),
            }),
        ),
        ("unknown", unknown_content()),
    ];
    let mut out = String::new();
    for (label, content) in &examples {
        both(&mut out, label, content);
        let payload = content.to_payload().unwrap();
        assert_eq!(payload[..], Encoding::Json.encode(content).unwrap()[..]);
        assert_eq!(&Content::from_payload(&payload).unwrap(), content);
    }
    check("content", &out);
}

#[test]
fn every_notice_travels_as_recorded() {
    let examples = [
        (
            "created",
            Notice::Created {
                kind: ConversationKind::Group,
                members: vec![user(1), user(2)],
            },
        ),
        (
            "added",
            Notice::Added {
                users: vec![user(3)],
            },
        ),
        ("removed", Notice::Removed { user: user(2) }),
        ("left", Notice::Left {}),
        (
            "role changed",
            Notice::RoleChanged {
                user: user(3),
                role: Role::Admin,
            },
        ),
    ];
    let mut out = String::new();
    for (label, notice) in &examples {
        both(&mut out, label, notice);
        let payload = notice.to_payload();
        assert_eq!(payload[..], Encoding::Json.encode(notice).unwrap()[..]);
        assert_eq!(Notice::from_payload(&payload).as_ref(), Some(notice));
    }
    check("notices", &out);
}

#[test]
fn every_entry_of_a_page_travels_as_recorded() {
    let mut out = String::new();
    for (label, item) in items() {
        both(&mut out, label, &item);
    }
    check("items", &out);
}

#[test]
fn every_name_and_number_is_as_recorded() {
    let mut out = String::from("# errors: number, name, whether to try again\n");
    for code in ErrorCode::ALL {
        let (number, retry) = (code.number(), code.is_retryable());
        writeln!(out, "{number} {code} {retry}").unwrap();
    }
    writeln!(out, "\n# close codes").unwrap();
    for code in [
        CloseCode::NotUtf8,
        CloseCode::TooBig,
        CloseCode::BadFrame,
        CloseCode::Unauthenticated,
        CloseCode::SessionRevoked,
        CloseCode::Silent,
        CloseCode::SlowConsumer,
        CloseCode::GoingAway,
        CloseCode::TooManyConnections,
    ] {
        writeln!(out, "{} {code:?}", code.number()).unwrap();
    }
    writeln!(out, "\n# enums").unwrap();
    writeln!(out, "conversation kind: {:?}", names(ConversationKind::ALL)).unwrap();
    writeln!(out, "protection mode: {:?}", names(ProtectionMode::ALL)).unwrap();
    writeln!(out, "role: {:?}", names(Role::ALL)).unwrap();
    writeln!(out, "row kind: {:?}", names(RowKind::ALL)).unwrap();
    writeln!(out, "\n# socket").unwrap();
    writeln!(
        out,
        "{WEBSOCKET_PATH} {SUBPROTOCOL_JSON} {SUBPROTOCOL_MSGPACK}"
    )
    .unwrap();
    writeln!(out, "version {}", ProtocolVersion::CURRENT.get()).unwrap();
    check("names", &out);
}

fn names<T: ToString>(all: &[T]) -> Vec<String> {
    all.iter().map(T::to_string).collect()
}

fn debug<T: Examples + Debug>(out: &mut String) {
    for (_, value) in T::examples() {
        writeln!(out, "{value:?}").expect("a string takes all");
    }
}

#[test]
fn secrets_are_never_printed() {
    let mut out = String::new();
    debug::<account::Register>(&mut out);
    debug::<account::LogIn>(&mut out);
    debug::<account::Login>(&mut out);
    debug::<session::Refresh>(&mut out);
    debug::<session::Tokens>(&mut out);
    debug::<sync::Hello>(&mut out);
    for (_, hello) in sync::Hello::examples() {
        let frame = RequestFrame {
            id: 0,
            method: Method::Hello.as_str(),
            params: &hello,
            write_counter: None,
        };
        writeln!(out, "{frame:?}").unwrap();
    }
    for (_, login) in account::Login::examples() {
        let frame = ResultFrame {
            id: 1,
            result: &login,
        };
        writeln!(out, "{frame:?}").unwrap();
    }
    for secret in SECRETS {
        assert!(!out.contains(secret), "{secret} is printed");
    }
    check("secrets", &out);
}

#[test]
fn secrets_in_a_frame_that_was_read_are_never_printed() {
    for encoding in [Encoding::Json, Encoding::MsgPack] {
        for (_, hello) in sync::Hello::examples() {
            let frame = RequestFrame {
                id: 7,
                method: Method::Hello.as_str(),
                params: &hello,
                write_counter: None,
            };
            let bytes = encoding.encode(&frame).unwrap();
            let read = ClientFrame::decode(encoding, &bytes).unwrap();
            let printed = format!("{read:?} {:#?} {:?}", read, read.params);
            assert_is_redacted(&printed, read.params.bytes());
            assert!(printed.contains("hello"), "{printed}");
        }
        for (_, login) in account::Login::examples() {
            let frame = ResultFrame {
                id: 7,
                result: &login,
            };
            let bytes = encoding.encode(&frame).unwrap();
            let read = ServerFrame::decode(encoding, &bytes).unwrap();
            let printed = format!("{read:?} {read:#?}");
            let ServerFrame::Response {
                outcome: Ok(result),
                ..
            } = read
            else {
                panic!("a result is not read as one: {printed}");
            };
            assert_is_redacted(&printed, result.bytes());
        }
    }
}

/// Asserts that no secret is printed, neither as text nor as a list of bytes.
fn assert_is_redacted(printed: &str, raw: &[u8]) {
    let size = format!("{} bytes", raw.len());
    assert!(printed.contains(&size), "{printed}");
    for secret in SECRETS {
        let bytes = format!("{:?}", secret.as_bytes());
        let bytes = bytes.trim_matches(['[', ']']);
        assert!(!printed.contains(secret), "{secret} is printed");
        assert!(!printed.contains(bytes), "{secret} is printed as bytes");
    }
}

#[test]
fn secrets_are_equal_when_every_byte_is() {
    let secret = SecretText::new(ACCESS);
    assert_eq!(secret, SecretText::new(ACCESS));
    assert_eq!(SecretText::new(""), SecretText::new(""));
    for at in 0..ACCESS.len() {
        let mut other = ACCESS.as_bytes().to_vec();
        other[at] ^= 1;
        let other = String::from_utf8(other).expect("ASCII");
        assert_ne!(secret, SecretText::new(other));
        assert_ne!(secret, SecretText::new(&ACCESS[..at]));
        assert_ne!(SecretText::new(&ACCESS[..at]), secret);
    }
    // Differences that would cancel each other out are seen all the same.
    assert_ne!(SecretText::new("ab"), SecretText::new("ba"));
    assert_ne!(SecretText::new("aa"), SecretText::new("bb"));
}

#[test]
fn what_people_write_is_never_printed() {
    let event = Event::Message(MessageEvent {
        conversation: chat(1),
        incarnation: LOG,
        roster_version: 3,
        item: Item::Row(Row {
            content: Some(ciao()),
            ..row()
        }),
    });
    let title = Title {
        title: "ciao".to_owned(),
    };
    let unknown = Content::Unknown {
        kind: "poll".to_owned(),
        data: serde_json::json!({ "question": "ciao", "ciao": ["ciao"] }),
    };
    let data = encode(&event_data(&event)).0;
    let values: [&dyn Debug; 8] = [
        &message::Send::examples(),
        &row(),
        &event,
        &Text::new("ciao").mentioning(user(2), 0..4),
        &title,
        &Content::Title(title.clone()),
        &unknown,
        &Encoding::Json.decode::<MessageEvent>(&data),
    ];
    for value in values {
        let printed = format!("{value:?} {value:#?}");
        assert!(!printed.contains("ciao"), "{printed}");
        assert!(!printed.contains("99, 105, 97, 111"), "{printed}");
    }
    let mut out = String::new();
    for content in [ciao(), Content::Title(title.clone())] {
        writeln!(out, "{content:?}").unwrap();
    }
    writeln!(out, "{title:?}\n{:?}\n{:?}", Text::new("ciao"), reply()).unwrap();
    writeln!(out, "{:?}\n{event:?}", row().payload).unwrap();
    check("redacted", &out);
}

fn event_data(event: &Event) -> &MessageEvent {
    let Event::Message(data) = event else {
        panic!("no message: {event:?}");
    };
    data
}
