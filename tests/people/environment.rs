//! Which environment and which operations repo a command is about, and how messages name them.

use super::{layered, run};

#[test]
fn the_environment_and_the_operations_repo_are_found_or_asked_for() {
    let mut world = layered();
    world.context.unset("BITOPS_ENVIRONMENT");
    insta::assert_snapshot!("no_environment_named", run(&world, &["plan"], 2));
    insta::assert_snapshot!("no_such_environment", run(&world, &["plan", "prod"], 65));
    // Outside of the image the current directory is the operations repo, and --ops-repo names another.
    let repo = world.context.ops_repo();
    let absent = world.context.root().join("absent");
    world
        .context
        .set("BITOPS_COMPOSE_OPS_REPO", &absent)
        .set("BITOPS_COMPOSE_HOME", &absent);
    let named = world
        .context
        .run(["check", "dev", "--ops-repo", repo.to_str().unwrap()]);
    assert!(named.success(), "{named}");
    world.context.current_dir(&repo);
    let here = world.context.run(["check", "dev"]);
    assert!(here.success(), "{here}");
}

/// Nobody mounts anything at the directory that the pipeline's path leads to.
#[test]
fn messages_name_the_operations_repo_as_it_is_mounted() {
    let world = layered();
    let internal = world.context.home().display().to_string();
    world.context.file("old/bitops.config.yml", "");
    for command in ["check", "plan", "lock"] {
        for environment in ["prod", "old"] {
            let said = run(&world, &[command, environment], 65).stderr;
            assert!(!said.contains(&internal), "{command} {environment}: {said}");
            assert!(
                said.contains("/opt/bitops_deployment"),
                "{command} {environment}: {said}"
            );
        }
    }
}
