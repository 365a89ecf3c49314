//! What is never printed: secrets, and what people write.

use std::fmt::{Debug, Write as _};

use ruggine_core::Content;
use ruggine_core::api::message::{Item, Row};
use ruggine_core::api::{Method, account, message, session, sync};
use ruggine_core::codec::Encoding;
use ruggine_core::content::{Text, Title};
use ruggine_core::event::{Event, MessageEvent};
use ruggine_core::frame::{ClientFrame, RequestFrame, ResultFrame, ServerFrame};
use ruggine_core::secret::SecretText;

use super::examples::Examples;
use super::snapshot::{check, encode};
use super::values::{ACCESS, LOG, SECRETS, chat, ciao, reply, row, user};

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
