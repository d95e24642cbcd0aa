//! The object cache on a volume, as in docs/cache.md.

use compose_testkit::docker::Engine;
use compose_testkit::server::RequestKind;

use crate::world::{World, in_each_engine, world};

in_each_engine![a_volume_keeps_what_was_fetched_for_containers_of_any_user,];

/// Returns how often content was fetched since the last call.
fn fetches(world: &World) -> usize {
    let requests = world.server.requests();
    world.server.clear_requests();
    requests
        .iter()
        .filter(|request| request.kind == RequestKind::Fetch)
        .count()
}

fn a_volume_keeps_what_was_fetched_for_containers_of_any_user(engine: Engine) {
    let world = world(engine);
    let volume = world.engine.volume();
    let mount = world.bind("", "");
    let cache = |mode: &str| format!("--volume={}:/var/cache/bitops-compose{mode}", volume.name());
    let (writable, read_only) = (cache(""), cache(":ro"));
    world.assert_ran(world.run(&[&mount, &writable]), Some("one"));
    assert_eq!(fetches(&world), 2, "the commit, and its files");
    for options in [
        vec![&*mount, &writable],
        vec![&mount, &writable, "--user=1000"],
        vec![&mount, &read_only],
        vec![&mount, &read_only, "--user=1000", "--cap-drop=ALL"],
    ] {
        let run = world.run(&options);
        assert!(!run.stderr.contains("the cache cannot be written"), "{run}");
        world.assert_ran(run, Some("one"));
        assert_eq!(fetches(&world), 0, "{options:?}");
    }

    // If the volume cannot be written, new objects go to a temporary cache.
    world.version("2.0.0");
    for _ in 0..2 {
        let run = world.run(&[&mount, &read_only]);
        assert!(run.stderr.contains("the cache cannot be written"), "{run}");
        world.assert_ran(run, Some("two"));
        assert_eq!(fetches(&world), 2);
    }
    world.assert_ran(world.run(&[&mount, &writable]), Some("two"));
    assert_eq!(fetches(&world), 2);
    world.assert_ran(world.run(&[&mount, &read_only]), Some("two"));
    assert_eq!(fetches(&world), 0);
}
