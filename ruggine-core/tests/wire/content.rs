//! What rows hold: content, notices, and the entries of a page.

use ruggine_core::Content;
use ruggine_core::api::conversation::{ConversationKind, Role};
use ruggine_core::codec::Encoding;
use ruggine_core::content::{Notice, Title};

use super::snapshot::{both, check};
use super::values::{ciao, items, reply, unknown_content, user};

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
