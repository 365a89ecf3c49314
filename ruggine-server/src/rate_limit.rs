//! Rates: who may do how much in what time.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};
use parking_lot::Mutex;
use ruggine_core::{ConversationId, DeviceId, Timestamp, UserId};

use crate::config::Limits;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A rate per key.
#[derive(Debug)]
pub(crate) struct Rate<K: Hash + Eq + Clone>(RateLimiter<K, DashMapStateStore<K>, DefaultClock>);

/// How long to wait before trying again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RetryAfter(pub(crate) Duration);

impl<K: Hash + Eq + Clone> Rate<K> {
    fn new(quota: Quota) -> Self {
        Self(RateLimiter::dashmap(quota))
    }

    pub(crate) fn check(&self, key: &K) -> Result<(), RetryAfter> {
        self.0
            .check_key(key)
            .map_err(|until| RetryAfter(until.wait_time_from(DefaultClock::default().now())))
    }

    /// Forgets keys whose rate has recovered, so that memory follows use.
    fn shrink(&self) {
        self.0.retain_recent();
        self.0.shrink_to_fit();
    }
}

/// All rates of an engine.
#[derive(Debug)]
pub(crate) struct RateLimits {
    pub(crate) sends: Rate<DeviceId>,
    pub(crate) requests: Rate<DeviceId>,
    pub(crate) typing: Rate<(DeviceId, ConversationId)>,
    /// Device lists that a user publishes.
    pub(crate) lists: Rate<UserId>,
    /// Times that a user's devices leave key packages.
    pub(crate) packages: Rate<UserId>,
    /// Claims of key packages, by who claims and from whom.
    pub(crate) claims: Claims,
    pub(crate) logins: Rate<IpAddr>,
    pub(crate) registrations: Rate<IpAddr>,
    pub(crate) failures: LoginFailures,
}

impl RateLimits {
    pub(crate) fn new(limits: &Limits) -> Self {
        let per_second = |count| Quota::per_second(at_least_one(count));
        Self {
            sends: Rate::new(
                per_second(limits.sends_per_second).allow_burst(at_least_one(limits.send_burst)),
            ),
            requests: Rate::new(
                per_second(limits.requests_per_second)
                    .allow_burst(at_least_one(limits.requests_per_second.saturating_mul(4))),
            ),
            typing: Rate::new(
                Quota::with_period(limits.typing_interval)
                    .unwrap_or_else(|| per_second(1))
                    // A report that the user stopped may follow at once.
                    .allow_burst(at_least_one(2)),
            ),
            lists: Rate::new(Quota::per_hour(at_least_one(limits.lists_per_hour))),
            packages: Rate::new(Quota::per_hour(at_least_one(limits.packages_per_hour))),
            claims: Claims::new(limits),
            logins: Rate::new(Quota::per_minute(at_least_one(limits.logins_per_address))),
            registrations: Rate::new(Quota::per_hour(at_least_one(
                limits.registrations_per_address,
            ))),
            failures: LoginFailures::new(limits.login_failures_per_account),
        }
    }

    /// Forgets what no longer limits anybody.
    pub(crate) fn shrink(&self, now: Timestamp) {
        self.sends.shrink();
        self.requests.shrink();
        self.typing.shrink();
        self.lists.shrink();
        self.packages.shrink();
        self.claims.shrink();
        self.logins.shrink();
        self.registrations.shrink();
        self.failures.shrink(now);
    }
}

fn at_least_one(count: u32) -> NonZeroU32 {
    NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN)
}

/// How often one user may claim key packages of another: a burst that an hour
/// gives back, and less in a day than its hours would.
#[derive(Debug)]
pub(crate) struct Claims {
    hourly: Rate<(UserId, UserId)>,
    daily: Rate<(UserId, UserId)>,
}

impl Claims {
    fn new(limits: &Limits) -> Self {
        let per_day = at_least_one(limits.claims_per_day);
        let daily = Quota::with_period(DAY / per_day.get())
            .unwrap_or_else(|| Quota::per_hour(per_day))
            .allow_burst(per_day);
        Self {
            hourly: Rate::new(Quota::per_hour(at_least_one(limits.claims_per_hour))),
            daily: Rate::new(daily),
        }
    }

    pub(crate) fn check(&self, claimer: UserId, of: UserId) -> Result<(), RetryAfter> {
        let pair = (claimer, of);
        // What the hour refuses is not counted for the day.
        self.hourly.check(&pair)?;
        self.daily.check(&pair)
    }

    fn shrink(&self) {
        self.hourly.shrink();
        self.daily.shrink();
    }
}

/// Failed logins per account: so many in a minute, then a wait that doubles
/// with each further failure.
#[derive(Debug)]
pub(crate) struct LoginFailures {
    allowed: u32,
    accounts: Mutex<HashMap<String, Failures>>,
}

#[derive(Debug, Clone, Copy)]
struct Failures {
    count: u32,
    last: Timestamp,
    blocked_until: Timestamp,
}

impl LoginFailures {
    const WINDOW: Duration = Duration::from_secs(60);
    const LONGEST: Duration = Duration::from_secs(60 * 60);
    /// Accounts remembered at once. Beyond, those that are not blocked go first.
    const ACCOUNTS: usize = 100_000;

    fn new(allowed: u32) -> Self {
        Self {
            allowed,
            accounts: Mutex::default(),
        }
    }

    /// Counts an attempt as failed before it is made, so that guesses made at
    /// once count like those made in turn. A success takes it back.
    pub(crate) fn attempt(&self, username: &str, now: Timestamp) -> Result<(), RetryAfter> {
        let mut accounts = self.accounts.lock();
        if let Some(failures) = accounts.get(username)
            && failures.blocked_until > now
        {
            return Err(RetryAfter(failures.blocked_until.since(now)));
        }
        if accounts.len() >= Self::ACCOUNTS {
            accounts.retain(|_, failures| failures.blocked_until > now);
        }
        let failures = accounts.entry(username.to_owned()).or_insert(Failures {
            count: 0,
            last: now,
            blocked_until: now,
        });
        if now.since(failures.last.max(failures.blocked_until)) > Self::WINDOW {
            failures.count = 0;
        }
        failures.count += 1;
        failures.last = now;
        if let Some(over) = failures.count.checked_sub(self.allowed) {
            let wait = Self::WINDOW.saturating_mul(1 << over.min(16));
            failures.blocked_until = now.after(wait.min(Self::LONGEST));
        }
        Ok(())
    }

    /// An attempt was not made after all, for want of room.
    pub(crate) fn withdrawn(&self, username: &str, now: Timestamp) {
        if let Some(failures) = self.accounts.lock().get_mut(username) {
            failures.count = failures.count.saturating_sub(1);
            // It was let in, so nothing but itself has blocked the account since.
            failures.blocked_until = now;
        }
    }

    pub(crate) fn succeeded(&self, username: &str) {
        self.accounts.lock().remove(username);
    }

    fn shrink(&self, now: Timestamp) {
        self.accounts.lock().retain(|_, failures| {
            now.since(failures.last.max(failures.blocked_until)) <= Self::WINDOW
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_after_failed_logins_doubles_and_a_success_ends_it() {
        let failures = LoginFailures::new(5);
        let mut now = Timestamp::from_millis(1_000_000);
        for _ in 0..4 {
            assert_eq!(failures.attempt("ada", now), Ok(()));
        }
        let mut waits = Vec::new();
        for _ in 0..4 {
            assert_eq!(failures.attempt("ada", now), Ok(()));
            let RetryAfter(wait) = failures.attempt("ada", now).unwrap_err();
            waits.push(wait.as_secs());
            now = now.after(wait);
        }
        assert_eq!(waits, [60, 120, 240, 480]);
        assert_eq!(failures.attempt("bob", now), Ok(()));
        failures.succeeded("ada");
        for _ in 0..5 {
            assert_eq!(failures.attempt("ada", now), Ok(()));
        }
        assert!(failures.attempt("ada", now).is_err());
        failures.withdrawn("ada", now);
        assert_eq!(failures.attempt("ada", now), Ok(()));
    }

    #[test]
    fn an_attempt_that_was_not_made_costs_no_wait_however_many_were_made_before() {
        let failures = LoginFailures::new(5);
        let mut now = Timestamp::from_millis(1_000_000);
        for _ in 0..5 {
            assert_eq!(failures.attempt("ada", now), Ok(()));
        }
        let RetryAfter(wait) = failures.attempt("ada", now).unwrap_err();
        now = now.after(wait);
        assert_eq!(failures.attempt("ada", now), Ok(()));
        failures.withdrawn("ada", now);
        assert_eq!(failures.attempt("ada", now), Ok(()));
        let RetryAfter(wait) = failures.attempt("ada", now).unwrap_err();
        assert_eq!(wait.as_secs(), 120);
    }

    #[test]
    fn claims_end_with_the_hour_and_with_the_day() {
        let now = Timestamp::from_millis(1_000_000);
        let [ada, bob, eve] = [(); 3].map(|()| UserId::new(now));
        for (per_hour, per_day, longest) in [(2, 9, 30), (9, 2, 12 * 60)] {
            let claims = Claims::new(&Limits {
                claims_per_hour: per_hour,
                claims_per_day: per_day,
                ..Limits::default()
            });
            for _ in 0..2 {
                assert_eq!(claims.check(ada, bob), Ok(()));
            }
            let RetryAfter(wait) = claims.check(ada, bob).unwrap_err();
            let longest = Duration::from_secs(longest * 60);
            assert!(wait > longest / 2 && wait <= longest, "{wait:?}");
            assert_eq!(claims.check(ada, eve), Ok(()));
            assert_eq!(claims.check(bob, ada), Ok(()));
        }
    }

    #[test]
    fn a_rate_refuses_beyond_its_burst_and_says_how_long_to_wait() {
        let rate = Rate::new(Quota::per_second(at_least_one(1)).allow_burst(at_least_one(3)));
        for _ in 0..3 {
            assert_eq!(rate.check(&7), Ok(()));
        }
        let RetryAfter(wait) = rate.check(&7).unwrap_err();
        assert!(wait > Duration::ZERO && wait <= Duration::from_secs(1));
        assert_eq!(rate.check(&8), Ok(()));
    }
}
