//! The parent at a terminal: Ctrl-C, Ctrl-\, Ctrl-Z, prompts and resizing.

use crate::common::{LIMIT, program, tool, world};
use compose_testkit::{Context, Run, standin};

/// Runs a program at a terminal with the given `steps` of `at_terminal.py`.
fn at_terminal(world: &mut Context, steps: &str, words: &[&str]) -> Run {
    let driver = program("at_terminal.py");
    world.wrap([standin::python(), driver.to_str().unwrap(), steps]);
    let run = world.spawn(words).wait(LIMIT * 4);
    assert!(!run.stdout.contains("hangs at"), "{run}");
    run
}

/// Returns the arguments for the fake pipeline below the parent.
fn pipeline(tools: &[&str]) -> Vec<String> {
    let script = program("pipeline.py");
    let words = ["8000", "--", standin::python(), script.to_str().unwrap()];
    words.iter().chain(tools).map(ToString::to_string).collect()
}

/// Runs the fake pipeline below the parent at a terminal.
fn pipeline_at_terminal(world: &mut Context, steps: &str, tools: &[&str]) -> Run {
    let words = pipeline(tools);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    at_terminal(world, steps, &words)
}

/// Asserts that the tool got one SIGINT, finished its work, and that the next one was not started.
#[track_caller]
fn assert_finished_after_ctrl_c(world: &Context, run: &Run) {
    let read = |name: &str| std::fs::read_to_string(world.root().join(name));
    assert_eq!(read("lock.interrupts").unwrap(), "SIGINT\n", "{run}");
    assert!(
        read("lock.state").is_ok() && read("lock").is_err() && read("next").is_err(),
        "{run}"
    );
}

#[test]
fn ctrl_c_lets_the_tool_finish_and_the_parent_dies_of_sigint() {
    let mut world = world();
    let run = pipeline_at_terminal(
        &mut world,
        r#"[["wait-file", "lock"], ["type", "\u0003"]]"#,
        &[&tool("lock", 300_000), "echo started > next"],
    );
    // A shell's script continues after a child that exits with 130, but not after one that died of
    // SIGINT.
    assert!(run.stdout.ends_with("signal 2\n"), "{run}");
    assert_finished_after_ctrl_c(&world, &run);
}

#[test]
fn ctrl_backslash_ends_the_run_as_well() {
    let mut world = world();
    let run = pipeline_at_terminal(
        &mut world,
        r#"[["wait-file", "lock"], ["type", "\u001c"]]"#,
        &[&tool("lock", 0), "echo started > next"],
    );
    assert!(run.stdout.ends_with("exit 131\n"), "{run}");
    assert!(
        !world.root().join("lock").exists() && !world.root().join("next").exists(),
        "{run}"
    );
}

#[test]
fn a_prompt_gets_the_terminal() {
    let mut world = world();
    let ask = "printf 'name? ' >/dev/tty; read x </dev/tty; echo \"hello $x\"";
    let run = pipeline_at_terminal(
        &mut world,
        r#"[["wait", "name? "], ["type", "you\r"], ["wait", "hello you"]]"#,
        &[ask, "echo next"],
    );
    assert!(run.stdout.contains("FINISHED"), "{run}");
    assert!(run.stdout.ends_with("exit 0\n"), "{run}");
}

#[test]
fn a_program_that_configures_the_terminal_gets_it() {
    let mut world = world();
    let run = pipeline_at_terminal(
        &mut world,
        "[]",
        &["stty -echo </dev/tty && stty echo </dev/tty && echo set"],
    );
    assert!(
        run.stdout.contains("\nset\n") && run.stdout.ends_with("exit 0\n"),
        "{run}"
    );
}

#[test]
fn ctrl_c_after_a_prompt_still_leaves_the_tools_their_grace() {
    let mut world = world();
    // The tool writes nothing, so the end of its reader does not end it, and it takes longer than
    // Python waits for it.
    world.set("HOLD", "1");
    let quiet = format!("read x </dev/tty; exec {} >/dev/null 2>&1", tool("lock", 0));
    let run = pipeline_at_terminal(
        &mut world,
        r#"[["wait", "START"], ["type", "x\r"], ["wait-file", "lock"], ["type", "\u0003"]]"#,
        &[&quiet, "echo started > next"],
    );
    assert!(run.stdout.contains("Waiting"), "{run}");
    assert_finished_after_ctrl_c(&world, &run);
}

#[test]
fn the_size_of_the_terminal_reaches_the_tools() {
    let mut world = world();
    let watch = "trap 'stty size </dev/tty; exit 0' WINCH; echo > ready; while :; do sleep 0.02; done";
    let run = pipeline_at_terminal(
        &mut world,
        r#"[["wait-file", "ready"], ["size", 51], ["wait", "51 80"]]"#,
        &[watch],
    );
    assert!(run.stdout.ends_with("exit 0\n"), "{run}");
}

#[test]
fn ctrl_z_does_nothing_without_job_control() {
    let mut world = world();
    // The parent is the session's leader, as in a container.
    let run = pipeline_at_terminal(
        &mut world,
        r#"[["wait-file", "one"], ["type", "\u001a"], ["type", "go\r"], ["wait", "END 0"]]"#,
        &["echo > one; read x </dev/tty; echo \"got $x\""],
    );
    assert!(
        run.stdout.contains("got go") && run.stdout.ends_with("exit 0\n"),
        "{run}"
    );
}

#[test]
fn ctrl_z_and_fg_in_a_shell_stop_and_continue_all() {
    let mut world = world();
    let stay = env!("CARGO_BIN_EXE_stay");
    let job = pipeline(&[
        "echo > one; until [ -s two ]; do sleep 0.02; done; printf 'ask? ' >/dev/tty; read x </dev/tty; echo \"got $x\"",
    ]);
    let job: Vec<String> = job
        .iter()
        .map(|word| format!("'{}'", word.replace('\'', "'\\''")))
        .collect();
    std::fs::write(
        world.root().join("job.sh"),
        format!("'{stay}' {}\n", job.join(" ")),
    )
    .unwrap();
    std::fs::write(world.root().join("rc"), "PS1='prompt$ '\n").unwrap();
    let driver = program("at_terminal.py");
    let steps = r#"[["wait", "prompt$ "], ["type", ". ./job.sh\r"], ["wait-file", "one"], ["type", "\u001a"],
        ["wait", "Stopped"], ["wait", "prompt$ "], ["type", "jobs; echo x > two; fg\r"], ["wait", "ask? "], ["type", "typed\r"],
        ["wait", "got typed"], ["wait", "FINISHED"], ["wait", "prompt$ "], ["type", "echo code $?\r"], ["wait", "code 0"],
        ["type", "exit 7\r"]]"#;
    let mut command = std::process::Command::new(standin::python());
    command
        .arg(&driver)
        .arg(steps)
        .args(["/bin/bash", "--rcfile", "rc", "-i"]);
    let like = world.command::<_, &str>([]);
    command
        .env_clear()
        .envs(like.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = command.current_dir(world.root()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(!text.contains("hangs at") && text.ends_with("exit 7\n"), "{text}");
    world.unset("TERM");
}
