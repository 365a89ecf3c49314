//! Opaque tokens: a 256-bit secret that names its user, of which a server
//! stores only the SHA-256.
//!
//! The text is `rga_`, `rgr_` or `rgd_` and base64url of sixteen bytes of user
//! id and thirty-two of secret. The prefix lets scanners find leaked tokens;
//! the user id lets a partitioned database find the row.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ruggine_core::UserId;
use ruggine_core::secret::SecretText;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::random::{self, RandomError};

/// What a token is for. One kind is never accepted in another's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TokenKind {
    /// Proves a session to every operation; short-lived.
    Access,
    /// Exchanged for the next pair of tokens.
    Refresh,
    /// Proves that a device is the one it was.
    Device,
}

impl TokenKind {
    const fn prefix(self) -> &'static str {
        match self {
            Self::Access => "rga_",
            Self::Refresh => "rgr_",
            Self::Device => "rgd_",
        }
    }
}

/// What a server keeps of a token. Comparing two takes constant time.
#[derive(Clone, Copy)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// The hash that was stored as these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes to store.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether the two are the same, in constant time.
    #[must_use]
    pub fn matches(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash([redacted])")
    }
}

/// A token that was presented, taken apart.
#[derive(Debug, Clone, Copy)]
pub struct Presented {
    /// The user whom it names; nothing is proven yet.
    pub user: UserId,
    /// The hash to look up.
    pub hash: TokenHash,
}

/// Makes a token and the hash to store.
///
/// # Errors
/// When the operating system has no randomness.
pub fn issue(kind: TokenKind, user: UserId) -> Result<(SecretText, TokenHash), RandomError> {
    let secret: Zeroizing<[u8; 32]> = Zeroizing::new(random::bytes()?);
    let mut bytes = Zeroizing::new([0u8; 48]);
    bytes[..16].copy_from_slice(user.as_bytes());
    bytes[16..].copy_from_slice(secret.as_slice());
    let mut text = String::with_capacity(4 + 64);
    text.push_str(kind.prefix());
    URL_SAFE_NO_PAD.encode_string(bytes.as_slice(), &mut text);
    let hash = hash(kind, bytes.as_slice());
    Ok((SecretText::new(text), hash))
}

/// Takes a presented token apart; `None` when it is not one of this kind.
#[must_use]
pub fn parse(kind: TokenKind, text: &str) -> Option<Presented> {
    let body = text.strip_prefix(kind.prefix())?;
    let mut bytes = Zeroizing::new([0u8; 48]);
    match URL_SAFE_NO_PAD.decode_slice(body, bytes.as_mut()) {
        Ok(48) => {}
        _ => return None,
    }
    Some(Presented {
        user: UserId::try_from(&bytes[..16]).ok()?,
        hash: hash(kind, bytes.as_slice()),
    })
}

fn hash(kind: TokenKind, bytes: &[u8]) -> TokenHash {
    let mut digest = Sha256::new();
    digest.update(kind.prefix());
    digest.update(bytes);
    TokenHash(digest.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ruggine_core::Timestamp;

    #[test]
    fn a_presented_token_leads_to_its_user_and_hash() {
        let user = UserId::new(Timestamp::from_millis(1));
        let (text, hash) = issue(TokenKind::Access, user).unwrap();
        let presented = parse(TokenKind::Access, text.expose()).unwrap();
        assert_eq!(presented.user, user);
        assert!(presented.hash.matches(&hash));
    }

    #[test]
    fn a_token_of_one_kind_is_refused_as_another() {
        let user = UserId::new(Timestamp::from_millis(1));
        let (text, _) = issue(TokenKind::Refresh, user).unwrap();
        assert!(parse(TokenKind::Access, text.expose()).is_none());
        let renamed = text.expose().replacen("rgr_", "rga_", 1);
        let (_, hash) = issue(TokenKind::Refresh, user).unwrap();
        assert!(
            !parse(TokenKind::Access, &renamed)
                .unwrap()
                .hash
                .matches(&hash)
        );
    }

    #[test]
    fn texts_that_are_no_tokens_are_refused_without_a_panic() {
        let long = format!("rga_{}", "A".repeat(10_000));
        for bad in [
            "",
            "rga_",
            "rga_!!!",
            "rga_AAAA",
            long.as_str(),
            "Bearer x",
            "rga_é",
        ] {
            assert!(parse(TokenKind::Access, bad).is_none());
        }
    }
}
