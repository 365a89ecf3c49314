//! Key packages: by which a device is added while it is not there.

use openmls::prelude::{
    KeyPackage, KeyPackageIn, KeyPackageRef, MlsMessageBodyIn, MlsMessageIn, MlsMessageOut,
    ProtocolVersion,
};
use openmls_traits::OpenMlsProvider as _;
use openmls_traits::storage::StorageProvider as _;
use ruggine_core::Timestamp;
use tls_codec::{DeserializeBytes as _, Serialize as _, VLBytes};

use super::device_key::Device;
use super::error::MlsError;
use super::policy::{self, Violation, certificate_of};
use super::provider::{MlsCrypto, Provider};
use super::settings;
use super::suite::Suite;
use super::table::StateTable;
use crate::identity::DeviceCertificate;

/// Bytes of a package at the most; one of 0x004E has about 2,900.
const BYTES_MAX: usize = 16 * 1024;

/// A package whose private part was written to the table.
#[derive(Debug, Clone)]
pub struct NewKeyPackage {
    /// What the server keeps and hands out.
    pub bytes: Vec<u8>,
    /// The hash by which a Welcome names it (RFC 9420 §5.2).
    pub reference: Vec<u8>,
}

/// A package of somebody's device, checked: its signatures hold, it is of one
/// of our suites, its certificate names the key that signed it, and others can
/// encrypt to it.
#[derive(Debug, Clone)]
pub struct PublishedKeyPackage {
    pub(crate) package: KeyPackage,
    certificate: DeviceCertificate,
    suite: Suite,
    reference: Vec<u8>,
}

/// Why bytes are no key package that can be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyPackageError {
    /// They are longer than any package.
    #[error("the key package is too long")]
    TooLong,
    /// They are not a package.
    #[error("not a well-formed key package")]
    Malformed,
    /// MLS refused it.
    #[error("the key package is not valid: {0}")]
    Invalid(#[from] openmls::prelude::KeyPackageVerifyError),
    /// The suite is none of ours, or the certificate does not name it.
    #[error("the key package is of a suite that its device does not have")]
    Suite,
    /// It ends, so that it would stop those who read of it later.
    #[error("the key package ends at a time of its own")]
    Lifetime,
    /// Its certificate is not good.
    #[error("the key package names no device: {0}")]
    Certificate(#[from] Violation),
}

impl NewKeyPackage {
    /// Makes a package and writes its private part. One of last resort may be
    /// used several times.
    ///
    /// # Errors
    /// When the table cannot be written.
    pub fn make<T: StateTable, C: MlsCrypto>(
        provider: &Provider<'_, T, C>,
        device: &Device,
        suite: Suite,
        is_last_resort: bool,
    ) -> Result<Self, MlsError> {
        let mut builder = KeyPackage::builder()
            .leaf_node_capabilities(settings::capabilities())
            .key_package_lifetime(settings::lifetime());
        if is_last_resort {
            builder = builder.mark_as_last_resort();
        }
        let bundle = builder
            .build(
                suite.ciphersuite(),
                provider,
                &device.key,
                device.credential(),
            )
            .map_err(MlsError::invalid)?;
        let package = bundle.into_key_package();
        let reference = package
            .hash_ref(provider.crypto())
            .map_err(MlsError::invalid)?
            .as_slice()
            .to_vec();
        let bytes = MlsMessageOut::from(package)
            .to_bytes()
            .map_err(MlsError::invalid)?;
        Ok(Self { bytes, reference })
    }

    /// Forgets the private part of a package that is not handed out any more.
    /// Keep it until no welcome for it can come.
    ///
    /// # Errors
    /// When the table cannot be written.
    pub fn forget<T: StateTable, C: MlsCrypto>(
        provider: &Provider<'_, T, C>,
        reference: &[u8],
    ) -> Result<(), MlsError> {
        let named = VLBytes::new(reference.to_vec())
            .tls_serialize_detached()
            .map_err(MlsError::invalid)?;
        let reference =
            KeyPackageRef::tls_deserialize_exact_bytes(&named).map_err(MlsError::invalid)?;
        provider
            .storage()
            .delete_key_package(&reference)
            .map_err(MlsError::invalid)
    }
}

impl PublishedKeyPackage {
    /// Reads and checks a package whose certificate has to hold at a time.
    ///
    /// # Errors
    /// When it cannot be used.
    pub fn read(
        crypto: &impl MlsCrypto,
        bytes: &[u8],
        at: Timestamp,
    ) -> Result<Self, KeyPackageError> {
        if bytes.len() > BYTES_MAX {
            return Err(KeyPackageError::TooLong);
        }
        let message = MlsMessageIn::tls_deserialize_exact_bytes(bytes)
            .map_err(|_| KeyPackageError::Malformed)?;
        let MlsMessageBodyIn::KeyPackage(package) = message.extract() else {
            return Err(KeyPackageError::Malformed);
        };
        let package = KeyPackageIn::validate(package, crypto, ProtocolVersion::Mls10)?;
        let suite = Suite::of(package.ciphersuite()).ok_or(KeyPackageError::Suite)?;
        let certificate = certificate_of(package.leaf_node())?;
        if !certificate.suites().contains(&suite.number()) {
            return Err(KeyPackageError::Suite);
        }
        if !policy::is_timeless(&package) {
            return Err(KeyPackageError::Lifetime);
        }
        certificate
            .check(certificate.user(), certificate.account(), at)
            .map_err(Violation::from)?;
        policy::check_package(crypto, &package, &certificate)?;
        let reference = package
            .hash_ref(crypto)
            .map_err(|_| KeyPackageError::Malformed)?
            .as_slice()
            .to_vec();
        Ok(Self {
            package,
            certificate,
            suite,
            reference,
        })
    }

    /// The device that it adds.
    #[must_use]
    pub const fn certificate(&self) -> &DeviceCertificate {
        &self.certificate
    }

    /// For groups of which suite.
    #[must_use]
    pub const fn suite(&self) -> Suite {
        self.suite
    }

    /// The hash by which a Welcome names it.
    #[must_use]
    pub fn reference(&self) -> &[u8] {
        &self.reference
    }

    /// Whether it may be used several times.
    #[must_use]
    pub fn is_last_resort(&self) -> bool {
        self.package.last_resort()
    }
}
