//! Cases of [`PositionStore`](crate::store::PositionStore).

use std::sync::Arc;

use ruggine_core::api::conversation::{ConversationKind, ProtectionMode, Role};
use ruggine_core::{ConversationId, Seq};

use super::fixture::{
    NOW, Person, another_device, at_once, change, create, group, move_to, new_direct, people, say,
    version,
};
use crate::store::{
    HeadRecord, HeadsQuery, MemberEffect, MovePosition, Moved, PositionKind, Store,
};
use PositionKind::{Delivered, Read};

async fn heads(store: &dyn Store, who: Person, all: bool) -> Vec<HeadRecord> {
    store
        .device_heads(HeadsQuery {
            user: who.user,
            device: who.device,
            after: None,
            all,
            limit: 1_000,
        })
        .await
        .expect("read")
}

async fn only_head(store: &dyn Store, who: Person) -> HeadRecord {
    let heads = heads(store, who, true).await;
    assert_eq!(heads.len(), 1, "the user has one conversation");
    heads[0]
}

/// The positions of a member: delivered and read.
async fn positions(store: &dyn Store, id: ConversationId, who: Person) -> (u64, u64) {
    let (_, members) = store.members(id, None, 100).await.expect("listed");
    let member = members
        .iter()
        .find(|member| member.user.id == who.user)
        .expect("the user is a member");
    (member.delivered.get(), member.read.get())
}

/// A group of ada and bob with ten rows.
/// A position that was moved while the roster had this version.
const fn moved_to(seq: u64, roster_version: u64) -> Moved {
    Moved::To {
        seq: Seq::new(seq),
        roster_version,
    }
}

async fn ten_rows(store: &dyn Store) -> (ConversationId, Person, Person) {
    let [ada, bob] = people(store).await;
    let id = group(store, ada, &[bob]).await;
    assert_eq!(say(store, id, ada, 9).await, Seq::new(10));
    (id, ada, bob)
}

/// A head tells everything about where the conversation stands for the device.
pub async fn a_head_says_where_a_conversation_stands_for_a_device(store: Arc<dyn Store>) {
    let [ada, bob] = people(&*store).await;
    let id = create(&*store, new_direct(ada, bob)).await;
    let last = say(&*store, id, ada, 4).await;
    move_to(&*store, Delivered, bob, id, Seq::new(3)).await;
    move_to(&*store, Read, bob, id, Seq::new(2)).await;
    let expected = HeadRecord {
        conversation: id,
        kind: ConversationKind::Direct,
        mode: ProtectionMode::Managed,
        head: last,
        cursor: Seq::new(3),
        own_read: Seq::new(2),
        roster_version: version(&*store, id).await,
    };
    assert_eq!(heads(&*store, bob, false).await, [expected]);
    assert_eq!(heads(&*store, bob, true).await, [expected]);
}

/// Once a device has a log whole, the conversation is told only on request,
/// until it grows again.
pub async fn a_conversation_without_news_is_told_on_request_only(store: Arc<dyn Store>) {
    let (id, ada, bob) = ten_rows(&*store).await;
    let quiet = group(&*store, bob, &[ada]).await;
    move_to(&*store, Delivered, bob, quiet, Seq::new(1)).await;
    let told = |heads: Vec<HeadRecord>| -> Vec<ConversationId> {
        heads.iter().map(|head| head.conversation).collect()
    };
    assert_eq!(told(heads(&*store, bob, false).await), [id]);
    move_to(&*store, Delivered, bob, id, Seq::new(10)).await;
    assert_eq!(told(heads(&*store, bob, false).await), []);
    let mut both = [id, quiet];
    both.sort_unstable();
    assert_eq!(told(heads(&*store, bob, true).await), both);
    say(&*store, quiet, ada, 1).await;
    assert_eq!(told(heads(&*store, bob, false).await), [quiet]);
}

/// What one device has is new to another.
pub async fn every_device_has_a_cursor_of_its_own(store: Arc<dyn Store>) {
    let (id, _, bob) = ten_rows(&*store).await;
    let phone = another_device(&*store, bob.user).await;
    move_to(&*store, Delivered, bob, id, Seq::new(10)).await;
    assert_eq!(heads(&*store, bob, false).await, []);
    let on_phone = heads(&*store, phone, false).await;
    assert_eq!(on_phone.len(), 1);
    assert_eq!(on_phone[0].cursor, Seq::ZERO);
    move_to(&*store, Delivered, phone, id, Seq::new(4)).await;
    assert_eq!(only_head(&*store, phone).await.cursor, Seq::new(4));
    assert_eq!(only_head(&*store, bob).await.cursor, Seq::new(10));
}

/// Heads follow the ids of their conversations, page by page, also where only
/// those with something new are asked for.
pub async fn heads_are_told_by_id_page_by_page(store: Arc<dyn Store>) {
    let [ada, bob] = people(&*store).await;
    let mut ids = Vec::new();
    for _ in 0..7 {
        ids.push(group(&*store, ada, &[bob]).await);
    }
    ids.sort_unstable();
    let seen = [ids[1], ids[4]];
    for id in seen {
        move_to(&*store, Delivered, bob, id, Seq::new(1)).await;
    }
    for all in [true, false] {
        let expected: Vec<ConversationId> = ids
            .iter()
            .copied()
            .filter(|id| all || !seen.contains(id))
            .collect();
        let mut told = Vec::new();
        let mut after = None;
        loop {
            let query = HeadsQuery {
                user: bob.user,
                device: bob.device,
                after,
                all,
                limit: 3,
            };
            let next = store.device_heads(query).await.expect("read");
            assert!(next.len() <= 3);
            let Some(last) = next.last() else { break };
            assert!(
                after < Some(last.conversation),
                "a page goes on where the last ended"
            );
            after = Some(last.conversation);
            told.extend(next.iter().map(|head| head.conversation));
        }
        assert_eq!(told, expected, "all: {all}");
    }
}

/// A read position reported by one device is news to the others, and to them
/// only, until they report it too.
pub async fn a_read_position_of_one_device_is_news_to_the_others(store: Arc<dyn Store>) {
    let (id, _, laptop) = ten_rows(&*store).await;
    let phone = another_device(&*store, laptop.user).await;
    for device in [laptop, phone] {
        move_to(&*store, Delivered, device, id, Seq::new(10)).await;
    }
    move_to(&*store, Read, phone, id, Seq::new(6)).await;
    assert_eq!(heads(&*store, phone, false).await, []);
    let news = heads(&*store, laptop, false).await;
    assert_eq!(news.len(), 1);
    assert_eq!(news[0].own_read, Seq::new(6));

    let known = move_to(&*store, Read, laptop, id, Seq::new(6)).await;
    assert_eq!(known, Moved::Unmoved);
    assert_eq!(heads(&*store, laptop, false).await, []);
    // A device that reports less is told that there is more.
    move_to(&*store, Read, phone, id, Seq::new(9)).await;
    move_to(&*store, Read, laptop, id, Seq::new(7)).await;
    let news = heads(&*store, laptop, false).await;
    assert_eq!(news.len(), 1);
    assert_eq!(news[0].own_read, Seq::new(9));
}

/// The head of somebody who was removed stands still, so there is an end to
/// what their device lacks.
pub async fn the_head_of_a_removed_member_is_frozen(store: Arc<dyn Store>) {
    let (id, ada, bob) = ten_rows(&*store).await;
    let (left_at, _) = change(&*store, id, ada, vec![MemberEffect::Remove(bob.user)]).await;
    say(&*store, id, ada, 5).await;
    assert_eq!(only_head(&*store, bob).await.head, left_at);
    assert_eq!(heads(&*store, bob, false).await.len(), 1);
    let moved = move_to(&*store, Delivered, bob, id, Seq::new(16)).await;
    assert_eq!(
        moved,
        moved_to(left_at.get(), 2),
        "cut to what they may see"
    );
    assert_eq!(heads(&*store, bob, false).await, []);

    let effect = MemberEffect::Add(bob.user, Role::Member);
    let (back_at, _) = change(&*store, id, ada, vec![effect]).await;
    let news = heads(&*store, bob, false).await;
    assert_eq!((news[0].head, news[0].cursor), (back_at, left_at));
}

/// Conversations that a user was never in are none of theirs.
pub async fn a_stranger_is_told_of_no_head(store: Arc<dyn Store>) {
    ten_rows(&*store).await;
    let [stranger] = people(&*store).await;
    assert_eq!(heads(&*store, stranger, true).await, []);
}

/// Neither position goes back, whatever is reported late.
pub async fn positions_move_forward_only(store: Arc<dyn Store>) {
    let (id, _, bob) = ten_rows(&*store).await;
    for kind in [Delivered, Read] {
        for (to, expected) in [
            (4, moved_to(4, 1)),
            (4, Moved::Unmoved),
            (2, Moved::Unmoved),
            (7, moved_to(7, 1)),
            (0, Moved::Unmoved),
        ] {
            let moved = move_to(&*store, kind, bob, id, Seq::new(to)).await;
            assert_eq!(moved, expected, "{kind:?} to {to}");
        }
    }
    assert_eq!(positions(&*store, id, bob).await, (7, 7));
    assert_eq!(only_head(&*store, bob).await.cursor, Seq::new(7));
}

/// A position begins before the first row, so moving there is no move.
pub async fn a_position_moved_to_zero_has_not_moved(store: Arc<dyn Store>) {
    let (id, _, bob) = ten_rows(&*store).await;
    for kind in [Delivered, Read] {
        let moved = move_to(&*store, kind, bob, id, Seq::ZERO).await;
        assert_eq!(moved, Moved::Unmoved, "{kind:?}");
    }
}

/// Delivered and read are two positions.
pub async fn the_two_positions_do_not_move_each_other(store: Arc<dyn Store>) {
    let (id, ada, bob) = ten_rows(&*store).await;
    move_to(&*store, Delivered, ada, id, Seq::new(5)).await;
    assert_eq!(positions(&*store, id, ada).await, (5, 0));
    move_to(&*store, Read, bob, id, Seq::new(6)).await;
    assert_eq!(positions(&*store, id, bob).await, (0, 6));
    assert_eq!(only_head(&*store, bob).await.cursor, Seq::ZERO);
}

/// Nobody has what is not written.
pub async fn a_position_beyond_the_head_is_cut_to_it(store: Arc<dyn Store>) {
    let (id, _, bob) = ten_rows(&*store).await;
    for kind in [Delivered, Read] {
        for to in [Seq::MAX, Seq::new(11)] {
            let moved = move_to(&*store, kind, bob, id, to).await;
            assert!([moved_to(10, 1), Moved::Unmoved].contains(&moved));
        }
    }
    assert_eq!(positions(&*store, id, bob).await, (10, 10));
    let again = move_to(&*store, Delivered, bob, id, Seq::MAX).await;
    assert_eq!(again, Moved::Unmoved);
}

/// A user has a log up to where the furthest of their devices has it.
pub async fn the_furthest_device_counts_for_the_user(store: Arc<dyn Store>) {
    let (id, _, laptop) = ten_rows(&*store).await;
    let phone = another_device(&*store, laptop.user).await;
    for (device, to, expected, furthest) in [
        (laptop, 4, moved_to(4, 1), 4),
        (phone, 3, Moved::Unmoved, 4),
        (phone, 8, moved_to(8, 1), 8),
        (laptop, 7, Moved::Unmoved, 8),
    ] {
        let moved = move_to(&*store, Delivered, device, id, Seq::new(to)).await;
        assert_eq!(moved, expected, "to {to}");
        assert_eq!(positions(&*store, id, laptop).await, (furthest, 0));
    }
    assert_eq!(only_head(&*store, laptop).await.cursor, Seq::new(7));
    assert_eq!(only_head(&*store, phone).await.cursor, Seq::new(8));
}

/// Many moves in one step: each has its outcome in its place, and the good
/// ones are not held up by the others.
pub async fn moves_are_answered_in_their_order(store: Arc<dyn Store>) {
    let (id, ada, bob) = ten_rows(&*store).await;
    let [stranger] = people(&*store).await;
    let unknown = ConversationId::new(NOW);
    let moves = [
        (Delivered, bob, id, 3),
        (Delivered, stranger, id, 3),
        (Read, ada, unknown, 3),
        (Delivered, bob, id, 2),
        (Read, bob, id, 99),
        (Delivered, bob, id, 9),
    ]
    .map(|(kind, who, conversation, seq)| MovePosition {
        kind,
        user: who.user,
        device: who.device,
        conversation,
        seq: Seq::new(seq),
    });
    let moved = store.move_positions(moves.to_vec()).await.expect("moved");
    let expected = [
        moved_to(3, 1),
        Moved::NotAMember,
        Moved::NotAMember,
        Moved::Unmoved,
        moved_to(10, 1),
        moved_to(9, 1),
    ];
    assert_eq!(moved, expected);
    assert_eq!(positions(&*store, id, bob).await, (9, 10));
    assert_eq!(store.move_positions(Vec::new()).await.expect("moved"), []);
}

/// Reports that overtake each other leave the position at the furthest.
pub async fn positions_moved_by_many_at_once_end_at_the_furthest(store: Arc<dyn Store>) {
    let (id, _, bob) = ten_rows(&*store).await;
    at_once((1..=20u64).map(|report| {
        let store = Arc::clone(&store);
        let kind = if report % 2 == 0 { Delivered } else { Read };
        async move { move_to(&*store, kind, bob, id, Seq::new(report.div_ceil(2))).await }
    }))
    .await;
    assert_eq!(positions(&*store, id, bob).await, (10, 10));
}
