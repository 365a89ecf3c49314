//! Randomness from the operating system, the only source that is used.

/// The operating system has no randomness to give.
#[derive(Debug, thiserror::Error)]
#[error("the operating system provides no randomness: {0}")]
pub struct RandomError(#[from] getrandom::Error);

/// Fresh random bytes.
///
/// # Errors
/// When the operating system has none to give.
pub fn bytes<const N: usize>() -> Result<[u8; N], RandomError> {
    let mut bytes = [0u8; N];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}

/// A random number, for things that need no secrecy such as jitter.
///
/// # Errors
/// When the operating system has none to give.
pub fn number() -> Result<u64, RandomError> {
    Ok(u64::from_le_bytes(bytes()?))
}
