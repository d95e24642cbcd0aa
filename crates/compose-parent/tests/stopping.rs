//! SIGTERM, SIGINT, SIGHUP and SIGQUIT: tools release their locks, and no further tool is started.

use std::path::Path;

use crate::common::{LIMIT, is_alive, pipeline, shell, tool, wait_for_file, world};
use compose_testkit::{Context, Signal};

/// A tool that must not start.
const NEXT: &str = "echo started > next";

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

/// Asserts that the tool was interrupted once, has written its state and released its lock.
fn assert_released(world: &Context, name: &str, run: &impl std::fmt::Display) {
    let file = |end: &str| world.root().join(format!("{name}{end}"));
    assert_eq!(read(&file(".interrupts")), "SIGINT\n", "{run}");
    assert_eq!(read(&file(".state")), "written", "{run}");
    assert!(!file("").exists(), "{run}");
    assert!(!world.root().join("next").exists(), "{run}");
}

#[test]
fn a_tool_releases_its_lock_and_the_next_is_not_started() {
    for fail_fast in [false, true] {
        for (signal, code) in [
            (Signal::TERM, 143),
            (Signal::INT, 130),
            (Signal::HUP, 129),
            (Signal::QUIT, 131),
        ] {
            let mut world = world();
            if fail_fast {
                world.set("FAIL_FAST", "1");
            }
            // More output than a pipe holds.
            let run = pipeline(&world, "8000", &["true", &tool("lock", 300_000), NEXT]);
            wait_for_file(&world.root().join("lock"));
            run.signal(signal);
            let run = run.wait(LIMIT).expect_code(code);
            assert_released(&world, "lock", &run);
            assert!(run.stdout.contains("unlocked"), "{run}");
        }
    }
}

#[test]
fn nested_and_background_tools_are_interrupted_once_each() {
    let world = world();
    let (one, two, three) = (tool("one", 0), tool("two", 0), tool("three", 0));
    let script = format!(
        "({one}; true) & setsid {two} & bash -c '{}; true'; wait",
        three.replace('\'', "\"")
    );
    let run = pipeline(&world, "8000", &[&script, NEXT]);
    for name in ["one", "two", "three"] {
        wait_for_file(&world.root().join(name));
    }
    run.signal(Signal::TERM);
    let run = run.wait(LIMIT).expect_code(143);
    for name in ["one", "two", "three"] {
        assert_released(&world, name, &run);
    }
}

#[test]
fn a_shell_as_the_pipeline_starts_no_further_tool() {
    let world = world();
    let run = shell(&world, "8000", &format!("{}; {NEXT}", tool("lock", 100)));
    wait_for_file(&world.root().join("lock"));
    run.signal(Signal::INT);
    let run = run.wait(LIMIT).expect_code(130);
    assert_released(&world, "lock", &run);
}

#[test]
fn the_same_signal_twice_in_a_row_is_one_request() {
    let world = world();
    let run = pipeline(&world, "8000", &[&tool("lock", 0)]);
    wait_for_file(&world.root().join("lock"));
    run.signal(Signal::TERM);
    run.signal(Signal::TERM);
    let run = run.wait(LIMIT).expect_code(143);
    assert_released(&world, "lock", &run);
}

#[test]
fn a_second_signal_ends_the_grace() {
    let world = world();
    let stubborn = "trap : INT; echo > ready; while :; do sleep 0.05; done";
    let run = pipeline(&world, "600000", &[stubborn, NEXT]);
    wait_for_file(&world.root().join("ready"));
    run.signal(Signal::INT);
    run.wait_for_output("Stopping", LIMIT);
    run.signal(Signal::TERM);
    let run = run.wait(LIMIT).expect_code(130);
    assert!(run.stderr.contains("Terminating"), "{run}");
    assert!(!run.stderr.contains("Killing"), "{run}");
    assert!(!world.root().join("next").exists());
}

#[test]
fn a_third_signal_does_not_wait_for_the_kill() {
    let world = world();
    let stubborn = "exec 2>/dev/null; trap : INT TERM; echo > ready; while :; do sleep 0.05; done";
    let run = pipeline(&world, "600000", &[stubborn]);
    wait_for_file(&world.root().join("ready"));
    run.signal(Signal::INT);
    run.wait_for_output("Stopping", LIMIT);
    run.signal(Signal::TERM);
    run.wait_for_output("Terminating", LIMIT);
    run.signal(Signal::HUP);
    let run = run.wait(LIMIT).expect_code(130);
    assert!(run.stderr.contains("Killing"), "{run}");
}

#[test]
fn a_tool_that_ignores_all_signals_is_killed_after_the_grace() {
    let world = world();
    let stubborn = "trap '' INT TERM HUP; echo $$ > pid; while :; do sleep 1; done";
    let run = pipeline(&world, "100", &[stubborn]);
    let pid: i32 = wait_for_file(&world.root().join("pid")).trim().parse().unwrap();
    run.signal(Signal::TERM);
    let run = run.wait(LIMIT).expect_code(143);
    assert!(
        run.stderr.contains("Terminating") && run.stderr.contains("Killing"),
        "{run}"
    );
    assert!(!is_alive(pid), "{run}");
}

#[test]
fn without_a_grace_tools_are_terminated_at_once() {
    let world = world();
    let run = pipeline(
        &world,
        "0",
        &["trap : INT; echo > ready; while :; do sleep 0.05; done"],
    );
    wait_for_file(&world.root().join("ready"));
    run.signal(Signal::TERM);
    let run = run.wait(LIMIT).expect_code(143);
    assert!(run.stderr.contains("Terminating"), "{run}");
}

#[test]
fn a_pipeline_that_ignores_sigterm_is_killed() {
    let world = world();
    let run = shell(&world, "100", "trap '' TERM; echo ready; while :; do :; done");
    run.wait_for_output("ready", LIMIT);
    run.signal(Signal::TERM);
    let run = run.wait(LIMIT).expect_code(143);
    assert!(run.stderr.contains("Killing"), "{run}");
}

#[test]
fn stopped_tools_and_a_stopped_pipeline_are_ended() {
    let world = world();
    let run = pipeline(&world, "8000", &[&tool("lock", 0), NEXT]);
    let lock: i32 = wait_for_file(&world.root().join("lock")).parse().unwrap();
    for pid in [lock, crate::common::child_of(run.id())] {
        let pid = rustix::process::Pid::from_raw(pid).unwrap();
        rustix::process::kill_process(pid, Signal::STOP).unwrap();
    }
    run.signal(Signal::TERM);
    let run = run.wait(LIMIT).expect_code(143);
    assert_released(&world, "lock", &run);
}

#[test]
fn a_daemon_does_not_use_up_the_grace() {
    let world = world();
    // Ten minutes: a longer wait would exceed the test's own limit.
    let daemon = "sleep 600 >/dev/null 2>&1 & echo $! > daemon";
    let run = pipeline(&world, "600000", &[daemon, &tool("lock", 0), NEXT]);
    wait_for_file(&world.root().join("lock"));
    let daemon: i32 = wait_for_file(&world.root().join("daemon"))
        .trim()
        .parse()
        .unwrap();
    run.signal(Signal::TERM);
    let run = run.wait(LIMIT).expect_code(143);
    assert_released(&world, "lock", &run);
    assert!(!is_alive(daemon), "{run}");
}

#[test]
fn tools_that_are_just_being_started_are_interrupted() {
    // The signal arrives at some point of a loop that only starts tools.
    for round in 0..20 {
        let world = world();
        let tools: Vec<String> = (0..200)
            .map(|n| format!("echo {n} >> started; exec sleep 0.00{round}"))
            .collect();
        let tools: Vec<&str> = tools.iter().map(String::as_str).collect();
        let run = pipeline(&world, "600000", &tools);
        wait_for_file(&world.root().join("started"));
        run.signal(Signal::INT);
        let run = run.wait(LIMIT).expect_code(130);
        assert!(!run.stdout.contains("FINISHED"), "{run}");
        assert!(
            !run.stderr.contains("Terminating"),
            "nobody had to be ended: {run}"
        );
    }
}

#[test]
fn a_signal_before_the_first_tool_keeps_it_from_starting() {
    let world = world();
    let run = shell(
        &world,
        "8000",
        "echo ready; read x < /dev/zero; echo started > next",
    );
    run.wait_for_output("ready", LIMIT);
    run.signal(Signal::TERM);
    run.wait(LIMIT).expect_code(143);
    assert!(!world.root().join("next").exists());
}
