//! What stays on a terminal's screen when a command has ended.

use std::{path::Path, time::Duration};

use compose_testkit::{Run, server::Fault, standin};

use crate::common::{World, catalog, world};

/// The words of a progress bar, and the characters of its spinner.
const STAGES: [&str; 6] = [
    "waiting",
    "connecting",
    "listing refs",
    "fetching",
    "fetching files",
    "retrying",
];
const SPINNER: std::ops::RangeInclusive<char> = '\u{2801}'..='\u{28ff}';

/// Runs a command at a terminal of 24 lines with the `steps` of `at_terminal.py`.
fn at_terminal(world: &mut World, steps: &str, words: &[&str]) -> Run {
    at_terminal_below(world, steps, &[], words)
}

/// Runs a command at a terminal of so many columns.
pub(super) fn at_columns(world: &mut World, columns: usize, words: &[&str]) -> Run {
    let sized = format!("stty cols {columns} && exec \"$0\" \"$@\"");
    at_terminal_below(world, "[]", &["/bin/sh", "-c", &sized], words)
}

/// Runs a command as [`at_terminal`] does, by another program.
fn at_terminal_below(world: &mut World, steps: &str, by: &[&str], words: &[&str]) -> Run {
    let driver = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../compose-parent/tests/programs/at_terminal.py")
        .canonicalize()
        .unwrap();
    world.context.set("TERM", "xterm");
    world
        .context
        .wrap([&[standin::python(), driver.to_str().unwrap(), steps], by].concat());
    let run = world.context.run(words);
    world.context.wrap::<&str>([]);
    assert!(!run.stdout.contains("hangs at"), "{run}");
    run
}

/// Returns the lines on the screen at the end.
fn screen(run: &Run) -> Vec<String> {
    let mut terminal = vt100::Parser::new(60, 200, 0);
    terminal.process(run.stdout.replace('\n', "\r\n").as_bytes());
    let lines = terminal.screen().contents();
    lines.lines().map(|line| line.trim_end().to_owned()).collect()
}

/// Asserts that bars were shown, and that none is left.
#[track_caller]
fn assert_no_bar(run: &Run) -> Vec<String> {
    let was_shown = STAGES
        .iter()
        .any(|stage| run.stdout.contains(&format!(" {stage}")));
    assert!(
        was_shown && run.stdout.contains(|c| SPINNER.contains(&c)),
        "{run}"
    );
    let screen = screen(run);
    for line in &screen {
        let is_bar = |stage: &&str| line.contains(&format!("  {stage}"));
        assert!(!STAGES.iter().any(is_bar), "{line:?} is left\n{run}");
        assert!(
            !line.contains(|c| SPINNER.contains(&c)),
            "{line:?} is left\n{run}"
        );
    }
    screen
}

/// A world with two slow catalogs.
fn slow() -> World {
    let mut catalogs = ["one", "two"].map(|name| {
        let mut catalog = catalog(name, "eks", &format!("terraform/{name}.tf"), "# x\n");
        catalog.file("eks/terraform/more.txt", format!("# {name}\n"));
        catalog.tag("1.1.0");
        catalog
    });
    let world = world(&mut catalogs);
    world.server.set_latency(Duration::from_millis(150));
    world
}

const ONE: &str = "{repo: '{repo}/one', environment: eks, version: 1.0.0}";
const TWO: &str = "{repo: '{repo}/two', environment: eks, version: ^1.0}";
/// The same without the file that both catalogs have.
const REST: &str = "{repo: '{repo}/two', environment: eks, version: ^1.0, exclude: [more.txt]}";

#[test]
fn no_bar_stays_after_a_command() {
    for words in [
        &["lock"][..],
        &["outdated"],
        &["update"],
        &["update", "--dry-run"],
    ] {
        let mut world = slow();
        world.sources(&[ONE, REST]);
        if words[0] != "lock" {
            world.context.run(["lock"]).expect_code(0);
            world.sources(&[&ONE.replace("1.0.0", "1.1.0"), REST]);
        }
        let run = at_terminal(&mut world, "[]", words);
        assert!(run.stdout.ends_with("exit 0\n"), "{words:?}: {run}");
        let screen = assert_no_bar(&run);
        assert!(screen.len() > 1, "{words:?}: {run}");
    }
}

#[test]
fn no_bar_stays_after_a_failure() {
    let missing = "{repo: '{repo}/nowhere', environment: eks, version: 1.0.0}";
    let (newest, wrong) = (ONE.replace("1.0.0", "1.1.0"), ONE.replace("1.0.0", "9.9.9"));
    for (entry, command, said) in [
        (newest.as_str(), &["plan"][..], "1 conflict"),
        (newest.as_str(), &["update", "--dry-run"], "error: "),
        (wrong.as_str(), &["plan"], "error: "),
        (wrong.as_str(), &["lock"], "error: "),
        (wrong.as_str(), &["explain", "terraform/one.tf"], "error: "),
        (missing, &["plan"], "error: "),
    ] {
        let mut world = slow();
        if command[0] == "update" {
            world.sources(&[ONE, REST]);
            world.context.run(["lock"]).expect_code(0);
        }
        world.sources(&[entry, TWO]);
        let run = at_terminal(&mut world, "[]", command);
        let screen = assert_no_bar(&run);
        let is_said = screen.iter().any(|line| line.starts_with(said));
        assert!(is_said, "{command:?}: {run}");
    }
}

#[test]
fn no_bar_stays_after_an_interrupt() {
    let mut world = slow();
    world.server.inject("two", Fault::Stall);
    world.sources(&[ONE, TWO]);
    let steps = r#"[["wait", "two"], ["wait", "two"], ["type", "\u0003"]]"#;
    let run = at_terminal(&mut world, steps, &["plan"]);
    assert!(run.stdout.ends_with("exit 130\n"), "{run}");
    let screen = assert_no_bar(&run);
    assert!(screen.iter().any(|line| line.starts_with("error: ")), "{run}");
}
