//! Refused credentials: what is tried next, and what the error says.

use std::os::unix::fs::PermissionsExt as _;

use compose_git::{Error, Options};
use compose_model::{Cause, ExitCode};

use super::{basic, fetch, guarded, lab, shown};
use crate::support::{
    Lab,
    server::{Action, Request, Server},
};

/// Options with a token of GitHub for the server.
fn options(lab: &Lab, server: &Server, variables: &[(&str, &str)]) -> Options {
    let mut options = lab.options();
    let address = format!("http://{}", server.address);
    let all = [
        ("GITHUB_TOKEN", "stale"),
        ("GITHUB_SERVER_URL", address.as_str()),
        ("CI_SERVER_URL", address.as_str()),
    ];
    for (name, value) in all.iter().chain(variables) {
        options.environment.insert(name.into(), value.into());
    }
    options
}

/// Starts a server that answers a request by its credential.
fn judging(
    lab: &Lab,
    judge: impl Fn(Option<&str>) -> Option<&'static str> + Send + Sync + 'static,
) -> Server {
    Server::with(&lab.dir.path().join("srv"), move |request: &Request| match judge(
        request.header("authorization"),
    ) {
        None => Action::Serve,
        Some(status) => {
            let ask = vec![("www-authenticate", "Basic realm=\"x\"".to_owned())];
            Action::Answer(status, ask, b"no".to_vec())
        }
    })
}

fn program(lab: &Lab, name: &str, script: &str) -> String {
    let path = lab.dir.path().join(name);
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path.to_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_token_does_not_shut_out_a_public_repo() {
    for status in ["401 Unauthorized", "403 Forbidden", "404 Not Found"] {
        let (lab, commit) = lab();
        let server = judging(&lab, move |shown| shown.map(|_| status));
        let options = options(&lab, &server, &[("CI_JOB_TOKEN", "foreign")]);
        let got = fetch(&options, &server.url("repo"), &commit).await.unwrap();
        assert_eq!(got, ["x=x"], "{status}");
        let shown = shown(&server);
        assert_eq!(
            shown[..2],
            [
                Some(basic("x-access-token", "stale")),
                Some(basic("gitlab-ci-token", "foreign"))
            ]
        );
        assert!(shown[2..].iter().all(Option::is_none), "{status}: {shown:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_does_not_hide_a_good_login_further_down() {
    for status in ["401 Unauthorized", "403 Forbidden", "404 Not Found"] {
        let (lab, commit) = lab();
        let good = basic("me", "good");
        let server = judging(&lab, move |shown| (shown != Some(&good)).then_some(status));
        std::fs::write(
            lab.home().join(".netrc"),
            "machine 127.0.0.1 login me password good\n",
        )
        .unwrap();
        let options = options(&lab, &server, &[]);
        let got = fetch(&options, &server.url("repo"), &commit).await.unwrap();
        assert_eq!(got, ["x=x"], "{status}");
        let shown = shown(&server);
        assert_eq!(shown[0], Some(basic("x-access-token", "stale")));
        assert!(
            shown[1..].iter().all(|sent| *sent == Some(basic("me", "good"))),
            "{status}: {shown:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_error_names_each_credential_that_was_sent() {
    for (status, words, exit) in [
        (
            "401 Unauthorized",
            "the token of `GITHUB_TOKEN` and the login from ~/.netrc were refused, and there is no other credential",
            ExitCode::Refused,
        ),
        (
            "403 Forbidden",
            "access refused, although the token of `GITHUB_TOKEN` and the login from ~/.netrc were sent",
            ExitCode::Refused,
        ),
        (
            "404 Not Found",
            "no such repository, or the token of `GITHUB_TOKEN` and the login from ~/.netrc have no access",
            ExitCode::Unreachable,
        ),
    ] {
        let (lab, commit) = lab();
        // To no credential the host says 401, whatever it says to one.
        let server = judging(&lab, move |shown| {
            Some(shown.map_or("401 Unauthorized", |_| status))
        });
        std::fs::write(
            lab.home().join(".netrc"),
            "machine 127.0.0.1 login me password s3cret\n",
        )
        .unwrap();
        let options = options(&lab, &server, &[("GITHUB_TOKEN", "other-s3cret")]);
        let error = fetch(&options, &server.url("repo"), &commit).await.unwrap_err();
        assert!(error.to_string().contains(words), "{status}: {error}");
        assert_eq!(error.exit_code(), exit, "{status}");
        assert!(!format!("{error:?} {:?}", error.hint()).contains("s3cret"));
        assert_eq!(shown(&server).len(), 3, "each once, and none");
        assert_eq!(lab.waits.0.lock().unwrap().len(), 0, "never tried again");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_request_is_never_sent_with_another_credential() {
    let (lab, commit) = lab();
    let server = Server::with(&lab.dir.path().join("srv"), |request: &Request| {
        if request.target.contains("info/refs") {
            Action::Serve
        } else {
            Action::Answer("403 Forbidden", Vec::new(), b"no".to_vec())
        }
    });
    let error = fetch(&options(&lab, &server, &[]), &server.url("repo"), &commit)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Forbidden { .. }), "{error:?}");
    assert_eq!(shown(&server).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_helper_gets_the_login_of_the_address_the_decoded_path_and_gits_variables() {
    let (lab, commit) = lab();
    let server = guarded(&lab, &[basic("my-org", "from helper")]);
    let asked = lab.dir.path().join("asked");
    let script = format!(
        "cat >> {0}\nenv >> {0}\necho 'password=from helper'",
        asked.display()
    );
    let helper = program(&lab, "helper", &script);
    let mut options = lab.options();
    for (name, value) in [
        ("GIT_CONFIG_COUNT", "2"),
        ("GIT_CONFIG_KEY_0", "credential.helper"),
        ("GIT_CONFIG_VALUE_0", helper.as_str()),
        ("GIT_CONFIG_KEY_1", "credential.useHttpPath"),
        ("GIT_CONFIG_VALUE_1", "TRUE"),
        ("GIT_MY_VAULT", "for the helper"),
        ("GIT_DIR", "/hostile"),
        ("GIT_INDEX_FILE", "/hostile"),
        ("GIT_ASKPASS", "/hostile"),
    ] {
        options.environment.insert(name.into(), value.into());
    }
    let address = server.url("repo").replace("http://", "http://my-org@");
    let got = fetch(&options, &address, &commit).await.unwrap();
    assert_eq!(got, ["x=x"]);
    let asked_for = std::fs::read_to_string(&asked).unwrap();
    let question = format!(
        "protocol=http\nhost={}\npath=repo\nusername=my-org\n",
        server.address
    );
    assert!(asked_for.starts_with(&question), "{asked_for}");
    assert!(asked_for.contains("GIT_MY_VAULT=for the helper") && asked_for.contains("GIT_CONFIG_COUNT=2"));
    assert!(!asked_for.contains("/hostile"), "{asked_for}");

    std::fs::remove_file(&asked).unwrap();
    // The server does not know this spelling of the path; the question is what counts.
    _ = fetch(&options, &server.url("a%20b/re%70o%C3%A9"), &commit).await;
    let asked_for = std::fs::read_to_string(&asked).unwrap();
    assert!(asked_for.contains("\npath=a b/repo\u{e9}\n"), "{asked_for}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_askpass_program_is_asked_last() {
    let (lab, commit) = lab();
    let server = guarded(&lab, &[basic("me", "told")]);
    let asked = lab.dir.path().join("asked");
    let script = format!(
        "echo \"$1\" >> {}\ncase \"$1\" in Username*) echo me ;; *) echo told ;; esac",
        asked.display()
    );
    let askpass = program(&lab, "askpass", &script);
    let mut options = lab.options();
    options
        .environment
        .insert("GIT_ASKPASS".into(), askpass.clone().into());
    fetch(&options, &server.url("repo"), &commit).await.unwrap();
    let place = &server.address;
    assert_eq!(
        std::fs::read_to_string(&asked).unwrap(),
        format!("Username for 'http://{place}': \nPassword for 'http://me@{place}': \n")
    );

    // By the setting, and with a login in the address.
    std::fs::remove_file(&asked).unwrap();
    std::fs::remove_dir_all(lab.cache()).unwrap();
    std::fs::write(
        lab.home().join(".gitconfig"),
        format!("[core]\n askPass = {askpass}\n"),
    )
    .unwrap();
    let address = server.url("repo").replace("http://", "http://me@");
    fetch(&lab.options(), &address, &commit).await.unwrap();
    assert_eq!(
        std::fs::read_to_string(&asked).unwrap(),
        format!("Password for 'http://me@{place}': \n")
    );
}
