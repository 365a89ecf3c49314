//! Cases of [`ConversationStore`](crate::store::ConversationStore): what each
//! user sees of conversations and of their members.

use std::collections::HashMap;
use std::sync::Arc;

use ruggine_core::api::conversation::Role;
use ruggine_core::{ConversationId, Seq, UserId};

use super::fixture::{
    NOW, Person, another_device, change, create, group, move_to, new_direct, new_group, notice,
    people, say, version,
};
use super::reads::seen_by;
use crate::store::{MemberEffect, MemberRecord, Membership, NewConversation, PositionKind, Store};

/// Somebody who left keeps what they saw: their head stands at the notice of
/// their leaving and they have no role.
pub async fn a_former_member_sees_the_conversation_as_they_left_it(store: Arc<dyn Store>) {
    let [ada, bob, cleo] = people(&*store).await;
    let id = group(&*store, ada, &[bob, cleo]).await;
    say(&*store, id, ada, 3).await;
    let (left_at, _) = change(&*store, id, ada, vec![MemberEffect::Remove(bob.user)]).await;
    let last = say(&*store, id, ada, 4).await;

    let bobs = seen_by(&*store, id, bob.user).await.expect("was a member");
    assert_eq!((bobs.head, bobs.role), (left_at, None));
    assert_eq!(bobs.member_count, 2);
    let adas = seen_by(&*store, id, ada.user).await.expect("a member");
    assert_eq!((adas.head, adas.role), (last, Some(Role::Owner)));
}

/// To somebody who was never in it a conversation does not exist.
pub async fn a_stranger_sees_no_conversation(store: Arc<dyn Store>) {
    let [ada, stranger] = people(&*store).await;
    let id = group(&*store, ada, &[]).await;
    assert_eq!(seen_by(&*store, id, stranger.user).await, None);
    assert_eq!(
        seen_by(&*store, ConversationId::new(NOW), ada.user).await,
        None
    );
}

/// Ids that differ in their last byte only are told apart, also at its ends.
pub async fn conversations_with_neighbouring_ids_are_told_apart(store: Arc<dyn Store>) {
    let [ada, bob] = people(&*store).await;
    let neighbour = |last: u8| {
        let mut bytes = *ConversationId::new(NOW).as_bytes();
        bytes[..15].copy_from_slice(&[7; 15]);
        bytes[15] = last;
        ConversationId::from_bytes(bytes)
    };
    let shared = [0, 2, 255].map(neighbour);
    let adas = [1, 3, 254].map(neighbour);
    for (id, others) in shared
        .map(|id| (id, vec![bob]))
        .into_iter()
        .chain(adas.map(|id| (id, Vec::new())))
    {
        let new = NewConversation {
            id,
            notice: notice(id, ada),
            ..new_group(ada, &others)
        };
        create(&*store, new).await;
    }

    for id in shared.into_iter().chain(adas) {
        let seen = seen_by(&*store, id, ada.user).await;
        assert_eq!(seen.map(|seen| seen.id), Some(id));
        let seen = seen_by(&*store, id, bob.user).await;
        assert_eq!(seen.map(|seen| seen.id), shared.contains(&id).then_some(id));
    }
    let listed = store
        .conversations(bob.user, None, 100)
        .await
        .expect("listed");
    let listed: Vec<ConversationId> = listed.iter().map(|seen| seen.id).collect();
    assert_eq!(listed, shared);
}

/// Pages follow the ids, each goes on after the last, and conversations that
/// the user has left are among them.
pub async fn conversations_are_listed_by_id_page_by_page(store: Arc<dyn Store>) {
    let [ada, bob] = people(&*store).await;
    let mut expected = Vec::new();
    for _ in 0..5 {
        expected.push(group(&*store, ada, &[bob]).await);
        group(&*store, ada, &[]).await;
    }
    change(
        &*store,
        expected[2],
        bob,
        vec![MemberEffect::Remove(bob.user)],
    )
    .await;
    expected.sort_unstable();

    let mut listed = Vec::new();
    let mut sizes = Vec::new();
    let mut after = None;
    loop {
        let next = store
            .conversations(bob.user, after, 2)
            .await
            .expect("listed");
        sizes.push(next.len());
        let Some(last) = next.last() else { break };
        assert!(after < Some(last.id), "a page goes on where the last ended");
        after = Some(last.id);
        for seen in next {
            let alone = seen_by(&*store, seen.id, bob.user).await;
            assert_eq!(alone.as_ref(), Some(&seen), "one by one it is the same");
            listed.push(seen.id);
        }
    }
    assert_eq!(listed, expected);
    assert_eq!(sizes, [2, 2, 1, 0]);
}

/// Memberships are current stays with where each began.
pub async fn memberships_are_the_conversations_a_user_is_in_now(store: Arc<dyn Store>) {
    let [ada, bob] = people(&*store).await;
    let whole = group(&*store, ada, &[bob]).await;
    let late = group(&*store, ada, &[]).await;
    let left = group(&*store, ada, &[bob]).await;
    say(&*store, late, ada, 2).await;
    let (joined_at, _) = change(
        &*store,
        late,
        ada,
        vec![MemberEffect::Add(bob.user, Role::Member)],
    )
    .await;
    let last = say(&*store, late, ada, 1).await;
    change(&*store, left, bob, vec![MemberEffect::Remove(bob.user)]).await;

    let found = store.memberships(bob.user).await.expect("read");
    let mut expected = vec![
        Membership {
            conversation: whole,
            roster_version: version(&*store, whole).await,
            member_count: 2,
            head: Seq::new(1),
            from_seq: Seq::new(1),
        },
        Membership {
            conversation: late,
            roster_version: version(&*store, late).await,
            member_count: 2,
            head: last,
            from_seq: joined_at,
        },
    ];
    expected.sort_unstable_by_key(|membership| membership.conversation);
    let mut found = found;
    found.sort_unstable_by_key(|membership| membership.conversation);
    assert_eq!(found, expected);
}

/// Members come by id with their role, the start of their stay and their
/// positions, and with the version of the roster that was read.
pub async fn members_are_listed_by_id_with_their_positions(store: Arc<dyn Store>) {
    let everybody: [Person; 5] = people(&*store).await;
    let [ada, bob, cleo, dan, gone] = everybody;
    let id = group(&*store, ada, &[bob, cleo, gone]).await;
    say(&*store, id, ada, 5).await;
    let effects = vec![
        MemberEffect::Add(dan.user, Role::Member),
        MemberEffect::Remove(gone.user),
        MemberEffect::SetRole(cleo.user, Role::Admin),
    ];
    let (joined_at, version) = change(&*store, id, ada, effects).await;
    let bobs_phone = another_device(&*store, bob.user).await;
    move_to(&*store, PositionKind::Delivered, bob, id, Seq::new(5)).await;
    move_to(
        &*store,
        PositionKind::Delivered,
        bobs_phone,
        id,
        Seq::new(3),
    )
    .await;
    move_to(&*store, PositionKind::Read, bobs_phone, id, Seq::new(2)).await;

    let mut found: Vec<MemberRecord> = Vec::new();
    let mut sizes = Vec::new();
    let mut after = None;
    loop {
        let (at, next) = store.members(id, after, 3).await.expect("listed");
        assert_eq!(at, version);
        sizes.push(next.len());
        let Some(last) = next.last() else { break };
        assert!(
            after < Some(last.user.id),
            "a page goes on where the last ended"
        );
        after = Some(last.user.id);
        found.extend(next);
    }
    assert_eq!(sizes, [3, 1, 0]);

    let users = everybody.map(|person| person.user).to_vec();
    let users = store.users(users).await.expect("looked up");
    let mut expected: Vec<MemberRecord> = [
        (ada, Role::Owner, 1, 0, 0),
        (bob, Role::Member, 1, 5, 2),
        (cleo, Role::Admin, 1, 0, 0),
        (dan, Role::Member, joined_at.get(), 0, 0),
    ]
    .into_iter()
    .map(|(person, role, from, delivered, read)| MemberRecord {
        user: users
            .iter()
            .find(|user| user.id == person.user)
            .expect("the user exists")
            .clone(),
        role,
        from_seq: Seq::new(from),
        delivered: Seq::new(delivered),
        read: Seq::new(read),
    })
    .collect();
    expected.sort_unstable_by_key(|member| member.user.id);
    assert_eq!(found, expected);
}

/// Counted are the conversations that each user is in now; users who do not
/// exist are left out, and those who are in none are not.
pub async fn conversations_are_counted_for_each_user(store: Arc<dyn Store>) {
    let [ada, bob, cleo] = people(&*store).await;
    create(&*store, new_direct(ada, bob)).await;
    let left = group(&*store, ada, &[bob]).await;
    group(&*store, ada, &[]).await;
    let effect = MemberEffect::Remove(bob.user);
    change(&*store, left, bob, vec![effect]).await;

    let asked = vec![ada.user, UserId::new(NOW), bob.user, cleo.user];
    let found = store.conversation_counts(asked).await.expect("counted");
    let count = found.len();
    let found: HashMap<UserId, u32> = found.into_iter().collect();
    assert_eq!(found.len(), count, "every user is counted once");
    let expected = HashMap::from([(ada.user, 3), (bob.user, 1), (cleo.user, 0)]);
    assert_eq!(found, expected);
}
