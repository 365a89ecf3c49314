//! Safety numbers and their QR codes.

use ruggine_core::UserId;
use ruggine_crypto::identity::{AccountPublicKey, Pin, SafetyNumber, ScanError};

use super::samples::{ADA, BOB, MALLORY, account, first_list, next_list, user};

fn person(person: u8) -> (UserId, AccountPublicKey) {
    (user(person), account(person).public())
}

fn between(mine: u8, theirs: u8) -> SafetyNumber {
    SafetyNumber::between(&person(mine), &person(theirs))
}

#[test]
fn both_people_see_the_same_digits() {
    assert_eq!(between(ADA, BOB).to_string(), between(BOB, ADA).to_string());
}

#[test]
fn the_digits_stand_in_twelve_groups_of_five() {
    let text = between(ADA, BOB).to_string();
    let groups: Vec<&str> = text.split(' ').collect();
    assert_eq!(groups.len(), 12);
    for group in groups {
        assert_eq!(group.len(), 5);
        assert!(group.bytes().all(|digit| digit.is_ascii_digit()));
    }
}

#[test]
fn linking_a_device_changes_no_digit() {
    let first = first_list(ADA, &[1]);
    let before = Pin::first(&first);
    let after = before.advance(&[next_list(&first, ADA, &[1, 2])]).unwrap();
    assert_ne!(before, after);
    let [before, after] = [before, after].map(|pin| {
        let me = (pin.user(), *pin.account());
        SafetyNumber::between(&me, &person(BOB)).to_string()
    });
    assert_eq!(before, after);
}

#[test]
fn another_account_key_changes_the_digits() {
    let forged = (user(BOB), account(MALLORY).public());
    let number = SafetyNumber::between(&person(ADA), &forged);
    assert_ne!(number.to_string(), between(ADA, BOB).to_string());
}

#[test]
fn another_user_of_the_same_key_changes_the_digits() {
    let forged = (user(MALLORY), account(BOB).public());
    let number = SafetyNumber::between(&person(ADA), &forged);
    assert_ne!(number.to_string(), between(ADA, BOB).to_string());
}

#[test]
fn the_half_of_a_person_is_the_same_with_everybody() {
    let halves = |number: SafetyNumber| {
        let text = number.to_string();
        [text[..35].to_owned(), text[36..].to_owned()]
    };
    let with_bob = halves(between(ADA, BOB));
    let with_mallory = halves(between(ADA, MALLORY));
    let shared = with_bob.iter().filter(|half| with_mallory.contains(half));
    assert_eq!(shared.count(), 1);
}

#[test]
fn a_code_matches_the_one_on_the_other_side() {
    let (ada, bob) = (between(ADA, BOB), between(BOB, ADA));
    assert_eq!(ada.matches_scanned(&bob.qr_bytes()), Ok(true));
    assert_eq!(bob.matches_scanned(&ada.qr_bytes()), Ok(true));
}

#[test]
fn a_code_does_not_match_itself_or_another_pair() {
    let ada = between(ADA, BOB);
    for other in [
        ada.clone(),
        between(BOB, MALLORY),
        between(MALLORY, ADA),
        between(ADA, MALLORY),
        between(BOB, BOB),
    ] {
        assert_eq!(ada.matches_scanned(&other.qr_bytes()), Ok(false));
    }
}

#[test]
fn a_code_with_one_changed_byte_does_not_match() {
    let ada = between(ADA, BOB);
    let good = between(BOB, ADA).qr_bytes();
    for at in 1..good.len() {
        let mut bad = good;
        bad[at] ^= 1;
        assert_eq!(ada.matches_scanned(&bad), Ok(false), "byte {at}");
    }
}

#[test]
fn a_code_of_another_version_or_length_is_told_apart() {
    let ada = between(ADA, BOB);
    let good = between(BOB, ADA).qr_bytes();
    let mut later = good;
    later[0] = 2;
    assert_eq!(ada.matches_scanned(&later), Err(ScanError::Version(2)));
    assert_eq!(ada.matches_scanned(&[0; 9]), Err(ScanError::Version(0)));
    for length in [0, 1, 33, 64] {
        let answer = ada.matches_scanned(&good[..length]);
        assert_eq!(answer, Err(ScanError::Length(length)));
    }
    let longer = [good.as_slice(), &[0]].concat();
    let answer = ada.matches_scanned(&longer);
    assert_eq!(answer, Err(ScanError::Length(66)));
}

#[test]
fn a_safety_number_prints_its_digits() {
    let number = between(ADA, BOB);
    assert_eq!(format!("{number:?}"), format!("SafetyNumber({number})"));
}
