//! Key packages: leaving them, and claiming them.

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::future::join_all;
use ruggine_core::api::key_package::{Claim, ClaimedPackage, Publish};
use ruggine_core::codec::Encoding;
use ruggine_core::time::ManualClock;
use ruggine_core::{Blob, ErrorCode, UserId, limits};
use ruggine_crypto::mls::Suite;
use ruggine_server::testing::TestServer;

use super::support::{DAY, Listed, Phone, claim, leave, log_in_again, now, of_suite, stock};

fn given(of: &Listed, package: &Blob, last_resort: bool) -> ClaimedPackage {
    ClaimedPackage {
        device: of.person.device(),
        package: package.clone(),
        last_resort,
    }
}

#[tokio::test]
async fn packages_are_handed_out_once_each_and_then_the_one_of_last_resort_again_and_again() {
    let server = TestServer::start().await;
    let ada = Listed::new(&server, "ada").await;
    let bob = server.http_of(&server.register("bob").await);
    for suite in Suite::ALL {
        let packages = ada.phone.packages(suite, 3);
        let last = ada.phone.last_resort(suite);
        let left = leave(&ada.http, packages.clone(), Some(last.clone())).await;
        assert_eq!(of_suite(&left.unwrap(), suite), (3, true));
        let mut once = Vec::new();
        for available in [2, 1, 0] {
            once.extend(claim(&bob, ada.account.user, suite).await);
            assert_eq!(stock(&ada.http, suite).await, (available, true));
        }
        assert_eq!(once.len(), 3);
        for package in &packages {
            assert!(once.contains(&given(&ada, package, false)));
        }
        for _ in 0..3 {
            let again = claim(&bob, ada.account.user, suite).await;
            assert_eq!(again, [given(&ada, &last, true)]);
        }
        // What comes later goes first.
        let later = ada.phone.package(suite);
        ada.leave(vec![later.clone()]).await;
        let next = claim(&bob, ada.account.user, suite).await;
        assert_eq!(next, [given(&ada, &later, false)]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_claims_at_once_no_two_are_given_one_package() {
    let server = TestServer::start().await;
    let ada = Listed::new(&server, "ada").await;
    let user = ada.account.user;
    ada.leave(ada.phone.packages(Suite::Classical, 16)).await;
    let mut claimers = Vec::new();
    for name in ["bob", "eve", "dan"] {
        claimers.push(server.http_of(&server.register(name).await));
    }
    let claims = (0..24).map(|number| claim(&claimers[number % 3], user, Suite::Classical));
    let outcomes = join_all(claims).await;
    let packages: Vec<Blob> = outcomes
        .into_iter()
        .flatten()
        .map(|claimed| claimed.package)
        .collect();
    assert_eq!(packages.len(), 16);
    assert_eq!(packages.into_iter().collect::<HashSet<_>>().len(), 16);
    assert_eq!(stock(&ada.http, Suite::Classical).await, (0, false));
}

#[tokio::test]
async fn a_claim_takes_one_package_of_each_listed_device_that_has_one() {
    let server = TestServer::start().await;
    let mut ada = Listed::new(&server, "ada").await;
    let others = [
        server.another_device(&ada.person).await,
        server.another_device(&ada.person).await,
    ];
    let phones = others
        .each_ref()
        .map(|person| ada.account.phone(person.device()));
    let first = ada.account.phone(ada.person.device());
    ada.relist(&[&first, &phones[0], &phones[1]]).await;
    let suite = Suite::Classical;
    let (one, two) = (first.package(suite), phones[1].package(suite));
    ada.leave(vec![one.clone()]).await;
    let http = server.http_of(&others[1]);
    leave(&http, vec![two.clone()], None).await.unwrap();

    // Of one's own devices all but the calling one.
    let own = claim(&server.http_of(&others[0]), ada.account.user, suite).await;
    let expected = [
        given(&ada, &one, false),
        ClaimedPackage {
            device: others[1].device(),
            package: two,
            last_resort: false,
        },
    ];
    assert_eq!(own, expected);
    let later = first.last_resort(suite);
    leave(&ada.http, Vec::new(), Some(later)).await.unwrap();
    assert_eq!(claim(&ada.http, ada.account.user, suite).await, []);

    // One that was taken out of the list is left out, whatever it has left.
    ada.relist(&[&phones[0], &phones[1]]).await;
    let bob = server.http_of(&server.register("bob").await);
    assert_eq!(claim(&bob, ada.account.user, suite).await, []);
    assert_eq!(stock(&ada.http, suite).await, (0, false));
}

#[tokio::test]
async fn packages_under_an_earlier_certificate_are_handed_out_no_more() {
    let server = TestServer::start().await;
    let mut ada = Listed::new(&server, "ada").await;
    let bob = server.http_of(&server.register("bob").await);
    let suite = Suite::Classical;
    let [before, after] = Phone::twins(&ada.account, ada.person.device(), [100, 200]);
    ada.relist(&[&before]).await;
    let last = Some(before.last_resort(suite));
    leave(&ada.http, before.packages(suite, 2), last)
        .await
        .unwrap();
    ada.relist(&[&after]).await;
    assert_eq!(stock(&ada.http, suite).await, (0, false));
    assert_eq!(claim(&bob, ada.account.user, suite).await, []);
    let package = after.package(suite);
    let left = ada.leave(vec![package.clone()]).await;
    assert_eq!(of_suite(&left, suite), (1, false));
    let claimed = claim(&bob, ada.account.user, suite).await;
    assert_eq!(claimed, [given(&ada, &package, false)]);
}

#[tokio::test]
async fn packages_that_have_expired_are_neither_counted_nor_handed_out() {
    let clock = Arc::new(ManualClock::new(now()));
    let server = TestServer::options().clock(clock.clone()).start().await;
    let ada = Listed::new(&server, "ada").await;
    let bob = server.register("bob").await;
    let suite = Suite::Classical;
    let last = Some(ada.phone.last_resort(suite));
    leave(&ada.http, ada.phone.packages(suite, 2), last)
        .await
        .unwrap();
    for (days, held, handed_out) in [(29, (2, true), 1), (2, (0, false), 0)] {
        clock.advance(DAY * days);
        let http = log_in_again(&server, &ada.person).await;
        assert_eq!(stock(&http, suite).await, held);
        let http = log_in_again(&server, &bob).await;
        let claimed = claim(&http, ada.account.user, suite).await;
        assert_eq!(claimed.len(), handed_out);
    }
}

#[tokio::test]
async fn a_device_keeps_a_hundred_packages_of_a_suite_and_takes_51_at_once() {
    let server = TestServer::start().await;
    let ada = Listed::new(&server, "ada").await;
    let suite = Suite::Classical;
    let most = limits::KEY_PACKAGES_PER_REQUEST;
    let last = || Some(ada.phone.last_resort(suite));
    let refused = leave(&ada.http, ada.phone.packages(suite, most), last()).await;
    let error = refused.unwrap_err();
    assert_eq!(error.code, ErrorCode::LimitReached);
    assert_eq!(error.details.as_deref(), Some("packages"));
    assert_eq!(stock(&ada.http, suite).await, (0, false));
    for number in 1..=2 {
        let left = leave(&ada.http, ada.phone.packages(suite, 50), last()).await;
        assert_eq!(of_suite(&left.unwrap(), suite), (50 * number, true));
    }
    let one_more = leave(&ada.http, vec![ada.phone.package(suite)], last()).await;
    let error = one_more.unwrap_err();
    assert_eq!(error.code, ErrorCode::LimitReached, "{error}");
    assert!(!error.retryable);
    assert_eq!(stock(&ada.http, suite).await, (100, true));
    // Another suite has room of its own, and a place that is free can be taken.
    let other = ada.leave(ada.phone.packages(Suite::PostQuantum, 1)).await;
    assert_eq!(of_suite(&other, Suite::PostQuantum), (1, false));
    let bob = server.http_of(&server.register("bob").await);
    claim(&bob, ada.account.user, suite).await;
    let left = ada.leave(vec![ada.phone.package(suite)]).await;
    assert_eq!(of_suite(&left, suite), (100, true));
}

#[tokio::test]
async fn as_many_post_quantum_packages_as_a_request_may_hold_go_through_http_in_both_encodings() {
    let server = TestServer::start().await;
    let ada = Listed::new(&server, "ada").await;
    let suite = Suite::PostQuantum;
    for (encoding, available) in [(Encoding::Json, 50), (Encoding::MsgPack, 100)] {
        let http = ada.http.clone().with_encoding(encoding);
        let last = Some(ada.phone.last_resort(suite));
        let left = leave(&http, ada.phone.packages(suite, 50), last).await;
        assert_eq!(of_suite(&left.unwrap(), suite), (available, true));
    }
}

#[tokio::test]
async fn a_socket_takes_packages_as_far_as_a_frame_goes() {
    let server = TestServer::start().await;
    let ada = Listed::new(&server, "ada").await;
    let suite = Suite::PostQuantum;
    let mut socket = server.socket(&ada.person, Encoding::MsgPack).await;
    let request = |count| Publish {
        packages: ada.phone.packages(suite, count),
        last_resort: None,
    };
    let left = socket.call(request(16)).await.unwrap();
    assert_eq!(of_suite(&left, suite), (16, false));
    let cut = socket.try_call(request(30)).await.unwrap_err();
    assert_eq!(cut.code, Some(1009));
    assert_eq!(stock(&ada.http, suite).await, (16, false));
}

#[tokio::test]
async fn somebody_without_a_list_has_no_packages_and_nobody_is_not_found() {
    let server = TestServer::start().await;
    let ada = server.register("ada").await;
    let http = server.http_of(&ada);
    for suite in Suite::ALL {
        assert_eq!(claim(&http, ada.user(), suite).await, []);
        assert_eq!(stock(&http, suite).await, (0, false));
    }
    let of = |user, suite| Claim { user, suite };
    let nobody = http.call(of(UserId::new(now()), 1)).await.unwrap_err();
    assert_eq!(nobody.code, ErrorCode::UserNotFound);
    for suite in [0, 2, 0x004d, u16::MAX] {
        let error = http.call(of(ada.user(), suite)).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::InvalidParams);
        assert_eq!(error.details.as_deref(), Some("suite"));
    }
}
