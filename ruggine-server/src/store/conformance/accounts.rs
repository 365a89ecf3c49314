//! Cases of [`AccountStore`](crate::store::AccountStore).

use std::collections::HashSet;
use std::sync::Arc;

use ruggine_core::UserId;

use super::fixture::{
    NOW, at_once, change, create, group, new_direct, new_user, people, user, username_of,
};
use crate::store::{CreateUser, MemberEffect, NewUser, Store, UserRecord};

fn record(new: &NewUser) -> UserRecord {
    UserRecord {
        id: new.id,
        username: new.username.clone(),
        profile: Arc::clone(&new.profile),
        password_hash: new.password_hash.clone(),
        created_at: new.created_at,
    }
}

/// What was stored of a user comes back whole, by name and by id.
pub async fn a_created_user_is_found_by_name_and_by_id(store: Arc<dyn Store>) {
    let new = new_user();
    let created = store.create_user(new.clone()).await.expect("created");
    assert_eq!(created, CreateUser::Created);

    let by_name = store
        .user_by_name(new.username.clone())
        .await
        .expect("looked up");
    assert_eq!(by_name, Some(record(&new)));
    let by_id = store.users(vec![new.id]).await.expect("looked up");
    assert_eq!(by_id, [record(&new)]);
}

/// An account of an embedder that authenticates itself has no password.
pub async fn a_user_without_a_password_stays_without_one(store: Arc<dyn Store>) {
    let new = NewUser {
        password_hash: None,
        ..new_user()
    };
    store.create_user(new.clone()).await.expect("created");
    let found = store
        .user_by_name(new.username.clone())
        .await
        .expect("looked up");
    assert_eq!(found, Some(record(&new)));
}

/// Nobody is found under a free username.
pub async fn a_username_that_nobody_has_finds_nobody(store: Arc<dyn Store>) {
    user(&*store).await;
    let free = username_of(UserId::new(NOW));
    assert_eq!(store.user_by_name(free).await.expect("looked up"), None);
}

/// A second claim changes nothing about the first, and creates no user.
pub async fn a_taken_username_stays_with_its_owner(store: Arc<dyn Store>) {
    let first = new_user();
    store.create_user(first.clone()).await.expect("created");
    let second = NewUser {
        username: first.username.clone(),
        ..new_user()
    };
    let outcome = store.create_user(second.clone()).await.expect("answered");
    assert_eq!(outcome, CreateUser::UsernameTaken);

    let owner = store
        .user_by_name(first.username.clone())
        .await
        .expect("looked up");
    assert_eq!(owner, Some(record(&first)));
    assert_eq!(store.users(vec![second.id]).await.expect("looked up"), []);
}

/// Uniqueness holds when 32 users claim one username at the same moment.
pub async fn of_many_who_claim_a_username_at_once_exactly_one_gets_it(store: Arc<dyn Store>) {
    let username = username_of(UserId::new(NOW));
    let claims: Vec<NewUser> = (0..32)
        .map(|_| NewUser {
            username: username.clone(),
            ..new_user()
        })
        .collect();
    let outcomes = at_once(claims.clone().into_iter().map(|claim| {
        let store = Arc::clone(&store);
        async move { store.create_user(claim).await.expect("answered") }
    }))
    .await;

    let winners: Vec<&NewUser> = claims
        .iter()
        .zip(&outcomes)
        .filter(|(_, outcome)| **outcome == CreateUser::Created)
        .map(|(claim, _)| claim)
        .collect();
    assert_eq!(winners.len(), 1, "{outcomes:?}");
    let owner = store.user_by_name(username).await.expect("looked up");
    assert_eq!(owner, Some(record(winners[0])));
    let ids = claims.iter().map(|claim| claim.id).collect();
    assert_eq!(
        store.users(ids).await.expect("looked up"),
        [record(winners[0])]
    );
}

/// A failed creation is rolled back whole: the username it asked for is free.
pub async fn a_user_that_cannot_be_created_leaves_the_username_free(store: Arc<dyn Store>) {
    let id = user(&*store).await;
    let clash = NewUser {
        id,
        username: username_of(UserId::new(NOW)),
        ..new_user()
    };
    store
        .create_user(clash.clone())
        .await
        .expect_err("the id belongs to another user");
    let next = NewUser {
        username: clash.username,
        ..new_user()
    };
    let outcome = store.create_user(next).await.expect("answered");
    assert_eq!(outcome, CreateUser::Created);
}

/// Unknown ids give nothing and keep nobody else out.
pub async fn users_who_do_not_exist_are_left_out(store: Arc<dyn Store>) {
    let known = [user(&*store).await, user(&*store).await];
    let asked = vec![UserId::new(NOW), known[0], UserId::new(NOW), known[1]];
    let found = store.users(asked).await.expect("looked up");
    let found: HashSet<UserId> = found.iter().map(|user| user.id).collect();
    assert_eq!(found, HashSet::from(known));
    assert_eq!(store.users(Vec::new()).await.expect("looked up"), []);
}

/// Groups and direct conversations make acquaintances; only those asked about are named.
pub async fn acquaintances_share_a_conversation(store: Arc<dyn Store>) {
    let [ada, bob, cleo, dan, eve] = people(&*store).await;
    group(&*store, ada, &[bob]).await;
    create(&*store, new_direct(cleo, ada)).await;
    group(&*store, dan, &[bob]).await;

    let asked = vec![bob.user, cleo.user, dan.user, eve.user, UserId::new(NOW)];
    let known = store
        .acquaintances(ada.user, asked)
        .await
        .expect("looked up");
    assert_eq!(known, HashSet::from([bob.user, cleo.user]));
    let one = store
        .acquaintances(ada.user, vec![cleo.user])
        .await
        .expect("looked up");
    assert_eq!(one, HashSet::from([cleo.user]));
}

/// A stay that has ended makes no acquaintance, seen from either side.
pub async fn somebody_who_left_is_no_acquaintance(store: Arc<dyn Store>) {
    let [ada, bob, cleo] = people(&*store).await;
    let conversation = group(&*store, ada, &[bob, cleo]).await;
    change(
        &*store,
        conversation,
        bob,
        vec![MemberEffect::Remove(bob.user)],
    )
    .await;

    let of_ada = store
        .acquaintances(ada.user, vec![bob.user, cleo.user])
        .await
        .expect("looked up");
    assert_eq!(of_ada, HashSet::from([cleo.user]));
    let of_bob = store
        .acquaintances(bob.user, vec![ada.user, cleo.user])
        .await
        .expect("looked up");
    assert_eq!(of_bob, HashSet::new());
}
