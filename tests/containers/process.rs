//! What the pipeline is as a process: with nothing to compose it takes the entrypoint's place, else a small parent stands between it
//! and the engine (`parent.rs`), which it need not notice.

use std::time::Duration;

use compose_testkit::docker::Engine;
use compose_testkit::server::{Fault, RequestKind, Rule};

use crate::world::{World, in_each_engine, world};

in_each_engine![
    the_pipeline_gets_every_argument_and_variable_and_is_process_1_without_a_parent,
    the_pipelines_exit_code_comes_out,
    stop_ends_a_stalled_fetch_within_a_second,
];

/// Returns one world that composes and one that has nothing to compose.
fn both(engine: Engine) -> [World; 2] {
    let plain = world(engine);
    plain
        .file("dev/bitops.config.yaml", "bitops: {}\n")
        .file("dev/terraform/bitops.config.yaml", "terraform: {}\n");
    [world(engine), plain]
}

fn the_pipeline_gets_every_argument_and_variable_and_is_process_1_without_a_parent(engine: Engine) {
    for (world, composes) in both(engine).into_iter().zip([true, false]) {
        let mount = world.bind("", ":ro");
        let options = [
            &mount,
            "--env=ODD= a\"b'c$d\\ \n",
            "--env=EMPTY=",
            "--env=BITOPS_COMPOSE_TOKEN_EXAMPLE_COM=secret",
        ];
        let arguments = ["-c", "bitops.config.yaml", "--", "a b", "", "$HOME", "*"];
        let run = world
            .engine
            .run(world.arguments(&options, &arguments))
            .expect_code(0);
        let seen = world.pipeline().unwrap_or_else(|| panic!("{run}"));
        assert_eq!(seen.pid != 1, composes);
        assert_eq!(
            seen.argv,
            [&["/opt/bitops/scripts/main.py", "deploy"], &arguments[..]].concat()
        );
        assert_eq!(seen.cwd.to_str(), Some("/opt/bitops"));
        assert_eq!(seen.env["ODD"], " a\"b'c$d\\ \n");
        assert_eq!(seen.env["EMPTY"], "");
        assert!(!seen.env.contains_key("BITOPS_COMPOSE_TOKEN_EXAMPLE_COM"));
    }
}

fn the_pipelines_exit_code_comes_out(engine: Engine) {
    for world in both(engine) {
        world.file("dev/terraform/bitops.before-deploy.d/fail.sh", "exit 42\n");
        let run = world.run(&[&world.bind("", "")]).expect_code(42);
        assert!(world.pipeline().is_some(), "{run}");
    }
}

fn stop_ends_a_stalled_fetch_within_a_second(engine: Engine) {
    for kind in [RequestKind::InfoRefs, RequestKind::LsRefs, RequestKind::Fetch] {
        let world = world(engine);
        let before = world.fingerprint();
        world.server.inject("c", Rule::from(Fault::Stall).on(kind));
        let container = world.engine.start(world.arguments(&[&world.bind("", "")], &[]));
        world.server.wait_for(Duration::from_secs(60), |seen| {
            seen.iter().any(|request| request.kind == kind)
        });
        // After one second the engine kills, and the code is 137.
        container.stop(1);
        assert_eq!(container.wait(), 143, "{kind:?}\n{}", container.logs());
        assert!(world.pipeline().is_none());
        world.fingerprint().assert_same_as(&before);
    }
}
