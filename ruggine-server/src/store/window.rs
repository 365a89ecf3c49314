//! Which part of a log a user may see, and how a page walks over it. Both
//! backends share this, so that they cannot disagree.

use ruggine_core::Seq;
use ruggine_core::api::message::PageStart;

/// One stay of a user in a conversation. Both ends are included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// The first row.
    pub from: Seq,
    /// The last row; open while the stay lasts.
    pub until: Option<Seq>,
}

/// A piece of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Segment {
    /// Rows to read.
    Rows(Seq, Seq),
    /// Numbers that the user may not see.
    Hole(Seq, Seq),
}

/// The newest number that somebody with these windows may see.
#[must_use]
pub(crate) fn visible_head(windows: &[Window], last: Seq) -> Seq {
    windows
        .iter()
        .map(|window| window.until.unwrap_or(last).min(last))
        .max()
        .unwrap_or(Seq::ZERO)
}

/// The pieces of a page of at most `rows_max` rows, in ascending order. A hole
/// is crossed whole and counts as no row.
///
/// `windows` are ascending and do not overlap; `last` is the log's newest number.
#[must_use]
pub fn plan_page(windows: &[Window], last: Seq, start: PageStart, rows_max: u32) -> Vec<Segment> {
    let head = visible_head(windows, last);
    match start {
        PageStart::After(after) => forward(windows, head, after.next(), rows_max),
        PageStart::Newest => backward(windows, head, head, rows_max),
        PageStart::Before(before) => backward(windows, head, before.previous().min(head), rows_max),
    }
}

fn forward(windows: &[Window], head: Seq, from: Seq, rows_max: u32) -> Vec<Segment> {
    let mut segments = Vec::new();
    let mut at = from;
    let mut left = u64::from(rows_max);
    for window in windows {
        let until = window.until.unwrap_or(head).min(head);
        if until < at || left == 0 {
            continue;
        }
        if window.from > at {
            segments.push(Segment::Hole(at, window.from.previous()));
            at = window.from;
        }
        let to = until.min(Seq::new(at.get().saturating_add(left - 1)));
        segments.push(Segment::Rows(at, to));
        left -= to.get() - at.get() + 1;
        at = to.next();
    }
    segments
}

fn backward(windows: &[Window], head: Seq, to: Seq, rows_max: u32) -> Vec<Segment> {
    let mut segments = Vec::new();
    let mut at = to;
    let mut left = u64::from(rows_max);
    for window in windows.iter().rev() {
        let until = window.until.unwrap_or(head).min(head);
        if window.from > at || left == 0 {
            continue;
        }
        if until < at {
            segments.push(Segment::Hole(until.next(), at));
            at = until;
        }
        let from = window.from.max(Seq::new(at.get().saturating_sub(left - 1)));
        segments.push(Segment::Rows(from, at));
        left -= at.get() - from.get() + 1;
        at = from.previous();
    }
    if left > 0 && at > Seq::ZERO {
        segments.push(Segment::Hole(Seq::new(1), at));
    }
    segments.reverse();
    segments
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn window(from: u64, until: Option<u64>) -> Window {
        Window {
            from: Seq::new(from),
            until: until.map(Seq::new),
        }
    }

    #[test]
    fn a_page_crosses_what_came_before_the_stay_as_one_hole() {
        let plan = plan_page(
            &[window(1_000, None)],
            Seq::new(1_005),
            PageStart::After(Seq::ZERO),
            3,
        );
        assert_eq!(
            plan,
            [
                Segment::Hole(Seq::new(1), Seq::new(999)),
                Segment::Rows(Seq::new(1_000), Seq::new(1_002)),
            ]
        );
    }

    #[test]
    fn the_head_of_somebody_who_left_stays_where_they_left() {
        let windows = [window(1, Some(5))];
        assert_eq!(visible_head(&windows, Seq::new(50)), Seq::new(5));
        assert_eq!(
            plan_page(&windows, Seq::new(50), PageStart::After(Seq::new(5)), 10),
            []
        );
    }

    proptest! {
        #[test]
        fn paging_either_way_covers_every_number_once_and_shows_only_the_windows(
            stays in proptest::collection::vec((1u64..6, 0u64..6), 1..5),
            open in any::<bool>(),
            beyond in 0u64..5,
            rows_max in 1u32..7,
        ) {
            let mut windows = Vec::new();
            let mut at = 0;
            for (gap, length) in stays {
                let from = at + gap;
                at = from + length;
                windows.push(window(from, Some(at)));
                at += 1;
            }
            let last = Seq::new(at + beyond);
            if open {
                windows.last_mut().unwrap().until = None;
            }
            let head = visible_head(&windows, last);
            let visible = |number: u64| windows.iter().any(|w| {
                w.from.get() <= number && number <= w.until.map_or(last.get(), Seq::get)
            });

            let mut cursor = Seq::ZERO;
            let mut forwards = Vec::new();
            while cursor < head {
                let plan = plan_page(&windows, last, PageStart::After(cursor), rows_max);
                prop_assert!(!plan.is_empty());
                for segment in plan {
                    let (from, to, shown) = match segment {
                        Segment::Rows(from, to) => (from, to, true),
                        Segment::Hole(from, to) => (from, to, false),
                    };
                    prop_assert_eq!(from, cursor.next());
                    for number in from.get()..=to.get() {
                        prop_assert_eq!(visible(number), shown);
                        forwards.push(number);
                    }
                    cursor = to;
                }
            }
            prop_assert_eq!(cursor, head);

            let mut start = PageStart::Newest;
            let mut backwards = Vec::new();
            loop {
                let plan = plan_page(&windows, last, start, rows_max);
                let mut page = Vec::new();
                for segment in plan {
                    let (from, to) = match segment {
                        Segment::Rows(from, to) | Segment::Hole(from, to) => (from, to),
                    };
                    page.extend(from.get()..=to.get());
                }
                let Some(first) = page.first().copied() else { break };
                start = PageStart::Before(Seq::new(first));
                page.extend(backwards);
                backwards = page;
            }
            prop_assert_eq!(forwards, backwards);
        }
    }
}
