//! Differences between two lists of keyed items.

use std::collections::HashSet;
use std::hash::Hash;

/// One step from a list to the next. Steps are applied in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Diff<T> {
    /// Put an item before the one at this index.
    Insert {
        /// Where.
        index: usize,
        /// What.
        item: T,
    },
    /// Put an item in the place of the one at this index.
    Update {
        /// Where.
        index: usize,
        /// What.
        item: T,
    },
    /// Take out the item at this index.
    Remove {
        /// Where.
        index: usize,
    },
}

/// Leads a list along its differences.
pub fn apply_diffs<T: Clone>(list: &mut Vec<T>, diffs: &[Diff<T>]) {
    for diff in diffs {
        match diff {
            Diff::Insert { index, item } => list.insert((*index).min(list.len()), item.clone()),
            Diff::Update { index, item } => {
                if let Some(place) = list.get_mut(*index) {
                    place.clone_from(item);
                }
            }
            Diff::Remove { index } => {
                if *index < list.len() {
                    list.remove(*index);
                }
            }
        }
    }
}

/// The steps from `before` to `after`. Items with equal keys are the same item;
/// keys are unique in each list.
pub(super) fn diff<T, K>(before: &[T], after: &[T], key: impl Fn(&T) -> K) -> Vec<Diff<T>>
where
    T: Clone + PartialEq,
    K: Eq + Hash,
{
    let mut diffs = Vec::new();
    let kept: HashSet<K> = after.iter().map(&key).collect();
    let mut list: Vec<&T> = Vec::with_capacity(before.len());
    for item in before {
        if kept.contains(&key(item)) {
            list.push(item);
        } else {
            diffs.push(Diff::Remove { index: list.len() });
        }
    }
    for (index, item) in after.iter().enumerate() {
        let wanted = key(item);
        match list.get(index) {
            Some(here) if key(here) == wanted => {
                if *here != item {
                    diffs.push(Diff::Update {
                        index,
                        item: item.clone(),
                    });
                    list[index] = item;
                }
            }
            _ => {
                // Further along if it moved; nowhere if it is new.
                let found = list
                    .iter()
                    .skip(index)
                    .position(|other| key(other) == wanted);
                if let Some(offset) = found {
                    list.remove(index + offset);
                    diffs.push(Diff::Remove {
                        index: index + offset,
                    });
                }
                list.insert(index, item);
                diffs.push(Diff::Insert {
                    index,
                    item: item.clone(),
                });
            }
        }
    }
    diffs
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn list(items: &BTreeMap<u8, u8>, order: u8) -> Vec<(u8, u8)> {
        let mut list: Vec<_> = items.iter().map(|(key, value)| (*key, *value)).collect();
        list.sort_by_key(|(key, _)| key.wrapping_mul(order | 1));
        list
    }

    proptest! {
        #[test]
        fn the_steps_lead_from_one_list_to_the_other(
            before in proptest::collection::btree_map(any::<u8>(), 0u8..3, 0..12),
            after in proptest::collection::btree_map(any::<u8>(), 0u8..3, 0..12),
            order in any::<u8>(),
        ) {
            let (before, after) = (list(&before, 1), list(&after, order));
            let mut led = before.clone();
            apply_diffs(&mut led, &diff(&before, &after, |item| item.0));
            prop_assert_eq!(led, after);
        }
    }

    #[test]
    fn a_list_that_grew_at_its_end_takes_one_step() {
        let steps = diff(&[1, 2, 3], &[1, 2, 3, 4], |item| *item);
        assert_eq!(steps, [Diff::Insert { index: 3, item: 4 }]);
    }

    #[test]
    fn nothing_changed_is_no_step() {
        assert_eq!(diff(&[1, 2, 3], &[1, 2, 3], |item| *item), []);
    }
}
