//! The seam to monitoring.

#[cfg(feature = "metrics")]
mod prometheus;

use std::fmt;
use std::time::Duration;

use ruggine_core::api::Method;

#[cfg(feature = "metrics")]
pub use prometheus::PrometheusMetrics;

/// Something that was counted or measured.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Measurement {
    /// So many messages were committed.
    MessagesCommitted(u64),
    /// A lane committed a batch of so many rows.
    BatchCommitted(usize),
    /// An operation was answered after this time.
    Answered(Method, Duration),
    /// A stored record did not open.
    DecryptionFailed,
    /// A live connection began.
    Connected,
    /// A live connection ended.
    Disconnected,
    /// A connection was too slow and events were left out.
    Lagged,
    /// A request was refused because a limit was reached.
    Limited,
    /// A range was read from the store because hints were missing.
    Repaired,
    /// A request or connection panicked; this is a bug.
    Panicked,
    /// The bus went away, or came back.
    BusAway(bool),
}

/// Takes measurements. Called on hot paths: it must neither block nor fail.
pub trait Metrics: fmt::Debug + Send + Sync + 'static {
    /// Takes one measurement.
    fn record(&self, measurement: Measurement);

    /// Takes the settings that make a commit durable, as the database said them
    /// at the start.
    fn durability(&self, settings: &[(&'static str, String)]) {
        let _ = settings;
    }
}

/// Forgets every measurement.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoMetrics;

impl Metrics for NoMetrics {
    fn record(&self, _: Measurement) {}
}
