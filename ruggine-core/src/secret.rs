//! Text that must not be printed or left behind in memory.

use std::fmt;

use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

/// A password, a token or a device secret as it travels.
///
/// It is wiped when dropped and prints as `[redacted]`; serialising it is the
/// one way out besides [`SecretText::expose`].
#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct SecretText(String);

impl SecretText {
    /// Takes over a secret.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself, for the one place that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl PartialEq for SecretText {
    /// Looks at every byte, so that the time tells nothing but the length.
    fn eq(&self, other: &Self) -> bool {
        let (one, two) = (self.0.as_bytes(), other.0.as_bytes());
        let difference = one
            .iter()
            .zip(two)
            .fold(0, |difference, (a, b)| difference | (a ^ b));
        one.len() == two.len() && std::hint::black_box(difference) == 0
    }
}

impl Eq for SecretText {}

impl Drop for SecretText {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_never_shows_a_secret() {
        let secret = SecretText::new("hunter2 hunter2");
        assert_eq!(format!("{secret:?}"), "[redacted]");
    }
}
