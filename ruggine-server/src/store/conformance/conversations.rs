//! Cases of [`ConversationStore`](crate::store::ConversationStore).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use ruggine_core::api::conversation::{ConversationKind, ProtectionMode, Role};
use ruggine_core::api::message::{PageStart, RowKind};
use ruggine_core::{ConversationId, Seq, UserId};

use super::fixture::{
    ALL_ROWS, NOW, Person, another_device, append, at_once, change, create, group, head, hole,
    later, message, move_to, new_direct, new_group, notice, numbers, outline, page, pending_ids,
    people, person, query, rows, say, user, version,
};
use crate::store::{
    ChangeRoster, ConversationRecord, CreateConversation, MemberEffect, MemberRecord, Membership,
    NewConversation, NewRow, PositionKind, RosterOutcome, RosterUser, Store, StoredRow,
};

async fn seen_by(
    store: &dyn Store,
    conversation: ConversationId,
    user: UserId,
) -> Option<ConversationRecord> {
    store
        .conversation(conversation, user)
        .await
        .expect("looked up")
}

async fn create_again(store: &dyn Store, new: NewConversation) -> CreateConversation {
    store.create_conversation(new).await.expect("answered")
}

/// Everybody in a conversation and the first row that each may see.
async fn roster(store: &dyn Store, conversation: ConversationId) -> HashMap<UserId, Seq> {
    let roster = store.roster(conversation).await.expect("read");
    let members = roster.expect("the conversation exists").members;
    let count = members.len();
    let members: HashMap<_, _> = members.into_iter().collect();
    assert_eq!(members.len(), count, "nobody is in it twice");
    members
}

/// The row as it must have been stored.
fn stored(new: &NewRow, seq: Seq) -> StoredRow {
    StoredRow {
        conversation: new.conversation,
        seq,
        kind: new.kind,
        sender: new.sender,
        device: new.device,
        client_msg_id: new.client_msg_id,
        epoch: new.epoch,
        server_ts: new.server_ts,
        body: Arc::clone(&new.body),
    }
}

/// The notice is row 1, everybody named is in it from there, and the commit
/// waits to be announced.
pub async fn a_created_group_has_its_members_and_its_notice(store: Arc<dyn Store>) {
    let [ada, bob] = people(&*store).await;
    let mut new = new_group(ada, &[bob]);
    new.notice.server_ts = later(7);
    let id = new.id;
    let CreateConversation::Created { seq, batch } = create_again(&*store, new.clone()).await
    else {
        panic!("the id is fresh");
    };
    assert_eq!(seq, Seq::new(1));
    assert_eq!(pending_ids(&*store).await, [batch]);
    let log = store.rows(id, Seq::new(1), Seq::MAX, ALL_ROWS).await;
    assert_eq!(log.expect("read"), [stored(&new.notice, seq)]);

    let version = version(&*store, id).await;
    for (who, role) in [(ada, Role::Owner), (bob, Role::Member)] {
        let expected = ConversationRecord {
            id,
            kind: ConversationKind::Group,
            mode: ProtectionMode::Managed,
            creator: ada.user,
            created_at: later(7),
            head: seq,
            roster_version: version,
            member_count: 2,
            role: Some(role),
            own_read: Seq::ZERO,
            peer: None,
        };
        assert_eq!(seen_by(&*store, id, who.user).await, Some(expected));
    }
}

/// A lost answer makes no second group: its creator gets the one that exists,
/// and nothing is written.
pub async fn a_group_created_again_by_its_creator_is_the_same_one(store: Arc<dyn Store>) {
    let [ada, bob, cleo] = people(&*store).await;
    let new = new_group(ada, &[bob]);
    let id = create(&*store, new.clone()).await;
    let batches = pending_ids(&*store).await;

    let repeated = NewConversation {
        id,
        notice: notice(id, ada),
        ..new_group(ada, &[bob, cleo])
    };
    for again in [new, repeated] {
        let outcome = create_again(&*store, again).await;
        assert_eq!(outcome, CreateConversation::Existed(id));
    }
    assert_eq!(head(&*store, id).await, Seq::new(1));
    let members = roster(&*store, id).await;
    assert_eq!(members.len(), 2, "the roster is the first one's");
    assert_eq!(pending_ids(&*store).await, batches);
}

/// An id is taken for everybody but its creator, and for another kind or mode
/// of conversation.
pub async fn an_id_that_belongs_to_another_conversation_is_taken(store: Arc<dyn Store>) {
    let [ada, bob] = people(&*store).await;
    let id = group(&*store, ada, &[]).await;
    let by_another = NewConversation {
        id,
        notice: notice(id, bob),
        ..new_group(bob, &[ada])
    };
    let in_another_mode = NewConversation {
        id,
        notice: notice(id, ada),
        mode: ProtectionMode::E2ee,
        ..new_group(ada, &[])
    };
    let of_another_kind = NewConversation {
        id,
        notice: notice(id, ada),
        ..new_direct(ada, bob)
    };
    for new in [by_another, in_another_mode, of_another_kind] {
        let outcome = create_again(&*store, new).await;
        assert_eq!(outcome, CreateConversation::IdTaken);
    }
    assert_eq!(seen_by(&*store, id, bob.user).await, None);
    assert_eq!(head(&*store, id).await, Seq::new(1));
    // The refused direct conversation has not claimed the pair.
    create(&*store, new_direct(bob, ada)).await;
}

/// Each of the two sees the other as the peer.
pub async fn a_direct_conversation_names_the_other_user(store: Arc<dyn Store>) {
    let [ada, bob] = people(&*store).await;
    let id = create(&*store, new_direct(ada, bob)).await;
    for (who, peer) in [(ada, bob), (bob, ada)] {
        let seen = seen_by(&*store, id, who.user).await.expect("a member");
        assert_eq!(seen.kind, ConversationKind::Direct);
        assert_eq!(seen.peer, Some(peer.user));
        assert_eq!(seen.member_count, 2);
    }
}

/// Whichever of the two creates it again, under whichever id, the pair's
/// conversation is found; another pair has another.
pub async fn a_pair_has_one_direct_conversation_in_a_mode(store: Arc<dyn Store>) {
    let [ada, bob, cleo] = people(&*store).await;
    let id = create(&*store, new_direct(ada, bob)).await;
    for again in [new_direct(ada, bob), new_direct(bob, ada)] {
        let unused = again.id;
        let outcome = create_again(&*store, again).await;
        assert_eq!(outcome, CreateConversation::Existed(id));
        assert_eq!(seen_by(&*store, unused, ada.user).await, None);
    }
    assert_eq!(head(&*store, id).await, Seq::new(1));
    create(&*store, new_direct(ada, cleo)).await;
}

/// A managed conversation never answers for an end-to-end encrypted one.
pub async fn a_pair_has_another_direct_conversation_in_another_mode(store: Arc<dyn Store>) {
    let [ada, bob] = people(&*store).await;
    let managed = create(&*store, new_direct(ada, bob)).await;
    let e2ee = NewConversation {
        mode: ProtectionMode::E2ee,
        ..new_direct(bob, ada)
    };
    let e2ee = create(&*store, e2ee).await;
    assert_ne!(managed, e2ee);
    let seen = seen_by(&*store, e2ee, ada.user).await.expect("a member");
    assert_eq!(seen.mode, ProtectionMode::E2ee);
}

/// When both create it at the same moment, one does and the other is led to it.
pub async fn a_pair_that_creates_at_once_gets_one_direct_conversation(store: Arc<dyn Store>) {
    for _ in 0..8 {
        let [ada, bob] = people(&*store).await;
        let attempts = [new_direct(ada, bob), new_direct(bob, ada)];
        let ids = attempts.clone().map(|attempt| attempt.id);
        let outcomes = at_once(attempts.map(|attempt| {
            let store = Arc::clone(&store);
            async move { create_again(&*store, attempt).await }
        }))
        .await;
        let (created, existed) = match outcomes.as_slice() {
            [
                CreateConversation::Created { .. },
                CreateConversation::Existed(id),
            ] => (ids[0], *id),
            [
                CreateConversation::Existed(id),
                CreateConversation::Created { .. },
            ] => (ids[1], *id),
            other => panic!("one is created and the other finds it, not {other:?}"),
        };
        assert_eq!(existed, created);
        let of_ada = store.memberships(ada.user).await.expect("read");
        assert_eq!(of_ada.len(), 1);
    }
}

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
