//! The lock: writing, using, checking and updating it.
//!
//! | module | holds |
//! |---|---|
//! | `broken` | locks that were edited, damaged or merged, and repos that lost what is locked |
//! | `updates` | moved tags, `outdated`, `update` |

mod broken;
mod updates;

use std::{fs, path::PathBuf};

use crate::common::{World, catalog, world};
use compose_testkit::{Catalog, Repo};

const LOCK: &str = "dev/bitops.lock.yaml";

/// Catalogs `c`, tagged `1.0.0` and `1.1.0`, and `d`, tagged `1.0.0`; the environment asks for `^1.0` of the one and
/// `1.0.0` of the other.
fn two_catalogs() -> World {
    let mut c = catalog("c", "eks", "terraform/main.txt", "one\n");
    c.file("eks/terraform/main.txt", "two\n").tag("1.1.0");
    let world = world(&mut [c, catalog("d", "web", "charts/y.txt", "y\n")]);
    world.sources(&[
        "{repo: '{repo}/c', environment: eks, version: ^1.0}",
        "{repo: '{repo}/d', environment: web, version: 1.0.0}",
    ]);
    world
}

/// Tags a new release of `c`, `1.2.0`, with another text and one more file.
fn release(world: &World) {
    let c = world.repo("c");
    let files = [
        ("100644", "eks/terraform/main.txt", "three\n"),
        ("100755", "eks/terraform/new.txt", "three\n"),
    ];
    c.set_ref("refs/tags/1.2.0", &commit_on(c, "1.1.0", &files));
}

/// Commits files (mode, path, content) on top of a revision, and returns the commit.
fn commit_on(repo: &Repo, base: &str, files: &[(&str, &str, &str)]) -> String {
    repo.git(["read-tree", base]);
    for (mode, path, content) in files {
        let entry = format!("{mode},{},{path}", repo.write_blob(content));
        repo.git(["update-index", "--add", "--cacheinfo", &entry]);
    }
    let tree = repo.git(["write-tree"]);
    repo.git(["commit-tree", &tree, "-p", base, "-m", "changed"])
}

fn lock_path(world: &World) -> PathBuf {
    world.context.ops_repo().join(LOCK)
}

fn lock_text(world: &World) -> String {
    fs::read_to_string(lock_path(world)).unwrap()
}

fn locked() -> World {
    let world = two_catalogs();
    world.context.run(["lock"]).expect_code(0);
    world.server.clear_requests();
    world
}

/// Empties the cache, so that requests can be counted.
fn forget(world: &World) {
    fs::remove_dir_all(world.context.cache()).unwrap();
    fs::create_dir(world.context.cache()).unwrap();
    world.server.clear_requests();
}

/// Deploys, which must fail with a code. Returns the messages.
#[track_caller]
fn refused(world: &World, code: i32) -> String {
    let before = world.context.ops_repo_fingerprint();
    let run = world.context.run(["deploy"]).expect_code(code);
    assert!(world.context.pipeline().is_none(), "{run}");
    world.context.ops_repo_fingerprint().assert_same_as(&before);
    run.stderr
}

fn deployed(world: &World) -> String {
    world.context.run(["deploy"]).expect_code(0);
    let seen = world.context.pipeline().unwrap();
    seen.text("dev/terraform/main.txt").unwrap().to_owned()
}

#[test]
fn a_lock_holds_commits_and_trees_and_is_the_same_every_time() {
    let world = two_catalogs();
    let run = world.context.run(["lock"]).expect_code(0);
    assert!(
        run.stdout.starts_with("dev/bitops.lock.yaml: 2 sources locked\n"),
        "{run}"
    );
    let text = lock_text(&world);
    for (repo, revision) in [
        ("c", "1.1.0^{commit}"),
        ("c", "1.1.0:eks"),
        ("d", "1.0.0^{commit}"),
        ("d", "1.0.0:web"),
    ] {
        assert!(
            text.contains(&world.repo(repo).id(revision)),
            "{repo} {revision}\n{text}"
        );
    }
    let before = fs::metadata(lock_path(&world)).unwrap().modified().unwrap();
    let run = world.context.run(["lock", "dev"]).expect_code(0);
    assert!(
        run.stdout.starts_with("dev/bitops.lock.yaml: nothing changed\n"),
        "{run}"
    );
    assert_eq!(lock_text(&world), text);
    assert_eq!(
        fs::metadata(lock_path(&world)).unwrap().modified().unwrap(),
        before
    );
    let beside: Vec<_> = fs::read_dir(world.context.ops_repo().join("dev"))
        .unwrap()
        .collect();
    assert_eq!(beside.len(), 2, "the config, the lock, and nothing aside");
}

#[test]
fn a_locked_deployment_asks_for_no_refs() {
    let world = two_catalogs();
    assert_eq!(deployed(&world), "two\n");
    let live = world.server.stats("c");
    world.context.run(["lock"]).expect_code(0);
    forget(&world);
    release(&world);
    assert_eq!(deployed(&world), "two\n", "the newer tag is not looked at");
    let locked = world.server.stats("c");
    assert_eq!((live.ls_refs, locked.ls_refs), (1, 0));
    assert_eq!(
        live.requests() - locked.requests(),
        1,
        "and nothing takes its place"
    );
    world.server.clear_requests();
    assert_eq!(deployed(&world), "two\n");
    assert_eq!(world.server.requests().len(), 0, "warm and locked: no network");
}

#[test]
fn nested_sources_are_locked_too() {
    let mut world = world(&mut [catalog("inner", "net", "vpc.txt", "one")]);
    let mut outer = Catalog::new("outer");
    let nested = world.config(&["{repo: '{repo}/inner', environment: net, version: latest}"]);
    outer.file("eks/bitops.config.yaml", nested).tag("1.0.0");
    world.publish(outer);
    world.sources(&["{repo: '{repo}/outer', environment: eks, version: 1.0.0}"]);
    world.context.run(["lock"]).expect_code(0);
    let text = lock_text(&world);
    assert!(text.contains(&world.repo("inner").commit("1.0.0")), "{text}");
    assert!(text.contains("  via:\n  - repo: "), "{text}");
    forget(&world);
    world.context.set("BITOPS_COMPOSE_LOCKED", "true");
    world.context.run(["deploy"]).expect_code(0);
    assert_eq!(
        (
            world.server.stats("inner").ls_refs,
            world.server.stats("outer").ls_refs
        ),
        (0, 0)
    );
}

#[test]
fn a_request_that_the_lock_does_not_answer_is_resolved_live_or_refused() {
    let mut world = locked();
    world.sources(&[
        "{repo: '{repo}/c', environment: eks, version: 1.0.0}",
        "{repo: '{repo}/d', environment: web, ref: 1.0.0}",
    ]);
    let run = world.context.run(["deploy"]).expect_code(0);
    assert!(run.stderr.contains("`eks` of"), "{run}");
    assert!(
        run.stderr.contains(
            "is asked for as `1.0.0` and locked at `1.1.0`; it is resolved as if there were no lock"
        ),
        "{run}"
    );
    assert_eq!(
        world.context.pipeline().unwrap().text("dev/terraform/main.txt"),
        Some("one\n")
    );
    fs::remove_file(world.context.root().join("pipeline.json")).unwrap();
    world.server.clear_requests();
    world.context.set("BITOPS_COMPOSE_LOCKED", "true");
    let stderr = refused(&world, 65);
    assert!(
        stderr.contains("locked at `1.1.0`, and BITOPS_COMPOSE_LOCKED is set"),
        "{stderr}"
    );
    assert!(stderr.contains("--> dev/bitops.config.yaml:2"), "{stderr}");
    assert_eq!(
        world.server.stats("c").requests(),
        0,
        "a refused source is not contacted"
    );
}

/// `check` warns of what a deployment would warn of and fails where it would fail, without a network.
#[test]
fn check_compares_the_lock_with_the_config() {
    let mut world = locked();
    let silent = world.context.run(["check"]).expect_code(0);
    assert_eq!(silent.stderr, "");
    let changed = [
        (
            "{repo: '{repo}/c', environment: eks, version: 1.0.0}",
            "`eks` of http",
            "is asked for as `1.0.0` and locked at `1.1.0`",
        ),
        (
            "{repo: '{repo}/new', environment: eks, version: 1.0.0}",
            "/new",
            "is not in the lock",
        ),
    ];
    for (entry, of, why) in changed {
        world.sources(&[entry, "{repo: '{repo}/d', environment: web, version: 1.0.0}"]);
        world.context.unset("BITOPS_COMPOSE_LOCKED");
        let warned = world.context.run(["check"]).expect_code(0);
        let stderr = &warned.stderr;
        assert!(
            stderr.contains("warning") && stderr.contains(of) && stderr.contains(why),
            "{warned}"
        );
        assert!(stderr.contains("--> dev/bitops.config.yaml:2"), "{warned}");
        world.context.set("BITOPS_COMPOSE_LOCKED", "true");
        let refused = world.context.run(["check"]).expect_code(65);
        assert!(
            refused
                .stderr
                .contains(&format!("{why}, and BITOPS_COMPOSE_LOCKED is set")),
            "{refused}"
        );
    }
    world.context.unset("BITOPS_COMPOSE_LOCKED");
    world.sources(&["{repo: '{repo}/c', environment: eks, version: ^1.0}"]);
    let unused = world.context.run(["check"]).expect_code(0);
    assert!(unused.stderr.contains("which nothing names"), "{unused}");
    fs::write(lock_path(&world), "format: 1\nsources: [\n").unwrap();
    world.context.run(["check"]).expect_code(65);
    fs::remove_file(lock_path(&world)).unwrap();
    assert_eq!(world.context.run(["check"]).expect_code(0).stderr, "");
    world.context.set("BITOPS_COMPOSE_LOCKED", "true");
    let missing = world.context.run(["check"]).expect_code(65);
    assert!(
        missing.stderr.contains("there is no dev/bitops.lock.yaml"),
        "{missing}"
    );
    assert_eq!(world.server.requests().len(), 0);
}

/// A source that another source names is in the lock and not in the config.
#[test]
fn check_takes_no_nested_source_for_one_that_nothing_names() {
    let inner = catalog("inner", "base", "terraform/x.txt", "x");
    let world = world(&mut [inner]);
    let mut outer = catalog("outer", "eks", "terraform/y.txt", "y");
    let nested = format!(
        "{{repo: '{}/inner', environment: base, version: 1.0.0}}",
        world.server.address()
    );
    outer
        .file(
            "eks/bitops.config.yaml",
            format!("default-environments:\n- {nested}\n"),
        )
        .tag("2.0.0");
    let mut world = world.with(outer);
    world.sources(&["{repo: '{repo}/outer', environment: eks, version: 2.0.0}"]);
    world.context.run(["lock"]).expect_code(0);
    world.context.set("BITOPS_COMPOSE_LOCKED", "true");
    assert_eq!(world.context.run(["check"]).expect_code(0).stderr, "");
}

#[test]
fn a_request_that_the_locked_version_answers_needs_no_new_lock() {
    let mut world = locked();
    world.sources(&[
        "{repo: '{repo}/c', environment: eks, version: 1.1.0}",
        "{repo: '{repo}/d', environment: web, version: ~1.0}",
    ]);
    world.context.set("BITOPS_COMPOSE_LOCKED", "true");
    let run = world.context.run(["deploy"]).expect_code(0);
    let mut warnings = run.stderr.lines().filter(|line| !line.contains(" INFO "));
    assert!(!warnings.any(|line| line.contains("lock")), "{run}");
    assert!(run.stderr.contains("locked=true"), "{run}");
}

#[test]
fn a_lock_that_is_required_must_be_there() {
    let mut world = two_catalogs();
    world.context.set("BITOPS_COMPOSE_LOCKED", "true");
    let stderr = refused(&world, 65);
    assert!(stderr.contains("there is no dev/bitops.lock.yaml"), "{stderr}");
    assert!(stderr.contains("hint: run `bitops-compose lock dev`"), "{stderr}");
    assert_eq!(world.server.requests().len(), 0);
}

/// Round trips beyond connecting: the handshake, the look at the refs that a lock saves, the commits, and what the wanted
/// directories hold. Which of their files are wanted at all takes one more where that is not simply all.
#[test]
fn a_repo_takes_four_requests_and_three_with_a_lock() {
    for (options, content) in [("", 1), (", exclude: ['*.md']", 2)] {
        let world = two_catalogs();
        world.sources(&[
            &format!("{{repo: '{{repo}}/c', environment: eks, version: ^1.0{options}}}"),
            &format!("{{repo: '{{repo}}/d', environment: web, version: 1.0.0{options}}}"),
        ]);
        let count = || {
            ["c", "d"].map(|repo| {
                let stats = world.server.stats(repo);
                (stats.info_refs, stats.ls_refs, stats.fetches)
            })
        };
        deployed(&world);
        assert_eq!(count(), [(1, 1, 1 + content); 2], "cold{options}");
        world.server.clear_requests();
        deployed(&world);
        assert_eq!(count(), [(1, 1, 0); 2], "warm: was a tag moved?{options}");
        world.context.run(["lock"]).expect_code(0);
        forget(&world);
        deployed(&world);
        assert_eq!(count(), [(1, 0, 1 + content); 2], "cold and locked{options}");
        world.server.clear_requests();
        deployed(&world);
        assert_eq!(count(), [(0, 0, 0); 2], "warm and locked{options}");
    }
}
