//! A stopped container started again, by hand or by a restart policy: the engine resolves a mount's destination anew,
//! through the link that the last run switched.

use std::fs;
use std::time::Duration;

use compose_testkit::docker::Engine;
use compose_testkit::server::{Fault, RequestKind, Rule};

use crate::world::{DEPLOYMENT, World, in_each_engine, wait_until, world};

in_each_engine![
    with_the_whole_operations_repo_mounted,
    with_one_environment_mounted,
    with_a_file_and_a_directory_mounted,
    with_a_config_mounted_over_the_one_that_a_derived_image_brings,
    by_the_restart_policy_of_the_engine,
    after_being_killed_while_it_fetched,
    and_looked_into_while_it_runs,
    two_environments_at_once_in_one_container,
];

/// Starts one container again and again while the checkout changes: composed, composed otherwise, nothing to compose,
/// composed again, failing, composed.
#[track_caller]
fn assert_starts_again(world: &World, options: &[&str]) {
    world.version("1.0.0");
    let container = world.create(options);
    for (version, theirs) in [
        (Some("1.0.0"), Some("one")),
        (Some("2.0.0"), Some("two")),
        (None, None),
        (Some("1.0.0"), Some("one")),
        (Some("3.0.0"), None),
        (Some("2.0.0"), Some("two")),
        (Some("2.0.0"), Some("two")),
    ] {
        match version {
            Some(version) => world.version(version),
            None => world.file("dev/bitops.config.yaml", "bitops: {}\n"),
        };
        let before = world.fingerprint();
        let run = container.start_and_wait();
        if version == Some("3.0.0") {
            let run = run.expect_code(65);
            assert!(world.pipeline().is_none(), "{run}");
        } else {
            world.assert_ran(run, theirs);
        }
        world.fingerprint().assert_same_as(&before);
    }
}

/// A checkout without sources that the pipeline runs.
fn world_with_a_deployment(engine: Engine) -> World {
    let world = world(engine);
    world.file("dev/terraform/bitops.config.yaml", "terraform: {}\n");
    world
}

fn with_the_whole_operations_repo_mounted(engine: Engine) {
    let world = world_with_a_deployment(engine);
    for mode in ["", ":ro"] {
        assert_starts_again(&world, &[&world.bind("", mode)]);
    }
}

/// In Docker only: mounting does not depend on the user.
#[test]
fn with_the_whole_operations_repo_mounted_for_another_user() {
    let world = world_with_a_deployment(Engine::Docker);
    assert_starts_again(&world, &[&world.bind("", ""), "--user=1000"]);
}

fn with_one_environment_mounted(engine: Engine) {
    let world = world_with_a_deployment(engine);
    for mode in ["", ":ro"] {
        assert_starts_again(&world, &[&world.bind("dev", mode)]);
    }
}

/// In Docker only, as above.
#[test]
fn with_one_environment_mounted_for_another_user() {
    let world = world_with_a_deployment(Engine::Docker);
    assert_starts_again(
        &world,
        &[&world.bind("dev", ""), &world.bind("_scripts", ""), "--user=1000"],
    );
}

fn with_a_file_and_a_directory_mounted(engine: Engine) {
    let world = world_with_a_deployment(engine);
    assert_starts_again(
        &world,
        &[
            &world.bind("dev/bitops.config.yaml", ""),
            &world.bind("dev/terraform", ""),
        ],
    );
}

fn with_a_config_mounted_over_the_one_that_a_derived_image_brings(engine: Engine) {
    let mut world = world_with_a_deployment(engine);
    let derived = world.derive(&format!("COPY . {DEPLOYMENT}"), &world.checkout());
    derived.name().clone_into(&mut world.image);
    assert_starts_again(&world, &[&world.bind("dev/bitops.config.yaml", "")]);
}

fn by_the_restart_policy_of_the_engine(engine: Engine) {
    let world = world_with_a_deployment(engine);
    let hook = "echo run >> /out/runs; [ $(wc -l < /out/runs) = 3 ] || exit 42\n";
    world.file("dev/terraform/bitops.before-deploy.d/fail.sh", hook);
    let before = world.fingerprint();
    let mount = world.bind("", "");
    let options = world.arguments(&["--restart=on-failure:5", &mount], &[]);
    let container = world.engine.start(options);
    let state = [
        "inspect",
        "--format={{.State.Status}} {{.State.ExitCode}}",
        container.name(),
    ];
    wait_until(|| world.engine.expect(state) == "exited 0");
    let seen = world.pipeline().unwrap();
    assert_eq!(seen.text("dev/terraform/theirs.txt"), Some("one"));
    assert_eq!(
        fs::read_to_string(world.out().join("runs")).unwrap(),
        "run\nrun\nrun\n"
    );
    world.fingerprint().assert_same_as(&before);
}

fn after_being_killed_while_it_fetched(engine: Engine) {
    let world = world_with_a_deployment(engine);
    let before = world.fingerprint();
    let options = world.arguments(&[&world.bind("", "")], &[]);
    let container = world.engine.create(options);
    world.assert_ran(container.start_and_wait(), Some("one"));
    // The cache answers everything except the listing of refs.
    world
        .server
        .inject("c", Rule::from(Fault::Stall).on(RequestKind::LsRefs));
    world.server.clear_requests();
    world.engine.expect(["start", container.name()]);
    world.server.wait_for(Duration::from_secs(60), |seen| {
        seen.iter().any(|request| request.kind == RequestKind::LsRefs)
    });
    world.engine.expect(["kill", container.name()]);
    assert_eq!(container.wait(), 137);
    world.fingerprint().assert_same_as(&before);
    world.server.heal("c");
    world.assert_ran(container.start_and_wait(), Some("one"));
    world.fingerprint().assert_same_as(&before);
}

fn and_looked_into_while_it_runs(engine: Engine) {
    let world = world_with_a_deployment(engine);
    for path in ["", "dev"] {
        // The hook waits for the second run's sake.
        let hook = "touch /out/running; until [ -e /out/go ]; do sleep 0.1; done; rm /out/go\n";
        world.file("dev/terraform/bitops.before-deploy.d/wait.sh", hook);
        let before = world.fingerprint();
        let container = world.create(&[&world.bind(path, "")]);
        let go = || fs::write(world.out().join("go"), "").unwrap();
        go();
        world.assert_ran(container.start_and_wait(), Some("one"));
        fs::remove_file(world.out().join("running")).unwrap();

        world.engine.expect(["start", container.name()]);
        wait_until(|| world.out().join("running").exists());
        let plan = ["exec", container.name(), "bitops-compose", "plan"];
        let run = world.engine.call(plan).expect_code(0);
        for line in [
            "terraform/theirs.txt",
            "has the same terraform/bitops.config.yaml",
        ] {
            assert!(run.stdout.contains(line), "{run}");
        }
        go();
        assert_eq!(container.wait(), 0, "{}", container.logs());
        assert_eq!(
            world.pipeline().unwrap().text("dev/terraform/theirs.txt"),
            Some("one")
        );
        world.fingerprint().assert_same_as(&before);
    }
}

/// Two deploys in one container, like the steps of a job.
fn two_environments_at_once_in_one_container(engine: Engine) {
    let world = world_with_a_deployment(engine);
    let config = fs::read_to_string(world.checkout().join("dev/bitops.config.yaml")).unwrap();
    world
        .file("prod/bitops.config.yaml", &config)
        .file("prod/terraform/mine.txt", "mine");
    let before = world.fingerprint();
    let mount = world.bind("", "");
    let options = world.arguments(&[&mount, "--entrypoint=sleep"], &["600"]);
    let container = world.engine.start(options);
    let deploy = |environment: &str| {
        let dump = format!("--env=STANDIN_DUMP=/out/{environment}.json");
        let environment = format!("--env=BITOPS_ENVIRONMENT={environment}");
        let words = [
            "exec",
            &dump,
            &environment,
            container.name(),
            "bitops-compose",
            "deploy",
        ];
        world.engine.call(words).expect_code(0)
    };
    for _ in 0..5 {
        std::thread::scope(|scope| {
            for environment in ["dev", "prod", "dev"] {
                scope.spawn(move || deploy(environment));
            }
        });
        for environment in ["dev", "prod"] {
            let path = world.out().join(format!("{environment}.json"));
            let seen = compose_testkit::standin::Dump::read(&path).unwrap();
            fs::remove_file(path).unwrap();
            for (file, text) in [("theirs.txt", "one"), ("mine.txt", "mine")] {
                let file = format!("{environment}/terraform/{file}");
                assert_eq!(seen.text(&file), Some(text), "{file}");
            }
        }
    }
    world.fingerprint().assert_same_as(&before);
}
