//! Key packages that are refused, and that nothing of them is stored.

use std::sync::Arc;

use ruggine_core::Blob;
use ruggine_core::time::ManualClock;
use ruggine_crypto::mls::Suite;
use ruggine_server::testing::TestServer;

use super::support::{
    Account, DAY, Listed, Phone, assert_refused, claim, leave, log_in_again, now, publish, stock,
};

const SUITE: Suite = Suite::Classical;

#[tokio::test]
async fn a_package_of_another_device_or_user_is_refused() {
    let server = TestServer::start().await;
    let mut ada = Listed::new(&server, "ada").await;
    let bob = Listed::new(&server, "bob").await;
    let other = server.another_device(&ada.person).await;
    let tablet = ada.account.phone(other.device());
    let phone = ada.account.phone(ada.person.device());
    ada.relist(&[&phone, &tablet]).await;
    for foreign in [&bob.phone, &tablet] {
        let packages = vec![phone.package(SUITE), foreign.package(SUITE)];
        assert_refused(&ada.http, packages, None, "another device").await;
        let last = Some(foreign.last_resort(SUITE));
        assert_refused(&ada.http, Vec::new(), last, "another device").await;
    }
    for http in [&ada.http, &bob.http, &server.http_of(&other)] {
        assert_eq!(stock(http, SUITE).await, (0, false));
    }
}

#[tokio::test]
async fn a_package_of_a_device_that_is_not_listed_is_refused() {
    let server = TestServer::start().await;
    let ada = server.register("ada").await;
    let account = Account::of(&ada);
    let phone = account.phone(ada.device());
    let http = server.http_of(&ada);
    let unlisted = "not in its user's newest device list";
    assert_refused(&http, vec![phone.package(SUITE)], None, unlisted).await;

    // Another device is listed, then this one with another certificate.
    let other = server.another_device(&ada).await;
    let tablet = account.phone(other.device());
    let first = account.first(&[&tablet]);
    assert_eq!(publish(&http, &first).await, Ok(1));
    assert_refused(&http, vec![phone.package(SUITE)], None, unlisted).await;
    let [renewed, listed] = Phone::twins(&account, ada.device(), [100, 200]);
    let second = account.next(&first, &[&tablet, &listed]);
    assert_eq!(publish(&http, &second).await, Ok(2));
    for outdated in [&phone, &renewed] {
        let packages = vec![listed.package(SUITE), outdated.package(SUITE)];
        assert_refused(&http, packages, None, "not under the certificate").await;
    }
    assert_eq!(stock(&http, SUITE).await, (0, false));
    let packages = vec![listed.package(SUITE)];
    leave(&http, packages, None).await.unwrap();

    // Once it is taken out, it leaves nothing more.
    let third = account.next(&second, &[&tablet]);
    assert_eq!(publish(&http, &third).await, Ok(3));
    assert_refused(&http, vec![listed.package(SUITE)], None, unlisted).await;
}

#[tokio::test]
async fn a_package_that_was_left_before_is_refused_also_once_it_is_gone() {
    let server = TestServer::start().await;
    let ada = Listed::new(&server, "ada").await;
    let bob = server.http_of(&server.register("bob").await);
    let (claimed, kept) = (ada.phone.package(SUITE), ada.phone.package(SUITE));
    let replaced = ada.phone.last_resort(SUITE);
    let last = ada.phone.last_resort(SUITE);
    ada.leave(vec![claimed.clone()]).await;
    assert_eq!(claim(&bob, ada.account.user, SUITE).await.len(), 1);
    for last in [&replaced, &last] {
        let last = Some(last.clone());
        leave(&ada.http, Vec::new(), last).await.unwrap();
    }
    ada.leave(vec![kept.clone()]).await;
    let before = "left here before";
    for again in [&claimed, &kept] {
        let packages = vec![ada.phone.package(SUITE), again.clone()];
        assert_refused(&ada.http, packages, None, before).await;
    }
    for again in [&replaced, &last] {
        let packages = vec![ada.phone.package(SUITE)];
        assert_refused(&ada.http, packages, Some(again.clone()), before).await;
    }
    let twice = ada.phone.package(SUITE);
    assert_refused(&ada.http, vec![twice.clone(), twice], None, before).await;
    assert_eq!(stock(&ada.http, SUITE).await, (1, true));
    for (package, last_resort) in [(&kept, false), (&last, true)] {
        let claimed = claim(&bob, ada.account.user, SUITE).await;
        let claimed = claimed.first().unwrap();
        assert_eq!(&claimed.package, package);
        assert_eq!(claimed.last_resort, last_resort);
    }
}

#[tokio::test]
async fn a_package_of_last_resort_is_marked_so_and_no_other_is() {
    let server = TestServer::start().await;
    let ada = Listed::new(&server, "ada").await;
    let marked = "marked so";
    let packages = vec![ada.phone.package(SUITE), ada.phone.last_resort(SUITE)];
    assert_refused(&ada.http, packages, None, marked).await;
    let last = Some(ada.phone.package(SUITE));
    assert_refused(&ada.http, vec![ada.phone.package(SUITE)], last, marked).await;
    assert_eq!(stock(&ada.http, SUITE).await, (0, false));
}

#[tokio::test]
async fn bytes_that_are_no_package_are_refused_with_all_that_comes_with_them() {
    let server = TestServer::start().await;
    let ada = Listed::new(&server, "ada").await;
    let good = ada.phone.package(SUITE);
    let mut bad = vec![
        Vec::new(),
        b"no package".to_vec(),
        good[1..].to_vec(),
        good[..good.len() - 1].to_vec(),
        [&good[..], &[0]].concat(),
        vec![0; 17 * 1024],
        ada.list.to_bytes(),
    ];
    for at in [4, good.len() / 2, good.len() - 1] {
        let mut damaged = good.to_vec();
        damaged[at] ^= 1;
        bad.push(damaged);
    }
    for bytes in bad {
        let bytes = Blob::from(bytes);
        // Many are read elsewhere than few, and refused all the same.
        for beside in [1, 8] {
            let mut packages = ada.phone.packages(SUITE, beside);
            packages.push(bytes.clone());
            assert_refused(&ada.http, packages, None, "").await;
        }
        let packages = vec![ada.phone.package(SUITE)];
        assert_refused(&ada.http, packages, Some(bytes), "").await;
    }
    assert_eq!(stock(&ada.http, SUITE).await, (0, false));
    ada.leave(vec![good]).await;
}

#[tokio::test]
async fn a_package_is_refused_once_the_certificate_of_its_device_has_expired() {
    let clock = Arc::new(ManualClock::new(now()));
    let server = TestServer::options().clock(clock.clone()).start().await;
    let mut ada = Listed::new(&server, "ada").await;
    let bob = server.register("bob").await;
    let [short, _] = Phone::twins(&ada.account, ada.person.device(), [2, 3]);
    ada.relist(&[&short]).await;
    ada.leave(vec![short.package(SUITE)]).await;
    clock.advance(DAY * 3);
    let http = log_in_again(&server, &ada.person).await;
    let expired = "the certificate has expired";
    assert_refused(&http, vec![short.package(SUITE)], None, expired).await;
    // What was left under it is of no use to anybody.
    assert_eq!(stock(&http, SUITE).await, (0, false));
    let bob = log_in_again(&server, &bob).await;
    assert_eq!(claim(&bob, ada.account.user, SUITE).await, []);
}
