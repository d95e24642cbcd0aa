//! `add` and `remove`: the list of sources changed by commands.

use compose_testkit::Catalog;

use super::{World, json, world};
use crate::common::catalog;

/// A catalog with two versions, a pre-release, a hook and a README; another one that has the same file; an environment
/// of the user with comments in its config.
fn catalogs() -> World {
    let mut c = Catalog::new("c");
    c.file("eks/terraform/main.txt", "one\n")
        .file("eks/terraform/bitops.config.yaml", "terraform: {}\n")
        .tag("1.0.0")
        .file("eks/terraform/bitops.before-deploy.d/10-login.sh", "true\n")
        .file("eks/README.md", "# EKS\n")
        .tag("v1.2.0")
        .tag("2.0.0-rc.1");
    let d = catalog("d", "web", "terraform/main.txt", "other\n");
    let mut world = world(&mut [c, d]);
    world.context.set("BITOPS_ENVIRONMENT", "dev");
    world
}

const CONFIG: &str = "# dev\nbitops:\n  fail_fast: true # always\n";

fn config(world: &World) -> String {
    std::fs::read_to_string(world.context.ops_repo().join("dev/bitops.config.yaml")).unwrap()
}

fn lock(world: &World) -> Option<String> {
    std::fs::read_to_string(world.context.ops_repo().join("dev/bitops.lock.yaml")).ok()
}

/// Adds a catalog's `eks` to the environment's config, and locks it.
fn add_and_lock(world: &World, repo: &str) {
    world.context.file("dev/bitops.config.yaml", CONFIG);
    world.context.run(["add", repo, "eks"]).expect_code(0);
    world.context.run(["lock"]).expect_code(0);
}

#[test]
fn the_newest_stable_version_is_added_and_the_text_stays() {
    let world = catalogs();
    world.context.file("dev/bitops.config.yaml", CONFIG);
    let repo = world.server.url("c");
    let dry = world
        .context
        .run(["add", &repo, "eks", "--dry-run"])
        .expect_code(0);
    insta::assert_snapshot!("add_dry_run", dry);
    assert_eq!(config(&world), CONFIG);
    insta::assert_snapshot!("add", world.context.run(["add", &repo, "eks"]).expect_code(0));
    let entry = |version: &str| {
        format!(
            "{CONFIG}default-environments:\n- repo: {repo}\n  environment: eks\n  version: \"{version}\"\n"
        )
    };
    assert_eq!(config(&world), entry("1.2.0"));
    // An entry that is there is changed in place, and the lock follows once there is one.
    world.context.run(["lock"]).expect_code(0);
    let before = lock(&world).unwrap();
    let changed = world
        .context
        .run(["add", &repo, "eks@1.0.0", "--bounds", "minor"])
        .expect_code(0);
    insta::assert_snapshot!("add_changes_an_entry", changed);
    assert_eq!(config(&world), entry("~1.0.0"));
    assert_ne!(lock(&world).unwrap(), before);
    let added = world
        .context
        .run(["add", &repo, "eks@1.2.0", "--no-lock", "--format", "json"])
        .expect_code(0);
    let added = json(&added);
    assert_eq!(added["line"], 5);
    assert_eq!(added["changed"], true);
    assert_eq!(
        added["hooks"],
        serde_json::json!(["terraform/bitops.before-deploy.d/10-login.sh"])
    );
    assert_eq!(added["source"]["resolved"], "v1.2.0");
    // A branch by --ref or behind the @, a pre-release by its name.
    for (word, option, expected) in [
        ("eks", Some("main"), "  ref: main\n"),
        ("eks@2.0.0-rc.1", None, "  version: \"2.0.0-rc.1\"\n"),
        ("eks@main", None, "  ref: main\n"),
    ] {
        let mut args = vec!["add", &repo, word];
        args.extend(option.iter().flat_map(|name| ["--ref", *name]));
        world.context.run(&args).expect_code(0);
        assert!(config(&world).ends_with(expected), "{}", config(&world));
    }
}

#[test]
fn a_config_is_made_where_there_is_none() {
    let world = catalogs();
    let repo = world.server.url("c");
    world.context.file("dev/bitops.config.yaml", CONFIG);
    world
        .context
        .run(["add", &repo, "eks", "--to", "new/env", "--bounds", "major"])
        .expect_code(0);
    let made = world.context.ops_repo().join("new/env/bitops.config.yaml");
    let expected =
        format!("default-environments:\n- repo: {repo}\n  environment: eks\n  version: \"^1.2.0\"\n");
    assert_eq!(std::fs::read_to_string(&made).unwrap(), expected);
    world.context.run(["plan", "new/env"]).expect_code(0);
    world
        .context
        .run(["add", &repo, "eks", "--to", "other", "--modeline"])
        .expect_code(0);
    let other = world.context.ops_repo().join("other/bitops.config.yaml");
    let other = std::fs::read_to_string(other).unwrap();
    let (first, rest) = other.split_once('\n').unwrap();
    assert!(
        first.starts_with("# yaml-language-server: $schema=https://"),
        "{other}"
    );
    assert!(rest.starts_with("default-environments:\n"), "{other}");
}

#[test]
fn conflicts_are_found_before_anything_is_written_and_a_proposal_works() {
    let world = catalogs();
    let (c, d) = (world.server.url("c"), world.server.url("d"));
    add_and_lock(&world, &c);
    let before = (config(&world), lock(&world));
    let refused = world.context.run(["add", &d, "web"]).expect_code(65);
    assert_eq!((config(&world), lock(&world)), before);
    insta::assert_snapshot!("add_in_conflict", refused);
    let proposals: Vec<String> = refused
        .stderr
        .lines()
        .filter_map(|line| {
            line.split_once("add it without these conflicts: `bitops-compose ")?
                .1
                .strip_suffix('`')
        })
        .map(ToOwned::to_owned)
        .collect();
    assert_eq!(proposals.len(), 2, "{refused}");
    for proposal in proposals {
        let words: Vec<&str> = proposal.split(' ').collect();
        world.context.run(&words).expect_code(0);
        world.context.run(["plan", "--locked"]).expect_code(0);
        world.context.file("dev/bitops.config.yaml", &before.0);
        world.context.run(["lock"]).expect_code(0);
    }
}

#[test]
fn a_failure_leaves_the_config_and_the_lock_as_they_were() {
    let world = catalogs();
    let (c, d) = (world.server.url("c"), world.server.url("d"));
    add_and_lock(&world, &c);
    let before = (config(&world), lock(&world));
    let absent = world.server.url("absent");
    for (args, code) in [
        (&["add", &d, "absent"][..], 65),
        (&["add", &d, "web@9.9.9"], 65),
        (&["add", &d, "web@1.0.0", "--ref", "main"], 2),
        (&["add", &d, "web", "--as", "not a name"], 65),
        (&["add", &d], 2),
        (&["add", "eks", "web"], 2),
        (&["add", &absent, "web"], 69),
        (&["remove", "absent"], 2),
    ] {
        let run = world.context.run(args);
        assert_eq!(run.code, Some(code), "{args:?}: {run}");
        assert!(run.stderr.contains("hint"), "{args:?}: {run}");
        assert_eq!((config(&world), lock(&world)), before, "{args:?}");
    }
    // A lock that cannot be written takes the config back.
    let lock_path = world.context.ops_repo().join("dev/bitops.lock.yaml");
    let elsewhere = world.context.root().join("elsewhere.yaml");
    std::fs::rename(&lock_path, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &lock_path).unwrap();
    let run = world.context.run(["add", &c, "eks@1.0.0"]);
    assert!(!run.success(), "{run}");
    assert_eq!(config(&world), before.0);
}

#[test]
fn what_is_removed_leaves_the_rest_and_says_what_goes() {
    let mut world = catalogs();
    let repo = world.server.url("c");
    world
        .context
        .file("dev/bitops.config.yaml", CONFIG)
        .file("dev/helm/web/values.yaml", "a: 1\n");
    world.context.run(["add", &repo, "eks"]).expect_code(0);
    world.context.run(["lock"]).expect_code(0);
    let before = config(&world);
    insta::assert_snapshot!(
        "remove_dry_run",
        world.context.run(["remove", "eks", "--dry-run"]).expect_code(0)
    );
    assert_eq!(config(&world), before);
    insta::assert_snapshot!("remove", world.context.run(["remove", "c"]).expect_code(0));
    assert_eq!(config(&world), CONFIG);
    world.context.run(["add", &repo, "eks@1.0.0"]).expect_code(0);
    // A source whose repo is gone can be removed, too.
    std::fs::remove_dir_all(world.path("c")).unwrap();
    world
        .context
        .set("BITOPS_COMPOSE_CACHE", world.context.root().join("another-cache"));
    let run = world.context.run(["remove", &repo]).expect_code(0);
    assert!(run.stdout.contains("is not known"), "{run}");
    assert_eq!(config(&world), CONFIG);
}
