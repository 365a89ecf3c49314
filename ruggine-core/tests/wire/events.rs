//! Every event.

use std::collections::BTreeSet;

use ruggine_core::Seq;
use ruggine_core::api::presence;
use ruggine_core::codec::Encoding;
use ruggine_core::event::{Event, HeadMark, MessageEvent, PositionEvent, ResyncEvent, TypingEvent};
use ruggine_core::frame::ServerFrame;

use super::snapshot::{check, section, stored};
use super::values::{LOG, chat, items, user};

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

fn event_file(name: &str) -> String {
    format!("event_{name}")
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
