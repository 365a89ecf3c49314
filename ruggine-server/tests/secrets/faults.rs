//! Hooks that panic when they are told to, and a count of what goes wrong.

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use ruggine_core::api::Method;
use ruggine_server::hooks::{Attempt, Hooks, Outcome, Verdict};
use ruggine_server::metrics::{Measurement, Metrics};

/// Panics before the operations that it is told to.
#[derive(Debug, Default)]
pub(crate) struct Nervous {
    pub(crate) before: Mutex<Option<Method>>,
    pub(crate) after: Mutex<Option<Method>>,
}

impl Hooks for Nervous {
    async fn before(&self, attempt: Attempt) -> Verdict {
        let nervous = *self.before.lock() == Some(attempt.method);
        assert!(!nervous, "a hook panics before {attempt:?}");
        Verdict::Annotate(format!("a note on {}", attempt.method))
    }

    async fn after(&self, outcome: Outcome) {
        let nervous = *self.after.lock() == Some(outcome.attempt.method);
        assert!(!nervous, "a hook panics after {outcome:?}");
    }
}

/// Counts what must not go unnoticed.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    panics: AtomicU64,
    unreadable: AtomicU64,
}

impl Metrics for Faults {
    fn record(&self, measurement: Measurement) {
        match measurement {
            Measurement::Panicked => self.panics.fetch_add(1, Ordering::SeqCst),
            Measurement::DecryptionFailed => self.unreadable.fetch_add(1, Ordering::SeqCst),
            _ => 0,
        };
    }
}

impl Faults {
    pub(crate) fn unreadable(&self) -> u64 {
        self.unreadable.load(Ordering::SeqCst)
    }

    pub(crate) fn panics(&self) -> u64 {
        self.panics.load(Ordering::SeqCst)
    }
}
