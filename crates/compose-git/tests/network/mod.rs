//! Servers and networks that fail, stall, send wrong answers and redirect.

mod bounds;
mod packs;
mod redirects;

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use crate::support::{
    Lab, contents,
    server::{Action, Request, Server},
    url, want,
};
use compose_git::{Error, Git, Options};
use compose_model::{Cause, ExitCode};

struct Scene {
    lab: Lab,
    commit: String,
}

fn scene() -> Scene {
    let lab = Lab::new();
    let catalog = lab.catalog("repo");
    catalog.git(&["config", "uploadpack.allowFilter", "true"]);
    let noise: String = (0..3000_u32)
        .map(|number| format!("{:x}", number.wrapping_mul(2_654_435_761)))
        .collect();
    catalog.write("env/main.tf", noise).write("other/x", "x");
    let commit = catalog.commit();
    catalog.git(&["tag", "1.0.0"]);
    Scene { lab, commit }
}

impl Scene {
    fn server(&self, hook: impl Fn(&Request) -> Action + Send + Sync + 'static) -> Server {
        Server::with(&self.lab.dir.path().join("srv"), hook)
    }

    async fn run(&self, server: &Server, options: Options) -> Result<Vec<String>, Error> {
        let repo = Git::new(options).unwrap().repo(&url(server.url("repo")));
        repo.refs(&["refs/tags/".to_owned()]).await?;
        let got = repo.fetch(&[want(&self.commit, &["env"])]).await?;
        Ok(contents(&got[0], "env"))
    }

    async fn fails(&self, hook: impl Fn(&Request) -> Action + Send + Sync + 'static) -> (Error, usize) {
        let server = self.server(hook);
        let error = self.run(&server, self.lab.options()).await.unwrap_err();
        assert!(error.to_string().starts_with(&server.url("repo")), "{error}");
        (error, server.count())
    }
}

/// Returns whether the request is for a pack.
fn is_fetch(request: &Request) -> bool {
    String::from_utf8_lossy(&request.body).contains("command=fetch")
}

fn answer(status: &'static str, headers: &[(&'static str, &str)], body: &str) -> Action {
    let headers = headers
        .iter()
        .map(|(name, value)| (*name, (*value).to_owned()))
        .collect();
    Action::Answer(status, headers, body.into())
}

fn line(text: &str) -> Vec<u8> {
    format!("{:04x}{text}", text.len() + 4).into_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn temporary_failures_are_retried_and_received_objects_are_kept() {
    type Fault = fn() -> Action;
    let faults: [(&str, Fault); 6] = [
        ("hangup", || Action::Hangup),
        ("cut in the head of the body", || Action::Cut(2)),
        ("cut inside the body", || Action::Cut(30)),
        ("429", || {
            answer("429 Too Many Requests", &[("retry-after", "3")], "")
        }),
        ("503", || answer("503 Service Unavailable", &[], "busy")),
        ("500", || answer("500 Internal Server Error", &[], "")),
    ];
    for (what, fault) in faults {
        // Each request in turn fails once.
        for failing in 0..4 {
            let scene = scene();
            let count = AtomicUsize::new(0);
            let server = scene.server(move |_| {
                if count.fetch_add(1, Ordering::SeqCst) == failing {
                    fault()
                } else {
                    Action::Serve
                }
            });
            let done = scene.run(&server, scene.lab.options()).await;
            assert_eq!(
                done.unwrap_or_else(|error| panic!("{what}, request {failing}: {error:?}"))
                    .len(),
                1
            );
            let waits = scene.lab.waits.0.lock().unwrap().clone();
            assert_eq!(waits.len(), 1, "{what}, request {failing}");
            if what == "429" {
                assert_eq!(waits[0], Duration::from_secs(3));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn statuses_that_pass_are_retried() {
    for (status, headers) in [
        ("408 Request Timeout", &[][..]),
        ("420 Enhance Your Calm", &[]),
        ("425 Too Early", &[]),
        ("403 Forbidden", &[("retry-after", "3")]),
        ("502 Bad Gateway", &[]),
    ] {
        let scene = scene();
        let count = AtomicUsize::new(0);
        let server = scene.server(move |_| match count.fetch_add(1, Ordering::SeqCst) {
            0 => answer(status, headers, ""),
            _ => Action::Serve,
        });
        scene.run(&server, scene.lab.options()).await.unwrap();
        let waits = scene.lab.waits.0.lock().unwrap().clone();
        assert_eq!(waits.len(), 1, "{status}");
        if !headers.is_empty() {
            assert_eq!(waits[0], Duration::from_secs(3), "{status}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn retries_are_limited_and_absurd_waits_are_refused() {
    let scene = scene();
    let (error, count) = scene
        .fails(|_| answer("503 Service Unavailable", &[], "<h1>down\u{1b}[2J</h1>"))
        .await;
    assert!(
        matches!(&error, Error::Overloaded { status: 503, said, .. } if said == "down\\u{1b}[2J"),
        "{error:?}"
    );
    assert_eq!((count, scene.lab.waits.0.lock().unwrap().len()), (4, 3));
    for after in [
        "86400",
        "99999999999999999999999999",
        "Fri, 31 Dec 9999 23:59:59 GMT",
    ] {
        let after = after.to_owned();
        let (error, count) = scene
            .fails(move |_| answer("429 Too Many", &[("retry-after", &after)], ""))
            .await;
        assert!(matches!(error, Error::Overloaded { status: 429, .. }));
        assert_eq!(count, 1);
    }
    let server = scene.server(|_| answer("503 Service Unavailable", &[("retry-after", "-5")], ""));
    assert!(scene.run(&server, scene.lab.options()).await.is_err());
    assert_eq!(server.count(), 4, "nonsense is no answer");
}

#[tokio::test(flavor = "multi_thread")]
async fn permanent_failures_are_not_retried() {
    let scene = scene();
    let html = "<html><title>Log in to Corp</title><body>Please</body></html>";
    let cases: Vec<(Action, ExitCode, &str)> = vec![
        (
            answer("401 Unauthorized", &[], ""),
            ExitCode::Refused,
            "there are none",
        ),
        (
            answer("403 Forbidden", &[], "not yours"),
            ExitCode::Refused,
            "not yours",
        ),
        (
            answer("404 Not Found", &[], "nothing"),
            ExitCode::Unreachable,
            "no such repository",
        ),
        (
            answer("410 Gone", &[], ""),
            ExitCode::Unreachable,
            "no such repository",
        ),
        (
            answer("200 OK", &[("content-type", "text/html")], html),
            ExitCode::Unreachable,
            "Log in to Corp",
        ),
        (answer("200 OK", &[], ""), ExitCode::Unreachable, "nothing"),
        (
            answer("204 No Content", &[], ""),
            ExitCode::Unreachable,
            "connecting: the server answered 204",
        ),
        (
            answer("300 Multiple Choices", &[], ""),
            ExitCode::Unreachable,
            "connecting: the server answered 300",
        ),
        (
            answer("304 Not Modified", &[], ""),
            ExitCode::Unreachable,
            "connecting: the server answered 304",
        ),
        (
            answer("418 I'm a teapot", &[], "short"),
            ExitCode::Unreachable,
            "connecting: the server answered 418 (it said: short)",
        ),
        (
            answer(
                "200 OK",
                &[("content-type", "text/plain")],
                "0123456789012345678901234567890123456789\trefs/heads/main\n",
            ),
            ExitCode::Unreachable,
            "git's \"dumb\" HTTP protocol",
        ),
        (
            answer("501 Not Implemented", &[], ""),
            ExitCode::Unreachable,
            "501",
        ),
        (
            answer("407 Proxy Authentication Required", &[], "no login"),
            ExitCode::Refused,
            "the proxy requires a login, or refused the one that was sent (it said: no login)",
        ),
    ];
    for (action, code, words) in cases {
        let action = std::sync::Mutex::new(Some(action));
        let (error, count) = scene
            .fails(move |_| action.lock().unwrap().take().unwrap_or(Action::Serve))
            .await;
        assert_eq!((error.exit_code(), count), (code, 1), "{error:?}");
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_the_server_are_shown_escaped() {
    let scene = scene();
    let kind = "application/x-git-upload-pack-advertisement";
    let said = [
        line("# service=git-upload-pack\n"),
        b"0000".to_vec(),
        line("ERR go \u{1b}[31maway\n"),
    ]
    .concat();
    let started = said.clone();
    let (error, count) = scene
        .fails(move |_| Action::Answer("200 OK", vec![("content-type", kind.to_owned())], said.clone()))
        .await;
    assert!(
        matches!(&error, Error::Remote { said, .. } if said == "go \\u{1b}[31maway"),
        "{error:?}"
    );
    assert_eq!(count, 1);
    // The message is found even if the answer is cut off after it.
    let (error, _) = scene
        .fails(move |_| Action::CutAnswer(vec![("content-type", kind.to_owned())], started.clone()))
        .await;
    assert!(
        matches!(&error, Error::Remote { said, .. } if said == "go \\u{1b}[31maway"),
        "{error:?}"
    );

    let band = [
        line("packfile\n"),
        line("\u{2}counting\n"),
        line("\u{3}disk \u{7}full\n"),
        b"0000".to_vec(),
    ]
    .concat();
    let (error, _) = scene
        .fails(move |request| {
            if !is_fetch(request) {
                return Action::Serve;
            }
            let band = band.clone();
            Action::Change(Box::new(move |_| band))
        })
        .await;
    assert!(
        matches!(&error, Error::Remote { said, .. } if said == "disk \\u{7}full"),
        "{error:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_does_not_resolve_is_retried_and_reported() {
    let scene = scene();
    let mut options = scene.lab.options();
    options.timeout = Duration::from_secs(20);
    // A label of 64 bytes is invalid: the resolver refuses it without asking a server.
    let repo = Git::new(options)
        .unwrap()
        .repo(&url(format!("http://{}/repo", "x".repeat(64))));
    let error = repo.refs(&["refs/tags/".to_owned()]).await.unwrap_err();
    assert!(matches!(&error, Error::Network { .. }), "{error:?}");
    assert_eq!(scene.lab.waits.0.lock().unwrap().len(), 3);
}
