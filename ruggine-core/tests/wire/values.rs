//! The values of which the examples are made.

use ruggine_core::api::conversation::{ConversationKind, ProtectionMode, Role};
use ruggine_core::api::message::{Hole, Item, Large, Row, RowKind, Undecryptable};
use ruggine_core::api::{account, conversation, session};
use ruggine_core::content::{Notice, Reply, Text};
use ruggine_core::secret::SecretText;
use ruggine_core::{
    ApiError, Blob, ClientMsgId, Content, ConversationId, DeviceId, ErrorCode, Incarnation, Seq,
    SessionId, Timestamp, UserId,
};

pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);
pub(crate) const LATER: Timestamp = Timestamp::from_millis(1_767_229_200_000);
pub(crate) const LOG: Incarnation = Incarnation::new(4_503_599_627_370_497);

pub(crate) const PASSWORD: &str = "correct horse battery";
pub(crate) const DEVICE_SECRET: &str = "device-secret-0f1e2d";
pub(crate) const ACCESS: &str = "access-token-3c4b5a";
pub(crate) const REFRESH: &str = "refresh-token-697887";
pub(crate) const SECRETS: [&str; 4] = [PASSWORD, DEVICE_SECRET, ACCESS, REFRESH];

/// Bytes of a UUIDv7 that shows in its last two bytes what it names.
const fn id(kind: u8, number: u8) -> [u8; 16] {
    [
        0x01, 0x9b, 0x76, 0xda, 0xa8, 0x00, 0x70, 0x01, 0x80, 0, 0, 0, 0, 0, kind, number,
    ]
}

pub(crate) const fn user(number: u8) -> UserId {
    UserId::from_bytes(id(0xaa, number))
}

pub(crate) const fn device(number: u8) -> DeviceId {
    DeviceId::from_bytes(id(0xdd, number))
}

pub(crate) const fn session_id(number: u8) -> SessionId {
    SessionId::from_bytes(id(0x55, number))
}

pub(crate) const fn chat(number: u8) -> ConversationId {
    ConversationId::from_bytes(id(0xcc, number))
}

pub(crate) const fn client_msg_id(number: u8) -> ClientMsgId {
    ClientMsgId::from_bytes(id(0xee, number))
}

pub(crate) fn ada() -> account::User {
    account::User {
        id: user(1),
        username: "ada".parse().expect("a username"),
        display_name: "Ada Lovelace 🦀".parse().expect("a display name"),
    }
}

pub(crate) fn tokens() -> session::Tokens {
    session::Tokens {
        access: SecretText::new(ACCESS),
        access_expires_at: NOW,
        refresh: SecretText::new(REFRESH),
        refresh_expires_at: LATER,
    }
}

pub(crate) fn ciao() -> Content {
    Content::from(Text::new("ciao"))
}

pub(crate) fn reply() -> Text {
    Text::new("sì, @bob!")
        .mentioning(user(2), 5..9)
        .in_reply_to(Reply {
            sender: user(2),
            message: client_msg_id(9),
        })
}

pub(crate) fn unknown_content() -> Content {
    Content::Unknown {
        kind: "poll".to_owned(),
        data: serde_json::json!({ "options": ["a", null, 2, -3, 0.5, true], "question": "?" }),
    }
}

pub(crate) fn row() -> Row {
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

pub(crate) fn items() -> Vec<(&'static str, Item)> {
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

pub(crate) fn conversations() -> [conversation::Conversation; 2] {
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

pub(crate) fn overloaded() -> ApiError {
    ApiError {
        code: ErrorCode::Overloaded,
        message: "The server is busy.".to_owned(),
        retryable: true,
        retry_after_ms: Some(1_500),
        details: Some("lane".to_owned()),
    }
}
