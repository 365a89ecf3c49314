//! Small words for what nearly every test here says.

use ruggine_core::api::message::{PageRequest, PageStart};
use ruggine_core::api::sync::Hello;
use ruggine_core::codec::Encoding;
use ruggine_core::version::ProtocolVersion;
use ruggine_core::{ConversationId, Incarnation, Seq};
use ruggine_server::testing::{Person, SocketClient};

pub(crate) const BOTH: [Encoding; 2] = [Encoding::Json, Encoding::MsgPack];

pub(crate) fn seq(number: u64) -> Seq {
    Seq::new(number)
}

pub(crate) fn hello_of(person: &Person, incarnation: Option<Incarnation>) -> Hello {
    Hello {
        token: person.token().clone(),
        protocol: ProtocolVersion::CURRENT,
        locale: None,
        incarnation,
    }
}

pub(crate) fn page_after(conversation: ConversationId, after: Seq) -> PageRequest {
    PageRequest {
        conversation,
        from: PageStart::After(after),
        limit: None,
        as_content: false,
    }
}

pub(crate) async fn expect_rows(
    socket: &mut SocketClient,
    conversation: ConversationId,
    numbers: std::ops::RangeInclusive<u64>,
) {
    for number in numbers {
        let (from, row) = socket.next_row().await;
        assert_eq!((from, row.seq), (conversation, seq(number)));
    }
}
