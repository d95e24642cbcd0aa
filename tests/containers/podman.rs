//! podman with crun, where `BITOPS_COMPOSE_TEST_PODMAN` names the image in its store: `scripts/test` puts it there where podman
//! can run a container at all.
//!
//! crun resolves a mount's destination in its own way: where the links of the image lead to nothing it does not start.

use std::time::Duration;

use compose_testkit::docker::Engine;
use compose_testkit::server::{Fault, Kind, Rule};

use crate::world::{DEPLOYMENT, World, world};

const PODMAN: Engine = Engine::of(concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/podman"));

/// The usual world, in podman.
#[expect(clippy::print_stderr, reason = "a test that is left out says so")]
fn in_podman() -> Option<World> {
    let Ok(image) = std::env::var("BITOPS_COMPOSE_TEST_PODMAN") else {
        eprintln!("skipped: BITOPS_COMPOSE_TEST_PODMAN names no image, so podman may not run here");
        return None;
    };
    let mut world = world();
    world.engine = PODMAN;
    world.image = image;
    Some(world)
}

#[test]
fn every_kind_of_mount() {
    let Some(world) = in_podman() else { return };
    let before = world.fingerprint();
    let whole = format!(
        "--mount=type=bind,source={},target={DEPLOYMENT}",
        world.checkout().display()
    );
    let options = [
        vec![world.bind("", "")],
        vec![world.bind("", ":ro")],
        vec![whole.clone()],
        vec![format!("{whole},ro=true")],
        vec![world.bind("", ""), "--user=1000".to_owned()],
        vec![
            world.bind("", ""),
            "--user=12345:6789".to_owned(),
            "--cap-drop=ALL".to_owned(),
        ],
    ];
    for options in options {
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        let seen = world.assert_ran(world.run(&options), Some("one"));
        assert_eq!(
            seen.text("README.md"),
            Some("of the operations repo"),
            "{options:?}"
        );
    }
    let seen = world.assert_ran(
        world.run(&[&world.bind("dev", ""), &world.bind("_scripts", ":ro")]),
        Some("one"),
    );
    assert_eq!(
        (seen.text("README.md"), seen.text("_scripts/run.sh")),
        (None, Some("true\n"))
    );
    world.fingerprint().assert_same_as(&before);
}

#[test]
fn a_volume_and_a_copy() {
    let Some(world) = in_podman() else { return };
    let volume = world.engine.volume();
    let options = [&*format!("--volume={}:{DEPLOYMENT}", volume.name())];
    let from = format!("{}/.", world.checkout().display());
    for options in [&options[..], &[]] {
        let container = world.create(options);
        world
            .engine
            .expect(["cp", &from, &format!("{}:{DEPLOYMENT}", container.name())]);
        for _ in ["first", "again"] {
            let seen = world.assert_ran(container.start_and_wait(), Some("one"));
            assert_eq!(seen.text("_scripts/run.sh"), Some("true\n"), "{options:?}");
        }
    }
}

#[test]
fn a_container_started_again() {
    let Some(world) = in_podman() else { return };
    let before = world.fingerprint();
    for mount in [world.bind("", ""), world.bind("", ":ro"), world.bind("dev", "")] {
        let container = world.create(&[&mount]);
        for _ in ["first", "again", "and again"] {
            world.assert_ran(container.start_and_wait(), Some("one"));
        }
    }
    world.fingerprint().assert_same_as(&before);
}

#[test]
fn a_command_in_the_place_of_a_deploy() {
    let Some(world) = in_podman() else { return };
    let run = world
        .engine
        .run(world.arguments(&[&world.bind("", ":ro")], &["plan"]))
        .expect_code(0);
    assert!(run.stdout.starts_with("dev: 1 source"), "{run}");
    assert!(world.pipeline().is_none(), "{run}");
}

#[test]
fn without_a_mount_the_pipeline_has_its_own_message() {
    let Some(world) = in_podman() else { return };
    let run = world.run(&[]).expect_code(1);
    assert!(run.stderr.contains("needs to be mounted"), "{run}");
}

#[test]
fn stop_ends_a_stalled_fetch_within_a_second() {
    let Some(world) = in_podman() else { return };
    let before = world.fingerprint();
    world
        .server
        .inject("c", Rule::from(Fault::Stall).on(Kind::LsRefs));
    let container = world.engine.start(world.arguments(&[&world.bind("", "")], &[]));
    world.server.wait_for(Duration::from_secs(60), |seen| {
        seen.iter().any(|request| request.kind == Kind::LsRefs)
    });
    // After two seconds the engine kills, and the code is 137.
    container.stop(2);
    assert_eq!(container.wait(), 143, "{}", container.logs());
    assert!(world.pipeline().is_none());
    world.fingerprint().assert_same_as(&before);
}
