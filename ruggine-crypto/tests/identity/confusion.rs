//! One thing passed off as another: domains, users, keys and ids.

use ruggine_core::DeviceId;
use ruggine_crypto::identity::{
    CertificateError, CertificateFields, DeviceCertificate, DeviceList, ListError, Pin, PinError,
};
use sha2::{Digest, Sha256};

use super::samples::{
    ADA, BOB, CERTIFICATE, LIST, MALLORY, START, account, body, certificate, certificate_at,
    certificates, fields, first_list, next_list, signed, user,
};

#[test]
fn a_list_signed_as_a_certificate_is_refused() {
    let good = first_list(ADA, &[1]).to_bytes();
    assert_eq!(signed(ADA, LIST, body(&good)), good);
    for domain in [
        "",
        CERTIFICATE,
        "ruggine/device-list/v2",
        "ruggine/device-list/v",
    ] {
        let answer = DeviceList::from_bytes(&signed(ADA, domain, body(&good)));
        assert_eq!(answer, Err(ListError::Signature), "{domain}");
    }
}

#[test]
fn a_certificate_signed_as_a_list_is_refused() {
    let good = certificate(ADA, 1).to_bytes();
    assert_eq!(signed(ADA, CERTIFICATE, body(&good)), good);
    for domain in ["", LIST, "ruggine/device-cert/v2", "ruggine/device-cert/v"] {
        let answer = DeviceCertificate::from_bytes(&signed(ADA, domain, body(&good)));
        assert_eq!(answer, Err(CertificateError::Signature), "{domain}");
    }
}

#[test]
fn a_certificate_is_no_list_and_a_list_no_certificate() {
    assert!(DeviceList::from_bytes(&certificate(ADA, 1).to_bytes()).is_err());
    assert!(DeviceCertificate::from_bytes(&first_list(ADA, &[1]).to_bytes()).is_err());
}

#[test]
fn what_another_person_signed_is_refused() {
    let bytes = certificate(ADA, 1).to_bytes();
    let answer = DeviceCertificate::from_bytes(&signed(MALLORY, CERTIFICATE, body(&bytes)));
    assert_eq!(answer, Err(CertificateError::Signature));
    let bytes = first_list(ADA, &[1]).to_bytes();
    let answer = DeviceList::from_bytes(&signed(MALLORY, LIST, body(&bytes)));
    assert_eq!(answer, Err(ListError::Signature));
}

#[test]
fn a_signature_does_not_move_to_another_user_or_device() {
    for part in [certificate_at::USER, certificate_at::DEVICE] {
        let mut bytes = certificate(ADA, 1).to_bytes();
        bytes[part..part + 16].copy_from_slice(user(BOB).as_bytes());
        let answer = DeviceCertificate::from_bytes(&bytes);
        assert_eq!(answer, Err(CertificateError::Signature));
    }
}

/// Attack 1: a device that Mallory's own key certified for Ada.
#[test]
fn a_ghost_device_is_neither_listed_nor_of_the_account() {
    let ghost = DeviceCertificate::issue(&account(MALLORY), fields(ADA, 9)).unwrap();
    let read = DeviceCertificate::from_bytes(&ghost.to_bytes()).unwrap();
    let answer = read.check(user(ADA), &account(ADA).public(), START);
    assert_eq!(answer, Err(CertificateError::OtherAccount));
    assert!(!first_list(ADA, &[1]).lists(&read));
}

/// Attack 1, with an honest certificate of a device that was revoked.
#[test]
fn a_revoked_device_keeps_its_certificate_and_loses_its_place() {
    let revoked = certificate(ADA, 2);
    let list = next_list(&first_list(ADA, &[1, 2]), ADA, &[1]);
    let answer = revoked.check(user(ADA), &account(ADA).public(), START);
    assert_eq!(answer, Ok(()));
    assert!(!list.lists(&revoked));
}

/// Attack 7: a whole consistent list under another key.
#[test]
fn a_list_for_ada_under_another_key_does_not_pass_her_pin() {
    let pin = Pin::first(&first_list(ADA, &[1]));
    let forged = DeviceCertificate::issue(&account(MALLORY), fields(ADA, 1)).unwrap();
    let list = DeviceList::first(&account(MALLORY), user(ADA), vec![forged], START).unwrap();
    let list = DeviceList::from_bytes(&list.to_bytes()).unwrap();
    let seen = account(MALLORY).public();
    assert_eq!(pin.advance(&[list]), Err(PinError::AccountChanged { seen }));
}

/// Attack 7: device ids that are equal to those of another user.
#[test]
fn devices_with_ids_of_another_user_are_not_that_users() {
    let (adas, mallorys) = (first_list(ADA, &[1, 2]), first_list(MALLORY, &[1, 2]));
    for listed in mallorys.devices() {
        assert!(adas.device(listed.device()).is_some());
        assert!(!adas.lists(listed));
        let answer = listed.check(user(ADA), &account(ADA).public(), START);
        assert_eq!(answer, Err(CertificateError::OtherUser));
    }
    let pin = Pin::first(&adas);
    assert_eq!(pin.advance(&[mallorys]), Err(PinError::OtherUser));
}

/// Attack 7: certificates of another user taken into an own list.
#[test]
fn certificates_of_another_user_cannot_be_listed() {
    let borrowed = certificates(ADA, &[1]);
    let answer = DeviceList::first(&account(MALLORY), user(MALLORY), borrowed.clone(), START);
    assert_eq!(answer, Err(ListError::ForeignDevice(borrowed[0].device())));
    let answer = DeviceList::first(&account(MALLORY), user(ADA), borrowed.clone(), START);
    assert_eq!(answer, Err(ListError::ForeignDevice(borrowed[0].device())));
}

/// Attack 7: a device id that is the hash of another user's key.
#[test]
fn a_device_named_like_another_users_key_stays_a_device() {
    let key = account(ADA).public();
    let mut id = [0; 16];
    id.copy_from_slice(&Sha256::digest(key.as_bytes())[..16]);
    let disguised = CertificateFields {
        device: DeviceId::from_bytes(id),
        ..fields(MALLORY, 1)
    };
    let disguised = DeviceCertificate::issue(&account(MALLORY), disguised).unwrap();
    let answer = disguised.check(user(ADA), &key, START);
    assert_eq!(answer, Err(CertificateError::OtherUser));
    let answer = disguised.check(user(MALLORY), &key, START);
    assert_eq!(answer, Err(CertificateError::OtherAccount));
    assert!(!first_list(ADA, &[1]).lists(&disguised));
}

/// Attack 7: another user's account key as the device's own signature key is
/// of no use without the secret, and says nothing about that user.
#[test]
fn a_device_that_signs_with_another_users_account_key_is_not_that_user() {
    let key = account(ADA).public();
    let disguised = CertificateFields {
        signature_key: *key.as_bytes(),
        ..fields(MALLORY, 1)
    };
    let disguised = DeviceCertificate::issue(&account(MALLORY), disguised).unwrap();
    let answer = disguised.check(user(ADA), &key, START);
    assert_eq!(answer, Err(CertificateError::OtherUser));
}
