//! A Redis Cluster.

use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use tempfile::TempDir;

use crate::{Redis, free_port};

/// How many nodes share the slots.
const NODES: u16 = 3;
const SLOTS: u16 = 16_384;
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(20);

/// Redis servers that share the slots of a cluster, each on a port of the
/// loopback. None has a replica, and none stores anything on disk but who the
/// others are.
#[derive(Debug)]
pub struct RedisCluster {
    nodes: Vec<Redis>,
    // It goes after those who keep their files in it.
    _folder: TempDir,
}

impl RedisCluster {
    /// Starts the nodes, lets them meet, and waits until all of them serve.
    ///
    /// # Errors
    /// When Redis is not installed or older than 7, or the nodes do not meet.
    pub fn create() -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("ruggine-redis-cluster-")
            .tempdir()
            .context("cannot make a folder for the cluster")?;
        let mut nodes = Vec::new();
        let mut buses = Vec::new();
        for number in 0..NODES {
            // Told, for the usual one is beyond all ports where the other is high.
            let bus = free_port()?.to_string();
            let arguments = [
                "--cluster-enabled",
                "yes",
                "--cluster-config-file",
                "nodes.conf",
                "--cluster-announce-ip",
                "127.0.0.1",
                "--cluster-port",
                &bus,
            ];
            let path = folder.path().join(format!("node-{number}"));
            nodes.push(Redis::create_with(&path, &arguments)?);
            buses.push(bus);
        }
        let cluster = Self {
            nodes,
            _folder: folder,
        };
        for (number, node) in (0..NODES).zip(&cluster.nodes) {
            let share = SLOTS.div_ceil(NODES);
            let (first, end) = (number * share, (number * share + share).min(SLOTS));
            node.ask(&format!("CLUSTER SET-CONFIG-EPOCH {}", number + 1))?;
            node.ask(&format!("CLUSTER ADDSLOTSRANGE {first} {}", end - 1))?;
        }
        let [first, others @ ..] = cluster.nodes.as_slice() else {
            bail!("a cluster has nodes");
        };
        for node in others {
            let (port, bus) = (first.port(), &buses[0]);
            node.ask(&format!("CLUSTER MEET 127.0.0.1 {port} {bus}"))?;
        }
        for node in &cluster.nodes {
            wait_until_whole(node)?;
        }
        Ok(cluster)
    }

    /// Where one of the nodes is.
    #[must_use]
    pub fn url(&self) -> String {
        self.nodes.first().map(Redis::url).unwrap_or_default()
    }

    /// The nodes, each with as many slots as the others.
    #[must_use]
    pub fn nodes(&self) -> &[Redis] {
        &self.nodes
    }

    /// One of the nodes, to be ended or started.
    pub fn node(&mut self, number: usize) -> Option<&mut Redis> {
        self.nodes.get_mut(number)
    }

    /// Gives a slot to a node, in one step: what was stored in it is not moved.
    ///
    /// # Errors
    /// When a node does not answer, or there is none of that number.
    pub fn give_slot(&self, slot: u16, to: usize) -> anyhow::Result<()> {
        let taker = self.nodes.get(to).context("there are not so many nodes")?;
        let id = taker.ask("CLUSTER MYID")?;
        let command = format!("CLUSTER SETSLOT {slot} NODE {id}");
        // The taker first, so that at no time the slot is nobody's.
        taker.ask(&command)?;
        for node in &self.nodes {
            node.ask(&command)?;
        }
        Ok(())
    }
}

/// Waits until a node knows that every slot is served, and by all the others.
fn wait_until_whole(node: &Redis) -> anyhow::Result<()> {
    let start = Instant::now();
    loop {
        let info = node.ask("CLUSTER INFO")?;
        let says = |field: &str| info.lines().any(|line| line == field);
        if says("cluster_state:ok")
            && says(&format!("cluster_slots_ok:{SLOTS}"))
            && says(&format!("cluster_size:{NODES}"))
        {
            return Ok(());
        }
        ensure!(
            start.elapsed() < PATIENCE,
            "the nodes of the cluster do not meet; one says:\n{info}"
        );
        std::thread::sleep(PAUSE);
    }
}
