//! Who is sent which secret, and that nobody is shown one.

mod support;

use std::{
    io::{Read as _, Write as _},
    os::unix::fs::PermissionsExt as _,
    sync::{Arc, Mutex},
};

use compose_git::{Error, Git, Options};
use compose_model::ExitCode;
use support::{
    Lab, contents,
    server::{Action, Request, Server},
    url, want,
};

/// `Basic` of a login.
fn basic(login: &str, secret: &str) -> String {
    use base64::{Engine as _, prelude::BASE64_STANDARD};
    format!("Basic {}", BASE64_STANDARD.encode(format!("{login}:{secret}")))
}

/// Serves who shows one of these.
fn guarded(lab: &Lab, accepted: &[String]) -> Server {
    let accepted = accepted.to_vec();
    Server::with(&lab.dir.path().join("srv"), move |request| {
        if request
            .header("authorization")
            .is_some_and(|shown| accepted.iter().any(|one| one == shown))
        {
            Action::Serve
        } else {
            let ask = vec![("www-authenticate", "Basic realm=\"x\"".to_owned())];
            Action::Answer("401 Unauthorized", ask, b"who are you".to_vec())
        }
    })
}

fn lab() -> (Lab, String) {
    let lab = Lab::new();
    let catalog = lab.catalog("repo");
    catalog.write("env/x", "x");
    let commit = catalog.commit();
    (lab, commit)
}

async fn fetch(options: &Options, address: &str, commit: &str) -> Result<Vec<String>, Error> {
    let repo = Git::new(options.clone()).unwrap().repo(&url(address));
    let got = repo.fetch(&[want(commit, &["env"])]).await?;
    Ok(contents(&got[0], "env"))
}

fn shown(server: &Server) -> Vec<Option<String>> {
    server
        .requests()
        .iter()
        .map(|request| request.header("authorization").map(str::to_owned))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hosts_token_is_sent_at_once() {
    let (lab, commit) = lab();
    let server = guarded(&lab, &[basic("x-access-token", "t0ken")]);
    let mut options = lab.options();
    options
        .environment
        .insert("BITOPS_COMPOSE_TOKEN_127_0_0_1".into(), "t0ken".into());
    fetch(&options, &server.url("repo"), &commit).await.unwrap();
    assert!(
        shown(&server).iter().all(Option::is_some),
        "no round trip for a 401"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn githubs_token_goes_to_githubs_server_only() {
    let (lab, commit) = lab();
    let server = guarded(&lab, &[basic("x-access-token", "gh")]);
    let mut options = lab.options();
    options.environment.insert("GITHUB_TOKEN".into(), "gh".into());
    let error = fetch(&options, &server.url("repo"), &commit).await.unwrap_err();
    assert_eq!(error.exit_code(), ExitCode::Refused);
    assert_eq!(shown(&server), [None]);
    options.environment.insert(
        "GITHUB_SERVER_URL".into(),
        format!("http://{}", server.address).into(),
    );
    fetch(&options, &server.url("repo"), &commit).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_token_is_an_error_that_does_not_show_it() {
    let (lab, commit) = lab();
    let server = guarded(&lab, &[]);
    let mut options = lab.options();
    options
        .environment
        .insert("BITOPS_COMPOSE_TOKEN_127_0_0_1".into(), "wrong-s3cret".into());
    let error = fetch(&options, &server.url("repo"), &commit).await.unwrap_err();
    let text = format!("{error} {error:?} {:?} {options:?}", error.hint());
    assert!(
        text.contains("the credentials were refused") && text.contains("who are you"),
        "{text}"
    );
    assert!(
        !text.contains("s3cret") && !text.contains(&basic("x-access-token", "wrong-s3cret")[6..]),
        "{text}"
    );
    assert_eq!(server.count(), 1, "never tried again");
}

#[tokio::test(flavor = "multi_thread")]
async fn git_credential_helpers_are_asked_on_a_401() {
    let (lab, commit) = lab();
    let server = guarded(&lab, &[basic("me", "from helper")]);
    let asked = lab.dir.path().join("asked");
    let helper = lab.dir.path().join("helper");
    let script = format!(
        "#!/bin/sh\necho \"$1\" >> {0}\ncat >> {0}\nenv >> {0}\necho username=me\necho 'password=from helper'\n",
        asked.display()
    );
    std::fs::write(&helper, script).unwrap();
    std::fs::set_permissions(&helper, std::fs::Permissions::from_mode(0o755)).unwrap();
    let config = format!(
        "[credential]\n helper = !false\n[credential \"http://{}\"]\n helper = {}\n[credential \"http://elsewhere\"]\n helper =\n",
        server.address,
        helper.display()
    );
    std::fs::write(lab.home().join(".gitconfig"), config).unwrap();
    let mut options = lab.options();
    options
        .environment
        .insert("BITOPS_COMPOSE_TOKEN_OTHER".into(), "for another".into());
    options.environment.insert("GIT_DIR".into(), "/hostile".into());
    fetch(&options, &server.url("repo"), &commit).await.unwrap();
    let asked = std::fs::read_to_string(asked).unwrap();
    assert!(
        asked.starts_with(&format!("get\nprotocol=http\nhost={}\n", server.address)),
        "{asked}"
    );
    assert!(
        !asked.contains("for another") && !asked.contains("/hostile"),
        "{asked}"
    );
    let shown = shown(&server);
    assert!(shown[0].is_none() && shown[1..].iter().all(Option::is_some));
}

#[tokio::test(flavor = "multi_thread")]
async fn netrc_answers_when_no_helper_does() {
    let (lab, commit) = lab();
    let server = guarded(&lab, &[basic("you", "net rc")]);
    std::fs::write(
        lab.home().join(".netrc"),
        "machine elsewhere login a password b\nmachine 127.0.0.1\n login you\n password \"net rc\"\n",
    )
    .unwrap();
    fetch(&lab.options(), &server.url("repo"), &commit).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_are_rewritten_and_a_login_in_them_is_a_credential() {
    let (lab, commit) = lab();
    let server = guarded(&lab, &[basic("ci", "p@ss")]);
    let config = format!(
        "[url \"http://ci:p%40ss@{}/\"]\n insteadOf = https://git.example/\n[url \"file://{}/\"]\n insteadOf = disk:\n insteadOf = https://disk.example/\n[url \"ext::sh -c \"]\n insteadOf = https://evil.example/\n",
        server.address,
        lab.dir.path().join("srv").display(),
    );
    std::fs::write(lab.home().join(".gitconfig"), config).unwrap();
    fetch(&lab.options(), "https://git.example/repo", &commit)
        .await
        .unwrap();
    assert_eq!(shown(&server)[0], Some(basic("ci", "p@ss")));
    fetch(&lab.options(), "https://disk.example/repo", &commit)
        .await
        .unwrap();
    let error = fetch(&lab.options(), "https://evil.example/repo", &commit)
        .await
        .unwrap_err();
    assert!(
        matches!(&error, Error::Setting { .. }) && error.to_string().contains("insteadOf"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_that_git_is_told_to_send_goes_to_its_address_only() {
    let (lab, commit) = lab();
    let server = guarded(&lab, &["basic c3VyZQ==".to_owned()]);
    let write = |section: &str| {
        let text = format!(
            "[http{section}]\n extraheader = AUTHORIZATION: basic c3VyZQ==\n extraheader = X-Team: me\n"
        );
        std::fs::write(lab.home().join(".gitconfig"), text).unwrap();
    };
    // Without an address it would go everywhere: it goes nowhere.
    write("");
    let error = fetch(&lab.options(), &server.url("repo"), &commit)
        .await
        .unwrap_err();
    assert_eq!(error.exit_code(), ExitCode::Refused);
    assert_eq!(shown(&server), [None]);

    write(&format!(" \"http://{}/\"", server.address));
    fetch(&lab.options(), &server.url("repo"), &commit).await.unwrap();
    let own = &server.requests()[1..];
    assert!(own.iter().all(|request| request.header("x-team") == Some("me")));
    assert!(shown(&server)[1..].iter().all(Option::is_some), "at once");

    // Another host sees neither, though it was led there.
    std::fs::remove_dir_all(lab.cache()).unwrap();
    let target = Server::start(&lab.dir.path().join("srv"));
    let to = target.url("repo").replace("127.0.0.1", "localhost");
    let from = Server::with(&lab.dir.path().join("srv"), move |request: &Request| {
        let tail = request.target.strip_prefix("/repo").unwrap_or_default();
        Action::Answer("302 Found", vec![("location", format!("{to}{tail}"))], Vec::new())
    });
    write(&format!(" \"http://{}/\"", from.address));
    fetch(&lab.options(), &from.url("repo"), &commit).await.unwrap();
    assert!(shown(&from)[0].is_some());
    assert_eq!(shown(&target), [None, None]);
    assert!(
        target
            .requests()
            .iter()
            .all(|request| request.header("x-team").is_none())
    );

    // A token for us is meant more than a header for git.
    std::fs::remove_dir_all(lab.cache()).unwrap();
    let server = guarded(&lab, &[basic("x-access-token", "t0ken")]);
    write(&format!(" \"http://{}/\"", server.address));
    let mut options = lab.options();
    options
        .environment
        .insert("BITOPS_COMPOSE_TOKEN_127_0_0_1".into(), "t0ken".into());
    fetch(&options, &server.url("repo"), &commit).await.unwrap();
    assert_eq!(shown(&server)[0], Some(basic("x-access-token", "t0ken")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_to_another_host_gets_its_own_credential_or_none() {
    let (lab, commit) = lab();
    let target = Server::start(&lab.dir.path().join("srv"));
    let to = target.url("repo").replace("127.0.0.1", "localhost");
    let from = Server::with(&lab.dir.path().join("srv"), move |request: &Request| {
        let tail = request.target.strip_prefix("/repo").unwrap_or_default();
        Action::Answer("302 Found", vec![("location", format!("{to}{tail}"))], Vec::new())
    });
    let mut options = lab.options();
    options
        .environment
        .insert("BITOPS_COMPOSE_TOKEN_127_0_0_1".into(), "for the first".into());
    fetch(&options, &from.url("repo"), &commit).await.unwrap();
    assert!(shown(&from)[0].is_some());
    assert_eq!(shown(&target), [None, None]);
    // Not even when the new host asks.
    let asking = guarded(&lab, &[basic("x-access-token", "for the second")]);
    let to = asking.url("repo").replace("127.0.0.1", "localhost");
    let from = Server::with(&lab.dir.path().join("srv"), move |request: &Request| {
        let tail = request.target.strip_prefix("/repo").unwrap_or_default();
        Action::Answer("302 Found", vec![("location", format!("{to}{tail}"))], Vec::new())
    });
    std::fs::remove_dir_all(lab.cache()).unwrap();
    fetch(&options, &from.url("repo"), &commit).await.unwrap_err();
    assert_eq!(shown(&asking), [None]);
    options
        .environment
        .insert("BITOPS_COMPOSE_TOKEN_LOCALHOST".into(), "for the second".into());
    fetch(&options, &from.url("repo"), &commit).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_is_none_is_named_without_its_value() {
    let (lab, commit) = lab();
    let mut options = lab.options();
    options
        .environment
        .insert("HTTPS_PROXY".into(), "http://user:pr0xy@[".into());
    let error = fetch(&options, "http://127.0.0.1:1/repo", &commit)
        .await
        .unwrap_err();
    assert!(
        matches!(&error, Error::Setting { .. }) && !format!("{error:?}").contains("pr0xy"),
        "{error:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn proxies_are_used_unless_exempt() {
    let (lab, commit) = lab();
    // A proxy for plain http is sent whole addresses; the test server understands them.
    let proxy = Server::start(&lab.dir.path().join("srv"));
    let mut options = lab.options();
    options.environment.insert(
        "http_proxy".into(),
        format!("http://user:pr0xy@{}", proxy.address).into(),
    );
    fetch(&options, "http://catalog.invalid/repo", &commit)
        .await
        .unwrap();
    let requests = proxy.requests();
    assert!(
        requests
            .iter()
            .all(|request| request.target.starts_with("http://catalog.invalid/")),
        "{requests:?}"
    );
    assert!(
        requests
            .iter()
            .all(|request| request.header("proxy-authorization") == Some(&basic("user", "pr0xy")))
    );
    std::fs::remove_dir_all(lab.cache()).unwrap();
    let direct = Server::start(&lab.dir.path().join("srv"));
    options.environment.insert("NO_PROXY".into(), "127.0.0.1".into());
    fetch(&options, &direct.url("repo"), &commit).await.unwrap();
    assert_eq!((direct.count(), proxy.count()), (2, requests.len()));
}

/// A stand-in for the far side of ssh: it notes how it was called, and runs the command on this machine.
fn fake_ssh(lab: &Lab, script: &str) -> Options {
    let bin = lab.dir.path().join("bin");
    std::fs::create_dir_all(&bin).unwrap();
    let called = lab.dir.path().join("called");
    std::fs::write(
        bin.join("ssh"),
        format!(
            "#!/bin/sh\necho \"$@\" > {0}\nenv >> {0}\n{script}\n",
            called.display()
        ),
    )
    .unwrap();
    std::fs::set_permissions(bin.join("ssh"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut options = lab.options();
    let path = std::env::var("PATH").unwrap();
    options
        .environment
        .insert("PATH".into(), format!("{}:{path}", bin.display()).into());
    options
}

#[tokio::test(flavor = "multi_thread")]
async fn ssh_is_run_with_nothing_but_what_it_needs() {
    let (lab, commit) = lab();
    let mut options = fake_ssh(&lab, "for last; do :; done\nexec sh -c \"$last\"");
    for name in [
        "AWS_SECRET_ACCESS_KEY",
        "GITHUB_TOKEN",
        "BITOPS_COMPOSE_TOKEN_HOST",
        "GIT_SSH_COMMAND",
        "GIT_DIR",
    ] {
        options.environment.insert(name.into(), "s3cret".into());
    }
    options
        .environment
        .insert("SSH_AUTH_SOCK".into(), "/agent".into());
    let address = format!("ssh://git@host:2222{}/repo", lab.dir.path().join("srv").display());
    assert_eq!(fetch(&options, &address, &commit).await.unwrap(), ["x=x"]);
    let called = std::fs::read_to_string(lab.dir.path().join("called")).unwrap();
    assert!(called.starts_with("-o BatchMode=yes -o ConnectTimeout=10 -o SendEnv=GIT_PROTOCOL -T -p 2222 -- git@host git-upload-pack '/"), "{called}");
    assert!(
        !called.contains("s3cret")
            && called.contains("SSH_AUTH_SOCK=/agent")
            && called.contains("GIT_PROTOCOL=version=2"),
        "{called}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn ssh_that_fails_says_why() {
    let (lab, commit) = lab();
    let address = "git@host:repo";
    for (said, code, waits) in [
        ("Host key verification failed.", ExitCode::Unreachable, 0),
        ("git@host: Permission denied (publickey).", ExitCode::Refused, 0),
        ("ERROR: Repository not found.", ExitCode::Unreachable, 0),
        (
            "ssh: connect to host host port 22: Connection refused",
            ExitCode::Unreachable,
            3,
        ),
    ] {
        lab.waits.0.lock().unwrap().clear();
        let options = fake_ssh(
            &lab,
            &format!("echo '{said}' >&2; printf '\\033[2J' >&2; exit 255"),
        );
        let error = fetch(&options, address, &commit).await.unwrap_err();
        assert_eq!(
            (error.exit_code(), lab.waits.0.lock().unwrap().len()),
            (code, waits),
            "{error:?}"
        );
        assert!(
            error.to_string().contains(said) && !error.to_string().contains('\u{1b}'),
            "{error}"
        );
    }
    // One that says nothing and does nothing is ended by the deadline, and does not stay behind.
    let mut options = fake_ssh(
        &lab,
        &format!(
            "echo $$ > {}; exec sleep 1000",
            lab.dir.path().join("pid").display()
        ),
    );
    options.timeout = std::time::Duration::from_millis(700);
    let error = fetch(&options, address, &commit).await.unwrap_err();
    assert!(matches!(error, Error::TimedOut { .. }), "{error:?}");
    let pid = std::fs::read_to_string(lab.dir.path().join("pid")).unwrap();
    let process = std::path::PathBuf::from(format!("/proc/{}", pid.trim()));
    let until = std::time::Instant::now() + std::time::Duration::from_secs(5);
    while process.join("exe").exists() {
        assert!(std::time::Instant::now() < until, "ssh is still running");
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_ca_is_trusted_when_it_is_named_and_bad_certificates_are_final() {
    let (lab, commit) = lab();
    let ca = Authority::new();
    for variable in ["SSL_CERT_FILE", "GIT_SSL_CAINFO"] {
        let server = Tls::start(&lab, &ca, "localhost", false);
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
    // By git's own setting, which the variable outdoes.
    let server = Tls::start(&lab, &ca, "localhost", false);
    std::fs::write(lab.home().join("ca.pem"), ca.certificate.pem()).unwrap();
    let config = lab.home().join(".gitconfig");
    std::fs::write(&config, "[http]\n sslCAInfo = ~/ca.pem\n sslVerify = false\n").unwrap();
    _ = std::fs::remove_dir_all(lab.cache());
    fetch(&lab.options(), &server.url(), &commit).await.unwrap();
    std::fs::remove_file(config).unwrap();
    _ = std::fs::remove_dir_all(lab.cache());
    for (host, expired, trusted, words, remedy) in [
        ("localhost", false, false, "not trusted here", "SSL_CERT_FILE"),
        (
            "other.example",
            false,
            true,
            "not valid for name",
            "in the certificate",
        ),
        ("localhost", true, true, "expired", "renewed"),
    ] {
        let server = Tls::start(&lab, &ca, host, expired);
        let mut options = lab.options();
        let path = lab.dir.path().join("trusted.pem");
        let pem = if trusted {
            ca.certificate.pem()
        } else {
            Authority::new().certificate.pem()
        };
        std::fs::write(&path, pem).unwrap();
        options.environment.insert("SSL_CERT_FILE".into(), path.into());
        // Nothing switches verification off.
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
        // Of one name, two would be told apart by their signatures only.
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

/// TLS in front of the plain server.
struct Tls {
    port: u16,
    _behind: Arc<Mutex<Server>>,
}

impl Tls {
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

/// One request after the other: the client sends no second one before it has read the first one's answer.
fn relay(config: Arc<rustls::ServerConfig>, outer: std::net::TcpStream, address: std::net::SocketAddr) {
    let Ok(session) = rustls::ServerConnection::new(config) else {
        return;
    };
    let mut tls = rustls::StreamOwned::new(session, outer);
    loop {
        let mut request = Vec::new();
        let mut buffer = [0; 16384];
        // Up to the end of the head, then the body that it announces.
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
