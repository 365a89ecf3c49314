//! The server as it was found at the start, and the ways to it: for commands
//! and for hearing.

use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all, select_ok};
use parking_lot::Mutex;
use redis::aio::MultiplexedConnection;

use super::error::ConnectRedisError;
use super::layout::Layout;
use super::listening::{Arriving, Tuner};
use super::names::Names;
use super::options::{Address, RedisOptions};
use super::sharded::Sharded;

/// The oldest server that has what is used here.
const OLDEST: (u32, u32) = (6, 0);
/// The oldest whose clusters have channels in slots.
const OLDEST_CLUSTER: (u32, u32) = (7, 0);
/// Nodes that are remembered, to be asked where the one of the URL is gone.
const REMEMBERED: usize = 8;
/// How long the nodes may be asked for the layout, all in all.
const ASKING: Duration = Duration::from_secs(5);

/// A Redis server, or a cluster of them.
#[derive(Debug)]
pub(super) struct Server {
    options: RedisOptions,
    names: Names,
    /// Nodes of the cluster that were there when it was last looked at.
    remembered: Mutex<Vec<Address>>,
}

/// Connections for commands, to each node that has a bucket.
#[derive(Debug)]
pub(super) struct Line {
    nodes: Vec<Option<MultiplexedConnection>>,
    of: Vec<usize>,
}

impl Line {
    /// The connection to the node of a bucket, if it could be reached.
    pub(super) fn to(&self, bucket: usize) -> Option<MultiplexedConnection> {
        self.nodes.get(*self.of.get(bucket)?)?.clone()
    }
}

impl Server {
    /// Connects, to find out what the server is and whether it can be used.
    pub(super) async fn find(options: RedisOptions) -> Result<Self, ConnectRedisError> {
        let mut connection = options.connect().await?;
        let prefix = options.prefix_in_use().clone();
        let (oldest, needed, names) = match is_cluster(&mut connection).await? {
            false => (OLDEST, "Redis 6", Names::alone(prefix)),
            true => (
                OLDEST_CLUSTER,
                "for a cluster Redis 7",
                Names::in_cluster(prefix),
            ),
        };
        check_version(&mut connection, oldest, needed).await?;
        Ok(Self {
            options,
            names,
            remembered: Mutex::default(),
        })
    }

    pub(super) const fn names(&self) -> &Names {
        &self.names
    }

    /// New connections for commands. In a cluster one node is enough.
    pub(super) async fn open(&self) -> Result<Line, ConnectRedisError> {
        if !self.names.are_in_cluster() {
            return Ok(Line {
                nodes: vec![Some(self.options.connect().await?)],
                of: vec![0],
            });
        }
        let layout = self.layout().await?;
        let mut connecting = Vec::with_capacity(layout.nodes.len());
        for node in &layout.nodes {
            connecting.push(self.options.connect_to(node));
        }
        let mut nodes = Vec::with_capacity(layout.nodes.len());
        let mut failure = None;
        for connected in join_all(connecting).await {
            match connected {
                Ok(connection) => nodes.push(Some(connection)),
                Err(error) => {
                    tracing::debug!(%error, "a node of the cluster cannot be reached");
                    failure = Some(error);
                    nodes.push(None);
                }
            }
        }
        match failure {
            Some(error) if nodes.iter().all(Option::is_none) => Err(error),
            _ => Ok(Line {
                nodes,
                of: layout.of,
            }),
        }
    }

    /// New connections for hearing. In a cluster every node has to be there.
    pub(super) async fn listen(&self) -> Result<(Tuner, Arriving), ConnectRedisError> {
        if self.names.are_in_cluster() {
            let layout = self.layout().await?;
            let (sharded, arriving) = Sharded::connect(&self.options, layout).await?;
            return Ok((Tuner::Sharded(sharded), Arriving::Sharded(arriving)));
        }
        let (sink, stream) = self.options.listen().await?.split();
        Ok((Tuner::One(sink), Arriving::One(stream)))
    }

    /// Asks the node of the URL who has which bucket, and others where it is not
    /// there or does not know.
    async fn layout(&self) -> Result<Layout, ConnectRedisError> {
        let asking = tokio::time::timeout(ASKING, self.ask_for_layout());
        let layout = asking
            .await
            .map_err(|late| ConnectRedisError::Unreachable(Box::new(late)))??;
        let known = layout.nodes.iter().take(REMEMBERED).cloned().collect();
        *self.remembered.lock() = known;
        Ok(layout)
    }

    /// Asks all that may know at once: some may be off, and each would cost its
    /// time-out.
    async fn ask_for_layout(&self) -> Result<Layout, ConnectRedisError> {
        let remembered = self.remembered.lock().clone();
        let first = async {
            let mut connection = self.options.connect().await?;
            Layout::read(&mut connection, self.options.host(), &self.names).await
        };
        let mut asked: Vec<BoxFuture<'_, Result<Layout, ConnectRedisError>>> = vec![first.boxed()];
        for node in &remembered {
            let asking = async {
                let mut connection = self.options.connect_to(node).await?;
                Layout::read(&mut connection, &node.host, &self.names).await
            };
            asked.push(asking.boxed());
        }
        let (layout, _) = select_ok(asked).await?;
        Ok(layout)
    }
}

/// What the server says of itself in one section.
async fn info(
    connection: &mut MultiplexedConnection,
    section: &'static str,
) -> Result<String, ConnectRedisError> {
    let info = redis::cmd("INFO")
        .arg(section)
        .query_async(connection)
        .await?;
    Ok(info)
}

fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
        .map(str::trim)
}

async fn is_cluster(connection: &mut MultiplexedConnection) -> Result<bool, ConnectRedisError> {
    let info = info(connection, "cluster").await?;
    Ok(field(&info, "cluster_enabled") == Some("1"))
}

/// Refuses a server that is too old. Another program that speaks the protocol
/// counts by the version that it claims, and passes where it claims none.
async fn check_version(
    connection: &mut MultiplexedConnection,
    oldest: (u32, u32),
    needed: &'static str,
) -> Result<(), ConnectRedisError> {
    let info = info(connection, "server").await?;
    let Some(found) = field(&info, "redis_version") else {
        return Ok(());
    };
    let mut numbers = found.split('.').map(|part| part.parse().unwrap_or(0));
    if (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) < oldest {
        return Err(ConnectRedisError::OldServer {
            found: found.to_owned(),
            needed,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        let info =
            "# Server\r\nredis_version_of_old:1\r\nredis_version:7.2.4\r\nserver_name:valkey\r\n";
        assert_eq!(field(info, "redis_version"), Some("7.2.4"));
        assert_eq!(field(info, "server"), None);
        assert_eq!(field("", "redis_version"), None);
    }
}
