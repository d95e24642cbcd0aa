//! Servers and networks that fail, stall, lie and redirect.

mod support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use compose_git::{Error, Git, Options, Stall};
use compose_model::ExitCode;
use support::{
    Lab, contents,
    server::{Action, Request, Server},
    url, want,
};

struct Scene {
    lab: Lab,
    commit: String,
}

fn scene() -> Scene {
    let lab = Lab::new();
    let catalog = lab.catalog("repo");
    catalog.git(&["config", "uploadpack.allowFilter", "true"]);
    let noise: String = (0..3000_u32)
        .map(|at| format!("{:x}", at.wrapping_mul(2_654_435_761)))
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

/// Is it a request for a pack?
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
async fn what_may_pass_is_tried_again_and_what_was_received_is_kept() {
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
async fn tries_end_and_absurd_waits_are_not_waited_for() {
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
async fn what_will_not_pass_is_not_tried_again() {
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
        (answer("204 No Content", &[], ""), ExitCode::Unreachable, "204"),
        (
            answer("501 Not Implemented", &[], ""),
            ExitCode::Unreachable,
            "501",
        ),
        (
            answer("407 Proxy Authentication Required", &[], "no login"),
            ExitCode::Refused,
            "the proxy asks for a login, or does not take the one it was sent (it said: no login)",
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
async fn what_the_server_says_reaches_the_user_escaped() {
    let scene = scene();
    let kind = "application/x-git-upload-pack-advertisement";
    let said = [
        line("# service=git-upload-pack\n"),
        b"0000".to_vec(),
        line("ERR go \u{1b}[31maway\n"),
    ]
    .concat();
    let (error, count) = scene
        .fails(move |_| Action::Answer("200 OK", vec![("content-type", kind.to_owned())], said.clone()))
        .await;
    assert!(
        matches!(&error, Error::Remote { said, .. } if said == "go \\u{1b}[31maway"),
        "{error:?}"
    );
    assert_eq!(count, 1);

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
async fn broken_and_wrong_packs_are_refused_and_never_tried_again() {
    let scene = scene();
    // A flipped bit inside the pack.
    let flip = |request: &Request| {
        if !is_fetch(request) {
            return Action::Serve;
        }
        Action::Change(Box::new(|mut body| {
            let at = body.windows(4).position(|bytes| bytes == b"PACK").unwrap() + 30;
            body[at] ^= 4;
            body
        }))
    };
    let (error, count) = scene.fails(flip).await;
    assert!(matches!(error, Error::Nonsense { .. }), "{error:?}");
    assert_eq!(count, 3);

    // Another commit's pack.
    let other = scene.lab.catalog("other");
    other.write("env/evil", "x");
    let evil = other.commit();
    let root = scene.lab.dir.path().join("srv");
    let swapped = Server::start(&root);
    let wrong: Vec<u8> = {
        // What a request for the other commit is answered.
        let repo = scene.lab.git().repo(&url(swapped.url("other")));
        repo.fetch(&[want(&evil, &["env"])]).await.unwrap();
        let request = swapped.requests().into_iter().find(is_fetch).unwrap();
        raw_post(&swapped, &request).await
    };
    let (error, count) = scene
        .fails(move |request| {
            let wrong = wrong.clone();
            if is_fetch(request) {
                Action::Change(Box::new(move |_| wrong))
            } else {
                Action::Serve
            }
        })
        .await;
    assert!(
        matches!(&error, Error::Nonsense { why, .. } if why.contains(&scene.commit)),
        "{error:?}"
    );
    assert_eq!(count, 3);

    // An empty pack.
    let (error, _) = scene
        .fails(|request| {
            if !is_fetch(request) {
                return Action::Serve;
            }
            Action::Change(Box::new(|_| {
                let pack = b"PACK\0\0\0\x02\0\0\0\0\x02\x9d\x08\x82\x3b\xd8\xa8\xea\xb5\x10\xad\x6a\xc7\x5c\x82\x3c\xfd\x3e\xd3\x1e";
                let mut body = line("packfile\n");
                body.extend(format!("{:04x}\u{1}", pack.len() + 5).bytes());
                body.extend_from_slice(pack);
                body.extend(b"0000");
                body
            }))
        })
        .await;
    assert!(
        matches!(&error, Error::Nonsense { why, .. } if why.contains("not sent")),
        "{error:?}"
    );
}

async fn raw_post(server: &Server, request: &Request) -> Vec<u8> {
    let (address, target, body) = (server.address, request.target.clone(), request.body.clone());
    tokio::task::spawn_blocking(move || {
        use std::io::{Read, Write};
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        let head = format!(
            "POST {target} HTTP/1.1\r\ncontent-type: application/x-git-upload-pack-request\r\ngit-protocol: version=2\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(&body).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap() + 4;
        answer.split_off(end)
    })
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pack_that_announces_four_billion_objects_takes_no_memory() {
    let scene = scene();
    let (error, count) = scene
        .fails(|request| {
            if !is_fetch(request) {
                return Action::Serve;
            }
            Action::Change(Box::new(|mut body| {
                let at = body.windows(4).position(|bytes| bytes == b"PACK").unwrap() + 8;
                body[at..at + 4].fill(0xff);
                body
            }))
        })
        .await;
    assert!(
        matches!(&error, Error::TooMuch { limit, .. } if limit.contains("4294967295")),
        "{error:?}"
    );
    assert_eq!(count, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn endless_answers_are_cut_off() {
    let scene = scene();
    let server = scene.server(|request| {
        if request.method == "GET" || is_fetch(request) {
            return Action::Serve;
        }
        Action::Endless(line(&format!("{} refs/tags/x\n", "1".repeat(40))).repeat(1000))
    });
    let mut options = scene.lab.options();
    options.tuning.max_advertisement = 1 << 20;
    let error = scene.run(&server, options).await.unwrap_err();
    assert!(
        matches!(
            &error,
            Error::TooMuch {
                what: "the list of refs",
                ..
            }
        ),
        "{error:?}"
    );

    let server = scene.server(|request| {
        if !is_fetch(request) {
            return Action::Serve;
        }
        Action::Endless(
            [
                line("packfile\n"),
                line(&format!("\u{2}{}", "x".repeat(900))).repeat(100),
            ]
            .concat(),
        )
    });
    let mut options = scene.lab.options();
    options.tuning.max_pack = 1 << 20;
    let error = scene.run(&server, options).await.unwrap_err();
    assert!(
        matches!(&error, Error::TooMuch { .. } | Error::Nonsense { .. }),
        "{error:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stall_ends_by_its_bound_and_the_whole_by_the_deadline() {
    for stalling in 0..4 {
        let scene = scene();
        let hook = move || {
            let count = AtomicUsize::new(0);
            move |_: &Request| {
                if count.fetch_add(1, Ordering::SeqCst) == stalling {
                    Action::Stall
                } else {
                    Action::Serve
                }
            }
        };
        // A stall may pass: the next try is answered.
        let mut options = scene.lab.options();
        options.tuning.stall = Stall {
            window: Duration::from_millis(300),
            bytes: 100,
        };
        let server = scene.server(hook());
        assert_eq!(
            scene.run(&server, options).await.unwrap().len(),
            1,
            "request {stalling}"
        );

        let fresh = Lab::new();
        let mut options = fresh.options();
        options.timeout = Duration::from_millis(900);
        let server = scene.server(move |_| Action::Stall);
        let started = Instant::now();
        let error = scene.run(&server, options).await.unwrap_err();
        assert!(matches!(error, Error::TimedOut { .. }), "{error:?}");
        assert_eq!(error.exit_code(), ExitCode::TimedOut);
        assert!(
            started.elapsed() < Duration::from_secs(3),
            "{:?}",
            started.elapsed()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelling_does_not_wait_for_a_socket() {
    let scene = scene();
    for at in 0..4 {
        let lab = Lab::new();
        let options = lab.options();
        let (cancel, raised) = (options.cancel.clone(), Arc::new(std::sync::Mutex::new(None)));
        let count = AtomicUsize::new(0);
        let mark = Arc::clone(&raised);
        let server = scene.server(move |_| {
            if count.fetch_add(1, Ordering::SeqCst) < at {
                return Action::Serve;
            }
            *mark.lock().unwrap() = Some(Instant::now());
            cancel.cancel();
            Action::Stall
        });
        let error = scene.run(&server, options).await.unwrap_err();
        assert!(matches!(error, Error::Cancelled), "{error:?}");
        let since = raised.lock().unwrap().unwrap().elapsed();
        assert!(since < Duration::from_millis(500), "{since:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_are_followed_for_the_first_request_only_and_only_to_a_repo() {
    let scene = scene();
    let target = scene.server(|_| Action::Serve);
    // Another host: everything goes there from then on.
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

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_does_not_resolve() {
    let scene = scene();
    let mut options = scene.lab.options();
    options.timeout = Duration::from_secs(20);
    // A label of 64 bytes is no name: the resolver says so without asking anybody.
    let repo = Git::new(options)
        .unwrap()
        .repo(&url(format!("http://{}/repo", "x".repeat(64))));
    let error = repo.refs(&["refs/tags/".to_owned()]).await.unwrap_err();
    assert!(matches!(&error, Error::Network { .. }), "{error:?}");
    assert_eq!(scene.lab.waits.0.lock().unwrap().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_drips_is_too_slow() {
    let scene = scene();
    let server = scene.server(|_| Action::Drip(Duration::from_millis(10)));
    let mut options = scene.lab.options();
    options.tuning.stall = Stall {
        window: Duration::from_millis(300),
        bytes: 1000,
    };
    let error = scene.run(&server, options).await.unwrap_err();
    assert!(
        matches!(&error, Error::Network { why, .. } if why.contains("stalled")),
        "{error:?}"
    );
    assert_eq!(server.count(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn git_may_be_told_when_a_line_is_too_slow() {
    for by_variable in [true, false] {
        let scene = scene();
        let server = scene.server(|_| Action::Drip(Duration::from_millis(20)));
        // 20 s, were it not for git's own setting.
        let mut options = scene.lab.options();
        options.tuning.retry.attempts = 1;
        if by_variable {
            for (name, value) in [
                ("GIT_HTTP_LOW_SPEED_TIME", "1"),
                ("GIT_HTTP_LOW_SPEED_LIMIT", "1000"),
            ] {
                options.environment.insert(name.into(), value.into());
            }
        } else {
            let text = "[http]\n lowSpeedTime = 1\n lowSpeedLimit = 1000\n";
            std::fs::write(scene.lab.home().join(".gitconfig"), text).unwrap();
        }
        let error = scene.run(&server, options).await.unwrap_err();
        assert!(
            matches!(&error, Error::Network { why, .. } if why.contains("stalled") && why.contains(" in 1.")),
            "{error:?}"
        );
    }
}
