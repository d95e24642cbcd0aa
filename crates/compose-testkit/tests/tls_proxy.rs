//! HTTPS with a private authority, and a proxy, with stock git as the client.

use std::net::TcpStream;
use std::process::Output;
use std::sync::Arc;

use compose_testkit::server::{Authority, Proxy, Tunnel};
use compose_testkit::{Catalog, GitServer, git};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

struct World {
    root: tempfile::TempDir,
    authority: Authority,
}

fn world() -> World {
    let root = tempfile::tempdir().unwrap();
    Catalog::new("kubernetes")
        .file("eks/main.tf", "one")
        .tag("1.0.0")
        .build(root.path());
    World {
        root,
        authority: Authority::new(),
    }
}

impl World {
    fn ls_remote(&self, server: &GitServer, variables: &[(&str, &str)]) -> Output {
        git::command(self.root.path())
            .args(["ls-remote", &server.url("kubernetes"), "refs/tags/1.0.0"])
            .envs(variables.iter().copied())
            .output()
            .unwrap()
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_private_authority_is_trusted_only_if_it_is_configured() {
    let world = world();
    let ca = world.authority.write(world.root.path());
    let trust = [("GIT_SSL_CAINFO", ca.to_str().unwrap())];
    let server = GitServer::start_tls(world.root.path(), &world.authority.identity());
    let for_own_arguments = world.ls_remote(&server, &[]);
    assert!(
        stderr(&for_own_arguments).contains("certificate"),
        "{for_own_arguments:?}"
    );
    let output = world.ls_remote(&server, &trust);
    assert!(
        String::from_utf8_lossy(&output.stdout).ends_with("\trefs/tags/1.0.0\n"),
        "{output:?}"
    );
    assert_eq!(server.stats("kubernetes").ls_refs, 1);
    assert!(server.url("x").starts_with("https://localhost:"));
}

/// Returns the error of a TLS client that trusts the authority, or `None` if the server's
/// certificate is valid.
fn handshake_error(server: &GitServer, authority: &Authority) -> Option<rustls::Error> {
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap())
        .unwrap();
    let config =
        rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
    let name = "localhost".try_into().unwrap();
    let mut session = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream = TcpStream::connect(server.socket_address()).unwrap();
    let error = session.complete_io(&mut stream).err()?;
    Some(error.downcast().unwrap())
}

#[test]
fn invalid_certificates_give_the_matching_error() {
    let world = world();
    let server = |identity| GitServer::start_tls(world.root.path(), &identity);
    assert_eq!(
        handshake_error(&server(world.authority.identity()), &world.authority),
        None
    );
    for (identity, expected) in [
        (world.authority.expired_identity(), "expired"),
        (
            world.authority.other_host_identity(),
            "not valid for name \"localhost\"",
        ),
        (Authority::new().identity(), "UnknownIssuer"),
    ] {
        let error = handshake_error(&server(identity), &world.authority)
            .unwrap()
            .to_string();
        assert!(error.contains(expected), "{expected}: {error}");
    }
}

#[test]
fn a_proxy_forwards_requests() {
    let world = world();
    let server = GitServer::start(world.root.path());
    let proxy = Proxy::start();
    let output = world.ls_remote(&server, &[("http_proxy", &proxy.address())]);
    assert!(output.status.success(), "{output:?}");
    let asked = |method: &str, path: &str| Tunnel {
        method: method.to_owned(),
        target: server.url(path),
        authorization: None,
    };
    assert_eq!(
        proxy.tunnels(),
        [
            asked("GET", "kubernetes/info/refs?service=git-upload-pack"),
            asked("POST", "kubernetes/git-upload-pack")
        ]
    );
    assert_eq!(server.stats("kubernetes").requests(), 2);

    let bypassed = world.ls_remote(
        &server,
        &[("http_proxy", &proxy.address()), ("no_proxy", "127.0.0.1")],
    );
    assert!(bypassed.status.success());
    assert_eq!(proxy.tunnels().len(), 2);
}

#[test]
fn a_proxy_tunnels_https_for_authorized_clients() {
    let world = world();
    let ca = world.authority.write(world.root.path());
    let server = GitServer::start_tls(world.root.path(), &world.authority.identity());
    let proxy = Proxy::start_with_credentials("user", "secret");
    let through = |address: &str| {
        world.ls_remote(
            &server,
            &[("https_proxy", address), ("GIT_SSL_CAINFO", ca.to_str().unwrap())],
        )
    };
    let refused = through(&proxy.address());
    assert!(stderr(&refused).contains("407"), "{refused:?}");
    assert_eq!(server.requests().len(), 0);

    let output = through(&proxy.address().replace("http://", "http://user:secret@"));
    assert!(output.status.success(), "{output:?}");
    let last = proxy.tunnels().pop().unwrap();
    let target = server.address().trim_start_matches("https://").to_owned();
    let authorization = Some("Basic dXNlcjpzZWNyZXQ=".to_owned());
    assert_eq!(
        last,
        Tunnel {
            method: "CONNECT".to_owned(),
            target,
            authorization
        }
    );
    assert!(
        server
            .requests()
            .iter()
            .all(|seen| seen.header("proxy-authorization").is_none())
    );
}
