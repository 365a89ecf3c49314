//! Cases of [`ConversationStore`](crate::store::ConversationStore): how
//! conversations begin, each once.

use std::sync::Arc;

use ruggine_core::Seq;
use ruggine_core::api::conversation::{ConversationKind, ProtectionMode, Role};

use super::fixture::{
    ALL_ROWS, at_once, create, group, later, new_direct, new_group, notice, people, version,
};
use super::reads::{head, pending_ids, roster, seen_by, stored};
use crate::store::{ConversationRecord, CreateConversation, NewConversation, Store};

async fn create_again(store: &dyn Store, new: NewConversation) -> CreateConversation {
    store.create_conversation(new).await.expect("answered")
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
