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
        (
            "localhost",
            false,
            false,
            "does not trust",
            "that SSL_CERT_FILE names",
        ),
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

/// As `openssl req -x509` makes it: its own authority, marked as one.
#[tokio::test(flavor = "multi_thread")]
async fn a_servers_own_certificate_can_be_the_trusted_one() {
    for is_ca in [true, false] {
        for (name, expired, words) in [
            ("localhost", false, None),
            ("other.example", false, Some("for another host")),
            ("localhost", true, Some("expired")),
        ] {
            let (lab, commit) = lab();
            let key = rcgen::KeyPair::generate().unwrap();
            let mut parameters = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
            if is_ca {
                parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
            }
            if expired {
                parameters.not_before = rcgen::date_time_ymd(2000, 1, 1);
                parameters.not_after = rcgen::date_time_ymd(2001, 1, 1);
            }
            let certificate = parameters.self_signed(&key).unwrap();
            let server = TlsRelay::with(&lab, &certificate, &key, None);
            let mut options = lab.options();
            let path = lab.dir.path().join("own.pem");
            std::fs::write(&path, certificate.pem()).unwrap();
            options.environment.insert("GIT_SSL_CAINFO".into(), path.into());
            let got = fetch(&options, &server.url(), &commit).await;
            match words {
                None => assert_eq!(got.unwrap(), ["x=x"], "{is_ca}"),
                Some(words) => {
                    let error = got.unwrap_err();
                    assert!(error.to_string().contains(words), "{is_ca}: {error}");
                }
            }
            // Another authority's trust does not extend to it.
            let path = lab.dir.path().join("foreign.pem");
            std::fs::write(&path, Authority::new().certificate.pem()).unwrap();
            options.environment.insert("GIT_SSL_CAINFO".into(), path.into());
            _ = std::fs::remove_dir_all(lab.cache());
            let error = fetch(&options, &server.url(), &commit).await.unwrap_err();
            assert!(matches!(error, Error::Untrusted { .. }), "{is_ca}: {error}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_of_certificates_is_trusted() {
    let (lab, commit) = lab();
    let ca = Authority::new();
    let server = TlsRelay::start(&lab, &ca, "localhost", false);
    let directory = lab.home().join("cas");
    std::fs::create_dir_all(directory.join("a directory")).unwrap();
    std::fs::write(directory.join("README"), "not a certificate").unwrap();
    std::fs::write(directory.join("our.pem"), ca.certificate.pem()).unwrap();
    std::os::unix::fs::symlink("our.pem", directory.join("0a1b2c3d.0")).unwrap();
    let mut options = lab.options();
    options
        .environment
        .insert("GIT_SSL_CAPATH".into(), directory.clone().into());
    fetch(&options, &server.url(), &commit).await.unwrap();
    std::fs::remove_dir_all(lab.cache()).unwrap();
    std::fs::write(lab.home().join(".gitconfig"), "[http]\n sslCAPath = ~/cas\n").unwrap();
    fetch(&lab.options(), &server.url(), &commit).await.unwrap();
    std::fs::remove_dir_all(lab.cache()).unwrap();
    std::fs::remove_file(directory.join("our.pem")).unwrap();
    let error = fetch(&options, &server.url(), &commit).await.unwrap_err();
    assert!(
        error.to_string().contains("GIT_SSL_CAPATH") && error.to_string().contains("no certificate"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_certificate_is_shown_to_the_server() {
    let (lab, commit) = lab();
    let (ca, clients) = (Authority::new(), Authority::new());
    let (certificate, key) = ca.issue("localhost", |_| {});
    let server = TlsRelay::with(&lab, &certificate, &key, Some(&clients));
    let mut options = lab.options();
    let path = lab.dir.path().join("ca.pem");
    std::fs::write(&path, ca.certificate.pem()).unwrap();
    options.environment.insert("GIT_SSL_CAINFO".into(), path.into());

    let error = fetch(&options, &server.url(), &commit).await.unwrap_err();
    assert!(
        error.to_string().contains("requires a client certificate"),
        "{error}"
    );
    assert!(error.hint().unwrap().contains("GIT_SSL_CERT"), "{error:?}");

    let (mine, key) = clients.issue("me", |_| {});
    std::fs::write(lab.home().join("me.pem"), mine.pem()).unwrap();
    std::fs::write(lab.home().join("me.key"), key.serialize_pem()).unwrap();
    std::fs::write(lab.home().join("both.pem"), mine.pem() + &key.serialize_pem()).unwrap();
    let config = |section: &str, lines: &str| {
        std::fs::write(lab.home().join(".gitconfig"), format!("[http{section}]\n{lines}")).unwrap();
    };
    let here = format!(" \"https://localhost:{}/\"", server.port);
    for (section, lines) in [
        ("", " sslCert = ~/me.pem\n sslKey = ~/me.key\n"),
        (here.as_str(), " sslCert = ~/both.pem\n"),
    ] {
        config(section, lines);
        _ = std::fs::remove_dir_all(lab.cache());
        assert_eq!(fetch(&options, &server.url(), &commit).await.unwrap(), ["x=x"]);
    }
    config(" \"https://elsewhere/\"", " sslCert = ~/both.pem\n");
    _ = std::fs::remove_dir_all(lab.cache());
    fetch(&options, &server.url(), &commit).await.unwrap_err();
    for (name, file) in [("GIT_SSL_CERT", "me.pem"), ("GIT_SSL_KEY", "me.key")] {
        let path = lab.home().join(file);
        options.environment.insert(name.into(), path.into());
    }
    assert_eq!(fetch(&options, &server.url(), &commit).await.unwrap(), ["x=x"]);
    options
        .environment
        .insert("GIT_SSL_KEY".into(), lab.home().join("nowhere").into());
    let error = fetch(&options, &server.url(), &commit).await;
    assert!(error.is_ok(), "everything is in the cache");
    std::fs::remove_dir_all(lab.cache()).unwrap();
    let error = fetch(&options, &server.url(), &commit).await.unwrap_err();
    assert!(
        matches!(&error, Error::Setting { .. }) && error.to_string().contains("GIT_SSL_KEY"),
        "{error}"
    );
    // Both forms of a key with a passphrase, as openssl writes them, and a file without any key.
    let openssl = |arguments: &[&str]| {
        let made = std::process::Command::new("openssl")
            .args(arguments)
            .current_dir(lab.home())
            .stderr(std::process::Stdio::null())
            .status();
        assert!(made.unwrap().success(), "{arguments:?}");
    };
    let made = ["-passout", "pass:x", "-out"];
    openssl(&[&["pkcs8", "-topk8", "-in", "me.key"][..], &made, &["new.key"]].concat());
    let old = ["ec", "-aes128", "-in", "me.key"];
    openssl(&[&old[..], &made, &["old.key"]].concat());
    for (file, why) in [
        ("new.key", "the key in it is encrypted"),
        ("old.key", "the key in it is encrypted"),
        ("me.pem", "it contains no key"),
    ] {
        options
            .environment
            .insert("GIT_SSL_KEY".into(), lab.home().join(file).into());
        let error = fetch(&options, &server.url(), &commit).await.unwrap_err();
        assert!(
            matches!(&error, Error::Setting { .. }) && error.to_string().contains(why),
            "{file}: {error}"
        );
        assert!(
            error
                .hint()
                .is_some_and(|hint| hint.contains("passphrase") == (why != "it contains no key")),
            "{:?}",
            error.hint()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_of_a_certificate_has_its_own_remedy() {
    let (lab, commit) = lab();
    let ca = Authority::new();
    let path = lab.dir.path().join("ca.pem");
    std::fs::write(&path, ca.certificate.pem()).unwrap();
    let mut options = lab.options();
    options.environment.insert("SSL_CERT_FILE".into(), path.into());
    type Change = fn(&mut rcgen::CertificateParams);
    let cases: [(Change, &str, &str); 2] = [
        (
            |parameters| parameters.not_before = rcgen::date_time_ymd(2150, 1, 1),
            "is not valid yet",
            "clock",
        ),
        (
            |parameters| {
                parameters.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
            },
            "is not for servers",
            "serverAuth",
        ),
    ];
    for (change, words, remedy) in cases {
        let (certificate, key) = ca.issue("localhost", |parameters| {
            parameters.not_after = rcgen::date_time_ymd(2200, 1, 1);
            change(parameters);
        });
        let server = TlsRelay::with(&lab, &certificate, &key, None);
        let error = fetch(&options, &server.url(), &commit).await.unwrap_err();
        let hint = error.hint().unwrap();
        assert!(error.to_string().contains(words), "{error}");
        assert!(hint.contains(remedy) && !hint.contains("SSL_CERT_FILE"), "{hint}");
    }
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

    /// Issues a certificate for a host.
    fn issue(
        &self,
        host: &str,
        change: impl FnOnce(&mut rcgen::CertificateParams),
    ) -> (rcgen::Certificate, rcgen::KeyPair) {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut parameters = rcgen::CertificateParams::new(vec![host.to_owned()]).unwrap();
        change(&mut parameters);
        let certificate = parameters.signed_by(&key, &self.issuer).unwrap();
        (certificate, key)
    }
}

/// A TLS server in front of the plain one.
struct TlsRelay {
    port: u16,
    _behind: Arc<Mutex<Server>>,
}

impl TlsRelay {
    fn start(lab: &Lab, authority: &Authority, host: &str, expired: bool) -> Self {
        let (certificate, key) = authority.issue(host, |parameters| {
            if expired {
                parameters.not_after = rcgen::date_time_ymd(2001, 1, 1);
                parameters.not_before = rcgen::date_time_ymd(2000, 1, 1);
            }
        });
        Self::with(lab, &certificate, &key, None)
    }

    /// Starts a server with this certificate that lets in only clients of `clients`.
    fn with(
        lab: &Lab,
        certificate: &rcgen::Certificate,
        key: &rcgen::KeyPair,
        clients: Option<&Authority>,
    ) -> Self {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = rustls::RootCertStore::empty();
                roots.add(authority.certificate.der().clone()).unwrap();
                let verifier =
                    rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let config = builder
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
