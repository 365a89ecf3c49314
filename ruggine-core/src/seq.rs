//! Positions in a conversation's log, and the identity of the log itself.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A message's number in its conversation: 1, 2, 3… without gaps, in commit order.
///
/// [`Seq::ZERO`] is the position before the first message.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(from = "u64", into = "u64")]
pub struct Seq(u64);

impl Seq {
    /// Before the first message.
    pub const ZERO: Self = Self(0);
    /// The last position that any store can hold.
    pub const MAX: Self = Self(i64::MAX as u64);

    /// The position with this number, at most [`Seq::MAX`].
    #[must_use]
    pub const fn new(number: u64) -> Self {
        if number > Self::MAX.0 {
            return Self::MAX;
        }
        Self(number)
    }

    /// The number itself.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The position after this one; [`Seq::MAX`] has none and stays.
    #[must_use]
    pub const fn next(self) -> Self {
        Self::new(self.0.saturating_add(1))
    }

    /// The position before this one; [`Seq::ZERO`] has none and stays.
    #[must_use]
    pub const fn previous(self) -> Self {
        Self(self.0.saturating_sub(1))
    }
}

impl From<u64> for Seq {
    fn from(number: u64) -> Self {
        Self::new(number)
    }
}

impl From<Seq> for u64 {
    fn from(seq: Seq) -> Self {
        seq.0
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Identity of the server's log: one random number per database, drawn anew
/// when a database is restored from a backup. Cursors of another incarnation
/// mean nothing.
///
/// Held to 53 bits, so that JSON readers with floating-point numbers keep it exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(from = "u64", into = "u64")]
pub struct Incarnation(u64);

impl Incarnation {
    const BITS: u64 = (1 << 53) - 1;

    /// The incarnation with this number, cut to 53 bits.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number & Self::BITS)
    }

    /// The number itself.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl From<u64> for Incarnation {
    fn from(number: u64) -> Self {
        Self::new(number)
    }
}

impl From<Incarnation> for u64 {
    fn from(incarnation: Incarnation) -> Self {
        incarnation.0
    }
}

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
