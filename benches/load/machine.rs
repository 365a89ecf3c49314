//! What the measured processes use, as the kernel counts it.

use std::fs;
use std::time::Duration;

use anyhow::{Context, bail};

/// The processes that are looked at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Observed {
    pub(crate) server: Option<u32>,
    pub(crate) database: Option<u32>,
}

/// CPU time used so far.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cpu {
    pub(crate) server: Duration,
    pub(crate) database: Duration,
}

impl Cpu {
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            server: self.server.saturating_sub(before.server),
            database: self.database.saturating_sub(before.database),
        }
    }
}

impl Observed {
    pub(crate) fn cpu(&self) -> anyhow::Result<Cpu> {
        let own = |pid: u32| stat(pid).map(|stat| stat.own);
        Ok(Cpu {
            server: self.server.map(own).transpose()?.unwrap_or_default(),
            database: self
                .database
                .map(with_children)
                .transpose()?
                .unwrap_or_default(),
        })
    }

    /// The server's resident memory in bytes.
    pub(crate) fn memory(&self) -> anyhow::Result<Option<u64>> {
        let Some(pid) = self.server else {
            return Ok(None);
        };
        let status =
            fs::read_to_string(format!("/proc/{pid}/status")).context("the server is gone")?;
        let kilobytes = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .and_then(|rest| rest.trim().strip_suffix(" kB"))
            .and_then(|number| number.parse::<u64>().ok());
        Ok(kilobytes.map(|kilobytes| kilobytes * 1_024))
    }
}

struct Stat {
    parent: u32,
    own: Duration,
    /// Of children that are gone.
    reaped: Duration,
}

fn stat(pid: u32) -> anyhow::Result<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat"))
        .with_context(|| format!("there is no process {pid}"))?;
    // The name stands in parentheses and may hold anything.
    let Some((_, rest)) = text.rsplit_once(") ") else {
        bail!("/proc/{pid}/stat has another form");
    };
    let fields: Vec<&str> = rest.split(' ').collect();
    let number = |index: usize| -> anyhow::Result<u64> {
        let field = fields.get(index).context("a field is missing")?;
        Ok(field.parse()?)
    };
    Ok(Stat {
        parent: u32::try_from(number(1)?)?,
        own: ticks(number(11)? + number(12)?),
        reaped: ticks(number(13)? + number(14)?),
    })
}

fn with_children(pid: u32) -> anyhow::Result<Duration> {
    let first = stat(pid)?;
    let mut total = first.own + first.reaped;
    for entry in fs::read_dir("/proc")?.flatten() {
        let Some(other) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        // A process may end while it is looked at.
        if let Ok(child) = stat(other)
            && child.parent == pid
        {
            total += child.own;
        }
    }
    Ok(total)
}

fn ticks(count: u64) -> Duration {
    let per_second = rustix::param::clock_ticks_per_second();
    Duration::from_secs_f64(count as f64 / per_second as f64)
}
