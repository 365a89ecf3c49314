//! Batches that a lane has announced, until their hints have gone out.

use std::collections::VecDeque;

use crate::bus::Passage;
use crate::store::BatchId;

/// Batches that may wait here. What is more is left to the relay.
const MOST: usize = 4_096;

/// Batches of a lane in the order of their commits, each with what becomes of
/// its hints. The store forgets a batch only once all of them have gone out; one
/// of which a hint was lost stays there, and the relay of this or another
/// instance announces it again.
#[derive(Debug, Default)]
pub(super) struct Announced(VecDeque<(BatchId, Vec<Passage>)>);

impl Announced {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn add(&mut self, batch: BatchId, hints: Vec<Passage>) {
        if self.0.len() == MOST {
            self.0.pop_front();
        }
        self.0.push_back((batch, hints));
    }

    /// Takes out those that can be forgotten, as far as that is known by now.
    pub(super) fn take_settled(&mut self) -> Vec<BatchId> {
        let mut settled = Vec::new();
        // Hints go out in their order, or nearly so: it is enough to look at the first.
        while let Some((batch, hints)) = self.0.front_mut() {
            match outcome(hints) {
                Some(true) => settled.push(*batch),
                Some(false) => {}
                None => break,
            }
            self.0.pop_front();
        }
        settled
    }
}

/// Whether all went out; `None` while that is not known of one of them.
fn outcome(hints: &mut [Passage]) -> Option<bool> {
    let mut all = true;
    for hint in hints {
        all &= hint.outcome()?;
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u8) -> BatchId {
        BatchId([number; 16])
    }

    #[test]
    fn a_batch_is_settled_once_all_of_its_hints_have_gone_out() {
        let mut announced = Announced::default();
        announced.add(id(1), vec![Passage::over()]);
        let (first, one) = Passage::under_way();
        let (second, other) = Passage::under_way();
        announced.add(id(2), vec![one, other]);
        announced.add(id(3), Vec::new());
        assert_eq!(announced.take_settled(), [id(1)]);
        second.went_out();
        assert!(announced.take_settled().is_empty());
        first.went_out();
        assert_eq!(announced.take_settled(), [id(2), id(3)]);
        assert!(announced.is_empty());
    }

    #[test]
    fn a_batch_of_which_a_hint_was_lost_is_left_to_the_relay() {
        let mut announced = Announced::default();
        announced.add(id(1), vec![Passage::over(), Passage::lost()]);
        announced.add(id(2), vec![Passage::over()]);
        assert_eq!(announced.take_settled(), [id(2)]);
        assert!(announced.is_empty());
    }

    #[test]
    fn no_more_batches_wait_than_there_is_room_for() {
        let mut announced = Announced::default();
        let mut departures = Vec::new();
        for _ in 0..=MOST {
            let (departure, passage) = Passage::under_way();
            departures.push(departure);
            announced.add(id(1), vec![passage]);
        }
        assert_eq!(announced.0.len(), MOST);
    }
}
