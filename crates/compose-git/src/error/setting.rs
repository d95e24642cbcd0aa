//! What is wrong with a setting.

use std::{path::PathBuf, sync::Arc};

use compose_model::{Cause, ExitCode, url::InvalidUrl};

/// The reason why a variable or a line of git's configuration is invalid. Values that may contain a
/// secret are not shown.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SettingProblem {
    /// The value is not the address of a proxy.
    #[error(
        "{name} is not a proxy's address (http://HOST:PORT, https:// or socks5://); its value is not shown, because it may contain a login"
    )]
    Proxy {
        /// The variable, or the key of git's configuration.
        name: &'static str,
    },
    /// The file of certificates cannot be read.
    #[error("{name} is {}, which cannot be used: {source}", path.display())]
    Certificates {
        /// The variable, or the key of git's configuration.
        name: &'static str,
        /// The file.
        path: PathBuf,
        /// The cause.
        source: Arc<rustls::pki_types::pem::Error>,
    },
    /// The client's key has a passphrase, and the program asks for none.
    #[error("{name} is {}, which cannot be used: the key in it is encrypted", path.display())]
    EncryptedKey {
        /// The variable, or the key of git's configuration.
        name: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// The file of the client's key contains none.
    #[error("{name} is {}, which cannot be used: it contains no key", path.display())]
    NoKey {
        /// The variable, or the key of git's configuration.
        name: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// The file of certificates contains none.
    #[error("{name} is {}, which cannot be used: it contains no certificate", path.display())]
    NoCertificate {
        /// The variable, or the key of git's configuration.
        name: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// The TLS library refuses the configuration.
    #[error(transparent)]
    Tls(#[from] Arc<rustls::Error>),
    /// The HTTP client refuses the configuration.
    #[error("{0}")]
    Client(String),
    /// `url.*.insteadOf` rewrites the address to an invalid one.
    #[error("url.*.insteadOf of git's configuration rewrites the address to one that is not allowed: {0}")]
    InsteadOf(#[source] InvalidUrl),
}

impl Cause for SettingProblem {
    fn exit_code(&self) -> ExitCode {
        match self {
            Self::Certificates { source, .. } => match &**source {
                rustls::pki_types::pem::Error::Io(error) => error.exit_code(),
                _ => ExitCode::Config,
            },
            Self::Proxy { .. }
            | Self::NoCertificate { .. }
            | Self::EncryptedKey { .. }
            | Self::NoKey { .. }
            | Self::Tls(_)
            | Self::Client(_)
            | Self::InsteadOf(_) => ExitCode::Config,
        }
    }
}
