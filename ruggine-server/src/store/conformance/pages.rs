//! Cases of [`MessageStore`](crate::store::MessageStore): pages of a log, and the
//! holes in them.

use std::sync::Arc;

use ruggine_core::api::conversation::Role;
use ruggine_core::api::message::PageStart;
use ruggine_core::{ConversationId, Seq};

use super::fixture::{
    ALL_ROWS, NOW, Person, append, change, group, group_of_two, messages, people, say, sealed,
};
use super::reads::{hole, log, outline, page, query, rows};
use crate::store::{MemberEffect, NewRow, PageItem, PageQuery, Store};

/// From a number on, towards newer rows, at most as many as asked for.
pub async fn a_page_after_a_number_goes_towards_newer_rows(store: Arc<dyn Store>) {
    let (id, ada, bob) = group_of_two(&*store).await;
    let last = say(&*store, id, ada, 9).await;
    for (after, rows_max, expected) in [
        (0, 4, vec![rows(1, 4)]),
        (4, 4, vec![rows(5, 8)]),
        (8, 4, vec![rows(9, 10)]),
        (0, 10, vec![rows(1, 10)]),
        (0, ALL_ROWS, vec![rows(1, 10)]),
    ] {
        let asked = PageQuery {
            rows_max,
            ..query(id, bob.user, PageStart::After(Seq::new(after)))
        };
        let page = page(&*store, asked).await;
        assert_eq!(outline(&page), expected, "{rows_max} after {after}");
        assert_eq!(page.head, last);
    }
    let page = page(&*store, query(id, bob.user, PageStart::After(Seq::ZERO))).await;
    let log: Vec<PageItem> = log(&*store, id)
        .await
        .into_iter()
        .map(PageItem::Row)
        .collect();
    assert_eq!(page.items, log, "the rows are whole");
}

/// From a number, or the newest, towards older rows; ascending all the same.
pub async fn a_page_before_a_number_goes_towards_older_rows(store: Arc<dyn Store>) {
    let (id, ada, bob) = group_of_two(&*store).await;
    let last = say(&*store, id, ada, 9).await;
    for (start, rows_max, expected) in [
        (PageStart::Newest, 4, vec![rows(7, 10)]),
        (PageStart::Before(Seq::new(7)), 4, vec![rows(3, 6)]),
        (PageStart::Before(Seq::new(3)), 4, vec![rows(1, 2)]),
        (PageStart::Before(Seq::new(1)), 4, vec![]),
        (PageStart::Before(Seq::ZERO), 4, vec![]),
        (PageStart::Before(Seq::MAX), 4, vec![rows(7, 10)]),
        (PageStart::Newest, ALL_ROWS, vec![rows(1, 10)]),
    ] {
        let asked = PageQuery {
            rows_max,
            ..query(id, bob.user, start)
        };
        let page = page(&*store, asked).await;
        assert_eq!(outline(&page), expected, "{rows_max} from {start:?}");
        assert_eq!(page.head, last);
    }
}

/// Nothing lies beyond the head.
pub async fn a_page_beyond_the_head_is_empty(store: Arc<dyn Store>) {
    let (id, ada, _) = group_of_two(&*store).await;
    let last = say(&*store, id, ada, 2).await;
    for after in [last, last.next(), Seq::new(1_000), Seq::MAX] {
        let page = page(&*store, query(id, ada.user, PageStart::After(after))).await;
        assert_eq!((page.head, page.items), (last, vec![]));
    }
}

/// Bodies stop a page before its rows do. One row is always given, so that
/// nobody is stuck before a large one.
pub async fn a_page_holds_no_more_bytes_than_asked_for(store: Arc<dyn Store>) {
    let (id, ada, _) = group_of_two(&*store).await;
    let body = sealed(&"x".repeat(1_000));
    let bodies: Vec<NewRow> = messages(id, ada, 6)
        .into_iter()
        .map(|row| NewRow {
            body: Arc::clone(&body),
            ..row
        })
        .collect();
    append(&*store, bodies).await;
    let size = body.len();
    for (start, bytes_max, expected) in [
        (PageStart::After(Seq::new(1)), 3 * size, rows(2, 4)),
        (PageStart::After(Seq::new(1)), 3 * size - 1, rows(2, 3)),
        (PageStart::After(Seq::new(1)), 0, rows(2, 2)),
        (PageStart::Newest, 3 * size, rows(5, 7)),
        (PageStart::Newest, 3 * size - 1, rows(6, 7)),
        (PageStart::Before(Seq::new(7)), 1, rows(6, 6)),
    ] {
        let asked = PageQuery {
            bytes_max,
            ..query(id, ada.user, start)
        };
        let page = page(&*store, asked).await;
        assert_eq!(
            outline(&page),
            [expected],
            "{bytes_max} bytes from {start:?}"
        );
    }
}

/// A page that its bytes end goes on without a gap, also beyond a hole.
pub async fn pages_of_few_bytes_cover_the_log_without_a_gap(store: Arc<dyn Store>) {
    let (id, ada, bob) = group_of_two(&*store).await;
    let (_, back_at) = two_stays(&*store, id, ada, bob).await;
    let last = say(&*store, id, ada, 3).await;
    let mut cursor = Seq::ZERO;
    let mut shown = Vec::new();
    while cursor < last {
        let asked = PageQuery {
            bytes_max: 1,
            ..query(id, bob.user, PageStart::After(cursor))
        };
        let page = page(&*store, asked).await;
        assert!(!page.items.is_empty(), "after {cursor}");
        for item in page.items {
            let (from, to) = match item {
                PageItem::Row(row) => (row.seq, row.seq),
                PageItem::Hole(from, to) => (from, to),
            };
            assert_eq!(from, cursor.next());
            cursor = to;
            shown.push((from, to));
        }
    }
    assert_eq!(cursor, last);
    let hole = shown.iter().find(|(from, to)| from < to);
    assert_eq!(hole.map(|(_, to)| to.next()), Some(back_at));
}

/// Removes bob, lets ada say three things, and brings him back.
async fn two_stays(store: &dyn Store, id: ConversationId, ada: Person, bob: Person) -> (Seq, Seq) {
    say(store, id, ada, 2).await;
    let (left_at, _) = change(store, id, ada, vec![MemberEffect::Remove(bob.user)]).await;
    say(store, id, ada, 3).await;
    let effect = MemberEffect::Add(bob.user, Role::Member);
    let (back_at, _) = change(store, id, ada, vec![effect]).await;
    (left_at, back_at)
}

/// What came before somebody joined is one hole, which costs no row.
pub async fn what_came_before_a_member_is_a_hole(store: Arc<dyn Store>) {
    let [ada, bob] = people(&*store).await;
    let id = group(&*store, ada, &[]).await;
    say(&*store, id, ada, 4).await;
    let effect = MemberEffect::Add(bob.user, Role::Member);
    let (joined_at, _) = change(&*store, id, ada, vec![effect]).await;
    assert_eq!(joined_at, Seq::new(6));
    say(&*store, id, ada, 4).await;
    for (start, expected) in [
        (PageStart::After(Seq::ZERO), vec![hole(1, 5), rows(6, 7)]),
        (PageStart::After(Seq::new(3)), vec![hole(4, 5), rows(6, 7)]),
        (PageStart::After(Seq::new(5)), vec![rows(6, 7)]),
        (PageStart::Newest, vec![rows(9, 10)]),
        (PageStart::Before(Seq::new(7)), vec![hole(1, 5), rows(6, 6)]),
        (PageStart::Before(Seq::new(6)), vec![hole(1, 5)]),
        (PageStart::Before(Seq::new(4)), vec![hole(1, 3)]),
    ] {
        let asked = PageQuery {
            rows_max: 2,
            ..query(id, bob.user, start)
        };
        assert_eq!(outline(&page(&*store, asked).await), expected, "{start:?}");
    }
}

/// What was said between two stays is a hole, either way.
pub async fn what_was_said_between_two_stays_is_a_hole(store: Arc<dyn Store>) {
    let (id, ada, bob) = group_of_two(&*store).await;
    let stays = two_stays(&*store, id, ada, bob).await;
    assert_eq!(stays, (Seq::new(4), Seq::new(8)));
    say(&*store, id, ada, 2).await;
    for (start, rows_max, expected) in [
        (
            PageStart::After(Seq::ZERO),
            ALL_ROWS,
            vec![rows(1, 4), hole(5, 7), rows(8, 10)],
        ),
        (
            PageStart::After(Seq::new(2)),
            3,
            vec![rows(3, 4), hole(5, 7), rows(8, 8)],
        ),
        (
            PageStart::After(Seq::new(5)),
            3,
            vec![hole(6, 7), rows(8, 10)],
        ),
        (
            PageStart::Newest,
            ALL_ROWS,
            vec![rows(1, 4), hole(5, 7), rows(8, 10)],
        ),
        (
            PageStart::Newest,
            4,
            vec![rows(4, 4), hole(5, 7), rows(8, 10)],
        ),
        (
            PageStart::Before(Seq::new(7)),
            1,
            vec![rows(4, 4), hole(5, 6)],
        ),
    ] {
        let asked = PageQuery {
            rows_max,
            ..query(id, bob.user, start)
        };
        let page = page(&*store, asked).await;
        assert_eq!(outline(&page), expected, "{rows_max} from {start:?}");
    }
    let whole = page(&*store, query(id, ada.user, PageStart::Newest)).await;
    assert_eq!(outline(&whole), [rows(1, 10)], "others see all of it");
}

/// Somebody who left reads up to the notice of it, and no further.
pub async fn a_former_member_reads_up_to_their_leaving(store: Arc<dyn Store>) {
    let (id, ada, bob) = group_of_two(&*store).await;
    say(&*store, id, ada, 2).await;
    let (left_at, _) = change(&*store, id, ada, vec![MemberEffect::Remove(bob.user)]).await;
    say(&*store, id, ada, 3).await;
    for start in [PageStart::After(Seq::ZERO), PageStart::Newest] {
        let page = page(&*store, query(id, bob.user, start)).await;
        assert_eq!(page.head, left_at);
        assert_eq!(outline(&page), [rows(1, left_at.get())]);
    }
    let beyond = page(&*store, query(id, bob.user, PageStart::After(left_at))).await;
    assert_eq!((beyond.head, beyond.items), (left_at, vec![]));
}

/// To somebody who was never in it a conversation has no log.
pub async fn a_stranger_reads_no_page(store: Arc<dyn Store>) {
    let (id, ada, _) = group_of_two(&*store).await;
    let [stranger] = people(&*store).await;
    let unknown = ConversationId::new(NOW);
    for (id, user) in [(id, stranger.user), (unknown, ada.user)] {
        for start in [PageStart::After(Seq::ZERO), PageStart::Newest] {
            let page = store.page(query(id, user, start)).await.expect("answered");
            assert_eq!(page, None);
        }
    }
}
