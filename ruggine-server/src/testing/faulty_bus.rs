//! A bus as unreliable as its contract allows.

use std::collections::HashSet;

use parking_lot::Mutex;
use ruggine_core::UserId;

use crate::bus::{Bus, BusError, InstanceId, LocalBus, Notice, Notices, Passage, Topic};

/// How often what goes wrong, each from 0 (never) to 1 (always).
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Faults {
    /// A notice is lost.
    pub dropped: f64,
    /// A notice arrives twice.
    pub doubled: f64,
    /// A notice is held back until one or more later ones have gone out.
    pub reordered: f64,
}

impl Faults {
    /// Every notice is lost, as when the bus is down.
    pub const EVERYTHING_IS_LOST: Self = Self {
        dropped: 1.0,
        doubled: 0.0,
        reordered: 0.0,
    };
}

/// How often it has gone wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FaultCounts {
    /// Notices that went out as they should.
    pub carried: u64,
    /// Notices that were lost.
    pub dropped: u64,
    /// Notices that went out twice.
    pub doubled: u64,
    /// Notices that went out late.
    pub reordered: u64,
}

/// A [`LocalBus`] that loses, doubles and reorders notices. The same seed and
/// the same notices lead to the same faults.
#[derive(Debug)]
pub struct FaultyBus {
    inner: LocalBus,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    faults: Faults,
    random: u64,
    counts: FaultCounts,
    held: Vec<(InstanceId, Topic, Notice)>,
}

impl FaultyBus {
    /// A bus that does everything right until it is told otherwise.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            inner: LocalBus::new(),
            state: Mutex::new(State {
                faults: Faults::default(),
                random: seed,
                counts: FaultCounts::default(),
                held: Vec::new(),
            }),
        }
    }

    /// Goes wrong this often from now on.
    pub fn set_faults(&self, faults: Faults) {
        self.state.lock().faults = faults;
    }

    /// Does everything right from now on. What was held back goes out, late.
    pub async fn heal(&self) {
        let held = {
            let mut state = self.state.lock();
            state.faults = Faults::default();
            std::mem::take(&mut state.held)
        };
        for (from, topic, notice) in held {
            // The bus inside one process has no way to fail.
            let _ = self.inner.publish(from, topic, notice).await;
        }
    }

    /// How many instances hear a topic, as far as nothing goes wrong.
    #[must_use]
    pub fn followers(&self, topic: Topic) -> usize {
        self.inner.followers(topic)
    }

    /// How often it has gone wrong so far.
    #[must_use]
    pub fn counts(&self) -> FaultCounts {
        self.state.lock().counts
    }
}

impl State {
    /// The next of a sequence of numbers that looks random (SplitMix64).
    fn number(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn happens(&mut self, probability: f64) -> bool {
        // Drawn in any case, so that one probability does not shift the others.
        let drawn = (self.number() >> 11) as f64 / (1u64 << 53) as f64;
        drawn < probability
    }

    /// What goes out in place of a notice, in this order.
    fn disturb(
        &mut self,
        from: InstanceId,
        topic: Topic,
        notice: Notice,
    ) -> Vec<(InstanceId, Topic, Notice)> {
        let Faults {
            dropped,
            doubled,
            reordered,
        } = self.faults;
        let is_dropped = self.happens(dropped);
        let is_doubled = self.happens(doubled);
        let is_held = self.happens(reordered);
        if is_dropped {
            self.counts.dropped += 1;
            return Vec::new();
        }
        if is_held {
            self.counts.reordered += 1;
            self.held.push((from, topic, notice));
            return Vec::new();
        }
        let mut out = vec![(from, topic, notice)];
        if is_doubled {
            self.counts.doubled += 1;
            out.extend(out.clone());
        } else {
            self.counts.carried += 1;
        }
        // The last that was held back comes first: those held longest are the latest.
        while !self.held.is_empty() && self.happens(0.5) {
            out.extend(self.held.pop());
        }
        out
    }
}

impl Bus for FaultyBus {
    async fn attach(&self, instance: InstanceId) -> Result<Notices, BusError> {
        Bus::attach(&self.inner, instance).await
    }

    async fn follow(&self, instance: InstanceId, topics: Vec<Topic>) -> Result<(), BusError> {
        Bus::follow(&self.inner, instance, topics).await
    }

    async fn unfollow(&self, instance: InstanceId, topics: Vec<Topic>) -> Result<(), BusError> {
        Bus::unfollow(&self.inner, instance, topics).await
    }

    async fn publish(
        &self,
        from: InstanceId,
        topic: Topic,
        notice: Notice,
    ) -> Result<Passage, BusError> {
        let out = self.state.lock().disturb(from, topic, notice);
        for (from, topic, notice) in out {
            Bus::publish(&self.inner, from, topic, notice).await?;
        }
        // Also what is lost has gone out: it is lost behind the back of its publisher.
        Ok(Passage::over())
    }

    async fn lease(&self, instance: InstanceId, users: Vec<UserId>) -> Result<(), BusError> {
        Bus::lease(&self.inner, instance, users).await
    }

    async fn release(&self, instance: InstanceId, users: Vec<UserId>) -> Result<(), BusError> {
        Bus::release(&self.inner, instance, users).await
    }

    async fn leased(&self, users: Vec<UserId>) -> Result<HashSet<UserId>, BusError> {
        Bus::leased(&self.inner, users).await
    }
}

#[cfg(test)]
mod tests {
    use ruggine_core::{ConversationId, Seq, Timestamp};

    use super::*;
    use crate::store::ConversationHead;

    const NOTICES: u64 = 1_000;

    async fn heard(seed: u64, faults: Faults) -> (Vec<u64>, FaultCounts) {
        let bus = FaultyBus::new(seed);
        let (here, there) = (InstanceId::new(), InstanceId::new());
        let conversation = ConversationId::new(Timestamp::from_millis(1));
        let topic = Topic::Conversation(conversation);
        let mut notices = Bus::attach(&bus, there).await.unwrap();
        Bus::follow(&bus, there, vec![topic]).await.unwrap();
        bus.set_faults(faults);
        for number in 1..=NOTICES {
            let notice = Notice::Head(ConversationHead {
                conversation,
                head: Seq::new(number),
                roster_version: 1,
            });
            Bus::publish(&bus, here, topic, notice).await.unwrap();
        }
        bus.heal().await;
        let mut numbers = Vec::new();
        while let Some(Notice::Head(head)) = notices.try_next() {
            numbers.push(head.head.get());
        }
        (numbers, bus.counts())
    }

    #[tokio::test]
    async fn without_faults_it_is_a_plain_bus() {
        let (numbers, counts) = heard(1, Faults::default()).await;
        assert_eq!(numbers, (1..=NOTICES).collect::<Vec<_>>());
        assert_eq!(counts.carried, NOTICES);
    }

    #[tokio::test]
    async fn each_fault_happens_about_as_often_as_it_was_told_to() {
        let third = 0.3;
        let (lost, _) = heard(
            2,
            Faults {
                dropped: third,
                ..Faults::default()
            },
        )
        .await;
        assert!((600..800).contains(&lost.len()), "{}", lost.len());
        assert!(lost.is_sorted());

        let (twice, _) = heard(
            3,
            Faults {
                doubled: third,
                ..Faults::default()
            },
        )
        .await;
        assert!((1_200..1_400).contains(&twice.len()), "{}", twice.len());
        assert!(twice.is_sorted());

        let (late, counts) = heard(
            4,
            Faults {
                reordered: third,
                ..Faults::default()
            },
        )
        .await;
        assert!(!late.is_sorted());
        assert!((200..400).contains(&counts.reordered), "{counts:?}");
        let mut all = late;
        all.sort_unstable();
        assert_eq!(all, (1..=NOTICES).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn the_same_seed_leads_to_the_same_faults() {
        let faults = Faults {
            dropped: 0.3,
            doubled: 0.3,
            reordered: 0.3,
        };
        assert_eq!(heard(5, faults).await, heard(5, faults).await);
        assert_ne!(heard(5, faults).await, heard(6, faults).await);
    }

    #[tokio::test]
    async fn a_bus_that_is_down_carries_nothing() {
        let (numbers, counts) = heard(7, Faults::EVERYTHING_IS_LOST).await;
        assert!(numbers.is_empty());
        assert_eq!(counts.dropped, NOTICES);
    }
}
