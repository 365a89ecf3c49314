//! Requests over a socket that have no readable id, or nothing right beside it.

use ruggine_core::codec::Encoding;
use ruggine_core::limits;
use serde_json::json;

use super::raw_socket::BAD_FRAME;
use super::scene::Scene;

#[tokio::test]
async fn a_frame_without_a_readable_id_closes() {
    let mut scene = Scene::new().await;
    let deep = format!(
        r#"{{"id":1,"method":"sync.heads","params":{}"#,
        "[".repeat(10_000)
    );
    let closed = format!("{deep}{}}}", "]".repeat(10_000));
    let many = format!(
        r#"{{"id":1,"method":"presence.query","params":{{"users":[{}]}}}}"#,
        vec!["0"; limits::ELEMENTS_MAX + 1].join(",")
    );
    let json = [
        "",
        " ",
        "{}",
        "null",
        "[]",
        "7",
        "\"hello\"",
        "nonsense",
        "{",
        "}",
        "\0",
        "\u{feff}{}",
        r#"{"method":"sync.heads"}"#,
        r#"{"id":null,"method":"sync.heads"}"#,
        r#"{"id":"1","method":"sync.heads"}"#,
        r#"{"id":-1,"method":"sync.heads"}"#,
        r#"{"id":1.5,"method":"sync.heads"}"#,
        r#"{"id":18446744073709551616,"method":"sync.heads"}"#,
        r#"{"id":1,"id":1,"method":"sync.heads"}"#,
        r#"{"id":1,"method":"sync.heads"} {"id":2}"#,
        r#"{"id":1,"method":"sync.heads""#,
        r#"[1,"sync.heads",{}]"#,
        &deep,
        &closed,
        &many,
    ];
    for text in json {
        for greeted in [false, true] {
            let mut socket = scene.raw(Encoding::Json, greeted).await;
            socket.message(text.as_bytes()).await;
            let code = socket.ended().await.code;
            assert_eq!(code, Some(BAD_FRAME), "{:.60}, greeted: {greeted}", text);
        }
    }
    scene.is_unharmed("JSON frames without an id").await;

    let lying = |marker: u8| {
        let mut bytes = b"\x83\xa2id\x01\xa6method\xaasync.heads\xa6params".to_vec();
        bytes.push(marker);
        bytes.extend([0xff; 4]);
        bytes
    };
    let mut deep = b"\x83\xa2id\x01\xa6method\xaasync.heads\xa6params".to_vec();
    deep.extend([0x91; 10_000]);
    deep.push(0xc0);
    let msgpack: Vec<Vec<u8>> = vec![
        b"".to_vec(),
        b"\x80".to_vec(),
        b"\xc0".to_vec(),
        b"\xc1".to_vec(),
        b"\x93\x01\xaasync.heads\x80".to_vec(),
        b"\x81\xa2id".to_vec(),
        b"\x81\xa2id\xd3\xff\xff\xff\xff\xff\xff\xff\xff".to_vec(),
        b"\x81\xa2id\x01\x00".to_vec(),
        b"\x82\xa2id\x01\xa2id\x01".to_vec(),
        b"\x82\xa2id\x01\xa6method\xd4\x01\x00".to_vec(),
        b"\xdf\xff\xff\xff\xff".to_vec(),
        b"\xdd\xff\xff\xff\xff".to_vec(),
        b"\xdb\xff\xff\xff\xff".to_vec(),
        b"\xc6\xff\xff\xff\xff".to_vec(),
        lying(0xc6),
        lying(0xc9),
        lying(0xdb),
        lying(0xdd),
        lying(0xdf),
        deep,
    ];
    for bytes in msgpack {
        for greeted in [false, true] {
            let mut socket = scene.raw(Encoding::MsgPack, greeted).await;
            socket.message(&bytes).await;
            let code = socket.ended().await.code;
            let start = &bytes[..bytes.len().min(48)];
            assert_eq!(code, Some(BAD_FRAME), "{start:02x?}, greeted: {greeted}");
        }
    }
    scene.is_unharmed("MessagePack frames without an id").await;
}

#[tokio::test]
async fn a_frame_with_an_id_is_answered_whatever_else_is_wrong() {
    let mut scene = Scene::new().await;
    let mut socket = scene.raw(Encoding::Json, true).await;
    let cases = [
        (r#"{"id":ID}"#, "bad_frame"),
        (r#"{"id":ID,"method":null}"#, "bad_frame"),
        (r#"{"id":ID,"method":5}"#, "bad_frame"),
        (r#"{"id":ID,"method":["sync.heads"]}"#, "bad_frame"),
        (
            r#"{"id":ID,"method":"sync.heads","method":"sync.heads"}"#,
            "bad_frame",
        ),
        (
            r#"{"id":ID,"method":"sync.heads","write_counter":-1}"#,
            "bad_frame",
        ),
        (
            r#"{"id":ID,"method":"sync.heads","write_counter":"1"}"#,
            "bad_frame",
        ),
        (
            r#"{"id":ID,"method":"sync.heads","params":{},"params":{}}"#,
            "bad_frame",
        ),
        (r#"{"id":ID,"method":""}"#, "unknown_method"),
        (r#"{"id":ID,"method":"SYNC.HEADS"}"#, "unknown_method"),
        (r#"{"id":ID,"method":"sync.heads\u0000"}"#, "unknown_method"),
        (r#"{"id":ID,"method":"sync.heads "}"#, "unknown_method"),
        (
            r#"{"id":ID,"method":"'; DROP TABLE users; --"}"#,
            "unknown_method",
        ),
        (
            r#"{"id":ID,"method":"message.delete","params":{}}"#,
            "unknown_method",
        ),
        (r#"{"id":ID,"method":"user.lookup"}"#, "invalid_params"),
        (
            r#"{"id":ID,"method":"user.lookup","params":null}"#,
            "invalid_params",
        ),
        (
            r#"{"id":ID,"method":"user.lookup","params":[]}"#,
            "invalid_params",
        ),
        (
            r#"{"id":ID,"method":"user.lookup","params":["ada"]}"#,
            "invalid_params",
        ),
        (
            r#"{"id":ID,"method":"user.lookup","params":"ada"}"#,
            "invalid_params",
        ),
        (
            r#"{"id":ID,"method":"user.lookup","params":{"username":null}}"#,
            "invalid_params",
        ),
        (
            r#"{"id":ID,"method":"user.lookup","params":{"username":"ada","username":"bob"}}"#,
            "invalid_params",
        ),
    ];
    for (number, (text, expected)) in (1..).zip(cases) {
        let request = text.replace("ID", &number.to_string());
        socket.message(request.as_bytes()).await;
        assert_eq!(socket.refusal(number).await, expected, "{text}");
    }
    socket.begin(99, &json!({"method": "sync.heads"})).await;
    assert!(socket.answer().await["result"].is_object());

    let mut socket = scene.raw(Encoding::MsgPack, true).await;
    let cases: [(&[u8], &str); 6] = [
        (b"\x81\xa2id\x01", "bad_frame"),
        (b"\x82\xa2id\x01\xa6method\x05", "bad_frame"),
        (b"\x82\xa2id\x01\xa6method\xa1\xff", "bad_frame"),
        (b"\x82\xa2id\x01\xa6method\xa4nope", "unknown_method"),
        (
            b"\x83\xa2id\x01\xa6method\xabuser.lookup\xa6params\x90",
            "invalid_params",
        ),
        (
            b"\x83\xa2id\x01\xa6method\xabuser.lookup\xa6params\x81\xa8username\xa1\xff",
            "invalid_params",
        ),
    ];
    for (bytes, expected) in cases {
        socket.message(bytes).await;
        assert_eq!(socket.refusal(1).await, expected, "{bytes:02x?}");
    }
    scene
        .is_unharmed("frames that are wrong beside their id")
        .await;
}
