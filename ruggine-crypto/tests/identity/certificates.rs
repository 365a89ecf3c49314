//! Device certificates.

use ruggine_core::Timestamp;
use ruggine_crypto::identity::{CertificateError, CertificateFields, DeviceCertificate};

use super::samples::{
    ADA, BAD_KEYS, BOB, CERTIFICATE, END, MALLORY, START, account, body, certificate,
    certificate_at as at, device, fields, signature_key, signed, unhex, user,
};

fn earlier(time: Timestamp) -> Timestamp {
    Timestamp::from_millis(time.as_millis() - 1)
}

/// Ada's certificate with a change, signed by Ada all the same.
fn resigned(change: impl FnOnce(&mut Vec<u8>)) -> Result<DeviceCertificate, CertificateError> {
    let mut changed = body(&certificate(ADA, 1).to_bytes()).to_vec();
    change(&mut changed);
    DeviceCertificate::from_bytes(&signed(ADA, CERTIFICATE, &changed))
}

#[test]
fn a_certificate_tells_what_was_certified() {
    let certificate = certificate(ADA, 1);
    assert_eq!(certificate.user(), user(ADA));
    assert_eq!(certificate.device(), device(1));
    assert_eq!(*certificate.account(), account(ADA).public());
    assert_eq!(*certificate.signature_key(), signature_key(1));
    assert_eq!(certificate.suites(), [0x0001, 0x004E]);
    assert_eq!(certificate.not_before(), START);
    assert_eq!(certificate.not_after(), END);
}

#[test]
fn the_bytes_are_the_documented_ones() {
    let mut expected = vec![1];
    expected.extend_from_slice(user(ADA).as_bytes());
    expected.extend_from_slice(device(1).as_bytes());
    expected.extend_from_slice(account(ADA).public().as_bytes());
    expected.extend_from_slice(&signature_key(1));
    expected.extend_from_slice(&[4, 0x00, 0x01, 0x00, 0x4E]);
    expected.extend_from_slice(&START.as_millis().to_be_bytes());
    expected.extend_from_slice(&END.as_millis().to_be_bytes());
    assert_eq!(expected.len(), at::SIGNATURE);
    let bytes = certificate(ADA, 1).to_bytes();
    assert_eq!(bytes, signed(ADA, CERTIFICATE, &expected));
}

#[test]
fn the_longest_certificate_comes_back() {
    let long = CertificateFields {
        suites: (1..=16).collect(),
        not_before: Timestamp::from_millis(i64::MIN),
        not_after: Timestamp::from_millis(i64::MAX),
        ..fields(ADA, 1)
    };
    let certificate = DeviceCertificate::issue(&account(ADA), long).unwrap();
    let bytes = certificate.to_bytes();
    assert_eq!(bytes.len(), DeviceCertificate::MAX_LEN);
    assert_eq!(DeviceCertificate::from_bytes(&bytes), Ok(certificate));
}

#[test]
fn a_certificate_holds_from_its_first_moment_to_before_its_last() {
    let certificate = certificate(ADA, 1);
    let account = account(ADA).public();
    let check = |time| certificate.check(user(ADA), &account, time);
    assert_eq!(check(earlier(START)), Err(CertificateError::NotYetValid));
    assert_eq!(check(START), Ok(()));
    assert_eq!(check(earlier(END)), Ok(()));
    assert_eq!(check(END), Err(CertificateError::Expired));
}

#[test]
fn a_certificate_of_another_user_is_told_apart() {
    let answer = certificate(ADA, 1).check(user(BOB), &account(ADA).public(), START);
    assert_eq!(answer, Err(CertificateError::OtherUser));
}

#[test]
fn a_certificate_of_another_account_is_told_apart() {
    let certificate = DeviceCertificate::issue(&account(MALLORY), fields(ADA, 1)).unwrap();
    let answer = certificate.check(user(ADA), &account(ADA).public(), START);
    assert_eq!(answer, Err(CertificateError::OtherAccount));
}

#[test]
fn certificates_are_equal_when_their_bytes_are() {
    let one = certificate(ADA, 1);
    assert_eq!(one, certificate(ADA, 1));
    let later = CertificateFields {
        not_after: earlier(END),
        ..fields(ADA, 1)
    };
    let other = DeviceCertificate::issue(&account(ADA), later).unwrap();
    assert_ne!(one, other);
    assert_ne!(one.to_bytes(), other.to_bytes());
}

#[test]
fn suites_are_ascending_unique_and_one_to_sixteen() {
    let bad: [Vec<u16>; 4] = [vec![], vec![2, 1], vec![1, 1], (1..=17).collect()];
    for suites in bad {
        let issued = DeviceCertificate::issue(
            &account(ADA),
            CertificateFields {
                suites: suites.clone(),
                ..fields(ADA, 1)
            },
        );
        assert_eq!(issued, Err(CertificateError::Suites), "{suites:?}");
        let read = resigned(|body| {
            let bytes = suites.iter().copied().flat_map(u16::to_be_bytes);
            body.splice(at::SUITES + 1..at::NOT_BEFORE, bytes);
            body[at::SUITES] = u8::try_from(2 * suites.len()).unwrap();
        });
        assert_eq!(read, Err(CertificateError::Suites), "{suites:?}");
    }
}

#[test]
fn half_a_suite_is_malformed() {
    let read = resigned(|body| {
        body.splice(at::SUITES..at::NOT_BEFORE, [3, 0, 1, 0]);
    });
    assert_eq!(read, Err(CertificateError::Malformed));
}

#[test]
fn a_certificate_that_ends_before_it_begins_is_refused() {
    for (not_before, not_after) in [(START, START), (END, START)] {
        let issued = DeviceCertificate::issue(
            &account(ADA),
            CertificateFields {
                not_before,
                not_after,
                ..fields(ADA, 1)
            },
        );
        assert_eq!(issued, Err(CertificateError::Validity));
        let read = resigned(|body| {
            body[at::NOT_BEFORE..at::NOT_AFTER]
                .copy_from_slice(&not_before.as_millis().to_be_bytes());
            body[at::NOT_AFTER..].copy_from_slice(&not_after.as_millis().to_be_bytes());
        });
        assert_eq!(read, Err(CertificateError::Validity));
    }
}

#[test]
fn a_signature_key_that_is_not_usable_is_refused() {
    let own = ("the account key", *account(ADA).public().as_bytes());
    let bad = BAD_KEYS.map(|(name, key)| (name, unhex(key)));
    for (name, signature_key) in bad.into_iter().chain([own]) {
        let issued = DeviceCertificate::issue(
            &account(ADA),
            CertificateFields {
                signature_key,
                ..fields(ADA, 1)
            },
        );
        assert_eq!(issued, Err(CertificateError::SignatureKey), "{name}");
        let read = resigned(|body| {
            body[at::SIGNATURE_KEY..at::SUITES].copy_from_slice(&signature_key);
        });
        assert_eq!(read, Err(CertificateError::SignatureKey), "{name}");
    }
}

#[test]
fn an_account_key_that_is_not_usable_is_refused() {
    for (name, key) in BAD_KEYS {
        let read = resigned(|body| {
            body[at::ACCOUNT..at::SIGNATURE_KEY].copy_from_slice(&unhex(key));
        });
        assert_eq!(read, Err(CertificateError::AccountKey), "{name}");
    }
}

/// Under the neutral element, the neutral element and zero are a signature of
/// everything for whoever verifies carelessly.
#[test]
fn the_signature_that_fits_every_message_is_refused() {
    let mut bytes = certificate(ADA, 1).to_bytes();
    bytes[at::SIGNATURE..].fill(0);
    bytes[at::SIGNATURE] = 1;
    let answer = DeviceCertificate::from_bytes(&bytes);
    assert_eq!(answer, Err(CertificateError::Signature));
    bytes[at::ACCOUNT..at::SIGNATURE_KEY].fill(0);
    bytes[at::ACCOUNT] = 1;
    let answer = DeviceCertificate::from_bytes(&bytes);
    assert_eq!(answer, Err(CertificateError::AccountKey));
}

#[test]
fn another_format_is_told_apart() {
    for format in [0, 2, 255] {
        let read = resigned(|body| body[0] = format);
        assert_eq!(read, Err(CertificateError::Format(format)));
    }
}

#[test]
fn bytes_inside_the_signature_but_outside_the_layout_are_malformed() {
    let read = resigned(|body| body.push(0));
    assert_eq!(read, Err(CertificateError::Malformed));
    let read = resigned(|body| {
        body.pop();
    });
    assert_eq!(read, Err(CertificateError::Malformed));
    let read = resigned(|body| body[at::SUITES] = 255);
    assert_eq!(read, Err(CertificateError::Malformed));
}

#[test]
fn a_certificate_prints_whose_it_is() {
    let expected = format!(
        "DeviceCertificate {{ user: {:?}, device: {:?}, account: {:?}, .. }}",
        user(ADA),
        device(1),
        account(ADA).public(),
    );
    assert_eq!(format!("{:?}", certificate(ADA, 1)), expected);
}
