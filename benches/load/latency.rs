//! Times, and how they are spread.

use std::time::Duration;

use serde::Serialize;

#[derive(Debug, Default)]
pub(crate) struct Latencies(Vec<Duration>);

/// In milliseconds.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Spread {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) worst: f64,
}

impl Latencies {
    pub(crate) fn add(&mut self, time: Duration) {
        self.0.push(time);
    }

    pub(crate) fn append(&mut self, mut more: Self) {
        self.0.append(&mut more.0);
    }

    pub(crate) fn spread(mut self) -> Option<Spread> {
        self.0.sort_unstable();
        let last = self.0.len().checked_sub(1)?;
        let at = |part: f64| {
            let index = (last as f64 * part).round() as usize;
            self.0[index.min(last)].as_secs_f64() * 1_000.0
        };
        Some(Spread {
            p50: at(0.5),
            p99: at(0.99),
            worst: at(1.0),
        })
    }
}
