//! action.yml with the image: its steps as a runner runs them. What needs no engine is in `tests/ci/actions.rs`.

use std::fs;

use compose_testkit::docker::Engine;

use crate::ways::{in_operations, project, runner};
use crate::world::world;

#[test]
fn a_deployment_has_outputs_a_page_and_a_manifest_that_stays() {
    let world = world(Engine::Docker);
    let mut runner = runner(&world);
    runner.variable("AWS_SECRET_ACCESS_KEY", "aws-secret");
    let with = [
        ("image", &*world.image),
        ("environment", "dev"),
        ("token", "token-of-ours"),
        ("args", "--pass 'a b'"),
    ];
    let done = runner.action(&project(), &with);
    let seen = world.assert_ran(done.last().clone(), Some("one"));
    assert_eq!(seen.argv[seen.argv.len() - 2..], ["--pass", "a b"]);
    // The pipeline has the user's variables and not our token, the files of GITHUB_OUTPUT and not those for the runner.
    assert_eq!(seen.env["AWS_SECRET_ACCESS_KEY"], "aws-secret");
    assert!(
        !seen.env.values().any(|value| value == "token-of-ours"),
        "{:?}",
        seen.env
    );
    assert!(seen.env.contains_key("GITHUB_OUTPUT") && !seen.env.contains_key("GITHUB_ENV"));
    let log = fs::read_to_string(world.checkout().with_file_name("_bin").join("docker.log")).unwrap();
    assert!(
        !log.contains("aws-secret") && !log.contains("token-of-ours"),
        "{log}"
    );

    assert_eq!(done.outputs["changed"], "true");
    assert_eq!(done.outputs["composed-files"], "2");
    let sources: serde_json::Value = serde_json::from_str(&done.outputs["sources"]).unwrap();
    assert_eq!(sources[0]["resolved"], "1.0.0");
    let manifest = fs::read(&done.outputs["manifest"]).expect("later steps can read it");
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    assert_eq!(manifest["environment"], "dev");
    assert!(done.summary.contains("```mermaid\n"), "{}", done.summary);

    // The fetched objects are kept.
    world.server.clear_requests();
    let done = runner.action(&project(), &with);
    world.assert_ran(done.last().clone(), Some("one"));
    let fetched = world
        .server
        .requests()
        .iter()
        .any(|request| request.kind == compose_testkit::server::RequestKind::Fetch);
    assert!(!fetched, "the cache was carried over");
}

#[test]
fn a_command_for_people_has_them_too() {
    let world = world(Engine::Docker);
    in_operations(&world);
    let with = [
        ("image", &*world.image),
        ("environment", "dev"),
        ("command", "plan"),
        ("args", "--diff"),
    ];
    let done = runner(&world).action(&project(), &with).expect_code(0);
    assert_eq!(done.outputs["composed-files"], "2");
    assert!(done.summary.contains("```mermaid\n"), "{}", done.summary);
    assert!(world.pipeline().is_none(), "a plan deploys nothing");
    let locked = [
        ("image", &*world.image),
        ("environment", "dev"),
        ("locked", "true"),
    ];
    let done = runner(&world).action(&project(), &locked).expect_code(65);
    assert!(
        done.last().stderr.contains("there is no dev/bitops.lock.yaml"),
        "{}",
        done.last()
    );
    assert_eq!(done.outputs["changed"], "");
    assert!(
        done.summary.contains("### bitops-compose: failed"),
        "{}",
        done.summary
    );
}

#[test]
fn in_a_job_container_of_the_image_no_other_is_started() {
    let world = world(Engine::Docker);
    in_operations(&world);
    let mut runner = runner(&world);
    // The place at which a job container sees an action.
    let own = world.checkout().with_file_name("_actions");
    fs::create_dir_all(own.join("scripts")).unwrap();
    for file in ["action.yml", "scripts/action-run"] {
        fs::copy(project().join(file), own.join(file)).unwrap();
    }
    runner.job_container(&world.image);
    let done = runner
        .action(&own, &[("environment", "dev"), ("command", "plan")])
        .expect_code(0);
    assert_eq!(done.outputs["composed-files"], "2");
    let manifest = fs::read(
        done.outputs["manifest"].replace("/__w", &world.checkout().parent().unwrap().display().to_string()),
    );
    assert!(manifest.is_ok(), "{:?}", done.outputs);
    let done = runner.action(&own, &[("environment", "dev")]);
    world.assert_ran(done.last().clone(), Some("one"));
    assert_eq!(done.outputs["changed"], "true");
}
