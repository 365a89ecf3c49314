//! Lengths that are declared, and bytes that are too few or too many.

use ruggine_core::codec::{BoundsError, Encoding};
use ruggine_core::frame::ClientFrame;
use serde_json::Value;

use super::by_hand::{broken_bound, json_frame, packed_frame, packed_map, packed_text};

#[test]
fn a_huge_declared_length_is_refused_before_anything_is_allocated() {
    let too_many = BoundsError::TooManyElements(1_000);
    for (marker, bound) in [
        (0xdd, too_many.clone()),
        (0xdf, too_many),
        (0xc6, BoundsError::Truncated),
        (0xdb, BoundsError::Truncated),
    ] {
        let declared = [marker, 0xff, 0xff, 0xff, 0xff];
        for bytes in [declared.to_vec(), packed_frame(&declared)] {
            assert_eq!(
                broken_bound(Encoding::MsgPack, &bytes),
                Some(bound.clone()),
                "{marker:#x}"
            );
            assert!(Encoding::MsgPack.decode::<Value>(&bytes).is_err());
        }
    }
    // Half-sized markers have lengths that a peer can declare as well.
    for (marker, bound) in [
        (0xdc, BoundsError::TooManyElements(1_000)),
        (0xde, BoundsError::TooManyElements(1_000)),
        (0xc5, BoundsError::Truncated),
        (0xda, BoundsError::Truncated),
    ] {
        let bytes = packed_frame(&[marker, 0xff, 0xff]);
        assert_eq!(broken_bound(Encoding::MsgPack, &bytes), Some(bound));
    }
}

#[test]
fn a_length_within_the_limits_is_still_compared_with_the_bytes() {
    for params in [
        &[0xdd, 0, 0, 0x03, 0xe8][..],
        &[0xdf, 0, 0, 0x03, 0xe8],
        &[0x91],
        &[0x81, 0x01],
        &[0xc4, 2, 0],
        &[0xa2, b'x'],
        &[0xcf, 0, 0],
        &[0xc6, 0],
        &[],
    ] {
        assert_eq!(
            broken_bound(Encoding::MsgPack, &packed_frame(params)),
            Some(BoundsError::Truncated),
            "{params:x?}"
        );
    }
}

#[test]
fn a_frame_that_ends_early_is_refused_wherever_it_ends() {
    let packed = packed_frame(&packed_map(&[
        ("token", &packed_text("t")),
        ("protocol", &[1]),
    ]));
    for end in 0..packed.len() {
        let cut = &packed[..end];
        assert_eq!(
            broken_bound(Encoding::MsgPack, cut),
            Some(BoundsError::Truncated)
        );
    }
    let text = json_frame(r#"{"token":"t","protocol":1}"#);
    for end in 0..text.len() {
        assert!(ClientFrame::decode(Encoding::Json, &text[..end]).is_err());
    }
}

#[test]
fn bytes_after_a_frame_are_refused() {
    for after in [&[0xc0][..], &[0x00], &[0xc1], &packed_frame(&[0x80])] {
        let frame = [&packed_frame(&[0x80]), after].concat();
        assert_eq!(
            broken_bound(Encoding::MsgPack, &frame),
            Some(BoundsError::Trailing)
        );
        assert!(Encoding::MsgPack.decode::<Value>(&frame).is_err());
    }
    for after in ["{}", "0", "x", ",", "}"] {
        let frame = [&json_frame("{}"), after.as_bytes()].concat();
        assert!(
            ClientFrame::decode(Encoding::Json, &frame).is_err(),
            "{after}"
        );
    }
    let spaced = [b" \n", &json_frame("{}")[..], b"\r\n\t "].concat();
    assert!(ClientFrame::decode(Encoding::Json, &spaced).is_ok());
}
