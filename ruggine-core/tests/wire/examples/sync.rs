//! What a connection begins with, and who is there.

use ruggine_core::Seq;
use ruggine_core::api::conversation::{ConversationKind, ProtectionMode};
use ruggine_core::api::{presence, sync};
use ruggine_core::secret::SecretText;
use ruggine_core::version::ProtocolVersion;

use super::Examples;
use crate::values::{ACCESS, LOG, chat, device, user};

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
