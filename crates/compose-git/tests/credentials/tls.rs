//! The certificates that are trusted.

use std::{
    io::{Read as _, Write as _},
    sync::{Arc, Mutex},
};

use compose_git::Error;
use compose_model::Cause;

use super::{fetch, lab};
use crate::support::{Lab, server::Server};

#[tokio::test(flavor = "multi_thread")]
async fn a_configured_private_ca_is_trusted_and_bad_certificates_are_not_retried() {
    let (lab, commit) = lab();
    let ca = Authority::new();
    for variable in ["SSL_CERT_FILE", "GIT_SSL_CAINFO"] {
        let server = TlsRelay::start(&lab, &ca, "localhost", false);
        let mut options = lab.options();
        let path = lab.dir.path().join("ca.pem");
        std::fs::write(&path, ca.certificate.pem()).unwrap();
        options.environment.insert(variable.into(), path.into());
        _ = std::fs::remove_dir_all(lab.cache());
        assert_eq!(
            fetch(&options, &server.url(), &commit).await.unwrap(),
            ["x=x"],
            "{variable}"
        );
    }
    // By git's own setting, which the variable overrides.
    let server = TlsRelay::start(&lab, &ca, "localhost", false);
    std::fs::write(lab.home().join("ca.pem"), ca.certificate.pem()).unwrap();
    let config = lab.home().join(".gitconfig");
    std::fs::write(&config, "[http]\n sslCAInfo = ~/ca.pem\n sslVerify = false\n").unwrap();
    _ = std::fs::remove_dir_all(lab.cache());
    fetch(&lab.options(), &server.url(), &commit).await.unwrap();
    std::fs::remove_file(config).unwrap();
    _ = std::fs::remove_dir_all(lab.cache());
    for (host, expired, trusted, words, remedy) in [
        ("localhost", false, false, "does not trust", "SSL_CERT_FILE"),
        (
            "other.example",
            false,
            true,
            "not valid for name",
            "from the certificate",
        ),
        ("localhost", true, true, "expired", "renew it"),
    ] {
        let server = TlsRelay::start(&lab, &ca, host, expired);
        let mut options = lab.options();
        let path = lab.dir.path().join("trusted.pem");
        let pem = if trusted {
            ca.certificate.pem()
        } else {
            Authority::new().certificate.pem()
        };
        std::fs::write(&path, pem).unwrap();
        options.environment.insert("SSL_CERT_FILE".into(), path.into());
        // Verification cannot be switched off.
        options.environment.insert("GIT_SSL_NO_VERIFY".into(), "1".into());
        std::fs::write(lab.home().join(".gitconfig"), "[http]\n sslVerify = false\n").unwrap();
        let error = fetch(&options, &server.url(), &commit).await.unwrap_err();
        assert!(
            matches!(&error, Error::Untrusted { .. }) && error.to_string().contains(words),
            "{error}"
        );
        assert!(error.hint().unwrap().contains(remedy), "{error:?}");
        assert_eq!(lab.waits.0.lock().unwrap().len(), 0, "never tried again");
    }
    let mut options = lab.options();
    options
        .environment
        .insert("SSL_CERT_FILE".into(), lab.dir.path().join("nowhere.pem").into());
    let error = fetch(&options, "https://localhost:1/repo", &commit)
        .await
        .unwrap_err();
    assert!(
        matches!(&error, Error::Setting { .. })
            && error.to_string().contains("SSL_CERT_FILE")
            && error.to_string().contains("nowhere.pem"),
        "{error}"
    );
}

struct Authority {
    certificate: rcgen::Certificate,
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
        // With the same name, two authorities would differ in their signatures only.
        let id: String = (0..8).map(|_| fastrand::alphanumeric()).collect();
        parameters
            .distinguished_name
            .push(rcgen::DnType::CommonName, format!("authority {id}"));
        parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let certificate = parameters.self_signed(&key).unwrap();
        Self {
            certificate,
            issuer: rcgen::Issuer::new(parameters, key),
        }
    }
}

/// A TLS server in front of the plain one.
struct TlsRelay {
    port: u16,
    _behind: Arc<Mutex<Server>>,
}

impl TlsRelay {
    fn start(lab: &Lab, authority: &Authority, host: &str, expired: bool) -> Self {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut parameters = rcgen::CertificateParams::new(vec![host.to_owned()]).unwrap();
        if expired {
            parameters.not_after = rcgen::date_time_ymd(2001, 1, 1);
            parameters.not_before = rcgen::date_time_ymd(2000, 1, 1);
        }
        let certificate = parameters.signed_by(&key, &authority.issuer).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap();
        let config = Arc::new(config);
        let behind = Server::start(&lab.dir.path().join("srv"));
        let address = behind.address;
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let config = Arc::clone(&config);
                std::thread::spawn(move || relay(config, stream, address));
            }
        });
        Self {
            port,
            _behind: Arc::new(Mutex::new(behind)),
        }
    }

    fn url(&self) -> String {
        format!("https://localhost:{}/repo", self.port)
    }
}

/// Relays one request at a time: the client reads an answer before it sends the next request.
fn relay(config: Arc<rustls::ServerConfig>, outer: std::net::TcpStream, address: std::net::SocketAddr) {
    let Ok(session) = rustls::ServerConnection::new(config) else {
        return;
    };
    let mut tls = rustls::StreamOwned::new(session, outer);
    loop {
        let mut request = Vec::new();
        let mut buffer = [0; 16384];
        // Reads the head, then the body of the length that it announces.
        let whole = loop {
            match tls.read(&mut buffer) {
                Ok(0) | Err(_) => return,
                Ok(count) => request.extend_from_slice(&buffer[..count]),
            }
            let Some(end) = request.windows(4).position(|bytes| bytes == b"\r\n\r\n") else {
                continue;
            };
            let head = String::from_utf8_lossy(&request[..end]).to_lowercase();
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
            if request.len() >= end + 4 + length.unwrap_or(0) {
                break request;
            }
        };
        let mut inner = std::net::TcpStream::connect(address).unwrap();
        inner.write_all(&whole).unwrap();
        inner.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        inner.read_to_end(&mut answer).unwrap();
        if tls.write_all(&answer).and_then(|()| tls.flush()).is_err() {
            return;
        }
    }
}
