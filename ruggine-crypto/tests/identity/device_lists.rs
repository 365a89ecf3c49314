//! Device lists, as they are made and read back.

use ruggine_crypto::identity::{
    CertificateFields, DeviceCertificate, DeviceList, ListError, MAX_DEVICES,
};
use sha2::{Digest, Sha256};

use super::samples::{
    ADA, BOB, LIST, START, account, certificate, certificates, device, fields, first_list,
    list_body, next_list, signed, user,
};

#[test]
fn the_first_list_follows_nothing() {
    let list = first_list(ADA, &[1, 2]);
    assert_eq!(list.user(), user(ADA));
    assert_eq!(*list.account(), account(ADA).public());
    assert_eq!(list.version(), 1);
    assert_eq!(*list.previous(), [0; 32]);
    assert_eq!(list.devices(), certificates(ADA, &[1, 2]));
    assert_eq!(list.signed_at(), START);
}

#[test]
fn the_next_list_names_the_one_before() {
    let first = first_list(ADA, &[1]);
    let second = next_list(&first, ADA, &[1, 2]);
    let third = next_list(&second, ADA, &[2]);
    assert_eq!((second.version(), third.version()), (2, 3));
    assert_eq!(*second.previous(), first.hash());
    assert_eq!(*third.previous(), second.hash());
    assert_eq!(third.devices(), certificates(ADA, &[2]));
}

#[test]
fn the_bytes_are_the_documented_ones() {
    let first = first_list(ADA, &[1, 2]);
    let body = list_body(1, [0; 32], &certificates(ADA, &[1, 2]));
    assert_eq!(first.to_bytes(), signed(ADA, LIST, &body));
    let second = next_list(&first, ADA, &[2]);
    let body = list_body(2, first.hash(), &certificates(ADA, &[2]));
    assert_eq!(second.to_bytes(), signed(ADA, LIST, &body));
}

#[test]
fn the_hash_covers_the_whole_list_and_its_signature() {
    let list = first_list(ADA, &[1]);
    let expected: [u8; 32] = Sha256::digest(list.to_bytes()).into();
    assert_eq!(list.hash(), expected);
}

#[test]
fn lists_come_back_from_their_bytes() {
    let first = first_list(ADA, &[1, 2]);
    let second = next_list(&first, ADA, &[3]);
    for list in [first, second] {
        let read = DeviceList::from_bytes(&list.to_bytes()).unwrap();
        assert_eq!(read, list);
        assert_eq!(read.hash(), list.hash());
    }
}

#[test]
fn the_longest_list_comes_back() {
    let issue = |number| {
        let long = CertificateFields {
            suites: (1..=16).collect(),
            ..fields(ADA, number)
        };
        DeviceCertificate::issue(&account(ADA), long).unwrap()
    };
    let devices: Vec<_> = (1..=10).map(issue).collect();
    assert_eq!(devices.len(), MAX_DEVICES);
    let list = DeviceList::first(&account(ADA), user(ADA), devices, START).unwrap();
    let bytes = list.to_bytes();
    assert_eq!(bytes.len(), DeviceList::MAX_LEN);
    assert_eq!(DeviceList::from_bytes(&bytes), Ok(list));
}

#[test]
fn a_list_longer_than_the_longest_is_not_even_read() {
    for length in [DeviceList::MAX_LEN + 1, 1 << 20] {
        let answer = DeviceList::from_bytes(&vec![1; length]);
        assert_eq!(answer, Err(ListError::Malformed));
    }
}

#[test]
fn the_order_of_the_devices_makes_no_difference() {
    assert_eq!(first_list(ADA, &[3, 1, 2]), first_list(ADA, &[1, 2, 3]));
}

#[test]
fn a_device_is_found_by_its_id() {
    let list = first_list(ADA, &[1, 2]);
    assert_eq!(list.device(device(2)), Some(&certificate(ADA, 2)));
    assert_eq!(list.device(device(3)), None);
}

#[test]
fn only_exactly_the_same_certificate_is_listed() {
    let list = first_list(ADA, &[1]);
    assert!(list.lists(&certificate(ADA, 1)));
    assert!(!list.lists(&certificate(ADA, 2)));
    assert!(!list.lists(&certificate(BOB, 1)));
    let renewed = CertificateFields {
        not_before: START.after(std::time::Duration::from_millis(1)),
        ..fields(ADA, 1)
    };
    let renewed = DeviceCertificate::issue(&account(ADA), renewed).unwrap();
    assert!(!list.lists(&renewed));
}

#[test]
fn a_device_that_was_taken_out_is_not_listed_any_more() {
    let first = first_list(ADA, &[1, 2]);
    let second = next_list(&first, ADA, &[1]);
    assert!(first.lists(&certificate(ADA, 2)));
    assert!(!second.lists(&certificate(ADA, 2)));
}

#[test]
fn a_list_prints_whose_it_is() {
    let shown = format!("{:?}", first_list(ADA, &[1]));
    let start = format!("DeviceList {{ user: {:?}, account: ", user(ADA));
    assert!(shown.starts_with(&start), "{shown}");
    assert!(shown.contains("version: 1"), "{shown}");
}
