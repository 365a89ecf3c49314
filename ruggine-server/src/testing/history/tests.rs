use ruggine_core::Timestamp;

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

/// A history of two devices and one conversation that keeps every promise.
struct Good {
    history: History,
    conversation: ConversationId,
    ada: DeviceId,
    bob: DeviceId,
    ids: Vec<ClientMsgId>,
}

fn payload(number: usize) -> Vec<u8> {
    format!("message {number}").into_bytes()
}

fn seq(number: usize) -> Seq {
    Seq::new(number as u64)
}

/// Number 1 is a notice; 2 to 4 are messages of Ada. Bob joined with 3.
fn good() -> Good {
    let mut good = Good {
        history: History::new(),
        conversation: ConversationId::new(NOW),
        ada: DeviceId::new(NOW),
        bob: DeviceId::new(NOW),
        ids: (0..5).map(|_| ClientMsgId::new(NOW)).collect(),
    };
    for number in 2..=4 {
        good.send(number);
        good.ack(number, number);
    }
    let id = good.ids[1];
    good.history
        .read_notice(good.ada, good.conversation, seq(1), id, b"created");
    for number in 2..=4 {
        good.read(good.ada, number, number);
    }
    good.history
        .crossed(good.bob, good.conversation, seq(1), seq(2));
    good.read(good.bob, 3, 3);
    good.history
        .must_have(good.ada, good.conversation, seq(1), seq(4));
    good.history
        .must_have(good.bob, good.conversation, seq(3), seq(3));
    good
}

impl Good {
    fn send(&mut self, number: usize) {
        self.history
            .sent(self.conversation, self.ids[number], &payload(number));
    }

    fn ack(&mut self, number: usize, at: usize) {
        let id = self.ids[number];
        self.history
            .acked(self.ada, self.conversation, id, seq(at), &payload(number));
    }

    fn read(&mut self, device: DeviceId, number: usize, at: usize) {
        let id = self.ids[number];
        self.history
            .read(device, self.conversation, seq(at), id, &payload(number));
    }
}

#[test]
fn a_history_that_keeps_every_promise_is_good() {
    let summary = good().history.check().unwrap();
    let expected = Summary {
        sent: 3,
        acked: 3,
        read: 5,
        logs: 2,
    };
    assert_eq!(summary, expected);
}

#[test]
fn the_same_ack_again_is_good() {
    let mut good = good();
    good.ack(2, 2);
    assert!(good.history.check().is_ok());
}

#[test]
fn an_acknowledged_message_that_somebody_lacks_is_found() {
    let mut good = good();
    good.history
        .must_have(good.bob, good.conversation, seq(3), seq(4));
    let lost = Violation::Lost {
        device: good.bob,
        sender: good.ada,
        conversation: good.conversation,
        seq: seq(4),
        client_msg_id: good.ids[4],
    };
    assert_eq!(good.history.check(), Err(lost));
}

#[test]
fn a_message_behind_a_hole_does_not_count_as_read() {
    let mut good = good();
    good.history
        .must_have(good.bob, good.conversation, seq(2), seq(3));
    assert!(matches!(
        good.history.check(),
        Err(Violation::Lost { seq: at, .. }) if at == seq(2)
    ));
}

#[test]
fn a_gap_is_found_also_at_the_beginning() {
    let mut good = good();
    let other = DeviceId::new(NOW);
    good.read(other, 2, 2);
    assert!(matches!(
        good.history.check(),
        Err(Violation::Gap { after: Seq::ZERO, found, .. }) if found == seq(2)
    ));
}

#[test]
fn a_row_that_comes_twice_or_late_is_found() {
    for again in [2, 4] {
        let mut good = good();
        good.read(good.ada, again, again);
        assert!(matches!(
            good.history.check(),
            Err(Violation::OutOfOrder { found, .. }) if found == seq(again)
        ));
    }
}

#[test]
fn a_message_under_two_numbers_is_found() {
    let mut read = good();
    read.read(read.bob, 3, 4);
    assert!(matches!(
        read.history.check(),
        Err(Violation::TwoNumbers { first, second, .. }) if first == seq(3) && second == seq(4)
    ));
    let mut acked = good();
    acked.ack(2, 5);
    assert!(matches!(
        acked.history.check(),
        Err(Violation::TwoNumbers { .. })
    ));
}

#[test]
fn a_number_with_two_messages_is_found() {
    let mut good = good();
    good.send(0);
    good.read(good.bob, 0, 4);
    assert!(matches!(
        good.history.check(),
        Err(Violation::TwoMessages { seq: at, .. }) if at == seq(4)
    ));
}

#[test]
fn a_message_that_says_something_else_is_found() {
    let mut read = good();
    let id = read.ids[4];
    read.history
        .read(read.bob, read.conversation, seq(4), id, b"something else");
    assert!(matches!(
        read.history.check(),
        Err(Violation::Altered { seq: at, .. }) if at == seq(4)
    ));
    let mut sent = good();
    sent.history
        .sent(sent.conversation, sent.ids[2], b"never written so");
    assert!(matches!(
        sent.history.check(),
        Err(Violation::Altered { .. })
    ));
}

#[test]
fn a_message_that_nobody_sent_is_found() {
    let mut good = good();
    good.read(good.bob, 0, 4);
    good.history.acks.retain(|ack| ack.row.seq != seq(4));
    good.history
        .reads
        .retain(|(device, _), _| *device == good.bob);
    good.history.due.clear();
    assert!(matches!(
        good.history.check(),
        Err(Violation::NeverSent { seq: at, .. }) if at == seq(4)
    ));
}
