//! Who is online anywhere: a sorted set a user, with a member for each
//! instance that has them and the moment at which that instance's word ends.

use std::collections::BTreeMap;

use redis::Pipeline;
use ruggine_core::time::SystemClock;
use ruggine_core::{Clock, Timestamp, UserId};

use super::names::Names;
use crate::bus::{InstanceId, LEASE};

/// Commands about the leases of some users, who lie in one bucket.
pub(super) struct Question {
    pub(super) bucket: usize,
    pub(super) users: Vec<UserId>,
    pub(super) pipe: Pipeline,
}

pub(super) fn lease(names: &Names, instance: InstanceId, users: &[UserId]) -> Vec<Question> {
    let now = now();
    let ends = now.after(LEASE).as_millis();
    questions(names, users, |pipe, key| {
        // The word of instances that are gone does not outlive its time.
        pipe.cmd("ZREMRANGEBYSCORE")
            .arg(key)
            .arg("-inf")
            .arg(now.as_millis())
            .ignore();
        pipe.cmd("ZADD")
            .arg(key)
            .arg(ends)
            .arg(instance.to_string())
            .ignore();
        pipe.cmd("PEXPIRE")
            .arg(key)
            .arg(LEASE.as_secs() * 1_000)
            .ignore();
    })
}

pub(super) fn release(names: &Names, instance: InstanceId, users: &[UserId]) -> Vec<Question> {
    questions(names, users, |pipe, key| {
        pipe.cmd("ZREM").arg(key).arg(instance.to_string()).ignore();
    })
}

/// Counts the leases of each that have not ended.
pub(super) fn leased(names: &Names, users: &[UserId]) -> Vec<Question> {
    let now = now();
    questions(names, users, |pipe, key| {
        pipe.cmd("ZCOUNT")
            .arg(key)
            .arg(format!("({now}"))
            .arg("+inf");
    })
}

fn questions(
    names: &Names,
    users: &[UserId],
    about: impl Fn(&mut Pipeline, &str),
) -> Vec<Question> {
    let mut buckets: BTreeMap<usize, (Vec<UserId>, Pipeline)> = BTreeMap::new();
    for user in users {
        let bucket = names.bucket_of_lease(*user);
        let (users, pipe) = buckets.entry(bucket).or_default();
        users.push(*user);
        about(pipe, &names.lease_key(*user));
    }
    buckets
        .into_iter()
        .map(|(bucket, (users, pipe))| Question {
            bucket,
            users,
            pipe,
        })
        .collect()
}

/// The clocks of machines differ by little against the length of a lease.
fn now() -> Timestamp {
    SystemClock.now()
}
