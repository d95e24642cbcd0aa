//! Locks that were edited, damaged or merged, and repos that lost what is locked.

use std::{fs, os::unix::fs::symlink, path::Path};

use compose_testkit::{Catalog, server::Protocol};

use crate::common::world;

use super::{LOCK, deployed, forget, lock_path, lock_text, locked, refused, two_catalogs};

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
        (String::new(), 65, "it has no `format`"),
        (
            good.replace("tag: \"1.1.0\"", "tag: \"2.0.0\""),
            65,
            "`2.0.0` is not what `^1.0` asks for",
        ),
        (
            good.replace("/d\n", "/c\n")
                .replace("environment: web", "environment: eks"),
            65,
            "it holds `eks` of",
        ),
        (
            good.replace("  tree", "  branch: \"main\"\n  tree"),
            65,
            "exactly one of `tag` and `branch`",
        ),
        (
            good.replace("  tree", "  signer: \"nobody\"\n  tree"),
            65,
            "`signer` is wrong: it is not the fingerprint of a key",
        ),
        (good.replace("  tree", "  sinner: \"x\"\n  tree"), 65, "`sinner`"),
        (
            format!("{good}further: 1\n"),
            65,
            "its end is missing: the last key is not `the-end: true`",
        ),
        (good.replace("the-end: true\n", ""), 65, "its end is missing"),
        (
            good.replace("the-end: true", "the-end: false"),
            65,
            "its end is missing",
        ),
    ] {
        world.context.file(LOCK, &text);
        let stderr = refused(&world, code);
        assert!(stderr.contains(wanted), "{stderr}");
        assert!(stderr.contains("--> dev/bitops.lock.yaml:"), "{stderr}");
        let checked = world.context.run(["check"]).expect_code(code);
        assert!(checked.stderr.contains(wanted), "{checked}");
        // Otherwise nobody would learn which tags were moved.
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
    let stderr = refused(&world, 65);
    assert!(
        stderr.contains("`eks` of") && stderr.contains("is not what was locked"),
        "{stderr}"
    );
    assert!(stderr.contains("the lock says aaaaaaaaa"), "{stderr}");
}

#[test]
fn a_commit_that_the_repo_no_longer_has_is_reported_for_its_source_alone() {
    let world = locked();
    forget(&world);
    let commit = world.repo("c").commit("1.1.0");
    world
        .context
        .file(LOCK, lock_text(&world).replace(&commit, &"b".repeat(40)));
    let stderr = refused(&world, 65);
    assert!(stderr.contains(&"b".repeat(40)), "{stderr}");
    assert!(stderr.contains("hint: the lock names it"), "{stderr}");
    assert_eq!(stderr.matches("error:").count(), 1, "{stderr}");
}

#[test]
fn a_lock_that_cannot_be_written_leaves_nothing() {
    let world = two_catalogs();
    // Root may write anywhere but over a directory.
    fs::create_dir_all(lock_path(&world).join("in the way")).unwrap();
    let run = world.context.run(["lock"]).expect_code(73);
    assert!(run.stderr.contains("cannot read dev/bitops.lock.yaml"), "{run}");
    let beside = fs::read_dir(world.context.ops_repo().join("dev"))
        .unwrap()
        .count();
    assert_eq!(beside, 2);
}

/// The locked commit is another one of the same repo. Its environment is not the locked tree, and nothing of it is used.
#[test]
fn another_commit_of_the_same_repo_is_noticed_before_it_is_used() {
    let mut world = world(&mut []);
    let mut inner = Catalog::new("inner");
    inner.file("net/x.txt", "x").tag("1.0.0");
    world.publish(inner);
    let mut outer = Catalog::new("outer");
    outer.file("eks/a.txt", "a").tag("1.0.0");
    let nested = world.config(&["{repo: '{repo}/inner', environment: net, version: 1.0.0}"]);
    outer.file("eks/bitops.config.yaml", nested).tag("2.0.0");
    outer.remove("eks/a.txt").remove("eks/bitops.config.yaml");
    outer.file("other/a.txt", "a").tag("3.0.0");
    world.publish(outer);
    world.sources(&["{repo: '{repo}/outer', environment: eks, version: 1.0.0}"]);
    world.context.run(["lock"]).expect_code(0);
    let good = lock_text(&world);
    let commit = |tag: &str| world.repo("outer").commit(tag);
    let edited = |tag: &str| good.replace(&commit("1.0.0"), &commit(tag));
    for (tag, wanted) in [
        ("2.0.0", "it is the tree "),
        ("3.0.0", "it does not exist, and the lock says "),
    ] {
        world.context.file(LOCK, edited(tag));
        let stderr = refused(&world, 65);
        assert!(stderr.contains("is not what was locked: in commit "), "{stderr}");
        assert!(stderr.contains(wanted), "{stderr}");
        assert_eq!(stderr.matches("error:").count(), 1, "{stderr}");
    }
    assert_eq!(
        world.server.stats("inner").requests(),
        0,
        "what it names is not asked for"
    );
}

/// A branch was forced elsewhere and its old commit thrown away, on servers that hand out any commit and on one that
/// knows refs only: what the branch holds now is not taken for it.
#[test]
fn a_commit_that_was_forced_away_is_not_replaced_by_what_is_there() {
    for protocol in [Protocol::AsAsked, Protocol::V0] {
        let world = two_catalogs();
        let c = world.repo("c");
        c.set_ref("refs/heads/next", &c.commit("1.1.0"));
        world.sources(&["{repo: '{repo}/c', environment: eks, ref: next}"]);
        world.context.run(["lock"]).expect_code(0);
        let gone = c.commit("1.1.0");
        c.set_ref("refs/heads/next", &c.commit("1.0.0"));
        for name in ["refs/tags/1.1.0", "refs/heads/main"] {
            c.git(["update-ref", "-d", name]);
        }
        c.git(["gc", "--quiet", "--prune=now"]);
        world.server.set_protocol("c", protocol);
        assert_eq!(deployed(&world), "two\n", "the cache has it");
        fs::remove_file(world.context.root().join("pipeline.json")).unwrap();
        forget(&world);
        let stderr = refused(&world, 65);
        assert!(
            stderr.contains(&format!("there is no commit {gone}")),
            "{protocol:?}: {stderr}"
        );
        assert!(stderr.contains("hint: the lock names it"), "{stderr}");
        let outdated = world.context.run(["outdated", "--check"]).expect_code(1);
        assert!(outdated.stdout.contains("branch went from"), "{outdated}");
        world.context.run(["update"]).expect_code(0);
        assert_eq!(deployed(&world), "one\n");
    }
}

#[test]
fn line_ends_and_byte_order_marks_do_not_damage_a_lock() {
    let world = locked();
    let good = lock_text(&world);
    let windows = good.replace('\n', "\r\n");
    for text in [&windows, &format!("\u{feff}{good}"), &format!("{good}\n\n")] {
        world.context.file(LOCK, text);
        assert_eq!(deployed(&world), "two\n");
    }
    world.context.file(LOCK, &windows);
    let run = world.context.run(["lock"]).expect_code(0);
    assert!(run.stdout.contains("nothing changed"), "{run}");
    assert_eq!(lock_text(&world), windows, "git would show no change either");
}

#[test]
fn a_lock_of_another_config_is_followed_as_far_as_it_goes() {
    let world = locked();
    let good = lock_text(&world);
    world.sources(&[
        "{repo: '{repo}/c', environment: eks, version: ^1.0}",
        "{repo: '{repo}/d', environment: other, version: 1.0.0}",
    ]);
    let run = world.context.run(["plan"]).expect_code(65);
    assert!(run.stderr.contains("has no environment `other`"), "{run}");
    world.sources(&["{repo: '{repo}/c', environment: eks, version: ^1.0}"]);
    let run = world.context.run(["deploy"]).expect_code(0);
    assert!(run.stderr.contains("the lock holds `web` of"), "{run}");
    assert!(run.stderr.contains("which nothing names"), "{run}");
    let run = world.context.run(["update", "eks"]).expect_code(0);
    assert!(run.stdout.contains("/d: `1.0.0` -> gone"), "{run}");
    let updated = lock_text(&world);
    let rest = updated.strip_suffix("the-end: true\n").unwrap();
    assert!(good.starts_with(rest), "the rest stays as it was");
}

/// A repo that was cloned from elsewhere may bring a link along.
#[test]
fn a_lock_that_leads_out_of_the_repo_is_neither_read_nor_written() {
    let world = locked();
    let good = lock_text(&world);
    let outside = world.context.root().join("outside");
    fs::write(&outside, "the user's own\n").unwrap();
    let absent = world.context.root().join("absent");
    for target in [
        outside.as_path(),
        Path::new("../../outside"),
        &absent,
        Path::new("/dev/zero"),
    ] {
        fs::remove_file(lock_path(&world)).unwrap();
        symlink(target, lock_path(&world)).unwrap();
        for command in ["lock", "update", "check", "plan", "deploy"] {
            let run = world.context.run([command]);
            assert!(
                matches!(run.code, Some(65 | 73)),
                "{} {command}: {run}",
                target.display()
            );
            assert!(run.stderr.contains("dev/bitops.lock.yaml"), "{run}");
            assert!(!run.stderr.contains("own"), "nothing of the file is shown: {run}");
        }
        assert_eq!(fs::read_link(lock_path(&world)).unwrap(), target);
    }
    assert_eq!(fs::read_to_string(&outside).unwrap(), "the user's own\n");
    assert!(!absent.exists());
    assert!(world.context.pipeline().is_none());
    // A link that stays in the repo is the user's own, and is kept.
    fs::remove_file(lock_path(&world)).unwrap();
    symlink("../locks.yaml", lock_path(&world)).unwrap();
    world
        .context
        .file("locks.yaml", good.replace("format: 1", "format: 1 "));
    world.context.run(["lock"]).expect_code(0);
    assert!(lock_path(&world).is_symlink());
    assert_eq!(lock_text(&world), good);
}
