//! TLS: which certificates are trusted, and which one is shown to the server.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, OtherError, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_name,
    },
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject as _},
    server::ParsedCertificate,
};

use crate::{error::SettingProblem, gitconfig::GitConfig, options::Options};

/// The most files of a directory of certificates that are read; real ones have some hundred.
const MOST_FILES: usize = 4096;

/// A file or directory of certificates, and the setting that names it.
type Named = (&'static str, PathBuf);

/// The settings of TLS for one address.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct TlsSettings {
    /// Files of trusted certificates.
    files: Vec<Named>,
    /// Directories of trusted certificates.
    directories: Vec<Named>,
    /// The client's certificate and its key.
    identity: Option<(Named, Named)>,
}

impl TlsSettings {
    /// Reads the settings. `GIT_SSL_CAINFO` (or `http.sslCAInfo`, over which it takes precedence),
    /// `GIT_SSL_CAPATH` (`http.sslCAPath`) and `SSL_CERT_FILE` replace the machine's certificates,
    /// as for git and OpenSSL. `GIT_SSL_CERT` and `GIT_SSL_KEY` (`http.sslCert`, `http.sslKey`)
    /// name the client's certificate; a key that is not named is in the certificate's file.
    pub(super) fn of(options: &Options, config: &GitConfig, url: &reqwest::Url) -> Self {
        let variable = |name: &'static str| Some((name, PathBuf::from(options.variable(name)?)));
        let configured = config.tls(url);
        let of_git = |name, key, path: Option<PathBuf>| variable(name).or_else(|| Some((key, path?)));
        let file = of_git(
            "GIT_SSL_CAINFO",
            "http.sslCAInfo of git's configuration",
            configured.authorities,
        );
        let directory = of_git(
            "GIT_SSL_CAPATH",
            "http.sslCAPath of git's configuration",
            configured.directory,
        );
        let certificate = of_git(
            "GIT_SSL_CERT",
            "http.sslCert of git's configuration",
            configured.certificate,
        );
        let key = of_git(
            "GIT_SSL_KEY",
            "http.sslKey of git's configuration",
            configured.key,
        );
        Self {
            files: file.into_iter().chain(variable("SSL_CERT_FILE")).collect(),
            directories: directory.into_iter().collect(),
            identity: certificate.map(|certificate| {
                let key = key.unwrap_or_else(|| certificate.clone());
                (certificate, key)
            }),
        }
    }

    /// Returns the setting that names trusted certificates, if there is one.
    pub(super) fn trust(&self) -> Option<&'static str> {
        self.files
            .iter()
            .chain(&self.directories)
            .map(|(name, _)| *name)
            .next()
    }

    /// Returns where the trusted certificates come from, and their number. Unlike a client, it does not wait at a fifo.
    pub(super) fn described(&self) -> Result<(String, usize), SettingProblem> {
        for named in &self.files {
            if named.1.metadata().is_ok_and(|found| !found.is_file()) {
                let error = std::io::Error::new(std::io::ErrorKind::InvalidInput, "it is not a regular file");
                return Err(unusable(named, rustls::pki_types::pem::Error::Io(error)));
            }
        }
        let (roots, trusted) = self.roots()?;
        let named: Vec<String> = self
            .files
            .iter()
            .chain(&self.directories)
            .map(|(name, path)| format!("{name} ({})", path.display()))
            .collect();
        let origin = match (named.as_slice(), trusted.as_slice()) {
            ([], []) => "Mozilla's list, because this machine has none".to_owned(),
            ([], _) => "this machine".to_owned(),
            _ => named.join(" and "),
        };
        Ok((origin, roots.len()))
    }

    /// Returns the configuration of the client.
    pub(super) fn client(&self) -> Result<ClientConfig, SettingProblem> {
        let (roots, trusted) = self.roots()?;
        let mut config = base(roots, trusted)?;
        if let Some((certificate, key)) = &self.identity {
            let chain = certificates(certificate)?;
            let key = PrivateKeyDer::from_pem_file(&key.1).map_err(|source| unusable_key(key, source))?;
            let resolver =
                rustls::sign::CertifiedKey::from_der(chain, key, &rustls::crypto::ring::default_provider())
                    .map_err(Arc::new)?;
            config.client_auth_cert_resolver = Arc::new(rustls::sign::SingleCertAndKey::from(resolver));
        }
        Ok(config)
    }

    /// Returns the trusted certificates. Without settings the machine's are used, and on a machine
    /// without any (slim images) Mozilla's. Verification cannot be switched off, neither by
    /// `GIT_SSL_NO_VERIFY` nor by `http.sslVerify`.
    fn roots(&self) -> Result<(RootCertStore, Vec<CertificateDer<'static>>), SettingProblem> {
        let mut roots = RootCertStore::empty();
        let mut trusted = Vec::new();
        for named in &self.files {
            let found = certificates(named)?;
            if roots.add_parsable_certificates(found.iter().cloned()).0 == 0 {
                return Err(SettingProblem::NoCertificate {
                    name: named.0,
                    path: named.1.clone(),
                });
            }
            trusted.extend(found);
        }
        for (name, path) in &self.directories {
            let found = certificates_of_directory(name, path)?;
            if roots.add_parsable_certificates(found.iter().cloned()).0 == 0 {
                return Err(SettingProblem::NoCertificate {
                    name,
                    path: path.clone(),
                });
            }
            trusted.extend(found);
        }
        if self.trust().is_none() {
            trusted = rustls_native_certs::load_native_certs().certs;
            roots.add_parsable_certificates(trusted.iter().cloned());
        }
        if roots.is_empty() {
            tracing::debug!("no certificates on this machine: Mozilla's are used");
            roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        }
        Ok((roots, trusted))
    }
}

fn unusable(named: &Named, source: rustls::pki_types::pem::Error) -> SettingProblem {
    SettingProblem::Certificates {
        name: named.0,
        path: named.1.clone(),
        source: Arc::new(source),
    }
}

fn unusable_key(named: &Named, source: rustls::pki_types::pem::Error) -> SettingProblem {
    let (name, path) = (named.0, named.1.clone());
    // PKCS#8 says so in the first line of the key, the older form in a header.
    let text = std::fs::read(&path).unwrap_or_default();
    let is_encrypted = String::from_utf8_lossy(&text).lines().any(|line| {
        line.starts_with("-----BEGIN ENCRYPTED")
            || line.starts_with("Proc-Type:") && line.contains("ENCRYPTED")
    });
    match source {
        _ if is_encrypted => SettingProblem::EncryptedKey { name, path },
        rustls::pki_types::pem::Error::NoItemsFound => SettingProblem::NoKey { name, path },
        source => unusable(named, source),
    }
}

fn certificates(named: &Named) -> Result<Vec<CertificateDer<'static>>, SettingProblem> {
    let unusable = |source| unusable(named, source);
    let found = CertificateDer::pem_file_iter(&named.1).map_err(unusable)?;
    let found: Vec<_> = found.collect::<Result<_, _>>().map_err(unusable)?;
    if found.is_empty() {
        return Err(SettingProblem::NoCertificate {
            name: named.0,
            path: named.1.clone(),
        });
    }
    Ok(found)
}

/// Reads the certificates of a directory as `openssl rehash` makes it. Other files are skipped.
fn certificates_of_directory(
    name: &'static str,
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, SettingProblem> {
    let entries = std::fs::read_dir(path).map_err(|error| {
        let named = (name, path.to_owned());
        unusable(&named, rustls::pki_types::pem::Error::Io(error))
    })?;
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.sort();
    files.truncate(MOST_FILES);
    let mut found: Vec<CertificateDer<'static>> = files
        .iter()
        .filter(|file| file.is_file())
        .filter_map(|file| CertificateDer::pem_file_iter(file).ok())
        .flat_map(Iterator::flatten)
        .collect();
    // A certificate is there under its own name and by a link under its hash.
    found.sort_by(|a, b| a.as_ref().cmp(b.as_ref()));
    found.dedup();
    Ok(found)
}

/// Returns a configuration that trusts these roots, and these certificates as servers' own.
pub(super) fn base(
    roots: RootCertStore,
    trusted: Vec<CertificateDer<'static>>,
) -> Result<ClientConfig, SettingProblem> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(Arc::new)?;
    let mut config = if roots.is_empty() {
        builder.with_root_certificates(roots).with_no_client_auth()
    } else {
        let webpki = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .map_err(|error| SettingProblem::Client(error.to_string()))?;
        builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Verifier { webpki, trusted }))
            .with_no_client_auth()
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// Verifies as webpki does, and also accepts a server's certificate that is itself a trusted one
/// although it is that of an authority. `openssl req -x509` makes such certificates, and OpenSSL
/// accepts them.
#[derive(Debug)]
struct Verifier {
    webpki: Arc<WebPkiServerVerifier>,
    trusted: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verified =
            self.webpki
                .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match verified {
            // webpki has looked at the period of validity before this, but not at the name.
            Err(error) if is_authoritys(&error) && self.trusted.contains(end_entity) => {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.webpki.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.webpki.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.webpki.supported_verify_schemes()
    }
}

/// Returns whether a certificate was refused because it is that of an authority.
fn is_authoritys(error: &rustls::Error) -> bool {
    let rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(cause))) = error else {
        return false;
    };
    cause.downcast_ref::<webpki::Error>() == Some(&webpki::Error::CaUsedAsEndEntity)
}
