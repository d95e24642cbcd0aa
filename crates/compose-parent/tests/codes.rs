//! The parent's exit codes and standard streams are the pipeline's.

use std::process::Stdio;

use crate::common::{LIMIT, shell, stay, world};

#[test]
fn every_exit_code_is_passed_through() {
    let world = world();
    for code in 0..=255 {
        shell(&world, "0", &format!("exit {code}"))
            .wait(LIMIT)
            .expect_code(code);
    }
}

#[test]
fn death_by_a_signal_gives_128_plus_its_number() {
    let world = world();
    // The excluded signals are ignored, or stop the process, by default.
    for signal in (1..=31).filter(|signal| ![17, 18, 19, 20, 21, 22, 23, 28].contains(signal)) {
        let script = format!("ulimit -c 0; kill -{signal} $$");
        shell(&world, "0", &script).wait(LIMIT).expect_code(128 + signal);
    }
}

#[test]
fn a_program_that_cannot_be_started_is_an_error() {
    let world = world();
    std::fs::write(world.root().join("text"), "no program").unwrap();
    for name in ["absent", "text"] {
        let program = world.root().join(name);
        let run = world
            .run(stay("0", &[program.to_str().unwrap()]))
            .expect_code(127);
        assert!(
            run.stderr.contains(&format!("Start {{ program: {program:?}")),
            "{run}"
        );
    }
}

#[test]
fn standard_streams_pass_through() {
    let world = world();
    let mut command = world.command(stay("0", &["/bin/sh", "-c", "cat; echo err >&2"]));
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    use std::io::Write;
    child.stdin.take().unwrap().write_all(b"through").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        (&output.stdout[..], &output.stderr[..]),
        (&b"through"[..], &b"err\n"[..])
    );
}

#[test]
fn a_closed_standard_input_is_accepted() {
    let mut world = world();
    world.wrap(["sh", "-c", "exec \"$@\" <&-", "sh"]);
    let run = world.run(stay("0", &["/bin/sh", "-c", "wc -c"])).expect_code(0);
    assert_eq!(run.stdout.trim(), "0");
}

#[test]
fn the_reader_sees_the_end_when_the_pipeline_closes_its_output() {
    let world = world();
    // The parent must not hold the pipe open: the script continues once the reader has seen the
    // end.
    let script = "exec 0<&- 1>&-; until [ -e seen ]; do sleep 0.01; done";
    let mut command = world.command(stay("0", &["/bin/sh", "-c", script]));
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut text = String::new();
    std::io::Read::read_to_string(&mut child.stdout.take().unwrap(), &mut text).unwrap();
    std::fs::write(world.root().join("seen"), "").unwrap();
    assert!(child.wait().unwrap().success());
}
