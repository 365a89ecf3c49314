//! Anything at all, read as a certificate, a list, a pin or a code.

use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use ruggine_core::{DeviceId, Timestamp, UserId};
use ruggine_crypto::identity::{
    CertificateFields, DeviceCertificate, DeviceList, Pin, SafetyNumber,
};

use super::samples::{
    ADA, BOB, CERTIFICATE, LIST, START, account, body, certificate, certificates, first_list,
    signature_key, signed, user,
};

fn anything() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..600)
}

fn any_fields() -> impl Strategy<Value = CertificateFields> {
    let ids = any::<([u8; 16], [u8; 16])>();
    let suites = btree_set(any::<u16>(), 1..=16);
    let times = any::<(i64, i64)>().prop_filter("a time span", |(start, end)| start != end);
    (ids, 0u8..100, suites, times).prop_map(|((user, device), key, suites, (one, other))| {
        CertificateFields {
            user: UserId::from_bytes(user),
            device: DeviceId::from_bytes(device),
            signature_key: signature_key(key),
            suites: suites.into_iter().collect(),
            not_before: Timestamp::from_millis(one.min(other)),
            not_after: Timestamp::from_millis(one.max(other)),
        }
    })
}

/// A good body with bytes of it replaced, from any place on.
fn overwrite(good: &[u8], at: prop::sample::Index, bytes: &[u8]) -> Vec<u8> {
    let mut body = good.to_vec();
    let at = at.index(body.len());
    let end = body.len().min(at + bytes.len());
    body.splice(at..end, bytes.iter().copied());
    body
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_no_certificate(bytes in anything()) {
        prop_assert!(DeviceCertificate::from_bytes(&bytes).is_err());
    }

    #[test]
    fn arbitrary_bytes_are_no_list(bytes in anything()) {
        prop_assert!(DeviceList::from_bytes(&bytes).is_err());
    }

    #[test]
    fn a_signed_body_is_read_or_refused_and_comes_back_as_it_was(
        at in any::<prop::sample::Index>(),
        bytes in vec(any::<u8>(), 0..40),
    ) {
        let good = certificate(ADA, 1).to_bytes();
        let changed = signed(ADA, CERTIFICATE, &overwrite(body(&good), at, &bytes));
        if let Ok(certificate) = DeviceCertificate::from_bytes(&changed) {
            prop_assert_eq!(certificate.to_bytes(), changed);
        }
    }

    #[test]
    fn a_signed_list_is_read_or_refused_and_comes_back_as_it_was(
        at in any::<prop::sample::Index>(),
        bytes in vec(any::<u8>(), 0..40),
    ) {
        let good = first_list(ADA, &[1, 2]).to_bytes();
        let changed = signed(ADA, LIST, &overwrite(body(&good), at, &bytes));
        if let Ok(list) = DeviceList::from_bytes(&changed) {
            prop_assert_eq!(list.to_bytes(), changed);
        }
    }

    #[test]
    fn any_certificate_comes_back_from_its_bytes(fields in any_fields()) {
        let certificate = DeviceCertificate::issue(&account(ADA), fields).unwrap();
        let bytes = certificate.to_bytes();
        prop_assert!(bytes.len() <= DeviceCertificate::MAX_LEN);
        prop_assert_eq!(DeviceCertificate::from_bytes(&bytes), Ok(certificate));
    }

    #[test]
    fn an_arbitrary_pin_is_read_or_refused_and_comes_back_as_it_was(
        head in anything(),
        tail in any::<([u8; 8], [u8; 32])>(),
    ) {
        prop_assert!(Pin::from_bytes(&head).is_err() || head.len() == Pin::LEN);
        let good = Pin::first(&first_list(ADA, &[1])).to_bytes();
        let bytes = [&good[..49], &tail.0, &tail.1].concat();
        if let Ok(pin) = Pin::from_bytes(&bytes) {
            prop_assert_eq!(pin.to_bytes().to_vec(), bytes);
        }
    }
}

proptest! {
    // Each case makes up to ten devices.
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_list_comes_back_from_its_bytes(numbers in btree_set(0u8..100, 1..=10)) {
        let numbers: Vec<u8> = numbers.into_iter().collect();
        let devices = certificates(ADA, &numbers);
        let list = DeviceList::first(&account(ADA), user(ADA), devices, START).unwrap();
        let bytes = list.to_bytes();
        prop_assert!(bytes.len() <= DeviceList::MAX_LEN);
        prop_assert_eq!(DeviceList::from_bytes(&bytes), Ok(list));
    }
}

#[test]
fn arbitrary_bytes_match_no_safety_number() {
    let [ada, bob] = [ADA, BOB].map(|person| (user(person), account(person).public()));
    let number = SafetyNumber::between(&ada, &bob);
    proptest!(|(bytes in vec(any::<u8>(), 0..80))| {
        prop_assert_ne!(number.matches_scanned(&bytes), Ok(true));
        let versioned = [&[1], bytes.as_slice()].concat();
        prop_assert_ne!(number.matches_scanned(&versioned), Ok(true));
    });
}
