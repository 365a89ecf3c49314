//! Nothing that is printed for debugging tells a secret.
#![cfg(all(feature = "at-rest", feature = "auth"))]

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use ruggine_core::secret::SecretText;
use ruggine_core::{ConversationId, DeviceId, Timestamp, UserId};
use ruggine_crypto::at_rest::{
    Envelope, KeyRing, MasterKey, MasterKeyError, Purpose, RecordContext, Scope,
};
use ruggine_crypto::token::{self, TokenHash, TokenKind};

const PRIMARY: [u8; 32] = [
    0x8f, 0x1d, 0x3b, 0x5c, 0x7a, 0x9e, 0x0f, 0x21, 0x43, 0x65, 0x87, 0x09, 0xba, 0xdc, 0xfe, 0x10,
    0x32, 0x54, 0x76, 0x98, 0xba, 0xdc, 0xfe, 0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x8f,
];
const LEGACY: [u8; 32] = [
    0x4c, 0x0f, 0xfe, 0xe0, 0xde, 0xca, 0xfb, 0xad, 0x12, 0x34, 0x56, 0x78, 0x90, 0xab, 0xcd, 0xef,
    0x0f, 0x1e, 0x2d, 0x3c, 0x4b, 0x5a, 0x69, 0x78, 0x87, 0x96, 0xa5, 0xb4, 0xc3, 0xd2, 0xe1, 0xf0,
];

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn key(bytes: &[u8; 32]) -> MasterKey {
    MasterKey::from_hex(&hex(bytes)).expect("a good key")
}

fn ring() -> KeyRing {
    KeyRing::new(key(&PRIMARY), vec![key(&LEGACY)]).expect("two keys")
}

fn envelope(plaintext: &[u8]) -> Envelope {
    let row = RecordContext {
        purpose: Purpose::Message,
        scope: Scope::Conversation(ConversationId::from_bytes([1; 16])),
        record: [2; 16],
        sender: UserId::from_bytes([3; 16]),
        device: DeviceId::from_bytes([4; 16]),
        ts: Timestamp::from_millis(5),
        content_type: "message",
    };
    ring().seal(&row, plaintext).expect("a short record")
}

/// Whether a text tells six neighbouring bytes of a secret, in hexadecimal,
/// base64 or as numbers, however they are set apart.
fn tells(text: &str, secret: &[u8]) -> bool {
    let close: String = text
        .chars()
        .filter(|c| !c.is_whitespace() && !matches!(c, ':' | '-' | '_'))
        .collect();
    let small = close.to_ascii_lowercase();
    let numbers = |form: fn(&u8) -> String, window: &[u8]| {
        window.iter().map(form).collect::<Vec<_>>().join(",")
    };
    secret.windows(6).any(|window| {
        let url_safe = URL_SAFE_NO_PAD.encode(window);
        small.contains(&hex(window))
            || text.contains(&url_safe)
            || text.contains(&STANDARD_NO_PAD.encode(window))
            || small.contains(&numbers(u8::to_string, window))
            || small.contains(&numbers(|byte| format!("{byte:x}"), window))
            || small.contains(&numbers(|byte| format!("{byte:02x}"), window))
            || small.contains(&numbers(|byte| format!("0x{byte:x}"), window))
            || small.contains(&numbers(|byte| format!("0x{byte:02x}"), window))
            || std::str::from_utf8(window).is_ok_and(|plain| text.contains(plain))
    })
}

fn assert_silent(shown: &impl std::fmt::Debug, secrets: &[&[u8]]) {
    let mut texts = vec![format!("{shown:?}"), format!("{shown:#?}")];
    texts.extend([format!("{shown:x?}"), format!("{shown:#X?}")]);
    for text in texts {
        for secret in secrets {
            assert!(!tells(&text, secret), "a secret in {text}");
        }
    }
}

#[test]
fn the_search_finds_a_secret_in_every_common_spelling() {
    for leak in [
        hex(&PRIMARY),
        hex(&PRIMARY).to_uppercase(),
        format!("MasterKey({:?})", PRIMARY),
        format!("{:#?}", PRIMARY),
        format!("{:x?}", PRIMARY),
        format!("{:02X?}", PRIMARY),
        format!("{:#04x?}", PRIMARY),
        format!("{:#X?}", PRIMARY),
        URL_SAFE_NO_PAD.encode(PRIMARY),
        STANDARD_NO_PAD.encode(PRIMARY),
        STANDARD_NO_PAD.encode([&[0; 7], &PRIMARY[..]].concat()),
        hex(&PRIMARY[20..]),
        PRIMARY.map(|byte| format!("{byte:02x}")).join(":"),
        uuid_like(&PRIMARY[..16]),
    ] {
        assert!(tells(&leak, &PRIMARY), "{leak}");
        assert!(!tells(&leak, &LEGACY), "{leak}");
    }
    assert!(tells("the password is hunter2", b"hunter2"));
    assert!(!tells("MasterKey(181a21bb514b0510, [redacted])", &PRIMARY));
}

fn uuid_like(bytes: &[u8]) -> String {
    UserId::try_from(bytes).expect("sixteen bytes").to_string()
}

#[test]
fn a_master_key_prints_its_id_only() {
    let key = key(&PRIMARY);
    assert_eq!(
        format!("{key:?}"),
        "MasterKey(181a21bb514b0510, [redacted])"
    );
    assert_eq!(
        format!("{key:#?}"),
        "MasterKey(181a21bb514b0510, [redacted])"
    );
    assert_silent(&key, &[&PRIMARY]);
}

#[test]
fn a_key_id_prints_itself_and_nothing_of_the_key() {
    let id = key(&PRIMARY).id();
    assert_eq!(format!("{id:?}"), "KeyId(181a21bb514b0510)");
    assert_eq!(id.to_string(), "181a21bb514b0510");
    assert_silent(&id, &[&PRIMARY]);
}

#[test]
fn a_key_ring_prints_the_ids_of_its_keys_only() {
    let ring = ring();
    let expected = "KeyRing { primary: KeyId(181a21bb514b0510), \
                    legacy: [KeyId(ae9bc24a72f1015d)], .. }";
    assert_eq!(format!("{ring:?}"), expected);
    assert_silent(&ring, &[&PRIMARY, &LEGACY]);
}

#[test]
fn a_sealed_record_prints_neither_its_plaintext_nor_a_key() {
    let plaintext = b"nobody reads this in a log";
    let envelope = envelope(plaintext);
    assert_silent(&envelope, &[&PRIMARY, &LEGACY, plaintext]);
    assert_silent(envelope.meta(), &[&PRIMARY, &LEGACY, plaintext]);
    assert!(format!("{envelope:?}").contains("KeyId(181a21bb514b0510)"));
}

#[test]
fn a_refused_master_key_is_not_repeated_in_the_refusal() {
    let almost = format!("{}g", &hex(&PRIMARY)[..63]);
    let short = hex(&PRIMARY)[..62].to_owned();
    let equal = "ab".repeat(32);
    for (text, secret) in [
        (almost, &PRIMARY[..31]),
        (short, &PRIMARY[..31]),
        (equal, &[0xab; 32]),
    ] {
        let refusal: MasterKeyError = MasterKey::from_hex(&text).expect_err("a bad key");
        assert_silent(&refusal, &[secret]);
        assert!(!tells(&refusal.to_string(), secret), "{refusal}");
    }
}

#[test]
fn a_key_named_twice_is_told_by_its_id() {
    let refusal = KeyRing::new(key(&PRIMARY), vec![key(&PRIMARY)]).expect_err("one key twice");
    assert_silent(&refusal, &[&PRIMARY]);
    assert_eq!(
        refusal.to_string(),
        "the master key 181a21bb514b0510 is named twice"
    );
}

#[test]
fn a_token_and_its_hash_print_nothing() {
    let user = UserId::from_bytes([7; 16]);
    let (text, hash) = token::issue(TokenKind::Access, user).expect("randomness");
    let body = URL_SAFE_NO_PAD
        .decode(&text.expose()[4..])
        .expect("base64url");
    let secret = &body[16..];

    assert_eq!(format!("{text:?}"), "[redacted]");
    assert_eq!(format!("{hash:?}"), "TokenHash([redacted])");
    assert_silent(&text, &[secret, text.expose().as_bytes()]);
    assert_silent(&hash, &[secret, hash.as_bytes()]);

    let presented = token::parse(TokenKind::Access, text.expose()).expect("the same token");
    assert_eq!(
        format!("{presented:?}"),
        "Presented { user: UserId(07070707-0707-0707-0707-070707070707), \
         hash: TokenHash([redacted]) }"
    );
    assert_silent(
        &presented,
        &[secret, hash.as_bytes(), text.expose().as_bytes()],
    );
}

#[test]
fn a_hash_read_from_storage_prints_nothing() {
    let hash = TokenHash::from_bytes(PRIMARY);
    assert_eq!(format!("{hash:#?}"), "TokenHash([redacted])");
    assert_silent(&hash, &[&PRIMARY]);
}

#[test]
fn a_secret_text_prints_nothing_wherever_it_stands() {
    #[derive(Debug)]
    #[expect(dead_code, reason = "only printed")]
    struct Login {
        name: &'static str,
        password: SecretText,
    }
    let login = Login {
        name: "ada",
        password: SecretText::new("correct horse battery"),
    };
    assert_eq!(
        format!("{login:?}"),
        "Login { name: \"ada\", password: [redacted] }"
    );
    assert_silent(&login, &[b"correct horse battery"]);
    assert_silent(&Some(SecretText::new("correct horse")), &[b"correct horse"]);
}

#[test]
fn a_master_key_is_wiped_when_it_is_dropped() {
    const fn wiped<T: zeroize::ZeroizeOnDrop>() {}
    wiped::<MasterKey>();
}
