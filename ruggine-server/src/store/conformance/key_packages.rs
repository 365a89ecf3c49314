//! Cases of [`KeyPackageStore`](crate::store::KeyPackageStore).

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ruggine_core::api::key_package::SuiteStock;
use ruggine_core::{Blob, Timestamp};

use super::fixture::{NOW, Person, another_device, at_once, later, people, person};
use super::identities::append_chain;
use crate::store::{
    CertifiedDevice, ClaimKeyPackages, ClaimedKeyPackage, NewKeyPackage, NewKeyPackages, Store,
    StoreKeyPackages,
};

const SUITE: u16 = 0x004e;
const OTHER_SUITE: u16 = 0x0001;
/// More packages than any case stores.
const MANY: u32 = 1_000;

fn owner(of: Person) -> CertifiedDevice {
    CertifiedDevice {
        user: of.user,
        device: of.device,
        certificate: Blob::from(vec![0xce; 180]),
    }
}

/// The device under a certificate that was renewed.
fn renewed(of: Person) -> CertifiedDevice {
    CertifiedDevice {
        certificate: Blob::from(vec![0xcf; 180]),
        ..owner(of)
    }
}

/// A package that nobody else has.
fn package(suite: u16) -> NewKeyPackage {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    NewKeyPackage {
        suite,
        reference: [&number[..], &[0xaa; 40]].concat(),
        last_resort: false,
        expires_at: later(10_000),
        body: Blob::from([&number[..], &[0xbb; 3_000]].concat()),
    }
}

fn packages(suite: u16, count: usize) -> Vec<NewKeyPackage> {
    (0..count).map(|_| package(suite)).collect()
}

fn last_resort(suite: u16) -> NewKeyPackage {
    NewKeyPackage {
        last_resort: true,
        ..package(suite)
    }
}

async fn try_leave(
    store: &dyn Store,
    owner: CertifiedDevice,
    packages: Vec<NewKeyPackage>,
    most: u32,
) -> StoreKeyPackages {
    let newest = store.newest_device_list(owner.user).await.expect("read");
    let new = NewKeyPackages {
        list_version: newest.map_or(0, |list| list.version),
        owner,
        packages,
        most,
        at: NOW,
    };
    store.store_key_packages(new).await.expect("answered")
}

async fn leave(store: &dyn Store, of: Person, packages: Vec<NewKeyPackage>) {
    let stored = try_leave(store, owner(of), packages, MANY).await;
    assert_eq!(stored, StoreKeyPackages::Stored);
}

async fn claim_from(
    store: &dyn Store,
    owners: Vec<CertifiedDevice>,
    suite: u16,
    at: Timestamp,
) -> Vec<ClaimedKeyPackage> {
    let claim = ClaimKeyPackages { owners, suite, at };
    store.claim_key_packages(claim).await.expect("answered")
}

/// Claims from one device.
async fn claim(store: &dyn Store, of: Person) -> Option<ClaimedKeyPackage> {
    let mut claimed = claim_from(store, vec![owner(of)], SUITE, NOW).await;
    assert!(claimed.len() < 2, "one package of one device");
    claimed.pop()
}

fn claimed(of: Person, package: &NewKeyPackage) -> ClaimedKeyPackage {
    ClaimedKeyPackage {
        device: of.device,
        body: package.body.clone(),
        last_resort: package.last_resort,
    }
}

async fn stock(store: &dyn Store, of: Person) -> Vec<SuiteStock> {
    stock_at(store, owner(of), NOW).await
}

async fn stock_at(store: &dyn Store, owner: CertifiedDevice, at: Timestamp) -> Vec<SuiteStock> {
    store.key_package_stock(owner, at).await.expect("counted")
}

const fn counted(suite: u16, available: u32, last_resort: bool) -> SuiteStock {
    SuiteStock {
        suite,
        available,
        last_resort,
    }
}

/// What a device has is told for each suite, and for no other device.
pub async fn key_packages_are_counted_by_suite(store: Arc<dyn Store>) {
    let [ada, bob] = people(&*store).await;
    let phone = another_device(&*store, ada.user).await;
    assert_eq!(stock(&*store, ada).await, []);
    let mut all = packages(SUITE, 3);
    all.extend(packages(OTHER_SUITE, 2));
    all.push(last_resort(SUITE));
    leave(&*store, ada, all).await;
    leave(&*store, phone, vec![last_resort(OTHER_SUITE)]).await;
    let expected = [counted(OTHER_SUITE, 2, false), counted(SUITE, 3, true)];
    assert_eq!(stock(&*store, ada).await, expected);
    assert_eq!(stock(&*store, phone).await, [counted(OTHER_SUITE, 0, true)]);
    assert_eq!(stock(&*store, bob).await, []);
    leave(&*store, ada, Vec::new()).await;
    assert_eq!(stock(&*store, ada).await, expected);
}

/// Each package is given to one who claims, whole, until none is left.
pub async fn a_key_package_is_handed_out_once(store: Arc<dyn Store>) {
    let ada = person(&*store).await;
    let left = packages(SUITE, 3);
    leave(&*store, ada, left.clone()).await;
    let mut given = Vec::new();
    for available in (0..3).rev() {
        given.push(claim(&*store, ada).await.expect("one is left"));
        let expected = match available {
            0 => Vec::new(),
            _ => vec![counted(SUITE, available, false)],
        };
        assert_eq!(stock(&*store, ada).await, expected);
    }
    assert_eq!(claim(&*store, ada).await, None);
    for package in &left {
        assert!(given.contains(&claimed(ada, package)));
    }
}

/// One of last resort is kept for when there is no other, and stays.
pub async fn a_key_package_of_last_resort_is_handed_out_last_and_again(store: Arc<dyn Store>) {
    let ada = person(&*store).await;
    let (last, once) = (last_resort(SUITE), package(SUITE));
    leave(&*store, ada, vec![last.clone()]).await;
    leave(&*store, ada, vec![once.clone()]).await;
    for expected in [&once, &last, &last, &last] {
        assert_eq!(claim(&*store, ada).await, Some(claimed(ada, expected)));
    }
    assert_eq!(stock(&*store, ada).await, [counted(SUITE, 0, true)]);
    let another = package(SUITE);
    leave(&*store, ada, vec![another.clone()]).await;
    for expected in [&another, &last] {
        assert_eq!(claim(&*store, ada).await, Some(claimed(ada, expected)));
    }
}

/// A claim takes one package of each device that has one, in the order asked.
pub async fn key_packages_of_several_devices_are_claimed_together(store: Arc<dyn Store>) {
    let [ada, bob] = people(&*store).await;
    let phone = another_device(&*store, ada.user).await;
    let empty = another_device(&*store, ada.user).await;
    let (one, two, three) = (package(SUITE), last_resort(SUITE), package(SUITE));
    leave(&*store, ada, vec![one.clone()]).await;
    leave(&*store, phone, vec![two.clone()]).await;
    leave(&*store, bob, vec![three.clone()]).await;
    let owners = [phone, empty, ada].map(owner).to_vec();
    let given = claim_from(&*store, owners.clone(), SUITE, NOW).await;
    assert_eq!(given, [claimed(phone, &two), claimed(ada, &one)]);
    let given = claim_from(&*store, owners, SUITE, NOW).await;
    assert_eq!(given, [claimed(phone, &two)]);
    assert_eq!(claim(&*store, bob).await, Some(claimed(bob, &three)));
    assert_eq!(claim_from(&*store, Vec::new(), SUITE, NOW).await, []);
}

/// Claims at the same moment share no package and find all that are left.
pub async fn of_claims_at_once_no_two_are_given_one_key_package(store: Arc<dyn Store>) {
    let [ada, bob] = people(&*store).await;
    for of in [ada, bob] {
        leave(&*store, of, packages(SUITE, 24)).await;
    }
    let outcomes = at_once((0..32).map(|number| {
        let store = Arc::clone(&store);
        let mut owners = vec![owner(ada), owner(bob)];
        if number % 2 == 1 {
            owners.reverse();
        }
        async move { claim_from(&*store, owners, SUITE, NOW).await }
    }))
    .await;
    for of in [ada, bob] {
        let given: Vec<Blob> = outcomes
            .iter()
            .flatten()
            .filter(|claimed| claimed.device == of.device)
            .map(|claimed| claimed.body.clone())
            .collect();
        let different: HashSet<&Blob> = given.iter().collect();
        assert_eq!(different.len(), given.len(), "one was given twice");
        assert_eq!(given.len(), 24);
        assert_eq!(claim(&*store, of).await, None);
    }
}

/// A claim finds packages of its suite and of the certificate it names only.
pub async fn a_claim_concerns_one_suite_and_one_certificate(store: Arc<dyn Store>) {
    let ada = person(&*store).await;
    leave(&*store, ada, vec![package(SUITE), last_resort(SUITE)]).await;
    let other_suite = claim_from(&*store, vec![owner(ada)], OTHER_SUITE, NOW).await;
    assert_eq!(other_suite, []);
    let other_certificate = claim_from(&*store, vec![renewed(ada)], SUITE, NOW).await;
    assert_eq!(other_certificate, []);
    assert_eq!(stock_at(&*store, renewed(ada), NOW).await, []);
    assert_eq!(stock(&*store, ada).await, [counted(SUITE, 1, true)]);
}

/// A package is good until, and not at, the moment of its expiry.
pub async fn a_key_package_that_has_expired_is_neither_counted_nor_given(store: Arc<dyn Store>) {
    let ada = person(&*store).await;
    let mut soon = package(SUITE);
    soon.expires_at = later(10);
    let mut last = last_resort(SUITE);
    last.expires_at = later(20);
    leave(&*store, ada, vec![soon, last.clone()]).await;
    let counts = [
        (later(9), vec![counted(SUITE, 1, true)]),
        (later(10), vec![counted(SUITE, 0, true)]),
        (later(20), Vec::new()),
    ];
    for (at, expected) in counts {
        assert_eq!(stock_at(&*store, owner(ada), at).await, expected);
    }
    let given = claim_from(&*store, vec![owner(ada)], SUITE, later(10)).await;
    assert_eq!(given, [claimed(ada, &last)]);
    let given = claim_from(&*store, vec![owner(ada)], SUITE, later(20)).await;
    assert_eq!(given, []);
}

/// A package comes once to a device, whatever became of it, and whoever brings
/// one again leaves nothing of what comes with it.
pub async fn a_key_package_stored_before_is_known(store: Arc<dyn Store>) {
    let [ada, bob] = people(&*store).await;
    let (given, kept) = (package(SUITE), package(SUITE));
    let (replaced, last) = (last_resort(SUITE), last_resort(SUITE));
    leave(&*store, ada, vec![given.clone()]).await;
    assert_eq!(claim(&*store, ada).await, Some(claimed(ada, &given)));
    leave(&*store, ada, vec![kept.clone(), replaced.clone()]).await;
    leave(&*store, ada, vec![last.clone()]).await;
    let expected = [counted(SUITE, 1, true)];
    for known in [&given, &kept, &replaced, &last] {
        let again = vec![package(SUITE), known.clone(), package(OTHER_SUITE)];
        let refused = try_leave(&*store, owner(ada), again, MANY).await;
        assert_eq!(refused, StoreKeyPackages::Known);
        let elsewise = try_leave(&*store, renewed(ada), vec![known.clone()], MANY).await;
        assert_eq!(elsewise, StoreKeyPackages::Known);
        assert_eq!(stock(&*store, ada).await, expected);
    }
    let twice = package(SUITE);
    let refused = try_leave(
        &*store,
        owner(ada),
        vec![twice.clone(), twice.clone()],
        MANY,
    )
    .await;
    assert_eq!(refused, StoreKeyPackages::Known);
    assert_eq!(stock(&*store, ada).await, expected);
    // Neither the name of a package nor its being refused concerns other devices.
    leave(&*store, bob, vec![given, twice.clone()]).await;
    leave(&*store, ada, vec![twice.clone()]).await;
    let once = [claim(&*store, ada).await, claim(&*store, ada).await];
    for package in [&kept, &twice] {
        assert!(once.contains(&Some(claimed(ada, package))));
    }
    assert_eq!(claim(&*store, ada).await, Some(claimed(ada, &last)));
}

/// A later package of last resort takes the place of the one of its suite.
pub async fn a_key_package_of_last_resort_replaces_the_earlier_one(store: Arc<dyn Store>) {
    let ada = person(&*store).await;
    let (first, second) = (last_resort(SUITE), last_resort(SUITE));
    let other = last_resort(OTHER_SUITE);
    leave(&*store, ada, vec![first, other.clone()]).await;
    leave(&*store, ada, vec![second.clone()]).await;
    assert_eq!(claim(&*store, ada).await, Some(claimed(ada, &second)));
    let given = claim_from(&*store, vec![owner(ada)], OTHER_SUITE, NOW).await;
    assert_eq!(given, [claimed(ada, &other)]);
}

/// What would be too many leaves nothing. Spent and expired ones do not count,
/// nor do other suites and devices.
pub async fn a_device_has_no_more_key_packages_of_a_suite_than_it_may(store: Arc<dyn Store>) {
    let [ada, bob] = people(&*store).await;
    let try_some = async |packages| try_leave(&*store, owner(ada), packages, 3).await;
    assert_eq!(try_some(packages(SUITE, 4)).await, StoreKeyPackages::Full);
    assert_eq!(stock(&*store, ada).await, []);
    leave(&*store, bob, packages(SUITE, 9)).await;
    let mut expired = package(SUITE);
    expired.expires_at = NOW;
    let mut most = packages(SUITE, 3);
    most.extend(packages(OTHER_SUITE, 3));
    most.extend([last_resort(SUITE), expired]);
    assert_eq!(try_some(most).await, StoreKeyPackages::Stored);
    let full = [counted(OTHER_SUITE, 3, false), counted(SUITE, 3, true)];
    assert_eq!(stock(&*store, ada).await, full);
    for suite in [SUITE, OTHER_SUITE] {
        let one_more = vec![package(suite), last_resort(OTHER_SUITE)];
        assert_eq!(try_some(one_more).await, StoreKeyPackages::Full);
        assert_eq!(stock(&*store, ada).await, full);
    }
    assert!(claim(&*store, ada).await.is_some());
    let again = try_some(vec![package(SUITE)]).await;
    assert_eq!(again, StoreKeyPackages::Stored);
    assert_eq!(stock(&*store, ada).await, full);
}

/// Packages that come at once are counted together.
pub async fn key_packages_stored_at_once_are_no_more_than_may_be(store: Arc<dyn Store>) {
    let ada = person(&*store).await;
    append_chain(&*store, ada, 1, 1).await;
    let outcomes = at_once((0..8).map(|_| {
        let store = Arc::clone(&store);
        async move { try_leave(&*store, owner(ada), packages(SUITE, 2), 6).await }
    }))
    .await;
    let stored = outcomes
        .iter()
        .filter(|outcome| **outcome == StoreKeyPackages::Stored);
    assert_eq!(stored.count(), 3);
    assert_eq!(stock(&*store, ada).await, [counted(SUITE, 6, false)]);
}

/// Once a device leaves packages under a new certificate, the earlier ones are
/// of no use any more, and do not count.
pub async fn key_packages_under_an_earlier_certificate_are_withdrawn(store: Arc<dyn Store>) {
    let [ada, bob] = people(&*store).await;
    leave(&*store, bob, packages(SUITE, 2)).await;
    let mut before = packages(SUITE, 3);
    before.extend([last_resort(SUITE), last_resort(OTHER_SUITE)]);
    leave(&*store, ada, before).await;
    let after = packages(SUITE, 3);
    let stored = try_leave(&*store, renewed(ada), after.clone(), 3).await;
    assert_eq!(stored, StoreKeyPackages::Stored);
    assert_eq!(stock(&*store, ada).await, []);
    assert_eq!(claim(&*store, ada).await, None);
    let now = stock_at(&*store, renewed(ada), NOW).await;
    assert_eq!(now, [counted(SUITE, 3, false)]);
    let given = claim_from(&*store, vec![renewed(ada)], SUITE, NOW).await;
    let [given] = given.as_slice() else {
        panic!("one package of one device: {given:?}");
    };
    assert!(after.iter().any(|new| new.body == given.body));
    assert_eq!(stock(&*store, bob).await, [counted(SUITE, 2, false)]);
}

/// What was made under a list that is no longer the newest would withdraw what
/// was made under the newest.
pub async fn key_packages_under_an_earlier_list_are_not_stored(store: Arc<dyn Store>) {
    let ada = person(&*store).await;
    append_chain(&*store, ada, 2, 1).await;
    let now = try_leave(&*store, renewed(ada), packages(SUITE, 3), MANY).await;
    assert_eq!(now, StoreKeyPackages::Stored);
    for list_version in [0, 1, 3] {
        let late = NewKeyPackages {
            owner: owner(ada),
            list_version,
            packages: packages(SUITE, 2),
            most: MANY,
            at: NOW,
        };
        let outcome = store.store_key_packages(late).await.expect("answered");
        assert_eq!(outcome, StoreKeyPackages::Outdated, "{list_version}");
    }
    assert_eq!(stock(&*store, ada).await, []);
    let kept = stock_at(&*store, renewed(ada), NOW).await;
    assert_eq!(kept, [counted(SUITE, 3, false)]);
}

/// What has expired is forgotten, spent or not, and with it that it was there.
pub async fn purging_forgets_expired_key_packages_only(store: Arc<dyn Store>) {
    let ada = person(&*store).await;
    let mut spent = package(SUITE);
    spent.expires_at = later(10);
    leave(&*store, ada, vec![spent.clone()]).await;
    assert!(claim(&*store, ada).await.is_some());
    let mut soon = last_resort(SUITE);
    soon.expires_at = later(10);
    let stays = package(SUITE);
    leave(&*store, ada, vec![soon.clone(), stays.clone()]).await;
    assert_eq!(purge(&*store, later(9)).await, 0);
    assert_eq!(stock(&*store, ada).await, [counted(SUITE, 1, true)]);
    assert_eq!(purge(&*store, later(10)).await, 2);
    assert_eq!(stock(&*store, ada).await, [counted(SUITE, 1, false)]);
    let known = try_leave(&*store, owner(ada), vec![stays], MANY).await;
    assert_eq!(known, StoreKeyPackages::Known);
    leave(&*store, ada, vec![spent, soon]).await;
}

/// Forgets what has expired until nothing is left of it; how much there was.
async fn purge(store: &dyn Store, at: Timestamp) -> u64 {
    let mut all = 0;
    loop {
        let some = store.purge_key_packages(at).await.expect("purged");
        if some == 0 {
            return all;
        }
        all += some;
        assert!(all < 100, "no case stores so many packages");
    }
}
