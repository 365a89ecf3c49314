//! Who is online anywhere: a sorted set a user, with a member for each
//! instance that has them and the moment at which that instance's word ends.

use redis::Pipeline;
use ruggine_core::time::SystemClock;
use ruggine_core::{Clock, Timestamp, UserId};

use super::options::RedisOptions;
use crate::bus::{InstanceId, LEASE};

pub(super) fn lease(
    options: &RedisOptions,
    instance: InstanceId,
    users: &[UserId],
) -> Option<Pipeline> {
    if users.is_empty() {
        return None;
    }
    let now = now();
    let ends = now.after(LEASE).as_millis();
    let mut pipe = redis::pipe();
    for user in users {
        let key = options.lease_key(*user);
        // The word of instances that are gone does not outlive its time.
        pipe.cmd("ZREMRANGEBYSCORE")
            .arg(&key)
            .arg("-inf")
            .arg(now.as_millis())
            .ignore();
        pipe.cmd("ZADD")
            .arg(&key)
            .arg(ends)
            .arg(instance.to_string())
            .ignore();
        pipe.cmd("PEXPIRE")
            .arg(&key)
            .arg(LEASE.as_secs() * 1_000)
            .ignore();
    }
    Some(pipe)
}

pub(super) fn release(
    options: &RedisOptions,
    instance: InstanceId,
    users: &[UserId],
) -> Option<Pipeline> {
    if users.is_empty() {
        return None;
    }
    let mut pipe = redis::pipe();
    for user in users {
        pipe.cmd("ZREM")
            .arg(options.lease_key(*user))
            .arg(instance.to_string())
            .ignore();
    }
    Some(pipe)
}

/// Counts the leases of each that have not ended.
pub(super) fn leased(options: &RedisOptions, users: &[UserId]) -> Option<Pipeline> {
    if users.is_empty() {
        return None;
    }
    let mut pipe = redis::pipe();
    for user in users {
        pipe.cmd("ZCOUNT")
            .arg(options.lease_key(*user))
            .arg(format!("({}", now()))
            .arg("+inf");
    }
    Some(pipe)
}

/// The clocks of machines differ by little against the length of a lease.
fn now() -> Timestamp {
    SystemClock.now()
}
