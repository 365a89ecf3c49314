//! Which passwords are refused: by length and by how soon they would be
//! guessed, never by composition (OWASP ASVS 5.0, V6.2).

use ruggine_core::limits::{PASSWORD_MAX, PASSWORD_MIN};
use zxcvbn::zxcvbn;

/// Guesses within which common passwords, their repetitions and simple
/// variations fall; the top ten thousand and then some.
const GUESSES_MIN: u64 = 1_000_000;

/// A password that is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WeakPassword {
    /// Shorter than 12 characters.
    #[error("a password has at least {PASSWORD_MIN} characters")]
    TooShort,
    /// Longer than 128 characters.
    #[error("a password has at most {PASSWORD_MAX} characters")]
    TooLong,
    /// Among the first that somebody would try.
    #[error("this password is among the first that would be guessed: take several unrelated words")]
    Common,
}

pub(super) fn check(password: &str, username: &str) -> Result<(), WeakPassword> {
    let length = password.chars().take(PASSWORD_MAX + 1).count();
    if length < PASSWORD_MIN {
        return Err(WeakPassword::TooShort);
    }
    if length > PASSWORD_MAX {
        return Err(WeakPassword::TooLong);
    }
    if zxcvbn(password, &[username, "ruggine"]).guesses() < GUESSES_MIN {
        return Err(WeakPassword::Common);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_is_counted_in_characters() {
        assert_eq!(check("kz7-übermäß", "ada"), Err(WeakPassword::TooShort));
        assert_eq!(check(&"ж9q!".repeat(33), "ada"), Err(WeakPassword::TooLong));
        assert_eq!(check("correct horse battery staple", "ada"), Ok(()));
    }

    #[test]
    fn what_would_be_guessed_first_is_refused() {
        for bad in [
            "password1234",
            "123456789012",
            "aaaaaaaaaaaa",
            "qwertyuiop12",
            "ada.lovelace",
            "passwordpassword",
        ] {
            assert_eq!(
                check(bad, "ada.lovelace"),
                Err(WeakPassword::Common),
                "{bad}"
            );
        }
    }

    #[test]
    fn no_composition_is_demanded() {
        assert_eq!(check("tavolo nebbia remo sasso", "ada"), Ok(()));
    }
}
