//! Machines with too few files, threads, rights, or too little memory or space: a run works, or ends with code 73 and names
//! what is missing.

#![expect(clippy::print_stderr, reason = "a test that is skipped says why")]

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, chown, lchown},
    path::Path,
    process::Command,
};

use crate::common::{World, catalog, six_sources, world};
use compose_testkit::{Run, figures};

/// Asserts that a run ends for lack of something, leaves nothing, starts nothing, and names the remedy in a hint.
#[track_caller]
fn wanting(world: &World, remedy: &str) -> Run {
    let before = world.context.ops_repo_fingerprint();
    let run = world.context.run(["deploy"]).expect_code(73);
    assert!(world.context.pipeline().is_none(), "{run}");
    world.assert_nothing_left();
    let left = fs::read_dir(world.context.root().join("tmp")).unwrap().count();
    assert_eq!(left, 0, "{run}");
    world.context.ops_repo_fingerprint().assert_same_as(&before);
    assert!(
        run.stderr.contains("hint: ") && run.stderr.contains(remedy),
        "{run}"
    );
    assert!(!run.stderr.contains("panicked"), "{run}");
    run
}

fn works(world: &World) -> Run {
    let run = world.context.run(["deploy"]).expect_code(0);
    assert!(world.context.pipeline().is_some(), "{run}");
    run
}

/// Returns whether this is root, who may become any user and mount file systems.
fn is_root() -> bool {
    let root = Command::new("id").arg("-u").output().unwrap().stdout == b"0\n";
    if !root {
        eprintln!("skipped: only root can take another user's part");
    }
    root
}

const STRANGER: u32 = 54_321;

/// Makes the program run as a user without rights who owns these directories of the world. `prlimit` sets limits.
fn as_stranger(world: &mut World, owned: &[&str], prlimit: &[&str]) {
    fn give(path: &Path) {
        lchown(path, Some(STRANGER), Some(STRANGER)).unwrap();
        if path.is_dir() && !path.is_symlink() {
            for entry in fs::read_dir(path).unwrap() {
                give(&entry.unwrap().path());
            }
        }
    }
    let root = world.context.root().to_owned();
    chown(&root, Some(STRANGER), Some(STRANGER)).unwrap();
    owned.iter().for_each(|path| give(&root.join(path)));
    let id = STRANGER.to_string();
    let become_it = ["setpriv", "--clear-groups", "--reuid", &id, "--regid", &id];
    world
        .context
        .wrap(become_it.into_iter().chain(prlimit.iter().copied()));
    // The stand-in's interpreter may be in a directory that only root may read.
    world.context.set("BITOPS_COMPOSE_PIPELINE", "true");
}

#[test]
fn few_open_files() {
    for limit in [16, 12, 8] {
        let mut world = six_sources();
        world.context.after(&format!("ulimit -n {limit}"));
        wanting(&world, "ulimit");
    }
}

#[test]
fn no_threads_left() {
    if !is_root() {
        return;
    }
    for limit in [0, 2] {
        let mut world = six_sources();
        let limit = format!("--nproc={limit}");
        as_stranger(&mut world, &["home", "tmp", "cache", "opt"], &["prlimit", &limit]);
        wanting(&world, "ulimit");
    }
}

#[test]
fn little_memory() {
    let mut world = six_sources();
    // Of what may be written, stacks that are hardly used included, which is stricter than of pages; the program's own text
    // differs between builds. The pipeline, an interpreter, is not meant.
    world
        .context
        .after("ulimit -d 65536")
        .set("BITOPS_COMPOSE_PIPELINE", "true");
    world.context.run(["deploy"]).expect_code(0);
    let (words, file) = figures::peak_memory(world.context.root());
    world.context.wrap(words);
    world.context.run(["deploy"]).expect_code(0);
    figures::record(
        19,
        "peak memory, six sources, everything in the cache",
        format!("{} MiB", figures::mebibytes(&file)),
    );
}

#[test]
fn files_may_not_grow() {
    for limit in [0, 1] {
        let mut world = six_sources();
        world.context.after(&format!("ulimit -f {limit}"));
        wanting(&world, "enough free space");
    }
}

/// Mounts a file system over a directory of the world, for the program alone.
fn mounted(world: &mut World, options: &str, over: &str) -> bool {
    if !is_root()
        || !Command::new("unshare")
            .args(["-m", "true"])
            .status()
            .is_ok_and(|done| done.success())
    {
        eprintln!("skipped: nothing can be mounted here");
        return false;
    }
    let path = world.context.root().join(over);
    let (path, copy) = (path.display(), world.context.root().join("copy"));
    let copy = copy.display();
    let script = format!(
        "set -e; cp -a {path}/. {copy}; mount -t tmpfs -o {options} none {path}; cp -a {copy}/. {path}/; rm -r {copy}\n\
         [ -z \"$READ_ONLY\" ] || mount -o remount,ro {path}\nexec \"$@\""
    );
    world.context.wrap(["unshare", "-m", "sh", "-c", &script, "sh"]);
    true
}

#[test]
fn a_full_disk() {
    for (over, options, remedy) in [
        (
            "opt/bitops-compose",
            "size=16k,nr_inodes=1000",
            "BITOPS_COMPOSE_HOME",
        ),
        (
            "opt/bitops-compose",
            "size=1m,nr_inodes=12",
            "BITOPS_COMPOSE_HOME",
        ),
    ] {
        let mut world = six_sources();
        if mounted(&mut world, options, over) {
            wanting(&world, remedy);
        }
    }
    let small = "size=64k,nr_inodes=1000";
    let mut world = six_sources();
    if mounted(&mut world, small, "cache") {
        let run = works(&world);
        assert!(run.stderr.contains("the cache is on a full disk"), "{run}");
    }
    // The private directory is on the same disk.
    let mut world = six_sources();
    let temporary = world.context.cache().join("tmp");
    fs::create_dir(&temporary).unwrap();
    world.context.set("TMPDIR", temporary);
    if mounted(&mut world, small, "cache") {
        wanting(&world, "BITOPS_COMPOSE_CACHE");
    }
}

/// Text that cannot be compressed to less than half of its length.
fn incompressible(length: usize) -> String {
    let mut state = 1_u64;
    let mut words = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        format!("{:08x}", state >> 32)
    });
    let mut text = String::new();
    while text.len() < length {
        text.extend(words.next());
    }
    text
}

#[test]
fn a_cache_on_a_disk_that_is_smaller_than_its_limit_makes_room() {
    let large = incompressible(200_000);
    let mut a = catalog("a", "eks", "terraform/x.txt", &large);
    a.file("eks/terraform/x.txt", format!("{large}2")).tag("2.0.0");
    let b = catalog("b", "eks", "terraform/x.txt", &large);
    let mut world = world(&mut [a, b]);
    let from = |world: &World, name: &str, version: &str| {
        world.sources(&[&format!(
            "{{repo: '{{repo}}/{name}', environment: eks, version: {version}}}"
        )]);
    };
    from(&world, "a", "1.0.0");
    works(&world);
    // One version of one catalog fits, and no more.
    if !mounted(&mut world, "size=260k,nr_inodes=1000", "cache") {
        return;
    }
    let cache = world.context.cache().display().to_string();
    world
        .context
        .within(&format!("\"$@\"; code=$?; ls {cache}/v1; exit $code"));
    for (name, version) in [("b", "1.0.0"), ("a", "2.0.0")] {
        from(&world, name, version);
        let run = works(&world);
        assert!(!run.stderr.contains("warning"), "{run}");
        let kept: Vec<&str> = run
            .stdout
            .lines()
            .filter(|line| line.starts_with("a-") || line.starts_with("b-"))
            .collect();
        assert!(kept.len() == 1 && kept[0].starts_with(name), "{kept:?}\n{run}");
    }
}

#[test]
fn what_can_be_moved_nowhere_is_kept_with_the_composition() {
    let mut world = six_sources();
    let home = world.context.home();
    let pipeline = world.context.root().join("pipeline.sh");
    // Its file cannot be moved to the operations repo, which may not be written, nor elsewhere: the disk is full.
    let script = "set -e; echo precious > \"$BITOPS_COMPOSE_OPS_REPO/dev/terraform/bo-out.env\"\n\
        i=0; while (: > \"$BITOPS_COMPOSE_HOME/fill.$i\") 2>/dev/null; do i=$((i+1)); done";
    fs::write(&pipeline, script).unwrap();
    let words = format!("/bin/sh '{}'", pipeline.display());
    world.context.set("BITOPS_COMPOSE_PIPELINE", words);
    if !mounted(&mut world, "size=4m,nr_inodes=1000", "opt/bitops-compose") {
        return;
    }
    let home = home.display();
    world.context.within(&format!(
        "mount --bind {home}/mount {home}/mount; mount -o remount,bind,ro {home}/mount\n\
         \"$@\"; code=$?; cd {home}; ls; cat kept.*/tree/dev/terraform/bo-out.env; exit $code"
    ));
    let run = world.context.run(["deploy"]).expect_code(0);
    assert!(run.stdout.ends_with("\nprecious\n"), "{run}");
    assert!(!run.stdout.contains("composition."), "{run}");
    assert!(
        run.stderr.contains(
            "bo-out.env was written into the composition and cannot be moved to the operations repo"
        ),
        "{run}"
    );
    assert!(
        run.stderr.contains("it is kept as ") && run.stderr.contains("/tree/dev/terraform/bo-out.env"),
        "{run}"
    );
}

#[test]
fn disks_that_execute_nothing_or_take_nothing() {
    for over in ["tmp", "cache", "opt/bitops-compose"] {
        let mut world = six_sources();
        if mounted(&mut world, "noexec", over) {
            works(&world);
        }
    }
    // What was fetched is discarded after the run, and the message says so.
    let mut world = six_sources();
    world.context.set("READ_ONLY", "true");
    if mounted(&mut world, "size=1m", "cache") {
        assert!(works(&world).stderr.contains("the cache cannot be written"));
    }
    let mut world = six_sources();
    world.context.set("READ_ONLY", "true");
    if mounted(&mut world, "size=1m", "opt/bitops-compose") {
        wanting(&world, "--read-only");
    }
}

#[test]
fn a_cache_of_another_user() {
    if !is_root() {
        return;
    }
    // A cache that can only be read is enough as long as nothing has to be fetched.
    for (mode, is_told) in [(0o755, false), (0o700, true)] {
        let mut world = six_sources();
        works(&world);
        fs::set_permissions(world.context.cache(), fs::Permissions::from_mode(mode)).unwrap();
        as_stranger(&mut world, &["home", "tmp", "opt"], &[]);
        let run = world.context.run(["deploy"]).expect_code(0);
        assert_eq!(run.stderr.contains("cannot be written"), is_told, "{run}");
        let left: Vec<_> = fs::read_dir(world.context.root().join("tmp")).unwrap().collect();
        assert!(left.is_empty(), "what was fetched aside stays: {left:?}");
    }
}

#[test]
fn a_file_that_may_not_be_read_has_one_code_at_every_stage() {
    if !is_root() {
        return;
    }
    let update = ["update", "--environment", "dev", "--dry-run"].as_slice();
    let deploy = ["deploy"].as_slice();
    let cases: [(&str, &[&[&str]]); 4] = [
        (
            "dev/bitops.config.yaml",
            &[
                deploy,
                &["check"],
                &["plan"],
                &["explain", "x.txt"],
                &["lock"],
                update,
                &["outdated"],
            ],
        ),
        (
            "dev/bitops.lock.yaml",
            &[
                deploy,
                &["check"],
                &["plan"],
                &["explain", "x.txt"],
                update,
                &["outdated"],
            ],
        ),
        (
            "keys",
            &[deploy, &["plan"], &["explain", "x.txt"], &["lock"], update],
        ),
        (
            "dev/x.txt",
            &[
                deploy,
                &["plan"],
                &["plan", "--diff"],
                &["explain", "x.txt"],
                &["vendor", "--output", "../out"],
                update,
            ],
        ),
    ];
    for (unreadable, commands) in cases {
        let mut world = world(&mut [catalog("c", "eks", "x.txt", "x")]);
        world.sources(&["{repo: '{repo}/c', environment: eks, version: 1.0.0}"]);
        world.context.file("dev/x.txt", "y");
        world.context.run(["lock"]).expect_code(0);
        if unreadable == "keys" {
            world.context.file("keys", "");
            let keys = world.context.ops_repo().join("keys");
            world.context.set("BITOPS_COMPOSE_VERIFY_KEYS", keys);
        }
        let path = world.context.ops_repo().join(unreadable);
        as_stranger(&mut world, &["home", "tmp", "cache", "opt"], &[]);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o0)).unwrap();
        for command in commands {
            let run = world.context.run(*command);
            assert_eq!(run.code, Some(73), "{unreadable}: {command:?}\n{run}");
            assert!(run.stderr.contains("Permission denied"), "{run}");
        }
        assert!(world.context.pipeline().is_none());
    }
}

/// git says of a repo that it may not read what it says of none: that is not a wrong address, and no network is at fault.
#[test]
fn a_catalog_on_this_machine_that_may_not_be_read() {
    if !is_root() {
        return;
    }
    for part in [
        "",
        "HEAD",
        "config",
        "objects",
        "objects/pack",
        "PACK",
        "refs",
        "..",
    ] {
        let mut world = world(&mut [catalog("c", "eks", "x.txt", "x")]);
        let repo = world.path("c");
        let git = if repo.join(".git").exists() {
            repo.join(".git")
        } else {
            repo.clone()
        };
        world.repo("c").git(["gc", "--quiet"]);
        fs::set_permissions(repo.parent().unwrap(), fs::Permissions::from_mode(0o755)).unwrap();
        world.sources(&[&format!(
            "{{repo: '{}', environment: eks, version: 1.0.0}}",
            repo.display()
        )]);
        as_stranger(&mut world, &["home", "tmp", "cache", "opt"], &[]);
        world.context.run(["plan"]).expect_code(0);
        let denied = match part {
            ".." => repo.parent().unwrap().to_owned(),
            "PACK" => {
                let mut files = fs::read_dir(git.join("objects/pack")).unwrap();
                files
                    .find_map(|file| {
                        Some(file.unwrap().path()).filter(|path| path.extension() == Some("pack".as_ref()))
                    })
                    .unwrap()
            }
            part => git.join(part),
        };
        let mode = fs::metadata(&denied).unwrap().permissions();
        fs::set_permissions(&denied, fs::Permissions::from_mode(0o0)).unwrap();
        fs::remove_dir_all(world.context.cache()).unwrap();
        fs::create_dir(world.context.cache()).unwrap();
        lchown(world.context.cache(), Some(STRANGER), Some(STRANGER)).unwrap();
        for command in ["plan", "lock", "deploy"] {
            let run = world.context.run([command]);
            assert_eq!(run.code, Some(73), "{part}: {command}\n{run}");
            let stderr = &run.stderr;
            assert!(stderr.contains("the repository cannot be read"), "{part}: {run}");
            assert!(stderr.contains("Permission denied"), "{part}: {run}");
            assert!(
                stderr.contains("hint: allow this user to read it and the directories above it"),
                "{part}: {run}"
            );
        }
        fs::set_permissions(&denied, mode).unwrap();
    }
}

#[test]
fn what_is_composed_is_never_writable_for_everybody() {
    for umask in ["000", "077", "027"] {
        let mut world = six_sources();
        world.context.after(&format!("umask {umask}"));
        // Without a parent the composition is still there after the run.
        world.context.set("BITOPS_COMPOSE_SUPERVISE", "false");
        works(&world);
        let deployed = world.context.deployment().canonicalize().unwrap();
        let mut seen = 0;
        let mut visit = vec![deployed.clone()];
        while let Some(path) = visit.pop() {
            let meta = path.symlink_metadata().unwrap();
            if meta.is_symlink() {
                continue;
            }
            assert_eq!(
                meta.permissions().mode() & 0o022,
                0,
                "{umask}: {}",
                path.display()
            );
            seen += 1;
            if meta.is_dir() {
                visit.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            }
        }
        assert!(seen > 20, "{seen}");
    }
}

#[test]
fn absurd_settings_are_refused_by_name_or_do_no_harm() {
    let huge = "9".repeat(30);
    let long = "x".repeat(5000);
    let globs = "*a".repeat(2000);
    let mut world = world(&mut [catalog("c", "eks", "x.txt", "x")]);
    let absent = world.context.root().join("absent").display().to_string();
    let below = format!("{absent}/x");
    let outside = world.context.root().display().to_string();
    let cases: Vec<(&str, Vec<&str>, i32)> = vec![
        ("BITOPS_COMPOSE", vec!["maybe", "-1", &huge], 2),
        ("BITOPS_COMPOSE_LOCKED", vec!["2", "ja", &huge], 2),
        ("BITOPS_COMPOSE_OFFLINE", vec!["maybe", "\u{1b}[31m"], 2),
        (
            "BITOPS_COMPOSE_TIMEOUT",
            vec!["0", "-1", "1e9", "0.5", "5y", "18446744073709551615", &huge],
            2,
        ),
        ("BITOPS_COMPOSE_TIMEOUT", vec!["3153600000", " 30 "], 0),
        ("BITOPS_COMPOSE_JOBS", vec!["0", "-4", "many", "4.0", &huge], 2),
        ("BITOPS_COMPOSE_JOBS", vec!["1", "18446744073709551615"], 0),
        ("BITOPS_COMPOSE_ALLOW", vec![",", " ", ",,,"], 2),
        ("BITOPS_COMPOSE_ALLOW", vec!["[[[[", &globs, &long], 77),
        ("BITOPS_COMPOSE_ALLOW", vec!["*", "http://127.0.0.1:*"], 0),
        ("BITOPS_COMPOSE_LOG_FORMAT", vec!["xml", &long], 2),
        ("BITOPS_COMPOSE_LOG_FORMAT", vec!["JSON"], 0),
        ("BITOPS_LOGGING_LEVEL", vec!["nonsense", "10", &long], 0),
        ("BITOPS_COMPOSE_MAX_FILES", vec!["0", "-1", "1k", &huge], 2),
        ("BITOPS_COMPOSE_MAX_FILE_SIZE", vec!["0", "1E"], 2),
        ("BITOPS_COMPOSE_MAX_TOTAL_SIZE", vec!["0", &huge], 2),
        ("BITOPS_COMPOSE_MAX_TOTAL_SIZE", vec!["18446744073709551615"], 0),
        ("BITOPS_COMPOSE_MAX_MEMORY", vec!["0", "-1", "1EiB", &huge], 2),
        ("BITOPS_COMPOSE_MAX_MEMORY", vec!["18446744073709551615"], 0),
        ("BITOPS_COMPOSE_PIPELINE", vec![" ", "''", "'"], 2),
        ("BITOPS_COMPOSE_PIPELINE", vec!["/", "/dev/null"], 126),
        ("BITOPS_COMPOSE_PIPELINE", vec![&long, "no/such/file"], 127),
        ("BITOPS_COMPOSE_PIPELINE_DIR", vec!["/dev/null", &long], 127),
        ("BITOPS_COMPOSE_HOME", vec!["/dev/null", "/proc/x", &long], 73),
        (
            "BITOPS_COMPOSE_CACHE",
            vec!["/dev/null", "/proc/self/x", &long],
            0,
        ),
        ("BITOPS_COMPOSE_OPS_REPO", vec!["/dev/null"], 73),
        ("BITOPS_COMPOSE_VERIFY_KEYS", vec![&absent, "/dev/null"], 65),
        // As a config that is a directory.
        ("BITOPS_COMPOSE_VERIFY_KEYS", vec!["/"], 73),
        ("BITOPS_BUILD_CONFIG_YAML", vec![&absent, "/", &long], 0),
        // The pipeline reports a name without an environment.
        (
            "BITOPS_ENVIRONMENT",
            vec!["absent", "../x", &outside, "a\nb", &long],
            0,
        ),
        ("BITOPS_ENVIRONMENT", vec!["dev/../dev", "./dev"], 0),
        ("GITHUB_STEP_SUMMARY", vec!["/dev/full", "/", &below], 0),
        ("GITHUB_OUTPUT", vec!["/dev/full", "/", &below], 0),
        ("GITHUB_SERVER_URL", vec!["nonsense", "://", &long], 0),
        ("HTTP_PROXY", vec!["::::"], 65),
        ("HOME", vec!["/dev/null", "relative"], 0),
        ("TMPDIR", vec![&absent], 0),
        ("TZ", vec![&long], 0),
    ];
    world.sources(&["{repo: '{repo}/c', environment: eks, version: 1.0.0}"]);
    // The stand-in is not under test and would react to absurd values in its own way.
    world.context.set("BITOPS_COMPOSE_PIPELINE", "true");
    for (name, values, code) in cases {
        let before = world.context.variable(name).map(ToOwned::to_owned);
        for value in values {
            world.context.set(name, value);
            let run = world.context.run(["deploy"]);
            assert_eq!(run.code, Some(code), "{name}={value}\n{run}");
            if code == 2 {
                assert!(run.stderr.contains(name), "{name}={value}\n{run}");
            }
            assert!(!run.stderr.contains('\u{1b}'), "{name}={value}\n{run}");
        }
        match before {
            Some(before) => world.context.set(name, before),
            None => world.context.unset(name),
        };
    }
}
