//! Why a host's identity could not be verified.

/// What is wrong with a certificate, or with ssh's host key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Distrust {
    /// The certificate's period is over.
    #[error("the server's certificate has expired")]
    Expired,
    /// The certificate's period has not begun.
    #[error("the server's certificate is not valid yet")]
    NotYetValid,
    /// The certificate names other hosts.
    #[error("the server's certificate is for another host ({0})")]
    OtherName(String),
    /// No trusted authority signed the certificate. Holds the setting that names the trusted ones,
    /// if there is one.
    #[error("the server's certificate is signed by an authority that this machine does not trust")]
    UnknownIssuer(Option<&'static str>),
    /// The certificate is not one of a server.
    #[error("the server's certificate is not for servers ({0})")]
    Purpose(String),
    /// A key or signature in the chain is too weak, or damaged.
    #[error("a signature of the server's certificate is not accepted ({0})")]
    WeakKey(String),
    /// Anything else about the certificate.
    #[error("the server's certificate is not valid ({0})")]
    Invalid(String),
    /// The server wants another certificate of the client, or one at all.
    #[error("the server requires a client certificate, or refused the one that was sent")]
    ClientCertificate,
    /// The answer is not TLS.
    #[error("the server does not use TLS on this port")]
    NoTls,
    /// Client and server have no version or cipher in common, or the handshake broke.
    #[error("the TLS handshake failed ({0})")]
    Handshake(String),
    /// The key of an ssh host.
    #[error("the host's key is not the known one: {0}")]
    HostKey(String),
}

impl Distrust {
    /// Returns the advice to the user.
    pub(super) fn remedy(&self) -> String {
        match self {
            Self::Expired => "renew it on the server, or correct this machine's clock if it is wrong".to_owned(),
            Self::NotYetValid => {
                "correct this machine's clock, or wait until the certificate becomes valid".to_owned()
            }
            Self::OtherName(_) => {
                "use the host's name from the certificate, or correct the certificate on the server".to_owned()
            }
            Self::UnknownIssuer(None) => {
                "for a private CA set SSL_CERT_FILE or GIT_SSL_CAINFO to its certificate".to_owned()
            }
            Self::UnknownIssuer(Some(setting)) => format!(
                "the trusted certificates are those that {setting} names: add the certificate of this server's authority to them, and have the server send its intermediate certificates"
            ),
            Self::Purpose(_) => {
                "issue it anew with the extended key usage `serverAuth`".to_owned()
            }
            Self::WeakKey(_) => {
                "issue it anew with an RSA key of at least 2,048 bits or an elliptic curve, signed with SHA-256 or better".to_owned()
            }
            Self::Invalid(_) => "issue it anew on the server".to_owned(),
            Self::ClientCertificate => {
                "name the certificate and its key with GIT_SSL_CERT and GIT_SSL_KEY, or http.sslCert and http.sslKey of git's configuration".to_owned()
            }
            Self::NoTls => "check the address and its port".to_owned(),
            Self::Handshake(_) => {
                "check which versions the server supports: this program supports TLS 1.2 and 1.3".to_owned()
            }
            Self::HostKey(_) => {
                "add the host's key to known_hosts (ssh-keyscan shows it; compare it with the one the host publishes)".to_owned()
            }
        }
    }
}
