//! Cases of [`IdentityStore`](crate::store::IdentityStore).

use std::sync::Arc;

use ruggine_core::{Blob, DeviceId, UserId};

use super::fixture::{NOW, Person, another_device, at_once, people, person};
use crate::store::{AppendList, NewDeviceList, Store, StoredDeviceList};

/// The hash of a version in a chain.
fn hash(version: u64, chain: u8) -> [u8; 32] {
    let mut hash = [chain; 32];
    hash[..8].copy_from_slice(&version.to_be_bytes());
    hash
}

/// A version in a chain of lists of one device.
fn list(of: Person, version: u64, chain: u8) -> NewDeviceList {
    NewDeviceList {
        user: of.user,
        version,
        previous: match version {
            1 => [0; 32],
            _ => hash(version.wrapping_sub(1), chain),
        },
        hash: hash(version, chain),
        account: [7; 32],
        devices: vec![of.device],
        body: Blob::from(vec![chain, version as u8, 0x00, 0xff]),
        at: NOW,
    }
}

async fn append(store: &dyn Store, list: NewDeviceList) -> AppendList {
    store.append_device_list(list).await.expect("answered")
}

/// Appends the first versions of a chain.
pub(super) async fn append_chain(store: &dyn Store, of: Person, versions: u64, chain: u8) {
    for version in 1..=versions {
        let appended = append(store, list(of, version, chain)).await;
        assert_eq!(appended, AppendList::Appended, "version {version}");
    }
}

/// Every list of a user.
async fn all(store: &dyn Store, user: UserId) -> Vec<StoredDeviceList> {
    store
        .device_lists(vec![(user, 0)], usize::MAX)
        .await
        .expect("read")
}

fn stored(list: NewDeviceList) -> StoredDeviceList {
    StoredDeviceList {
        user: list.user,
        version: list.version,
        body: list.body,
    }
}

/// What comes back is what was given, and belongs to its user alone.
pub async fn a_device_list_is_stored_as_it_was_given(store: Arc<dyn Store>) {
    let [ada, bob] = people(&*store).await;
    for user in [ada.user, bob.user] {
        let newest = store.newest_device_list(user).await.expect("read");
        assert_eq!(newest, None);
        assert_eq!(all(&*store, user).await, []);
    }
    append_chain(&*store, ada, 1, 1).await;
    let expected = stored(list(ada, 1, 1));
    assert_eq!(
        all(&*store, ada.user).await,
        std::slice::from_ref(&expected)
    );
    let newest = store.newest_device_list(ada.user).await.expect("read");
    assert_eq!(newest, Some(expected));
    assert_eq!(all(&*store, bob.user).await, []);
}

/// Lists are read from where they are known, so many of each user, and the
/// newest one is found however many there are.
pub async fn device_lists_are_read_in_their_order_from_where_they_are_known(store: Arc<dyn Store>) {
    let [ada, bob, eve] = people(&*store).await;
    append_chain(&*store, ada, 12, 1).await;
    append_chain(&*store, bob, 3, 2).await;
    let asked = vec![
        (bob.user, 1),
        (eve.user, 0),
        (ada.user, 7),
        (UserId::new(NOW), u64::MAX),
    ];
    for per_user in [1, 3, 99] {
        let found = store.device_lists(asked.clone(), per_user).await;
        let of_bob = (2..=3).map(|version| list(bob, version, 2)).take(per_user);
        let of_ada = (8..=12).map(|version| list(ada, version, 1)).take(per_user);
        let expected: Vec<StoredDeviceList> = of_bob.chain(of_ada).map(stored).collect();
        assert_eq!(found.expect("read"), expected, "{per_user} of each");
    }
    let nothing = store.device_lists(Vec::new(), 9).await.expect("read");
    assert_eq!(nothing, []);
    let newest = store.newest_device_list(ada.user).await.expect("read");
    assert_eq!(newest, Some(stored(list(ada, 12, 1))));
}

/// A lost answer costs nothing: the newest list may come again.
pub async fn the_newest_device_list_appended_again_existed(store: Arc<dyn Store>) {
    let ada = person(&*store).await;
    for version in 1..=2 {
        for expected in [AppendList::Appended, AppendList::Existed] {
            let appended = append(&*store, list(ada, version, 1)).await;
            assert_eq!(appended, expected);
        }
    }
    assert_eq!(all(&*store, ada.user).await.len(), 2);
}

/// Gaps, steps back, second lists of a version and other account keys are
/// refused, and nothing of them is stored.
pub async fn a_device_list_that_does_not_follow_is_a_conflict(store: Arc<dyn Store>) {
    let ada = person(&*store).await;
    for version in [0, 2, u64::MAX] {
        let early = append(&*store, list(ada, version, 1)).await;
        assert_eq!(early, AppendList::Conflict, "version {version} first");
    }
    append_chain(&*store, ada, 2, 1).await;
    let unfit = [
        list(ada, 1, 1),
        list(ada, 1, 2),
        list(ada, 2, 2),
        list(ada, 3, 2),
        list(ada, 4, 1),
        list(ada, 0, 1),
        list(ada, u64::MAX, 1),
        NewDeviceList {
            account: [8; 32],
            ..list(ada, 3, 1)
        },
        NewDeviceList {
            previous: [0; 32],
            ..list(ada, 3, 1)
        },
    ];
    for list in unfit {
        let described = format!("{list:?}");
        let refused = append(&*store, list).await;
        assert_eq!(refused, AppendList::Conflict, "{described}");
    }
    let expected = [stored(list(ada, 1, 1)), stored(list(ada, 2, 1))];
    assert_eq!(all(&*store, ada.user).await, expected);
}

/// A list names devices on which its user has logged in, and no others.
pub async fn a_device_list_with_a_foreign_device_is_not_stored(store: Arc<dyn Store>) {
    let [ada, bob] = people(&*store).await;
    let phone = another_device(&*store, ada.user).await;
    for foreign in [bob.device, DeviceId::new(NOW)] {
        let with_it = NewDeviceList {
            devices: vec![ada.device, foreign],
            ..list(ada, 1, 1)
        };
        let refused = append(&*store, with_it).await;
        assert_eq!(refused, AppendList::ForeignDevice);
    }
    assert_eq!(all(&*store, ada.user).await, []);
    let of_both = NewDeviceList {
        devices: vec![ada.device, phone.device],
        ..list(ada, 1, 1)
    };
    assert_eq!(append(&*store, of_both).await, AppendList::Appended);
}

/// Of different lists that follow the same one and come at once, one is heard.
pub async fn of_device_lists_that_follow_the_same_one_exactly_one_stays(store: Arc<dyn Store>) {
    let ada = person(&*store).await;
    append_chain(&*store, ada, 1, 1).await;
    for version in 2..=4 {
        let before = all(&*store, ada.user).await;
        let last = before.last().expect("a list").body[0];
        let outcomes = at_once((1..=12).map(|chain| {
            let store = Arc::clone(&store);
            let next = NewDeviceList {
                previous: hash(version - 1, last),
                ..list(ada, version, chain)
            };
            async move { append(&*store, next).await }
        }))
        .await;
        let winners: Vec<u8> = (1..=12)
            .zip(&outcomes)
            .filter(|(_, outcome)| **outcome == AppendList::Appended)
            .map(|(chain, _)| chain)
            .collect();
        let [winner] = winners.as_slice() else {
            panic!("appended beside each other: {winners:?}");
        };
        let conflicts = outcomes.iter().filter(|one| **one == AppendList::Conflict);
        assert_eq!(conflicts.count(), 11);
        let after = all(&*store, ada.user).await;
        assert_eq!(after[..before.len()], before[..]);
        assert_eq!(after[before.len()..], [stored(list(ada, version, *winner))]);
    }
}

/// The same list by many at once is stored once, and all of them are told so.
pub async fn a_device_list_appended_by_many_at_once_is_stored_once(store: Arc<dyn Store>) {
    let ada = person(&*store).await;
    let outcomes = at_once((0..12).map(|_| {
        let store = Arc::clone(&store);
        async move { append(&*store, list(ada, 1, 1)).await }
    }))
    .await;
    let appended = outcomes.iter().filter(|one| **one == AppendList::Appended);
    assert_eq!(appended.count(), 1);
    let existed = outcomes.iter().filter(|one| **one == AppendList::Existed);
    assert_eq!(existed.count(), 11);
    assert_eq!(all(&*store, ada.user).await.len(), 1);
}
