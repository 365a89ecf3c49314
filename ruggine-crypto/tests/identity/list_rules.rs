//! Lists that break a rule, made by the honest code or signed without it.

use ruggine_crypto::identity::{
    CertificateError, CertificateFields, DeviceCertificate, DeviceList, ListError,
};

use super::samples::{
    ADA, BAD_KEYS, BOB, LIST, START, account, body, certificate, certificates, device, fields,
    first_list, list_body, signature_key, signed, unhex, user,
};

fn made(devices: Vec<DeviceCertificate>) -> Result<DeviceList, ListError> {
    DeviceList::first(&account(ADA), user(ADA), devices, START)
}

/// What a reader says of a list that Ada signed with these devices as they are.
fn read(devices: &[DeviceCertificate]) -> Result<DeviceList, ListError> {
    read_version(1, [0; 32], devices)
}

fn read_version(
    version: u64,
    previous: [u8; 32],
    devices: &[DeviceCertificate],
) -> Result<DeviceList, ListError> {
    let body = list_body(version, previous, devices);
    DeviceList::from_bytes(&signed(ADA, LIST, &body))
}

#[test]
fn a_list_without_devices_is_refused() {
    assert_eq!(made(Vec::new()), Err(ListError::DeviceCount(0)));
    assert_eq!(read(&[]), Err(ListError::DeviceCount(0)));
}

#[test]
fn an_eleventh_device_is_refused() {
    let devices = certificates(ADA, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    assert_eq!(read(&devices), Err(ListError::DeviceCount(11)));
    assert_eq!(made(devices), Err(ListError::DeviceCount(11)));
}

#[test]
fn devices_out_of_order_are_refused() {
    let devices = certificates(ADA, &[2, 1]);
    assert_eq!(read(&devices), Err(ListError::DeviceIds));
    assert!(made(devices).is_ok());
}

#[test]
fn two_devices_of_one_id_are_refused() {
    let second = CertificateFields {
        signature_key: signature_key(2),
        ..fields(ADA, 1)
    };
    let second = DeviceCertificate::issue(&account(ADA), second).unwrap();
    let devices = vec![certificate(ADA, 1), second];
    assert_eq!(read(&devices), Err(ListError::DeviceIds));
    assert_eq!(made(devices), Err(ListError::DeviceIds));
    let devices = certificates(ADA, &[1, 1]);
    assert_eq!(read(&devices), Err(ListError::DeviceIds));
    assert_eq!(made(devices), Err(ListError::DeviceIds));
}

#[test]
fn two_devices_of_one_signature_key_are_refused() {
    let second = CertificateFields {
        device: device(2),
        ..fields(ADA, 1)
    };
    let second = DeviceCertificate::issue(&account(ADA), second).unwrap();
    let devices = vec![certificate(ADA, 1), second];
    assert_eq!(read(&devices), Err(ListError::SharedKey));
    assert_eq!(made(devices), Err(ListError::SharedKey));
}

#[test]
fn a_device_of_another_account_is_refused() {
    let foreign = DeviceCertificate::issue(&account(BOB), fields(ADA, 2)).unwrap();
    let devices = vec![certificate(ADA, 1), foreign];
    assert_eq!(read(&devices), Err(ListError::ForeignDevice(device(2))));
    assert_eq!(made(devices), Err(ListError::ForeignDevice(device(2))));
}

#[test]
fn a_device_of_another_user_is_refused() {
    let foreign = DeviceCertificate::issue(&account(ADA), fields(BOB, 2)).unwrap();
    let devices = vec![certificate(ADA, 1), foreign];
    assert_eq!(read(&devices), Err(ListError::ForeignDevice(device(2))));
    assert_eq!(made(devices), Err(ListError::ForeignDevice(device(2))));
}

#[test]
fn only_version_one_follows_nothing() {
    let devices = certificates(ADA, &[1]);
    for (version, previous) in [(0, [0; 32]), (0, [7; 32]), (1, [7; 32]), (2, [0; 32])] {
        let answer = read_version(version, previous, &devices);
        assert_eq!(answer, Err(ListError::Chain), "version {version}");
    }
    assert!(read_version(2, [7; 32], &devices).is_ok());
}

#[test]
fn no_version_comes_after_the_last() {
    let devices = certificates(ADA, &[1]);
    let last = read_version(u64::MAX, [7; 32], &devices).unwrap();
    let answer = last.next(&account(ADA), devices, START);
    assert_eq!(answer, Err(ListError::Chain));
}

#[test]
fn another_account_key_cannot_make_the_next_version() {
    let devices = certificates(ADA, &[1]);
    let answer = first_list(ADA, &[1]).next(&account(BOB), devices, START);
    assert_eq!(answer, Err(ListError::OtherAccount));
}

#[test]
fn a_certificate_that_is_refused_alone_is_refused_in_a_list() {
    let good = body(&first_list(ADA, &[1]).to_bytes()).to_vec();
    // The last byte of the certificate's signature stands before the time.
    let last = good.len() - 9;
    let mut bad = good;
    bad[last] ^= 1;
    let answer = DeviceList::from_bytes(&signed(ADA, LIST, &bad));
    let expected = ListError::Certificate(CertificateError::Signature);
    assert_eq!(answer, Err(expected));
}

#[test]
fn bytes_inside_the_signature_but_outside_the_layout_are_malformed() {
    let good = body(&first_list(ADA, &[1]).to_bytes()).to_vec();
    let mut longer = good.clone();
    longer.push(0);
    // One byte less of devices than there is.
    let mut shifted = good.clone();
    shifted[90] -= 1;
    // A certificate longer than the bytes of all devices.
    let mut overlong = good.clone();
    overlong[91] = 0xff;
    let shorter = good[..good.len() - 1].to_vec();
    for bad in [longer, shorter, shifted, overlong] {
        let answer = DeviceList::from_bytes(&signed(ADA, LIST, &bad));
        assert_eq!(answer, Err(ListError::Malformed));
    }
}

#[test]
fn another_format_is_told_apart() {
    let mut body = list_body(1, [0; 32], &certificates(ADA, &[1]));
    body[0] = 2;
    let answer = DeviceList::from_bytes(&signed(ADA, LIST, &body));
    assert_eq!(answer, Err(ListError::Format(2)));
}

#[test]
fn an_account_key_that_is_not_usable_is_refused() {
    for (name, key) in BAD_KEYS {
        let mut body = list_body(1, [0; 32], &certificates(ADA, &[1]));
        body[17..49].copy_from_slice(&unhex(key));
        let answer = DeviceList::from_bytes(&signed(ADA, LIST, &body));
        assert_eq!(answer, Err(ListError::AccountKey), "{name}");
    }
}
