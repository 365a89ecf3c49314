//! Device lists and key packages lead back to themselves.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use ruggine_core::api::{identity, key_package};

use super::config;
use super::survival::{request_survives, response_survives, value_survives};
use super::values::{blob, device_id, user_id};

fn get() -> impl Strategy<Value = identity::Get> {
    let known = (user_id(), any::<u64>()).prop_map(|(user, after)| identity::Known { user, after });
    vec(known, 0..5).prop_map(|users| identity::Get { users })
}

fn lists() -> impl Strategy<Value = identity::Lists> {
    let user = (user_id(), vec(blob(), 0..4), any::<bool>())
        .prop_map(|(user, lists, more)| identity::UserLists { user, lists, more });
    vec(user, 0..4).prop_map(|users| identity::Lists { users })
}

fn publish() -> impl Strategy<Value = key_package::Publish> {
    (vec(blob(), 0..4), option::of(blob())).prop_map(|(packages, last_resort)| {
        key_package::Publish {
            packages,
            last_resort,
        }
    })
}

fn stock() -> impl Strategy<Value = key_package::Stock> {
    let suite =
        (any::<u16>(), any::<u32>(), any::<bool>()).prop_map(|(suite, available, last_resort)| {
            key_package::SuiteStock {
                suite,
                available,
                last_resort,
            }
        });
    vec(suite, 0..4).prop_map(|suites| key_package::Stock { suites })
}

fn claimed() -> impl Strategy<Value = key_package::Claimed> {
    let package =
        (device_id(), blob(), any::<bool>()).prop_map(|(device, package, last_resort)| {
            key_package::ClaimedPackage {
                device,
                package,
                last_resort,
            }
        });
    vec(package, 0..4).prop_map(|packages| key_package::Claimed { packages })
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn requests_about_keys_lead_back_to_themselves(
        id: u64, counter: Option<u64>, list in blob(), get in get(), publish in publish(),
        user in user_id(), suite: u16,
    ) {
        request_survives(id, counter, &identity::Publish { list });
        request_survives(id, counter, &get);
        request_survives(id, counter, &publish);
        request_survives(id, counter, &key_package::Claim { user, suite });
    }

    #[test]
    fn responses_about_keys_lead_back_to_themselves(
        id: u64, version: u64, lists in lists(), stock in stock(), claimed in claimed(),
    ) {
        response_survives(id, &identity::Published { version });
        response_survives(id, &lists);
        response_survives(id, &stock);
        response_survives(id, &claimed);
        value_survives(&lists);
        value_survives(&stock);
        value_survives(&claimed);
    }
}
