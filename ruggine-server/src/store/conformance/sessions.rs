//! Cases of [`SessionStore`](crate::store::SessionStore).

use std::collections::HashSet;
use std::sync::Arc;

use ruggine_core::{DeviceId, SessionId, Timestamp, UserId};
use ruggine_crypto::token::{TokenHash, TokenKind};

use super::fixture::{
    ACCESS_ENDS, Login, NOW, REFRESH_ENDS, another_device, at_once, hash, later, log_in,
    new_session, person, tokens, user,
};
use crate::store::{
    AdvanceCounter, LoginDevice, NewTokens, OpenSession, RotateTokens, Rotated, SessionRecord,
    Store,
};

async fn session(store: &dyn Store, user: UserId, access: TokenHash) -> Option<SessionRecord> {
    store
        .session_by_access(user, access, NOW)
        .await
        .expect("looked up")
}

async fn refresh(
    store: &dyn Store,
    user: UserId,
    presented: TokenHash,
    at: Timestamp,
) -> (Rotated, NewTokens) {
    let next = tokens(user);
    let rotated = store
        .rotate_tokens(RotateTokens {
            user,
            presented,
            next,
            at,
        })
        .await
        .expect("answered");
    (rotated, next)
}

async fn listed(store: &dyn Store, user: UserId, at: Timestamp) -> HashSet<SessionId> {
    let sessions = store.sessions(user, at).await.expect("listed");
    sessions.iter().map(|session| session.id).collect()
}

async fn advance(store: &dyn Store, user: UserId, device: DeviceId, to: u64) -> AdvanceCounter {
    store
        .advance_write_counter(user, device, to)
        .await
        .expect("answered")
}

/// Deletes expired tokens until none is left; how many there were.
async fn purge(store: &dyn Store, at: Timestamp) -> u64 {
    let mut all = 0;
    loop {
        let some = store.purge_tokens(at).await.expect("purged");
        if some == 0 {
            return all;
        }
        all += some;
        assert!(all < 100, "no case stores so many tokens");
    }
}

/// A login creates the device, and everything about the session comes back.
pub async fn a_session_on_a_new_device_is_found_by_its_access_token(store: Arc<dyn Store>) {
    let user = user(&*store).await;
    let login = log_in(&*store, user).await;
    let found = session(&*store, user, login.tokens.access.hash).await;
    let expected = SessionRecord {
        id: login.session,
        user,
        device: login.device,
        device_name: "a laptop".to_owned(),
        created_at: NOW,
        last_seen_at: NOW,
    };
    assert_eq!(found, Some(expected));
}

/// A device that shows its secret gets a further session and stays the same device.
pub async fn a_device_that_proves_itself_opens_another_session(store: Arc<dyn Store>) {
    let user = user(&*store).await;
    let first = log_in(&*store, user).await;
    let device = LoginDevice::Known {
        id: first.device,
        secret: first.secret,
    };
    let second = new_session(user, device);
    let opened = store.open_session(second.clone()).await.expect("answered");
    assert_eq!(opened, OpenSession::Opened(first.device));

    let found = session(&*store, user, second.tokens.access.hash).await;
    let found = found.expect("the second session exists");
    assert_eq!((found.id, found.device), (second.id, first.device));
    assert_eq!(found.device_name, "a laptop");
    assert!(
        session(&*store, user, first.tokens.access.hash)
            .await
            .is_some()
    );
}

/// Without the right secret nothing is stored.
pub async fn a_device_with_a_wrong_secret_opens_nothing(store: Arc<dyn Store>) {
    let user = user(&*store).await;
    let first = log_in(&*store, user).await;
    let device = LoginDevice::Known {
        id: first.device,
        secret: hash(TokenKind::Device, user),
    };
    refused(&*store, user, device, &first).await;
}

/// A device that nobody has opens nothing.
pub async fn an_unknown_device_opens_nothing(store: Arc<dyn Store>) {
    let user = user(&*store).await;
    let first = log_in(&*store, user).await;
    let device = LoginDevice::Known {
        id: DeviceId::new(NOW),
        secret: first.secret,
    };
    refused(&*store, user, device, &first).await;
}

/// A device proves itself to its own user only, even with the right secret.
pub async fn a_device_of_another_user_opens_nothing(store: Arc<dyn Store>) {
    let other = user(&*store).await;
    let theirs = log_in(&*store, other).await;
    let user = user(&*store).await;
    let first = log_in(&*store, user).await;
    let device = LoginDevice::Known {
        id: theirs.device,
        secret: theirs.secret,
    };
    refused(&*store, user, device, &first).await;
}

async fn refused(store: &dyn Store, user: UserId, device: LoginDevice, existing: &Login) {
    let attempt = new_session(user, device);
    let outcome = store.open_session(attempt.clone()).await.expect("answered");
    assert_eq!(outcome, OpenSession::WrongDevice);
    assert_eq!(session(store, user, attempt.tokens.access.hash).await, None);
    let (rotated, _) = refresh(store, user, attempt.tokens.refresh.hash, NOW).await;
    assert_eq!(rotated, Rotated::Unknown);
    assert_eq!(
        listed(store, user, NOW).await,
        HashSet::from([existing.session])
    );
}

/// An access token is good until, and not at, the moment of its expiry.
pub async fn an_access_token_ends_when_it_expires(store: Arc<dyn Store>) {
    let user = user(&*store).await;
    let access = log_in(&*store, user).await.tokens.access.hash;
    let last = Timestamp::from_millis(ACCESS_ENDS.as_millis() - 1);
    let before = store.session_by_access(user, access, last).await;
    assert!(before.expect("looked up").is_some());
    let after = store.session_by_access(user, access, ACCESS_ENDS).await;
    assert_eq!(after.expect("looked up"), None);
}

/// A token finds no session under another user, and an unknown one finds none at all.
pub async fn an_access_token_counts_for_its_user_only(store: Arc<dyn Store>) {
    let (owner, other) = (user(&*store).await, user(&*store).await);
    let access = log_in(&*store, owner).await.tokens.access.hash;
    assert_eq!(session(&*store, other, access).await, None);
    let unknown = hash(TokenKind::Access, owner);
    assert_eq!(session(&*store, owner, unknown).await, None);
}

/// Neither kind of token is accepted in the other's place.
pub async fn a_token_of_one_kind_is_refused_as_the_other(store: Arc<dyn Store>) {
    let user = user(&*store).await;
    let login = log_in(&*store, user).await;
    let (as_refresh, _) = refresh(&*store, user, login.tokens.access.hash, NOW).await;
    assert_eq!(as_refresh, Rotated::Unknown);
    assert_eq!(
        session(&*store, user, login.tokens.refresh.hash).await,
        None
    );
}

/// The next pair belongs to the same session, and its refresh token goes on from there.
pub async fn a_refresh_token_is_exchanged_for_the_next_pair(store: Arc<dyn Store>) {
    let user = user(&*store).await;
    let login = log_in(&*store, user).await;
    let mut presented = login.tokens.refresh.hash;
    for _ in 0..3 {
        let (rotated, next) = refresh(&*store, user, presented, NOW).await;
        assert_eq!(rotated, Rotated::Stored(login.session));
        let found = session(&*store, user, next.access.hash).await;
        assert_eq!(found.map(|found| found.id), Some(login.session));
        presented = next.refresh.hash;
    }
    assert_eq!(
        listed(&*store, user, NOW).await,
        HashSet::from([login.session])
    );
}

/// A lost answer costs nothing: the same token is exchanged again, both answers
/// are good, and going on with the later one works.
pub async fn a_refresh_token_stays_good_until_its_successor_is_used(store: Arc<dyn Store>) {
    let user = user(&*store).await;
    let login = log_in(&*store, user).await;
    let first = login.tokens.refresh.hash;
    let (lost, unseen) = refresh(&*store, user, first, NOW).await;
    let (repeated, seen) = refresh(&*store, user, first, NOW).await;
    assert_eq!(lost, Rotated::Stored(login.session));
    assert_eq!(repeated, Rotated::Stored(login.session));
    for pair in [unseen, seen] {
        assert!(session(&*store, user, pair.access.hash).await.is_some());
    }
    for pair in [seen, unseen] {
        let (rotated, _) = refresh(&*store, user, pair.refresh.hash, NOW).await;
        assert_eq!(rotated, Rotated::Stored(login.session));
    }
}

/// Exchanges of one token at the same moment are all good.
pub async fn a_refresh_token_can_be_exchanged_by_many_at_once(store: Arc<dyn Store>) {
    let user = user(&*store).await;
    let login = log_in(&*store, user).await;
    let outcomes = at_once((0..8).map(|_| {
        let store = Arc::clone(&store);
        async move { refresh(&*store, user, login.tokens.refresh.hash, NOW).await }
    }))
    .await;
    for (rotated, next) in outcomes {
        assert_eq!(rotated, Rotated::Stored(login.session));
        assert!(session(&*store, user, next.access.hash).await.is_some());
    }
}

/// A token that comes back after its successor was used is in two hands: the
/// session ends with every token of it, other sessions stay.
pub async fn a_refresh_token_used_after_its_successor_ends_the_session(store: Arc<dyn Store>) {
    let user = user(&*store).await;
    let (login, other) = (log_in(&*store, user).await, log_in(&*store, user).await);
    let first = login.tokens.refresh.hash;
    let (_, second) = refresh(&*store, user, first, NOW).await;
    let (used, third) = refresh(&*store, user, second.refresh.hash, NOW).await;
    assert_eq!(used, Rotated::Stored(login.session));

    let (reused, unstored) = refresh(&*store, user, first, NOW).await;
    assert_eq!(reused, Rotated::Reused(login.session));

    for pair in [login.tokens, second, third, unstored] {
        assert_eq!(session(&*store, user, pair.access.hash).await, None);
        let (rotated, _) = refresh(&*store, user, pair.refresh.hash, NOW).await;
        assert_eq!(rotated, Rotated::Unknown);
    }
    assert_eq!(
        listed(&*store, user, NOW).await,
        HashSet::from([other.session])
    );
    let over = store
        .revoked_among(vec![(user, login.session), (user, other.session)])
        .await
        .expect("looked up");
    assert_eq!(over, [login.session]);
}

/// A refresh token is good until, and not at, the moment of its expiry.
pub async fn an_expired_refresh_token_is_unknown(store: Arc<dyn Store>) {
    let user = user(&*store).await;
    let login = log_in(&*store, user).await;
    let presented = login.tokens.refresh.hash;
    let (expired, next) = refresh(&*store, user, presented, REFRESH_ENDS).await;
    assert_eq!(expired, Rotated::Unknown);
    assert_eq!(session(&*store, user, next.access.hash).await, None);
    let last = Timestamp::from_millis(REFRESH_ENDS.as_millis() - 1);
    let (good, _) = refresh(&*store, user, presented, last).await;
    assert_eq!(good, Rotated::Stored(login.session));
}

/// A refresh token that was never given, or given to somebody else, stores nothing.
pub async fn an_unknown_refresh_token_stores_nothing(store: Arc<dyn Store>) {
    let (owner, other) = (user(&*store).await, user(&*store).await);
    let login = log_in(&*store, owner).await;
    let attempts = [
        (owner, hash(TokenKind::Refresh, owner)),
        (other, login.tokens.refresh.hash),
    ];
    for (user, presented) in attempts {
        let (rotated, next) = refresh(&*store, user, presented, NOW).await;
        assert_eq!(rotated, Rotated::Unknown);
        assert_eq!(session(&*store, user, next.access.hash).await, None);
    }
}

/// The list holds a user's own sessions that somebody can still use.
pub async fn sessions_without_a_usable_token_are_not_listed(store: Arc<dyn Store>) {
    let (owner, other) = (user(&*store).await, user(&*store).await);
    let (kept, ended) = (log_in(&*store, owner).await, log_in(&*store, owner).await);
    log_in(&*store, other).await;
    store
        .revoke_session(owner, ended.session, NOW)
        .await
        .expect("answered");

    let sessions = store.sessions(owner, NOW).await.expect("listed");
    let expected = SessionRecord {
        id: kept.session,
        user: owner,
        device: kept.device,
        device_name: "a laptop".to_owned(),
        created_at: NOW,
        last_seen_at: NOW,
    };
    assert_eq!(sessions, [expected]);
    // The access token has ended here, the refresh token has not.
    let renewable = listed(&*store, owner, ACCESS_ENDS).await;
    assert_eq!(renewable, HashSet::from([kept.session]));
    assert_eq!(listed(&*store, owner, REFRESH_ENDS).await, HashSet::new());
}

/// A revoked session's tokens do nothing; the device opens a new session as before.
pub async fn a_revoked_session_is_over_at_once(store: Arc<dyn Store>) {
    let user = user(&*store).await;
    let login = log_in(&*store, user).await;
    let revoked = store.revoke_session(user, login.session, NOW).await;
    assert!(revoked.expect("answered"));

    assert_eq!(session(&*store, user, login.tokens.access.hash).await, None);
    let (rotated, _) = refresh(&*store, user, login.tokens.refresh.hash, NOW).await;
    assert_eq!(rotated, Rotated::Unknown);
    assert_eq!(
        purge(&*store, REFRESH_ENDS).await,
        0,
        "its tokens are forgotten"
    );

    let device = LoginDevice::Known {
        id: login.device,
        secret: login.secret,
    };
    let again = store.open_session(new_session(user, device)).await;
    assert_eq!(again.expect("answered"), OpenSession::Opened(login.device));
}

/// Nothing is revoked twice, and nobody revokes a session of somebody else.
pub async fn there_is_nothing_to_revoke_but_a_live_session_of_ones_own(store: Arc<dyn Store>) {
    let (owner, other) = (user(&*store).await, user(&*store).await);
    let login = log_in(&*store, owner).await;
    for (user, id) in [(owner, SessionId::new(NOW)), (other, login.session)] {
        assert!(!store.revoke_session(user, id, NOW).await.expect("answered"));
    }
    assert!(
        session(&*store, owner, login.tokens.access.hash)
            .await
            .is_some()
    );

    let id = login.session;
    assert!(
        store
            .revoke_session(owner, id, NOW)
            .await
            .expect("answered")
    );
    assert!(
        !store
            .revoke_session(owner, id, NOW)
            .await
            .expect("answered")
    );
}

/// Sessions that are revoked, or that never were, are over; the others are not.
pub async fn sessions_that_are_over_are_told_from_the_live_ones(store: Arc<dyn Store>) {
    let (ada, bob) = (user(&*store).await, user(&*store).await);
    let (live, over) = (log_in(&*store, ada).await, log_in(&*store, ada).await);
    let bobs = log_in(&*store, bob).await;
    store
        .revoke_session(ada, over.session, NOW)
        .await
        .expect("answered");

    let never = SessionId::new(NOW);
    let found = store
        .revoked_among(vec![
            (ada, live.session),
            (ada, over.session),
            (bob, bobs.session),
            (bob, never),
        ])
        .await
        .expect("looked up");
    assert_eq!(
        HashSet::from_iter(found),
        HashSet::from([over.session, never])
    );
    assert_eq!(
        store.revoked_among(Vec::new()).await.expect("looked up"),
        []
    );
}

/// A clock that went back does not make a session look older.
pub async fn a_session_was_last_seen_at_the_latest_time_reported(store: Arc<dyn Store>) {
    let user = user(&*store).await;
    let login = log_in(&*store, user).await;
    for at in [later(2_000), later(1_000)] {
        store
            .touch_session(user, login.session, at)
            .await
            .expect("touched");
        let found = session(&*store, user, login.tokens.access.hash).await;
        let found = found.expect("the session is live");
        assert_eq!(found.last_seen_at, later(2_000));
        assert_eq!(found.created_at, NOW);
    }
}

/// Touching a session that does not exist creates none.
pub async fn touching_an_unknown_session_does_nothing(store: Arc<dyn Store>) {
    let user = user(&*store).await;
    let id = SessionId::new(NOW);
    store
        .touch_session(user, id, later(1))
        .await
        .expect("touched");
    assert_eq!(listed(&*store, user, NOW).await, HashSet::new());
}

/// The counter stands or moves forward; a smaller one betrays an old copy and moves nothing.
pub async fn a_write_counter_never_goes_back(store: Arc<dyn Store>) {
    let ada = person(&*store).await;
    let steps = [
        (5, AdvanceCounter::Advanced),
        (5, AdvanceCounter::Advanced),
        (4, AdvanceCounter::Behind),
        (5, AdvanceCounter::Advanced),
        (9, AdvanceCounter::Advanced),
        (8, AdvanceCounter::Behind),
    ];
    for (counter, expected) in steps {
        let found = advance(&*store, ada.user, ada.device, counter).await;
        assert_eq!(found, expected, "at {counter}");
    }
}

/// Every device has a counter of its own, which a new login does not touch.
pub async fn a_write_counter_belongs_to_its_device(store: Arc<dyn Store>) {
    let user = user(&*store).await;
    let login = log_in(&*store, user).await;
    advance(&*store, user, login.device, 7).await;
    let other = another_device(&*store, user).await;
    assert_eq!(
        advance(&*store, user, other.device, 1).await,
        AdvanceCounter::Advanced
    );

    let device = LoginDevice::Known {
        id: login.device,
        secret: login.secret,
    };
    store
        .open_session(new_session(user, device))
        .await
        .expect("answered");
    assert_eq!(
        advance(&*store, user, login.device, 6).await,
        AdvanceCounter::Behind
    );
}

/// After a race the counter stands at the greatest number given.
pub async fn a_write_counter_moved_by_many_at_once_ends_at_the_greatest(store: Arc<dyn Store>) {
    let ada = person(&*store).await;
    at_once((1..=32).map(|counter| {
        let store = Arc::clone(&store);
        async move { advance(&*store, ada.user, ada.device, counter).await }
    }))
    .await;
    assert_eq!(
        advance(&*store, ada.user, ada.device, 31).await,
        AdvanceCounter::Behind
    );
    assert_eq!(
        advance(&*store, ada.user, ada.device, 32).await,
        AdvanceCounter::Advanced
    );
}

/// Expired tokens are counted and gone; the others go on working.
pub async fn purging_deletes_expired_tokens_only(store: Arc<dyn Store>) {
    let user = user(&*store).await;
    let logins = [log_in(&*store, user).await, log_in(&*store, user).await];
    assert_eq!(purge(&*store, NOW).await, 0);
    assert!(
        session(&*store, user, logins[0].tokens.access.hash)
            .await
            .is_some()
    );

    let past_access = Timestamp::from_millis(ACCESS_ENDS.as_millis() + 1);
    assert_eq!(
        purge(&*store, past_access).await,
        2,
        "one access token a login"
    );
    for login in &logins {
        // Asked as of before their expiry, they are gone all the same.
        assert_eq!(session(&*store, user, login.tokens.access.hash).await, None);
        let (rotated, _) = refresh(&*store, user, login.tokens.refresh.hash, past_access).await;
        assert_eq!(rotated, Rotated::Stored(login.session));
    }
}
