//! Account keys.

use ruggine_crypto::identity::{AccountKey, AccountPublicKey, InvalidKey};
use zeroize::{ZeroizeOnDrop, Zeroizing};

use super::samples::{ADA, BAD_KEYS, BOB, account, hex, seed, unhex};

const SEED: [u8; 32] = [
    0x8f, 0x1d, 0x3b, 0x5c, 0x7a, 0x9e, 0x0f, 0x21, 0x43, 0x65, 0x87, 0x09, 0xba, 0xdc, 0xfe, 0x10,
    0x32, 0x54, 0x76, 0x98, 0xba, 0xdc, 0xfe, 0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x8f,
];

#[test]
fn a_seed_leads_back_to_the_same_key() {
    let key = account(ADA);
    assert_eq!(*key.seed(), seed(ADA));
    let again = AccountKey::from_seed(key.seed());
    assert_eq!(again.public(), key.public());
    assert_ne!(account(BOB).public(), key.public());
}

/// RFC 8032 section 7.1, test 1.
#[test]
fn a_published_seed_has_its_published_key() {
    let seed = unhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
    let public = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
    let key = AccountKey::from_seed(Zeroizing::new(seed));
    assert_eq!(hex(key.public().as_bytes()), public);
}

#[test]
fn fresh_keys_differ() {
    let (one, other) = (
        AccountKey::generate().unwrap(),
        AccountKey::generate().unwrap(),
    );
    assert_ne!(one.public(), other.public());
}

#[test]
fn bytes_lead_back_to_the_same_public_key() {
    let public = account(ADA).public();
    assert_eq!(AccountPublicKey::from_bytes(*public.as_bytes()), Ok(public));
}

#[test]
fn public_keys_that_anybody_can_sign_under_are_refused() {
    for (name, key) in BAD_KEYS {
        let answer = AccountPublicKey::from_bytes(unhex(key));
        assert_eq!(answer, Err(InvalidKey), "{name}");
    }
}

#[test]
fn a_public_key_prints_as_hexadecimal() {
    let public = account(ADA).public();
    let expected = format!("AccountPublicKey({})", hex(public.as_bytes()));
    assert_eq!(format!("{public:?}"), expected);
    assert_eq!(format!("{public:#?}"), expected);
}

#[test]
fn an_account_key_prints_its_public_half_only() {
    let key = AccountKey::from_seed(Zeroizing::new(SEED));
    let expected = format!("AccountKey({:?}, [redacted])", key.public());
    assert_eq!(format!("{key:?}"), expected);
    for shown in [
        format!("{key:?}"),
        format!("{key:#?}"),
        format!("{key:x?}"),
        format!("{key:#X?}"),
    ] {
        let lower = shown.to_ascii_lowercase();
        for window in SEED.windows(4) {
            assert!(!lower.contains(&hex(window)), "the secret in {shown}");
            let decimal: Vec<String> = window.iter().map(u8::to_string).collect();
            assert!(
                !lower.contains(&decimal.join(", ")),
                "the secret in {shown}"
            );
        }
    }
}

#[test]
fn an_account_key_is_wiped_when_it_is_dropped() {
    const fn wiped<T: ZeroizeOnDrop>() {}
    wiped::<AccountKey>();
}
