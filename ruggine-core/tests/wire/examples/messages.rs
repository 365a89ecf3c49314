//! Messages, pages of the log, and positions in it.

use ruggine_core::api::message::{Hole, Item, Large, Page, PageStart, RowKind};
use ruggine_core::api::{message, position};
use ruggine_core::{Blob, Content, Seq};

use super::Examples;
use crate::values::{LOG, NOW, chat, ciao, client_msg_id, reply, row};

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
