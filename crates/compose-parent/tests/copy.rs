//! Detecting the end of the pipeline's copy.

// One test prints figures.
#![allow(clippy::print_stderr)]

use std::{
    fs::{self, File},
    os::unix::fs::symlink,
    time::{Duration, SystemTime},
};

use crate::common::{LIMIT, program, world};
use compose_testkit::{Context, Signal, Spawned, standin};

const SECONDS: u64 = 1_700_000_000;
const NANOSECONDS: u32 = 123_456_789;

/// Creates a directory to copy, with the marker as its modification time.
fn marked(world: &Context) {
    let source = world.root().join("source");
    fs::create_dir_all(source.join("below")).unwrap();
    fs::write(source.join("below/file"), "text").unwrap();
    set_time(
        &source,
        SystemTime::UNIX_EPOCH + Duration::new(SECONDS, NANOSECONDS),
    );
}

fn set_time(directory: &std::path::Path, time: SystemTime) {
    File::open(directory).unwrap().set_modified(time).unwrap();
}

fn start(world: &Context, tools: &[&str]) -> Spawned {
    start_program(world, "pipeline.py", tools)
}

fn start_program(world: &Context, name: &str, arguments: &[&str]) -> Spawned {
    let marker = format!("{SECONDS}.{NANOSECONDS}");
    let script = program(name);
    let mut words = vec![
        "0",
        "--watch",
        &marker,
        "--",
        standin::python(),
        script.to_str().unwrap(),
    ];
    words.extend(arguments);
    world.spawn(words)
}

#[test]
fn the_copy_is_detected_wherever_python_makes_it() {
    for variable in ["TMPDIR", "TEMP", "TMP", ""] {
        let mut world = world();
        marked(&world);
        let source = world.root().join("source");
        world.unset("TMPDIR").set("COPY", source);
        if !variable.is_empty() {
            // Relative to the working directory, as in Python.
            fs::create_dir(world.root().join("elsewhere")).unwrap();
            world.set(variable, "elsewhere");
        }
        let run = start(&world, &["echo \"copied to $COPIED\""])
            .wait(LIMIT)
            .expect_code(0);
        assert!(run.stderr.contains("stay: copied"), "{variable}: {run}");
        let expected = if variable.is_empty() {
            "copied to /tmp/"
        } else {
            "/elsewhere/"
        };
        assert!(run.stdout.contains(expected), "{variable}: {run}");
        let copied = run
            .stdout
            .lines()
            .find_map(|line| line.strip_prefix("copied to "))
            .unwrap();
        fs::remove_dir_all(world.root().join(copied)).unwrap();
    }
}

#[test]
fn a_copy_that_is_gone_before_it_is_examined_is_not_taken_for_none() {
    for (variable, may_have_copied) in [("UNUSED", true), ("NO_COPY", false)] {
        let mut world = world();
        marked(&world);
        world.set("COPY", world.root().join("source")).set(variable, "1");
        let run = start_program(&world, "copies_unseen.py", &[])
            .wait(LIMIT)
            .expect_code(0);
        let said = format!("stay: may have copied: {may_have_copied}\n");
        assert_eq!(run.stderr, said, "{run}");
    }
}

#[test]
fn the_copy_is_detected_even_if_the_original_was_written_to() {
    let mut world = world();
    marked(&world);
    world.set("COPY", world.root().join("source"));
    let marker = format!("{SECONDS}.{NANOSECONDS}");
    // Creating, moving or removing an entry changes the directory's time.
    let set_again = format!("until stat -c %y source | grep -q {NANOSECONDS}; do :; done");
    let script = format!(
        ": >source/stray; {set_again}; mv source/stray source/moved; {set_again}; : >source/x; rm source/x; {set_again}; \
         exec \"$0\" \"$@\""
    );
    let pipeline = program("pipeline.py");
    let mut words = vec!["0", "--watch", &marker, "--", "/bin/bash", "-c", &script];
    words.extend([standin::python(), pipeline.to_str().unwrap(), "ls $COPIED"]);
    let run = world.spawn(words).wait(LIMIT).expect_code(0);
    assert!(run.stderr.contains("stay: copied"), "{run}");
    assert!(run.stdout.contains("below\nmoved\n"), "{run}");
}

#[test]
fn the_first_tool_starts_after_the_switch() {
    let mut world = world();
    marked(&world);
    let [source, link, done] = ["source", "link", "done"].map(|name| world.root().join(name));
    symlink("composition", &link).unwrap();
    world.set("STAY_LINK", &link);
    let marker = format!("{SECONDS}.{NANOSECONDS}");
    let script = program("at_once.py");
    let mut words = vec!["0", "--watch", &marker, "--", standin::python()];
    words.extend([&script, &source, &link, &done].map(|path| path.to_str().unwrap()));
    let run = world.spawn(words).wait(LIMIT).expect_code(0);
    assert_eq!(run.stdout, "mount\n", "{run}");
}

#[test]
fn tracing_does_not_disturb_signals_stops_and_continues() {
    let world = world();
    marked(&world);
    // The tracing must not be noticeable: each step works as in any shell.
    let script = "trap 'echo caught' USR1; kill -USR1 $$; \
                  (until grep -q '^State:.T' /proc/$$/status; do sleep 0.01; done; kill -CONT $$) & \
                  kill -STOP $$; wait; echo continued; bash -c 'kill -TERM $$'; echo $?";
    let words = ["0", "--watch", "1.5", "--", "/bin/bash", "-c", script];
    let run = world.spawn(words).wait(LIMIT).expect_code(0);
    assert_eq!(run.stdout, "caught\ncontinued\n143\n", "{run}");
}

#[test]
fn entries_that_are_not_the_copy_are_ignored() {
    let world = world();
    marked(&world);
    let tmp = world.root().join("tmp");
    // A directory with another time, a file and a link with the marker's time, and a deeper
    // directory.
    let script = format!(
        "mkdir -p {tmp}/other {tmp}/deep/below; touch -d @{SECONDS}.5 {tmp}/other; : > {tmp}/file; \
         touch -r source {tmp}/file {tmp}/deep/below; ln -s ../source {tmp}/link; touch -hr source {tmp}/link; chmod 700 {tmp}/other",
        tmp = tmp.display()
    );
    let run = start(&world, &[&script]).wait(LIMIT).expect_code(0);
    assert!(!run.stderr.contains("stay: copied"), "{run}");
    assert!(run.stdout.contains("END 0"), "{run}");
}

#[test]
fn the_copy_of_another_process_is_ignored() {
    let world = world();
    marked(&world);
    fs::write(world.root().join("source/large"), vec![b'x'; 100_000]).unwrap();
    set_time(
        &world.root().join("source"),
        SystemTime::UNIX_EPOCH + Duration::new(SECONDS, NANOSECONDS),
    );
    let tmp = world.root().join("tmp");
    let old = tmp.join("old");
    fs::create_dir(&old).unwrap();
    // Another process below the pipeline's plays one beside it; `old` existed before.
    let script = format!(
        "cp -rp source {0}/theirs; touch -r source {0}/old; stat -c %y {0}/theirs",
        tmp.display()
    );
    let run = start(&world, &[&script]).wait(LIMIT).expect_code(0);
    assert!(run.stdout.contains(".123456789 "), "it has the time: {run}");
    assert!(!run.stderr.contains("stay: copied"), "{run}");
}

#[test]
fn another_users_directory_is_ignored() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let world = world();
    marked(&world);
    let tmp = world.root().join("tmp");
    let script = format!(
        "mkdir {0}/neighbour; chown 12345 {0}/neighbour; touch -r source {0}/neighbour",
        tmp.display()
    );
    let run = start(&world, &[&script]).wait(LIMIT).expect_code(0);
    assert!(!run.stderr.contains("stay: copied"), "{run}");
}

#[test]
fn a_watch_that_fails_is_reported() {
    let mut world = world();
    let marker = format!("{SECONDS}.{NANOSECONDS}");
    // Enough descriptors for the signals, but not for the watch.
    world.after("ulimit -n 4");
    let run = world.run(["0", "--watch", &marker, "--", "/bin/true"]);
    assert!(run.stderr.contains("NotWatched"), "{run}");
    assert_eq!(run.code, Some(0), "{run}");
}

#[test]
fn every_copy_is_detected_while_the_pipeline_continues() {
    // 500 rounds were run by hand.
    let rounds = std::env::var("COMPOSE_PARENT_ROUNDS").ok();
    let rounds: u32 = rounds.map_or(20, |rounds| rounds.parse().unwrap());
    let mut world = world();
    marked(&world);
    let link = world.root().join("link");
    let source = world.root().join("source");
    world.set("COPY", source).set("STAY_LINK", &link);
    let (mut delays, mut early) = (Vec::new(), 0);
    for _ in 0..rounds {
        let _ = fs::remove_file(&link);
        symlink("composition", &link).unwrap();
        let first = "readlink link; until [ \"$(readlink link)\" = mount ]; do :; done";
        let run = start(&world, &[first]).wait(LIMIT).expect_code(0);
        early += u32::from(!run.stdout.contains("\nmount\n"));
        let after = |text: &str, mark: &str| -> i64 {
            let line = text.lines().find_map(|line| line.strip_prefix(mark)).unwrap();
            line.trim().parse().unwrap()
        };
        delays.push(after(&run.stderr, "stay: copied") - after(&run.stdout, "COPIED"));
    }
    delays.sort_unstable();
    let percentile = |share: usize| delays[(delays.len() - 1) * share / 100] / 1000;
    eprintln!(
        "microseconds from the end of the copy to the switch: median {}, 95 % {}, most {}; first tools that were faster: {early}",
        percentile(50),
        percentile(95),
        percentile(100)
    );
}

#[test]
fn a_signal_during_the_copy_ends_the_run() {
    let world = world();
    marked(&world);
    let fifo = world.root().join("never");
    let made = std::process::Command::new("mkfifo").arg(&fifo).status();
    assert!(made.unwrap().success());
    let script = program("copies_a_fifo.py");
    let marker = format!("{SECONDS}.{NANOSECONDS}");
    let words = ["8000", "--watch", &marker, "--", standin::python()];
    let words = words
        .into_iter()
        .chain([script.to_str().unwrap(), fifo.to_str().unwrap()]);
    let running = world.spawn(words);
    running.wait_for_output("copying", LIMIT);
    running.signal(Signal::TERM);
    let run = running.wait(LIMIT).expect_code(143);
    assert!(!run.stderr.contains("stay: copied"), "{run}");
}
