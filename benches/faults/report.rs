//! What happened, for people and for programs.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use ruggine_server::testing::Summary;
use serde::Serialize;

use crate::harms::Harm;

/// Prints a line. A reader that is gone is no failure.
pub(crate) fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{text}");
    let _ = out.flush();
}

/// What one harm cost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Gap {
    /// From its beginning to its end.
    pub(crate) lasted: Duration,
    /// From its end until every device read and wrote again.
    pub(crate) healed: Duration,
    /// The longest that a device waited for an acknowledgement.
    pub(crate) ack: Duration,
    /// The longest that a device waited for a row that existed.
    pub(crate) row: Duration,
}

#[derive(Debug, Serialize)]
pub(crate) struct Report {
    messages_wanted: u64,
    #[serde(skip)]
    gaps: BTreeMap<Harm, Vec<Gap>>,
    harms: Vec<Line>,
    seconds: f64,
    sent: usize,
    acked: usize,
    read: usize,
}

/// The figures of one kind of harm, in milliseconds.
#[derive(Debug, Serialize)]
struct Line {
    harm: Harm,
    times: usize,
    lasted: u128,
    healed: Spread,
    ack: Spread,
    row: Spread,
}

#[derive(Debug, Clone, Copy, Serialize)]
struct Spread {
    median: u128,
    worst: u128,
}

impl Spread {
    fn of(gaps: &[Gap], figure: impl Fn(&Gap) -> Duration) -> Self {
        let mut times: Vec<u128> = gaps.iter().map(|gap| figure(gap).as_millis()).collect();
        times.sort_unstable();
        Self {
            median: times.get(times.len() / 2).copied().unwrap_or_default(),
            worst: times.last().copied().unwrap_or_default(),
        }
    }

    fn shown(self) -> String {
        format!("{} / {}", self.median, self.worst)
    }
}

impl Report {
    pub(crate) fn new(messages_wanted: u64) -> Self {
        Self {
            messages_wanted,
            gaps: BTreeMap::new(),
            harms: Vec::new(),
            seconds: 0.0,
            sent: 0,
            acked: 0,
            read: 0,
        }
    }

    pub(crate) fn add(&mut self, harm: Harm, gap: Gap, acked: u64) {
        say(&format!(
            "{acked:>9} acknowledged; {:<31} lasted {:>5} ms, healed after {:>5} ms; longest wait for an ack {:>5} ms, for a row {:>5} ms",
            harm.name(),
            gap.lasted.as_millis(),
            gap.healed.as_millis(),
            gap.ack.as_millis(),
            gap.row.as_millis(),
        ));
        self.gaps.entry(harm).or_default().push(gap);
    }

    pub(crate) fn loaded(&mut self, time: Duration) {
        self.seconds = time.as_secs_f64();
    }

    pub(crate) fn judged(&mut self, summary: Summary) {
        self.sent = summary.sent;
        self.acked = summary.acked;
        self.read = summary.read;
        let lines = self.gaps.iter().map(|(harm, gaps)| Line {
            harm: *harm,
            times: gaps.len(),
            lasted: Spread::of(gaps, |gap| gap.lasted).median,
            healed: Spread::of(gaps, |gap| gap.healed),
            ack: Spread::of(gaps, |gap| gap.ack),
            row: Spread::of(gaps, |gap| gap.row),
        });
        self.harms = lines.collect();
        say(&format!(
            "\n{:<31} {:>5} {:>7} {:>15} {:>15} {:>15}",
            "milliseconds, median / worst",
            "times",
            "lasted",
            "healed",
            "wait for ack",
            "wait for row"
        ));
        for line in &self.harms {
            say(&format!(
                "{:<31} {:>5} {:>7} {:>15} {:>15} {:>15}",
                line.harm.name(),
                line.times,
                line.lasted,
                line.healed.shown(),
                line.ack.shown(),
                line.row.shown(),
            ));
        }
        say(&format!(
            "\n{} messages sent, {} acknowledged, {} rows read by devices, in {:.0} s: nothing lost, nothing twice, one order for all.",
            self.sent, self.acked, self.read, self.seconds
        ));
    }
}
