//! Which secrets are sent to which host, and that none is ever shown.

mod refusals;
mod ssh;
mod tls;

use std::os::unix::fs::PermissionsExt as _;

use crate::support::{
    Lab, contents,
    server::{Action, Request, Server},
    url, want,
};
use compose_git::{Error, Git, Options};
use compose_model::{Cause, ExitCode};

/// The `Basic` header of a login.
fn basic(login: &str, secret: &str) -> String {
    use base64::{Engine as _, prelude::BASE64_STANDARD};
    format!("Basic {}", BASE64_STANDARD.encode(format!("{login}:{secret}")))
}

/// Starts a server that serves requests with one of these `Authorization` headers only.
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
async fn the_token_for_a_host_is_sent_with_the_first_request() {
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
async fn the_github_token_goes_to_the_github_server_only() {
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
async fn the_error_for_a_refused_token_does_not_show_it() {
    let (lab, commit) = lab();
    let server = guarded(&lab, &[]);
    let mut options = lab.options();
    options
        .environment
        .insert("BITOPS_COMPOSE_TOKEN_127_0_0_1".into(), "wrong-s3cret".into());
    let error = fetch(&options, &server.url("repo"), &commit).await.unwrap_err();
    let text = format!("{error} {error:?} {:?} {options:?}", error.hint());
    assert!(
        text.contains("the token of `BITOPS_COMPOSE_TOKEN_127_0_0_1` was refused")
            && text.contains("who are you"),
        "{text}"
    );
    assert!(
        !text.contains("s3cret") && !text.contains(&basic("x-access-token", "wrong-s3cret")[6..]),
        "{text}"
    );
    assert_eq!(server.count(), 2, "with the token and without; never tried again");
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
async fn netrc_is_used_if_no_helper_answers() {
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
async fn a_login_in_a_rewritten_address_is_used_as_a_credential() {
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
async fn an_extra_header_goes_to_its_address_only() {
    let (lab, commit) = lab();
    let server = guarded(&lab, &["basic c3VyZQ==".to_owned()]);
    let write = |section: &str| {
        let text = format!(
            "[http{section}]\n extraheader = AUTHORIZATION: basic c3VyZQ==\n extraheader = X-Team: me\n"
        );
        std::fs::write(lab.home().join(".gitconfig"), text).unwrap();
    };
    // Without an address it would be sent to every host, so it is not sent at all.
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

    // Another host receives neither header, although it was redirected to.
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

    // A token for this program takes precedence over a header for git.
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
    // Not even if the new host asks for credentials.
    let asking = guarded(&lab, &[basic("x-access-token", "for the second")]);
    let to = asking.url("repo").replace("127.0.0.1", "localhost");
    let from = Server::with(&lab.dir.path().join("srv"), move |request: &Request| {
        let tail = request.target.strip_prefix("/repo").unwrap_or_default();
        Action::Answer("302 Found", vec![("location", format!("{to}{tail}"))], Vec::new())
    });
    std::fs::remove_dir_all(lab.cache()).unwrap();
    let error = fetch(&options, &from.url("repo"), &commit).await.unwrap_err();
    assert_eq!(shown(&asking), [None]);
    // The hint names the variable of the host that asked.
    let hint = error.hint().unwrap();
    assert!(hint.contains("set BITOPS_COMPOSE_TOKEN_LOCALHOST,"), "{hint}");
    options
        .environment
        .insert("BITOPS_COMPOSE_TOKEN_LOCALHOST".into(), "for the second".into());
    fetch(&options, &from.url("repo"), &commit).await.unwrap();
}

/// The policy covers every contacted address, not only the configured one.
#[tokio::test(flavor = "multi_thread")]
async fn policy_holds_for_redirected_and_rewritten_addresses() {
    let (lab, commit) = lab();
    let target = Server::start(&lab.dir.path().join("srv"));
    let to = target.url("repo");
    let from = Server::with(&lab.dir.path().join("srv"), move |request: &Request| {
        let tail = request.target.strip_prefix("/repo").unwrap_or_default();
        Action::Answer(
            "301 Moved Permanently",
            vec![("location", format!("{to}{tail}"))],
            Vec::new(),
        )
    });
    let allowing = |address: String| {
        let mut options = lab.options();
        options.allow = std::sync::Arc::new(move |repo| repo.as_str().starts_with(&address));
        options
    };
    let error = fetch(&allowing(from.url("")), &from.url("repo"), &commit)
        .await
        .unwrap_err();
    assert_eq!(error.exit_code(), ExitCode::Refused, "{error}");
    assert!(error.to_string().contains(&target.url("repo")), "{error}");
    assert!(
        error.to_string().contains("BITOPS_COMPOSE_ALLOW does not allow"),
        "{error}"
    );
    assert_eq!(target.requests().len(), 0, "it is not contacted");
    fetch(&allowing("http://".to_owned()), &from.url("repo"), &commit)
        .await
        .unwrap();

    let mut options = allowing("https://written/".to_owned());
    let config = lab.dir.path().join("rewriting");
    let text = format!("[url \"{}\"]\n insteadOf = https://written/\n", target.url(""));
    std::fs::write(&config, text).unwrap();
    options
        .environment
        .insert("GIT_CONFIG_GLOBAL".into(), config.into());
    let before = target.requests().len();
    let error = fetch(&options, "https://written/repo", &commit)
        .await
        .unwrap_err();
    assert_eq!(error.exit_code(), ExitCode::Refused, "{error}");
    assert!(error.to_string().contains("insteadOf"), "{error}");
    assert_eq!(target.requests().len(), before, "it is not contacted");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_proxy_is_named_without_its_value() {
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
    // A proxy for plain http receives absolute addresses, which the test server understands.
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
