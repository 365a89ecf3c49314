//! Master keys: their ids, and the texts that are none.

use proptest::prelude::*;
use ruggine_crypto::at_rest::{KeyId, MasterKey, MasterKeyError};

use super::samples::{LEGACY, PRIMARY, key, row, sealed};

#[test]
fn a_key_id_follows_from_the_key_and_from_nothing_else() {
    assert_eq!(key(PRIMARY).id(), key(PRIMARY).id());
    assert_eq!(
        key(PRIMARY).id(),
        key(&PRIMARY.to_ascii_uppercase()).id(),
        "capitals spell the same key"
    );
    assert_ne!(key(PRIMARY).id(), key(LEGACY).id());
    assert_eq!(sealed(&row()).kid(), key(PRIMARY).id());
    let spelled = key(PRIMARY).id().to_string();
    assert_eq!(KeyId::from_hex(&spelled), Some(key(PRIMARY).id()));
    assert!(!PRIMARY.contains(&spelled));
}

proptest! {
    #[test]
    fn a_change_of_one_bit_in_the_key_is_another_key(bit in 0..256_usize) {
        let mut bytes: Vec<u8> = (0..64)
            .step_by(2)
            .map(|at| u8::from_str_radix(&PRIMARY[at..at + 2], 16).unwrap())
            .collect();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let changed: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        prop_assert_ne!(key(&changed).id(), key(PRIMARY).id());
    }
}

#[test]
fn a_master_key_is_written_as_it_was_read() {
    assert_eq!(*key(PRIMARY).to_hex(), PRIMARY);
    let fresh = MasterKey::generate();
    assert_eq!(key(&fresh.to_hex()).id(), fresh.id());
    assert_ne!(fresh.id(), MasterKey::generate().id());
}

#[test]
fn a_master_key_of_another_length_is_refused() {
    for (text, length) in [
        (String::new(), 0),
        (PRIMARY[1..].to_owned(), 63),
        (format!("{PRIMARY}0"), 65),
        (format!("{PRIMARY}\n"), 65),
        (format!(" {PRIMARY}"), 65),
        (PRIMARY[..32].to_owned(), 32),
        (PRIMARY.repeat(2), 128),
    ] {
        let refusal = MasterKey::from_hex(&text).unwrap_err();
        assert_eq!(refusal, MasterKeyError::Length(length));
    }
}

#[test]
fn a_master_key_that_is_not_hexadecimal_is_refused() {
    for bad in ['g', 'G', 'x', ' ', '-', '+', '\0', '/', ':', '@', '`'] {
        for at in [0, 1, 31, 62, 63] {
            let mut text = PRIMARY.to_owned();
            text.replace_range(at..=at, bad.encode_utf8(&mut [0; 4]));
            let refusal = MasterKey::from_hex(&text).unwrap_err();
            assert_eq!(refusal, MasterKeyError::NotHex, "{bad:?} at {at}");
        }
    }
    let prefixed = format!("0x{}", &PRIMARY[2..]);
    assert_eq!(
        MasterKey::from_hex(&prefixed).unwrap_err(),
        MasterKeyError::NotHex
    );
}

#[test]
fn a_master_key_in_other_characters_than_ascii_is_refused() {
    for text in [
        "é".repeat(32),
        "é".repeat(64),
        "０".repeat(64),
        format!("{}é", &PRIMARY[..62]),
        format!("{}é", &PRIMARY[..63]),
        "🔑".repeat(16),
    ] {
        assert!(MasterKey::from_hex(&text).is_err(), "{text}");
    }
}

#[test]
fn a_master_key_of_equal_bytes_is_refused() {
    for byte in 0..=255_u8 {
        let text = format!("{byte:02x}").repeat(32);
        let refusal = MasterKey::from_hex(&text).unwrap_err();
        assert_eq!(refusal, MasterKeyError::AllEqual, "{byte}");
    }
}

#[test]
fn the_sample_master_key_is_refused_in_small_letters_and_capitals() {
    let sample = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    let mixed = sample.replace('a', "A").replace('e', "E");
    for text in [sample, &sample.to_ascii_uppercase(), &mixed] {
        let refusal = MasterKey::from_hex(text).unwrap_err();
        assert_eq!(refusal, MasterKeyError::Sample, "{text}");
    }
}
