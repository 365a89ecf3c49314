//! Cases of [`Maintenance`](crate::store::Maintenance) and of the
//! [`Store`] itself.

use std::collections::HashMap;
use std::sync::Arc;

use ruggine_core::api::message::PageStart;
use ruggine_core::{Blob, Seq, SessionId, UserId};
use ruggine_crypto::token::TokenKind;

use super::fixture::{
    NOW, at_once, group, hash, message, new_group, new_session, new_user, notice, people, sealed,
    tokens,
};
use super::reads::query;
use crate::store::{
    Append, BatchId, CertifiedDevice, ChangeRoster, ClaimKeyPackages, HeadsQuery, LoginDevice,
    MemberEffect, MovePosition, NewDeviceList, NewKeyPackages, PositionKind, RotateTokens,
    SealedText, Store, StoreError,
};

/// There is somewhere to write.
pub async fn a_store_has_at_least_one_lane(store: Arc<dyn Store>) {
    assert!(store.lanes() > 0);
}

/// The log keeps its identity, and says what makes its commits durable.
pub async fn the_facts_stay_the_same(store: Arc<dyn Store>) {
    let before = store.facts().await.expect("read");
    assert!(
        !before.durability.is_empty(),
        "what a commit rests on is read back"
    );
    let [ada] = people(&*store).await;
    group(&*store, ada, &[]).await;
    assert_eq!(store.facts().await.expect("read"), before);
}

/// A log that begins anew has another identity and the same rows.
pub async fn a_log_that_begins_anew_keeps_its_rows(store: Arc<dyn Store>) {
    let before = store.facts().await.expect("read").incarnation;
    let [ada] = people(&*store).await;
    let group = group(&*store, ada, &[]).await;
    let rows = async || {
        let rows = store.rows(group, Seq::new(1), Seq::new(9), 9).await;
        rows.expect("read")
    };
    let written = rows().await;
    let drawn = store.begin_incarnation().await.expect("drawn");
    assert_ne!(drawn, before);
    assert_eq!(store.facts().await.expect("read").incarnation, drawn);
    assert_eq!(rows().await, written);
}

/// A store that works says so.
pub async fn a_store_that_works_answers_a_ping(store: Arc<dyn Store>) {
    store.ping().await.expect("answered");
}

/// Keys are remembered with the record that proves them.
pub async fn registered_keys_are_all_remembered(store: Arc<dyn Store>) {
    assert_eq!(store.sealing_keys().await.expect("read"), []);
    assert!(register(&*store, "k1", "one", &[]).await);
    assert!(register(&*store, "k2", "two", &["k1"]).await);
    let expected = HashMap::from([
        ("k1".to_owned(), sealed("one")),
        ("k2".to_owned(), sealed("two")),
    ]);
    assert_eq!(keys(&*store).await, expected);
}

/// A second registration, with whatever record, leaves the first as it is.
pub async fn a_key_registered_again_keeps_its_record(store: Arc<dyn Store>) {
    for record in ["one", "one", "another"] {
        assert!(register(&*store, "k1", record, &[]).await);
    }
    let expected = HashMap::from([("k1".to_owned(), sealed("one"))]);
    assert_eq!(keys(&*store).await, expected);
}

/// A key does not join others that whoever brings it does not know of.
pub async fn a_key_is_registered_beside_known_ones_only(store: Arc<dyn Store>) {
    assert!(register(&*store, "k1", "one", &["k9"]).await);
    let unfit: [&[&str]; 3] = [&[], &["k2"], &["k9"]];
    for beside in unfit {
        assert!(
            !register(&*store, "k2", "two", beside).await,
            "k1 is not among {beside:?}"
        );
    }
    assert_eq!(
        keys(&*store).await.len(),
        1,
        "what is refused leaves nothing"
    );
    assert!(register(&*store, "k2", "two", &["k1"]).await);
    assert!(
        !register(&*store, "k1", "one", &[]).await,
        "k1 stands there, and so does k2"
    );
    assert_eq!(keys(&*store).await.len(), 2);
}

/// Of many who bring a key at once, each without knowing of the others, exactly
/// one is heard.
pub async fn of_unknown_keys_registered_at_once_exactly_one_stays(store: Arc<dyn Store>) {
    let outcomes = at_once((0..16).map(|number| {
        let store = Arc::clone(&store);
        async move { register(&*store, &format!("k{number}"), "record", &[]).await }
    }))
    .await;
    let winners: Vec<String> = (0..16)
        .zip(outcomes)
        .filter(|(_, is_registered)| *is_registered)
        .map(|(number, _)| format!("k{number}"))
        .collect();
    let [winner] = winners.as_slice() else {
        panic!("registered beside each other: {winners:?}");
    };
    let expected = HashMap::from([(winner.clone(), sealed("record"))]);
    assert_eq!(keys(&*store).await, expected);
}

async fn register(store: &dyn Store, kid: &str, record: &str, beside: &[&str]) -> bool {
    let beside = beside.iter().map(|other| (*other).to_owned()).collect();
    let registering = store.register_key(kid.to_owned(), sealed(record), beside);
    registering.await.expect("answered")
}

async fn keys(store: &dyn Store) -> HashMap<String, SealedText> {
    let keys = store.sealing_keys().await.expect("read");
    let count = keys.len();
    let keys: HashMap<_, _> = keys.into_iter().collect();
    assert_eq!(keys.len(), count, "every key stands there once");
    keys
}

fn failed<T>(step: &str, outcome: Result<T, StoreError>) {
    assert!(outcome.is_err(), "{step} worked on a closed store");
}

/// No step works on a closed store, and none hangs; closing it again is harmless.
pub async fn every_step_fails_once_the_store_is_closed(store: Arc<dyn Store>) {
    let [ada] = people(&*store).await;
    let id = group(&*store, ada, &[]).await;
    store.close().await;

    let (user, device, session) = (ada.user, ada.device, SessionId::new(NOW));
    failed("ping", store.ping().await);
    failed("facts", store.facts().await);
    failed("sealing_keys", store.sealing_keys().await);
    failed(
        "register_key",
        store
            .register_key("k".to_owned(), sealed("r"), Vec::new())
            .await,
    );

    failed("create_user", store.create_user(new_user()).await);
    failed(
        "user_by_name",
        store.user_by_name(new_user().username).await,
    );
    failed("users", store.users(vec![user]).await);
    failed(
        "acquaintances",
        store.acquaintances(user, vec![UserId::new(NOW)]).await,
    );

    let next = tokens(user);
    let rotation = RotateTokens {
        user,
        presented: next.refresh.hash,
        next,
        at: NOW,
    };
    let known = LoginDevice::Known {
        id: device,
        secret: hash(TokenKind::Device, user),
    };
    let login = new_session(user, known);
    failed("open_session", store.open_session(login).await);
    failed(
        "session_by_access",
        store.session_by_access(user, next.access.hash, NOW).await,
    );
    failed("rotate_tokens", store.rotate_tokens(rotation).await);
    failed("sessions", store.sessions(user, NOW).await);
    failed(
        "revoke_session",
        store.revoke_session(user, session, NOW).await,
    );
    failed(
        "revoked_among",
        store.revoked_among(vec![(user, session)]).await,
    );
    failed(
        "touch_session",
        store.touch_session(user, session, NOW).await,
    );
    failed(
        "advance_write_counter",
        store.advance_write_counter(user, device, 1).await,
    );
    failed("purge_tokens", store.purge_tokens(NOW).await);

    failed(
        "create_conversation",
        store.create_conversation(new_group(ada, &[])).await,
    );
    failed("conversation", store.conversation(id, user).await);
    failed("conversations", store.conversations(user, None, 1).await);
    failed("memberships", store.memberships(user).await);
    failed(
        "conversation_counts",
        store.conversation_counts(vec![user]).await,
    );
    failed("members", store.members(id, None, 1).await);
    failed("roster_view", store.roster_view(id, vec![user]).await);
    failed("roster", store.roster(id).await);
    let change = ChangeRoster {
        expected_version: 1,
        effects: vec![MemberEffect::Remove(user)],
        notice: notice(id, ada),
    };
    failed("change_roster", store.change_roster(change).await);

    let append = Append {
        rows: vec![message(id, ada)],
        settled: Vec::new(),
        at: NOW,
    };
    failed("append", store.append(append).await);
    failed("page", store.page(query(id, user, PageStart::Newest)).await);
    failed("rows", store.rows(id, Seq::new(1), Seq::new(1), 1).await);
    failed("heads", store.heads(vec![id]).await);
    failed("pending_batches", store.pending_batches(NOW, 1).await);
    failed("settle", store.settle(vec![BatchId([1; 16])]).await);

    let heads = HeadsQuery {
        user,
        device,
        after: None,
        all: true,
        limit: 1,
    };
    failed("device_heads", store.device_heads(heads).await);
    let to = MovePosition {
        kind: PositionKind::Read,
        user,
        device,
        conversation: id,
        seq: Seq::new(1),
    };
    failed("move_positions", store.move_positions(vec![to]).await);

    let list = NewDeviceList {
        user,
        version: 1,
        previous: [0; 32],
        hash: [1; 32],
        account: [2; 32],
        devices: vec![device],
        body: Blob::default(),
        at: NOW,
    };
    failed("append_device_list", store.append_device_list(list).await);
    failed("device_lists", store.device_lists(vec![(user, 0)], 1).await);
    failed("newest_device_list", store.newest_device_list(user).await);
    let owner = CertifiedDevice {
        user,
        device,
        certificate: Blob::default(),
    };
    let new = NewKeyPackages {
        owner: owner.clone(),
        list_version: 0,
        packages: Vec::new(),
        most: 1,
        at: NOW,
    };
    failed("store_key_packages", store.store_key_packages(new).await);
    failed(
        "key_package_stock",
        store.key_package_stock(owner.clone(), NOW).await,
    );
    let claim = ClaimKeyPackages {
        owners: vec![owner],
        suite: 1,
        at: NOW,
    };
    failed("claim_key_packages", store.claim_key_packages(claim).await);
    failed("purge_key_packages", store.purge_key_packages(NOW).await);

    store.close().await;
}
