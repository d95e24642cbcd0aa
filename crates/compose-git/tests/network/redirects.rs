//! The addresses that a redirect may lead to.

use compose_git::Error;
use compose_model::{Cause, ExitCode};

use super::{Scene, answer, scene};
use crate::support::{
    Lab,
    server::{Action, Request, Server},
};

#[tokio::test(flavor = "multi_thread")]
async fn redirects_are_followed_for_the_first_request_only_and_only_to_a_repo() {
    let scene = scene();
    let target = scene.server(|_| Action::Serve);
    // A redirect to another host: all later requests go there.
    let to = target.url("repo");
    let from = scene.server(move |request| {
        let tail = request.target.strip_prefix("/repo").unwrap_or_default();
        answer(
            "301 Moved Permanently",
            &[("location", &format!("{to}{tail}"))],
            "",
        )
    });
    assert_eq!(scene.run(&from, scene.lab.options()).await.unwrap().len(), 1);
    assert_eq!((from.count(), target.count()), (1, 4));

    let fresh = || Scene {
        lab: Lab::new(),
        commit: scene.commit.clone(),
    };
    let there = target.url("other");
    type Hook = Box<dyn Fn(&Request) -> Action + Send + Sync>;
    let cases: Vec<(Hook, &str)> = vec![
        (
            Box::new(|_| answer("302 Found", &[("location", "file:///etc/passwd")], "")),
            "only http and https",
        ),
        (
            Box::new(|_| {
                answer(
                    "302 Found",
                    &[("location", "ftp://host/info/refs?service=git-upload-pack")],
                    "",
                )
            }),
            "only http",
        ),
        (
            Box::new(|_| answer("302 Found", &[("location", "/login?next=repo")], "")),
            "same file",
        ),
        (Box::new(|_| answer("302 Found", &[], "")), "no address"),
        (
            Box::new(|request| answer("302 Found", &[("location", &request.target)], "")),
            "too many",
        ),
        (
            Box::new(|_| {
                answer(
                    "302 Found",
                    &[(
                        "location",
                        "http://me:secret@127.0.0.1/info/refs?service=git-upload-pack",
                    )],
                    "",
                )
            }),
            "login",
        ),
        (
            Box::new(move |request| {
                if request.method == "GET" {
                    Action::Serve
                } else {
                    answer("307 Temporary", &[("location", &there)], "")
                }
            }),
            "first request",
        ),
    ];
    for (hook, words) in cases {
        let other = fresh();
        let server = Server::with(&scene.lab.dir.path().join("srv"), hook);
        let error = other.run(&server, other.lab.options()).await.unwrap_err();
        assert!(
            matches!(&error, Error::Redirect { .. }) && error.exit_code() == ExitCode::Refused,
            "{error:?}"
        );
        assert!(
            error.to_string().contains(words) && !error.to_string().contains("secret"),
            "{error}"
        );
    }
}
