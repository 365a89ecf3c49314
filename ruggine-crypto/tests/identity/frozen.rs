//! Bytes and digits that must never change: they are stored, signed or read
//! aloud.

use ruggine_crypto::identity::{Pin, SafetyNumber, epoch_digits};

use super::samples::{ADA, BOB, account, certificate, first_list, hex, next_list, user};

fn number() -> SafetyNumber {
    let [ada, bob] = [ADA, BOB].map(|person| (user(person), account(person).public()));
    SafetyNumber::between(&ada, &bob)
}

#[test]
fn a_certificate_keeps_its_bytes() {
    insta::assert_snapshot!(hex(&certificate(ADA, 1).to_bytes()));
}

#[test]
fn a_list_keeps_its_bytes() {
    let list = next_list(&first_list(ADA, &[1]), ADA, &[1, 2]);
    insta::assert_snapshot!(hex(&list.to_bytes()));
}

#[test]
fn a_list_keeps_its_hash() {
    insta::assert_snapshot!(hex(&first_list(ADA, &[1]).hash()));
}

#[test]
fn a_pin_keeps_its_bytes() {
    insta::assert_snapshot!(hex(&Pin::first(&first_list(ADA, &[1])).to_bytes()));
}

#[test]
fn a_safety_number_keeps_its_digits() {
    insta::assert_snapshot!(number().to_string());
}

#[test]
fn a_code_keeps_its_bytes() {
    insta::assert_snapshot!(hex(&number().qr_bytes()));
}

#[test]
fn an_epoch_keeps_its_digits() {
    insta::assert_snapshot!(epoch_digits(&[7; 48]));
}
