//! Where the key of the local store comes from.

use std::io::{self, Read, Write};
use std::path::PathBuf;

use zeroize::Zeroizing;

/// The key could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreKeyError {
    /// The key file cannot be used.
    #[error("cannot use the key file {path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The key file does not hold 64 hexadecimal characters.
    #[error("the key file {0} holds no key")]
    NoKey(PathBuf),
    /// The key file can be read by others.
    #[error("the key file {0} can be read by other users: run `chmod 600` on it")]
    Exposed(PathBuf),
    /// The operating system has no randomness.
    #[error("the operating system provides no randomness: {0}")]
    Random(#[from] getrandom::Error),
    /// Another source failed.
    #[error("the key of the local store cannot be had: {0}")]
    Other(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Hands out the 256-bit key of a local store: a keyring, a passphrase, a file.
pub trait StoreKey: Send + Sync {
    /// The key.
    ///
    /// # Errors
    /// When it cannot be had.
    fn key(&self) -> Result<Zeroizing<[u8; 32]>, StoreKeyError>;
}

/// A key that is at hand.
pub struct FixedKey(Zeroizing<[u8; 32]>);

impl FixedKey {
    /// This key.
    #[must_use]
    pub fn new(key: [u8; 32]) -> Self {
        Self(Zeroizing::new(key))
    }

    /// A key that nobody will ever know again.
    ///
    /// # Errors
    /// When the operating system has no randomness.
    pub fn random() -> Result<Self, StoreKeyError> {
        let mut key = Zeroizing::new([0; 32]);
        getrandom::fill(key.as_mut())?;
        Ok(Self(key))
    }
}

impl std::fmt::Debug for FixedKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FixedKey([redacted])")
    }
}

impl StoreKey for FixedKey {
    fn key(&self) -> Result<Zeroizing<[u8; 32]>, StoreKeyError> {
        Ok(self.0.clone())
    }
}

/// A key in a file that only its owner can read, made on first use. It
/// protects a store that is copied without its key, not one taken with it.
#[derive(Debug, Clone)]
pub struct KeyFile {
    path: PathBuf,
}

impl KeyFile {
    /// The file at `path`.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    fn failed(&self, source: io::Error) -> StoreKeyError {
        StoreKeyError::File {
            path: self.path.clone(),
            source,
        }
    }

    fn create(&self) -> Result<Zeroizing<[u8; 32]>, StoreKeyError> {
        let key = FixedKey::random()?.0;
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&self.path).map_err(|e| self.failed(e))?;
        let text = Zeroizing::new(hex(key.as_slice()));
        file.write_all(text.as_bytes())
            .map_err(|e| self.failed(e))?;
        file.sync_all().map_err(|e| self.failed(e))?;
        Ok(key)
    }
}

impl StoreKey for KeyFile {
    fn key(&self) -> Result<Zeroizing<[u8; 32]>, StoreKeyError> {
        let file = match std::fs::File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return self.create(),
            Err(error) => return Err(self.failed(error)),
        };
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            let mode = file.metadata().map_err(|e| self.failed(e))?.mode();
            if mode & 0o077 != 0 {
                return Err(StoreKeyError::Exposed(self.path.clone()));
            }
        }
        let mut text = Zeroizing::new(String::new());
        file.take(128)
            .read_to_string(&mut text)
            .map_err(|e| self.failed(e))?;
        parse(text.trim()).ok_or_else(|| StoreKeyError::NoKey(self.path.clone()))
    }
}

fn parse(text: &str) -> Option<Zeroizing<[u8; 32]>> {
    if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let mut key = Zeroizing::new([0; 32]);
    for (index, byte) in key.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * index..2 * index + 2], 16).ok()?;
    }
    Some(key)
}

pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
