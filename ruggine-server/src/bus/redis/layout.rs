//! Which node of a cluster has which bucket.

use std::ops::RangeInclusive;

use redis::Value;
use redis::aio::MultiplexedConnection;

use super::error::ConnectRedisError;
use super::names::Names;
use super::options::Address;

/// The nodes that have a bucket, and which one has which.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) nodes: Vec<Address>,
    /// For each bucket the place of its node among them.
    pub(super) of: Vec<usize>,
}

impl Layout {
    /// Asks a node, which was reached by the name of `host`.
    pub(super) async fn read(
        connection: &mut MultiplexedConnection,
        host: &str,
        names: &Names,
    ) -> Result<Self, ConnectRedisError> {
        let answer: Value = redis::cmd("CLUSTER")
            .arg("SLOTS")
            .query_async(connection)
            .await?;
        Self::from_slots(&answer, host, names).ok_or(ConnectRedisError::Incomplete)
    }

    /// Reads what `CLUSTER SLOTS` answers; `None` where a bucket is nobody's.
    fn from_slots(answer: &Value, host: &str, names: &Names) -> Option<Self> {
        let Value::Array(parts) = answer else {
            return None;
        };
        let ranges: Vec<_> = parts.iter().filter_map(|part| range(part, host)).collect();
        let mut nodes: Vec<Address> = Vec::new();
        let mut of = Vec::with_capacity(names.buckets());
        for bucket in 0..names.buckets() {
            let slot = names.slot(bucket);
            let (_, node) = ranges.iter().find(|(slots, _)| slots.contains(&slot))?;
            let known = nodes.iter().position(|known| known == node);
            of.push(known.unwrap_or_else(|| {
                nodes.push(node.clone());
                nodes.len() - 1
            }));
        }
        Some(Self { nodes, of })
    }
}

/// Some slots and the node that takes what is written to them.
fn range(part: &Value, asked: &str) -> Option<(RangeInclusive<u16>, Address)> {
    let Value::Array(part) = part else {
        return None;
    };
    let [Value::Int(first), Value::Int(last), Value::Array(node), ..] = part.as_slice() else {
        return None;
    };
    let [host, Value::Int(port), ..] = node.as_slice() else {
        return None;
    };
    let host = match host {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok()?,
        Value::SimpleString(text) => text.as_str(),
        Value::Nil => "",
        _ => return None,
    };
    let host = match host {
        // The node does not know its own name: it is the one that was used.
        "" => asked,
        // It does not know where the other is.
        "?" => return None,
        named => named,
    };
    let slots = u16::try_from(*first).ok()?..=u16::try_from(*last).ok()?;
    let node = Address {
        host: host.to_owned(),
        port: u16::try_from(*port).ok()?,
    };
    Some((slots, node))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::redis::names::RedisPrefix;

    fn slots(first: i64, last: i64, host: Value, port: i64) -> Value {
        let node = Value::Array(vec![host, Value::Int(port), text("a node's id")]);
        Value::Array(vec![Value::Int(first), Value::Int(last), node])
    }

    fn text(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    fn read(parts: Vec<Value>) -> Option<Layout> {
        let names = Names::in_cluster(RedisPrefix::default());
        Layout::from_slots(&Value::Array(parts), "asked.example", &names)
    }

    #[test]
    fn every_bucket_has_the_node_that_has_its_slot() {
        let layout = read(vec![
            slots(0, 8_191, text("one.example"), 7_000),
            slots(8_192, 16_383, text("two.example"), 7_001),
        ])
        .unwrap();
        assert_eq!(layout.nodes.len(), 2);
        let names = Names::in_cluster(RedisPrefix::default());
        for (bucket, place) in layout.of.iter().enumerate() {
            let port = if names.slot(bucket) < 8_192 {
                7_000
            } else {
                7_001
            };
            assert_eq!(layout.nodes[*place].port, port, "{bucket}");
        }
    }

    #[test]
    fn a_node_without_a_name_is_the_one_that_was_asked() {
        for nameless in [Value::Nil, text("")] {
            let layout = read(vec![slots(0, 16_383, nameless, 7_000)]).unwrap();
            let asked = Address {
                host: "asked.example".to_owned(),
                port: 7_000,
            };
            assert_eq!(layout.nodes, [asked]);
        }
    }

    #[test]
    fn a_cluster_with_slots_of_nobody_is_incomplete() {
        let half = || slots(0, 8_191, text("one.example"), 7_000);
        assert_eq!(read(vec![half()]), None);
        let unknown = slots(8_192, 16_383, text("?"), 7_001);
        assert_eq!(read(vec![half(), unknown]), None);
        assert_eq!(read(Vec::new()), None);
    }
}
