//! The helpers for container tests. Without an engine there is nothing to test.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use compose_testkit::docker::Engine;

/// A static program that prints its arguments, then exits with the code of the first one, or sleeps
/// until SIGTERM.
const PROGRAM: &str = r#"
fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    println!("args {args:?}");
    if args[0] == "cat" {
        print!("{}", std::fs::read_to_string(&args[1]).unwrap());
    } else if args[0] == "sleep" {
        std::thread::sleep(std::time::Duration::from_secs(600));
    } else {
        std::process::exit(args[0].parse().unwrap());
    }
}
"#;

/// Builds an image that contains only the program.
fn image(engine: &Engine, tag: &str) {
    let directory = tempfile::tempdir().unwrap();
    let program = compile(directory.path());
    let dockerfile = "FROM scratch\nCOPY program /program\nENTRYPOINT [\"/program\"]\n";
    engine.build_from(tag, dockerfile, &[("program", &program)]);
}

fn compile(directory: &Path) -> PathBuf {
    let (source, program) = (directory.join("main.rs"), directory.join("program"));
    std::fs::write(&source, PROGRAM).unwrap();
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let status = Command::new(rustc)
        .args(["-C", "target-feature=+crt-static", "-C", "strip=symbols", "-o"])
        .args([&program, &source])
        .status()
        .unwrap();
    assert!(status.success());
    program
}

#[test]
#[allow(clippy::print_stderr, reason = "the log must show what was not tested")]
fn containers_run_stop_and_leave_nothing_behind() {
    let Some(engine) = Engine::find() else {
        eprintln!("skipped: no Docker engine");
        return;
    };
    let tag = "compose-testkit/scratch:test";
    image(&engine, tag);
    assert!(engine.has_image(tag));
    assert!(!engine.has_image("compose-testkit/never-built"));

    let run = engine.run([tag, "7", "two words"]);
    assert_eq!(
        (run.code, run.stdout.as_str()),
        (Some(7), "args [\"7\", \"two words\"]\n")
    );

    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, "content").unwrap();
    let volume = engine.volume();
    let mount = format!("{}:/data", volume.name());
    let created = engine.create(["--volume", &mount, tag, "cat", "/data/file"]);
    engine.expect([
        "cp",
        file.to_str().unwrap(),
        &format!("{}:/data/file", created.name()),
    ]);
    let run = created.start_and_wait();
    assert_eq!(run.stdout, "args [\"cat\", \"/data/file\"]\ncontent");

    let started = engine.start(["--init", tag, "sleep"]);
    let start = Instant::now();
    started.stop(60);
    assert!(
        start.elapsed() < Duration::from_secs(30),
        "SIGTERM has reached it: {:?}",
        start.elapsed()
    );
    assert_eq!(started.wait(), 143);
    assert_eq!(started.logs().stdout, "args [\"sleep\"]\n");

    let names = [created.name().to_owned(), started.name().to_owned()];
    let volume_name = volume.name().to_owned();
    drop((created, started, volume));
    for name in names {
        assert!(
            !engine.call(["container", "inspect", &name]).success(),
            "{name} is still there"
        );
    }
    assert!(!engine.call(["volume", "inspect", &volume_name]).success());
}
