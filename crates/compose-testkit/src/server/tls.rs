//! A private certificate authority, with valid and invalid server certificates.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
    PublicKeyData as _,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// A certificate authority that no machine trusts by default.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A server's certificate with its key.
#[derive(Debug, Clone)]
pub struct Identity {
    config: Arc<rustls::ServerConfig>,
}

impl Authority {
    /// Creates an authority with a new key.
    ///
    /// # Panics
    ///
    /// If there is no source of randomness.
    #[expect(clippy::new_without_default, reason = "no two are equal")]
    pub fn new() -> Self {
        let key = key();
        // A unique name lets clients tell an unknown authority from a forged signature.
        let id: String = key
            .der_bytes()
            .iter()
            .rev()
            .take(8)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(DnType::CommonName, format!("compose-testkit authority {id}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let issuer = CertifiedIssuer::self_signed(params, key).expect("the parameters are complete");
        Self { issuer }
    }

    /// Returns the certificate as PEM, for `SSL_CERT_FILE` and `GIT_SSL_CAINFO`.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// Writes [`Authority::pem`] to `ca.pem` in a directory.
    ///
    /// # Panics
    ///
    /// If it cannot be written.
    pub fn write(&self, directory: &Path) -> PathBuf {
        let path = directory.join("ca.pem");
        std::fs::write(&path, self.pem())
            .unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
        path
    }

    /// Returns a valid identity for `localhost` and `127.0.0.1`, from 1975 to 4096.
    pub fn identity(&self) -> Identity {
        self.sign(CertificateParams::new([
            "localhost".to_owned(),
            "127.0.0.1".to_owned(),
        ]))
    }

    /// Returns an identity whose certificate has expired.
    pub fn expired_identity(&self) -> Identity {
        self.sign(
            CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()]).map(|mut params| {
                params.not_before = rcgen::date_time_ymd(2000, 1, 1);
                params.not_after = rcgen::date_time_ymd(2001, 1, 1);
                params
            }),
        )
    }

    /// Returns an identity with the certificate of another host.
    pub fn other_host_identity(&self) -> Identity {
        self.sign(CertificateParams::new(["git.example.com".to_owned()]))
    }

    fn sign(&self, params: Result<CertificateParams, rcgen::Error>) -> Identity {
        let key = key();
        let certificate = params
            .and_then(|params| params.signed_by(&key, &self.issuer))
            .expect("the parameters are complete");
        let chain: Vec<CertificateDer<'static>> = vec![certificate.der().clone(), self.issuer.der().clone()];
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("the key was just made");
        // The provider is explicit because other code may set a process-wide default.
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring speaks them")
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .expect("the key fits the certificate");
        Identity {
            config: Arc::new(config),
        }
    }
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Authority")
    }
}

impl Identity {
    /// Returns the TLS configuration, for a server outside of this kit.
    pub fn server_config(&self) -> Arc<rustls::ServerConfig> {
        Arc::clone(&self.config)
    }
}

fn key() -> KeyPair {
    KeyPair::generate().expect("the machine has randomness")
}
