//! The program stays as the pipeline's parent: after the copy the path leads to the user's own repo again, nothing of
//! composing is left,
//! and a signal lets tools finish. What a parent does in general is tested in `compose-parent`.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use crate::common::{World, catalog, world};
use compose_testkit::{Signal, standin};

const LIMIT: Duration = Duration::from_secs(60);
/// The hook that runs before terraform, in the copy.
const HOOK: &str = "dev/terraform/bitops.before-deploy.d/hook.sh";
/// Waits until the path leads to the user's own repo again.
const AWAIT: &str = "until [ \"$(readlink \"$BITOPS_COMPOSE_HOME/active\")\" = mount ]; do :; done";

/// Returns a world with one source and a hook of the user's.
fn with_hook(script: &str) -> World {
    let world = world(&mut [catalog("c", "eks", "terraform/x.txt", "from c")]);
    world.sources(&["{repo: '{repo}/c', environment: eks, version: 1.0.0}"]);
    world.context.file(HOOK, script);
    world
}

/// Returns a world with one source and another pipeline than BitOps.
fn with_pipeline(script: &str) -> World {
    let mut world = with_hook("");
    let file = world.context.root().join("pipeline.sh");
    fs::write(&file, script).unwrap();
    let words = format!("/bin/sh '{}'", file.display());
    world.context.set("BITOPS_COMPOSE_PIPELINE", words);
    world
}

fn wait_for(path: &Path) -> String {
    let began = Instant::now();
    loop {
        match fs::read_to_string(path) {
            Ok(text) if !text.is_empty() => return text,
            _ => assert!(began.elapsed() < LIMIT, "{} does not come", path.display()),
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn is_alive(pid: i32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap_or_default().starts_with(" Z"))
}

#[test]
fn after_the_copy_the_path_is_the_users_own_repo() {
    let script = format!(
        "{AWAIT}; cat x.txt; echo out > \"$BITOPS_COMPOSE_OPS_REPO/bo-out.env\"; ls \"$BITOPS_COMPOSE_OPS_REPO/dev/terraform\""
    );
    let world = with_hook(&script);
    let run = world.context.run(["deploy"]).expect_code(0);
    assert!(run.stdout.contains("from c"), "{run}");
    assert!(
        !run.stdout.contains("\nx.txt"),
        "the source's file is in the copy alone: {run}"
    );
    assert_eq!(
        fs::read_to_string(world.context.ops_repo().join("bo-out.env")).unwrap(),
        "out\n"
    );
    assert!(!run.stderr.contains("warning"), "{run}");
    world.assert_nothing_left();
}

#[test]
fn the_parent_is_small_and_knows_no_token() {
    let keep = "parent=$(sed -n 's/^PPid:.//p' /proc/$PPID/status); for f in environ status cmdline; do \
        tr '\\0' '\\n' < /proc/$parent/$f > \"$HOME/$f\"; done; echo $parent > \"$HOME/pid\"";
    let mut world = with_hook(&format!("{AWAIT}; {keep}"));
    world.context.set("BITOPS_COMPOSE_TOKEN_GITHUB_COM", "the-token");
    let run = world.context.spawn(["deploy"]);
    let pid = run.id();
    let run = run.wait(LIMIT).expect_code(0);
    let kept = |name: &str| fs::read_to_string(world.context.root().join("home").join(name)).unwrap();
    assert_eq!(kept("pid").trim(), pid.to_string(), "{run}");
    assert!(!kept("environ").contains("the-token") && kept("environ").contains("BITOPS_COMPOSE_MANIFEST="));
    assert!(!kept("cmdline").contains("the-token"));
    let status = kept("status");
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.split_whitespace().next().unwrap().parse::<u32>().unwrap()
    };
    assert_eq!(field("Threads:"), 1, "{status}");
    assert!(field("RssAnon:") < 3 << 10, "{status}");
    assert!(status.starts_with("Name:\tbitops-compose\n"), "{status}");
}

#[test]
fn the_pipelines_own_code_passes_through() {
    for code in [0, 1, 2, 65, 101, 255] {
        with_pipeline(&format!("exit {code}"))
            .context
            .run(["deploy"])
            .expect_code(code);
    }
    let run = with_pipeline("kill -KILL $$").context.run(["deploy"]);
    assert_eq!(run.code, Some(137), "{run}");
}

#[test]
fn a_pipeline_that_does_not_copy_keeps_the_composition_to_its_end() {
    let world = with_pipeline(
        "cd \"$BITOPS_COMPOSE_OPS_REPO\"; cat dev/terraform/x.txt; echo new > dev/terraform/new.txt; sleep 0.2; cat dev/terraform/x.txt",
    );
    let run = world.context.run(["deploy"]).expect_code(0);
    assert_eq!(run.stdout, "from cfrom c", "{run}");
    assert!(run.stderr.contains("no copy of it was seen"), "{run}");
    assert!(run.stderr.contains("dev/terraform/new.txt"), "{run}");
    assert_eq!(
        fs::read_to_string(world.context.ops_repo().join("dev/terraform/new.txt")).unwrap(),
        "new\n"
    );
    world.assert_nothing_left();
}

#[test]
fn masks_hide_what_they_hide_in_the_parents_messages_too() {
    for (mask, shown, hidden) in [
        (
            "{search: 'hunter\\d', replace: '***'}",
            "dev/terraform/***.txt",
            "hunter2",
        ),
        ("{search: '(', replace: '***'}", "bitops.logging.masks", "hunter2"),
    ] {
        let world = with_pipeline("echo new > \"$BITOPS_COMPOSE_OPS_REPO/dev/terraform/hunter2.txt\"");
        let config = world.context.ops_repo().join("dev/bitops.config.yaml");
        let text = fs::read_to_string(config).unwrap();
        world.context.file(
            "dev/bitops.config.yaml",
            format!("{text}bitops: {{logging: {{masks: [{mask}]}}}}\n"),
        );
        let run = world.context.run(["deploy"]).expect_code(0);
        assert!(run.stderr.contains(shown), "{run}");
        assert!(!run.stderr.contains(hidden), "{run}");
        assert!(
            world
                .context
                .ops_repo()
                .join("dev/terraform/hunter2.txt")
                .is_file(),
            "{run}"
        );
    }
}

#[test]
fn a_copy_that_is_gone_at_once_is_not_taken_for_none() {
    let mut world = with_pipeline("");
    let script = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../compose-parent/tests/programs/copies_unseen.py")
        .canonicalize()
        .unwrap();
    world
        .context
        .set("COPY", world.context.root().join("opt/bitops_deployment"))
        .set(
            "BITOPS_COMPOSE_PIPELINE",
            format!("{} {}", standin::python(), script.display()),
        );
    let run = world.context.run(["deploy"]).expect_code(0);
    assert!(!run.stderr.contains("no copy of it was seen"), "{run}");
    world.assert_nothing_left();
}

#[test]
fn a_pipeline_that_fails_before_it_copies_is_not_taken_for_one_that_makes_no_copy() {
    let world = with_pipeline("exit 3");
    let run = world.context.run(["deploy"]).expect_code(3);
    assert!(!run.stderr.contains("no copy of it was seen"), "{run}");
    world.assert_nothing_left();
}

#[test]
fn without_supervision_the_pipeline_takes_the_programs_place() {
    let mut world = with_hook("");
    world.context.set("BITOPS_COMPOSE_SUPERVISE", "false");
    let run = world.context.spawn(["deploy"]);
    let pid = run.id();
    run.wait(LIMIT).expect_code(0);
    assert_eq!(world.context.pipeline().unwrap().pid, pid);
    let active = fs::read_link(world.context.home().join("active")).unwrap();
    assert!(
        active.starts_with("composition.") || active.to_string_lossy().contains("composition."),
        "{active:?}"
    );
}

#[test]
fn with_nothing_to_compose_the_parent_stays_only_when_asked() {
    for (supervise, stays) in [(None, false), (Some("false"), false), (Some("true"), true)] {
        let mut world = with_hook("");
        world.context.file("dev/bitops.config.yaml", "bitops: {}\n");
        world
            .context
            .file("dev/terraform/bitops.config.yaml", "terraform: {}\n");
        if let Some(supervise) = supervise {
            world.context.set("BITOPS_COMPOSE_SUPERVISE", supervise);
        }
        world.context.set("BITOPS_COMPOSE_TOKEN_X", "the-token");
        let run = world.context.spawn(["deploy"]);
        let pid = run.id();
        let run = run.wait(LIMIT).expect_code(0);
        let seen = world.context.pipeline().unwrap();
        assert_eq!(seen.pid != pid, stays, "{supervise:?}: {run}");
        assert!(!seen.env.contains_key("BITOPS_COMPOSE_TOKEN_X"));
        assert!(run.stderr.is_empty(), "{run}");
    }
    let mut world = with_hook("");
    world
        .context
        .file("dev/terraform/bitops.config.yaml", "terraform: {}\n");
    world
        .context
        .set("BITOPS_COMPOSE", "off")
        .set("BITOPS_COMPOSE_SUPERVISE", "true");
    let run = world.context.spawn(["deploy"]);
    let pid = run.id();
    run.wait(LIMIT).expect_code(0);
    assert_eq!(world.context.pipeline().unwrap().pid, pid, "off is off");
}

#[test]
fn a_signal_while_a_hook_runs_lets_it_finish_and_starts_nothing_more() {
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130)] {
        let world = with_hook(
            "trap 'echo let go > \"$HOME/released\"; exit 1' INT; echo locked > \"$HOME/locked\"; while :; do sleep 0.02; done",
        );
        let run = world.context.spawn(["deploy"]);
        wait_for(&world.context.root().join("home/locked"));
        run.signal(signal);
        let run = run.wait(LIMIT).expect_code(code);
        assert!(world.context.root().join("home/released").exists(), "{run}");
        assert!(!run.stdout.contains("terraform plan"), "{run}");
        world.assert_nothing_left();
    }
}

#[test]
fn a_signal_before_the_copy_leaves_nothing_switched_in_and_loses_nothing() {
    let world = with_pipeline(
        "echo kept > \"$BITOPS_COMPOSE_OPS_REPO/dev/kept.txt\"; echo > \"$HOME/started\"; while :; do sleep 0.02; done",
    );
    let run = world.context.spawn(["deploy"]);
    wait_for(&world.context.root().join("home/started"));
    run.signal(Signal::TERM);
    let run = run.wait(LIMIT).expect_code(143);
    assert!(run.stderr.contains("dev/kept.txt"), "{run}");
    assert_eq!(
        fs::read_to_string(world.context.ops_repo().join("dev/kept.txt")).unwrap(),
        "kept\n"
    );
    world.assert_nothing_left();
}

#[test]
fn a_pipeline_does_not_outlive_a_killed_parent() {
    let world = with_hook("echo $PPID > \"$HOME/pipeline\"; read x < <(sleep 600)");
    let run = world.context.spawn(["deploy"]);
    let pipeline: i32 = wait_for(&world.context.root().join("home/pipeline"))
        .trim()
        .parse()
        .unwrap();
    assert!(is_alive(pipeline));
    run.signal(Signal::KILL);
    let began = Instant::now();
    while is_alive(pipeline) {
        assert!(began.elapsed() < LIMIT, "the pipeline lives on");
        std::thread::sleep(Duration::from_millis(5));
    }
    drop(run);
}

#[test]
fn the_grace_is_a_setting() {
    let mut world = with_hook("trap : INT; echo > \"$HOME/ready\"; while :; do sleep 0.02; done");
    world.context.set("BITOPS_COMPOSE_GRACE", "0");
    let run = world.context.spawn(["deploy"]);
    wait_for(&world.context.root().join("home/ready"));
    run.signal(Signal::TERM);
    let run = run.wait(LIMIT).expect_code(143);
    assert!(run.stderr.contains("and terminated"), "{run}");
    world.context.set("BITOPS_COMPOSE_GRACE", "soon");
    let run = world.context.run(["deploy"]).expect_code(2);
    assert!(run.stderr.contains("BITOPS_COMPOSE_GRACE is `soon`"), "{run}");
}

#[test]
fn its_internal_arguments_are_not_commands_for_users() {
    let world = with_hook("");
    for words in [
        &["--parent-of-the-pipeline"][..],
        &["--parent-of-the-pipeline", "1", "9"],
        &["--tied-to-its-parent"],
    ] {
        let run = world.context.run(words).expect_code(2);
        assert!(run.stderr.contains("not a command"), "{run}");
    }
}
