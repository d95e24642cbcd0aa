//! `plan` for a reviewer: all files, hooks, what changes against another state.

use std::process::Command;

use super::{World, json, world};
use crate::common::catalog;

/// An environment with a hook, an executable, a merged and an overridden file, in a git repo.
fn reviewed() -> World {
    let mut c = catalog("c", "eks", "terraform/main.txt", "one\n");
    c.file("eks/terraform/bitops.before-deploy.d/10-login.sh", "true\n")
        .executable("eks/scripts/run.sh", "true\n")
        .file("eks/helm/web/values.yaml", "image: a\nport: 80\nhosts: b\n")
        .tag("1.0.0")
        .file("eks/terraform/main.txt", "two\n")
        .tag("1.1.0");
    let world = world(&mut [c]);
    world.sources(&["{repo: '{repo}/c', environment: eks, version: 1.0.0}"]);
    world
        .context
        .file("dev/helm/web/values.yaml", "image: mine\nport: 81\n")
        .file("dev/mine.txt", "mine\n");
    git(&world, &["init", "--quiet", "--initial-branch=main"]);
    commit(&world);
    world
}

fn git(world: &World, args: &[&str]) {
    let mut git = Command::new("git");
    git.arg("-C").arg(world.context.ops_repo());
    git.args(["-c", "user.name=A", "-c", "user.email=a@example.com"]);
    let done = git.args(args).output().unwrap();
    assert!(done.status.success(), "{args:?}: {done:?}");
}

fn commit(world: &World) {
    git(world, &["add", "--all"]);
    git(world, &["commit", "--quiet", "--message", "a state"]);
}

#[test]
fn a_reviewer_sees_hooks_own_keys_and_all_files() {
    let world = reviewed();
    insta::assert_snapshot!(
        "plan_with_files",
        world.context.run(["plan", "--files"]).expect_code(0)
    );
    let plan = json(&world.context.run(["plan", "--format", "json"]).expect_code(0));
    assert_eq!(plan["sources"][0]["locked"], false);
    world.context.run(["lock"]).expect_code(0);
    let plan = json(&world.context.run(["plan", "--format", "json"]).expect_code(0));
    assert_eq!(plan["sources"][0]["locked"], true);
}

#[test]
fn the_exit_code_says_whether_the_composition_differs() {
    let world = reviewed();
    world.context.run(["plan", "--exit-code"]).expect_code(2);
    world.context.run(["plan"]).expect_code(0);
    world.context.file("dev/bitops.config.yaml", "bitops: {}\n");
    world.context.run(["plan", "--exit-code"]).expect_code(0);
}

#[test]
fn a_plan_is_compared_with_another_lock_and_with_a_commit() {
    let mut world = reviewed();
    world.context.run(["lock"]).expect_code(0);
    let lock = world.context.ops_repo().join("dev/bitops.lock.yaml");
    let old = world.context.root().join("old.lock.yaml");
    std::fs::copy(&lock, &old).unwrap();
    let dir = world.context.root().to_owned();
    world.context.current_dir(&dir);
    commit(&world);
    let status = || {
        let mut git = Command::new("git");
        let status = git
            .arg("-C")
            .arg(world.context.ops_repo())
            .args(["status", "--porcelain"]);
        String::from_utf8(status.output().unwrap().stdout).unwrap()
    };
    world.sources(&["{repo: '{repo}/c', environment: eks, version: 1.1.0}"]);
    world.context.file("dev/mine.txt", "changed\n");
    world.context.run(["lock"]).expect_code(0);
    let before = status();
    // Under another lock, only the sources differ; at a commit, the user's own files do, too.
    let against = world
        .context
        .run(["plan", "--against", "old.lock.yaml", "--exit-code"])
        .expect_code(2);
    insta::assert_snapshot!("plan_against_a_lock", against);
    let against = world
        .context
        .run(["plan", "--against", "HEAD", "--exit-code"])
        .expect_code(2);
    insta::assert_snapshot!("plan_against_a_commit", against);
    let value = json(
        &world
            .context
            .run(["plan", "--against", "main", "--format", "json"])
            .expect_code(0),
    );
    let paths: Vec<_> = value["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| file["path"].as_str().unwrap())
        .collect();
    assert_eq!(
        paths,
        ["dev/bitops.config.yaml", "dev/mine.txt", "dev/terraform/main.txt"]
    );
    assert_eq!(status(), before, "the work tree and the index are left alone");
    // The environment need not have been there.
    world.context.file(
        "new/bitops.config.yaml",
        world.config(&["{repo: '{repo}/c', environment: eks, version: 1.1.0}"]),
    );
    let new = world
        .context
        .run(["plan", "new", "--against", "HEAD"])
        .expect_code(0);
    assert!(new.stdout.contains("+two"), "{new}");
    insta::assert_snapshot!(
        "plan_against_nothing",
        world.context.run(["plan", "--against", "absent"]).expect_code(2)
    );
    for option in ["--help", "-x"] {
        let run = world
            .context
            .run(["plan", &format!("--against={option}")])
            .expect_code(2);
        assert!(run.stderr.contains("neither a lock file nor a commit"), "{run}");
    }
}
