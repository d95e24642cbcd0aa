//! A home with several deploys at once, many in sequence, and changes or deletions between them.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use compose_testkit::docker::{Container, Engine};
use compose_testkit::server::RequestKind;
use compose_testkit::{Catalog, GitServer, Run, figures};

use crate::world::{World, image, in_each_engine, wait_until, world};

in_each_engine![
    two_environments_at_once,
    many_runs_leave_nothing_and_no_first_hook_sees_a_composition,
    each_workspace_is_deployed_and_not_the_one_before,
    a_workspace_that_is_gone_deploys_nothing_old,
    a_killed_container_started_again_shows_the_users_own_files,
];

/// Names a number of rounds other than the small one that a test takes: docs/testing.md.
const ROUNDS: &str = "BITOPS_COMPOSE_TEST_ROUNDS";

fn rounds(few: u32) -> u32 {
    std::env::var(ROUNDS).map_or(few, |text| text.parse().expect("a number of rounds"))
}

/// A container in which deploys are started by `exec`, as in the job container of a CI.
struct Job {
    world: World,
    container: Container,
}

impl Job {
    fn new(world: World, options: &[&str]) -> Self {
        let options = [options, &["--entrypoint=sleep"]].concat();
        let container = world.engine.start(world.arguments(&options, &["infinity"]));
        Self { world, container }
    }

    fn exec(&self, variables: &[&str], words: &[&str]) -> Run {
        let mut arguments = vec!["exec"];
        for variable in variables {
            arguments.extend(["--env", variable]);
        }
        arguments.push(self.container.name());
        self.world.engine.call(arguments.iter().chain(words))
    }

    fn deploy(&self, variables: &[&str]) -> Run {
        self.exec(variables, &["bitops-compose", "deploy"])
    }

    /// Asserts that the home has no remains of any run, and that the path shows the user's own files.
    #[track_caller]
    fn assert_home_is_clean(&self) {
        let left = self
            .exec(&[], &["ls", "-A", "/opt/bitops-compose"])
            .expect_code(0);
        let runs: Vec<&str> = left
            .stdout
            .lines()
            .filter(|name| name.starts_with("composition") || name.starts_with(".active"))
            .collect();
        assert!(runs.is_empty(), "{runs:?}");
        let link = self.exec(&[], &["readlink", "/opt/bitops-compose/active"]);
        assert_eq!(link.stdout, "mount\n");
    }
}

/// A hook that keeps what it sees in its copy, and writes into the operations repo: a file and a directory while the other run may
/// be composing; and once both have copied, for a copy ends at a file that goes away under it, an edit in place and a move.
const WRITES: &str = r#"
D=/opt/bitops_deployment T=$BITOPS_TEMPDIR E=$BITOPS_ENVIRONMENT
ls $T/$E/terraform > /out/$E.copy
echo "$ROUND" > $D/$E.out
mkdir -p $D/$E/generated && echo "$ROUND" > $D/$E/generated/file
touch /out/$E.copied-$ROUND
until [ -e /out/dev.copied-$ROUND ] && [ -e /out/prod.copied-$ROUND ]; do sleep 0.01; done
sed -i "s/round .*/round $ROUND/" $D/$E/edited.txt
echo "$ROUND" > $D/$E/new && mv $D/$E/new $D/$E/moved.txt
"#;

fn two_environments_at_once(engine: Engine) {
    let mut catalog = Catalog::new("c");
    for name in ["dev", "prod"] {
        catalog
            .file(&format!("{name}/terraform/bitops.config.yaml"), "terraform: {}\n")
            .file(&format!("{name}/terraform/of-{name}.tf"), "# theirs\n");
    }
    catalog.tag("1.0.0");
    let world = World::new(engine, &image(engine), &mut [catalog], GitServer::start);
    for name in ["dev", "prod"] {
        let config = format!(
            "default-environments:\n- {{repo: {}, environment: {name}, version: 1.0.0}}\n",
            world.server.url("c")
        );
        world
            .file(&format!("{name}/bitops.config.yaml"), &config)
            .file(&format!("{name}/edited.txt"), "round 0\n")
            .file(
                &format!("{name}/terraform/bitops.before-deploy.d/writes.sh"),
                WRITES,
            );
    }
    // On the engine's own file system the switch of one run may be two steps for another one (fuse-overlayfs).
    let mount = format!(
        "--volume={}:/opt/bitops-compose/mount",
        world.checkout().display()
    );
    let job = Job::new(world, &["--tmpfs=/opt/bitops-compose", &mount]);
    for round in 1..=rounds(5) {
        let round = format!("{round}");
        std::thread::scope(|scope| {
            for name in ["dev", "prod"] {
                let (job, round) = (&job, &round);
                scope.spawn(move || {
                    let environment = format!("BITOPS_ENVIRONMENT={name}");
                    let (round_is, dump) = (format!("ROUND={round}"), format!("STANDIN_DUMP=/tmp/{name}"));
                    let variables = [&*environment, &round_is, &dump];
                    let run = job.deploy(&variables).expect_code(0);
                    let copy = fs::read_to_string(job.world.out().join(format!("{name}.copy"))).unwrap();
                    assert!(
                        copy.contains(&format!("of-{name}.tf")),
                        "round {round}: {copy}\n{run}"
                    );
                });
            }
        });
        for name in ["dev", "prod"] {
            for (path, text) in [
                (format!("{name}.out"), format!("{round}\n")),
                (format!("{name}/generated/file"), format!("{round}\n")),
                (format!("{name}/edited.txt"), format!("round {round}\n")),
                (format!("{name}/moved.txt"), format!("{round}\n")),
            ] {
                let found = fs::read_to_string(job.world.checkout().join(&path)).unwrap_or_default();
                assert_eq!(found, text, "round {round}: {path}");
            }
            assert!(!job.world.checkout().join(name).join("new").exists());
        }
        job.assert_home_is_clean();
    }
    figures::record(
        0,
        "rounds of two environments at once, each with its sources",
        rounds(5),
    );
}

fn many_runs_leave_nothing_and_no_first_hook_sees_a_composition(engine: Engine) {
    let world = world(engine);
    let hook = "if [ -e /opt/bitops_deployment/dev/terraform/theirs.txt ]; then echo composed >> /out/seen; fi\n\
                [ -e $BITOPS_TEMPDIR/dev/terraform/theirs.txt ] && echo run >> /out/runs\n";
    world.file("dev/terraform/bitops.before-deploy.d/look.sh", hook);
    let mount = world.bind("", "");
    let job = Job::new(world, &[&mount]);
    let before = job.world.fingerprint();
    let runs = rounds(10);
    let script = format!(
        "for run in $(seq {runs}); do bitops-compose deploy > /out/log 2>&1 || {{ cat /out/log; exit 1; }}; done"
    );
    job.exec(&["STANDIN_DUMP=/tmp/dump"], &["sh", "-c", &script])
        .expect_code(0);
    let ran = fs::read_to_string(job.world.out().join("runs")).unwrap();
    assert_eq!(ran.lines().count(), usize::try_from(runs).unwrap());
    let seen = fs::read_to_string(job.world.out().join("seen")).unwrap_or_default();
    assert_eq!(seen.lines().count(), 0);
    job.assert_home_is_clean();
    job.world.fingerprint().assert_same_as(&before);
    figures::record(
        0,
        "runs in one home, nothing left, no first hook saw a composition",
        runs,
    );
}

/// Returns a job with two checkouts of one repo, at `/out/a` and `/out/b`.
fn job_with_workspaces(engine: Engine) -> Job {
    let world = world(engine);
    for name in ["a", "b"] {
        let copy = world.out().join(name);
        fs::create_dir(&copy).unwrap();
        copy_checkout(&world.checkout(), &copy);
        fs::write(copy.join("README.md"), name).unwrap();
    }
    Job::new(world, &["--env=GITHUB_ACTIONS=true"])
}

fn copy_checkout(from: &Path, to: &Path) {
    let from = format!("{}/.", from.display());
    let copied = std::process::Command::new("cp")
        .args(["-a", &from])
        .arg(to)
        .status();
    assert!(copied.unwrap().success());
}

fn each_workspace_is_deployed_and_not_the_one_before(engine: Engine) {
    let job = job_with_workspaces(engine);
    for name in ["a", "b", "a"] {
        let run = job.deploy(&[&format!("GITHUB_WORKSPACE=/out/{name}")]);
        let seen = job.world.assert_ran(run, Some("one"));
        assert_eq!(seen.text("README.md"), Some(name));
        job.assert_home_is_clean();
    }
}

fn a_workspace_that_is_gone_deploys_nothing_old(engine: Engine) {
    let job = job_with_workspaces(engine);
    let workspace = "GITHUB_WORKSPACE=/out/a";
    job.world.assert_ran(job.deploy(&[workspace]), Some("one"));
    fs::remove_dir_all(job.world.out().join("a/dev")).unwrap();
    for _ in ["the environment is gone", "the checkout is gone"] {
        let run = job.deploy(&[workspace]).expect_code(65);
        assert!(run.stderr.contains("/out/a"), "{run}");
        assert!(job.world.pipeline().is_none(), "{run}");
        let _ = fs::remove_dir_all(job.world.out().join("a"));
    }
}

/// In Docker only: the engine makes no difference.
#[test]
fn a_config_that_changes_during_the_fetch_is_not_deployed() {
    for change in ["another version", "the environment is gone"] {
        let world = world(Engine::Docker);
        let mount = world.bind("", "");
        let job = Job::new(world, &[&mount]);
        job.world.server.set_latency(Duration::from_secs(1));
        let changed = AtomicBool::new(false);
        let run = std::thread::scope(|scope| {
            scope.spawn(|| {
                job.world.server.wait_for(Duration::from_secs(60), |seen| {
                    seen.iter().any(|request| request.kind == RequestKind::LsRefs)
                });
                if change == "another version" {
                    job.world.version("2.0.0");
                } else {
                    fs::remove_dir_all(job.world.checkout().join("dev")).unwrap();
                }
                changed.store(true, Ordering::SeqCst);
            });
            job.deploy(&[])
        });
        assert!(changed.into_inner());
        let run = run.expect_code(65);
        assert!(job.world.pipeline().is_none(), "{change}\n{run}");
        job.assert_home_is_clean();
    }
}

/// In Docker only: the engine makes no difference.
#[test]
fn a_config_that_cannot_be_read_is_not_one_without_sources() {
    let world = world(Engine::Docker);
    let config = world.checkout().join("dev/bitops.config.yaml");
    fs::set_permissions(&config, std::os::unix::fs::PermissionsExt::from_mode(0o000)).unwrap();
    let run = world
        .run(&[&world.bind("", ""), "--user=1000", "--cap-drop=ALL"])
        .expect_code(73);
    assert!(run.stderr.contains("dev/bitops.config.yaml"), "{run}");
    assert!(world.pipeline().is_none(), "{run}");
}

fn a_killed_container_started_again_shows_the_users_own_files(engine: Engine) {
    let world = world(engine);
    world.file("dev/terraform/bitops.config.yaml", "terraform: {}\n");
    // A pipeline that does not copy keeps the composition until its end, so the kill comes while it is switched in.
    let looks = "--env=BITOPS_COMPOSE_PIPELINE=sh -c 'ls /opt/bitops_deployment/dev/terraform > /out/seen; \
                 touch /out/running; while [ -e /out/hold ]; do sleep 0.05; done'";
    fs::write(world.out().join("hold"), "").unwrap();
    let container = world.create(&[&world.bind("", ""), looks]);
    world.engine.expect(["start", container.name()]);
    wait_until(|| world.out().join("running").exists());
    let seen = || fs::read_to_string(world.out().join("seen")).unwrap();
    assert!(seen().contains("theirs.txt"));
    world.engine.expect(["kill", container.name()]);
    assert_eq!(container.wait(), 137);

    fs::remove_file(world.out().join("hold")).unwrap();
    world.file("dev/bitops.config.yaml", "bitops: {}\n");
    container.start_and_wait().expect_code(0);
    assert!(!seen().contains("theirs.txt"), "{}", seen());

    // The engine mounts the repo through the link as the kill has left it, so that one composition is the mount's place for the
    // rest of the container's life. No other one is left.
    for version in ["1.0.0", "2.0.0"] {
        world.version(version);
        container.start_and_wait().expect_code(0);
        assert!(seen().contains("theirs.txt"), "{}", seen());
    }
    let changes = world.engine.expect(["diff", container.name()]);
    let left: BTreeSet<&str> = changes
        .lines()
        .filter_map(|line| line.split_once("/opt/bitops-compose/composition"))
        .filter_map(|(_, rest)| rest.split('/').next())
        .collect();
    assert!(left.len() <= 1, "{changes}");
}
