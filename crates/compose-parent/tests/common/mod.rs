//! Runs the parent alone, with fake pipelines.

// Not every module uses all of these.
#![allow(dead_code)]

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use compose_testkit::{Context, Spawned, standin};

/// Longer than any step takes that does not hang.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// A test context whose program is the parent.
pub(crate) fn world() -> Context {
    Context::new(env!("CARGO_BIN_EXE_stay"))
}

/// Returns the arguments for a grace in milliseconds and a program.
pub(crate) fn stay<'a>(grace: &'a str, words: &[&'a str]) -> Vec<&'a str> {
    [grace, "--"].into_iter().chain(words.iter().copied()).collect()
}

/// Starts `/bin/sh -c script` below the parent.
pub(crate) fn shell(world: &Context, grace: &str, script: &str) -> Spawned {
    world.spawn(stay(grace, &["/bin/sh", "-c", script]))
}

/// Starts the fake pipeline with tools that run in the context's directory.
pub(crate) fn pipeline(world: &Context, grace: &str, tools: &[&str]) -> Spawned {
    let script = program("pipeline.py");
    let words = [standin::python(), script.to_str().unwrap()];
    let words: Vec<&str> = words.into_iter().chain(tools.iter().copied()).collect();
    world.spawn(stay(grace, &words))
}

/// Returns a shell command that runs the fake tool with the lock `name`.
pub(crate) fn tool(name: &str, bytes: u32) -> String {
    let script = program("tool.py");
    format!("'{}' '{}' {name} {bytes}", standin::python(), script.display())
}

/// Returns the path of a fake program.
pub(crate) fn program(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/programs")
        .join(name)
}

/// Waits until a file exists and is not empty, and returns its content.
pub(crate) fn wait_for_file(path: &Path) -> String {
    let mut text = String::new();
    wait_until(&format!("{} is there", path.display()), || {
        text = std::fs::read_to_string(path).unwrap_or_default();
        !text.is_empty()
    });
    text
}

/// Waits for a condition.
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < LIMIT, "not within {LIMIT:?}: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Returns whether a process with this number is running.
pub(crate) fn is_alive(pid: i32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap_or_default().starts_with(" Z"))
}

/// Returns the first child of a process.
pub(crate) fn child_of(pid: i32) -> i32 {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    children.split_whitespace().next().unwrap().parse().unwrap()
}
