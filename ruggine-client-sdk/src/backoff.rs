//! How long to stay away after a connection failed: full jitter, so that
//! clients who were cut off together do not come back together.

use std::time::Duration;

/// Waits that grow with every failure.
#[derive(Debug, Clone)]
pub(crate) struct Backoff {
    bounds: BackoffBounds,
    failures: u32,
}

/// How the waits grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackoffBounds {
    /// The first wait is at most this long; the bound doubles with each failure.
    pub base: Duration,
    /// No wait is longer.
    pub cap: Duration,
    /// A connection that held this long makes the next failure the first.
    pub stable: Duration,
}

impl Default for BackoffBounds {
    fn default() -> Self {
        Self {
            base: Duration::from_millis(500),
            cap: Duration::from_secs(30),
            stable: Duration::from_secs(60),
        }
    }
}

impl Backoff {
    pub(crate) const fn new(bounds: BackoffBounds) -> Self {
        Self {
            bounds,
            failures: 0,
        }
    }

    /// A connection ended after this long.
    pub(crate) fn held(&mut self, time: Duration) {
        if time >= self.bounds.stable {
            self.failures = 0;
        }
    }

    /// The next wait: anywhere between nothing and the bound.
    pub(crate) fn next(&mut self) -> Duration {
        let bound = self
            .bounds
            .base
            .saturating_mul(1 << self.failures.min(16))
            .min(self.bounds.cap);
        self.failures = self.failures.saturating_add(1);
        bound.mul_f64(fraction())
    }
}

/// A random number from 0 to 1. Without randomness, the middle.
fn fraction() -> f64 {
    let mut bytes = [0u8; 4];
    match getrandom::fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX),
        Err(_) => 0.5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_stay_below_a_bound_that_doubles_up_to_the_cap() {
        let bounds = BackoffBounds::default();
        let mut backoff = Backoff::new(bounds);
        for failure in 0..20 {
            let bound = bounds
                .base
                .saturating_mul(1 << failure.min(16))
                .min(bounds.cap);
            assert!(backoff.next() <= bound);
        }
    }

    #[test]
    fn a_stable_connection_starts_the_waits_anew_and_a_short_one_does_not() {
        let bounds = BackoffBounds::default();
        let mut backoff = Backoff::new(bounds);
        for _ in 0..10 {
            backoff.next();
        }
        backoff.held(Duration::from_secs(59));
        assert_eq!(backoff.failures, 10);
        backoff.held(Duration::from_secs(60));
        assert!(backoff.next() <= bounds.base);
    }
}
