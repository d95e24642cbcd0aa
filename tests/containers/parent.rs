//! The parent as PID 1: what a hook sees of it, and what `docker stop` and `docker kill` do.

use std::fs;

use compose_testkit::docker::{Container, Engine};

use crate::world::{World, in_each_engine, wait_until, world};

in_each_engine![
    process_1_is_small_and_shows_no_token,
    stop_lets_a_tool_let_go_of_its_lock,
    kill_with_an_interrupt_does_so_too,
    the_path_is_the_users_own_once_it_has_been_copied,
];

/// Holds a lock until an interrupt comes, and says more than a pipe holds before it lets go.
const TOOL: &str = "trap 'seq 20000; rm /out/lock; echo > /out/released; exit 1' INT; echo $$ > /out/lock; \
    while :; do sleep 0.02; done\n";

fn hook(world: &World, script: &str) {
    world.file("dev/terraform/bitops.before-deploy.d/hook.sh", script);
}

/// Starts a container and waits until its tool holds the lock.
fn locked(world: &World, options: &[&str]) -> Container {
    hook(world, TOOL);
    let mount = world.bind("", "");
    let options = [&[mount.as_str()], options].concat();
    let container = world.engine.start(world.arguments(&options, &[]));
    wait_until(|| fs::read_to_string(world.out().join("lock")).is_ok_and(|text| !text.is_empty()));
    container
}

#[track_caller]
fn assert_released(world: &World, container: &Container) {
    let logs = container.logs();
    assert!(world.out().join("released").exists(), "{logs}");
    assert!(!world.out().join("lock").exists(), "{logs}");
    assert!(
        !logs.stdout.contains("terraform plan"),
        "nothing more is started\n{logs}"
    );
}

fn process_1_is_small_and_shows_no_token(engine: Engine) {
    let world = world(engine);
    hook(
        &world,
        "for f in environ status cmdline; do tr '\\0' '\\n' < /proc/1/$f > /out/$f; done\n",
    );
    let token = "--env=BITOPS_COMPOSE_TOKEN_EXAMPLE_COM=secret";
    let run = world.run(&[&world.bind("", ""), token]).expect_code(0);
    let out = |name: &str| fs::read_to_string(world.out().join(name)).unwrap();
    assert!(
        !out("environ").contains("secret") && !out("cmdline").contains("secret"),
        "{run}"
    );
    let status = out("status");
    let field = |name: &str| -> u32 {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.split_whitespace().next().unwrap().parse().unwrap()
    };
    assert!(status.contains("bitops-compose"), "{status}");
    assert_eq!(field("Threads:"), 1, "{status}");
    assert!(field("RssAnon:") < 3 << 10, "{status}");
}

fn stop_lets_a_tool_let_go_of_its_lock(engine: Engine) {
    for options in [&[][..], &["--init"]] {
        let world = world(engine);
        let container = locked(&world, options);
        container.stop(10);
        assert_eq!(container.wait(), 143, "{}", container.logs());
        assert_released(&world, &container);
    }
}

fn kill_with_an_interrupt_does_so_too(engine: Engine) {
    let world = world(engine);
    let container = locked(&world, &[]);
    world.engine.expect(["kill", "--signal=INT", container.name()]);
    assert_eq!(container.wait(), 130, "{}", container.logs());
    assert_released(&world, &container);
}

fn the_path_is_the_users_own_once_it_has_been_copied(engine: Engine) {
    let world = world(engine);
    hook(
        &world,
        "until [ \"$(readlink /opt/bitops-compose/active)\" = mount ]; do :; done; echo out > /opt/bitops_deployment/bo-out.env; \
         ls /opt/bitops-compose /opt/bitops_deployment/dev/terraform\n",
    );
    let run = world.run(&[&world.bind("", "")]).expect_code(0);
    assert_eq!(
        fs::read_to_string(world.checkout().join("bo-out.env")).unwrap(),
        "out\n",
        "{run}"
    );
    assert!(!run.stderr.contains("warning"), "{run}");
}
