//! Device lists: publishing a chain and reading it.

use std::sync::Arc;

use futures_util::future::join_all;
use ruggine_core::api::identity::{Get, Known};
use ruggine_core::codec::Encoding;
use ruggine_core::{Blob, DeviceId, ErrorCode, UserId, limits};
use ruggine_crypto::identity::{DeviceList, Pin};
use ruggine_crypto::mls::Suite;
use ruggine_server::store::NewDeviceList;
use ruggine_server::testing::{TestServer, open_sqlite};

use super::support::{Account, Listed, bytes_of, lists, now, publish, publish_bytes};

#[tokio::test]
async fn a_chain_of_lists_is_read_as_it_was_published_from_where_it_is_known() {
    let server = TestServer::start().await;
    let mut ada = Listed::new(&server, "ada").await;
    let tablet = server.another_device(&ada.person).await;
    let tablet = ada.account.phone(tablet.device());
    let phone = ada.account.phone(ada.person.device());
    let mut chain = vec![ada.list.clone()];
    for phones in [vec![&phone, &tablet], vec![&phone], vec![&tablet]] {
        ada.relist(&phones).await;
        chain.push(ada.list.clone());
    }
    let bob = server.register("bob").await;
    for encoding in [Encoding::Json, Encoding::MsgPack] {
        let http = server.http_of(&bob).with_encoding(encoding);
        for known in 0..=chain.len() {
            let expected = bytes_of(&chain[known..]);
            let found = lists(&http, ada.account.user, known as u64).await;
            assert_eq!(found, (expected, false), "after {known}");
        }
        let (found, _) = lists(&http, ada.account.user, 0).await;
        let read = found.iter().map(|list| DeviceList::from_bytes(list));
        let read: Vec<DeviceList> = read.collect::<Result<_, _>>().unwrap();
        let pin = Pin::first(&read[0]).advance(&read).unwrap();
        assert_eq!(*pin.hash(), ada.list.hash());
    }
}

#[tokio::test]
async fn the_newest_list_published_again_is_answered_as_before() {
    let server = TestServer::start().await;
    let mut ada = Listed::new(&server, "ada").await;
    assert_eq!(publish(&ada.http, &ada.list).await, Ok(1));
    let phone = ada.account.phone(ada.person.device());
    ada.relist(&[&phone]).await;
    assert_eq!(publish(&ada.http, &ada.list).await, Ok(2));
    let (stored, _) = lists(&ada.http, ada.account.user, 0).await;
    assert_eq!(stored.len(), 2);
}

#[tokio::test]
async fn a_list_that_does_not_follow_the_newest_one_is_a_conflict_and_not_stored() {
    let server = TestServer::start().await;
    let mut ada = Listed::new(&server, "ada").await;
    let device = ada.person.device();
    let phones = [(); 3].map(|()| ada.account.phone(device));
    let first = ada.list.clone();
    let fork = ada.account.next(&first, &[&phones[0]]);
    let after_the_fork = ada.account.next(&fork, &[&phones[1]]);
    ada.relist(&[&phones[1]]).await;
    let gap = ada.account.next(&ada.list, &[&phones[0]]);
    let gap = ada.account.next(&gap, &[&phones[2]]);
    let thief = Account::of(&ada.person);
    let phone_of_thief = thief.phone(device);
    let begun_anew = thief.first(&[&phone_of_thief]);
    let mut taken_over = begun_anew.clone();
    for _ in 0..2 {
        taken_over = thief.next(&taken_over, &[&phone_of_thief]);
    }
    let stored = bytes_of([&first, &ada.list]);
    for (what, list) in [
        ("rolled back", &first),
        ("forked", &fork),
        ("after a fork", &after_the_fork),
        ("with a gap", &gap),
        ("begun anew with another key", &begun_anew),
        ("of another key", &taken_over),
    ] {
        let refused = publish(&ada.http, list).await;
        assert_eq!(refused, Err(ErrorCode::IdentityConflict), "{what}");
        let found = lists(&ada.http, ada.account.user, 0).await;
        assert_eq!(found, (stored.clone(), false), "{what}");
    }
    // One who is new begins with the first version.
    let bob = server.register("bob").await;
    let account = Account::of(&bob);
    let phone = account.phone(bob.device());
    let second = account.next(&account.first(&[&phone]), &[&phone]);
    let http = server.http_of(&bob);
    let refused = publish(&http, &second).await;
    assert_eq!(refused, Err(ErrorCode::IdentityConflict));
    assert_eq!(lists(&http, bob.user(), 0).await, (Vec::new(), false));
}

#[tokio::test]
async fn a_list_of_somebody_else_or_with_a_foreign_device_is_refused_and_not_stored() {
    let server = TestServer::start().await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let (of_ada, of_bob) = (Account::of(&ada), Account::of(&bob));
    let phone_of_bob = of_bob.phone(bob.device());
    let phone = of_ada.phone(ada.device());
    let foreign = of_ada.phone(bob.device());
    let unknown = of_ada.phone(DeviceId::new(now()));
    let http = server.http_of(&ada);
    for (what, list) in [
        ("of another user", of_bob.first(&[&phone_of_bob])),
        ("with another's device", of_ada.first(&[&phone, &foreign])),
        ("with another's device alone", of_ada.first(&[&foreign])),
        ("with a device of nobody", of_ada.first(&[&phone, &unknown])),
    ] {
        let refused = publish(&http, &list).await;
        assert_eq!(refused, Err(ErrorCode::InvalidIdentity), "{what}");
    }
    for user in [ada.user(), bob.user()] {
        assert_eq!(lists(&http, user, 0).await, (Vec::new(), false));
    }
    assert_eq!(publish(&http, &of_ada.first(&[&phone])).await, Ok(1));
}

#[tokio::test]
async fn bytes_that_are_no_list_are_refused_and_not_stored() {
    let server = TestServer::start().await;
    let ada = server.register("ada").await;
    let account = Account::of(&ada);
    let phone = account.phone(ada.device());
    let good = account.first(&[&phone]).to_bytes();
    let http = server.http_of(&ada);
    let mut bad = vec![
        Vec::new(),
        b"no list".to_vec(),
        good[1..].to_vec(),
        good[..good.len() - 1].to_vec(),
        [&good[..], &[0]].concat(),
        vec![0; DeviceList::MAX_LEN + 1],
        phone.package(Suite::Classical).to_vec(),
    ];
    for at in [0, 20, good.len() / 2, good.len() - 1] {
        let mut damaged = good.clone();
        damaged[at] ^= 1;
        bad.push(damaged);
    }
    for (number, bytes) in bad.into_iter().enumerate() {
        let refused = publish_bytes(&http, bytes).await;
        assert_eq!(refused, Err(ErrorCode::InvalidIdentity), "number {number}");
    }
    assert_eq!(lists(&http, ada.user(), 0).await, (Vec::new(), false));
    assert_eq!(publish_bytes(&http, good).await, Ok(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_different_next_lists_at_once_one_is_stored() {
    let server = TestServer::start().await;
    let ada = Listed::new(&server, "ada").await;
    let next: Vec<DeviceList> = (0..8)
        .map(|_| {
            let phone = ada.account.phone(ada.person.device());
            ada.account.next(&ada.list, &[&phone])
        })
        .collect();
    let outcomes = join_all(next.iter().map(|list| publish(&ada.http, list))).await;
    let winners: Vec<&DeviceList> = next
        .iter()
        .zip(&outcomes)
        .filter(|(_, outcome)| **outcome == Ok(2))
        .map(|(list, _)| list)
        .collect();
    let [winner] = winners.as_slice() else {
        panic!("{outcomes:?}");
    };
    let conflict = Err(ErrorCode::IdentityConflict);
    let refused = outcomes.iter().filter(|outcome| **outcome == conflict);
    assert_eq!(refused.count(), 7);
    let (stored, _) = lists(&ada.http, ada.account.user, 0).await;
    assert_eq!(stored, bytes_of([&ada.list, *winner]));
}

/// A list that nobody could have signed, for what is only counted.
fn counted(user: UserId, version: u64, length: usize) -> NewDeviceList {
    let hash = |version: u64| {
        let mut hash = [0; 32];
        hash[..8].copy_from_slice(&version.to_be_bytes());
        hash
    };
    NewDeviceList {
        user,
        version,
        previous: hash(version - 1),
        hash: hash(version),
        account: [1; 32],
        devices: Vec::new(),
        body: Blob::from(vec![version as u8; length]),
        at: now(),
    }
}

#[tokio::test]
async fn many_lists_are_given_in_parts_that_together_are_all() {
    let folder = tempfile::tempdir().unwrap();
    let store = open_sqlite(folder.path()).await;
    let server = TestServer::options()
        .folder(folder.path())
        .store(Arc::clone(&store))
        .start()
        .await;
    let mut people = Vec::new();
    for number in 0..12 {
        let person = server.register(&format!("user{number}")).await;
        for version in 1..=25 {
            let list = counted(person.user(), version, 2_000);
            store.append_device_list(list).await.unwrap();
        }
        people.push(person);
    }
    let nobody = server.register("nobody").await;
    let http = server.http_of(&nobody);
    let mut asked: Vec<Known> = people
        .iter()
        .chain([&nobody])
        .map(|person| Known {
            user: person.user(),
            after: 0,
        })
        .collect();
    let mut rounds = 0;
    while !asked.is_empty() {
        rounds += 1;
        let request = Get {
            users: asked.clone(),
        };
        let answer = http.call(request).await.unwrap().users;
        let order: Vec<_> = answer.iter().map(|lists| lists.user).collect();
        let expected: Vec<_> = asked.iter().map(|known| known.user).collect();
        assert_eq!(order, expected, "one entry for each user, in their order");
        let given = answer.iter().flat_map(|lists| &lists.lists);
        let bytes: usize = given.map(|list| list.len()).sum();
        assert!(bytes > 0 && bytes <= limits::DEVICE_LISTS_BYTES_MAX);
        for (known, lists) in asked.iter_mut().zip(&answer) {
            assert!(lists.lists.len() <= limits::DEVICE_LISTS_PER_USER);
            for list in &lists.lists {
                known.after += 1;
                assert_eq!(u64::from(list[0]), known.after, "without a gap");
            }
            let all = match known.user == nobody.user() {
                true => 0,
                false => 25,
            };
            assert!(lists.more || known.after == all, "{}", known.after);
        }
        let mut answer = answer.iter();
        asked.retain(|_| answer.next().is_some_and(|lists| lists.more));
    }
    assert!((3..=6).contains(&rounds), "600 kB in {rounds} rounds");
}

#[tokio::test]
async fn a_hundred_users_are_asked_for_at_once_and_one_who_is_named_twice_is_answered_once() {
    let server = TestServer::start().await;
    let ada = Listed::new(&server, "ada").await;
    let user = ada.account.user;
    let known = |after| Known { user, after };
    let twice = Get {
        users: vec![known(0), known(1)],
    };
    let answer = ada.http.call(twice).await.unwrap().users;
    assert_eq!(answer.len(), 1);
    assert_eq!(answer[0].lists, bytes_of([&ada.list]));
    let most = vec![known(0); limits::IDENTITY_QUERY_MAX];
    let one_more = [&most[..], &[known(0)]].concat();
    assert!(ada.http.call(Get { users: most }).await.is_ok());
    let refused = ada.http.call(Get { users: one_more }).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::LimitReached);
    assert_eq!(refused.details.as_deref(), Some("users"));
    let nobody = ada.http.call(Get { users: Vec::new() }).await.unwrap();
    assert_eq!(nobody.users, []);
}
