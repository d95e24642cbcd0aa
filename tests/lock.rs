//! The lock: written, followed, checked, brought up to date.

mod common;

use std::{fs, path::PathBuf};

use common::{World, catalog, world};
use compose_testkit::Catalog;

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

/// `c` gets a tag `1.2.0` with another text.
fn release(world: &World) {
    let c = world.repo("c");
    let blob = c.write_blob("three\n");
    c.git(["read-tree", "1.1.0"]);
    c.git([
        "update-index",
        "--cacheinfo",
        &format!("100644,{blob},eks/terraform/main.txt"),
    ]);
    c.git([
        "update-index",
        "--add",
        "--cacheinfo",
        &format!("100755,{blob},eks/terraform/new.txt"),
    ]);
    let tree = c.git(["write-tree"]);
    let commit = c.git(["commit-tree", &tree, "-p", "1.1.0", "-m", "1.2.0"]);
    c.set_ref("refs/tags/1.2.0", &commit);
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

/// An empty cache, so that requests can be counted.
fn forget(world: &World) {
    fs::remove_dir_all(world.context.cache()).unwrap();
    fs::create_dir(world.context.cache()).unwrap();
    world.server.clear_requests();
}

/// Deploys, which must fail with a code; yields the messages.
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
    let told = refused(&world, 65);
    assert!(
        told.contains("locked at `1.1.0`, and BITOPS_COMPOSE_LOCKED is set"),
        "{told}"
    );
    assert!(told.contains("--> dev/bitops.config.yaml:2"), "{told}");
    assert_eq!(
        world.server.stats("c").requests(),
        0,
        "a refused source is not contacted"
    );
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
    assert!(!run.stderr.contains("lock"), "{run}");
}

#[test]
fn a_lock_that_is_required_must_be_there() {
    let mut world = two_catalogs();
    world.context.set("BITOPS_COMPOSE_LOCKED", "true");
    let told = refused(&world, 65);
    assert!(told.contains("there is no dev/bitops.lock.yaml"), "{told}");
    assert!(told.contains("hint: run `bitops-compose lock`"), "{told}");
    assert_eq!(world.server.requests().len(), 0);
}

#[test]
fn a_lock_that_cannot_be_read_is_an_error_with_its_place() {
    let world = locked();
    let good = lock_text(&world);
    let commit = world.repo("c").commit("1.1.0");
    let cut = good.find("tree:").unwrap();
    for (text, code, wanted) in [
        (good.replace(&commit, "nonsense"), 65, "`commit` is wrong"),
        (good[..cut].to_owned(), 65, "bitops.lock.yaml:"),
        (
            good.replace("format: 1", "format: 2"),
            65,
            "it has format 2, and this program reads format 1",
        ),
        (
            format!("<<<<<<< ours\n{good}"),
            65,
            "the marks of a merge that was not finished",
        ),
        (
            "{\"lockfileVersion\": 3}\n".to_owned(),
            65,
            "this program did not write it",
        ),
    ] {
        world.context.file(LOCK, &text);
        let told = refused(&world, code);
        assert!(told.contains(wanted), "{told}");
        assert!(told.contains("--> dev/bitops.lock.yaml:"), "{told}");
        // Which tags were moved would be forgotten.
        world.context.run(["lock"]).expect_code(65);
        assert_eq!(lock_text(&world), text);
    }
    assert_eq!(world.server.requests().len(), 0);
}

#[test]
fn a_tree_that_was_edited_is_noticed() {
    let world = locked();
    let tree = world.repo("c").id("1.1.0:eks");
    world
        .context
        .file(LOCK, lock_text(&world).replace(&tree, &"a".repeat(40)));
    let told = refused(&world, 65);
    assert!(
        told.contains("`eks` of") && told.contains("is not what was locked"),
        "{told}"
    );
    assert!(told.contains("the lock says aaaaaaaaa"), "{told}");
}

#[test]
fn a_commit_that_the_repo_no_longer_has_is_told_for_its_source_alone() {
    let world = locked();
    forget(&world);
    let commit = world.repo("c").commit("1.1.0");
    world
        .context
        .file(LOCK, lock_text(&world).replace(&commit, &"b".repeat(40)));
    let told = refused(&world, 65);
    assert!(told.contains(&"b".repeat(40)), "{told}");
    assert!(told.contains("hint: the lock names it"), "{told}");
    assert_eq!(told.matches("error:").count(), 1, "{told}");
}

#[test]
fn a_moved_tag_is_reported_and_taken_only_when_told_to() {
    let world = locked();
    let before = lock_text(&world);
    let (c, d) = (world.repo("c"), world.repo("d"));
    c.git(["tag", "--force", "1.1.0", "1.0.0"]);
    assert_eq!(deployed(&world), "two\n", "the lock keeps to the commit");

    let outdated = world.context.run(["outdated", "--check"]).expect_code(1);
    assert!(outdated.stdout.contains("tag moved from"), "{outdated}");
    for command in ["lock", "update"] {
        let run = world.context.run([command]).expect_code(65);
        assert!(run.stderr.contains("the tag `1.1.0` of"), "{run}");
        assert!(run.stderr.contains("--accept-moved"), "{run}");
        assert_eq!(lock_text(&world), before);
    }
    world.context.run(["update", "d"]).expect_code(0);
    assert_eq!(lock_text(&world), before, "the moved one was not asked about");
    world.context.run(["lock", "--accept-moved"]).expect_code(0);
    assert!(lock_text(&world).contains(&c.commit("1.0.0")));
    assert_eq!(deployed(&world), "one\n");

    d.git(["tag", "--delete", "1.0.0"]);
    let outdated = world.context.run(["outdated", "--check"]).expect_code(1);
    assert!(outdated.stdout.contains("deleted"), "{outdated}");
    world.context.run(["deploy"]).expect_code(0);
}

#[test]
fn a_moved_tag_is_noticed_without_a_lock() {
    let world = two_catalogs();
    let first = world.context.run(["deploy"]).expect_code(0);
    assert!(!first.stderr.contains("was moved"), "{first}");
    world.repo("c").git(["tag", "--force", "1.1.0", "1.0.0"]);
    let second = world.context.run(["deploy"]).expect_code(0);
    assert!(second.stderr.contains("warning: the tag `1.1.0` of"), "{second}");
    assert!(second.stderr.contains("was moved: it was at"), "{second}");
    let third = world.context.run(["deploy"]).expect_code(0);
    assert!(!third.stderr.contains("was moved"), "{third}");
}

#[test]
fn outdated_is_a_table_and_json_and_a_code() {
    let world = locked();
    let run = world.context.run(["outdated", "--check"]).expect_code(0);
    assert!(run.stdout.starts_with("SOURCE"), "{run}");
    release(&world);
    world.repo("d").git(["tag", "2.0.0", "1.0.0"]);
    world.context.run(["outdated"]).expect_code(0);
    world.context.run(["outdated", "--check"]).expect_code(1);
    let run = world.context.run(["outdated", "--format", "json"]).expect_code(0);
    let rows: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(rows[0]["in_range"], "1.2.0", "{run}");
    assert_eq!(
        (&rows[1]["in_range"], &rows[1]["newest"]),
        (&serde_json::Value::Null, &"2.0.0".into()),
        "{run}"
    );
    assert_eq!(
        (&rows[0]["outdated"], &rows[1]["outdated"]),
        (&true.into(), &false.into()),
        "{run}"
    );
}

#[test]
fn outdated_contacts_no_repo_that_policy_refuses() {
    let mut world = locked();
    let only_d = world.server.url("d");
    world.context.set("BITOPS_COMPOSE_ALLOW", only_d);
    let run = world.context.run(["outdated", "--check"]).expect_code(77);
    assert!(run.stderr.contains("/c is not among the repos"), "{run}");
    assert_eq!(
        (
            world.server.stats("c").requests(),
            world.server.stats("d").requests()
        ),
        (0, 2)
    );
}

#[test]
fn an_update_shows_what_it_would_change_and_then_does_it() {
    let world = locked();
    let before = lock_text(&world);
    assert!(
        world
            .context
            .run(["update", "--dry-run"])
            .expect_code(0)
            .stdout
            .contains("nothing to update")
    );
    release(&world);
    let run = world.context.run(["update", "--dry-run"]).expect_code(0);
    let address = world.server.address();
    let shown = run.stdout.replace(&address, "http://server").replace('\t', " ");
    insta::assert_snapshot!(shown, @r"
    dev/bitops.lock.yaml: 1 source would change
      http://server/c eks: `1.1.0` -> `1.2.0`

    --- a/dev/terraform/main.txt locked
    +++ b/dev/terraform/main.txt update
    @@ -1 +1 @@
    -two
    +three

    --- /dev/null locked
    +++ b/dev/terraform/new.txt update
    @@ -0,0 +1 @@
    +three
    ");
    assert_eq!(lock_text(&world), before);
    let run = world
        .context
        .run(["update", "--dry-run", "--format", "markdown"])
        .expect_code(0);
    let shown = run.stdout.replace(&address, "http://server").replace('\t', " ");
    insta::assert_snapshot!(shown, @r"
    ### Sources of `dev`

    | source | locked | update |
    |---|---|---|
    | eks of http://server/c | 1.1.0 | 1.2.0 |

    <details><summary>2 composed files change</summary>

    ```diff
    --- a/dev/terraform/main.txt locked
    +++ b/dev/terraform/main.txt update
    @@ -1 +1 @@
    -two
    +three
    --- /dev/null locked
    +++ b/dev/terraform/new.txt update
    @@ -0,0 +1 @@
    +three
    ```

    </details>
    ");
    for other in ["d", "web"] {
        world.context.run(["update", other]).expect_code(0);
        assert_eq!(lock_text(&world), before, "{other} is up to date");
    }
    let unknown = world.context.run(["update", "x"]).expect_code(2);
    assert!(
        unknown.stderr.contains("no locked source is called `x`"),
        "{unknown}"
    );
    let run = world
        .context
        .run(["update", "eks", "--format", "json"])
        .expect_code(0);
    let done: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(
        (&done["written"], &done["sources"][0]["after"]["resolved"]),
        (&true.into(), &"1.2.0".into()),
        "{run}"
    );
    assert!(lock_text(&world).contains(&world.repo("c").commit("1.2.0")));
    assert_eq!(deployed(&world), "three\n");
}

#[test]
fn an_update_that_would_conflict_says_so() {
    let world = locked();
    let d = world.repo("d");
    let blob = d.write_blob("theirs\n");
    d.git(["read-tree", "1.0.0"]);
    d.git([
        "update-index",
        "--add",
        "--cacheinfo",
        &format!("100644,{blob},web/terraform/main.txt"),
    ]);
    let tree = d.git(["write-tree"]);
    let commit = d.git(["commit-tree", &tree, "-m", "1.0.1"]);
    d.set_ref("refs/tags/1.0.1", &commit);
    world.sources(&[
        "{repo: '{repo}/c', environment: eks, version: ^1.0}",
        "{repo: '{repo}/d', environment: web, version: ~1.0}",
    ]);
    let run = world.context.run(["update", "--dry-run"]).expect_code(65);
    assert!(run.stdout.contains("`1.0.0` -> `1.0.1`"), "{run}");
    assert!(run.stderr.contains("terraform/main.txt"), "{run}");
}

#[test]
fn a_lock_that_cannot_be_written_leaves_nothing() {
    let world = two_catalogs();
    // Root may write anywhere but over a directory.
    fs::create_dir_all(lock_path(&world).join("in the way")).unwrap();
    let run = world.context.run(["lock"]).expect_code(65);
    assert!(run.stderr.contains("cannot read dev/bitops.lock.yaml"), "{run}");
    let beside = fs::read_dir(world.context.ops_repo().join("dev"))
        .unwrap()
        .count();
    assert_eq!(beside, 2);
}
