//! What a deployment logs before BitOps starts.

use crate::common::{catalog, world};

#[test]
fn the_log_says_what_runs_and_how_it_was_found() {
    let mut c = catalog("c", "eks", "terraform/main.txt", "one\n");
    c.file("eks/terraform/bitops.before-deploy.d/10-login.sh", "true\n")
        .tag("v1.1.0");
    let mut world = world(&mut [c]);
    world.sources(&["{repo: '{repo}/c', environment: eks, version: ^1}"]);
    let seconds = regex::Regex::new(r"seconds=\d+\.\d").unwrap();
    let log = |world: &crate::common::World| {
        let run = world.context.run(["deploy"]).expect_code(0);
        let lines = run.to_string();
        let lines = lines.lines().filter(|line| line.contains(" INFO "));
        let lines: Vec<_> = lines
            .map(|line| seconds.replace(line, "seconds=[S]").into_owned())
            .collect();
        lines.join("\n")
    };
    insta::assert_snapshot!("the_log_of_a_deployment", log(&world));
    world.context.run(["lock"]).expect_code(0);
    let locked = log(&world);
    assert!(
        locked.contains("locked=true") && locked.contains("lock=\"dev/bitops.lock.yaml\""),
        "{locked}"
    );
    // BitOps' own level holds, and nothing is said where nothing is composed.
    world.context.set("BITOPS_LOGGING_LEVEL", "WARNING");
    assert_eq!(log(&world), "");
    world
        .context
        .unset("BITOPS_LOGGING_LEVEL")
        .file("dev/bitops.config.yaml", "bitops: {}\n");
    assert_eq!(log(&world), "");
}
