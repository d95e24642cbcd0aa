//! What stands behind the image's name: `docker run IMAGE ARGUMENTS` is `bitops-compose deploy ARGUMENTS`.

use std::io::Write as _;
use std::process::Stdio;

use crate::common::{World, catalog, world};
use compose_testkit::standin;

fn ready() -> World {
    let world = world(&mut [catalog("c", "eks", "terraform/x.txt", "x")]);
    world.sources(&["{repo: '{repo}/c', environment: eks, version: 1.0.0}"]);
    world
}

/// The arguments that the pipeline received after its own; `None` if it was not started.
fn arguments(world: &World, words: &[&str]) -> Option<Vec<String>> {
    let words: Vec<&str> = ["deploy"].iter().chain(words).copied().collect();
    world.context.run(words);
    let dump = world.context.root().join("pipeline.json");
    let seen = standin::Dump::read(&dump)?;
    std::fs::remove_file(dump).unwrap();
    let at = seen.argv.iter().position(|word| word == "deploy").unwrap();
    Some(seen.argv[at + 1..].to_vec())
}

#[test]
fn a_command_runs_in_the_place_of_a_deploy() {
    let world = ready();
    for words in [
        &["plan"][..],
        &["plan", "dev"],
        &["bitops-compose", "plan", "--format", "json"],
    ] {
        let all: Vec<&str> = ["deploy"].iter().chain(words).copied().collect();
        let run = world.context.run(all).expect_code(0);
        assert_eq!(
            run.stdout,
            world
                .context
                .run(words.iter().filter(|word| **word != "bitops-compose"))
                .stdout
        );
        assert!(run.stdout.contains("terraform"), "{run}");
        assert!(world.context.pipeline().is_none(), "{words:?} deployed");
    }
    world.context.run(["deploy", "lock"]).expect_code(0);
    assert!(world.context.ops_repo().join("dev/bitops.lock.yaml").is_file());
    world
        .context
        .run(["deploy", "plan", "--no-such-option"])
        .expect_code(2);
    let help = world.context.run(["deploy", "help", "check"]).expect_code(0);
    assert!(help.stdout.contains("Usage: bitops-compose check"), "{help}");
    let version = world
        .context
        .run(["deploy", "bitops-compose", "--version"])
        .expect_code(0);
    assert!(version.stdout.starts_with("bitops-compose "), "{version}");
    assert!(world.context.pipeline().is_none());
}

#[test]
fn everything_else_is_the_pipelines() {
    let world = ready();
    let own = |words: &[&str]| Some(words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
    for words in [
        &[][..],
        &["-c", "bitops.config.yaml"],
        &["--", "plan"],
        &["word", "plan"],
        &["", "plan"],
        &["--version"],
    ] {
        assert_eq!(arguments(&world, words), own(words), "{words:?}");
    }
    assert_eq!(arguments(&world, &["deploy", "x", "y"]), own(&["x", "y"]));
    assert_eq!(arguments(&world, &["bitops-compose", "deploy", "x"]), own(&["x"]));
}

#[test]
fn a_shell_and_a_program_are_started_as_they_are() {
    let mut world = ready();
    world.context.set("BITOPS_COMPOSE_TOKEN_EXAMPLE_COM", "secret");
    let root = world.context.root().to_owned();
    world.context.current_dir(&root);
    // A shell of a user or a CI keeps the tokens, because it may run this program in turn.
    let script = "echo $BITOPS_COMPOSE_TOKEN_EXAMPLE_COM $0 \"$1\"; pwd; exit 42";
    for shell in ["sh", "bash", "/bin/sh"] {
        let run = world
            .context
            .run(["deploy", shell, "-c", script, "zero", "a b"])
            .expect_code(42);
        assert_eq!(
            run.stdout,
            format!("secret zero a b\n{}\n", root.display()),
            "{run}"
        );
    }
    assert!(world.context.pipeline().is_none());
    // BitOps decides what the path of a directory or a text file means.
    let text = world.context.root().join("text");
    std::fs::write(&text, "no program").unwrap();
    let text = text.to_str().unwrap();
    assert_eq!(arguments(&world, &[text]), Some(vec![text.to_owned()]));
    world.context.set("PATH", world.context.root().join("absent"));
    let run = world.context.run(["deploy", "bash"]).expect_code(127);
    assert!(run.stderr.contains("`bash` cannot be started"), "{run}");
}

/// GitLab's runner hands the job's script to the shell on its standard input.
#[test]
fn a_shell_reads_its_script_as_gitlabs_runner_gives_it() {
    let world = ready();
    let bash = world.context.root().join("absent/bash");
    let bash = bash.display();
    let detect = &format!(
        "if [ -x {bash} ]; then\n\texec {bash}\nelif [ -x /bin/sh ]; then\n\texec /bin/sh\nelse\n\texit 1\nfi\n"
    );
    let mut child = world
        .context
        .command(["deploy", "sh", "-c", detect])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"echo of the job; exit 3\n").unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(output.stdout, b"of the job\n");
}
