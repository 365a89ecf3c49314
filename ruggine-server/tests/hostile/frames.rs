//! Frames of a WebSocket that break its rules or are of the wrong kind.

use ruggine_core::codec::Encoding;
use ruggine_core::limits;

use super::raw_socket::{
    BAD_FRAME, BINARY, CLOSE, CONTINUATION, Ended, FIN, NOT_UTF8, PING, PROTOCOL_ERROR, TEXT,
    TOO_BIG, frame, header,
};
use super::scene::{BOTH, Scene};

/// A request of exactly so many bytes that asks for heads.
fn padded(encoding: Encoding, id: u8, length: usize) -> Vec<u8> {
    let (mut bytes, end): (Vec<u8>, &[u8]) = match encoding {
        Encoding::Json => {
            let text = format!(r#"{{"id":{id},"method":"sync.heads","pad":""#);
            (text.into(), b"\"}")
        }
        Encoding::MsgPack => {
            let mut bytes = b"\x83\xa2id".to_vec();
            bytes.push(id);
            bytes.extend(b"\xa6method\xaasync.heads\xa3pad\xc6");
            let rest = length - bytes.len() - 4;
            bytes.extend(u32::try_from(rest).unwrap().to_be_bytes());
            (bytes, b"")
        }
    };
    bytes.resize(length - end.len(), b'x');
    bytes.extend(end);
    assert_eq!(bytes.len(), length);
    bytes
}

#[tokio::test]
async fn a_message_of_64_kib_is_read_and_one_byte_more_closes() {
    let mut scene = Scene::new().await;
    for encoding in BOTH {
        for greeted in [false, true] {
            let what = format!("{encoding:?}, greeted: {greeted}");
            let mut socket = scene.raw(encoding, greeted).await;
            socket
                .message(&padded(encoding, 1, limits::CLIENT_FRAME_MAX))
                .await;
            let answer = socket.answer().await;
            assert_eq!(answer["result"].is_object(), greeted, "{what}: {answer}");
            socket
                .message(&padded(encoding, 2, limits::CLIENT_FRAME_MAX + 1))
                .await;
            assert_eq!(socket.ended().await.code, Some(TOO_BIG), "{what}");
            scene.is_unharmed(&what).await;
        }
    }
}

#[tokio::test]
async fn a_length_that_is_only_declared_closes_before_a_byte_of_it_comes() {
    let mut scene = Scene::new().await;
    for length in [
        limits::CLIENT_FRAME_MAX as u64 + 1,
        64 << 20,
        1 << 40,
        u64::MAX >> 1,
        u64::MAX,
    ] {
        for greeted in [false, true] {
            let mut socket = scene.raw(Encoding::MsgPack, greeted).await;
            let mut bytes = header(FIN | BINARY, length);
            bytes.extend([0; 4]);
            socket.send(&bytes).await;
            let code = socket.ended().await.code;
            assert!(
                matches!(code, Some(TOO_BIG | PROTOCOL_ERROR)),
                "{length}: {code:?}"
            );
        }
        scene.is_unharmed(&format!("{length} bytes declared")).await;
    }
}

#[tokio::test]
async fn fragments_count_together_however_small_they_are() {
    let mut scene = Scene::new().await;
    let piece = |number: usize| match number {
        0 => frame(TEXT, b"x"),
        _ => frame(CONTINUATION, b"x"),
    };
    for greeted in [false, true] {
        let mut socket = scene.raw(Encoding::Json, greeted).await;
        let flood: Vec<u8> = (0..100_000).flat_map(piece).collect();
        socket.try_send(&flood).await;
        assert_eq!(
            socket.ended().await.code,
            Some(TOO_BIG),
            "greeted: {greeted}"
        );
        scene.is_unharmed("100,000 fragments").await;
    }

    let mut socket = scene.raw(Encoding::Json, true).await;
    let halves = [
        frame(TEXT, &[b'x'; 40 * 1024]),
        frame(FIN, &[b'x'; 40 * 1024]),
    ];
    socket.try_send(&halves.concat()).await;
    assert_eq!(socket.ended().await.code, Some(TOO_BIG));

    let mut socket = scene.raw(Encoding::Json, true).await;
    let request = padded(Encoding::Json, 7, 2_000);
    for (number, byte) in request.iter().enumerate() {
        let first = if number == 0 { TEXT } else { CONTINUATION };
        let last = if number + 1 == request.len() { FIN } else { 0 };
        socket.send(&frame(first | last, &[*byte])).await;
        if number == 1_000 {
            // A control frame may stand between fragments.
            socket.send(&frame(FIN | PING, b"between")).await;
        }
    }
    assert_eq!(socket.answer().await["id"], 7);
    scene.is_unharmed("small fragments within the limit").await;
}

#[tokio::test]
async fn text_that_is_not_utf_8_closes() {
    let mut scene = Scene::new().await;
    let whole = |bytes: &[u8]| frame(FIN | TEXT, bytes);
    let cases = [
        whole(b"{\"id\":1,\"method\":\"\xff\"}"),
        whole(b"\xc0\x80"),
        whole(b"\xed\xa0\x80"),
        whole(b"\xf4\x90\x80\x80"),
        whole(b"{\"id\":1}\xe2\x82"),
        [frame(TEXT, b"{\"id\":\xe2"), frame(FIN, b"\x28\xa1")].concat(),
        frame(FIN | CLOSE, b"\x03\xe8\xff"),
    ];
    for (number, bytes) in cases.iter().enumerate() {
        for greeted in [false, true] {
            let mut socket = scene.raw(Encoding::Json, greeted).await;
            socket.send(bytes).await;
            let code = socket.ended().await.code;
            assert_eq!(code, Some(NOT_UTF8), "case {number}, greeted: {greeted}");
        }
        scene.is_unharmed(&format!("case {number}")).await;
    }
    // A character that is split over two fragments is one.
    let mut socket = scene.raw(Encoding::Json, true).await;
    socket
        .send(&frame(TEXT, b"{\"id\":3,\"method\":\"\xc3"))
        .await;
    socket.send(&frame(FIN, b"\xa8\"}")).await;
    assert_eq!(socket.refusal(3).await, "unknown_method");
}

#[tokio::test]
async fn a_broken_websocket_frame_closes() {
    let mut scene = Scene::new().await;
    let body = br#"{"id":1,"method":"sync.heads"}"#;
    let mut unmasked = frame(FIN | TEXT, body);
    unmasked[1] &= 0x7f;
    let cases: [(&str, Vec<u8>); 13] = [
        ("unmasked", unmasked),
        ("first reserved bit", frame(FIN | 0x40 | TEXT, body)),
        ("second reserved bit", frame(FIN | 0x20 | TEXT, body)),
        ("third reserved bit", frame(FIN | 0x10 | TEXT, body)),
        ("reserved bit of a ping", frame(FIN | 0x40 | PING, b"")),
        ("reserved data opcode", frame(FIN | 0x3, body)),
        ("reserved control opcode", frame(FIN | 0xb, b"")),
        ("fragmented ping", frame(PING, b"")),
        ("long ping", frame(FIN | PING, &[0; 126])),
        ("continuation of nothing", frame(FIN | CONTINUATION, body)),
        (
            "text inside text",
            [frame(TEXT, b"{"), frame(FIN | TEXT, body)].concat(),
        ),
        ("close of one byte", frame(FIN | CLOSE, b"\x03")),
        (
            "close code that none may send",
            frame(FIN | CLOSE, &1005u16.to_be_bytes()),
        ),
    ];
    for (what, bytes) in &cases {
        for greeted in [false, true] {
            let mut socket = scene.raw(Encoding::Json, greeted).await;
            socket.send(bytes).await;
            let code = socket.ended().await.code;
            assert_eq!(code, Some(PROTOCOL_ERROR), "{what}, greeted: {greeted}");
        }
        scene.is_unharmed(what).await;
    }
}

/// A reset may overtake the close frame, and then nobody learns the code.
#[tokio::test]
async fn a_close_is_not_followed_by_a_reset() {
    let scene = Scene::new().await;
    let long = vec![b'x'; limits::CLIENT_FRAME_MAX + 1];
    let more = vec![b'x'; 8 * 1024];
    let cases: [(&str, u16, Vec<u8>); 4] = [
        ("wrong kind", BAD_FRAME, frame(FIN | BINARY, b"\x80")),
        ("too long", TOO_BIG, frame(FIN | TEXT, &long)),
        ("not UTF-8", NOT_UTF8, frame(FIN | TEXT, b"\xff")),
        (
            "reserved bit",
            PROTOCOL_ERROR,
            frame(FIN | 0x40 | TEXT, b"{}"),
        ),
    ];
    for (what, code, bytes) in cases {
        let mut socket = scene.raw(Encoding::Json, true).await;
        let bytes = [bytes, frame(FIN | TEXT, &more), frame(FIN | TEXT, &more)].concat();
        socket.send(&bytes).await;
        let ended = Ended {
            code: Some(code),
            reset: false,
        };
        assert_eq!(socket.ended_unanswered().await, ended, "{what}");
    }
}

#[tokio::test]
async fn a_frame_of_the_other_kind_closes() {
    let mut scene = Scene::new().await;
    for encoding in BOTH {
        for greeted in [false, true] {
            let mut socket = scene.raw(encoding, greeted).await;
            let (opcode, bytes): (u8, &[u8]) = match encoding {
                Encoding::Json => (BINARY, b"\x82\xa2id\x01\xa6method\xaasync.heads"),
                Encoding::MsgPack => (TEXT, br#"{"id":1,"method":"sync.heads"}"#),
            };
            socket.send(&frame(FIN | opcode, bytes)).await;
            let code = socket.ended().await.code;
            assert_eq!(code, Some(BAD_FRAME), "{encoding:?}, greeted: {greeted}");
        }
        scene
            .is_unharmed(&format!("the other kind than {encoding:?}"))
            .await;
    }
}
