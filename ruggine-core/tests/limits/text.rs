//! Text, byte strings and ids in each encoding.

use ruggine_core::Content;
use ruggine_core::api::{account, conversation, message};
use ruggine_core::codec::{DecodeError, Encoding};
use ruggine_core::frame::ClientFrame;

use super::BOTH;
use super::by_hand::{packed_frame, packed_map};

pub(crate) fn username(encoding: Encoding, bytes: &[u8]) -> Result<String, DecodeError> {
    encoding
        .decode::<account::LookUp>(bytes)
        .map(|r| r.username)
}

#[test]
fn text_that_is_not_utf_8_is_refused() {
    for bad in [
        &b"\xff"[..],
        b"\xc0\x80",
        b"\xed\xa0\x80",
        b"\xf5\x80\x80\x80",
        b"\xc3",
    ] {
        let text = [b"{\"username\":\"", bad, b"\"}"].concat();
        assert!(username(Encoding::Json, &text).is_err(), "{bad:x?}");
        let frame = [
            b"{\"id\":7,\"method\":\"hello\",\"params\":",
            &text[..],
            b"}",
        ]
        .concat();
        let readable = ClientFrame::decode(Encoding::Json, &frame)
            .is_ok_and(|frame| frame.params.decode::<account::LookUp>().is_ok());
        assert!(!readable, "{bad:x?}");
        let frame = [b"{\"id\":7,\"method\":\"", bad, b"\"}"].concat();
        assert!(ClientFrame::decode(Encoding::Json, &frame).is_err());
        let payload = [b"{\"text\":{\"body\":\"", bad, b"\"}}"].concat();
        assert!(Content::from_payload(&payload).is_err());

        let header = 0xa0 + u8::try_from(bad.len()).unwrap();
        let packed = [&[header], bad].concat();
        let params = packed_map(&[("username", &packed)]);
        assert!(username(Encoding::MsgPack, &params).is_err(), "{bad:x?}");
        let frame = packed_frame(&params);
        let read = ClientFrame::decode(Encoding::MsgPack, &frame).unwrap();
        assert!(read.params.decode::<account::LookUp>().is_err());
        let frame = packed_map(&[("id", &[7]), ("method", &packed)]);
        assert!(ClientFrame::decode(Encoding::MsgPack, &frame).is_err());
    }
}

#[test]
fn half_a_surrogate_pair_is_refused_and_a_whole_one_is_read() {
    for half in [
        r"\ud83e",
        r"\udd80",
        r"\udd80\ud83e",
        r"\ud83ex",
        r"\ud83e\n",
        r"\ud83e\u0041",
        r"\ud8",
    ] {
        let text = format!("{{\"username\":\"{half}\"}}");
        assert!(username(Encoding::Json, text.as_bytes()).is_err(), "{half}");
        let payload = format!("{{\"text\":{{\"body\":\"{half}\"}}}}");
        assert!(Content::from_payload(payload.as_bytes()).is_err());
        let payload = format!("{{\"future\":\"{half}\"}}");
        assert!(Content::from_payload(payload.as_bytes()).is_err());
    }
    let crab = username(Encoding::Json, br#"{"username":"\ud83e\udd80"}"#).unwrap();
    assert_eq!(crab, "🦀");
}

#[test]
fn control_characters_are_kept_as_they_are() {
    let kept = "a\0b\u{1b}[31m\u{7f}\r\n\u{2028}\u{feff}\u{202e}z";
    let request = account::LookUp {
        username: kept.to_owned(),
    };
    for encoding in BOTH {
        let bytes = encoding.encode(&request).unwrap();
        assert_eq!(username(encoding, &bytes).unwrap(), kept);
    }
    assert_eq!(
        username(Encoding::Json, br#"{"username":"a\u0000b"}"#).unwrap(),
        "a\0b"
    );
    // JSON has them escaped; raw they are no JSON.
    assert!(username(Encoding::Json, b"{\"username\":\"a\0b\"}").is_err());
}

#[test]
fn a_byte_string_in_json_is_base64url_without_padding() {
    let send = |payload: &str| {
        let id = "019b76da-a800-7001-8000-00000000cc01";
        let text = format!(
            "{{\"conversation\":\"{id}\",\"client_msg_id\":\"{id}\",\"payload\":{payload}}}"
        );
        Encoding::Json.decode::<message::Send>(text.as_bytes())
    };
    let read = send("\"-_8\"").unwrap();
    assert_eq!(read.payload.as_deref(), Some(&[0xfb, 0xff][..]));
    for bad in [
        "\"+/8\"",
        "\"-_8=\"",
        "\"-_9\"",
        "\"-\"",
        "\"- 8\"",
        "[251,255]",
        "7",
    ] {
        assert!(send(bad).is_err(), "{bad}");
    }
}

#[test]
fn an_id_is_sixteen_bytes_and_nothing_else() {
    for length in [0usize, 15, 17, 32, 36] {
        let mut id = vec![0xc4, u8::try_from(length).unwrap()];
        id.resize(2 + length, 1);
        let packed = packed_map(&[("conversation", &id)]);
        let read = Encoding::MsgPack.decode::<conversation::Get>(&packed);
        assert!(read.is_err(), "{length}");
    }
    for id in ["", "7", "019b76da-a800-7001-8000-00000000cc0", "no-id"] {
        let text = format!("{{\"conversation\":\"{id}\"}}");
        let read = Encoding::Json.decode::<conversation::Get>(text.as_bytes());
        assert!(read.is_err(), "{id}");
    }
}
