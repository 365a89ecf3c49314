//! What OpenMLS needs: cryptography, randomness and storage.

use openmls_rust_crypto::RustCrypto;
use openmls_traits::OpenMlsProvider;
use openmls_traits::crypto::OpenMlsCrypto;
use openmls_traits::random::OpenMlsRand;

use super::storage::Storage;
use super::table::StateTable;

/// Cryptography and randomness in one, as both providers of OpenMLS have them.
pub trait MlsCrypto: OpenMlsCrypto + OpenMlsRand {}

impl<C: OpenMlsCrypto + OpenMlsRand> MlsCrypto for C {}

/// The cryptography in use: pure Rust, one generator of random numbers for all
/// that share it.
pub type DefaultCrypto = RustCrypto;

/// Everything that a step of a group works with: make one for each transaction.
#[derive(Debug)]
pub struct Provider<'a, T, C = DefaultCrypto> {
    crypto: &'a C,
    storage: Storage<'a, T>,
}

impl<'a, T: StateTable, C: MlsCrypto> Provider<'a, T, C> {
    /// With this cryptography over this table.
    #[must_use]
    pub const fn new(crypto: &'a C, table: &'a T) -> Self {
        Self {
            crypto,
            storage: Storage::new(table),
        }
    }
}

impl<'a, T: StateTable, C: MlsCrypto> OpenMlsProvider for Provider<'a, T, C> {
    type CryptoProvider = C;
    type RandProvider = C;
    type StorageProvider = Storage<'a, T>;

    fn storage(&self) -> &Self::StorageProvider {
        &self.storage
    }

    fn crypto(&self) -> &C {
        self.crypto
    }

    fn rand(&self) -> &C {
        self.crypto
    }
}
