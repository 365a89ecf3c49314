//! What a contact remembers, and what it refuses.

use ruggine_crypto::identity::{ContactState, DeviceCertificate, DeviceList, Pin, PinError};

use super::samples::{ADA, BOB, MALLORY, START, account, fields, first_list, next_list, user};

/// Three versions: a second device comes, the first one goes.
fn chain() -> [DeviceList; 3] {
    let first = first_list(ADA, &[1]);
    let second = next_list(&first, ADA, &[1, 2]);
    let third = next_list(&second, ADA, &[2]);
    [first, second, third]
}

/// Another history from the same first list.
fn fork() -> [DeviceList; 3] {
    let first = first_list(ADA, &[1]);
    let second = next_list(&first, ADA, &[1, 9]);
    let third = next_list(&second, ADA, &[9]);
    [first, second, third]
}

#[test]
fn a_pin_remembers_the_first_list_that_was_seen() {
    for list in chain() {
        let pin = Pin::first(&list);
        assert_eq!(pin.user(), user(ADA));
        assert_eq!(*pin.account(), account(ADA).public());
        assert_eq!(pin.version(), list.version());
        assert_eq!(*pin.hash(), list.hash());
    }
}

#[test]
fn a_pin_follows_the_chain() {
    let [first, second, third] = chain();
    let pin = Pin::first(&first);
    assert_eq!(pin.advance(&[]), Ok(pin));
    let once = pin.advance(&[second.clone(), third.clone()]).unwrap();
    assert_eq!(once, Pin::first(&third));
    let step = pin.advance(std::slice::from_ref(&second)).unwrap();
    assert_eq!(step, Pin::first(&second));
    assert_eq!(step.advance(&[third]), Ok(once));
}

#[test]
fn the_known_list_once_more_does_no_harm() {
    let [first, second, _] = chain();
    let pin = Pin::first(&first);
    assert_eq!(pin.advance(std::slice::from_ref(&first)), Ok(pin));
    let lists = [first, second.clone(), second.clone()];
    assert_eq!(pin.advance(&lists), Ok(Pin::first(&second)));
}

#[test]
fn an_older_list_is_a_rollback() {
    let [first, second, third] = chain();
    let pin = Pin::first(&third);
    for (list, seen) in [(&first, 1), (&second, 2)] {
        let answer = pin.advance(std::slice::from_ref(list));
        assert_eq!(answer, Err(PinError::RolledBack { known: 3, seen }));
    }
    let answer = Pin::first(&first).advance(&[second, third, first]);
    assert_eq!(answer, Err(PinError::RolledBack { known: 3, seen: 1 }));
}

#[test]
fn another_list_of_the_known_version_is_a_fork() {
    let [_, known, _] = chain();
    let [_, other, _] = fork();
    let answer = Pin::first(&known).advance(&[other]);
    assert_eq!(answer, Err(PinError::Forked { version: 2 }));
}

#[test]
fn a_next_version_of_another_history_is_a_fork() {
    let [_, known, _] = chain();
    let [_, _, other] = fork();
    let answer = Pin::first(&known).advance(&[other]);
    assert_eq!(answer, Err(PinError::Forked { version: 2 }));
}

#[test]
fn missing_versions_are_a_gap() {
    let [first, _, third] = chain();
    let answer = Pin::first(&first).advance(&[third]);
    assert_eq!(answer, Err(PinError::Gap { known: 1, seen: 3 }));
}

#[test]
fn versions_in_the_wrong_order_are_a_gap() {
    let [first, second, third] = chain();
    let answer = Pin::first(&first).advance(&[third, second]);
    assert_eq!(answer, Err(PinError::Gap { known: 1, seen: 3 }));
}

#[test]
fn another_account_key_is_a_change_whatever_the_version() {
    let [first, second, third] = chain();
    let forged = |number| {
        let fields = fields(ADA, number);
        vec![DeviceCertificate::issue(&account(MALLORY), fields).unwrap()]
    };
    let key = account(MALLORY);
    let one = DeviceList::first(&key, user(ADA), forged(1), START).unwrap();
    let two = one.next(&key, forged(2), START).unwrap();
    let seen = key.public();
    for known in [first, second, third] {
        for list in [&one, &two] {
            let answer = Pin::first(&known).advance(std::slice::from_ref(list));
            assert_eq!(answer, Err(PinError::AccountChanged { seen }));
        }
    }
}

#[test]
fn a_list_of_another_user_is_told_apart() {
    let pin = Pin::first(&first_list(ADA, &[1]));
    let answer = pin.advance(&[first_list(BOB, &[1])]);
    assert_eq!(answer, Err(PinError::OtherUser));
}

#[test]
fn one_list_that_does_not_follow_spoils_the_others() {
    let [first, second, _] = chain();
    let [_, _, other] = fork();
    let answer = Pin::first(&first).advance(&[second, other]);
    assert_eq!(answer, Err(PinError::Forked { version: 2 }));
}

#[test]
fn a_pin_comes_back_from_its_bytes_and_refuses_the_same() {
    let [first, second, third] = chain();
    let pin = Pin::first(&second);
    let read = Pin::from_bytes(&pin.to_bytes()).unwrap();
    assert_eq!(read, pin);
    assert!(read.advance(&[first]).is_err());
    let newest = Pin::first(&third);
    assert_eq!(read.advance(&[third]), Ok(newest));
}

#[test]
fn nothing_is_sent_to_a_contact_whose_key_changed() {
    assert!(ContactState::Unverified.may_send());
    assert!(ContactState::Verified.may_send());
    assert!(!ContactState::Changed.may_send());
}
