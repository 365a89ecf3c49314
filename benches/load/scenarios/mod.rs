//! What is measured. Every scenario makes its own people and conversations.

pub(crate) mod group;
pub(crate) mod history;
pub(crate) mod idle;
pub(crate) mod paced;
pub(crate) mod pairs;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ruggine_core::Clock;
use ruggine_core::ConversationId;
use ruggine_core::api::conversation::{ConversationKind, Create, ProtectionMode};
use ruggine_core::time::SystemClock;
use ruggine_server::testing::Person;

use crate::device::http;
use crate::machine::{Cpu, Observed};

/// How long a scenario runs before it is measured.
const WARM_UP: Duration = Duration::from_secs(2);

/// Where a scenario takes place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scene {
    pub(crate) server: SocketAddr,
    pub(crate) observed: Observed,
    pub(crate) time: Duration,
}

impl Scene {
    /// A name that nobody has had in an earlier run.
    pub(crate) fn name(what: &str, number: usize) -> String {
        format!("{what}{number}-{}", SystemClock.now().as_millis())
    }

    pub(crate) async fn conversation(
        &self,
        kind: ConversationKind,
        creator: &Person,
        others: &[&Person],
    ) -> anyhow::Result<ConversationId> {
        let create = Create {
            kind,
            mode: ProtectionMode::Managed,
            members: others.iter().map(|person| person.user()).collect(),
            id: None,
        };
        Ok(http(self.server, creator).call(create).await?.id)
    }

    /// Lets the devices warm up, measures them for a while, and tells them to end.
    pub(crate) async fn measure(&self, course: &Course) -> anyhow::Result<Measured> {
        tokio::time::sleep(WARM_UP).await;
        let (count, cpu) = (course.counted(), self.observed.cpu()?);
        let start = Instant::now();
        tokio::time::sleep(self.time).await;
        let time = start.elapsed();
        let measured = Measured {
            count: course.counted() - count,
            time,
            cpu: self.observed.cpu()?.since(cpu),
        };
        course.end();
        Ok(measured)
    }
}

/// What happened while it was measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Measured {
    pub(crate) count: u64,
    pub(crate) time: Duration,
    pub(crate) cpu: Cpu,
}

/// What the devices of a scenario share: a count, and the word to end.
#[derive(Debug, Clone, Default)]
pub(crate) struct Course {
    count: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
}

impl Course {
    pub(crate) fn count(&self, more: u64) {
        self.count.fetch_add(more, Ordering::Relaxed);
    }

    fn counted(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }
}
