//! Measurements in the Prometheus text format.

use prometheus::{
    Encoder, Histogram, HistogramOpts, HistogramVec, IntCounter, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder,
};

use super::{Measurement, Metrics};

/// From half a millisecond to ten seconds.
const SECONDS: [f64; 14] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];
const ROWS: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

/// Counts in a registry of its own, so that two engines in one process do not
/// share figures.
#[derive(Debug)]
pub struct PrometheusMetrics {
    registry: Registry,
    messages: IntCounter,
    latency: HistogramVec,
    decryption_errors: IntCounter,
    connections: IntGauge,
    batch_rows: Histogram,
    lagged: IntCounter,
    limited: IntCounter,
    repaired: IntCounter,
    panics: IntCounter,
    bus_away: IntGauge,
    durability: IntGaugeVec,
}

impl PrometheusMetrics {
    /// Fresh figures, all zero.
    ///
    /// # Errors
    /// Never in practice: only two metrics of one name or a malformed name fail.
    pub fn new() -> Result<Self, prometheus::Error> {
        let metrics = Self {
            registry: Registry::new(),
            messages: IntCounter::new("message_count", "Messages committed.")?,
            latency: HistogramVec::new(
                HistogramOpts::new("latency", "Seconds from a request to its answer.")
                    .buckets(SECONDS.to_vec()),
                &["method"],
            )?,
            decryption_errors: IntCounter::new(
                "decryption_errors",
                "Stored records that did not open.",
            )?,
            connections: IntGauge::new("active_connections", "Live WebSocket connections.")?,
            batch_rows: Histogram::with_opts(
                HistogramOpts::new("commit_rows", "Rows committed together.")
                    .buckets(ROWS.to_vec()),
            )?,
            lagged: IntCounter::new(
                "slow_consumers",
                "Times that a connection was too slow and was sent heads instead of events.",
            )?,
            limited: IntCounter::new("limited_requests", "Requests refused by a limit.")?,
            repaired: IntCounter::new(
                "fanout_repairs",
                "Times that a range was read from the store because hints were missing.",
            )?,
            panics: IntCounter::new("panics", "Requests that panicked; each is a bug.")?,
            bus_away: IntGauge::new(
                "bus_away",
                "1 while other instances cannot be heard and the database is asked instead.",
            )?,
            durability: IntGaugeVec::new(
                Opts::new(
                    "store_durability",
                    "Settings that make a commit durable, as the database said them at the start.",
                ),
                &["setting", "value"],
            )?,
        };
        // Every figure is there from the beginning, at zero.
        for method in ruggine_core::api::Method::ALL {
            metrics.latency.with_label_values(&[method.as_str()]);
        }
        let all: [Box<dyn prometheus::core::Collector>; 11] = [
            Box::new(metrics.messages.clone()),
            Box::new(metrics.latency.clone()),
            Box::new(metrics.decryption_errors.clone()),
            Box::new(metrics.connections.clone()),
            Box::new(metrics.batch_rows.clone()),
            Box::new(metrics.lagged.clone()),
            Box::new(metrics.limited.clone()),
            Box::new(metrics.repaired.clone()),
            Box::new(metrics.panics.clone()),
            Box::new(metrics.bus_away.clone()),
            Box::new(metrics.durability.clone()),
        ];
        for collector in all {
            metrics.registry.register(collector)?;
        }
        Ok(metrics)
    }

    /// The registry, for embedders who gather it with their own figures.
    #[must_use]
    pub const fn registry(&self) -> &Registry {
        &self.registry
    }

    /// All figures in the text format.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = Vec::new();
        if let Err(error) = TextEncoder::new().encode(&self.registry.gather(), &mut text) {
            tracing::error!(%error, "the metrics could not be written");
        }
        String::from_utf8_lossy(&text).into_owned()
    }
}

impl Metrics for PrometheusMetrics {
    fn record(&self, measurement: Measurement) {
        match measurement {
            Measurement::MessagesCommitted(count) => self.messages.inc_by(count),
            Measurement::BatchCommitted(rows) => self.batch_rows.observe(rows as f64),
            Measurement::Answered(method, time) => self
                .latency
                .with_label_values(&[method.as_str()])
                .observe(time.as_secs_f64()),
            Measurement::DecryptionFailed => self.decryption_errors.inc(),
            Measurement::Connected => self.connections.inc(),
            Measurement::Disconnected => self.connections.dec(),
            Measurement::Lagged => self.lagged.inc(),
            Measurement::Limited => self.limited.inc(),
            Measurement::Repaired => self.repaired.inc(),
            Measurement::Panicked => self.panics.inc(),
            Measurement::BusAway(away) => self.bus_away.set(i64::from(away)),
        }
    }

    fn durability(&self, settings: &[(&'static str, String)]) {
        for (setting, value) in settings {
            self.durability.with_label_values(&[*setting, value]).set(1);
        }
    }
}
