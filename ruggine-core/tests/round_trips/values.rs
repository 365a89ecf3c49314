//! Arbitrary values of everything that travels.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use ruggine_core::api::conversation::{ConversationKind, ProtectionMode, Role};
use ruggine_core::api::message::{Hole, Item, Large, Page, PageStart, Row, RowKind, Undecryptable};
use ruggine_core::api::{account, conversation, member, message, session, sync};
use ruggine_core::content::{Reply, Text, Title};
use ruggine_core::event::{Event, HeadMark, MessageEvent, PositionEvent, ResyncEvent, TypingEvent};
use ruggine_core::name::{DisplayName, Username};
use ruggine_core::secret::SecretText;
use ruggine_core::version::ProtocolVersion;
use ruggine_core::{
    ApiError, Blob, ClientMsgId, Content, ConversationId, DeviceId, ErrorCode, Incarnation, Seq,
    SessionId, Timestamp, UserId,
};
use serde_json::Value;

/// Text with everything in it that an encoding could stumble over.
pub(crate) fn text() -> impl Strategy<Value = String> {
    let character = prop_oneof![
        4 => any::<char>(),
        2 => prop::char::range('\0', '\u{1f}'),
        2 => select(vec!['"', '\\', '/', '{', '[', ',', '\u{7f}', '\u{202e}', '\u{ffff}', '🦀']),
    ];
    vec(character, 0..24).prop_map(String::from_iter)
}

fn secret() -> impl Strategy<Value = SecretText> {
    text().prop_map(SecretText::new)
}

pub(crate) fn blob() -> impl Strategy<Value = Blob> {
    vec(any::<u8>(), 0..80).prop_map(Blob::from)
}

pub(crate) fn user_id() -> impl Strategy<Value = UserId> {
    any::<[u8; 16]>().prop_map(UserId::from_bytes)
}

pub(crate) fn device_id() -> impl Strategy<Value = DeviceId> {
    any::<[u8; 16]>().prop_map(DeviceId::from_bytes)
}

fn session_id() -> impl Strategy<Value = SessionId> {
    any::<[u8; 16]>().prop_map(SessionId::from_bytes)
}

fn conversation_id() -> impl Strategy<Value = ConversationId> {
    any::<[u8; 16]>().prop_map(ConversationId::from_bytes)
}

fn client_msg_id() -> impl Strategy<Value = ClientMsgId> {
    any::<[u8; 16]>().prop_map(ClientMsgId::from_bytes)
}

fn seq() -> impl Strategy<Value = Seq> {
    (0..=Seq::MAX.get()).prop_map(Seq::new)
}

fn incarnation() -> impl Strategy<Value = Incarnation> {
    any::<u64>().prop_map(Incarnation::new)
}

fn timestamp() -> impl Strategy<Value = Timestamp> {
    any::<i64>().prop_map(Timestamp::from_millis)
}

pub(crate) fn role() -> impl Strategy<Value = Role> {
    prop_oneof![select(Role::ALL), Just(Role::Unknown)]
}

fn user() -> impl Strategy<Value = account::User> {
    let username = "[a-z0-9._-]{3,32}".prop_map(|s| s.parse::<Username>().expect("of its form"));
    let display_name = "\\PC{1,64}".prop_filter_map("a display name", |s| s.parse().ok());
    (user_id(), username, display_name).prop_map(
        |(id, username, display_name): (_, _, DisplayName)| account::User {
            id,
            username,
            display_name,
        },
    )
}

/// Data of a kind of content that this build does not know.
pub(crate) fn unknown_data() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((text(), inner), 0..4).prop_map(|entries| entries.into_iter().collect()),
        ]
    })
}

pub(crate) fn unknown_content() -> impl Strategy<Value = Content> {
    let kind = text().prop_filter("known", |kind| kind != "text" && kind != "title");
    (kind, unknown_data()).prop_map(|(kind, data)| Content::Unknown { kind, data })
}

fn written() -> impl Strategy<Value = Text> {
    let reply =
        (user_id(), client_msg_id()).prop_map(|(sender, message)| Reply { sender, message });
    (text(), vec(user_id(), 0..3), option::of(reply)).prop_map(|(body, mentioned, reply)| {
        let mut written = Text::new(format!("@ada {body}"));
        for user in mentioned {
            written = written.mentioning(user, 0..4);
        }
        written.reply = reply;
        written
    })
}

pub(crate) fn content() -> impl Strategy<Value = Content> {
    prop_oneof![
        written().prop_map(Content::from),
        text().prop_map(|title| Content::Title(Title { title })),
        unknown_content(),
    ]
}

fn row() -> impl Strategy<Value = Row> {
    (
        (seq(), select(RowKind::ALL), user_id(), device_id()),
        (client_msg_id(), timestamp()),
        (option::of(any::<u64>()), blob(), option::of(content())),
    )
        .prop_map(
            |(
                (seq, kind, sender, device),
                (client_msg_id, server_ts),
                (epoch, payload, content),
            )| {
                Row {
                    seq,
                    kind,
                    sender,
                    device,
                    client_msg_id,
                    server_ts,
                    epoch,
                    payload,
                    content,
                }
            },
        )
}

fn item() -> impl Strategy<Value = Item> {
    let large =
        (seq(), select(RowKind::ALL), any::<u64>(), blob()).prop_map(|(seq, kind, len, hash)| {
            Item::Large(Large {
                seq,
                kind,
                len,
                hash,
            })
        });
    let undecryptable = row().prop_map(|row| {
        Item::Undecryptable(Undecryptable {
            seq: row.seq,
            kind: row.kind,
            sender: row.sender,
            device: row.device,
            client_msg_id: row.client_msg_id,
            server_ts: row.server_ts,
        })
    });
    prop_oneof![
        row().prop_map(Item::Row),
        (seq(), seq()).prop_map(|(from, to)| Item::Hole(Hole { from, to })),
        large,
        undecryptable,
    ]
}

pub(crate) fn page() -> impl Strategy<Value = Page> {
    (incarnation(), seq(), seq(), seq(), vec(item(), 0..6)).prop_map(
        |(incarnation, from, to, head, items)| Page {
            incarnation,
            from,
            to,
            head,
            items,
        },
    )
}

pub(crate) fn page_request() -> impl Strategy<Value = message::PageRequest> {
    let start = prop_oneof![
        seq().prop_map(PageStart::After),
        seq().prop_map(PageStart::Before),
        Just(PageStart::Newest),
    ];
    (
        conversation_id(),
        start,
        option::of(any::<u32>()),
        any::<bool>(),
    )
        .prop_map(
            |(conversation, from, limit, as_content)| message::PageRequest {
                conversation,
                from,
                limit,
                as_content,
            },
        )
}

pub(crate) fn register() -> impl Strategy<Value = account::Register> {
    (text(), secret(), option::of(text()), option::of(text())).prop_map(
        |(username, password, display_name, device_name)| account::Register {
            username,
            password,
            display_name,
            device_name,
        },
    )
}

pub(crate) fn log_in() -> impl Strategy<Value = account::LogIn> {
    let device =
        (device_id(), secret()).prop_map(|(id, secret)| account::KnownDevice { id, secret });
    (text(), secret(), option::of(device), option::of(text())).prop_map(
        |(username, password, device, device_name)| account::LogIn {
            username,
            password,
            device,
            device_name,
        },
    )
}

fn tokens() -> impl Strategy<Value = session::Tokens> {
    (secret(), timestamp(), secret(), timestamp()).prop_map(
        |(access, access_expires_at, refresh, refresh_expires_at)| session::Tokens {
            access,
            access_expires_at,
            refresh,
            refresh_expires_at,
        },
    )
}

pub(crate) fn login() -> impl Strategy<Value = account::Login> {
    (
        user(),
        device_id(),
        option::of(secret()),
        session_id(),
        tokens(),
    )
        .prop_map(
            |(user, device, device_secret, session, tokens)| account::Login {
                user,
                device,
                device_secret,
                session,
                tokens,
            },
        )
}

pub(crate) fn send() -> impl Strategy<Value = message::Send> {
    (
        conversation_id(),
        client_msg_id(),
        option::of(any::<u64>()),
        option::of(blob()),
        option::of(content()),
    )
        .prop_map(
            |(conversation, client_msg_id, epoch, payload, content)| message::Send {
                conversation,
                client_msg_id,
                epoch,
                payload,
                content,
            },
        )
}

pub(crate) fn ack() -> impl Strategy<Value = message::Ack> {
    (
        conversation_id(),
        client_msg_id(),
        incarnation(),
        seq(),
        timestamp(),
    )
        .prop_map(
            |(conversation, client_msg_id, incarnation, seq, server_ts)| message::Ack {
                conversation,
                client_msg_id,
                incarnation,
                seq,
                server_ts,
            },
        )
}

pub(crate) fn create() -> impl Strategy<Value = conversation::Create> {
    (
        select(ConversationKind::ALL),
        select(ProtectionMode::ALL),
        vec(user_id(), 0..8),
        option::of(conversation_id()),
    )
        .prop_map(|(kind, mode, members, id)| conversation::Create {
            kind,
            mode,
            members,
            id,
        })
}

pub(crate) fn change_role() -> impl Strategy<Value = member::ChangeRole> {
    (conversation_id(), user_id(), role()).prop_map(|(conversation, user, role)| {
        member::ChangeRole {
            conversation,
            user,
            role,
        }
    })
}

pub(crate) fn members() -> impl Strategy<Value = member::Members> {
    let member = (user(), role(), seq(), seq(), seq()).prop_map(
        |(user, role, from_seq, delivered, read)| member::Member {
            user,
            role,
            from_seq,
            delivered,
            read,
        },
    );
    (any::<u64>(), vec(member, 0..4), option::of(user_id())).prop_map(
        |(roster_version, members, next)| member::Members {
            roster_version,
            members,
            next,
        },
    )
}

pub(crate) fn hello() -> impl Strategy<Value = sync::Hello> {
    (
        secret(),
        any::<u16>(),
        option::of(text()),
        option::of(incarnation()),
    )
        .prop_map(|(token, protocol, locale, incarnation)| sync::Hello {
            token,
            protocol: ProtocolVersion::new(protocol),
            locale,
            incarnation,
        })
}

pub(crate) fn heads() -> impl Strategy<Value = sync::Heads> {
    let head = (
        conversation_id(),
        select(ConversationKind::ALL),
        select(ProtectionMode::ALL),
        (seq(), seq(), seq()),
        any::<u64>(),
    )
        .prop_map(
            |(id, kind, mode, (head, cursor, own_read), roster_version)| sync::Head {
                id,
                kind,
                mode,
                head,
                cursor,
                own_read,
                roster_version,
            },
        );
    (
        user_id(),
        device_id(),
        incarnation(),
        vec(head, 0..5),
        any::<u64>(),
        option::of(conversation_id()),
    )
        .prop_map(
            |(user, device, incarnation, conversations, queue_head, next)| sync::Heads {
                user,
                device,
                incarnation,
                conversations,
                queue_head,
                next,
            },
        )
}

pub(crate) fn api_error() -> impl Strategy<Value = ApiError> {
    (
        prop_oneof![select(ErrorCode::ALL), Just(ErrorCode::Unknown)],
        text(),
        any::<bool>(),
        option::of(any::<u64>()),
        option::of(text()),
    )
        .prop_map(
            |(code, message, retryable, retry_after_ms, details)| ApiError {
                code,
                message,
                retryable,
                retry_after_ms,
                details,
            },
        )
}

pub(crate) fn event() -> impl Strategy<Value = Event> {
    let message = (conversation_id(), incarnation(), any::<u64>(), item()).prop_map(
        |(conversation, incarnation, roster_version, item)| {
            Event::Message(MessageEvent {
                conversation,
                incarnation,
                roster_version,
                item,
            })
        },
    );
    let position = || {
        (conversation_id(), user_id(), seq()).prop_map(|(conversation, user, seq)| PositionEvent {
            conversation,
            user,
            seq,
        })
    };
    let typing =
        (conversation_id(), user_id(), any::<bool>()).prop_map(|(conversation, user, active)| {
            Event::Typing(TypingEvent {
                conversation,
                user,
                active,
            })
        });
    let presence = (user_id(), any::<bool>()).prop_map(|(user, online)| {
        Event::Presence(ruggine_core::api::presence::Presence { user, online })
    });
    let mark =
        (conversation_id(), seq()).prop_map(|(conversation, head)| HeadMark { conversation, head });
    prop_oneof![
        3 => message,
        1 => position().prop_map(Event::Delivered),
        1 => position().prop_map(Event::Read),
        1 => typing,
        1 => presence,
        1 => vec(mark, 0..5).prop_map(|heads| Event::Resync(ResyncEvent { heads })),
    ]
}
