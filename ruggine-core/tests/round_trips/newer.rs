//! What a newer peer sends is skipped or read as unknown.

use std::collections::BTreeMap;

use proptest::prelude::*;
use ruggine_core::api::conversation::{ConversationKind, ProtectionMode, Role};
use ruggine_core::api::message::{Hole, Item, Page, RowKind};
use ruggine_core::codec::Encoding;
use ruggine_core::event::Event;
use ruggine_core::frame::ServerFrame;
use ruggine_core::{ErrorCode, Seq};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::survival::{encode, object};
use super::values::{text, unknown_data};
use super::{BOTH, config};

/// The one value of an object with the key `name`.
fn the_name<T: DeserializeOwned>(encoding: Encoding, bytes: &[u8]) -> T {
    let mut fields: BTreeMap<String, T> = encoding.decode(bytes).expect("an object of names");
    fields.remove("name").expect("the name")
}

proptest! {
    #![proptest_config(config())]

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
}
