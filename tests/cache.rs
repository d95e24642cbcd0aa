//! The object cache as a deployment meets it: what it saves, what it holds, and where it is put.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Child, Command},
    time::{Duration, Instant},
};

use crate::common::{World, catalog, six_sources, skipped, world};
use compose_testkit::{Spawned, figures, fuzz, server::ANY};

const LIMIT: Duration = Duration::from_secs(60);

/// Counts the handshakes, ref listings and fetches of each repo.
fn requests(world: &World) -> Vec<(u64, u64, u64)> {
    let of = |name: &str| {
        let stats = world.server.stats(name);
        (stats.info_refs, stats.ls_refs, stats.fetches)
    };
    let counted = world.repos.iter().map(|repo| of(repo.name())).collect();
    world.server.clear_requests();
    counted
}

fn forget(world: &World) {
    fs::remove_dir_all(world.context.cache()).unwrap();
    fs::create_dir(world.context.cache()).unwrap();
}

#[test]
fn four_requests_a_repo_and_three_with_a_lock_and_none_when_all_is_known() {
    let world = six_sources();
    world.context.run(["deploy"]).expect_code(0);
    assert_eq!(requests(&world), [(1, 1, 2); 5], "cold");
    world.context.run(["deploy"]).expect_code(0);
    assert_eq!(requests(&world), [(1, 1, 0); 5], "warm");
    forget(&world);
    world.context.run(["lock"]).expect_code(0);
    assert_eq!(requests(&world), [(1, 1, 2); 5], "locking");
    world.context.run(["deploy"]).expect_code(0);
    assert_eq!(requests(&world), [(0, 0, 0); 5], "warm and locked");
    forget(&world);
    world.context.run(["deploy"]).expect_code(0);
    assert_eq!(requests(&world), [(1, 0, 2); 5], "cold and locked");
}

/// The repos that are in the cache.
fn cached(world: &World) -> Vec<String> {
    let list = world
        .context
        .run(["cache", "list", "--format", "json"])
        .expect_code(0);
    let list: serde_json::Value = serde_json::from_str(&list.stdout).unwrap();
    let repos = list["repos"].as_array().unwrap().iter();
    repos
        .map(|repo| {
            repo["repo"]
                .as_str()
                .unwrap()
                .rsplit('/')
                .next()
                .unwrap()
                .to_owned()
        })
        .collect()
}

#[test]
fn a_run_that_fetches_keeps_the_cache_under_its_limit() {
    let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let mut catalogs = names.map(|name| catalog(name, "eks", "terraform/x.txt", name));
    let mut world = world(&mut catalogs);
    let deploy = |world: &World, name: &str| {
        world.sources(&[&format!(
            "{{repo: '{{repo}}/{name}', environment: eks, version: 1.0.0}}"
        )]);
        world.context.run(["deploy"]).expect_code(0);
        let seen = world.context.pipeline().unwrap();
        assert_eq!(seen.text("dev/terraform/x.txt"), Some(name));
    };
    deploy(&world, "a");
    deploy(&world, "b");
    world.context.set("BITOPS_COMPOSE_CACHE_LIMIT", "0");
    deploy(&world, "c");
    world.context.set("BITOPS_COMPOSE_CACHE_LIMIT", "1kB");
    deploy(&world, "a");
    assert_eq!(cached(&world), ["a", "b", "c"], "a warm run does not look");
    // The pipeline does not wait for it, so on a busy machine one run may not be enough.
    let is_done = |name: &&str| {
        deploy(&world, name);
        let left = cached(&world);
        assert!(left.contains(&(*name).to_owned()), "what it used stays: {left:?}");
        left == [*name]
    };
    assert!(names[3..].iter().any(is_done), "{:?}", cached(&world));
}

#[test]
fn offline_runs_name_all_that_is_missing() {
    let mut world = world(&mut [
        catalog("c", "eks", "terraform/x.txt", "x"),
        catalog("d", "web", "terraform/y.txt", "y"),
    ]);
    let both = [
        "{repo: '{repo}/c', environment: eks, version: 1.0.0}",
        "{repo: '{repo}/d', environment: web, version: 1.0.0}",
    ];
    world.sources(&both);
    world.context.set("BITOPS_COMPOSE_OFFLINE", "true");
    insta::assert_snapshot!("offline_without_a_cache", world.context.run(["deploy"]));
    assert_eq!(world.server.stats(ANY).requests(), 0);

    world.context.unset("BITOPS_COMPOSE_OFFLINE");
    world.context.run(["lock"]).expect_code(0);
    forget(&world);
    world.sources(&both[..1]);
    world.context.run(["deploy"]).expect_code(0);
    world.sources(&both);
    requests(&world);
    world.context.set("BITOPS_COMPOSE_OFFLINE", "true");
    let commit = world.repo("d").commit("1.0.0");
    world.context.filter(&commit[..9], "[COMMIT]");
    insta::assert_snapshot!("offline_with_half_of_it", world.context.run(["deploy"]));
    assert_eq!(world.server.stats(ANY).requests(), 0);
}

/// A mounted catalog needs no network. If the mount is missing, the cache answers, as for any other repo.
#[test]
fn offline_a_catalog_on_the_disk_is_read_and_one_that_is_gone_comes_from_the_cache() {
    let mut world = world(&mut [catalog("c", "eks", "terraform/x.txt", "x")]);
    let (path, away) = (world.path("c"), world.path("c").with_extension("away"));
    world.sources(&[&format!(
        "{{repo: '{}', environment: eks, version: 1.0.0}}",
        path.display()
    )]);
    world.context.set("BITOPS_COMPOSE_OFFLINE", "true");
    world.context.run(["deploy"]).expect_code(0);
    fs::rename(&path, &away).unwrap();
    world.context.run(["deploy"]).expect_code(0);
    forget(&world);
    let run = world.context.run(["deploy"]).expect_code(69);
    assert!(
        run.stderr.contains("is not in the cache, and the run is offline"),
        "{run}"
    );
}

/// As documented for GitHub Actions, the cache is in the workspace, because a container step keeps nothing else.
#[test]
fn a_cache_in_the_workspace_is_carried_on_and_kept_from_the_pipeline() {
    let mut world = world(&mut [catalog("c", "eks", "terraform/x.txt", "x")]);
    world.sources(&["{repo: '{repo}/c', environment: eks, version: ^1}"]);
    world.context.run(["lock"]).expect_code(0);
    let workspace = world.context.root().join("workspace");
    fs::rename(world.context.ops_repo(), &workspace).unwrap();
    let cache = workspace.join(".cache/bitops-compose");
    fs::create_dir(workspace.join(".cache")).unwrap();
    fs::write(workspace.join(".cache/other"), "mine").unwrap();
    world
        .context
        .set("GITHUB_ACTIONS", "true")
        .set("GITHUB_WORKSPACE", &workspace)
        .set("BITOPS_COMPOSE_CACHE", &cache)
        .current_dir(&workspace);
    world.server.clear_requests();
    for (requests, what) in [(3, "the first job"), (0, "the next one")] {
        world.context.run(["deploy"]).expect_code(0);
        assert_eq!(world.server.stats(ANY).requests(), requests, "{what}");
        world.server.clear_requests();
        let seen = world.context.pipeline().unwrap();
        assert_eq!(seen.text("dev/terraform/x.txt"), Some("x"));
        assert_eq!(seen.text(".cache/other"), Some("mine"));
        let of_cache = seen.ops_repo.keys().find(|path| path.contains("bitops-compose"));
        assert_eq!(of_cache, None, "the pipeline would copy it");
        // One job saves the cache at its end, and another one restores it.
        for command in [
            "tar -cf ../cache.tar .cache/bitops-compose",
            "rm -r .cache/bitops-compose",
            "tar -xf ../cache.tar --touch",
        ] {
            let status = Command::new("sh")
                .args(["-c", command])
                .current_dir(&workspace)
                .status();
            assert!(status.unwrap().success(), "{command}");
        }
    }
}

/// A stopped process that holds a lock on a file. Dropping it ends the process.
pub(crate) struct Stopped(Child);

impl Stopped {
    pub(crate) fn holding(path: &Path) -> Self {
        let mut command = Command::new("flock");
        command.arg("--no-fork").arg(path).args(["sleep", "600"]);
        let holding = Self(command.spawn().unwrap());
        let pid = holding.pid();
        // The lock is held once the program that takes it has become the one that sleeps.
        until(|| fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name == "sleep\n"));
        let stopped = Command::new("kill").args(["-STOP", &pid.to_string()]).status();
        assert!(stopped.unwrap().success());
        holding
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[track_caller]
fn until(condition: impl Fn() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < LIMIT);
        std::thread::yield_now();
    }
}

#[test]
fn a_stopped_process_that_keeps_an_entry_locked_is_named() {
    let world = world(&mut [catalog("c", "eks", "terraform/x.txt", "x")]);
    world.sources(&["{repo: '{repo}/c', environment: eks, version: 1.0.0}"]);
    world.context.run(["deploy"]).expect_code(0);
    let entries = fs::read_dir(world.context.cache().join("v1")).unwrap();
    let entry = entries
        .flatten()
        .find(|found| found.path().is_dir())
        .unwrap()
        .path();
    let stopped = Stopped::holding(&entry.join("in-use"));
    let run = world.context.run(["deploy"]).expect_code(0);
    let who = format!(
        "in-use is kept locked by process {} (sleep, stopped)",
        stopped.pid()
    );
    assert!(run.stderr.contains(&who), "{run}");
}

/// Another user of the machine, without rights.
const STRANGER: &str = "54321";

#[test]
fn eight_processes_of_two_users_share_a_cache_that_is_open_to_everybody() {
    if Command::new("id").arg("-u").output().unwrap().stdout != b"0\n" {
        return skipped("only root can take another user's part");
    }
    let mut world = world(&mut [
        catalog("c", "eks", "terraform/x.txt", "x"),
        catalog("d", "web", "terraform/y.txt", "y"),
    ]);
    world.sources(&[
        "{repo: '{repo}/c', environment: eks, version: ^1}",
        "{repo: '{repo}/d', environment: web, version: 1.0.0}",
    ]);
    let root = world.context.root().to_owned();
    let set_mode =
        |path: &Path, mode: u32| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    set_mode(&root, 0o755);
    set_mode(&root.join("tmp"), 0o1777);
    let expected = world.context.run(["plan"]).expect_code(0).stdout;
    let rounds = fuzz::rounds(3);
    for round in 0..rounds {
        // Some rounds begin with a cache that the other user has filled, or half of it.
        if round % 3 != 2 {
            forget(&world);
            set_mode(&world.context.cache(), 0o1777);
        }
        let mut start = |number: u64| -> Spawned {
            let become_it = [
                "setpriv",
                "--clear-groups",
                "--reuid",
                STRANGER,
                "--regid",
                STRANGER,
            ];
            let is_stranger = (number + round).is_multiple_of(2);
            world.context.wrap(become_it.into_iter().filter(|_| is_stranger));
            world.context.spawn(["plan"])
        };
        let all: Vec<Spawned> = (0..8).map(&mut start).collect();
        for run in all {
            let run = run.wait(LIMIT).expect_code(0);
            assert_eq!(run.stdout, expected, "round {round}\n{run}");
        }
        let left = fs::read_dir(root.join("tmp")).unwrap().count();
        assert_eq!(left, 0, "round {round}: a private cache stays");
    }
    figures::record(
        20,
        "right results of eight processes of two users over one cache",
        format!("{0}/{0}", rounds * 8),
    );
}
