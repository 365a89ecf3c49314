//! Cases of [`ConversationStore`](crate::store::ConversationStore): rosters, and
//! how they change.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use ruggine_core::api::conversation::{ConversationKind, ProtectionMode, Role};
use ruggine_core::api::message::{PageStart, RowKind};
use ruggine_core::{ConversationId, Seq, UserId};

use super::fixture::{
    ALL_ROWS, NOW, Person, append, at_once, change, group, later, message, notice, numbers, people,
    person, say, user, version,
};
use super::reads::{head, hole, outline, page, pending_ids, query, roster, rows, seen_by, stored};
use crate::store::{ChangeRoster, MemberEffect, NewRow, RosterOutcome, RosterUser, Store};

/// A roster view counts members and owners, and tells of each user asked about
/// who exists their role here and how many conversations they are in.
pub async fn a_roster_view_counts_what_a_change_is_judged_by(store: Arc<dyn Store>) {
    let [ada, bob, cleo, dan] = people(&*store).await;
    let id = group(&*store, ada, &[bob, cleo]).await;
    let owner = |person: Person| MemberEffect::SetRole(person.user, Role::Owner);
    change(&*store, id, ada, vec![owner(bob), owner(cleo)]).await;
    let (_, version) = change(&*store, id, ada, vec![MemberEffect::Remove(cleo.user)]).await;
    group(&*store, dan, &[bob]).await;
    group(&*store, dan, &[]).await;

    let asked = vec![bob.user, cleo.user, dan.user, UserId::new(NOW)];
    let view = store.roster_view(id, asked).await.expect("read");
    let mut view = view.expect("the conversation exists");
    assert_eq!(view.kind, ConversationKind::Group);
    assert_eq!(view.mode, ProtectionMode::Managed);
    assert_eq!(
        (view.version, view.member_count, view.owner_count),
        (version, 2, 2)
    );
    let mut expected = [(bob, Some(Role::Owner), 2), (cleo, None, 0), (dan, None, 2)].map(
        |(person, role, conversations)| RosterUser {
            id: person.user,
            role,
            conversations,
        },
    );
    expected.sort_unstable_by_key(|user| user.id);
    view.users.sort_unstable_by_key(|user| user.id);
    assert_eq!(view.users, expected);
}

/// A conversation that does not exist has neither view nor roster.
pub async fn a_conversation_that_does_not_exist_has_no_roster(store: Arc<dyn Store>) {
    let ada = user(&*store).await;
    let unknown = ConversationId::new(NOW);
    let view = store.roster_view(unknown, vec![ada]).await.expect("read");
    assert_eq!(view, None);
    assert_eq!(store.roster(unknown).await.expect("read"), None);
}

/// A roster names everybody in it now and the first row that each may see.
pub async fn a_roster_holds_everybody_who_is_in_it_now(store: Arc<dyn Store>) {
    let [ada, bob, cleo] = people(&*store).await;
    let id = group(&*store, ada, &[bob]).await;
    let effects = vec![
        MemberEffect::Add(cleo.user, Role::Member),
        MemberEffect::Remove(bob.user),
    ];
    let (joined_at, version) = change(&*store, id, ada, effects).await;
    let last = say(&*store, id, ada, 3).await;

    let found = store.roster(id).await.expect("read");
    let found = found.expect("the conversation exists");
    assert_eq!((found.version, found.head), (version, last));
    let expected = HashMap::from([(ada.user, Seq::new(1)), (cleo.user, joined_at)]);
    assert_eq!(roster(&*store, id).await, expected);
}

/// Each change is told by a row of the log with the next number, waits to be
/// announced, and moves the version forward.
pub async fn every_change_of_a_roster_writes_its_notice(store: Arc<dyn Store>) {
    let [ada, bob] = people(&*store).await;
    let id = group(&*store, ada, &[]).await;
    let changes = [
        MemberEffect::Add(bob.user, Role::Member),
        MemberEffect::SetRole(bob.user, Role::Admin),
        MemberEffect::Remove(bob.user),
    ];
    let mut expected_version = version(&*store, id).await;
    let mut expected_rows = Vec::new();
    for (index, effect) in (2..).zip(changes) {
        let notice = NewRow {
            server_ts: later(index),
            ..notice(id, ada)
        };
        let outcome = store
            .change_roster(ChangeRoster {
                expected_version,
                effects: vec![effect],
                notice: notice.clone(),
            })
            .await
            .expect("answered");
        let RosterOutcome::Changed {
            seq,
            version,
            batch,
        } = outcome
        else {
            panic!("nobody else changed the roster");
        };
        assert_eq!(seq, Seq::new(index));
        assert!(version > expected_version);
        assert!(pending_ids(&*store).await.contains(&batch));
        expected_version = version;
        expected_rows.push(stored(&notice, seq));
    }
    let log = store
        .rows(id, Seq::new(2), Seq::MAX, ALL_ROWS)
        .await
        .expect("read");
    assert_eq!(log, expected_rows);
    assert!(log.iter().all(|row| row.kind == RowKind::System));
}

/// A member added sees the log from the notice that tells of it, with the role given.
pub async fn a_member_added_begins_at_the_notice(store: Arc<dyn Store>) {
    let [ada, bob] = people(&*store).await;
    let id = group(&*store, ada, &[]).await;
    say(&*store, id, ada, 4).await;
    let (joined_at, _) = change(
        &*store,
        id,
        ada,
        vec![MemberEffect::Add(bob.user, Role::Admin)],
    )
    .await;
    let seen = seen_by(&*store, id, bob.user).await.expect("a member");
    assert_eq!((seen.role, seen.member_count), (Some(Role::Admin), 2));
    assert_eq!(roster(&*store, id).await[&bob.user], joined_at);
    assert_eq!(numbers(&append(&*store, vec![message(id, bob)]).await), [7]);
}

/// Somebody who comes back has two stays, a role of the second one and nothing
/// of what was said between them.
pub async fn a_member_who_comes_back_begins_a_second_stay(store: Arc<dyn Store>) {
    let [ada, bob] = people(&*store).await;
    let id = group(&*store, ada, &[bob]).await;
    let (left_at, _) = change(&*store, id, ada, vec![MemberEffect::Remove(bob.user)]).await;
    say(&*store, id, ada, 3).await;
    let (back_at, _) = change(
        &*store,
        id,
        ada,
        vec![MemberEffect::Add(bob.user, Role::Admin)],
    )
    .await;
    let last = say(&*store, id, ada, 1).await;

    let seen = seen_by(&*store, id, bob.user).await.expect("a member");
    assert_eq!(
        (seen.head, seen.role, seen.member_count),
        (last, Some(Role::Admin), 2)
    );
    assert_eq!(roster(&*store, id).await[&bob.user], back_at);
    let page = page(&*store, query(id, bob.user, PageStart::After(Seq::ZERO))).await;
    let expected = [
        rows(1, left_at.get()),
        hole(left_at.next().get(), back_at.previous().get()),
        rows(back_at.get(), last.get()),
    ];
    assert_eq!(outline(&page), expected);
}

/// A change concerns the stay that lasts; one that has ended stays as it was.
pub async fn a_change_concerns_the_stay_that_lasts(store: Arc<dyn Store>) {
    let [ada, bob] = people(&*store).await;
    let id = group(&*store, ada, &[bob]).await;
    let steps = [
        MemberEffect::Remove(bob.user),
        MemberEffect::Add(bob.user, Role::Member),
        MemberEffect::SetRole(bob.user, Role::Admin),
    ];
    for effect in steps {
        change(&*store, id, ada, vec![effect]).await;
    }
    let seen = seen_by(&*store, id, bob.user).await.expect("a member");
    assert_eq!(seen.role, Some(Role::Admin));
    let effect = MemberEffect::Remove(bob.user);
    let (left_at, _) = change(&*store, id, ada, vec![effect]).await;
    assert_eq!(left_at, Seq::new(5));
    let page = page(&*store, query(id, bob.user, PageStart::Newest)).await;
    assert_eq!(outline(&page), [rows(1, 5)]);
}

/// A change judged at an older version writes nothing.
pub async fn a_change_judged_at_an_older_roster_is_a_conflict(store: Arc<dyn Store>) {
    let [ada, bob, cleo] = people(&*store).await;
    let id = group(&*store, ada, &[]).await;
    let judged_at = version(&*store, id).await;
    change(
        &*store,
        id,
        ada,
        vec![MemberEffect::Add(bob.user, Role::Member)],
    )
    .await;
    let before = (
        head(&*store, id).await,
        store.roster(id).await.expect("read"),
    );
    let batches = pending_ids(&*store).await;

    let outcome = store
        .change_roster(ChangeRoster {
            expected_version: judged_at,
            effects: vec![MemberEffect::Add(cleo.user, Role::Member)],
            notice: notice(id, ada),
        })
        .await
        .expect("answered");
    assert_eq!(outcome, RosterOutcome::Conflict);
    let after = (
        head(&*store, id).await,
        store.roster(id).await.expect("read"),
    );
    assert_eq!(after, before);
    assert_eq!(pending_ids(&*store).await, batches);
    assert_eq!(seen_by(&*store, id, cleo.user).await, None);
}

/// Of changes judged at the same version and made at once, one is made.
pub async fn of_changes_judged_at_the_same_roster_one_is_made(store: Arc<dyn Store>) {
    let ada = person(&*store).await;
    let others: [Person; 8] = people(&*store).await;
    let id = group(&*store, ada, &[]).await;
    let expected_version = version(&*store, id).await;
    let outcomes = at_once(others.map(|other| {
        let store = Arc::clone(&store);
        async move {
            let change = ChangeRoster {
                expected_version,
                effects: vec![MemberEffect::Add(other.user, Role::Member)],
                notice: notice(id, ada),
            };
            store.change_roster(change).await.expect("answered")
        }
    }))
    .await;
    let made: Vec<UserId> = others
        .iter()
        .zip(&outcomes)
        .filter(|(_, outcome)| matches!(outcome, RosterOutcome::Changed { .. }))
        .map(|(other, _)| other.user)
        .collect();
    assert_eq!(made.len(), 1, "{outcomes:?}");
    let members: HashSet<UserId> = roster(&*store, id).await.into_keys().collect();
    assert_eq!(members, HashSet::from([ada.user, made[0]]));
    assert_eq!(head(&*store, id).await, Seq::new(2));
}

/// A change of which one effect is impossible fails, and none of it remains.
pub async fn a_change_that_cannot_be_made_whole_writes_nothing(store: Arc<dyn Store>) {
    let [ada, bob, stranger, newcomer] = people(&*store).await;
    let id = group(&*store, ada, &[bob]).await;
    let (before, batches) = (
        store.roster(id).await.expect("read"),
        pending_ids(&*store).await,
    );
    let impossible = [
        MemberEffect::Remove(stranger.user),
        MemberEffect::SetRole(stranger.user, Role::Admin),
        MemberEffect::Add(bob.user, Role::Admin),
    ];
    for effect in impossible {
        let change = ChangeRoster {
            expected_version: version(&*store, id).await,
            effects: vec![MemberEffect::Add(newcomer.user, Role::Member), effect],
            notice: notice(id, ada),
        };
        store
            .change_roster(change)
            .await
            .expect_err("the roster does not allow this effect");
        assert_eq!(store.roster(id).await.expect("read"), before, "{effect:?}");
    }
    assert_eq!(pending_ids(&*store).await, batches);
    assert_eq!(seen_by(&*store, id, newcomer.user).await, None);
    let bobs = seen_by(&*store, id, bob.user).await.expect("a member");
    assert_eq!((bobs.role, bobs.member_count), (Some(Role::Member), 2));
    let log = store
        .rows(id, Seq::new(1), Seq::MAX, ALL_ROWS)
        .await
        .expect("read");
    assert_eq!(log.len(), 1);
}

/// Notices and messages written at once share one order without gaps, and
/// every stay begins at its own notice.
pub async fn changes_and_messages_at_once_share_one_gap_free_order(store: Arc<dyn Store>) {
    let ada = person(&*store).await;
    let others: [Person; 8] = people(&*store).await;
    let id = group(&*store, ada, &[]).await;
    let writing = others.map(|other| {
        let store = Arc::clone(&store);
        async move {
            say(&*store, id, ada, 2).await;
            loop {
                let change = ChangeRoster {
                    expected_version: version(&*store, id).await,
                    effects: vec![MemberEffect::Add(other.user, Role::Member)],
                    notice: notice(id, ada),
                };
                let outcome = store.change_roster(change).await.expect("answered");
                if let RosterOutcome::Changed { seq, .. } = outcome {
                    say(&*store, id, other, 2).await;
                    break (other.user, seq);
                }
            }
        }
    });
    let joined: HashMap<UserId, Seq> = at_once(writing).await.into_iter().collect();

    let last = 1 + 8 * (2 + 1 + 2);
    assert_eq!(head(&*store, id).await, Seq::new(last));
    let log = store
        .rows(id, Seq::new(1), Seq::MAX, ALL_ROWS)
        .await
        .expect("read");
    let found: Vec<u64> = log.iter().map(|row| row.seq.get()).collect();
    assert_eq!(found, (1..=last).collect::<Vec<_>>());
    let mut members = roster(&*store, id).await;
    assert_eq!(members.remove(&ada.user), Some(Seq::new(1)));
    assert_eq!(members, joined);
    let notices: HashSet<Seq> = log
        .iter()
        .filter(|row| row.kind == RowKind::System && row.seq > Seq::new(1))
        .map(|row| row.seq)
        .collect();
    assert_eq!(notices, joined.into_values().collect());
}
