//! Signals that are forwarded to the pipeline, and the reaping of its orphans.

use crate::common::{LIMIT, is_alive, pipeline, shell, stay, tool, wait_for_file, wait_until, world};
use compose_testkit::{Context, Signal, standin};

/// Signals that the parent forwards to the pipeline's main process.
const FORWARDED: [Signal; 15] = [
    Signal::USR1,
    Signal::USR2,
    Signal::PIPE,
    Signal::ALARM,
    Signal::STKFLT,
    Signal::URG,
    Signal::XCPU,
    Signal::XFSZ,
    Signal::VTALARM,
    Signal::PROF,
    Signal::WINCH,
    Signal::IO,
    Signal::POWER,
    Signal::CONT,
    Signal::TTIN,
];

#[test]
fn signals_without_a_meaning_for_the_parent_are_forwarded() {
    let world = world();
    let script = "import os, signal, sys\n\
        for name in sys.argv[1:]: signal.signal(int(name), lambda number, _: os.write(1, b'got %d\\n' % number))\n\
        print('ready', flush=True)\n\
        while True: signal.pause()";
    let numbers: Vec<String> = FORWARDED
        .iter()
        .map(|signal| signal.as_raw().to_string())
        .collect();
    let words = [standin::python(), "-c", script]
        .into_iter()
        .chain(numbers.iter().map(String::as_str));
    let run = world.spawn(stay("0", &words.collect::<Vec<_>>()));
    run.wait_for_output("ready", LIMIT);
    for signal in FORWARDED {
        run.signal(signal);
        run.wait_for_output(&format!("got {}\n", signal.as_raw()), LIMIT);
    }
    run.signal(Signal::TERM);
    run.wait(LIMIT).expect_code(143);
}

#[test]
fn no_signal_is_blocked_or_ignored_in_the_pipeline() {
    let mut world = world();
    world.after("trap '' HUP INT QUIT USR1 TERM PIPE");
    let run = world.run(stay(
        "0",
        &["/bin/grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"],
    ));
    for line in run.stdout.lines() {
        let mask = u64::from_str_radix(line.split('\t').nth(1).unwrap(), 16).unwrap();
        // The higher bits are real-time signals and the C library's own.
        assert_eq!(mask & 0x7fff_ffff, 0, "{run}");
    }
    assert_eq!(run.stdout.lines().count(), 2, "{run}");
}

#[test]
fn the_parent_adopts_and_reaps_thousands_of_orphans() {
    let world = world();
    // Each `sleep 0` becomes an orphan when its subshell ends.
    let script = "i=0; while [ $i -lt 2000 ]; do (sleep 0 &); i=$((i+1)); done; \
        (sleep 600 & echo $! > last.new; mv last.new last); echo done; read x < wait";
    let run = shell(&world, "0", &format!("mkfifo wait; {script}"));
    run.wait_for_output("done", LIMIT);
    let last: i32 = wait_for_file(&world.root().join("last")).trim().parse().unwrap();
    let stat_of = |pid: i32| std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let parent = stat_of(last)
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .nth(1)
        .unwrap()
        .to_owned();
    assert_eq!(parent, run.id().to_string());
    wait_until("no zombie is left", || {
        let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", run.id())).unwrap();
        // The shell and the last `sleep` are left.
        children.split_whitespace().count() == 2
    });
    run.signal(Signal::TERM);
    run.wait(LIMIT).expect_code(143);
    assert!(!is_alive(last));
}

#[test]
fn background_processes_of_the_pipeline_do_not_keep_the_parent() {
    let world = world();
    let run = shell(
        &world,
        "8000",
        "sleep 600 >/dev/null 2>&1 & echo $! > left; exit 3",
    )
    .wait(LIMIT)
    .expect_code(3);
    let left: i32 = wait_for_file(&world.root().join("left")).trim().parse().unwrap();
    assert!(is_alive(left), "as without a parent\n{run}");
    let left = rustix::process::Pid::from_raw(left).unwrap();
    rustix::process::kill_process(left, Signal::KILL).unwrap();
}

#[test]
fn the_pipeline_is_stopped_and_continued_with_the_parent() {
    let world = world();
    let run = pipeline(&world, "8000", &[&tool("lock", 0)]);
    let lock: i32 = wait_for_file(&world.root().join("lock")).parse().unwrap();
    let state = |pid: i32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        stat.rsplit(')').next().unwrap().as_bytes()[1]
    };
    run.signal(Signal::TSTP);
    wait_until("all are stopped", || {
        state(run.id()) == b'T' && state(lock) == b'T'
    });
    run.signal(Signal::CONT);
    wait_until("all run", || state(run.id()) != b'T' && state(lock) != b'T');
    // The pipeline can also be ended while it is stopped.
    run.signal(Signal::TSTP);
    wait_until("all are stopped", || {
        state(run.id()) == b'T' && state(lock) == b'T'
    });
    run.signal(Signal::TERM);
    run.signal(Signal::CONT);
    run.wait(LIMIT).expect_code(143);
    assert!(!world.root().join("lock").exists());
}

/// Runs the program in a process namespace of its own. Returns `false` where only root may do so.
fn in_pid_namespace(world: &mut Context, option: &str) -> bool {
    let namespace = ["unshare", "--pid", "--fork", option];
    let allowed = std::process::Command::new(namespace[0])
        .args(&namespace[1..])
        .arg("true")
        .output()
        .is_ok_and(|output| output.status.success());
    world.wrap(namespace);
    allowed
}

#[test]
fn a_process_group_outside_of_the_namespace_is_accepted() {
    let mut world = world();
    if !in_pid_namespace(&mut world, "--mount-proc") {
        return;
    }
    let run = world
        .run(stay("0", &["/bin/sh", "-c", "echo $PPID"]))
        .expect_code(0);
    assert_eq!(run.stdout, "1\n", "{run}");
}

#[test]
fn with_another_namespaces_proc_only_the_pipeline_is_ended() {
    let mut world = world();
    if !in_pid_namespace(&mut world, "--kill-child") {
        return;
    }
    let run = shell(
        &world,
        "100",
        "trap 'echo ended; exit 0' TERM; echo ready; while :; do sleep 0.02; done",
    );
    run.wait_for_output("ready", LIMIT);
    let parent = crate::common::child_of(run.id());
    let parent = rustix::process::Pid::from_raw(parent).unwrap();
    rustix::process::kill_process(parent, Signal::TERM).unwrap();
    let run = run.wait(LIMIT).expect_code(143);
    assert!(run.stdout.contains("ended"), "{run}");
}
