//! Digits of the state of a group.

use ruggine_crypto::identity::epoch_digits;

#[test]
fn members_with_the_same_authenticator_see_the_same_digits() {
    assert_eq!(epoch_digits(&[7; 48]), epoch_digits(&[7; 48]));
}

#[test]
fn a_group_that_was_split_shows_other_digits() {
    let mut other = [7; 48];
    other[47] ^= 1;
    assert_ne!(epoch_digits(&[7; 48]), epoch_digits(&other));
    assert_ne!(epoch_digits(&[7; 48]), epoch_digits(&[7; 32]));
}

#[test]
fn the_digits_stand_in_four_groups_of_five() {
    for authenticator in [&[][..], &[0; 32], &[7; 48]] {
        let text = epoch_digits(authenticator);
        let groups: Vec<&str> = text.split(' ').collect();
        assert_eq!(groups.len(), 4);
        for group in groups {
            assert_eq!(group.len(), 5);
            assert!(group.bytes().all(|digit| digit.is_ascii_digit()));
        }
    }
}
