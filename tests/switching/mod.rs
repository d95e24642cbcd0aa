//! The operations repo's path: what it shows, to whom, and what becomes of it in a home that lives on.
//!
//! | module | holds |
//! |---|---|
//! | `repo` | which operations repo is deployed, and what of it |

mod repo;

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use crate::{
    cache::Stopped,
    common::{World, catalog, world},
};
use compose_testkit::{Run, Signal, Spawned};
use rustix::fs::FlockOperation;

const LIMIT: Duration = Duration::from_secs(60);
const PLAIN: &str = "bitops:\n  deployments:\n    terraform:\n      plugin: terraform\n";
const SOURCE: &str = "{repo: '{repo}/c', environment: eks, version: 1.0.0}";

/// A world in which `dev` is composed, and `prod` is the user's alone.
fn composed() -> World {
    let world = world(&mut [catalog("c", "eks", "terraform/theirs.txt", "theirs")]);
    world.sources(&[SOURCE]);
    world
        .context
        .file("dev/terraform/mine.txt", "mine")
        .file("prod/bitops.config.yaml", PLAIN)
        .file("prod/terraform/mine.txt", "mine")
        .file("prod/terraform/bitops.config.yaml", "terraform: {}\n");
    world
}

/// A run whose pipeline waits, and has not copied anything: the composition stays switched in until [`Waiting::end`].
struct Waiting {
    run: Spawned,
    go: PathBuf,
}

impl Waiting {
    /// In a home of its own state; the world's pipeline is the usual one again for what comes next.
    fn start(world: &mut World) -> Self {
        let (running, go) = (
            world.context.root().join("running"),
            world.context.root().join("go"),
        );
        let script = format!(
            "sh -c 'touch {}; until [ -e {} ]; do sleep 0.02; done'",
            running.display(),
            go.display()
        );
        let usual = world
            .context
            .variable("BITOPS_COMPOSE_PIPELINE")
            .unwrap()
            .to_owned();
        world.context.set("BITOPS_COMPOSE_PIPELINE", script);
        let run = world.context.spawn(["deploy"]);
        world.context.set("BITOPS_COMPOSE_PIPELINE", usual);
        until("the pipeline runs", || running.exists());
        assert_switched_in(world);
        Self { run, go }
    }

    fn end(self) -> Run {
        fs::write(&self.go, "").unwrap();
        self.run.wait(LIMIT).expect_code(0)
    }
}

/// Asserts that the composition is what the operations repo's path shows.
#[track_caller]
fn assert_switched_in(world: &World) {
    let theirs = world.context.deployment().join("dev/terraform/theirs.txt");
    assert!(theirs.exists());
}

/// Starts a deploy that waits for another run.
fn start_waiting(world: &World) -> Spawned {
    let run = world.context.spawn(["deploy"]);
    run.wait_for_output("waiting for another run, which deploys dev", LIMIT);
    run
}

/// Starts a run in a world in which `dev` is composed, and keeps the composition switched in.
fn composed_and_waiting() -> (World, Waiting) {
    let mut world = composed();
    let waiting = Waiting::start(&mut world);
    (world, waiting)
}

#[track_caller]
fn until(what: &str, condition: impl Fn() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < LIMIT, "not within a minute: {what}");
        std::thread::yield_now();
    }
}

/// Leaves a composition switched in, as a kill does.
fn killed(world: &mut World) {
    // Without a parent the pipeline is the very process.
    world.context.set("BITOPS_COMPOSE_SUPERVISE", "false");
    let waiting = Waiting::start(world);
    waiting.run.signal(Signal::KILL);
    waiting.run.wait(LIMIT);
    fs::remove_file(world.context.root().join("running")).unwrap();
    assert_switched_in(world);
    wait_until_nothing_is_held(&world.context.home());
    world.context.unset("BITOPS_COMPOSE_SUPERVISE");
}

/// Waits until the processes that a killed pipeline had started have ended: they hold its composition, too.
fn wait_until_nothing_is_held(home: &Path) {
    let began = Instant::now();
    for entry in fs::read_dir(home).unwrap().map(Result::unwrap) {
        if entry.file_name().to_string_lossy().starts_with("composition.") {
            let dir = fs::File::open(entry.path()).unwrap();
            while rustix::fs::flock(&dir, FlockOperation::NonBlockingLockExclusive).is_err() {
                assert!(began.elapsed() < LIMIT, "{} is held", entry.path().display());
                std::thread::yield_now();
            }
        }
    }
}

fn theirs(world: &World) -> Option<String> {
    let seen = world.context.pipeline()?;
    seen.text("dev/terraform/theirs.txt").map(str::to_owned)
}

fn forget_pipeline(world: &World) {
    let _ = fs::remove_file(world.context.root().join("pipeline.json"));
}

#[test]
fn the_next_deploy_waits_for_the_switch_back() {
    let (world, waiting) = composed_and_waiting();
    let second = start_waiting(&world);
    assert!(world.context.pipeline().is_none());
    waiting.end();
    let run = second.wait(LIMIT).expect_code(0);
    assert_eq!(theirs(&world).as_deref(), Some("theirs"), "{run}");
}

#[test]
fn a_wait_ends_with_a_signal_or_with_the_time() {
    let (mut world, waiting) = composed_and_waiting();
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130)] {
        let second = start_waiting(&world);
        second.signal(signal);
        second.wait(LIMIT).expect_code(code);
    }
    world.context.set("BITOPS_COMPOSE_TIMEOUT", "1");
    let run = world.context.run(["deploy"]).expect_code(75);
    assert!(
        run.stderr.contains("in use by another run, which deploys dev"),
        "{run}"
    );
    assert!(run.stderr.contains("BITOPS_COMPOSE_TIMEOUT"), "{run}");
    assert!(world.context.pipeline().is_none());
    // Nobody took it away from the first.
    assert_switched_in(&world);
    waiting.end();
    world.context.unset("BITOPS_COMPOSE_TIMEOUT");
    world.context.run(["deploy"]).expect_code(0);
}

#[test]
fn a_stopped_process_that_holds_the_right_to_switch_is_named_and_not_waited_for_without_bound() {
    let mut world = composed();
    // Each user who may read a directory may lock it.
    let stopped = Stopped::holding(&world.context.home());
    world.context.set("BITOPS_COMPOSE_TIMEOUT", "3");
    let run = world.context.run(["deploy"]).expect_code(75);
    assert!(world.context.pipeline().is_none());
    for said in [
        "waiting for another run, which is switching the operations repo".to_owned(),
        "the operations repo is in use by another run, for more than 3 seconds".to_owned(),
        format!("process {} (sleep, stopped) holds the lock", stopped.pid()),
    ] {
        assert!(run.stderr.contains(&said), "{said}\n{run}");
    }
    drop(stopped);
    world.context.run(["deploy"]).expect_code(0);
}

#[test]
fn a_plain_deploy_waits_for_its_own_environment_only() {
    let (mut world, waiting) = composed_and_waiting();
    world.context.set("BITOPS_ENVIRONMENT", "prod");
    world.context.run(["deploy"]).expect_code(0);
    let seen = world.context.pipeline().unwrap();
    assert_eq!(seen.text("prod/terraform/mine.txt"), Some("mine"));
    // It has switched nothing.
    assert_switched_in(&world);
    forget_pipeline(&world);

    world
        .context
        .set("BITOPS_ENVIRONMENT", "./dev/")
        .set("BITOPS_COMPOSE", "off");
    let second = start_waiting(&world);
    second.signal(Signal::TERM);
    second.wait(LIMIT).expect_code(143);
    let second = start_waiting(&world);
    assert!(world.context.pipeline().is_none());
    waiting.end();
    second.wait(LIMIT);
    assert_eq!(theirs(&world), None);
    assert!(world.context.pipeline().is_some());
    world.assert_nothing_left();
}

/// Two homes over one link, and one home spelt through a symlink, exclude each other too.
#[test]
fn another_home_over_the_same_link_waits_as_well() {
    let mut world = composed();
    let spelt = world.context.root().join("spelt");
    symlink(world.context.home(), &spelt).unwrap();
    let waiting = Waiting::start(&mut world);
    world.context.set("BITOPS_COMPOSE_TIMEOUT", "1");
    for home in [spelt, world.context.root().join("other-home")] {
        world.context.set("BITOPS_COMPOSE_HOME", &home);
        world.context.run(["deploy"]).expect_code(75);
        assert_switched_in(&world);
    }
    waiting.end();
    world.context.unset("BITOPS_COMPOSE_TIMEOUT");
    // With the other home it is the user's own repo that is composed, not the first one's composition.
    world.context.file("dev/terraform/mine.txt", "new");
    world.context.run(["deploy"]).expect_code(0);
    let seen = world.context.pipeline().unwrap();
    assert_eq!(seen.text("dev/terraform/mine.txt"), Some("new"));
    assert_eq!(theirs(&world).as_deref(), Some("theirs"));
}

#[test]
fn many_at_once_each_see_their_own_composition() {
    let mut world = composed();
    // What a hand-written hook would look at: which environment has the sources' file while this run's pipeline starts.
    world
        .context
        .file("stage/bitops.config.yaml", world.config(&[SOURCE]));
    let seen = world.context.root().join("seen");
    fs::create_dir(&seen).unwrap();
    let script = format!(
        "sh -c 'cat {}/$BITOPS_ENVIRONMENT/terraform/theirs.txt > {}/$$-$BITOPS_ENVIRONMENT'",
        world.context.deployment().display(),
        seen.display()
    );
    world.context.set("BITOPS_COMPOSE_PIPELINE", script);
    let runs: Vec<_> = (0..12)
        .map(|n| {
            let environment = if n % 2 == 0 { "dev" } else { "stage" };
            world.context.set("BITOPS_ENVIRONMENT", environment);
            world.context.spawn(["deploy"])
        })
        .collect();
    for run in runs {
        run.wait(LIMIT).expect_code(0);
    }
    let texts: Vec<String> = fs::read_dir(&seen)
        .unwrap()
        .map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap())
        .collect();
    assert_eq!(texts, vec!["theirs"; 12]);
}

#[test]
fn what_a_killed_run_left_is_never_deployed() {
    // Plain, failing, without an operations repo, with another home.
    for next in ["plain", "failing", "gone", "other home", "composed"] {
        let mut world = composed();
        killed(&mut world);
        match next {
            "plain" => {
                world.context.file("dev/bitops.config.yaml", PLAIN);
                world.context.run(["deploy"]);
                assert!(world.context.pipeline().is_some());
                assert_eq!(theirs(&world), None);
            }
            "failing" => {
                world
                    .context
                    .file("dev/bitops.config.yaml", "default-environments: [{}]\n");
                world.context.run(["deploy"]).expect_code(65);
            }
            "gone" => {
                fs::remove_dir_all(world.context.ops_repo()).unwrap();
                let run = world.context.run(["deploy"]).expect_code(1);
                assert!(run.stderr.contains("needs to be mounted"), "{run}");
                assert!(!world.context.deployment().exists());
                continue;
            }
            "other home" => {
                let home = world.context.root().join("other-home");
                world
                    .context
                    .file("dev/bitops.config.yaml", PLAIN)
                    .file("dev/terraform/mine.txt", "new");
                let usual = world.context.home();
                world.context.set("BITOPS_COMPOSE_HOME", home);
                world.context.run(["deploy"]);
                let seen = world.context.pipeline().unwrap();
                assert_eq!(seen.text("dev/terraform/mine.txt"), Some("new"));
                assert_eq!(theirs(&world), None);
                world.context.set("BITOPS_COMPOSE_HOME", usual);
                world.context.run(["deploy"]);
            }
            _ => {
                world.context.set("BITOPS_COMPOSE_PIPELINE", "true");
                world.context.run(["deploy"]).expect_code(0);
                world.context.set("BITOPS_COMPOSE", "off");
                world.context.run(["deploy"]).expect_code(0);
            }
        }
        world.assert_nothing_left();
    }
}

fn copy(from: &Path, to: &Path) {
    let done = std::process::Command::new("cp")
        .arg("-a")
        .args([from, to])
        .status()
        .unwrap();
    assert!(done.success());
}

/// A run that has everything but the right to switch, while the operations repo changes.
#[test]
fn what_changes_during_a_run_ends_it() {
    type Change = fn(&World);
    let changes: [(&str, Change); 6] = [
        ("dev/bitops.config.yaml has another text now", |world| {
            world.context.file("dev/bitops.config.yaml", PLAIN);
        }),
        ("dev/bitops.config.yaml cannot be read any more", |world| {
            fs::remove_file(world.context.ops_repo().join("dev/bitops.config.yaml")).unwrap();
        }),
        ("dev/bitops.lock.yaml is new", |world| {
            world.context.run(["lock"]).expect_code(0);
        }),
        ("dev cannot be read any more", |world| {
            fs::remove_dir_all(world.context.ops_repo().join("dev")).unwrap();
        }),
        ("dev is another directory now", |world| {
            let dev = world.context.ops_repo().join("dev");
            let aside = dev.with_file_name("aside");
            copy(&dev, &aside);
            fs::rename(&dev, dev.with_file_name("old")).unwrap();
            fs::rename(aside, &dev).unwrap();
        }),
        ("opt/bitops_deployment cannot be read any more", |world| {
            fs::remove_dir_all(world.context.ops_repo()).unwrap();
        }),
    ];
    for (message, change) in changes {
        let (world, waiting) = composed_and_waiting();
        let second = start_waiting(&world);
        change(&world);
        waiting.end();
        let run = second.wait(LIMIT).expect_code(65);
        assert!(
            run.stderr.contains("the operations repo changed during the run"),
            "{run}"
        );
        assert!(run.stderr.contains(message), "{message}\n{run}");
        assert!(world.context.pipeline().is_none(), "{message}");
    }
}

/// Before, during and after a deploy.
#[test]
fn a_path_that_leads_to_the_link_means_the_users_own_repo() {
    let mut world = composed();
    let (d, active) = (world.context.deployment(), world.context.home().join("active"));
    let lock = world.context.ops_repo().join("dev/bitops.lock.yaml");
    let look = |world: &World, places: &[&Path]| {
        for place in places {
            let place = place.to_str().unwrap();
            let plan = world
                .context
                .run(["plan", "--format", "json", "--ops-repo", place])
                .expect_code(0);
            assert!(plan.stdout.contains("terraform/theirs.txt"), "{place}\n{plan}");
            assert!(
                !plan
                    .stdout
                    .contains("\"action\": \"local\",\n      \"path\": \"terraform/theirs.txt\""),
                "{plan}"
            );
            world.context.run(["lock", "--ops-repo", place]).expect_code(0);
            assert!(fs::symlink_metadata(&lock).unwrap().is_file(), "{place}");
            let text = fs::read_to_string(&lock).unwrap();
            for command in ["check", "outdated"] {
                let run = world.context.run([command, "--ops-repo", place]).expect_code(0);
                assert!(!run.stderr.contains("lock"), "{place}: {run}");
            }
            fs::write(&lock, "format: 1\nsources: []\nthe-end: true\n").unwrap();
            world.context.run(["update", "--ops-repo", place]).expect_code(0);
            assert_eq!(fs::read_to_string(&lock).unwrap(), text, "{place}");
            fs::remove_file(&lock).unwrap();
        }
    };
    look(&world, &[&d, &active]);
    let waiting = Waiting::start(&mut world);
    let tree = fs::canonicalize(&d).unwrap();
    look(&world, &[&d, &active, &tree]);
    let before = fs::read_dir(tree.join("dev")).unwrap().count();
    world.context.current_dir(&tree);
    world.context.run(["lock"]).expect_code(0);
    assert_eq!(
        fs::read_dir(tree.join("dev")).unwrap().count(),
        before,
        "nothing is written into a composition"
    );
    fs::remove_file(&lock).unwrap();
    world.context.current_dir("");
    waiting.end();
    look(&world, &[&d, &active]);
}

/// The operations repo's path as a link of the user's own, spelt through another link.
#[test]
fn a_link_of_the_users_own_is_put_back_as_it_was() {
    let mut world = composed();
    let root = world.context.root().to_owned();
    symlink("opt/bitops-compose/mount", root.join("own")).unwrap();
    symlink(&root, root.join("around")).unwrap();
    let own = root.join("around/own");
    world
        .context
        .set("BITOPS_COMPOSE_OPS_REPO", &own)
        .set("STANDIN_OPS_REPO", &own)
        .set("BITOPS_COMPOSE_HOME", root.join("other-home"));
    for _ in ["first", "again"] {
        world.context.run(["deploy"]).expect_code(0);
        assert_eq!(theirs(&world).as_deref(), Some("theirs"));
    }
    world.context.set("BITOPS_COMPOSE", "off");
    world.context.run(["deploy"]);
    assert_eq!(
        fs::read_link(root.join("own")).unwrap(),
        Path::new("opt/bitops-compose/mount")
    );
    assert_eq!(theirs(&world), None);
}
