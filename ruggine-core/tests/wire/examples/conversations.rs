//! Conversations and their members.

use ruggine_core::Seq;
use ruggine_core::api::conversation::{ConversationKind, ProtectionMode, Role};
use ruggine_core::api::{conversation, member};

use super::Examples;
use crate::values::{ada, chat, conversations, user};

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
