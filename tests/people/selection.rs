//! Which environments of which operations repo a command means, one or several.

use std::path::PathBuf;

use compose_testkit::server::RequestKind;

use super::{World, json, world};
use crate::common::catalog;

/// Two environments that share a catalog, one that names no sources, and one with a mistake. No mount is looked at.
fn several() -> World {
    let mut c = catalog("c", "eks", "terraform/main.txt", "one\n");
    c.file("eks/terraform/main.txt", "two\n").tag("1.1.0");
    let mut world = world(&mut [c]);
    let config = world.config(&["{repo: '{repo}/c', environment: eks, version: ^1.0}"]);
    world
        .context
        .file("dev/bitops.config.yaml", &config)
        .file("dev/terraform/mine.txt", "")
        .file("stacks/prod/bitops.config.yaml", &config)
        .file("plain/bitops.config.yaml", "bitops: {}\n");
    let absent = world.context.root().join("absent");
    world
        .context
        .unset("BITOPS_ENVIRONMENT")
        .set("BITOPS_COMPOSE_OPS_REPO", &absent)
        .set("BITOPS_COMPOSE_HOME", &absent);
    std::fs::create_dir(world.context.ops_repo().join(".git")).unwrap();
    world
}

/// Returns what `check` says is the environment, from this directory of the operations repo.
fn checked(world: &mut World, dir: &str, args: &[&str]) -> String {
    let dir: PathBuf = world.context.ops_repo().join(dir);
    world.context.current_dir(&dir);
    let args = [&["check", "--format", "json"], args].concat();
    let run = world.context.run(&args).expect_code(0);
    json(&run)["environment"].as_str().unwrap().to_owned()
}

#[test]
fn an_environment_is_named_by_a_path_or_by_the_current_directory() {
    let mut world = several();
    for (dir, word, environment) in [
        ("", "dev", "dev"),
        ("", "./dev", "dev"),
        ("", "dev/", "dev"),
        ("", "stacks/prod", "stacks/prod"),
        ("dev", ".", "dev"),
        ("dev", "dev", "dev"),
        ("dev", "./", "dev"),
        ("dev", "plain", "plain"),
        ("dev", "../stacks/prod/", "stacks/prod"),
        ("dev/terraform", "..", "dev"),
        ("stacks", "prod", "stacks/prod"),
        ("..", "ops/dev", "dev"),
    ] {
        let name = world
            .context
            .ops_repo()
            .file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        let word = word.replace("ops/", &format!("{name}/"));
        assert_eq!(checked(&mut world, dir, &[&word]), environment, "{dir}: {word}");
    }
    for (dir, environment) in [
        ("dev", "dev"),
        ("dev/terraform", "dev"),
        ("stacks/prod", "stacks/prod"),
    ] {
        assert_eq!(checked(&mut world, dir, &[]), environment, "{dir}");
    }
    let absolute = world.context.ops_repo().join("dev");
    assert_eq!(checked(&mut world, "..", &[absolute.to_str().unwrap()]), "dev");
    // The option changes the directory before anything else.
    let stacks = world.context.ops_repo().join("stacks");
    assert_eq!(
        checked(&mut world, "dev", &["prod", "-C", stacks.to_str().unwrap()]),
        "stacks/prod"
    );
    // The variable goes before the directory, and an argument before both.
    world.context.set("BITOPS_ENVIRONMENT", "./dev/");
    assert_eq!(checked(&mut world, "stacks/prod", &[]), "dev");
    assert_eq!(checked(&mut world, "dev", &["plain"]), "plain");
}

#[test]
fn what_names_no_environment_is_an_error_that_says_what_there_is() {
    let mut world = several();
    let repo = world.context.ops_repo();
    world.context.current_dir(&repo);
    insta::assert_snapshot!("no_environment_here", world.context.run(["plan"]).expect_code(2));
    insta::assert_snapshot!(
        "a_misspelt_environment",
        world.context.run(["plan", "Dev"]).expect_code(65)
    );
    insta::assert_snapshot!(
        "a_directory_that_is_not_there",
        world.context.run(["plan", "-C", "absent"]).expect_code(2)
    );
    let empty = world.context.root().join("empty");
    std::fs::create_dir_all(empty.join(".git")).unwrap();
    world.context.current_dir(&empty);
    insta::assert_snapshot!(
        "all_of_a_repo_without_sources",
        world.context.run(["lock", "--all"]).expect_code(65)
    );
    let two = [
        repo.join("dev").display().to_string(),
        empty.display().to_string(),
    ];
    let run = world.context.run(["check", &two[0], &two[1]]).expect_code(2);
    assert!(run.stderr.contains("two operations repos"), "{run}");
}

#[test]
fn several_environments_are_locked_with_one_look_at_each_repo() {
    let mut world = several();
    let repo = world.context.ops_repo();
    world.context.current_dir(&repo);
    let all = world.context.run(["lock", "--all"]).expect_code(0);
    insta::assert_snapshot!("all_locked", all);
    let requests = world.server.requests();
    let looks = requests
        .iter()
        .filter(|request| request.kind == RequestKind::LsRefs)
        .count();
    assert_eq!(looks, 1, "{requests:#?}");

    let outdated = world
        .context
        .run(["outdated", "dev", "stacks/prod", "--format", "json"])
        .expect_code(0);
    let outdated = json(&outdated);
    let names: Vec<_> = outdated["environments"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["environment"])
        .collect();
    assert_eq!(names, ["dev", "stacks/prod"]);
    assert_eq!(
        outdated["environments"][1]["sources"].as_array().unwrap().len(),
        1
    );

    let plan = world
        .context
        .run(["plan", "--all", "--format", "json", "--locked", "--offline"])
        .expect_code(0);
    assert_eq!(json(&plan)["environments"].as_array().unwrap().len(), 2);
}

#[test]
fn the_worst_of_several_environments_is_the_exit_code() {
    let mut world = several();
    let repo = world.context.ops_repo();
    world.context.current_dir(&repo).file(
        "broken/bitops.config.yaml",
        "default-environments:\n- {repo: 5}\n",
    );
    let run = world
        .context
        .run(["check", "--all", "--format", "json"])
        .expect_code(65);
    let checked = json(&run);
    let environments = checked["environments"].as_array().unwrap();
    assert_eq!(environments[0]["environment"], "broken");
    assert_eq!(environments[0]["problems"][0]["line"], 2);
    assert_eq!(environments[1]["problems"], serde_json::json!([]));
    assert!(run.stderr.contains("broken/bitops.config.yaml"), "{run}");
    let text = world.context.run(["check", "--all"]).expect_code(65);
    insta::assert_snapshot!("a_mistake_in_one_of_several", text);
}

#[test]
fn an_update_takes_environments_then_sources() {
    let mut world = several();
    let repo = world.context.ops_repo();
    world.context.current_dir(&repo);
    world.context.run(["lock", "--all"]).expect_code(0);
    for args in [
        &["update", "dev", "stacks/prod", "c"][..],
        &["update", "--all", "c"],
        &["update", "-e", "dev", "-e", "stacks/prod", "eks"],
    ] {
        let run = world.context.run(args).expect_code(0);
        assert_eq!(
            run.stdout.matches("nothing to update").count(),
            2,
            "{args:?}: {run}"
        );
    }
    let run = world.context.run(["update", "--all", "absent"]).expect_code(2);
    assert!(
        run.stderr.contains("no locked source is called `absent`"),
        "{run}"
    );
}

#[test]
fn a_source_is_added_to_the_current_directory_if_nothing_else_is_named() {
    let mut world = several();
    let fresh = world.context.ops_repo().join("fresh");
    std::fs::create_dir(&fresh).unwrap();
    world.context.current_dir(&fresh);
    let repo = world.server.url("c");
    let run = world.context.run(["add", &repo, "eks"]).expect_code(0);
    assert!(
        run.stdout.starts_with("fresh/bitops.config.yaml:2: added eks"),
        "{run}"
    );
    assert!(fresh.join("bitops.config.yaml").is_file());
    // The operations repo itself is no environment.
    let root = world.context.ops_repo();
    world.context.current_dir(&root);
    world.context.run(["add", &repo, "eks"]).expect_code(2);
}

#[test]
fn a_path_that_is_explained_names_its_environment() {
    let mut world = several();
    for (dir, path) in [
        ("", "dev/terraform/main.txt"),
        ("dev", "terraform/main.txt"),
        ("dev/terraform", "main.txt"),
        ("stacks", "../dev/terraform/main.txt"),
        ("stacks", "dev/terraform/main.txt"),
    ] {
        let dir = world.context.ops_repo().join(dir);
        world.context.current_dir(&dir);
        let run = world.context.run(["explain", path]).expect_code(0);
        assert!(run.stdout.contains("main.txt"), "{path}: {run}");
    }
}

#[test]
fn an_unknown_variable_is_a_warning_and_near_a_policy_an_error() {
    let mut world = several();
    let repo = world.context.ops_repo();
    world
        .context
        .current_dir(&repo)
        .set("BITOPS_COMPOSE_TIME_OUT", "5");
    let warned = world.context.run(["check", "dev"]).expect_code(0);
    assert!(
        warned.stderr.contains("did you mean BITOPS_COMPOSE_TIMEOUT?"),
        "{warned}"
    );
    world.context.set("BITOPS_COMPOSE_LOCK", "true");
    for command in [&["check", "dev"][..], &["deploy"]] {
        world.context.set("BITOPS_ENVIRONMENT", "dev");
        if command == ["deploy"] {
            world
                .context
                .unset("BITOPS_COMPOSE_OPS_REPO")
                .set("BITOPS_COMPOSE_OPS_REPO", &repo);
        }
        let refused = world.context.run(command).expect_code(2);
        assert!(
            refused.stderr.contains("did you mean BITOPS_COMPOSE_LOCKED?"),
            "{refused}"
        );
    }
}

#[test]
fn flags_hold_for_every_command() {
    let mut world = several();
    let repo = world.context.ops_repo();
    world.context.current_dir(&repo);
    let run = world.context.run(["plan", "dev", "--locked"]).expect_code(65);
    assert!(run.stderr.contains("lock"), "{run}");
    world.context.run(["--offline", "plan", "dev"]).expect_code(69);
    world
        .context
        .file("dev/bitops.config.yaml", "default-environments: []\n");
    let warned = world.context.run(["check", "dev"]).expect_code(0);
    assert!(warned.stderr.contains("warning"), "{warned}");
    let quiet = world.context.run(["check", "dev", "-q"]).expect_code(0);
    assert_eq!(quiet.stderr, "", "{quiet}");
    for (value, flags, coloured) in [
        (None, &["--color", "always"][..], true),
        (None, &[], false),
        (Some("1"), &[], true),
        (Some("0"), &[], false),
        (Some("1"), &["--color=never"], false),
    ] {
        for name in ["FORCE_COLOR", "CLICOLOR_FORCE"] {
            world
                .context
                .unset("NO_COLOR")
                .unset("FORCE_COLOR")
                .unset("CLICOLOR_FORCE");
            if let Some(value) = value {
                world.context.set(name, value);
            }
            let run = world
                .context
                .run([&["check", "dev"], flags].concat())
                .expect_code(0);
            assert_eq!(
                run.stderr.contains('\u{1b}'),
                coloured,
                "{name}={value:?} {flags:?}: {run}"
            );
        }
    }
}
