//! What identities promise, seen from outside.
#![cfg(feature = "e2ee")]

mod accounts;
mod arbitrary;
mod certificates;
mod confusion;
mod damage;
mod device_lists;
mod epoch_digits;
mod frozen;
mod list_rules;
mod pins;
mod safety_numbers;
mod samples;
