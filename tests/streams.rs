//! Closed, broken and full streams; what the pipeline inherits and what it must not inherit.

use std::{
    fs::File,
    io::Write as _,
    os::fd::OwnedFd,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use crate::common::{World, catalog, world};
use compose_testkit::{figures, server::RequestKind, standin};

fn ready() -> World {
    let mut world = world(&mut [catalog("c", "eks", "x.txt", "from c")]);
    world.sources(&["{repo: '{repo}/c', environment: eks, version: 1.0.0}"]);
    world.context.set("BITOPS_LOGGING_LEVEL", "DEBUG");
    world
}

/// Returns a full pipe: its reading end, which nobody reads, and its writing end.
fn full_pipe() -> (std::io::PipeReader, OwnedFd) {
    let (reader, writer) = std::io::pipe().unwrap();
    // Its capacity, when it was not changed (pipe(7)); at the end a writer would wait.
    let mut writer = File::from(OwnedFd::from(writer));
    writer.write_all(&[b'x'; 64 << 10]).unwrap();
    (reader, writer.into())
}

fn wait(mut child: Child, limit: Duration) -> Option<i32> {
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        if started.elapsed() > limit {
            child.kill().unwrap();
            child.wait().unwrap();
            return None;
        }
        std::thread::yield_now();
    }
}

fn terminate(child: &Child) {
    let done = Command::new("kill")
        .args(["-TERM", &child.id().to_string()])
        .status();
    assert!(done.unwrap().success());
}

/// Returns the processor time of a process in ticks, which a waiting process does not use. Source: proc_pid_stat(5).
fn ticks(child: &Child) -> (String, u64) {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    (fields[0].to_owned(), fields[11].parse().unwrap())
}

/// Waits until every thread of a process waits for the reader of its output, and uses no processor time.
fn wait_until_it_waits(child: &Child) {
    let started = Instant::now();
    let (mut still, mut before) = (0, ticks(child));
    while still < 500 {
        assert!(started.elapsed() < Duration::from_secs(20), "{before:?}");
        std::thread::yield_now();
        let now = ticks(child);
        still = if now == before && now.0 == "S" {
            still + 1
        } else {
            0
        };
        before = now;
    }
}

#[test]
fn a_full_stderr_does_not_keep_a_run_from_ending() {
    let world = ready();
    let (_reader, full) = full_pipe();
    let mut command = world.context.command(["deploy"]);
    let child = command
        .stderr(Stdio::from(full))
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    // It prints something at each step.
    wait_until_it_waits(&child);
    let sent = Instant::now();
    terminate(&child);
    assert_eq!(wait(child, Duration::from_secs(10)), Some(143));
    figures::record(
        22,
        "SIGTERM to exit with a full stderr",
        format!("{} ms", sent.elapsed().as_millis()),
    );
    assert!(world.context.pipeline().is_none());
    world.assert_nothing_left();
}

#[test]
fn a_full_stdout_does_not_keep_a_run_from_ending() {
    for command in [&["plan"][..], &["lock"], &["plan", "--format", "json"]] {
        let world = ready();
        let (_reader, full) = full_pipe();
        let mut command = world.context.command(command);
        let child = command
            .stdout(Stdio::from(full))
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        world.server.wait_for(Duration::from_secs(20), |seen| {
            seen.iter().filter(|seen| seen.status == Some(200)).count() >= 3
        });
        terminate(&child);
        let code = wait(child, Duration::from_secs(10));
        assert!(code == Some(143), "{code:?}");
    }
}

#[test]
fn no_private_cache_stays_when_the_result_is_never_read() {
    for command in [&["plan"][..], &["plan", "--format", "json"]] {
        let mut world = ready();
        world.context.set("BITOPS_COMPOSE_CACHE", "/dev/null/cache");
        let (_reader, full) = full_pipe();
        let child = world
            .context
            .command(command)
            .stdout(Stdio::from(full))
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        world.server.wait_for(Duration::from_secs(20), |seen| {
            let kinds = seen.iter().map(|seen| seen.kind);
            kinds.filter(|kind| *kind == RequestKind::Fetch).count() >= 2
        });
        wait_until_it_waits(&child);
        terminate(&child);
        assert_eq!(wait(child, Duration::from_secs(10)), Some(143), "{command:?}");
        let left = std::fs::read_dir(world.context.root().join("tmp")).unwrap();
        assert_eq!(left.count(), 0, "{command:?}");
    }
}

#[test]
fn broken_and_closed_streams_stop_no_deployment() {
    for script in [
        "exec 2>&-",
        "exec 1>&-",
        "exec 0<&- 1>&- 2>&-",
        "exec 2>/dev/full",
    ] {
        let mut world = ready();
        world.context.after(script);
        let run = world.context.run(["deploy"]);
        let dump = world
            .context
            .pipeline()
            .unwrap_or_else(|| panic!("{script}\n{run}"));
        assert_eq!(dump.text("dev/x.txt"), Some("from c"), "{script}");
    }
    let world = ready();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = world.context.command(["deploy"]);
    let child = command.stderr(writer).stdout(Stdio::null()).spawn().unwrap();
    wait(child, Duration::from_secs(30));
    assert!(world.context.pipeline().is_some());
}

/// Starts a program that ignores some signals and blocks others.
const DEAF: &str = "import os, signal as s, sys\n\
    for n in (s.SIGHUP, s.SIGINT, s.SIGQUIT, s.SIGUSR1, s.SIGTERM, s.SIGPIPE): s.signal(n, s.SIG_IGN)\n\
    s.pthread_sigmask(s.SIG_BLOCK, (s.SIGUSR2, s.SIGALRM, s.SIGTERM))\n\
    os.execv(sys.argv[1], sys.argv[1:])";

#[test]
fn the_pipeline_starts_with_no_signal_ignored_and_none_blocked() {
    for (sources, off) in [(true, "on"), (false, "on"), (true, "off")] {
        let mut world = ready();
        if !sources {
            world.context.file("dev/bitops.config.yaml", "bitops: {}\n");
        }
        world
            .context
            .set("BITOPS_COMPOSE", off)
            .set(
                "BITOPS_COMPOSE_PIPELINE",
                "grep -E '^Sig(Ign|Blk):' /proc/self/status",
            )
            .set("BITOPS_COMPOSE_PIPELINE_DIR", "/")
            .wrap([standin::python(), "-c", DEAF]);
        let run = world.context.run(["deploy"]).expect_code(0);
        // The higher bits are real-time signals and the C library's own, which no other program can change.
        for name in ["SigBlk:", "SigIgn:"] {
            let mask = run
                .stdout
                .lines()
                .find_map(|line| line.strip_prefix(name))
                .unwrap();
            let mask = u64::from_str_radix(mask.trim(), 16).unwrap();
            assert_eq!(mask & 0x7fff_ffff, 0, "{run}");
        }
    }
}

#[test]
fn tokens_are_not_for_the_pipeline_and_everything_else_is() {
    let variables = [
        ("GITHUB_TOKEN", "for the pipeline too"),
        ("GIT_DIR", "another.git"),
        ("EMPTY", ""),
        ("LINES", "a\nb"),
    ];
    for (sources, off) in [(true, "on"), (false, "on"), (true, "off")] {
        let mut world = ready();
        if !sources {
            world.context.file("dev/bitops.config.yaml", "bitops: {}\n");
        }
        for (name, value) in variables {
            world.context.set(name, value);
        }
        world
            .context
            .set("BITOPS_COMPOSE", off)
            .set("BITOPS_COMPOSE_TOKEN_GITHUB_COM", "secret")
            .set("BITOPS_COMPOSE_TOKEN_", "secret");
        world.context.run(["deploy"]).expect_code(0);
        let dump = world.context.pipeline().unwrap();
        for (name, value) in variables {
            assert_eq!(dump.env.get(name).map(String::as_str), Some(value));
        }
        assert!(
            !dump.env.values().any(|value| value == "secret"),
            "{:?}",
            dump.env
        );
    }
}

#[test]
fn gits_variables_of_another_repo_do_not_leak_in() {
    let mut world = world(&mut [catalog("c", "eks", "x.txt", "from c")]);
    let (path, trap) = (world.path("c"), world.context.root().join("trap"));
    let touch = format!("touch {}", trap.display());
    let absent = world.context.root().join("absent");
    let absent = absent.to_str().unwrap();
    let (directory, file) = (
        world.context.root().join("elsewhere"),
        world.context.root().join("file"),
    );
    std::fs::create_dir(&directory).unwrap();
    std::fs::write(&file, "no file of git\n").unwrap();
    let (directory, file) = (directory.to_str().unwrap(), file.to_str().unwrap());
    for (name, value) in [
        ("GIT_DIR", absent),
        ("GIT_WORK_TREE", directory),
        ("GIT_INDEX_FILE", file),
        ("GIT_OBJECT_DIRECTORY", "/proc"),
        ("GIT_ALTERNATE_OBJECT_DIRECTORIES", directory),
        ("GIT_NAMESPACE", "elsewhere"),
        ("GIT_SHALLOW_FILE", file),
        ("GIT_PROTOCOL", "version=9"),
        ("GIT_ALLOW_PROTOCOL", "none"),
        ("GIT_DEFAULT_HASH", "sha256"),
        ("GIT_CONFIG_COUNT", "99999999999999999999"),
        ("GIT_CONFIG_PARAMETERS", "'uploadpack.packObjectsHook=false'"),
        ("GIT_EXEC_PATH", directory),
        ("GIT_SSH_COMMAND", &touch),
        ("GIT_PROXY_COMMAND", &touch),
        ("GIT_UPLOAD_PACK", &touch),
    ] {
        world.context.set(name, value);
    }
    for address in ["{repo}/c".to_owned(), path.display().to_string()] {
        world.sources(&[&format!(
            "{{repo: '{address}', environment: eks, version: 1.0.0}}"
        )]);
        world.context.run(["deploy"]).expect_code(0);
        assert_eq!(
            world.context.pipeline().unwrap().text("dev/x.txt"),
            Some("from c")
        );
        assert!(!trap.exists());
    }
}
