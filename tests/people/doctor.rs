//! `doctor`: what is wrong is said with its remedy, and nothing is changed by looking.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Command, time::Duration};

use compose_testkit::{
    Fingerprint, Run,
    server::{ClosedPort, Fault, RequestKind, Rule},
};
use regex::Regex;
use serde_json::Value;

use super::{World, catalog, json, keys, layered, world};
use crate::common::skipped;

/// The user without rights, as whom the program runs in some tests.
const STRANGER: &str = "65534";

/// An environment with one source.
fn healthy() -> World {
    let world = world(&mut [catalog("c", "eks", "x.txt", "x")]);
    world.sources(&["{repo: '{repo}/c', environment: eks, version: 1.0.0}"]);
    world
}

/// Runs `doctor`, which must end with `code` and change nothing.
#[track_caller]
fn doctor(world: &World, args: &[&str], code: i32) -> Run {
    let before = Fingerprint::of(world.context.root());
    let run = world.context.run([&["doctor"], args].concat()).expect_code(code);
    Fingerprint::of(world.context.root()).assert_same_as(&before);
    run
}

/// The checks of `doctor --format json`.
#[track_caller]
fn checks(world: &World, args: &[&str], code: i32) -> Vec<Value> {
    let run = doctor(world, &[args, &["--format", "json"]].concat(), code);
    json(&run)["checks"].as_array().unwrap().clone()
}

/// The message of the only check of this name.
#[track_caller]
fn message(checks: &[Value], name: &str, status: &str) -> String {
    let mut named = checks.iter().filter(|check| check["name"] == name);
    let check = named.next().unwrap_or_else(|| panic!("no {name} in {checks:#?}"));
    assert!(named.next().is_none(), "several {name} in {checks:#?}");
    assert_eq!(check["status"], status, "{check}");
    if status != "ok" {
        assert!(
            check["remedy"].as_str().is_some_and(|remedy| !remedy.is_empty()),
            "{check}"
        );
    }
    check["message"].as_str().unwrap().to_owned()
}

/// The page with each paragraph on one line, and placeholders for what is this machine's.
fn page(run: &Run) -> String {
    let mut text = run.to_string();
    for (expression, with) in [
        (r"\n {11}([^h]|h[^i])", " $1"),
        (r"\d+(\.\d+)? (B|KiB|MiB|GiB|TiB) free", "[SIZE] free"),
        (r"\d+ certificates are trusted, of .*", "[CERTIFICATES]"),
        (
            r"bitops-compose \S+ \(\S+\) on \S+ \S+, uid \d+",
            "bitops-compose [VERSION]",
        ),
        (r"\S+/(git|ssh) \(.*\)", "[PATH]/$1 ([VERSION])"),
        (
            r"program is \S+/python\S*, started in \S+",
            "program is [PYTHON], started in [DIR]",
        ),
        (r"PIPELINE_DIR=\S+", "PIPELINE_DIR=[DIR]"),
        (r"belongs to (root|this user \(uid \d+\))", "belongs to [USER]"),
        (r"config is \S+", "config is [CONFIG]"),
        (r" INFO .*\n", ""),
    ] {
        text = Regex::new(expression)
            .unwrap()
            .replace_all(&text, with)
            .into_owned();
    }
    text
}

#[test]
fn a_healthy_environment() {
    let world = healthy();
    insta::assert_snapshot!("doctor", page(&doctor(&world, &[], 0)));
    world.context.run(["lock"]).expect_code(0);
    let checks = checks(&world, &["dev"], 0);
    assert_eq!(
        message(&checks, "lock", "ok"),
        "dev/bitops.lock.yaml pins 1 source, nested ones included"
    );
    assert_eq!(
        message(&checks, "content", "ok").split(',').next(),
        Some("1 repo")
    );
}

/// Words that are longer than a line, such as addresses, have one of their own.
#[test]
fn the_page_fits_80_columns() {
    let run = doctor(&healthy(), &[], 0);
    let message = |line: &str| line.get(11..).unwrap_or_default().to_owned();
    for line in run.stdout.lines().filter(|line| line.len() > 80) {
        assert!(!message(line).contains(' '), "{line}\n{run}");
    }
}

#[test]
fn the_answer_for_programs_has_the_fields_of_the_contract() {
    let world = layered();
    world.context.file("other/bitops.config.yaml", world.config(&[]));
    let one = json(&doctor(&world, &["--format", "json"], 0));
    assert_eq!(keys(&one), ["checks", "environment"]);
    let groups: Vec<&str> = one["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|check| {
            assert_eq!(keys(check), ["group", "message", "name", "status"], "{check}");
            check["group"].as_str().unwrap()
        })
        .collect();
    let mut each = groups.clone();
    each.dedup();
    assert_eq!(
        each,
        [
            "place", "home", "cache", "bitops", "programs", "network", "settings", "sources"
        ]
    );
    world.server.clear_requests();
    let several = json(&doctor(&world, &["dev", "other", "--format", "json"], 0));
    assert_eq!(keys(&several), ["checks", "environments"]);
    assert_eq!(several["environments"][0]["environment"], "dev");
    assert_eq!(several["environments"][1]["environment"], "other");
    let nothing = several["environments"][1]["checks"].as_array().unwrap();
    assert!(
        message(nothing, "config", "warning")
            .ends_with("`default-environments` is empty: nothing is composed")
    );
    // Each repo is asked once: for its handshake and its refs.
    assert_eq!(world.server.stats("platform").requests(), 2);
}

#[test]
fn what_nested_sources_need_is_known_by_the_lock() {
    let world = layered();
    let before = checks(&world, &[], 0);
    let answers = |checks: &[Value]| checks.iter().filter(|check| check["name"] == "answer").count();
    assert!(message(&before, "nested", "ok").contains("known only after fetching"));
    world.context.run(["lock"]).expect_code(0);
    let after = checks(&world, &[], 0);
    assert_eq!(
        (answers(&before), answers(&after)),
        (2, 2),
        "platform is nested in web, too"
    );
    assert!(!after.iter().any(|check| check["name"] == "nested"));
}

#[test]
fn the_credential_that_would_be_sent_is_named() {
    let mut world = healthy();
    world.server.require_credentials("c", "x-access-token", "hunter2");
    let none = checks(&world, &[], 77);
    assert!(
        message(&none, "credential", "ok")
            .ends_with("there is no credential; BITOPS_COMPOSE_TOKEN_127_0_0_1 takes one")
    );
    assert!(message(&none, "answer", "error").contains("asks for credentials"));

    world.context.set("BITOPS_COMPOSE_TOKEN_127_0_0_1", "hunter3");
    let wrong = checks(&world, &[], 77);
    assert!(message(&wrong, "answer", "error").contains("/c: "));

    let home = world.context.root().join("home");
    fs::write(
        home.join(".netrc"),
        "machine 127.0.0.1 login x-access-token password hunter2\n",
    )
    .unwrap();
    let config = "[credential]\n  helper = \"!f() { echo hunter4; }; f\"\n  helper = store --file hunter5\n";
    fs::write(home.join(".gitconfig"), config).unwrap();
    world.context.set("GIT_CONFIG_GLOBAL", home.join(".gitconfig"));
    let run = doctor(&world, &["--format", "json"], 0);
    let checks = json(&run)["checks"].as_array().unwrap().clone();
    let named = message(&checks, "credential", "ok");
    let netrc = format!("the login from {}/.netrc", home.display());
    for name in [
        "in this order, the token of `BITOPS_COMPOSE_TOKEN_127_0_0_1`; ",
        "git's credential helper (a command of git's configuration); ",
        "git's credential helper `store`; ",
        &netrc,
    ] {
        assert!(named.contains(name), "{name}\n{named}");
    }
    assert!(
        message(&checks, "answer", "ok")
            .contains("/c answers, with the login from ~/.netrc: 1 tag, 1 branch"),
        "{run}"
    );
    assert!(!run.to_string().contains("hunter"), "{run}");
    assert_eq!(
        message(&checks, "token", "ok"),
        "BITOPS_COMPOSE_TOKEN_127_0_0_1 is the token for 127.0.0.1"
    );
}

#[test]
fn a_host_that_does_not_answer() {
    let world = healthy();
    let closed = ClosedPort::new();
    let here = world.server.address();
    world.context.file(
        "dev/bitops.config.yaml",
        format!(
            "default-environments:\n- {{repo: '{}/d', environment: a, version: 1.0.0}}\n\
             - {{repo: '{here}/absent', environment: a, version: 1.0.0}}\n\
             - {{repo: '{here}/c', environment: eks, version: 1.0.0}}\n",
            closed.address()
        ),
    );
    let run = doctor(&world, &[], 69);
    assert!(run.stdout.contains("the connection was refused"), "{run}");
    assert!(run.stdout.contains("/c answers: 1 tag, 1 branch"), "{run}");
    assert!(run.stdout.ends_with("\n2 errors\n"), "{run}");
}

#[test]
fn a_host_that_never_answers_takes_no_longer_than_the_deadline() {
    let mut world = healthy();
    world
        .server
        .inject("c", Rule::from(Fault::Stall).on(RequestKind::InfoRefs));
    world
        .context
        .set("BITOPS_COMPOSE_TIMEOUT", "1")
        .time_limit(Duration::from_secs(20));
    let checks = checks(&world, &[], 75);
    assert!(message(&checks, "answer", "error").contains("/c"));
    message(&checks, "home", "ok");
}

#[test]
fn offline_no_host_is_asked() {
    let world = healthy();
    let checks = checks(&world, &["--offline"], 0);
    assert_eq!(message(&checks, "answer", "ok"), "offline: no host is asked");
    message(&checks, "credential", "ok");
    assert!(world.server.requests().is_empty());
}

#[test]
fn a_repo_that_policy_refuses() {
    let mut world = healthy();
    world
        .context
        .set("BITOPS_COMPOSE_ALLOW", "https://github.com/org/*");
    let run = doctor(&world, &[], 77);
    assert!(world.server.requests().is_empty(), "{run}");
}

#[test]
fn ssh_and_git_are_missed_only_where_they_are_needed() {
    let mut world = healthy();
    let empty = world.context.root().join("empty");
    fs::create_dir(&empty).unwrap();
    world.context.set("PATH", &empty);
    let unneeded = checks(&world, &[], 0);
    assert_eq!(
        message(&unneeded, "ssh", "ok"),
        "`ssh` was not found; only sources at ssh addresses need it"
    );
    world.sources(&["{repo: 'ssh://git@127.0.0.1:1/c', environment: eks, version: 1.0.0}"]);
    let needed = checks(&world, &[], 73);
    assert_eq!(
        message(&needed, "ssh", "warning"),
        "`ssh` was not found, and ssh://git@127.0.0.1:1/c is fetched with it"
    );
    assert!(message(&needed, "answer", "error").contains("ssh"));
    message(&needed, "git", "ok");
}

#[test]
fn a_key_for_ssh_is_named() {
    let mut world = healthy();
    world.sources(&["{repo: 'ssh://git@127.0.0.1:1/c', environment: eks, version: 1.0.0}"]);
    let agent = world.context.root().join("agent");
    fs::write(&agent, "").unwrap();
    world.context.set("SSH_AUTH_SOCK", &agent);
    let found = checks(&world, &["--offline"], 0);
    let named = message(&found, "credential", "ok");
    assert!(
        named.starts_with("127.0.0.1:1 by ssh: ")
            && named.contains("the keys of the ssh agent (SSH_AUTH_SOCK)"),
        "{named}"
    );
    world.context.set("GIT_SSH_COMMAND", "ssh -o 'User hunter2'");
    let found = checks(&world, &["--offline"], 0);
    assert_eq!(
        message(&found, "credential", "ok"),
        "127.0.0.1:1 by ssh: what the command in GIT_SSH_COMMAND uses"
    );
}

#[test]
fn an_unusable_cache_is_a_warning() {
    let world = healthy();
    let cache = world.context.cache();
    fs::remove_dir(&cache).unwrap();
    assert!(message(&checks(&world, &[], 0), "cache", "ok").contains("does not exist yet"));
    fs::write(&cache, "").unwrap();
    let run = checks(&world, &[], 0);
    assert!(message(&run, "cache", "warning").contains("is not a directory, so every run fetches"));
    fs::remove_file(&cache).unwrap();
    assert!(Command::new("mkfifo").arg(&cache).status().unwrap().success());
    let run = world.context.run(["doctor", "--format", "json"]).expect_code(0);
    assert!(
        message(json(&run)["checks"].as_array().unwrap(), "cache", "warning").contains("is not a directory")
    );
    // A run works without the cache.
    world.context.run(["plan"]).expect_code(0);
}

#[test]
fn directories_of_another_user() {
    if !rustix::process::geteuid().is_root() {
        return skipped("not root");
    }
    let mut world = healthy();
    let root = world.context.root().to_owned();
    fs::set_permissions(&root, fs::Permissions::from_mode(0o755)).unwrap();
    world
        .context
        .wrap([
            "setpriv",
            "--clear-groups",
            "--reuid",
            STRANGER,
            "--regid",
            STRANGER,
        ])
        .set("BITOPS_COMPOSE_PIPELINE", "true")
        .set("BITOPS_COMPOSE_PIPELINE_DIR", "/");
    let strange = checks(&world, &[], 73);
    assert!(
        message(&strange, "writable", "error")
            .ends_with("opt/bitops-compose cannot be written by this user (uid 65534)")
    );
    assert!(
        message(&strange, "cache", "warning").contains("belongs to root and cannot be written by this user")
    );
    // In a sticky directory everybody may make files, but not replace those of others.
    let home = root.join("opt/bitops-compose");
    fs::set_permissions(&home, fs::Permissions::from_mode(0o1777)).unwrap();
    let sticky = checks(&world, &[], 73);
    message(&sticky, "writable", "ok");
    assert!(message(&sticky, "active", "error").contains("is sticky"));
    fs::set_permissions(&home, fs::Permissions::from_mode(0o777)).unwrap();
    message(&checks(&world, &[], 0), "active", "ok");
    // Neither the cache nor what takes its place can be written.
    fs::set_permissions(root.join("tmp"), fs::Permissions::from_mode(0o755)).unwrap();
    world
        .context
        .set("BITOPS_COMPOSE_CACHE", root.join("absent/cache"));
    message(&checks(&world, &[], 73), "temporary-directory", "error");
}

#[test]
fn mistakes_of_a_config_do_not_keep_the_rest_from_being_checked() {
    let world = healthy();
    world.sources(&[
        "{repo: 'https://me:hunter2@h/c', environment: eks, version: 1.0.0}",
        "{repo: '{repo}/c', enviroment: eks, version: 1.0.0}",
    ]);
    let run = doctor(&world, &[], 65);
    insta::assert_snapshot!("doctor_mistakes", page(&run));
    assert!(!run.to_string().contains("hunter2"), "{run}");

    let absent = checks(&world, &["absent"], 65);
    let said = message(&absent, "config", "error");
    assert!(said.starts_with("there is no environment `absent` in "), "{said}");
    message(&absent, "certificates", "ok");
    // A lock that is required.
    world.sources(&["{repo: '{repo}/c', environment: eks, version: 1.0.0}"]);
    message(&checks(&world, &["--locked"], 65), "lock", "error");
}

#[test]
fn a_machine_is_checked_without_any_environment() {
    let mut world = healthy();
    world.context.unset("BITOPS_ENVIRONMENT");
    let run = json(&doctor(&world, &["--format", "json"], 0));
    assert_eq!(keys(&run), ["checks"]);
    let found = run["checks"].as_array().unwrap();
    assert_eq!(
        message(found, "environment", "warning"),
        "no environment is named"
    );
    assert_eq!(
        message(found, "environments", "ok"),
        "environments: dev (with sources)"
    );
    assert!(world.server.requests().is_empty());
    let all = json(&doctor(&world, &["--all", "--format", "json"], 0));
    assert_eq!(all["environment"], "dev");
}

#[test]
fn a_mount_that_is_missing_and_one_that_is_no_link() {
    let world = healthy();
    fs::remove_dir_all(world.context.ops_repo()).unwrap();
    let missing = checks(&world, &[], 65);
    assert!(message(&missing, "mount", "error").starts_with("nothing is mounted at "));
    message(&missing, "writable", "ok");

    let mut world = healthy();
    world
        .context
        .set("BITOPS_COMPOSE_OPS_REPO", world.context.ops_repo());
    message(&checks(&world, &[], 73), "link", "error");
    // A home whose link is gone.
    fs::remove_file(world.context.home().join("active")).unwrap();
    message(&checks(&world, &[], 73), "active", "warning");
}

#[test]
fn on_a_laptop_nothing_of_the_image_is_missed() {
    let mut world = healthy();
    let checkout = world.context.root().join("checkout");
    fs::create_dir_all(checkout.join(".git")).unwrap();
    copy_config(&world, &checkout);
    for name in ["HOME", "OPS_REPO", "PIPELINE", "PIPELINE_DIR"] {
        world.context.unset(format!("BITOPS_COMPOSE_{name}"));
    }
    if Path::new("/opt/bitops-compose").exists() || Path::new("/opt/bitops_deployment").exists() {
        return skipped("this is the image");
    }
    world.context.current_dir("checkout");
    let found = checks(&world, &["dev"], 0);
    assert_eq!(
        message(&found, "operations-repo", "ok"),
        format!(
            "the operations repo is {} (the nearest directory upwards with .git)",
            checkout.display()
        )
    );
    assert!(message(&found, "home", "ok").starts_with("not in the image"));
    assert!(message(&found, "pipeline", "ok").starts_with("not in the image"));
}

fn copy_config(world: &World, checkout: &Path) {
    fs::create_dir(checkout.join("dev")).unwrap();
    let name = "dev/bitops.config.yaml";
    fs::copy(world.context.ops_repo().join(name), checkout.join(name)).unwrap();
}

#[test]
fn a_pipeline_and_an_images_config_that_are_missing() {
    let mut world = healthy();
    let dir = world.context.root().join("bitops");
    fs::create_dir(&dir).unwrap();
    world.context.set("BITOPS_COMPOSE_PIPELINE_DIR", &dir);
    for (pipeline, code) in [("absent-program deploy", 127), ("'unclosed", 2)] {
        world.context.set("BITOPS_COMPOSE_PIPELINE", pipeline);
        message(&checks(&world, &[], code), "pipeline", "error");
    }
    world
        .context
        .set("BITOPS_COMPOSE_PIPELINE", "sh scripts/main.py deploy");
    assert!(
        message(&checks(&world, &[], 127), "pipeline", "error")
            .contains("bitops/scripts/main.py does not exist")
    );
    world.context.set("BITOPS_COMPOSE_PIPELINE", "true");
    message(
        &checks(&world, &["--image-config", "absent.yaml"], 65),
        "image-config",
        "error",
    );
    world.context.set("BITOPS_BUILD_CONFIG_YAML", "absent.yaml");
    message(&checks(&world, &[], 0), "image-config", "warning");
}

#[test]
fn wrong_variables_do_not_keep_the_rest_from_being_checked() {
    let mut world = healthy();
    world
        .context
        .set("BITOPS_COMPOSE_JOBS", "many")
        .set("BITOPS_COMPOSE_TIMEOT", "5")
        .set("BITOPS_COMPOSE_ALLOW", "")
        .set("BITOPS_COMPOSE_TOKEN_GITHUB_COM", "")
        .set("BITOPS_COMPOSE_TOKEN_A_____B", "hunter2");
    let run = doctor(&world, &[], 2);
    for said in [
        "error    BITOPS_COMPOSE_JOBS is `many`, which is not a whole number above 0",
        "warning  BITOPS_COMPOSE_TIMEOT is not a variable of bitops-compose",
        "hint: did you mean BITOPS_COMPOSE_TIMEOUT?",
        "warning  BITOPS_COMPOSE_ALLOW is set, but empty, so it restricts nothing",
        "warning  BITOPS_COMPOSE_TOKEN_A_____B does not name a host",
        "warning  BITOPS_COMPOSE_TOKEN_GITHUB_COM is set, but empty",
        "/c answers: 1 tag, 1 branch",
    ] {
        assert!(page(&run).contains(said), "{said}\n{run}");
    }
    assert!(
        !run.to_string().contains("hunter2") && !run.stdout.contains("JOBS=many"),
        "{run}"
    );
    let mut world = healthy();
    world.context.set("BITOPS_COMPOSE", "off");
    let found = checks(&world, &[], 0);
    assert!(
        found
            .iter()
            .any(|check| check["status"] == "warning" && check["name"] == "variable")
    );
}

#[test]
fn proxies_are_named_without_their_logins() {
    let mut world = healthy();
    world
        .context
        .set("HTTPS_PROXY", "CORP\\me:hunter2@proxy.example:3128/hunter2")
        .set("HTTP_PROXY", "nonsense://me:hunter2 proxy@host")
        .set("NO_PROXY", "127.0.0.1");
    let run = doctor(&world, &[], 65);
    let text = page(&run);
    for said in [
        "ok       the proxy of HTTPS_PROXY is http://proxy.example:3128\n",
        "error    HTTP_PROXY is not a proxy's address",
        "ok       without a proxy, by NO_PROXY: 127.0.0.1\n",
    ] {
        assert!(text.contains(said), "{said}\n{run}");
    }
    assert!(!run.to_string().contains("hunter2"), "{run}");
    // An invalid file of certificates, and a fifo.
    let mut world = healthy();
    let file = world.context.root().join("certificates");
    world.context.set("SSL_CERT_FILE", &file);
    message(&checks(&world, &[], 65), "certificates", "error");
    assert!(Command::new("mkfifo").arg(&file).status().unwrap().success());
    let run = world.context.run(["doctor", "--format", "json"]).expect_code(65);
    message(json(&run)["checks"].as_array().unwrap(), "certificates", "error");
}

/// `docker run IMAGE doctor`
#[test]
fn the_entrypoint_takes_it_for_the_command() {
    let world = healthy();
    let run = world
        .context
        .run(["deploy", "doctor", "--offline"])
        .expect_code(0);
    assert!(run.stdout.starts_with("Place\n"), "{run}");
    assert!(world.context.pipeline().is_none());
}
