//! Secrets from every possible place, searched for in every place where they could be shown.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use crate::common::{World, catalog, world};
use compose_testkit::{
    figures,
    server::{ClosedPort, Fault, Proxy, RequestKind, Rule},
};

/// Part of every secret.
const MARK: &str = "hunter2";

/// Base64 of what holds a secret: `Authorization` as it is sent.
fn encoded(user: &str, password: &str) -> String {
    use std::process::{Command, Stdio};
    let mut child = Command::new("base64")
        .arg("-w0")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let text = format!("{user}:{password}");
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), text.as_bytes()).unwrap();
    String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
}

/// The place of the right secret for the server. Every other place holds a wrong one.
#[derive(Clone, Copy, Debug, PartialEq)]
enum From {
    Token,
    GithubToken,
    InsteadOf,
    Helper,
    Netrc,
    Nowhere,
}

fn secret(from: From) -> String {
    format!("{MARK}-{from:?}")
}

fn planted(right: From) -> World {
    let mut world = world(&mut [
        catalog("c", "eks", "x.txt", "x"),
        catalog("d", "web", "y.txt", "y"),
    ]);
    let host = world.server.socket_address();
    let user = match right {
        From::Token | From::GithubToken => "x-access-token",
        _ => "me",
    };
    for repo in ["c", "d"] {
        world.server.require_credentials(repo, user, &secret(right));
    }
    let root = world.context.root().to_owned();
    let home = root.join("home");
    let login = if right == From::InsteadOf {
        format!(
            "[url \"http://me:{}@{host}/\"]\n  insteadOf = http://{host}/\n",
            secret(right)
        )
    } else {
        format!(
            "[url \"https://me:{MARK}-unused@elsewhere.example/\"]\n  insteadOf = http://unused.example/\n"
        )
    };
    let helper = if right == From::Helper {
        format!(
            "[credential]\n  helper = \"!f() {{ test $1 = get && printf 'username=me\\\\npassword={}\\\\n'; }}; f\"\n",
            secret(right)
        )
    } else {
        String::new()
    };
    fs::write(home.join(".gitconfig"), format!("{login}{helper}")).unwrap();
    world.context.set("GIT_CONFIG_GLOBAL", home.join(".gitconfig"));
    if right == From::Netrc {
        fs::write(
            home.join(".netrc"),
            format!("machine 127.0.0.1 login me password {}\n", secret(right)),
        )
        .unwrap();
        fs::set_permissions(home.join(".netrc"), fs::Permissions::from_mode(0o600)).unwrap();
    }
    if right == From::Token {
        world.context.set("BITOPS_COMPOSE_TOKEN_127_0_0_1", secret(right));
    }
    if right == From::GithubToken {
        world
            .context
            .set("GITHUB_SERVER_URL", format!("http://{host}"))
            .set("GITHUB_TOKEN", secret(right));
    } else {
        world.context.set("GITHUB_TOKEN", format!("{MARK}-github"));
    }
    world
        .context
        .set(
            "BITOPS_COMPOSE_TOKEN_ELSEWHERE_EXAMPLE",
            format!("{MARK}-elsewhere"),
        )
        .set("HTTPS_PROXY", format!("http://me:{MARK}-proxy@proxy.example:1"))
        .set("SSH_AUTH_SOCK", root.join(format!("{MARK}-agent")))
        .set("AWS_SECRET_ACCESS_KEY", format!("{MARK}-cloud"))
        .set("GITHUB_STEP_SUMMARY", root.join("summary.md"))
        .set("GITHUB_ACTIONS", "true")
        .set("BITOPS_LOGGING_LEVEL", "DEBUG");
    world
}

/// Returns the files below a directory that contain the mark or the encoded secret, except those that the test wrote.
fn found(dir: &Path, needles: &[String], at: &mut Vec<String>) {
    for entry in fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        if entry.file_type().unwrap().is_dir() {
            found(&path, needles, at);
        } else if let Ok(bytes) = fs::read(&path) {
            let text = String::from_utf8_lossy(&bytes);
            let planted =
                [".gitconfig", ".netrc", "pipeline.json"].contains(&entry.file_name().to_str().unwrap());
            if !planted && needles.iter().any(|needle| text.contains(needle.as_str())) {
                at.push(path.display().to_string());
            }
        }
    }
}

/// Runs a command and searches its output and all files that it wrote for secrets. Returns its exit code.
#[track_caller]
fn searched(world: &World, args: &[&str], right: From) -> i32 {
    let args = args
        .iter()
        .map(|arg| arg.replace("{repo}", &world.server.address()));
    let args: Vec<String> = args.collect();
    let run = world.context.run(&args);
    let mut needles = vec![MARK.to_owned()];
    for user in ["me", "x-access-token"] {
        needles.push(encoded(user, &secret(right)));
    }
    let mut at = Vec::new();
    for (stream, text) in [("stdout", &run.stdout), ("stderr", &run.stderr)] {
        if needles.iter().any(|needle| text.contains(needle.as_str())) {
            at.push(stream.to_owned());
        }
    }
    found(world.context.root(), &needles, &mut at);
    assert!(at.is_empty(), "{right:?} {args:?}: a secret in {at:?}\n{run}");
    run.code.unwrap()
}

/// `{repo}` is the server's address.
const COMMANDS: [&[&str]; 20] = [
    &["check"],
    &["adopt", "{repo}/c", "--all"],
    &["doctor"],
    &["doctor", "--format", "json"],
    &["search", "{repo}/c"],
    &["add", "{repo}/c", "eks", "--exclude", "nothing"],
    &["add", "{repo}/d", "web", "--dry-run", "--format", "json"],
    &["remove", "c", "--dry-run"],
    &["plan"],
    &["plan", "--format", "json"],
    &["plan", "--graph", "dot"],
    &["explain", "x.txt"],
    &["lock"],
    &["outdated", "--format", "json"],
    &["update", "--dry-run"],
    &["update"],
    &["upgrade", "--format", "markdown"],
    &["vendor"],
    &["cache", "list", "--format", "json"],
    &["deploy"],
];

#[test]
fn no_secret_is_found_in_any_output_of_any_command() {
    let mut searches = 0;
    let sources = [
        From::Token,
        From::GithubToken,
        From::InsteadOf,
        From::Helper,
        From::Netrc,
        From::Nowhere,
    ];
    for right in sources {
        for format in ["text", "json"] {
            let mut world = planted(right);
            world.context.set("BITOPS_COMPOSE_LOG_FORMAT", format);
            world.sources(&[
                "{repo: '{repo}/c', environment: eks, version: 1.0.0}",
                "{repo: '{repo}/d', environment: web, version: 1.0.0}",
            ]);
            world.commit();
            for command in COMMANDS {
                let code = searched(&world, command, right);
                // A success proves that the secret was used, so the search could have found it.
                let expected = match (right, command[0]) {
                    (From::Nowhere, "check" | "cache") => 0,
                    (From::Nowhere, "outdated" | "update") => 65,
                    (From::Nowhere, _) => 77,
                    _ => 0,
                };
                assert_eq!(code, expected, "{right:?} {command:?}");
                searches += 1;
            }
        }
    }
    figures::record(
        18,
        "secrets found in outputs, commands searched",
        format!("0 in {searches}"),
    );
}

#[test]
fn no_secret_is_found_when_the_server_fails() {
    let closed = ClosedPort::new();
    let mut searches = 0;
    for right in [From::Token, From::InsteadOf, From::Netrc] {
        for fault in [
            Fault::Reset,
            Fault::LoginPage,
            Fault::Error(format!("you are me, {}", "not welcome")),
            Fault::Status {
                code: 401,
                retry_after: None,
            },
            Fault::Status {
                code: 403,
                retry_after: None,
            },
            Fault::Status {
                code: 503,
                retry_after: Some("0".to_owned()),
            },
            Fault::Redirect {
                code: 302,
                to: closed.address(),
            },
        ] {
            let world = planted(right);
            world
                .server
                .inject("c", Rule::from(fault.clone()).on(RequestKind::InfoRefs));
            world.sources(&["{repo: '{repo}/c', environment: eks, version: 1.0.0}"]);
            for command in [&["plan"][..], &["deploy"]] {
                assert_ne!(searched(&world, command, right), 0, "{right:?} {fault:?}");
                searches += 1;
            }
        }
    }
    // A proxy's password, if the proxy refuses, is closed, or its address is invalid.
    let proxy = Proxy::start();
    for address in [
        format!(
            "http://me:{MARK}-proxy@{}",
            proxy.address().trim_start_matches("http://")
        ),
        format!(
            "http://me:{MARK}-proxy@{}",
            closed.address().trim_start_matches("http://")
        ),
        format!("nonsense://me:{MARK} proxy@host"),
    ] {
        let mut world = planted(From::Token);
        world
            .context
            .set("HTTP_PROXY", address)
            .set("BITOPS_COMPOSE_TIMEOUT", "20");
        world.sources(&["{repo: '{repo}/c', environment: eks, version: 1.0.0}"]);
        searched(&world, &["deploy"], From::Token);
        searches += 1;
    }
    // A secret in the config itself is refused, and the message quotes its place.
    let world = planted(From::Nowhere);
    for entry in [
        format!("{{repo: 'https://me:{MARK}@h/c', environment: eks, version: 1.0.0}}"),
        format!("{{repo: 'https://{MARK}@h/c', enviroment: eks}}"),
        format!("{{repo: 'https://h/c', token: {{repo: 'https://me:{MARK}@h/c'}}, environment: 5}}"),
    ] {
        world.sources(&[&entry]);
        for format in [&["check"][..], &["plan", "--format", "json"], &["deploy"]] {
            let run = world.context.run(format).expect_code(65);
            let both = format!("{}{}", run.stdout, run.stderr);
            assert!(!both.contains(MARK), "{entry}\n{run}");
            searches += 1;
        }
    }
    figures::record(
        18,
        "secrets found in outputs, failures searched",
        format!("0 in {searches}"),
    );
}

/// The address that is contacted decides: the one in the config, or the one that git's configuration rewrites it to.
#[test]
fn what_is_fetched_without_encryption_is_a_warning() {
    let mut world = world(&mut [catalog("c", "eks", "a.txt", "a")]);
    let here = world.server.address();
    // To Linux this is the same machine, and to the program it is any other.
    let elsewhere = here.replace("127.0.0.1", "0.0.0.0");
    let rewrite = |world: &mut World, to: &str, from: &str| {
        world
            .context
            .set("GIT_CONFIG_COUNT", "1")
            .set("GIT_CONFIG_KEY_0", format!("url.{to}/.insteadOf"))
            .set("GIT_CONFIG_VALUE_0", from);
    };
    let warnings = |world: &World, address: &str| {
        let config =
            format!("default-environments:\n- repo: {address}\n  environment: eks\n  version: 1.0.0\n");
        world.context.file("dev/bitops.config.yaml", config);
        let run = world.context.run(["plan"]).expect_code(0);
        let lines = run
            .stderr
            .lines()
            .filter(|line| line.contains("without encryption"));
        lines.map(str::to_owned).collect::<Vec<_>>().join("\n")
    };
    let all = "without encryption: anybody on the way can change what is deployed";
    let plain = format!("{elsewhere}/c");
    assert_eq!(
        warnings(&world, &plain),
        format!("warning: {plain} is fetched {all}")
    );
    assert_eq!(
        warnings(&world, &format!("{here}/c")),
        "",
        "this machine is no network"
    );
    for from in [
        "https://catalogs.example.org/",
        "ssh://git@catalogs.example.org/",
        "http://catalogs.example.org/",
        "git@catalogs.example.org:",
    ] {
        rewrite(&mut world, &elsewhere, from);
        let written = format!("{from}c");
        let expected = format!(
            "warning: {written} is fetched from {elsewhere}/c, because url.*.insteadOf of git's configuration says so, {all}"
        );
        assert_eq!(warnings(&world, &written), expected);
        rewrite(&mut world, &here, from);
        assert_eq!(warnings(&world, &written), "", "{from}");
    }
}

#[test]
fn an_empty_policy_is_a_warning() {
    let mut world = world(&mut [catalog("c", "eks", "a.txt", "a")]);
    world.sources(&["{repo: '{repo}/c', environment: eks, version: 1.0.0}"]);
    world
        .context
        .set("BITOPS_COMPOSE_ALLOW", "")
        .set("BITOPS_COMPOSE_VERIFY_KEYS", "");
    let run = world.context.run(["deploy"]).expect_code(0);
    for name in ["BITOPS_COMPOSE_ALLOW", "BITOPS_COMPOSE_VERIFY_KEYS"] {
        let warning = format!("warning: {name} is set, but empty, so it restricts nothing");
        assert!(run.stderr.contains(&warning), "{run}");
    }
    assert!(!run.stderr.contains("BITOPS_COMPOSE_LOCKED"), "{run}");
}
