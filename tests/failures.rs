//! Every way in which fetching fails, seen from outside: the message, the exit code, and whether it was retried.
//!
//! The whole messages are in a snapshot; their first lines make the table of `docs/fetching.md`, which is compared with it.

use std::{fmt::Write as _, path::Path, sync::Mutex, time::Duration};

use crate::common::{World, catalog, world};
use compose_testkit::{
    Catalog, Context, GitServer, Sshd, git,
    server::{Authority, BodyOffset, ClosedPort, Fault, Identity, Protocol, Proxy, RequestKind, Rule},
};

/// A class of failure, and a world in which it happens.
struct Class {
    name: &'static str,
    code: i32,
    set_up: Box<dyn FnOnce() -> Scene + Send>,
}

/// A world, and the values that must live as long as it does.
struct Scene {
    world: World,
    _alive: Vec<Box<dyn std::any::Any>>,
}

/// What a run of it said.
struct Outcome {
    name: &'static str,
    code: i32,
    first: String,
    retried: bool,
    output: String,
}

fn class(name: &'static str, code: i32, set_up: impl FnOnce() -> Scene + Send + 'static) -> Class {
    Class {
        name,
        code,
        set_up: Box::new(set_up),
    }
}

fn eks() -> Catalog {
    // Text that does not compress makes the pack long enough to be cut in its middle.
    let noise: String = (0..3000_u32)
        .map(|at| format!("{:x}", at.wrapping_mul(2_654_435_761)))
        .collect();
    let mut catalog = catalog("c", "eks", "terraform/main.txt", "from c");
    catalog.file("eks/terraform/noise.txt", noise).tag("1.1.0");
    catalog
}

/// Returns a world with one source. In its address, `{absent}` stands for a directory that does not exist.
fn scene(address: &str) -> Scene {
    let mut world = world(&mut [eks()]);
    let catalogs = world.path("c").parent().unwrap().display().to_string();
    world
        .context
        .filter(r"\d+ bytes in \[DURATION\]", "[COUNT] bytes in [DURATION]")
        // The C library's words.
        .filter(r"address information: [^)]*", "address information: [WHY]")
        .filter(&regex::escape(&catalogs), "[CATALOGS]");
    let address = address.replace("{absent}", world.context.root().join("absent").to_str().unwrap());
    world.sources(&[&format!(
        "{{repo: '{address}/c', environment: eks, version: 1.1.0}}"
    )]);
    Scene {
        world,
        _alive: Vec::new(),
    }
}

/// Returns a world whose server has a fault.
fn faulty(rule: impl Into<Rule> + Send + 'static) -> impl FnOnce() -> Scene + Send {
    move || {
        let scene = scene("{repo}");
        scene.world.server.inject("c", rule);
        scene
    }
}

fn status(code: u16, retry_after: Option<&str>) -> Fault {
    Fault::Status {
        code,
        retry_after: retry_after.map(str::to_owned),
    }
}

/// Returns a world whose server is GitHub's according to the environment, as in a workflow.
fn github(code: u16, token: Option<&'static str>) -> impl FnOnce() -> Scene + Send {
    move || {
        let mut scene = faulty(status(code, None))();
        let server = scene.world.server.address();
        scene.world.context.set("GITHUB_SERVER_URL", server);
        if let Some(token) = token {
            scene.world.context.set("GITHUB_TOKEN", token);
        }
        scene
    }
}

fn on_fetch(fault: Fault) -> Rule {
    Rule::from(fault).on(RequestKind::Fetch)
}

/// Returns a world in which a connection is too slow after one second instead of thirty, by git's own setting.
fn impatient(rule: Rule) -> impl FnOnce() -> Scene + Send {
    move || {
        let mut scene = scene("{repo}");
        scene.world.server.inject("c", rule);
        scene.world.context.set("GIT_HTTP_LOW_SPEED_TIME", "1");
        scene
    }
}

/// Returns a world whose source is behind TLS, on a server with this identity. `trusted`: whether its authority is.
fn tls(
    identity: impl FnOnce(&Authority) -> Identity + Send + 'static,
    trusted: bool,
) -> impl FnOnce() -> Scene + Send {
    move || {
        let authority = Authority::new();
        let root = tempfile_dir();
        eks().build(root.path());
        let server = GitServer::start_tls(root.path(), &identity(&authority));
        let mut scene = scene(&server.address());
        let trusted = if trusted { authority } else { Authority::new() };
        let ca = trusted.write(scene.world.context.root());
        scene.world.context.set("SSL_CERT_FILE", ca);
        scene._alive = vec![Box::new(server), Box::new(root)];
        scene
    }
}

fn tempfile_dir() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn ssh(lines: impl FnOnce(&Sshd) -> String + Send + 'static) -> impl FnOnce() -> Scene + Send {
    move || {
        let mut scene = scene("ssh://nobody@127.0.0.1");
        let sshd = Sshd::start(&scene.world.context.root().join("ssh"));
        let catalogs = scene.world.path("c");
        let address = sshd.url(catalogs.parent().unwrap());
        scene.world.sources(&[&format!(
            "{{repo: '{address}/c', environment: eks, version: 1.1.0}}"
        )]);
        let bin = sshd.client(&lines(&sshd));
        let path = std::env::var("PATH").unwrap();
        scene
            .world
            .context
            .set("PATH", format!("{}:{path}", bin.display()))
            .filter(r"ssh://\w+@", "ssh://[USER]@")
            .filter(
                r"(?m)\b\w+@127\.0\.0\.1: Permission",
                "[USER]@127.0.0.1: Permission",
            )
            .filter(r"(files|not) in \S+/\.ssh,", "$1 in DIRECTORY,")
            .filter(r"\^+", "^^^");
        scene._alive = vec![Box::new(sshd)];
        scene
    }
}

/// Returns a pack with a commit that nobody requests.
fn another_pack() -> Vec<u8> {
    let root = tempfile_dir();
    let repo = catalog("other", "eks", "x", "y").build(root.path());
    let arguments = ["pack-objects", "--stdout", "--all", "-q"];
    git::output_bytes(repo.path(), arguments, b"")
}

fn redirect(to: &'static str) -> impl FnOnce() -> Scene + Send {
    faulty(Fault::Redirect {
        code: 302,
        to: to.to_owned(),
    })
}

fn classes() -> Vec<Class> {
    vec![
        class("host not found", 69, || {
            scene(&format!("http://{}", "x".repeat(64)))
        }),
        class("connection refused", 69, || {
            let gone = ClosedPort::new();
            let mut scene = scene(&gone.address());
            scene._alive = vec![Box::new(gone)];
            scene
        }),
        class("connection reset", 69, faulty(Fault::Reset)),
        class(
            "stalled",
            69,
            impatient(Fault::StallAt(BodyOffset::Body(60)).into()),
        ),
        class(
            "too slow",
            69,
            impatient(on_fetch(Fault::Drip(Duration::from_millis(50)))),
        ),
        class(
            "pack cut off",
            69,
            faulty(on_fetch(Fault::CloseAt(BodyOffset::Pack(40)))),
        ),
        class(
            "pack that ends early",
            69,
            faulty(on_fetch(Fault::TruncateAt(BodyOffset::Pack(40)))),
        ),
        class(
            "flipped bit",
            69,
            faulty(on_fetch(Fault::FlipBit(BodyOffset::Pack(40)))),
        ),
        class("wrong objects", 69, || faulty(Fault::Pack(another_pack()))()),
        class("4,294,967,295 objects announced", 69, {
            faulty(on_fetch(Fault::Overwrite(BodyOffset::Pack(8), vec![0xff; 4])))
        }),
        class("401, no credential", 77, faulty(status(401, None))),
        class("401, a wrong credential", 77, || {
            let mut scene = faulty(status(401, None))();
            scene
                .world
                .context
                .set("BITOPS_COMPOSE_TOKEN_127_0_0_1", "wr0ng-s3cret");
            scene
        }),
        class("403", 77, faulty(status(403, None))),
        class("404", 69, faulty(status(404, None))),
        class("404, though a token of the host was sent", 69, || {
            let mut scene = faulty(status(404, None))();
            scene
                .world
                .context
                .set("BITOPS_COMPOSE_TOKEN_127_0_0_1", "s3cret");
            scene
        }),
        class(
            "404 of GitHub, though `GITHUB_TOKEN` was sent",
            69,
            github(404, Some("s3cret")),
        ),
        class("404 of GitHub, no credential", 69, github(404, None)),
        class("401 of GitHub, no credential", 77, github(401, None)),
        class(
            "401 of GitHub, though `GITHUB_TOKEN` was sent",
            77,
            github(401, Some("s3cret")),
        ),
        class("429", 69, faulty(status(429, None))),
        class(
            "429, to come back in an hour",
            69,
            faulty(status(429, Some("3600"))),
        ),
        class("503", 69, faulty(status(503, None))),
        class("503 while fetching", 69, faulty(on_fetch(status(503, None)))),
        class("HTML page with 200", 69, faulty(Fault::LoginPage)),
        class(
            "`ERR` packet",
            69,
            faulty(Fault::Error("go \u{1b}[31maway".to_owned())),
        ),
        class(
            "side-band 3",
            69,
            faulty(Fault::SideBandError("disk \u{7}full".to_owned())),
        ),
        class("redirect to `file://`", 77, redirect("file:///srv")),
        class("redirect in a loop", 77, || {
            let scene = scene("{repo}");
            let to = scene.world.server.address();
            scene.world.server.inject("c", Fault::Redirect { code: 301, to });
            scene
        }),
        class("redirect of a fetch", 77, || {
            let scene = scene("{repo}");
            let to = format!("{}/elsewhere", scene.world.server.address());
            let rule = on_fetch(Fault::Redirect { code: 307, to });
            scene.world.server.inject("c", rule);
            scene
        }),
        class("redirect from https to http", 77, || {
            let scene = tls(Authority::identity, true)();
            let server: &GitServer = scene._alive[0].downcast_ref().unwrap();
            let fault = Fault::Redirect {
                code: 301,
                to: "http://127.0.0.1:80".to_owned(),
            };
            server.inject("c", fault);
            scene
        }),
        class("certificate expired", 69, tls(Authority::expired_identity, true)),
        class(
            "certificate of another host",
            69,
            tls(Authority::other_host_identity, true),
        ),
        class("unknown CA", 69, tls(Authority::identity, false)),
        class("plain http at an https address", 69, || {
            let scene = scene("{repo}");
            let address = scene
                .world
                .server
                .address()
                .replace("http://127.0.0.1", "https://localhost");
            scene.world.sources(&[&format!(
                "{{repo: '{address}/c', environment: eks, version: 1.1.0}}"
            )]);
            scene
        }),
        class("https at a plain http address", 69, || {
            let scene = tls(Authority::identity, true)();
            let server: &GitServer = scene._alive[0].downcast_ref().unwrap();
            let address = server.address().replace("https://localhost", "http://127.0.0.1");
            scene.world.sources(&[&format!(
                "{{repo: '{address}/c', environment: eks, version: 1.1.0}}"
            )]);
            scene
        }),
        class("proxy wants a login (407)", 77, || {
            let proxy = Proxy::start_with_credentials("user", "s3cret");
            let mut scene = scene("https://git.example.com");
            let address = proxy.address().replace("http://", "http://user:wr0ng-s3cret@");
            scene.world.context.set("HTTPS_PROXY", address);
            scene._alive = vec![Box::new(proxy)];
            scene
        }),
        class(
            "ssh: unknown host key",
            69,
            ssh(|sshd| format!("UserKnownHostsFile /dev/null\n{}", sshd.identity())),
        ),
        class(
            "ssh: no key that fits",
            77,
            ssh(|sshd| format!("{}IdentityFile none\nIdentitiesOnly yes\n", sshd.known())),
        ),
        class("no such repository by ssh", 69, || {
            let scene = ssh(|sshd| sshd.known() + &sshd.identity())();
            let sshd: &Sshd = scene._alive[0].downcast_ref().unwrap();
            let address = sshd.url(&scene.world.context.root().join("absent"));
            scene.world.sources(&[&format!(
                "{{repo: '{address}/c', environment: eks, version: 1.1.0}}"
            )]);
            scene
        }),
        class("no such directory", 65, || {
            let mut scene = scene("{absent}");
            // Their number depends on the length of the temporary directory's path.
            scene.world.context.filter(r"\^{5,}", "^^^^^");
            scene
        }),
        class("sha256 repository", 69, || {
            let mut scene = scene("{repo}");
            let mut catalog = eks();
            catalog.sha256();
            scene.world.publish(catalog);
            scene
        }),
        class("commit that is gone", 65, || {
            let scene = scene("{repo}");
            scene.world.sources(&[&format!(
                "{{repo: '{{repo}}/c', environment: eks, ref: {}}}",
                "5".repeat(40)
            )]);
            scene
        }),
        class("time for all fetching over", 75, || {
            let mut scene = faulty(Fault::Stall)();
            scene.world.context.set("BITOPS_COMPOSE_TIMEOUT", "1");
            scene
        }),
        class("offline, and not in the cache", 69, || {
            let mut scene = scene("{repo}");
            scene.world.context.set("BITOPS_COMPOSE_OFFLINE", "true");
            scene
        }),
        class("several repos at once", 77, || {
            let mut scene = scene("{repo}");
            scene.world.publish(catalog("d", "eks", "x", "y"));
            scene.world.server.inject("c", status(404, None));
            scene.world.server.inject("d", on_fetch(status(403, None)));
            scene.world.server.set_protocol("d", Protocol::V1);
            scene.world.sources(&[
                "{repo: '{repo}/c', environment: eks, version: 1.1.0}",
                "{repo: '{repo}/d', environment: eks, version: 1.0.0}",
            ]);
            scene
        }),
    ]
}

fn outcome(class: Class) -> Outcome {
    let scene = (class.set_up)();
    let context: &Context = &scene.world.context;
    let before = context.ops_repo_fingerprint();
    let run = context.run(["deploy"]);
    assert_eq!(run.code, Some(class.code), "{}: {run}", class.name);
    assert!(
        context.pipeline().is_none(),
        "{}: the pipeline was started",
        class.name
    );
    scene.world.assert_nothing_left();
    context.ops_repo_fingerprint().assert_same_as(&before);
    let whole = format!("{}{}", run.stdout, run.stderr);
    assert!(
        !whole.contains("s3cret") && !whole.contains('\u{1b}') && !whole.contains('\u{7}'),
        "{run}"
    );
    let shown = run.to_string();
    let first = shown.lines().find_map(|line| line.strip_prefix("error: "));
    Outcome {
        name: class.name,
        code: class.code,
        first: first.unwrap_or_default().to_owned(),
        retried: shown.contains("trying again"),
        output: shown.clone(),
    }
}

/// Runs the classes in parallel and returns the outcomes in their order.
fn outcomes() -> Vec<Outcome> {
    let classes = classes();
    let count = classes.len();
    let left = Mutex::new(classes.into_iter().enumerate());
    let done = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        // Most of them wait for a stall or for the next try.
        for _ in 0..8 {
            scope.spawn(|| {
                loop {
                    let next = left.lock().unwrap().next();
                    let Some((at, class)) = next else { break };
                    let outcome = outcome(class);
                    done.lock().unwrap().push((at, outcome));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap();
    done.sort_by_key(|(at, _)| *at);
    assert_eq!(done.len(), count);
    done.into_iter().map(|(_, outcome)| outcome).collect()
}

const START: &str = "<!-- failures: written by tests/failures.rs -->\n";
const END: &str = "<!-- end -->\n";

#[test]
fn every_class_of_failure_is_reported_with_repo_stage_and_remedy() {
    let outcomes = outcomes();
    let mut table =
        String::from("| what happens | first line | exit code | tried again |\n|---|---|---:|---|\n");
    let mut whole = String::new();
    for outcome in &outcomes {
        assert!(
            outcome.output.contains("= hint: ") || outcome.output.contains("hint: "),
            "{}",
            outcome.output
        );
        let retried = if outcome.retried { "yes" } else { "no" };
        // An address as a reader knows it.
        let first = outcome
            .first
            .replace(&format!("http://{}/c", "x".repeat(64)), "REPO")
            .replace('|', "\\|");
        let first = [
            "http://127.0.0.1:[PORT]/c",
            "https://localhost:[PORT]/c",
            "https://git.example.com/c",
            "[ROOT]/absent/c",
        ]
        .iter()
        .fold(first, |line, address| {
            line.strip_prefix(address)
                .map_or(line.clone(), |rest| format!("REPO{rest}"))
        });
        let first = match first
            .strip_prefix("ssh://")
            .and_then(|rest| rest.split_once(": "))
        {
            Some((_, rest)) => format!("REPO: {}", rest.replace("[ROOT]/absent/c", "DIRECTORY")),
            None => first,
        };
        // A code span whose text contains backticks needs two of them.
        let quote = if first.contains('`') { "``" } else { "`" };
        writeln!(
            table,
            "| {} | {quote}{first}{quote} | {} | {retried} |",
            outcome.name, outcome.code
        )
        .unwrap();
        writeln!(whole, "## {}\n{}", outcome.name, outcome.output).unwrap();
    }
    insta::assert_snapshot!("failures", whole);

    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/fetching.md");
    let doc = std::fs::read_to_string(&path).unwrap();
    let start = doc.find(START).expect("the table's start") + START.len();
    let end = start + doc[start..].find(END).expect("the table's end");
    if std::env::var("INSTA_UPDATE").is_ok_and(|update| update == "always") {
        std::fs::write(&path, format!("{}{table}{}", &doc[..start], &doc[end..])).unwrap();
    } else {
        assert_eq!(
            &doc[start..end],
            table,
            "INSTA_UPDATE=always rewrites the table of docs/fetching.md"
        );
    }
}
