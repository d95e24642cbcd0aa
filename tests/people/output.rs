//! Where results go: pipes, full disks, terminals; and what is masked in them.

use std::process::{Command, Stdio};

use super::{json, layered, run};
use crate::common::{World, catalog, world};

/// Runs with that standard output to that exit code, and gives what it said.
#[track_caller]
fn ends(world: &World, args: &[&str], stdout: impl Into<Stdio>, code: i32) -> String {
    let output = world
        .context
        .command(args)
        .stdout(stdout)
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{args:?}\n{stderr}");
    stderr
}

#[test]
fn a_closed_stdout_is_no_error() {
    let world = layered();
    for args in [
        &["plan"][..],
        &["plan", "--format", "json"],
        &["plan", "--diff"],
        &["plan", "--graph", "dot"],
        &["explain", "terraform/notes.txt"],
        &["check"],
        &["cache", "list"],
        &["schema"],
        &["completions", "bash"],
        &["--help"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let stderr = ends(&world, args, writer, 0);
        assert!(!stderr.contains("panicked"), "{args:?}\n{stderr}");
    }
}

#[test]
fn a_result_that_cannot_be_written_whole_is_an_error() {
    let mut world = layered();
    world.context.unset("GITHUB_ACTIONS");
    world.context.run(["lock"]).expect_code(0);
    for args in [
        &["plan"][..],
        &["plan", "--format", "json"],
        &["plan", "--diff"],
        &["plan", "--graph", "dot"],
        &["explain", "terraform/notes.txt"],
        &["check"],
        &["check", "--format", "json"],
        &["lock"],
        &["update", "--dry-run"],
        &["outdated"],
        &["cache", "list"],
        &["schema"],
        &["completions", "bash"],
        &["vendor"],
    ] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let stderr = ends(&world, args, full, 73);
        for said in [
            "error: the result cannot be written to standard output",
            "caused by: No space left on device",
        ] {
            assert!(stderr.contains(said), "{args:?}\n{stderr}");
        }
    }
}

#[test]
fn what_bitops_masks_hide_they_hide_here_too() {
    let world = world(&mut [catalog("c", "eks", "app/x.txt", "password: other\n")]);
    world.sources(&["{repo: '{repo}/c', environment: eks, version: 1.0.0}"]);
    let config = std::fs::read_to_string(world.context.ops_repo().join("dev/bitops.config.yaml")).unwrap();
    world.context.file(
        "dev/bitops.config.yaml",
        format!(
            "{config}bitops:\n  logging:\n    masks:\n    - search: 'password: \\w+'\n      replace: '\"password\": ***'\n"
        ),
    );
    world.context.file("dev/app/x.txt", "password: hunter2\n");
    let shown = run(&world, &["plan", "--diff"], 0);
    assert!(shown.stdout.contains("+\"password\": ***"), "{shown}");
    let shown = run(&world, &["plan", "--diff", "--format", "json"], 0);
    assert!(!shown.stdout.contains("hunter2"), "{shown}");
    let plan = json(&shown);
    let diff = plan["files"][0]["diffs"][0]
        .as_str()
        .or(plan["files"][1]["diffs"][0].as_str());
    assert!(diff.unwrap().contains("+\"password\": ***"), "{shown}");
}

#[test]
fn colours_are_for_terminals() {
    let mut world = layered();
    world.context.unset("NO_COLOR").set("TERM", "xterm");
    for args in [
        &["plan"][..],
        &["plan", "--diff"],
        &["explain", "terraform/notes.txt"],
    ] {
        let piped = run(&world, args, 0);
        assert!(!piped.stdout.contains('\u{1b}'), "{piped}");
        let shown = on_a_terminal(&world, args);
        assert!(shown.contains("\u{1b}[1m"), "{shown}");
        let plain = strip_colours(&shown);
        assert!(plain.contains(piped.stdout.lines().next().unwrap()), "{plain}");
    }
    world.context.set("NO_COLOR", "1");
    assert!(!on_a_terminal(&world, &["plan"]).contains("\u{1b}[1m"));
}

/// Its standard output with a terminal for one, by util-linux's `script`.
fn on_a_terminal(world: &World, args: &[&str]) -> String {
    let program = world.context.command(args);
    let words: Vec<_> = std::iter::once(program.get_program())
        .chain(program.get_args())
        .map(|word| format!("'{}'", word.to_str().unwrap()))
        .collect();
    let mut script = Command::new("script");
    script
        .args(["-qec", &format!("{} 2>/dev/null", words.join(" ")), "/dev/null"])
        .env_clear()
        .stdin(Stdio::null());
    for (name, value) in program.get_envs() {
        script.env(name, value.unwrap());
    }
    script.env("SHELL", "/bin/sh");
    let output = script.output().expect("util-linux's script is there");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn strip_colours(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('\u{1b}') {
        out.push_str(&rest[..at]);
        rest = rest[at..].split_once('m').map_or("", |(_, rest)| rest);
    }
    out + rest
}
