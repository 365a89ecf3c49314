//! What channels and keys are called, and where in a cluster they lie.

use std::fmt;
use std::str::FromStr;

use ruggine_core::UserId;

use crate::bus::Topic;

/// Bytes of a prefix at the most.
const LONGEST: usize = 64;
/// Into how many slots of a cluster the names of a deployment are spread. Every
/// instance has to do it alike.
const BUCKETS: usize = 64;
/// Slots of a cluster.
const SLOTS: u16 = 16_384;

/// What the names of a deployment begin with. Deployments that share a server
/// need different ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedisPrefix(String);

/// A text that is no [`RedisPrefix`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a prefix has 1 to 64 of the letters a to z and A to Z, digits, and the signs - _ . :")]
pub struct RedisPrefixError;

impl Default for RedisPrefix {
    /// `ruggine`.
    fn default() -> Self {
        Self("ruggine".to_owned())
    }
}

impl FromStr for RedisPrefix {
    type Err = RedisPrefixError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // Braces would move names to other slots, and the signs of patterns
        // would let a restricted user reach the names of others.
        let is_plain =
            |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':');
        if text.is_empty() || text.len() > LONGEST || !text.bytes().all(is_plain) {
            return Err(RedisPrefixError);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for RedisPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The names of a deployment on a server.
///
/// On a server of its own there is one bucket. In a cluster there are many, each
/// in one slot because of what its names have between braces, so that what is
/// said spreads over the nodes, and what belongs to one bucket can go together.
#[derive(Debug, Clone)]
pub(super) struct Names {
    prefix: RedisPrefix,
    buckets: usize,
}

impl Names {
    pub(super) const fn alone(prefix: RedisPrefix) -> Self {
        Self { prefix, buckets: 1 }
    }

    pub(super) const fn in_cluster(prefix: RedisPrefix) -> Self {
        Self {
            prefix,
            buckets: BUCKETS,
        }
    }

    pub(super) const fn are_in_cluster(&self) -> bool {
        self.buckets > 1
    }

    /// How many buckets there are.
    pub(super) const fn buckets(&self) -> usize {
        self.buckets
    }

    /// Where the channel of a topic lies.
    pub(super) fn bucket_of(&self, topic: Topic) -> usize {
        match topic {
            Topic::Conversation(id) => self.bucket(id.as_bytes()),
            Topic::User(id) => self.bucket(id.as_bytes()),
        }
    }

    /// Where the lease of a user lies.
    pub(super) fn bucket_of_lease(&self, user: UserId) -> usize {
        self.bucket(user.as_bytes())
    }

    fn bucket(&self, id: &[u8; 16]) -> usize {
        // The last byte of an id is drawn by chance, its first are the time.
        usize::from(id[15]) % self.buckets
    }

    pub(super) fn channel(&self, topic: Topic) -> String {
        let head = self.head(self.bucket_of(topic));
        match topic {
            Topic::Conversation(id) => format!("{head}:c:{id}"),
            Topic::User(id) => format!("{head}:u:{id}"),
        }
    }

    /// A channel of the bucket that nobody follows.
    pub(super) fn probe(&self, bucket: usize) -> String {
        format!("{}:probe", self.head(bucket))
    }

    pub(super) fn lease_key(&self, user: UserId) -> String {
        format!("{}:online:{user}", self.head(self.bucket_of_lease(user)))
    }

    /// The slot of a cluster in which a bucket lies.
    pub(super) fn slot(&self, bucket: usize) -> u16 {
        crc16(self.tag(bucket).as_bytes()) % SLOTS
    }

    fn head(&self, bucket: usize) -> String {
        if self.are_in_cluster() {
            format!("{{{}}}", self.tag(bucket))
        } else {
            self.prefix.to_string()
        }
    }

    /// What stands between the braces.
    fn tag(&self, bucket: usize) -> String {
        format!("{}:{bucket:02}", self.prefix)
    }
}

/// The checksum by which a cluster spreads names over its slots (CRC-16/XMODEM).
fn crc16(bytes: &[u8]) -> u16 {
    let mut sum: u16 = 0;
    for byte in bytes {
        sum ^= u16::from(*byte) << 8;
        for _ in 0..8 {
            let carry = sum & 0x8000 != 0;
            sum <<= 1;
            if carry {
                sum ^= 0x1021;
            }
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use ruggine_core::{ConversationId, Timestamp};

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    #[test]
    fn slots_are_those_that_the_servers_say() {
        assert_eq!(crc16(b"123456789"), 0x31c3);
        // As `CLUSTER KEYSLOT` answers.
        for (name, slot) in [("foo", 12_182), ("baz", 4_813), ("ruggine:00", 10_329)] {
            assert_eq!(crc16(name.as_bytes()) % SLOTS, slot, "{name}");
        }
        assert_eq!(Names::in_cluster(RedisPrefix::default()).slot(0), 10_329);
    }

    #[test]
    fn a_server_of_its_own_has_plain_names_in_one_bucket() {
        let names = Names::alone(RedisPrefix::default());
        let (id, user) = (ConversationId::new(NOW), UserId::new(NOW));
        assert_eq!(names.buckets(), 1);
        assert_eq!(
            names.channel(Topic::Conversation(id)),
            format!("ruggine:c:{id}")
        );
        assert_eq!(
            names.channel(Topic::User(user)),
            format!("ruggine:u:{user}")
        );
        assert_eq!(names.lease_key(user), format!("ruggine:online:{user}"));
    }

    #[test]
    fn names_in_a_cluster_are_spread_over_slots_and_say_theirs_between_braces() {
        let names = Names::in_cluster(RedisPrefix::default());
        let buckets: HashSet<usize> = (0..2_000)
            .map(|_| names.bucket_of(Topic::User(UserId::new(NOW))))
            .collect();
        assert_eq!(buckets.len(), names.buckets());
        let slots: HashSet<u16> = (0..names.buckets())
            .map(|bucket| names.slot(bucket))
            .collect();
        assert_eq!(slots.len(), names.buckets());
        let mut bytes = [0; 16];
        bytes[15] = 64 + 7;
        let user = UserId::from_bytes(bytes);
        let head = "{ruggine:07}";
        assert_eq!(names.bucket_of(Topic::User(user)), 7);
        assert_eq!(names.channel(Topic::User(user)), format!("{head}:u:{user}"));
        assert_eq!(names.lease_key(user), format!("{head}:online:{user}"));
        assert_eq!(names.probe(7), format!("{head}:probe"));
    }

    #[test]
    fn a_prefix_is_short_and_plain() {
        let longest = "x".repeat(LONGEST);
        for good in ["ruggine", "a", "test:0f-1_b.2", longest.as_str()] {
            assert_eq!(good.parse::<RedisPrefix>().unwrap().to_string(), good);
        }
        let too_long = "x".repeat(LONGEST + 1);
        for bad in ["", "a b", "a\n", "{a}", "a*", "a?", "perché", &too_long] {
            assert_eq!(bad.parse::<RedisPrefix>(), Err(RedisPrefixError), "{bad:?}");
        }
    }
}
