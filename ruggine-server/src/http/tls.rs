//! TLS from PEM files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// What a listener needs to speak TLS.
#[derive(Debug, Clone)]
pub struct TlsConfig(pub(super) Arc<ServerConfig>);

/// TLS that cannot be used. The server does not start without it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read or is no PEM of the right kind.
    #[error("cannot read {what} from {path}: {reason}")]
    File {
        /// Certificate chain or private key.
        what: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Certificate and key do not fit, or are of an unusable kind.
    #[error("the certificate and the private key cannot be used together: {0}")]
    Unusable(#[source] rustls::Error),
}

impl TlsConfig {
    /// Reads a certificate chain and a private key. TLS 1.2 and 1.3, with
    /// hybrid post-quantum key exchange preferred.
    ///
    /// # Errors
    /// When a file cannot be read, or the two do not fit together.
    pub fn from_files(certificates: &Path, key: &Path) -> Result<Self, TlsError> {
        let unreadable = |what, path: &Path, reason: String| TlsError::File {
            what,
            path: path.to_path_buf(),
            reason,
        };
        let failed = |reason: rustls_pki_types::pem::Error| {
            unreadable("a certificate chain", certificates, reason.to_string())
        };
        let chain = CertificateDer::pem_file_iter(certificates)
            .map_err(failed)?
            .collect::<Result<Vec<_>, _>>()
            .map_err(failed)?;
        if chain.is_empty() {
            return Err(unreadable(
                "a certificate chain",
                certificates,
                "it holds no certificate".to_owned(),
            ));
        }
        let key_der = PrivateKeyDer::from_pem_file(key)
            .map_err(|reason| unreadable("a private key", key, reason.to_string()))?;
        Self::new(chain, key_der)
    }

    /// Uses a certificate chain and a private key that are at hand.
    ///
    /// # Errors
    /// When the two do not fit together.
    pub fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, TlsError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Unusable)?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(TlsError::Unusable)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self(Arc::new(config)))
    }
}
