//! The seam to where the master keys come from.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use ruggine_core::secret::SecretText;
use ruggine_crypto::at_rest::{KeyId, MasterKey, MasterKeyError};

use crate::seam::seam;

/// The keys of a deployment.
#[derive(Debug)]
pub struct MasterKeys {
    /// Seals, and opens.
    pub primary: MasterKey,
    /// Only open.
    pub legacy: Vec<MasterKey>,
}

/// The keys could not be had. The sentence says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeySourceError {
    /// A text is no acceptable key.
    #[error("{name}: {reason}")]
    Key {
        /// Where it came from.
        name: String,
        /// What is wrong with it.
        #[source]
        reason: MasterKeyError,
    },
    /// A key file cannot be read or made.
    #[error("cannot use the key file {path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A key file can be read by others.
    #[error("the key file {0} can be read by other users: run `chmod 600` on it")]
    Exposed(PathBuf),
    /// Another source failed.
    #[error("the master keys cannot be had: {0}")]
    Other(#[source] Box<dyn std::error::Error + Send + Sync>),
}

seam! {
    /// Hands out the master keys: an environment, a file, a secret manager.
    pub trait KeySource / DynKeySource {
        /// The keys, asked for once when an engine starts.
        async fn master_keys(&self) -> Result<MasterKeys, KeySourceError>;
    }
}

/// Keys that are at hand as text.
#[derive(Debug, Clone)]
pub struct FixedKeys {
    primary: SecretText,
    legacy: Vec<SecretText>,
}

impl FixedKeys {
    /// Keys of 64 hexadecimal characters each.
    #[must_use]
    pub const fn new(primary: SecretText, legacy: Vec<SecretText>) -> Self {
        Self { primary, legacy }
    }

    /// Whether every text is an acceptable key.
    ///
    /// # Errors
    /// What is wrong with the first that is not. The key is not in the text.
    pub fn check(&self) -> Result<(), KeySourceError> {
        self.read().map(|_| ())
    }

    fn read(&self) -> Result<MasterKeys, KeySourceError> {
        Ok(MasterKeys {
            primary: parse("ENCRYPTION_MASTER_KEY", self.primary.expose())?,
            legacy: self
                .legacy
                .iter()
                .map(|key| parse("ENCRYPTION_LEGACY_KEYS", key.expose()))
                .collect::<Result<_, _>>()?,
        })
    }
}

impl KeySource for FixedKeys {
    async fn master_keys(&self) -> Result<MasterKeys, KeySourceError> {
        self.read()
    }
}

/// A key kept in a file that only its owner can read, made on first use.
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

    /// The id of the key in the file, which is made where it is missing.
    ///
    /// # Errors
    /// When the file cannot be used or holds no acceptable key.
    pub fn fingerprint(&self) -> Result<KeyId, KeySourceError> {
        self.load().map(|key| key.id())
    }

    fn load(&self) -> Result<MasterKey, KeySourceError> {
        match read_private(&self.path) {
            Err(KeySourceError::File { source, .. })
                if source.kind() == io::ErrorKind::NotFound =>
            {
                self.create()
            }
            Err(error) => Err(error),
            Ok(text) => parse(&self.path.display().to_string(), text.expose()),
        }
    }

    fn create(&self) -> Result<MasterKey, KeySourceError> {
        let failed = |source| KeySourceError::File {
            path: self.path.clone(),
            source,
        };
        if let Some(folder) = self.path.parent() {
            std::fs::create_dir_all(folder).map_err(failed)?;
        }
        let key = MasterKey::generate();
        // A key that is lost with a power cut would lose everything sealed
        // since, so it is on stable storage before it is used.
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&self.path).map_err(failed)?;
        file.write_all(key.to_hex().as_bytes()).map_err(failed)?;
        file.write_all(b"\n").map_err(failed)?;
        file.sync_all().map_err(failed)?;
        // The name of a new file is on stable storage with its folder only.
        #[cfg(unix)]
        if let Some(folder) = self.path.parent().filter(|folder| folder.is_dir()) {
            std::fs::File::open(folder)
                .and_then(|folder| folder.sync_all())
                .map_err(failed)?;
        }
        Ok(key)
    }
}

impl KeySource for KeyFile {
    async fn master_keys(&self) -> Result<MasterKeys, KeySourceError> {
        Ok(MasterKeys {
            primary: self.load()?,
            legacy: Vec::new(),
        })
    }
}

/// Reads a small file that nobody else may read.
///
/// # Errors
/// When it cannot be read, or its mode lets others read it.
pub fn read_private(path: &Path) -> Result<SecretText, KeySourceError> {
    const LONGEST: u64 = 64 * 1024;
    let failed = |source| KeySourceError::File {
        path: path.to_path_buf(),
        source,
    };
    let file = std::fs::File::open(path).map_err(failed)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        if file.metadata().map_err(failed)?.mode() & 0o077 != 0 {
            return Err(KeySourceError::Exposed(path.to_path_buf()));
        }
    }
    let mut text = String::new();
    file.take(LONGEST)
        .read_to_string(&mut text)
        .map_err(failed)?;
    let trimmed = SecretText::new(text.trim());
    drop(SecretText::new(text));
    Ok(trimmed)
}

fn parse(name: &str, text: &str) -> Result<MasterKey, KeySourceError> {
    MasterKey::from_hex(text).map_err(|reason| KeySourceError::Key {
        name: name.to_owned(),
        reason,
    })
}
