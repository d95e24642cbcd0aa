//! Real proxies between the client and a real server: `CONNECT`, SOCKS, refusing, exempt and
//! missing ones.

use crate::support::{Lab, contents, socks::Socks, url, want};
use compose_git::{Error, Git, Options, SettingProblem};
use compose_model::{Cause, ExitCode};
use compose_testkit::{
    GitServer,
    server::{Authority, ClosedPort, Proxy},
};

struct Scene {
    lab: Lab,
    commit: String,
    authority: Authority,
    /// Serves https.
    server: GitServer,
}

fn scene() -> Scene {
    let lab = Lab::new();
    let catalog = lab.catalog("repo");
    catalog.git(&["config", "uploadpack.allowFilter", "true"]);
    catalog.write("env/x", "x");
    let commit = catalog.commit();
    let authority = Authority::new();
    let server = GitServer::start_tls(&lab.dir.path().join("srv"), &authority.identity());
    Scene {
        lab,
        commit,
        authority,
        server,
    }
}

impl Scene {
    fn options(&self, variables: &[(&str, &str)]) -> Options {
        let mut options = self.lab.options();
        let ca = self.authority.write(self.lab.dir.path());
        options.environment.insert("SSL_CERT_FILE".into(), ca.into());
        for (name, value) in variables {
            options.environment.insert(name.into(), value.into());
        }
        options
    }

    async fn fetch_from(&self, address: &str, options: Options) -> Result<(), Error> {
        _ = std::fs::remove_dir_all(self.lab.cache());
        let repo = Git::new(options).unwrap().repo(&url(address));
        let got = repo.fetch(&[want(&self.commit, &["env"])]).await?;
        assert_eq!(contents(&got[0], "env"), ["x=x"]);
        Ok(())
    }

    async fn fetch(&self, variables: &[(&str, &str)]) -> Result<(), Error> {
        self.fetch_from(&self.server.url("repo"), self.options(variables))
            .await
    }

    async fn fails(&self, variables: &[(&str, &str)]) -> Error {
        let error = self.fetch(variables).await.unwrap_err();
        let text = format!("{error} {error:?} {:?}", error.hint());
        assert!(!text.contains("s3cret") && !text.contains("dXNlcjp"), "{text}");
        error
    }

    fn waits(&self) -> usize {
        self.lab.waits.0.lock().unwrap().len()
    }

    fn git_config(&self, text: &str) {
        std::fs::write(self.lab.home().join(".gitconfig"), text).unwrap();
    }
}

fn with_login(proxy: &Proxy) -> String {
    proxy.address().replace("http://", "http://user:s3cret@")
}

#[tokio::test(flavor = "multi_thread")]
async fn https_uses_connect_and_the_login_is_sent_to_the_proxy_only() {
    let scene = scene();
    let target = scene.server.address().trim_start_matches("https://").to_owned();
    for variable in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        let proxy = Proxy::start_with_credentials("user", "s3cret");
        scene.fetch(&[(variable, &with_login(&proxy))]).await.unwrap();
        let tunnels = proxy.tunnels();
        assert_eq!(
            tunnels.len(),
            1,
            "{variable}: one connection for all requests: {tunnels:?}"
        );
        assert_eq!(
            (tunnels[0].method.as_str(), &tunnels[0].target),
            ("CONNECT", &target)
        );
        // The base64 form of the login.
        assert_eq!(
            tunnels[0].authorization.as_deref(),
            Some("Basic dXNlcjpzM2NyZXQ=")
        );
    }
    // Without a scheme, as curl accepts it.
    let proxy = Proxy::start();
    let bare = proxy.address().replace("http://", "");
    scene.fetch(&[("HTTPS_PROXY", &bare)]).await.unwrap();
    assert_eq!(proxy.tunnels().len(), 1);
    for seen in scene.server.requests() {
        assert!(seen.header("proxy-authorization").is_none());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_the_proxy_wants_is_distinguished_from_one_that_the_host_wants() {
    let scene = scene();
    for login in ["", "user:wrong-s3cret@"] {
        let proxy = Proxy::start_with_credentials("user", "s3cret");
        let address = proxy.address().replace("http://", &format!("http://{login}"));
        let error = scene.fails(&[("HTTPS_PROXY", &address)]).await;
        assert!(matches!(error, Error::ProxyLogin { .. }), "{error:?}");
        assert_eq!(error.exit_code(), ExitCode::Refused);
        assert!(
            error
                .hint()
                .unwrap()
                .contains("HTTPS_PROXY=http://USER:PASSWORD@HOST:PORT")
        );
        assert_eq!((proxy.tunnels().len(), scene.waits()), (1, 0), "asked once");
    }
    assert_eq!(scene.server.requests().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_may_hold_a_backslash_and_other_signs() {
    let scene = scene();
    for (user, secret, login) in [
        ("CORP\\user", "s3cret", "CORP\\user:s3cret"),
        ("user", "s3cret/#?@", "user:s3cret/#?@"),
        ("user", "s3cret%", "user:s3cret%25"),
    ] {
        let proxy = Proxy::start_with_credentials(user, secret);
        let address = proxy.address().replace("http://", &format!("http://{login}@"));
        scene.fetch(&[("HTTPS_PROXY", &address)]).await.unwrap();
        assert_eq!(proxy.tunnels().len(), 1, "{login}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_in_no_proxy_are_contacted_directly() {
    let scene = scene();
    let proxy = Proxy::start();
    for exempt in [
        "localhost",
        "elsewhere,localhost",
        "*",
        "elsewhere, *",
        "elsewhere localhost",
        ".LocalHost",
    ] {
        scene
            .fetch(&[("HTTPS_PROXY", &proxy.address()), ("NO_PROXY", exempt)])
            .await
            .unwrap();
    }
    assert_eq!(proxy.tunnels(), []);
    scene
        .fetch(&[("HTTPS_PROXY", &proxy.address()), ("NO_PROXY", "example.com")])
        .await
        .unwrap();
    assert_eq!(proxy.tunnels().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_proxy_is_named_and_retried() {
    let scene = scene();
    let gone = ClosedPort::new();
    let error = scene.fails(&[("HTTPS_PROXY", &gone.address())]).await;
    assert!(
        matches!(&error, Error::Network { why, .. } if why == "the connection to the proxy failed: the connection was refused"),
        "{error:?}"
    );
    assert_eq!(scene.waits(), 3);
    let proxy = Proxy::start();
    let nowhere = gone.address().replace("http://", "https://") + "/repo";
    let options = scene.options(&[("HTTPS_PROXY", &with_login(&proxy))]);
    let error = scene.fetch_from(&nowhere, options).await.unwrap_err();
    assert!(
        matches!(&error, Error::Network { why, .. } if why.starts_with("the proxy could not")),
        "{error:?}"
    );
    assert_eq!(proxy.tunnels().len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn socks_proxies_are_supported() {
    let scene = scene();
    let plain = GitServer::start(&scene.lab.dir.path().join("srv"));
    let port = scene.server.socket_address().port();
    for (scheme, host) in [("socks5h", "localhost"), ("socks5", "127.0.0.1")] {
        let socks = Socks::start("user", "s3cret");
        let address = format!("{scheme}://user:s3cret@{}", socks.address);
        scene.fetch(&[("ALL_PROXY", &address)]).await.unwrap();
        assert_eq!(socks.asked(), [format!("{host}:{port}")], "{scheme}");
        let options = scene.options(&[("ALL_PROXY", &address)]);
        scene.fetch_from(&plain.url("repo"), options).await.unwrap();
        assert_eq!(socks.asked().len(), 2);
    }
    let socks = Socks::start("user", "s3cret");
    for login in ["", "user:wrong-s3cret@"] {
        let address = format!("socks5h://{login}{}", socks.address);
        let error = scene.fails(&[("ALL_PROXY", &address)]).await;
        assert!(matches!(error, Error::ProxyLogin { .. }), "{error:?}");
    }
    assert_eq!((socks.asked().len(), scene.waits()), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn gits_proxy_setting_takes_precedence_over_the_variables() {
    let scene = scene();
    let (meant, other) = (Proxy::start(), Proxy::start());
    let variables = [("HTTPS_PROXY", other.address())];
    let variables: Vec<_> = variables
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    scene.git_config(&format!("[http]\n proxy = {}\n", meant.address()));
    scene.fetch(&variables).await.unwrap();
    assert_eq!((meant.tunnels().len(), other.tunnels().len()), (1, 0));

    scene
        .fetch(&[variables[0], ("NO_PROXY", "localhost")])
        .await
        .unwrap();
    assert_eq!(meant.tunnels().len(), 1, "exempt from this one as well");

    // No proxy for this host, one for the others.
    let own = scene.server.address();
    scene.git_config(&format!(
        "[http]\n proxy = {}\n[http \"{own}\"]\n proxy =\n",
        meant.address()
    ));
    scene.fetch(&variables).await.unwrap();
    assert_eq!((meant.tunnels().len(), other.tunnels().len()), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_proxy_address_is_refused_and_not_bypassed() {
    let scene = scene();
    for address in ["ftp://user:s3cret@proxy:21", "http://user:s3cret@[", "http://"] {
        let error = scene.fails(&[("HTTPS_PROXY", address)]).await;
        assert!(
            matches!(
                &error,
                Error::Setting {
                    source: SettingProblem::Proxy { name: "HTTPS_PROXY" },
                    ..
                }
            ),
            "{error:?}"
        );
        assert_eq!(error.exit_code(), ExitCode::Config);
    }
    scene.git_config("[http]\n proxy = ext::user:s3cret\n");
    let error = scene.fails(&[]).await;
    assert!(
        error
            .to_string()
            .contains("http.proxy of git's configuration is not a proxy's address"),
        "{error}"
    );
    assert_eq!(scene.server.requests().len(), 0);
}
