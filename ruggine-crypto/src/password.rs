//! Password hashing with Argon2id:
//! 19 MiB, two passes, one lane (RFC 9106, OWASP minimum).

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};

use crate::random::{self, RandomError};

const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// A password that could not be hashed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HashError {
    /// No randomness for the salt.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// The hash function refused its input.
    #[error("the password cannot be hashed: {0}")]
    Argon2(argon2::password_hash::Error),
}

fn argon2id() -> Argon2<'static> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).expect("the parameters are in range");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// Hashes a password into the PHC text form. It takes tens of milliseconds of
/// one core and 19 MiB: run it where that does no harm.
///
/// # Errors
/// When there is no randomness for the salt.
pub fn hash(password: &str) -> Result<String, HashError> {
    let salt: [u8; 16] = random::bytes()?;
    let hash: PasswordHash = argon2id()
        .hash_password_with_salt(password.as_bytes(), &salt)
        .map_err(HashError::Argon2)?;
    Ok(hash.to_string())
}

/// Whether the password is the one that was hashed; `false` also when the
/// stored text is no hash, or one dearer than a server should compute. As
/// costly as [`hash()`] for the hashes that it makes.
#[must_use]
pub fn verify(password: &str, stored: &str) -> bool {
    let affordable = |hash: &PasswordHash| {
        Params::try_from(hash)
            .is_ok_and(|params| params.m_cost() <= 8 * MEMORY_KIB && params.t_cost() <= 8 * PASSES)
    };
    match PasswordHash::new(stored) {
        Ok(hash) if affordable(&hash) => argon2id()
            .verify_password(password.as_bytes(), &hash)
            .is_ok(),
        _ => {
            verify_nobody(password);
            false
        }
    }
}

/// Spends what [`verify`] spends, for a user who does not exist, so that the
/// time of an answer tells nothing.
pub fn verify_nobody(password: &str) {
    let mut output = [0u8; 32];
    // The result is of no use; only the work counts.
    let _ = argon2id().hash_password_into(password.as_bytes(), b"nobody has this!", &mut output);
    std::hint::black_box(output);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_names_its_parameters_and_verifies_only_its_password() {
        let stored = hash("correct horse battery").unwrap();
        assert!(
            stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{stored}"
        );
        assert!(verify("correct horse battery", &stored));
        assert!(!verify("correct horse batterz", &stored));
        assert_ne!(stored, hash("correct horse battery").unwrap());
    }

    #[test]
    fn a_stored_text_that_is_no_hash_verifies_nothing() {
        for bad in [
            "$argon2id$v=19$m=4194304,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg$MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY",
            "",
            "plain",
            "$argon2id$v=19$m=19456,t=2,p=1$",
            "$1$abc$def",
        ] {
            assert!(!verify("plain", bad), "{bad}");
        }
    }
}
