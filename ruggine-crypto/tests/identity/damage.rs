//! Certificates, lists and pins that were changed or cut.

use ruggine_crypto::identity::{DeviceCertificate, DeviceList, MalformedPin, Pin};

use super::samples::{ADA, certificate, first_list, next_list};

const BITS: [u8; 3] = [0x01, 0x10, 0x80];

fn list_bytes() -> Vec<u8> {
    next_list(&first_list(ADA, &[1]), ADA, &[1, 2]).to_bytes()
}

#[test]
fn a_certificate_with_one_changed_byte_is_refused() {
    let good = certificate(ADA, 1).to_bytes();
    assert!(DeviceCertificate::from_bytes(&good).is_ok());
    for at in 0..good.len() {
        for bit in BITS {
            let mut bad = good.clone();
            bad[at] ^= bit;
            let answer = DeviceCertificate::from_bytes(&bad);
            assert!(answer.is_err(), "byte {at}, bit {bit:#x}");
        }
    }
}

#[test]
fn a_list_with_one_changed_byte_is_refused() {
    let good = list_bytes();
    assert!(DeviceList::from_bytes(&good).is_ok());
    for at in 0..good.len() {
        for bit in BITS {
            let mut bad = good.clone();
            bad[at] ^= bit;
            let answer = DeviceList::from_bytes(&bad);
            assert!(answer.is_err(), "byte {at}, bit {bit:#x}");
        }
    }
}

#[test]
fn a_truncated_certificate_is_refused() {
    let good = certificate(ADA, 1).to_bytes();
    for length in 0..good.len() {
        let answer = DeviceCertificate::from_bytes(&good[..length]);
        assert!(answer.is_err(), "{length} bytes");
        let answer = DeviceCertificate::from_bytes(&good[good.len() - length..]);
        assert!(answer.is_err(), "the last {length} bytes");
    }
}

#[test]
fn a_truncated_list_is_refused() {
    let good = list_bytes();
    for length in 0..good.len() {
        let answer = DeviceList::from_bytes(&good[..length]);
        assert!(answer.is_err(), "{length} bytes");
        let answer = DeviceList::from_bytes(&good[good.len() - length..]);
        assert!(answer.is_err(), "the last {length} bytes");
    }
}

#[test]
fn trailing_bytes_are_refused() {
    for trail in [&[0][..], &[1], &[0; 64], &[0; 4096]] {
        let bytes = [certificate(ADA, 1).to_bytes().as_slice(), trail].concat();
        assert!(DeviceCertificate::from_bytes(&bytes).is_err());
        let bytes = [list_bytes().as_slice(), trail].concat();
        assert!(DeviceList::from_bytes(&bytes).is_err());
    }
}

#[test]
fn a_pin_of_another_length_or_format_is_refused() {
    let good = Pin::first(&first_list(ADA, &[1])).to_bytes();
    for length in 0..good.len() {
        assert_eq!(Pin::from_bytes(&good[..length]), Err(MalformedPin));
    }
    let longer = [good.as_slice(), &[0]].concat();
    assert_eq!(Pin::from_bytes(&longer), Err(MalformedPin));
    for format in [0, 2, 255] {
        let mut other = good;
        other[0] = format;
        assert_eq!(Pin::from_bytes(&other), Err(MalformedPin));
    }
}
