//! Whatever is written is read as the same value, and what a peer adds, leaves
//! out or reorders within the rules does no harm.

use std::collections::BTreeMap;
use std::fmt::Debug;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::FileFailurePersistence;
use ruggine_core::api::conversation::{ConversationKind, ProtectionMode, Role};
use ruggine_core::api::message::{Hole, Item, Large, Page, PageStart, Row, RowKind, Undecryptable};
use ruggine_core::api::{Method, Operation, account, conversation, member, message, session, sync};
use ruggine_core::codec::Encoding;
use ruggine_core::content::{Notice, Reply, Text, Title};
use ruggine_core::event::{Event, HeadMark, MessageEvent, PositionEvent, ResyncEvent, TypingEvent};
use ruggine_core::frame::{ClientFrame, ErrorFrame, RequestFrame, ResultFrame, ServerFrame};
use ruggine_core::name::{DisplayName, Username};
use ruggine_core::secret::SecretText;
use ruggine_core::version::ProtocolVersion;
use ruggine_core::{
    ApiError, Blob, ClientMsgId, Content, ConversationId, DeviceId, ErrorCode, Incarnation, Seq,
    SessionId, Timestamp, UserId,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

#[path = "../fuzz/fuzz_targets/exercise.rs"]
mod exercise;

const BOTH: [Encoding; 2] = [Encoding::Json, Encoding::MsgPack];

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 128,
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        ..ProptestConfig::default()
    }
}

// ---- arbitrary values ----

/// Text with everything in it that an encoding could stumble over.
fn text() -> impl Strategy<Value = String> {
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

fn blob() -> impl Strategy<Value = Blob> {
    vec(any::<u8>(), 0..80).prop_map(Blob::from)
}

fn user_id() -> impl Strategy<Value = UserId> {
    any::<[u8; 16]>().prop_map(UserId::from_bytes)
}

fn device_id() -> impl Strategy<Value = DeviceId> {
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

fn role() -> impl Strategy<Value = Role> {
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
fn unknown_data() -> impl Strategy<Value = Value> {
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

fn unknown_content() -> impl Strategy<Value = Content> {
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

fn content() -> impl Strategy<Value = Content> {
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

fn page() -> impl Strategy<Value = Page> {
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

fn page_request() -> impl Strategy<Value = message::PageRequest> {
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

fn register() -> impl Strategy<Value = account::Register> {
    (text(), secret(), option::of(text()), option::of(text())).prop_map(
        |(username, password, display_name, device_name)| account::Register {
            username,
            password,
            display_name,
            device_name,
        },
    )
}

fn log_in() -> impl Strategy<Value = account::LogIn> {
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

fn login() -> impl Strategy<Value = account::Login> {
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

fn send() -> impl Strategy<Value = message::Send> {
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

fn ack() -> impl Strategy<Value = message::Ack> {
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

fn create() -> impl Strategy<Value = conversation::Create> {
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

fn change_role() -> impl Strategy<Value = member::ChangeRole> {
    (conversation_id(), user_id(), role()).prop_map(|(conversation, user, role)| {
        member::ChangeRole {
            conversation,
            user,
            role,
        }
    })
}

fn members() -> impl Strategy<Value = member::Members> {
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

fn hello() -> impl Strategy<Value = sync::Hello> {
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

fn heads() -> impl Strategy<Value = sync::Heads> {
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

fn api_error() -> impl Strategy<Value = ApiError> {
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

fn event() -> impl Strategy<Value = Event> {
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

// ---- what is done with them ----

fn encode<T: Serialize + ?Sized>(encoding: Encoding, value: &T) -> Vec<u8> {
    encoding.encode(value).expect("plain data").to_vec()
}

/// Asserts that two values are the same in each encoding: requests have no equality.
fn assert_same<T: Serialize>(left: &T, right: &T) {
    for encoding in BOTH {
        assert_eq!(encode(encoding, left), encode(encoding, right));
    }
}

/// The same object with one more field, that of a newer peer.
fn with_an_unknown_field(encoding: Encoding, mut bytes: Vec<u8>) -> Vec<u8> {
    let value = json!({ "deep": [{ "er": null }, 1.5, "x"] });
    match encoding {
        Encoding::Json => {
            assert_eq!(bytes.pop(), Some(b'}'), "an object");
            if bytes.last() != Some(&b'{') {
                bytes.push(b',');
            }
            bytes.extend(b"\"from_the_future\":");
            bytes.extend(encode(encoding, &value));
            bytes.push(b'}');
        }
        Encoding::MsgPack => {
            assert!((0x80..0x8f).contains(&bytes[0]), "a map of up to 14 fields");
            bytes[0] += 1;
            bytes.extend(encode(encoding, "from_the_future"));
            bytes.extend(encode(encoding, &value));
        }
    }
    bytes
}

/// An object of these fields in this order.
fn object<'a>(
    encoding: Encoding,
    fields: impl IntoIterator<Item = &'a (&'static str, Vec<u8>)>,
) -> Vec<u8> {
    let fields: Vec<_> = fields.into_iter().collect();
    let mut bytes = match encoding {
        Encoding::Json => b"{".to_vec(),
        Encoding::MsgPack => vec![0x80 + u8::try_from(fields.len()).expect("a few fields")],
    };
    for (index, (key, value)) in fields.into_iter().enumerate() {
        if encoding == Encoding::Json && index > 0 {
            bytes.push(b',');
        }
        bytes.extend(encode(encoding, key));
        if encoding == Encoding::Json {
            bytes.push(b':');
        }
        bytes.extend(value);
    }
    if encoding == Encoding::Json {
        bytes.push(b'}');
    }
    bytes
}

/// The one value of an object with the key `name`.
fn the_name<T: DeserializeOwned>(encoding: Encoding, bytes: &[u8]) -> T {
    let mut fields: BTreeMap<String, T> = encoding.decode(bytes).expect("an object of names");
    fields.remove("name").expect("the name")
}

fn value_survives<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) {
    for encoding in BOTH {
        let bytes = encode(encoding, value);
        let back: T = encoding.decode(&bytes).expect("own bytes");
        assert_eq!(&back, value, "{encoding:?}");
    }
}

fn request_survives<O: Operation>(id: u64, write_counter: Option<u64>, params: &O) {
    let frame = RequestFrame {
        id,
        method: O::METHOD.as_str(),
        params,
        write_counter,
    };
    for encoding in BOTH {
        let bytes = encode(encoding, &frame);
        for bytes in [bytes.clone(), with_an_unknown_field(encoding, bytes)] {
            let read = ClientFrame::decode(encoding, &bytes).expect("own frame");
            assert_eq!(read.id, id);
            assert_eq!(Method::from_name(&read.method), Some(O::METHOD));
            assert_eq!(read.write_counter, write_counter);
            assert_same(&read.params.decode::<O>().expect("own request"), params);
        }
        let bytes = with_an_unknown_field(encoding, encode(encoding, params));
        assert_same(
            &encoding.decode::<O>(&bytes).expect("a wider request"),
            params,
        );
    }
}

fn response_survives<T: Serialize + DeserializeOwned>(id: u64, result: &T) {
    for encoding in BOTH {
        let bytes = encode(encoding, &ResultFrame { id, result });
        for bytes in [bytes.clone(), with_an_unknown_field(encoding, bytes)] {
            let Ok(ServerFrame::Response {
                id: same,
                outcome: Ok(raw),
            }) = ServerFrame::decode(encoding, &bytes)
            else {
                panic!("a result is not read as one");
            };
            assert_eq!(same, id);
            assert_same(&raw.decode::<T>().expect("own response"), result);
        }
        let bytes = with_an_unknown_field(encoding, encode(encoding, result));
        assert_same(
            &encoding.decode::<T>(&bytes).expect("a wider response"),
            result,
        );
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn requests_of_accounts_lead_back_to_themselves(
        id: u64, counter: Option<u64>, register in register(), log_in in log_in(),
    ) {
        request_survives(id, counter, &register);
        request_survives(id, counter, &log_in);
    }

    #[test]
    fn requests_of_conversations_lead_back_to_themselves(
        id: u64, counter: Option<u64>, create in create(), change in change_role(),
        page in page_request(), hello in hello(),
    ) {
        request_survives(id, counter, &create);
        request_survives(id, counter, &change);
        request_survives(id, counter, &page);
        request_survives(id, counter, &hello);
    }

    #[test]
    fn messages_that_are_sent_lead_back_to_themselves(
        id: u64, counter: Option<u64>, send in send(),
    ) {
        request_survives(id, counter, &send);
        for encoding in BOTH {
            let back: message::Send = encoding.decode(&encode(encoding, &send)).unwrap();
            prop_assert_eq!(back.payload, send.payload.clone());
            prop_assert_eq!(back.content, send.content.clone());
        }
    }

    #[test]
    fn logins_lead_back_to_themselves_with_their_secrets(id: u64, login in login()) {
        response_survives(id, &login);
        for encoding in BOTH {
            let back: account::Login = encoding.decode(&encode(encoding, &login)).unwrap();
            prop_assert_eq!(back.tokens.access.expose(), login.tokens.access.expose());
            prop_assert_eq!(back.tokens, login.tokens.clone());
            prop_assert_eq!(back.device_secret, login.device_secret.clone());
            prop_assert_eq!(back.user, login.user.clone());
        }
    }

    #[test]
    fn pages_lead_back_to_themselves(id: u64, page in page()) {
        response_survives(id, &page);
        value_survives(&page);
    }

    #[test]
    fn other_responses_lead_back_to_themselves(
        id: u64, heads in heads(), members in members(), ack in ack(),
    ) {
        response_survives(id, &heads);
        response_survives(id, &members);
        response_survives(id, &ack);
        value_survives(&heads);
        value_survives(&members);
        value_survives(&ack);
    }

    #[test]
    fn errors_lead_back_to_themselves(id: u64, error in api_error()) {
        value_survives(&error);
        for encoding in BOTH {
            let bytes = encode(encoding, &ErrorFrame { id, error: &error });
            let bytes = with_an_unknown_field(encoding, bytes);
            let read = ServerFrame::decode(encoding, &bytes).unwrap();
            let ServerFrame::Response { id: same, outcome: Err(back) } = read else {
                panic!("an error is not read as one");
            };
            prop_assert_eq!(same, id);
            prop_assert_eq!(&back, &error);
        }
    }

    #[test]
    fn events_lead_back_to_themselves(event in event()) {
        for encoding in BOTH {
            let bytes = event.encode(encoding).unwrap().to_vec();
            for bytes in [bytes.clone(), with_an_unknown_field(encoding, bytes)] {
                let read = ServerFrame::decode(encoding, &bytes).unwrap();
                let ServerFrame::Event { name, data } = read else {
                    panic!("an event is not read as one");
                };
                prop_assert_eq!(&name, event.name());
                let back = Event::decode(&name, data).unwrap();
                prop_assert_eq!(back.as_ref(), Some(&event));
            }
        }
    }

    #[test]
    fn content_leads_back_to_itself_as_a_payload_and_as_an_object(content in content()) {
        value_survives(&content);
        let payload = content.to_payload().unwrap();
        prop_assert_eq!(Content::from_payload(&payload).unwrap(), content);
    }

    #[test]
    fn content_of_an_unknown_kind_is_kept_whole(content in unknown_content()) {
        let payload = content.to_payload().unwrap();
        let back = Content::from_payload(&payload).unwrap();
        prop_assert_eq!(back.kind(), content.kind());
        prop_assert_eq!(&back.to_payload().unwrap()[..], &payload[..]);
        value_survives(&content);
    }

    #[test]
    fn fractions_in_content_are_not_rounded(number in any::<f64>()) {
        let content = Content::Unknown { kind: "future".to_owned(), data: json!([number]) };
        let payload = content.to_payload().unwrap();
        let Content::Unknown { data, .. } = Content::from_payload(&payload).unwrap() else {
            panic!("content of an unknown kind is read as another");
        };
        let back = data[0].as_f64().expect("a fraction");
        prop_assert_eq!(back.to_bits(), number.to_bits());
        value_survives(&content);
    }

    #[test]
    fn positions_and_incarnations_of_any_size_are_cut_and_then_stay(number: u64) {
        let page = json!({
            "incarnation": number, "from": number, "to": number, "head": number, "items": [],
        });
        for encoding in BOTH {
            let read: Page = encoding.decode(&encode(encoding, &page)).unwrap();
            prop_assert_eq!(read.head.get(), number.min(Seq::MAX.get()));
            prop_assert_eq!(read.incarnation.get(), number % (1 << 53));
            value_survives(&read);
        }
    }

    #[test]
    fn methods_of_any_name_are_read_as_they_were_written(id: u64, name in text()) {
        for encoding in BOTH {
            let frame = RequestFrame { id, method: &name, params: &json!({}), write_counter: None };
            let bytes = encode(encoding, &frame);
            let read = ClientFrame::decode(encoding, &bytes).unwrap();
            prop_assert_eq!((read.id, &*read.method), (id, &*name));
        }
    }

    #[test]
    fn notices_lead_back_to_themselves(
        kind in select(ConversationKind::ALL), users in vec(user_id(), 0..4), user in user_id(),
        role in role(),
    ) {
        for notice in [
            Notice::Created { kind, members: users.clone() },
            Notice::Added { users },
            Notice::Removed { user },
            Notice::Left {},
            Notice::RoleChanged { user, role },
        ] {
            value_survives(&notice);
            prop_assert_eq!(Notice::from_payload(&notice.to_payload()), Some(notice));
        }
    }

    #[test]
    fn the_order_of_keys_in_a_request_does_not_matter(
        order in Just([0usize, 1, 2, 3, 4]).prop_shuffle(), id: u64, counter: u64,
        ack_order in Just([0usize, 1, 2, 3, 4]).prop_shuffle(), request in change_role(),
    ) {
        for encoding in BOTH {
            let params = [
                ("conversation", encode(encoding, &request.conversation)),
                ("user", encode(encoding, &request.user)),
                ("role", encode(encoding, &request.role)),
                ("future", encode(encoding, &json!({ "role": "owner" }))),
                ("more", encode(encoding, &json!([{ "user": 1 }]))),
            ];
            let params = object(encoding, ack_order.iter().map(|at| &params[*at]));
            let fields = [
                ("id", encode(encoding, &id)),
                ("method", encode(encoding, "member.role")),
                ("params", params),
                ("write_counter", encode(encoding, &counter)),
                ("future", encode(encoding, &json!({ "id": 0, "method": [null] }))),
            ];
            let bytes = object(encoding, order.iter().map(|at| &fields[*at]));
            let read = ClientFrame::decode(encoding, &bytes).unwrap();
            prop_assert_eq!((read.id, &*read.method), (id, "member.role"));
            prop_assert_eq!(read.write_counter, Some(counter));
            assert_same(&read.params.decode::<member::ChangeRole>().unwrap(), &request);
        }
    }

    #[test]
    fn the_order_of_keys_in_a_servers_frame_does_not_matter(
        order in Just([0usize, 1, 2]).prop_shuffle(), id: u64, page in page(), event in event(),
        error in api_error(),
    ) {
        for encoding in BOTH {
            let future = ("future", encode(encoding, &json!({ "event": "x", "result": 1 })));
            let in_order = |fields: [(&'static str, Vec<u8>); 3]| {
                object(encoding, order.iter().map(|at| &fields[*at]))
            };

            let id_field = ("id", encode(encoding, &id));
            let bytes = in_order([
                id_field.clone(), ("result", encode(encoding, &page)), future.clone(),
            ]);
            let read = ServerFrame::decode(encoding, &bytes).unwrap();
            let ServerFrame::Response { id: same, outcome: Ok(raw) } = read else {
                panic!("a result is not read as one");
            };
            prop_assert_eq!(same, id);
            prop_assert_eq!(&raw.decode::<Page>().unwrap(), &page);

            let bytes = in_order([id_field, ("error", encode(encoding, &error)), future.clone()]);
            let read = ServerFrame::decode(encoding, &bytes).unwrap();
            let ServerFrame::Response { outcome: Err(back), .. } = read else {
                panic!("an error is not read as one");
            };
            prop_assert_eq!(&back, &error);

            let frame = event.encode(encoding).unwrap();
            let ServerFrame::Event { name, data } = ServerFrame::decode(encoding, &frame).unwrap()
            else {
                panic!("an event is not read as one");
            };
            let bytes = in_order([
                ("event", encode(encoding, &*name)), ("data", data.bytes().to_vec()), future,
            ]);
            let read = ServerFrame::decode(encoding, &bytes).unwrap();
            let ServerFrame::Event { name, data } = read else {
                panic!("an event is not read as one");
            };
            let back = Event::decode(&name, data).unwrap();
            prop_assert_eq!(back.as_ref(), Some(&event));
        }
    }

    #[test]
    fn events_of_a_newer_server_are_skipped(name in text(), data in unknown_data()) {
        prop_assume!(!Event::NAMES.contains(&name.as_str()));
        for encoding in BOTH {
            let fields = [("event", encode(encoding, &name)), ("data", encode(encoding, &data))];
            let bytes = object(encoding, &fields);
            let read = ServerFrame::decode(encoding, &bytes).unwrap();
            let ServerFrame::Event { name: same, data } = read else {
                panic!("an event is not read as one");
            };
            prop_assert_eq!(&*same, &name);
            prop_assert_eq!(Event::decode(&same, data).unwrap(), None);
        }
    }

    #[test]
    fn entries_of_a_newer_server_are_read_as_unknown(kind in text(), data in unknown_data()) {
        prop_assume!(!["row", "hole", "large", "undecryptable"].contains(&kind.as_str()));
        let item = Value::Object([(kind, data)].into_iter().collect());
        let hole = json!({ "hole": { "from": 3, "to": 4 } });
        let page = json!({
            "incarnation": 1, "from": 1, "to": 4, "head": 4, "items": [&item, &hole, &item],
        });
        let expected = Item::Hole(Hole { from: Seq::new(3), to: Seq::new(4) });
        for encoding in BOTH {
            let page: Page = encoding.decode(&encode(encoding, &page)).unwrap();
            prop_assert_eq!(page.items, [Item::Unknown, expected.clone(), Item::Unknown]);
        }
    }

    #[test]
    fn names_of_a_newer_peer_are_read_as_unknown(name in text()) {
        prop_assume!(ErrorCode::from_name(&name) == ErrorCode::Unknown);
        prop_assume!(RowKind::from_name(&name) == RowKind::Unknown);
        prop_assume!(Role::from_name(&name) == Role::Unknown);
        prop_assume!(ConversationKind::from_name(&name) == ConversationKind::Unknown);
        prop_assume!(ProtectionMode::from_name(&name) == ProtectionMode::Unknown);
        for encoding in BOTH {
            let bytes = encode(encoding, &json!({ "name": name }));
            prop_assert_eq!(the_name::<ErrorCode>(encoding, &bytes), ErrorCode::Unknown);
            prop_assert_eq!(the_name::<RowKind>(encoding, &bytes), RowKind::Unknown);
            prop_assert_eq!(the_name::<Role>(encoding, &bytes), Role::Unknown);
            prop_assert_eq!(
                the_name::<ConversationKind>(encoding, &bytes), ConversationKind::Unknown
            );
            prop_assert_eq!(the_name::<ProtectionMode>(encoding, &bytes), ProtectionMode::Unknown);
        }
    }

    #[test]
    fn bytes_of_any_kind_never_cause_a_panic(bytes in vec(any::<u8>(), 0..600)) {
        exercise::exercise(&bytes);
    }

    #[test]
    fn text_that_looks_like_a_frame_never_causes_a_panic(
        words in vec(select(WORDS), 0..40), data in unknown_data(),
    ) {
        exercise::exercise(words.concat().as_bytes());
        let text = format!("{{\"id\":1,\"method\":\"message.send\",\"params\":{data}}}");
        exercise::exercise(text.as_bytes());
        let text = format!("{{\"event\":\"message\",\"data\":{data}}}");
        exercise::exercise(text.as_bytes());
    }

    #[test]
    fn a_damaged_frame_never_causes_a_panic(
        send in send(), page in page(), event in event(), at: prop::sample::Index,
        byte: u8, cut: prop::sample::Index,
    ) {
        for encoding in BOTH {
            let request = RequestFrame {
                id: 1, method: "message.send", params: &send, write_counter: Some(2),
            };
            let frames = [
                encode(encoding, &request),
                encode(encoding, &ResultFrame { id: 1, result: &page }),
                event.encode(encoding).unwrap().to_vec(),
            ];
            for mut bytes in frames {
                exercise::exercise(&bytes);
                let length = bytes.len();
                bytes[at.index(length)] = byte;
                exercise::exercise(&bytes);
                exercise::exercise(&bytes[..cut.index(length)]);
            }
        }
    }
}

const WORDS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\"",
    "\\",
    "\\u0000",
    "\\ud800",
    "null",
    "true",
    "1",
    "-0",
    "1e400",
    "1e15",
    "0.1",
    " ",
    "\"id\"",
    "\"method\"",
    "\"params\"",
    "\"hello\"",
    "\"result\"",
    "\"error\"",
    "\"event\"",
    "\"data\"",
    "\"presence\"",
    "\"row\"",
    "\"text\"",
    "\"body\"",
    "{}",
    "{\"id\":1,",
    "\"method\":\"session.list\",",
];
