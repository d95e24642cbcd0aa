//! After a kill at any stage the next run ends as if nothing had happened. A signal ends every stage at once.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant, SystemTime},
};

use crate::common::{World, six_sources};
use compose_testkit::{
    Signal, Spawned, figures, fuzz,
    server::{ANY, Fault, RequestKind, Rule},
    standin::DumpedPath,
};

const LIMIT: Duration = Duration::from_secs(30);

/// Where a run is stopped.
#[derive(Clone, Copy, Debug)]
enum Stage {
    /// The server is answering this many requests of a kind.
    Request(RequestKind, usize),
    /// This path exists in the home (`*` stands for a composition's name) or in the cache.
    Home(&'static str),
    Cache,
}

const STAGES: [Stage; 8] = [
    Stage::Request(RequestKind::InfoRefs, 1),
    Stage::Cache,
    Stage::Request(RequestKind::LsRefs, 1),
    Stage::Request(RequestKind::Fetch, 1),
    Stage::Request(RequestKind::Fetch, 7),
    Stage::Home("composition."),
    Stage::Home("tree"),
    Stage::Home("manifest.json"),
];

/// Waits for the stage. Returns `false` if the run is past it.
fn reached(world: &World, stage: Stage) -> bool {
    match stage {
        Stage::Request(kind, count) => {
            world.server.wait_for(LIMIT, |seen| {
                seen.iter().filter(|seen| seen.kind == kind).count() >= count
            });
            true
        }
        Stage::Cache => until(world, || {
            fs::read_dir(world.context.cache()).unwrap().next().is_some()
        }),
        Stage::Home(name) => until(world, || {
            let entries = fs::read_dir(world.context.home()).unwrap().flatten();
            entries.map(|entry| entry.path()).any(|path| {
                path.display().to_string().contains("/composition.")
                    && (name.ends_with('.') || path.join(name).exists())
            })
        }),
    }
}

fn until(world: &World, found: impl Fn() -> bool) -> bool {
    let started = Instant::now();
    while !found() {
        if world.context.pipeline().is_some() {
            return false;
        }
        assert!(started.elapsed() < LIMIT);
        std::thread::yield_now();
    }
    true
}

fn stalled(stage: Stage) -> World {
    let mut world = six_sources();
    if let Stage::Request(kind, count) = stage {
        // The server answers nothing after this stage, so the run cannot be past it.
        let after = u32::try_from(count - 1).unwrap();
        world
            .server
            .inject(ANY, Rule::from(Fault::Stall).on(kind).after(after));
        // The fetches run one after the other, so that their number tells how far the run is.
        world.context.set("BITOPS_COMPOSE_JOBS", "1");
    }
    world
}

/// Returns what the pipeline saw, without text that differs from run to run.
fn deployed(world: &World) -> BTreeMap<String, DumpedPath> {
    let mut seen = world.context.pipeline().expect("the pipeline ran").ops_repo;
    for seen in seen.values_mut() {
        // A link's target may contain the composition's random name. What the links lead to is compared.
        seen.link = None;
        // The user's own config names the server, whose port differs in each run.
        seen.text = seen
            .text
            .take()
            .map(|text| text.replace(&world.server.address(), ""));
    }
    seen
}

fn spawn(world: &World) -> Spawned {
    world.context.spawn(["deploy"])
}

#[test]
fn a_killed_process_leaves_nothing_that_matters() {
    let world = six_sources();
    world.context.run(["deploy"]).expect_code(0);
    let expected = deployed(&world);
    let (mut kills, mut identical) = (0, 0);
    for stage in STAGES {
        let world = stalled(stage);
        let before = world.context.ops_repo_fingerprint();
        let run = spawn(&world);
        // If a stage was too short to be seen, the kill comes at another moment, which must not matter either.
        if reached(&world, stage) {
            run.signal(Signal::KILL);
        }
        run.wait(LIMIT);
        kills += 1;
        world.context.ops_repo_fingerprint().assert_same_as(&before);
        world.server.heal(ANY);
        world.context.run(["deploy"]).expect_code(0);
        assert_eq!(deployed(&world), expected, "{stage:?}");
        identical += 1;
        world.assert_nothing_left();
    }
    // One world lives on, so that each run also meets what all kills before it left.
    let world = six_sources();
    let (wanted, mut round) = (kills + fuzz::rounds(12), 0);
    while kills < wanted {
        round += 1;
        if round % 3 == 0 {
            fs::remove_dir_all(world.context.cache()).unwrap();
            fs::create_dir(world.context.cache()).unwrap();
        }
        let run = spawn(&world);
        // Any moment, up to about the time that a whole run takes.
        std::thread::sleep(Duration::from_millis(round * 37 % 300));
        let pid = run.id().to_string();
        let _ = Command::new("kill")
            .args(["-KILL", &pid])
            .stderr(Stdio::null())
            .status();
        if run.wait(LIMIT).code.is_some() {
            // It had ended before.
            continue;
        }
        kills += 1;
        world.context.run(["deploy"]).expect_code(0);
        assert_eq!(deployed(&world), expected, "round {round}");
        identical += 1;
        world.assert_nothing_left();
    }
    figures::record(
        21,
        "identical results after kill -9",
        format!("{identical}/{kills}"),
    );
}

/// A world whose cache cannot be used, so that each run has a private one in its temporary directory.
fn without_a_cache() -> (World, PathBuf) {
    let mut world = stalled(Stage::Request(RequestKind::Fetch, 1));
    world.context.set("BITOPS_COMPOSE_CACHE", "/dev/null/cache");
    let temporary = world.context.root().join("tmp");
    (world, temporary)
}

fn names_in(dir: &Path) -> Vec<PathBuf> {
    fs::read_dir(dir)
        .unwrap()
        .map(|found| found.unwrap().path())
        .collect()
}

#[test]
fn no_private_cache_stays_after_a_signal() {
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130)] {
        let (world, temporary) = without_a_cache();
        let run = spawn(&world);
        reached(&world, Stage::Request(RequestKind::Fetch, 1));
        assert_eq!(names_in(&temporary).len(), 1, "it has a private one");
        run.signal(signal);
        let run = run.wait(LIMIT).expect_code(code);
        assert!(names_in(&temporary).is_empty(), "{run}");
    }
}

#[test]
fn the_private_cache_of_a_killed_run_is_removed_by_the_next_one() {
    let (world, temporary) = without_a_cache();
    let run = spawn(&world);
    reached(&world, Stage::Request(RequestKind::Fetch, 1));
    run.signal(Signal::KILL);
    run.wait(LIMIT);
    let left = names_in(&temporary).remove(0);
    let a_while_ago = SystemTime::now() - Duration::from_secs(300);
    fs::File::open(&left).unwrap().set_modified(a_while_ago).unwrap();
    world.server.heal(ANY);
    world.context.run(["deploy"]).expect_code(0);
    assert!(names_in(&temporary).is_empty());
}

#[test]
fn signals_end_every_stage_and_nothing_is_left() {
    for stage in STAGES {
        for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130)] {
            let world = stalled(stage);
            let run = spawn(&world);
            if !reached(&world, stage) {
                continue;
            }
            let sent = Instant::now();
            run.signal(signal);
            let run = run.wait(LIMIT);
            let took = sent.elapsed();
            if world.context.pipeline().is_some() {
                // The run was faster, so the signal reached the pipeline.
                continue;
            }
            let run = run.expect_code(code);
            // Or the parent had started the pipeline, which had not printed anything yet.
            let words = ["stopped by SIG", "nothing more is started"];
            assert!(words.iter().any(|words| run.stderr.contains(words)), "{run}");
            world.assert_nothing_left();
            figures::record(
                21,
                format!(
                    "{} to exit at {stage:?}",
                    if code == 143 { "SIGTERM" } else { "SIGINT" }
                ),
                format!("{} ms", took.as_millis()),
            );
        }
    }
}
