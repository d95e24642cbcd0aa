//! BitOps itself, with its terraform and ansible plugins, where `BITOPS_COMPOSE_TEST_BITOPS` names a directory to take it
//! from: see docs/testing.md.

use std::path::Path;

use compose_testkit::docker::{Engine, Image};
use compose_testkit::{GitServer, example};

use crate::world::{self, World};

/// The image under test with BitOps in the stand-in's place; none, and a line that says so, where there is no BitOps.
#[expect(clippy::print_stderr, reason = "a test that is left out says so")]
pub(crate) fn image() -> Option<Image> {
    let Some(bitops) = std::env::var_os("BITOPS_COMPOSE_TEST_BITOPS") else {
        eprintln!("skipped: BITOPS_COMPOSE_TEST_BITOPS names no BitOps");
        return None;
    };
    let world = World::new(
        Engine::Docker,
        &world::image(Engine::Docker),
        &mut [],
        GitServer::start,
    );
    // Nothing of the stand-in may be left to answer in BitOps' place.
    Some(world.derive(
        "RUN rm -rf /opt/bitops\nCOPY . /\nENV PYTHONUNBUFFERED=1",
        bitops.as_ref(),
    ))
}

/// Returns whether the BitOps in [`image`] has this plugin.
pub(crate) fn has_plugin(name: &str) -> bool {
    let bitops = std::env::var_os("BITOPS_COMPOSE_TEST_BITOPS").unwrap_or_default();
    let plugins = Path::new(&bitops).join("opt/bitops/scripts/installed_plugins");
    plugins.join(name).is_dir()
}

#[test]
fn bitops_itself_deploys_what_was_composed() {
    let Some(image) = image() else { return };
    let world = World::new(
        Engine::Docker,
        image.name(),
        &mut example::catalogs(),
        GitServer::start,
    );
    world
        .file(
            "dev/bitops.config.yaml",
            &example::config("ha-vm-aws", &world.server.address()),
        )
        .file("dev/terraform/terraform.tfvars", "machine_count = 2\n");
    let before = world.fingerprint();
    let container = world.create(&[&world.bind("", ":ro")]);
    // The second start has a mount in the place of the first composition.
    for _ in ["first", "again"] {
        let run = container.start_and_wait().expect_code(0);
        let all = format!("{}{}", run.stdout, run.stderr);
        let at = |text: &str| {
            all.find(text)
                .unwrap_or_else(|| panic!("{text:?} was not said\n{run}"))
        };
        // The variable is the local environment's, everything else the catalog's.
        let applied = at("Apply complete! Resources: 2 added");
        let played = at("StackStorm 3.8.1 with the packs core, linux, ansible");
        let hook = at("stackstorm: configured by ansible");
        let finished = at("BitOps has finished!");
        assert!(applied < played && played < hook && hook < finished, "{run}");
        world.fingerprint().assert_same_as(&before);
    }
}
