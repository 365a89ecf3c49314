//! HKDF-SHA256 (RFC 5869) in the two shapes that are needed here.

use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

/// A pseudorandom key from which further keys are expanded.
pub(crate) struct Prk(Hkdf<Sha256>);

impl Prk {
    /// `HKDF-Extract(salt, key)`.
    pub(crate) fn extract(salt: &[u8], key: &[u8]) -> Self {
        Self(Hkdf::new(Some(salt), key))
    }

    /// A key that is uniformly random already, taken as it is.
    pub(crate) fn from_key(key: &[u8; 32]) -> Self {
        Self(Hkdf::from_prk(key).expect("32 bytes are a whole SHA-256 output"))
    }

    /// `HKDF-Expand(self, info…)`, the parts of `info` joined.
    pub(crate) fn expand<const N: usize>(&self, info: &[&[u8]]) -> Zeroizing<[u8; N]> {
        const { assert!(N <= 255 * 32, "HKDF-SHA256 expands to at most 255 blocks") };
        let mut output = Zeroizing::new([0u8; N]);
        self.0
            .expand_multi_info(info, output.as_mut())
            .expect("the length was checked when this was compiled");
        output
    }
}

impl std::fmt::Debug for Prk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Prk([redacted])")
    }
}
