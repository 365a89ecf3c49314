//! People, devices and lists, and bytes that were signed with any content.

use ed25519_dalek::{Signer as _, SigningKey};
use ruggine_core::{DeviceId, Timestamp, UserId};
use ruggine_crypto::identity::{AccountKey, CertificateFields, DeviceCertificate, DeviceList};
use zeroize::Zeroizing;

pub(crate) const ADA: u8 = 1;
pub(crate) const BOB: u8 = 2;
pub(crate) const MALLORY: u8 = 3;

pub(crate) const START: Timestamp = Timestamp::from_millis(1_753_000_000_000);
pub(crate) const END: Timestamp = Timestamp::from_millis(1_784_536_000_000);

pub(crate) const CERTIFICATE: &str = "ruggine/device-cert/v1";
pub(crate) const LIST: &str = "ruggine/device-list/v1";

/// The parts of a certificate, by the byte at which each begins.
pub(crate) mod certificate_at {
    pub(crate) const USER: usize = 1;
    pub(crate) const DEVICE: usize = 17;
    pub(crate) const ACCOUNT: usize = 33;
    pub(crate) const SIGNATURE_KEY: usize = 65;
    pub(crate) const SUITES: usize = 97;
    /// Behind the two suites of the samples.
    pub(crate) const NOT_BEFORE: usize = 102;
    pub(crate) const NOT_AFTER: usize = 110;
    pub(crate) const SIGNATURE: usize = 118;
}

/// Points of small order, under which anybody can sign, and other bytes that
/// are no key.
pub(crate) const BAD_KEYS: [(&str, &str); 8] = [
    (
        "order 1",
        "0100000000000000000000000000000000000000000000000000000000000000",
    ),
    (
        "order 2",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ),
    (
        "order 4",
        "0000000000000000000000000000000000000000000000000000000000000000",
    ),
    (
        "order 8",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    ),
    (
        "order 8 too",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    ),
    (
        "order 1, spelled beyond the prime",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ),
    (
        "a good point, spelled beyond the prime",
        "f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ),
    (
        "no point",
        "0200000000000000000000000000000000000000000000000000000000000000",
    ),
];

pub(crate) fn seed(person: u8) -> [u8; 32] {
    [person; 32]
}

pub(crate) fn account(person: u8) -> AccountKey {
    AccountKey::from_seed(Zeroizing::new(seed(person)))
}

pub(crate) fn user(person: u8) -> UserId {
    UserId::from_bytes([person; 16])
}

pub(crate) fn device(number: u8) -> DeviceId {
    DeviceId::from_bytes([number; 16])
}

pub(crate) fn signature_key(number: u8) -> [u8; 32] {
    *account(100 + number).public().as_bytes()
}

pub(crate) fn fields(person: u8, number: u8) -> CertificateFields {
    CertificateFields {
        user: user(person),
        device: device(number),
        signature_key: signature_key(number),
        suites: vec![0x0001, 0x004E],
        not_before: START,
        not_after: END,
    }
}

pub(crate) fn certificate(person: u8, number: u8) -> DeviceCertificate {
    DeviceCertificate::issue(&account(person), fields(person, number)).expect("good fields")
}

pub(crate) fn certificates(person: u8, numbers: &[u8]) -> Vec<DeviceCertificate> {
    let issue = |number: &u8| certificate(person, *number);
    numbers.iter().map(issue).collect()
}

pub(crate) fn first_list(person: u8, numbers: &[u8]) -> DeviceList {
    let devices = certificates(person, numbers);
    DeviceList::first(&account(person), user(person), devices, START).expect("good devices")
}

pub(crate) fn next_list(list: &DeviceList, person: u8, numbers: &[u8]) -> DeviceList {
    let devices = certificates(person, numbers);
    list.next(&account(person), devices, START)
        .expect("good devices")
}

/// The body of a list of Ada's with any version, previous hash and
/// certificates.
pub(crate) fn list_body(
    version: u64,
    previous: [u8; 32],
    certificates: &[DeviceCertificate],
) -> Vec<u8> {
    let short = |bytes: &[u8]| u16::try_from(bytes.len()).expect("short").to_be_bytes();
    let mut devices = Vec::new();
    for certificate in certificates {
        let bytes = certificate.to_bytes();
        devices.extend_from_slice(&short(&bytes));
        devices.extend_from_slice(&bytes);
    }
    let mut body = vec![1];
    body.extend_from_slice(user(ADA).as_bytes());
    body.extend_from_slice(account(ADA).public().as_bytes());
    body.extend_from_slice(&version.to_be_bytes());
    body.extend_from_slice(&previous);
    body.extend_from_slice(&short(&devices));
    body.extend_from_slice(&devices);
    body.extend_from_slice(&START.as_millis().to_be_bytes());
    body
}

/// Any body with a person's signature under the domain, as the documents say
/// and without the code that is tested.
pub(crate) fn signed(person: u8, domain: &str, body: &[u8]) -> Vec<u8> {
    let message = [domain.as_bytes(), &[0], body].concat();
    let signature = SigningKey::from_bytes(&seed(person)).sign(&message);
    let mut bytes = body.to_vec();
    bytes.extend_from_slice(&signature.to_bytes());
    bytes
}

/// Without the signature.
pub(crate) fn body(bytes: &[u8]) -> &[u8] {
    &bytes[..bytes.len() - 64]
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn unhex(text: &str) -> [u8; 32] {
    let mut bytes = [0; 32];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).expect("hexadecimal");
    }
    bytes
}
