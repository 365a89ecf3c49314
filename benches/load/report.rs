//! What was found out, for people and for programs.

use std::io::Write;
use std::time::Duration;

use serde::Serialize;

use crate::latency::Spread;
use crate::machine::Cpu;

#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    scenarios: Vec<Figures>,
}

/// The figures of one scenario.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Figures {
    pub(crate) scenario: String,
    /// What is counted: messages, deliveries, rows, connections.
    pub(crate) unit: &'static str,
    pub(crate) count: u64,
    pub(crate) seconds: f64,
    pub(crate) per_second: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) server_cpu_us_each: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) database_cpu_us_each: Option<f64>,
    /// From a send to its acknowledgement.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ack_ms: Option<Spread>,
    /// From a send to its receipt by another device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) receive_ms: Option<Spread>,
    /// How much the server's memory grew, for each of what came in addition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) kib_each: Option<f64>,
    /// All of the server's memory, for each of what is counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) kib_of_the_whole_each: Option<f64>,
}

impl Figures {
    pub(crate) fn new(scenario: impl Into<String>, unit: &'static str) -> Self {
        Self {
            scenario: scenario.into(),
            unit,
            ..Self::default()
        }
    }

    /// Takes in how much happened in which time, and what it cost.
    pub(crate) fn measured(mut self, count: u64, time: Duration, cpu: Cpu) -> Self {
        let each = |used: Duration| {
            (count > 0 && !used.is_zero()).then(|| used.as_secs_f64() * 1e6 / count as f64)
        };
        self.count = count;
        self.seconds = time.as_secs_f64();
        self.per_second = count as f64 / time.as_secs_f64();
        self.server_cpu_us_each = each(cpu.server);
        self.database_cpu_us_each = each(cpu.database);
        self
    }
}

impl Report {
    /// Adds figures and prints them.
    pub(crate) fn add(&mut self, figures: Vec<Figures>) -> std::io::Result<()> {
        let mut out = std::io::stdout().lock();
        for figures in &figures {
            writeln!(out, "{}", text(figures))?;
        }
        out.flush()?;
        self.scenarios.extend(figures);
        Ok(())
    }
}

fn text(figures: &Figures) -> String {
    let mut text = format!(
        "{}: {} {} in {:.1} s, {:.0} a second",
        figures.scenario, figures.count, figures.unit, figures.seconds, figures.per_second
    );
    if let Some(cpu) = figures.server_cpu_us_each {
        text += &format!("; server {cpu:.1} us of CPU each");
    }
    if let Some(cpu) = figures.database_cpu_us_each {
        text += &format!(", database {cpu:.1} us");
    }
    for (what, spread) in [("ack", figures.ack_ms), ("receipt", figures.receive_ms)] {
        if let Some(spread) = spread {
            text += &format!(
                "; {what} p50 {:.2} ms, p99 {:.2} ms, worst {:.1} ms",
                spread.p50, spread.p99, spread.worst
            );
        }
    }
    if let Some(kib) = figures.kib_each {
        text += &format!("; {kib:.1} KiB more for each");
    }
    if let Some(kib) = figures.kib_of_the_whole_each {
        text += &format!("; {kib:.1} KiB of the whole process each");
    }
    text
}
