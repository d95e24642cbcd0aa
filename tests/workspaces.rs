//! The place of the operations repo if none is mounted: a CI's checkout, or the directory in `BITOPS_COMPOSE_WORKSPACE`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::common::{World, catalog, world};
use compose_model::env;
use compose_testkit::standin;

/// Variables that a CI sets in its jobs, besides the one for the checkout.
const MARKS: [(&str, &str, &str); 6] = [
    ("GITHUB_WORKSPACE", "GITHUB_ACTIONS", "true"),
    ("CI_PROJECT_DIR", "GITLAB_CI", "true"),
    ("WORKSPACE", "JENKINS_URL", "https://jenkins.example/"),
    ("BITBUCKET_CLONE_DIR", "BITBUCKET_BUILD_NUMBER", "7"),
    ("BUILD_SOURCESDIRECTORY", "TF_BUILD", "True"),
    ("CIRCLE_WORKING_DIRECTORY", "CIRCLECI", "true"),
];

/// Returns a world without a mount, in which `<root>/<at>` is an operations repo whose `dev` has a source.
fn unmounted(at: &str) -> World {
    let world = world(&mut [catalog("c", "eks", "terraform/x.txt", "x")]);
    world.sources(&["{repo: '{repo}/c', environment: eks, version: 1.0.0}"]);
    let place = world.context.root().join(at);
    fs::create_dir_all(place.parent().unwrap()).unwrap();
    fs::rename(world.context.ops_repo(), place).unwrap();
    world
}

fn place(world: &World, at: &str) -> PathBuf {
    world.context.root().join(at)
}

/// Deploys from inside the checkout, as a CI does.
#[track_caller]
fn assert_deploys(world: &mut World, from: &Path) -> standin::Dump {
    world.context.current_dir(from);
    let run = world.context.run(["deploy"]).expect_code(0);
    let seen = world.context.pipeline().unwrap_or_else(|| panic!("{run}"));
    fs::remove_file(world.context.root().join("pipeline.json")).unwrap();
    assert_eq!(seen.text("dev/terraform/x.txt"), Some("x"), "{run}");
    // BitOps opens its files relative to where it is installed.
    assert_eq!(seen.cwd, standin::directory().canonicalize().unwrap());
    seen
}

#[test]
fn every_cis_checkout_takes_the_place_of_a_mount() {
    let names: Vec<_> = MARKS.iter().map(|(name, mark, _)| (*name, *mark)).collect();
    assert_eq!(names, env::CHECKOUTS);
    for (name, mark, value) in MARKS {
        let mut world = unmounted("checkout");
        let checkout = place(&world, "checkout");
        world.context.set(name, &checkout).set(mark, value);
        assert_deploys(&mut world, &checkout);
        let plan = world.context.run(["plan"]).expect_code(0);
        assert!(plan.stdout.contains("dev: 1 source"), "{plan}");
    }
}

#[test]
fn a_checkout_counts_beside_its_own_mark_only() {
    for (name, mark, value) in MARKS {
        let (other_mark, other_value) = if mark == "GITLAB_CI" {
            ("CIRCLECI", "true")
        } else {
            ("GITLAB_CI", "true")
        };
        for (mark, value) in [(other_mark, other_value), (mark, ""), (mark, "false")] {
            let mut world = unmounted("checkout");
            let checkout = place(&world, "checkout");
            world
                .context
                .set(name, &checkout)
                .set(mark, value)
                .current_dir(&checkout);
            // BitOps itself reports a missing environment.
            let run = world.context.run(["deploy"]).expect_code(1);
            assert!(run.stderr.contains("needs to be mounted"), "{name} {mark}\n{run}");
        }
        assert!(!value.is_empty());
    }
}

#[test]
fn the_operations_directory_is_taken_where_the_checkout_has_no_such_environment() {
    let mut world = unmounted("checkout/operations");
    let checkout = place(&world, "checkout");
    world
        .context
        .set("CI_PROJECT_DIR", &checkout)
        .set("GITLAB_CI", "true");
    // A directory of the application with another name changes nothing.
    fs::create_dir(checkout.join("src")).unwrap();
    let seen = assert_deploys(&mut world, &checkout);
    assert_eq!(seen.text("src"), None);
    for command in [
        &["plan"][..],
        &["check"],
        &["explain", "terraform/x.txt"],
        &["plan", "dev"],
    ] {
        world.context.run(command).expect_code(0);
    }
    // The checkout's own environment takes precedence.
    fs::create_dir_all(checkout.join("dev/terraform")).unwrap();
    fs::write(
        checkout.join("dev/terraform/bitops.config.yaml"),
        "terraform: {}\n",
    )
    .unwrap();
    world.context.run(["deploy"]).expect_code(0);
    let seen = world.context.pipeline().unwrap();
    assert_eq!(seen.text("dev/terraform/x.txt"), None);
}

#[test]
fn a_named_workspace_goes_before_the_checkout_and_may_be_elsewhere() {
    let mut world = unmounted("elsewhere/ops");
    let (checkout, named) = (place(&world, "checkout"), place(&world, "elsewhere/ops"));
    fs::create_dir_all(checkout.join("dev")).unwrap();
    world
        .context
        .set("GITHUB_WORKSPACE", &checkout)
        .set("GITHUB_ACTIONS", "true")
        .set("BITOPS_COMPOSE_WORKSPACE", &named);
    assert_deploys(&mut world, &checkout);
    // The path is relative to the working directory.
    world.context.set("BITOPS_COMPOSE_WORKSPACE", "elsewhere/ops/");
    let root = world.context.root().to_owned();
    assert_deploys(&mut world, &root);
}

#[test]
fn circleci_writes_its_directory_with_a_tilde() {
    let mut world = unmounted("home/project");
    world
        .context
        .set("CIRCLECI", "true")
        .set("CIRCLE_WORKING_DIRECTORY", "~/project");
    let root = world.context.root().to_owned();
    assert_deploys(&mut world, &root);
}

#[test]
fn an_environment_that_is_nowhere_is_an_error_with_the_places() {
    let mut world = unmounted("checkout/operations");
    let checkout = place(&world, "checkout");
    world
        .context
        .set("BITOPS_ENVIRONMENT", "prod")
        .set("GITHUB_WORKSPACE", &checkout)
        .set("GITHUB_ACTIONS", "true");
    for command in ["deploy", "plan", "check"] {
        let run = world.context.run([command]).expect_code(65);
        assert!(run.stderr.contains("there is no environment `prod`"), "{run}");
        let places = format!(
            "neither {} (of GITHUB_WORKSPACE) nor {0}/operations",
            checkout.display()
        );
        assert!(run.stderr.contains(&places), "{run}");
        assert!(run.stderr.contains("BITOPS_COMPOSE_WORKSPACE"), "{run}");
    }
    assert!(world.context.pipeline().is_none());

    // One that isn't there at all.
    let gone = place(&world, "gone");
    world.context.set("BITOPS_COMPOSE_WORKSPACE", &gone);
    let run = world.context.run(["deploy"]).expect_code(65);
    let message = format!("{} (of BITOPS_COMPOSE_WORKSPACE) is not there", gone.display());
    assert!(run.stderr.contains(&message), "{run}");

    // If it is switched off, or no environment is named, BitOps starts unchanged.
    world.context.set("BITOPS_COMPOSE", "off");
    world.context.run(["deploy"]);
    assert!(world.context.pipeline().is_some());
}

#[test]
fn with_a_mount_no_workspace_is_looked_at() {
    let mut world = world(&mut [catalog("c", "eks", "terraform/x.txt", "x")]);
    world.sources(&["{repo: '{repo}/c', environment: eks, version: 1.0.0}"]);
    let checkout = place(&world, "checkout");
    fs::create_dir_all(checkout.join("dev/terraform")).unwrap();
    world
        .context
        .set("GITHUB_WORKSPACE", &checkout)
        .set("GITHUB_ACTIONS", "true");
    assert_deploys(&mut world, &checkout);
    // BitOps reports what the mount does not have.
    world.context.set("BITOPS_ENVIRONMENT", "prod");
    let run = world.context.run(["deploy"]);
    assert!(world.context.pipeline().is_some(), "{run}");
    assert!(!run.stderr.contains("there is no environment"), "{run}");
}
