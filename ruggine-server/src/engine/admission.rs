//! Which connections are let in before anything is known of them.

use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use parking_lot::Mutex;

use super::Engine;
use crate::config::Limits;

/// A connection that is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RefusedSocket {
    /// More handshakes at once than the server takes.
    #[error("too many connections arrive at once")]
    Busy {
        /// How long to wait.
        retry_after: Duration,
    },
    /// Too many connections from this address.
    #[error("too many connections from this address")]
    TooMany,
}

#[derive(Debug)]
pub(super) struct Admission {
    handshakes: DefaultDirectRateLimiter,
    per_address: usize,
    unauthenticated_per_address: usize,
    addresses: Arc<Mutex<HashMap<IpAddr, Count>>>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Count {
    sockets: usize,
    unauthenticated: usize,
}

/// A connection that was let in, counted until dropped.
#[derive(Debug)]
pub struct Arrival {
    address: IpAddr,
    addresses: Arc<Mutex<HashMap<IpAddr, Count>>>,
    authenticated: bool,
}

impl Arrival {
    /// The connection has said hello.
    pub fn authenticated(&mut self) {
        if !self.authenticated {
            self.authenticated = true;
            if let Some(count) = self.addresses.lock().get_mut(&self.address) {
                count.unauthenticated -= 1;
            }
        }
    }
}

impl Drop for Arrival {
    fn drop(&mut self) {
        let mut addresses = self.addresses.lock();
        if let Some(count) = addresses.get_mut(&self.address) {
            count.sockets -= 1;
            if !self.authenticated {
                count.unauthenticated -= 1;
            }
            if count.sockets == 0 {
                addresses.remove(&self.address);
            }
        }
    }
}

impl Admission {
    pub(super) fn new(limits: &Limits) -> Self {
        let rate = NonZeroU32::new(limits.handshakes_per_second).unwrap_or(NonZeroU32::MIN);
        Self {
            handshakes: RateLimiter::direct(Quota::per_second(rate)),
            per_address: limits.sockets_per_address,
            unauthenticated_per_address: limits.unauthenticated_per_address,
            addresses: Arc::default(),
        }
    }
}

impl Engine {
    /// Lets a connection in, before any work is done for it.
    ///
    /// # Errors
    /// When there are too many of this address, or too many arrive at once.
    pub fn arrive(&self, address: IpAddr) -> Result<Arrival, RefusedSocket> {
        let admission = &self.0.admission;
        admission
            .handshakes
            .check()
            .map_err(|until| RefusedSocket::Busy {
                retry_after: until.wait_time_from(DefaultClock::default().now()),
            })?;
        let mut addresses = admission.addresses.lock();
        let count = addresses.entry(address).or_default();
        if count.sockets >= admission.per_address
            || count.unauthenticated >= admission.unauthenticated_per_address
        {
            return Err(RefusedSocket::TooMany);
        }
        count.sockets += 1;
        count.unauthenticated += 1;
        drop(addresses);
        Ok(Arrival {
            address,
            addresses: Arc::clone(&admission.addresses),
            authenticated: false,
        })
    }
}
