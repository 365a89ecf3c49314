//! The two suites in use.

use openmls_traits::types::Ciphersuite;

/// How a group encrypts. Fixed when the group is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Suite {
    /// 0x004E of the post-quantum drafts: X-Wing (ML-KEM-768 and X25519),
    /// AES-256-GCM, SHA-384, Ed25519. Its code point is provisional: this is
    /// the one place that names it.
    PostQuantum,
    /// 0x0001, which every implementation of RFC 9420 knows: X25519,
    /// AES-128-GCM, SHA-256, Ed25519.
    Classical,
}

impl Suite {
    /// Both, the preferred one first.
    pub const ALL: [Self; 2] = [Self::PostQuantum, Self::Classical];

    /// Leaves up to which a new group takes [`Suite::PostQuantum`], whose
    /// commits grow beyond what a message may hold in larger trees (D3).
    pub const POST_QUANTUM_LEAVES: usize = 128;

    /// The suite of a new group that begins with this many leaves.
    #[must_use]
    pub const fn for_leaves(leaves: usize) -> Self {
        if leaves <= Self::POST_QUANTUM_LEAVES {
            Self::PostQuantum
        } else {
            Self::Classical
        }
    }

    /// Its number in the registry of MLS.
    #[must_use]
    pub const fn number(self) -> u16 {
        match self {
            Self::PostQuantum => 0x004E,
            Self::Classical => 0x0001,
        }
    }

    /// The suite with this number, if it is one of ours.
    #[must_use]
    pub fn from_number(number: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|suite| suite.number() == number)
    }

    pub(crate) const fn ciphersuite(self) -> Ciphersuite {
        match self {
            Self::PostQuantum => Ciphersuite::MLS_128_MLKEM768X25519_AES256GCM_SHA384_Ed25519,
            Self::Classical => Ciphersuite::MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519,
        }
    }

    pub(crate) fn of(ciphersuite: Ciphersuite) -> Option<Self> {
        Self::from_number(u16::from(ciphersuite))
    }
}
