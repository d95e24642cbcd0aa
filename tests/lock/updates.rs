//! Moved tags, `outdated`, `update`.

use std::fs;

use compose_testkit::server::ClosedPort;

use super::{commit_on, deployed, lock_text, locked, release, two_catalogs};

#[test]
fn a_moved_tag_is_reported_and_taken_only_with_accept_moved() {
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
    let report: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(
        (&report["environment"], &report["lock"]),
        (&"dev".into(), &"dev/bitops.lock.yaml".into())
    );
    let rows = &report["sources"];
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
      eks of http://server/c: `1.1.0` -> `1.2.0`

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
    let run = world.context.run(["update", "--format", "json"]).expect_code(0);
    let again: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(again["written"], false, "{run}");
}

/// As with every command, the first argument may name the environment, unless it names a source of the variable's environment.
#[test]
fn an_update_takes_the_environments_name_as_every_command_does() {
    let mut world = locked();
    let prod = lock_text(&world);
    world.context.file("prod/bitops.lock.yaml", &prod);
    let config = fs::read(world.context.ops_repo().join("dev/bitops.config.yaml")).unwrap();
    world.context.file("prod/bitops.config.yaml", &config);
    // The operations repo has an environment with the name of a source.
    world.context.file("eks/bitops.config.yaml", &config);
    release(&world);
    let lock = |environment: &str| {
        let path = world
            .context
            .ops_repo()
            .join(environment)
            .join("bitops.lock.yaml");
        fs::read_to_string(path).unwrap_or_default()
    };
    world.context.run(["update", "prod", "web"]).expect_code(0);
    assert_eq!((lock("dev"), lock("prod")), (prod.clone(), prod.clone()));
    world.context.run(["update", "prod"]).expect_code(0);
    assert!(lock("prod").contains("1.2.0"));
    assert_eq!(lock("dev"), prod, "the variable's environment is another");
    world.context.run(["update", "eks"]).expect_code(0);
    assert!(lock("dev").contains("1.2.0"), "eks is a source of dev");
    world.context.unset("BITOPS_ENVIRONMENT");
    let run = world.context.run(["update", "eks"]).expect_code(65);
    assert!(run.stderr.contains("there is no eks/bitops.lock.yaml"), "{run}");
    let run = world
        .context
        .run(["update", "--environment", "dev", "prod"])
        .expect_code(2);
    assert!(run.stderr.contains("no locked source is called `prod`"), "{run}");
}

#[test]
fn an_update_that_would_conflict_says_so() {
    let world = locked();
    let d = world.repo("d");
    let commit = commit_on(d, "1.0.0", &[("100644", "web/terraform/main.txt", "theirs\n")]);
    d.set_ref("refs/tags/1.0.1", &commit);
    world.sources(&[
        "{repo: '{repo}/c', environment: eks, version: ^1.0}",
        "{repo: '{repo}/d', environment: web, version: ~1.0}",
    ]);
    let run = world.context.run(["update", "--dry-run"]).expect_code(65);
    assert!(run.stdout.contains("`1.0.0` -> `1.0.1`"), "{run}");
    assert!(run.stderr.contains("terraform/main.txt"), "{run}");
}

/// The tag is deleted, and the same version comes back in its other spelling.
#[test]
fn a_version_that_comes_back_under_another_name_is_a_moved_tag() {
    let world = locked();
    let before = lock_text(&world);
    let d = world.repo("d");
    let commit = d.write_commit(&d.id("1.0.0^{tree}"), "another");
    d.git(["tag", "--delete", "1.0.0"]);
    d.git(["tag", "v1.0.0", &commit]);
    for command in ["lock", "update"] {
        let run = world.context.run([command]).expect_code(65);
        assert!(
            run.stderr.contains("the tag `1.0.0` of") && run.stderr.contains("`v1.0.0` is at"),
            "{run}"
        );
    }
    assert_eq!(lock_text(&world), before);
    world.context.run(["lock", "--accept-moved"]).expect_code(0);
    assert!(lock_text(&world).contains(&commit));
}

#[test]
fn a_repo_that_cannot_be_reached_hides_no_other() {
    let world = locked();
    release(&world);
    let gone = ClosedPort::new();
    let text = lock_text(&world).replace(&world.server.url("d"), &format!("{}/d", gone.address()));
    world.context.file(super::LOCK, text);
    let run = world.context.run(["outdated", "--check"]).expect_code(69);
    assert!(run.stdout.contains("1.2.0"), "{run}");
    assert!(run.stderr.contains(&format!("{}/d", gone.address())), "{run}");
}

#[test]
fn one_of_two_environments_of_a_repo_is_updated() {
    let world = two_catalogs();
    let c = world.repo("c");
    // Its `web` is what the other catalog's is, and both of its environments have tags of their own.
    let commit = commit_on(c, "1.1.0", &[("100644", "web/w.txt", "w\n")]);
    c.set_ref("refs/tags/web/1.0.0", &commit);
    c.set_ref("refs/tags/eks-1.0.0", &c.commit("1.1.0"));
    world.sources(&[
        "{repo: '{repo}/c', environment: eks, version: ^1.0}",
        "{repo: '{repo}/c', environment: web, version: ^1.0}",
    ]);
    world.context.run(["lock"]).expect_code(0);
    let before = lock_text(&world);
    assert!(
        before.contains("tag: \"eks-1.0.0\"") && before.contains("tag: \"web/1.0.0\""),
        "{before}"
    );
    c.set_ref("refs/tags/web/1.0.1", &c.commit("web/1.0.0"));
    c.set_ref("refs/tags/eks-1.0.1", &c.commit("eks-1.0.0"));
    world.server.clear_requests();
    let run = world.context.run(["update", "web"]).expect_code(0);
    assert!(run.stdout.contains("1 source updated"), "{run}");
    assert_eq!(
        lock_text(&world),
        before.replace("web/1.0.0", "web/1.0.1"),
        "a diff of one line"
    );
    assert_eq!(world.server.stats("c").ls_refs, 1);
    let run = world.context.run(["update", "dev", "web"]).expect_code(0);
    assert!(run.stdout.contains("nothing to update"), "{run}");
    world.context.run(["update", "dev"]).expect_code(0);
    assert!(lock_text(&world).contains("tag: \"eks-1.0.1\""));
}
