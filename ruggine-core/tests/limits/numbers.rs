//! Numbers that are too large, or no whole numbers.

use ruggine_core::api::{message, sync};
use ruggine_core::{Incarnation, Seq};

use super::BOTH;
use super::by_hand::refuse;

#[test]
fn a_position_beyond_what_a_store_holds_is_cut_to_the_last_one() {
    assert_eq!(Seq::new(u64::MAX), Seq::MAX);
    assert_eq!(Seq::MAX.next(), Seq::MAX);
    assert_eq!(Seq::new(i64::MAX as u64 - 1).next(), Seq::MAX);
    for (number, expected) in [
        (0, Seq::ZERO),
        (41, Seq::new(41)),
        (i64::MAX as u64, Seq::MAX),
        (i64::MAX as u64 + 1, Seq::MAX),
        (u64::MAX, Seq::MAX),
    ] {
        let hole = serde_json::json!({ "from": number, "to": number });
        for encoding in BOTH {
            let bytes = encoding.encode(&hole).unwrap();
            let read: message::Hole = encoding.decode(&bytes).unwrap();
            assert_eq!((read.from, read.to), (expected, expected), "{number}");
            assert!(i64::try_from(read.to.get()).is_ok());
        }
    }
}

#[test]
fn an_incarnation_is_cut_to_the_bits_that_every_reader_keeps() {
    for (number, expected) in [
        (1 << 52, 1 << 52),
        ((1 << 53) - 1, (1 << 53) - 1),
        (1 << 53, 0),
        ((1 << 53) + 5, 5),
        (u64::MAX, (1 << 53) - 1),
    ] {
        let request = serde_json::json!({ "incarnation": number });
        for encoding in BOTH {
            let bytes = encoding.encode(&request).unwrap();
            let read: sync::HeadsRequest = encoding.decode(&bytes).unwrap();
            assert_eq!(read.incarnation, Some(Incarnation::new(number)));
            assert_eq!(read.incarnation.map(Incarnation::get), Some(expected));
        }
    }
}

#[test]
fn a_position_that_is_no_whole_number_is_refused() {
    for number in ["-1", "1.5", "\"1\"", "18446744073709551616", "1e3", "[1]"] {
        refuse::<message::Hole>(&format!("{{\"from\":1,\"to\":{number}}}"));
        refuse::<sync::HeadsRequest>(&format!("{{\"incarnation\":{number}}}"));
    }
}
