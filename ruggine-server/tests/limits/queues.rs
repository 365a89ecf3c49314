//! How much may wait in the queue of a socket.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use ruggine_core::api::position::Read;
use ruggine_core::api::presence::SetTyping;
use ruggine_core::api::sync::Hello;
use ruggine_core::codec::Encoding;
use ruggine_core::frame::ServerFrame;
use ruggine_core::version::ProtocolVersion;
use ruggine_core::{Event, Seq};
use ruggine_server::engine::{Caller, OpenSocket, Outgoing};
use ruggine_server::testing::{Person, text_message};

use super::commits::sized;
use super::counts::Counts;
use super::support::{caller_of, group_of, limited};

fn hello(person: &Person) -> Hello {
    Hello {
        token: person.token().clone(),
        protocol: ProtocolVersion::CURRENT,
        locale: None,
        incarnation: None,
    }
}

/// Everything that waits in a socket's queue.
fn waiting(open: &OpenSocket) -> Vec<Event> {
    let mut events = Vec::new();
    while let Some(outgoing) = open.socket().try_next() {
        let Outgoing::Frame(frame, _) = outgoing else {
            panic!("{outgoing:?} is no frame");
        };
        match ServerFrame::decode(Encoding::Json, &frame).unwrap() {
            ServerFrame::Event { name, data } => events.extend(Event::decode(&name, data).unwrap()),
            answer @ ServerFrame::Response { .. } => panic!("{answer:?} is no event"),
        }
    }
    events
}

fn row_of(event: &Event) -> Option<u64> {
    match event {
        Event::Message(message) => message.item.span().map(|(seq, _)| seq.get()),
        _ => None,
    }
}

#[tokio::test]
async fn a_full_queue_gives_way_to_the_word_where_the_log_stands() {
    let counts = Arc::new(Counts::default());
    let server = limited(|limits| limits.socket_events = 4)
        .metrics(counts.clone())
        .start()
        .await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let group = server.group(&ada, &[&bob]).await;
    let (engine, caller) = (server.engine(), caller_of(&ada));
    let anonymous = Caller::anonymous(Ipv4Addr::LOCALHOST.into());
    let (open, _) = engine
        .open_socket(&anonymous, hello(&bob), Encoding::Json)
        .await
        .unwrap();
    let send = async |count: usize| {
        for _ in 0..count {
            engine
                .call(&caller, text_message(group, "news"))
                .await
                .unwrap();
        }
        // What the lane does next is done when everything before was told.
        engine.call(&caller, group_of(Vec::new())).await.unwrap();
    };
    let typing = SetTyping {
        conversation: group,
        active: true,
    };
    let read = |seq| Read {
        conversation: group,
        seq: Seq::new(seq),
    };

    send(1).await;
    engine.call(&caller, typing).await.unwrap();
    let events = waiting(&open);
    assert_eq!(events.iter().filter_map(row_of).collect::<Vec<_>>(), [2]);
    assert!(matches!(events[1..], [Event::Typing(_)]), "{events:?}");

    // From the middle on what is forgotten first is left out, when full what
    // can be asked for; both without a word.
    send(2).await;
    engine.call(&caller, typing).await.unwrap();
    engine.call(&caller, read(1)).await.unwrap();
    send(1).await;
    engine.call(&caller, read(2)).await.unwrap();
    assert_eq!(open.socket().times_lagged(), 0);
    let events = waiting(&open);
    assert_eq!(
        events.iter().filter_map(row_of).collect::<Vec<_>>(),
        [3, 4, 5]
    );
    assert!(
        matches!(events[2], Event::Read(position) if position.seq.get() == 1),
        "{events:?}"
    );
    assert_eq!(events.len(), 4);

    // A row is never left out without a word.
    send(7).await;
    assert_eq!(open.socket().times_lagged(), 1);
    assert_eq!(counts.lagged.load(Ordering::Relaxed), 1);
    let events = waiting(&open);
    let [Event::Resync(resync)] = &events[..] else {
        panic!("{events:?}");
    };
    assert_eq!(resync.heads.len(), 1);
    assert_eq!(
        (resync.heads[0].conversation, resync.heads[0].head.get()),
        (group, 12)
    );
    send(1).await;
    assert_eq!(
        waiting(&open).iter().filter_map(row_of).collect::<Vec<_>>(),
        [13]
    );
}

#[tokio::test]
async fn a_queue_is_bounded_in_bytes_and_keeps_its_answers() {
    let server = limited(|limits| limits.socket_bytes = 10_000).start().await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let group = server.group(&ada, &[&bob]).await;
    let (engine, caller) = (server.engine(), caller_of(&ada));
    let anonymous = Caller::anonymous(Ipv4Addr::LOCALHOST.into());
    let (open, _) = engine
        .open_socket(&anonymous, hello(&bob), Encoding::Json)
        .await
        .unwrap();
    for _ in 0..3 {
        // Three thousand bytes are four thousand in base64.
        engine.call(&caller, sized(group, 3_000)).await.unwrap();
        open.socket()
            .reply(bytes::Bytes::from_static(b"answer"), None);
    }
    engine.call(&caller, group_of(Vec::new())).await.unwrap();
    assert_eq!(open.socket().times_lagged(), 1);
    for _ in 0..3 {
        let Some(Outgoing::Frame(frame, _)) = open.socket().try_next() else {
            panic!("an answer was left out");
        };
        assert_eq!(&frame[..], b"answer");
    }
    let events = waiting(&open);
    assert!(matches!(&events[..], [Event::Resync(resync)] if resync.heads[0].head.get() == 4));
}
