//! Results on pipes, full disks and terminals, and masks in them.

use std::process::{Command, Stdio};

use super::{json, layered, run};
use crate::common::{World, catalog, world};

/// Commands that print a result and need no lock. `{repo}` is the server's address.
const RESULTS: [&[&str]; 16] = [
    &["plan"],
    &["plan", "--format", "json"],
    &["plan", "--diff"],
    &["plan", "--graph", "dot"],
    &["explain", "terraform/notes.txt"],
    &["check"],
    &["doctor"],
    &["doctor", "--format", "json"],
    &["search", "{repo}/platform"],
    &["add", "{repo}/platform", "base", "--dry-run"],
    &["adopt", "{repo}/platform", "--all"],
    &["remove", "web", "--dry-run"],
    &["upgrade", "--dry-run"],
    &["cache", "list"],
    &["schema"],
    &["completions", "bash"],
];

/// Runs a command with another standard output, which must end with `code`, and returns its standard error.
#[track_caller]
fn ends(world: &World, args: &[&str], stdout: impl Into<Stdio>, code: i32) -> String {
    let args = args
        .iter()
        .map(|arg| arg.replace("{repo}", &world.server.address()));
    let args: Vec<String> = args.collect();
    let output = world
        .context
        .command(&args)
        .stdout(stdout)
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{args:?}\n{stderr}");
    stderr
}

#[test]
fn a_closed_stdout_is_not_an_error() {
    let world = layered();
    world.commit();
    for args in RESULTS.iter().chain(&[&["--help"][..]]) {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let stderr = ends(&world, args, writer, 0);
        assert!(!stderr.contains("panicked"), "{args:?}\n{stderr}");
    }
}

#[test]
fn a_result_that_cannot_be_written_whole_is_an_error() {
    let mut world = layered();
    world.commit();
    world.context.unset("GITHUB_ACTIONS");
    world.context.run(["lock"]).expect_code(0);
    let after_lock: [&[&str]; 5] = [
        &["check", "--format", "json"],
        &["lock"],
        &["update", "--dry-run"],
        &["outdated"],
        &["vendor"],
    ];
    for args in RESULTS.iter().chain(&after_lock) {
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
fn masks_hold_in_a_layout_that_has_to_cut_and_to_break_lines() {
    let path = format!("app/{}.txt", "hidden word-".repeat(12));
    let world = world(&mut [
        catalog("c", "eks", &path, "c\n"),
        catalog("d", "eks", &path, "d\n"),
    ]);
    world.sources(&[
        "{repo: '{repo}/c', environment: eks, version: 1.0.0}",
        "{repo: '{repo}/d', environment: eks, version: 1.0.0}",
    ]);
    let config = world.context.ops_repo().join("dev/bitops.config.yaml");
    let text = std::fs::read_to_string(config).unwrap();
    for (args, code) in [
        (&["plan"][..], 65),
        (&["explain", &path], 0),
        (&["vendor", "--output", "/nowhere/x"], 65),
    ] {
        let shown = run(&world, args, code).to_string();
        assert!(shown.contains("hidden"), "{shown}");
    }
    world.context.file(
        "dev/bitops.config.yaml",
        format!("{text}bitops: {{logging: {{masks: [{{search: '(hidden word-)+', replace: 'MASKED'}}]}}}}\n"),
    );
    for (args, code) in [
        (&["plan"][..], 65),
        (&["explain", &path], 0),
        (&["vendor", "--output", "/nowhere/x"], 65),
    ] {
        let shown = run(&world, args, code).to_string();
        assert!(shown.contains("MASKED") && !shown.contains("hidden"), "{shown}");
    }
}

/// Returns a world with a lock and a newer version, in which a mask turns texts into quotes.
fn masked_world(masks: &str) -> World {
    let mut c = catalog("c", "eks", "app/x.txt", "password: other\n");
    c.file("eks/app/x.txt", "password: newer\n").tag("1.1.0");
    let world = world(&mut [c]);
    world.sources(&["{repo: '{repo}/c', environment: eks, version: 1.0.0}"]);
    world.context.run(["lock"]).expect_code(0);
    world.sources(&["{repo: '{repo}/c', environment: eks, version: ^1}"]);
    let config = world.context.ops_repo().join("dev/bitops.config.yaml");
    let text = std::fs::read_to_string(config).unwrap();
    world.context.file(
        "dev/bitops.config.yaml",
        format!("{text}bitops: {{logging: {{masks: {masks}}}}}\n"),
    );
    world.context.file("dev/app/x.txt", "password: hunter2\n");
    world
}

#[test]
fn masked_json_is_json_for_every_command() {
    // The environment and the repo are hidden, too, by a replacement that would end a JSON string.
    let mut world = masked_world(
        r#"[{search: 'hunter2|other|newer', replace: '"*"'}, {search: '\beks\b', replace: '"'}, {search: 'no [a-z]+ has', replace: '"\\'}]"#,
    );
    world.commit();
    let repo = world.server.url("c");
    for args in [
        &["plan", "--diff", "--format", "json"][..],
        &["explain", "app/x.txt", "--format", "json"],
        &["check", "--format", "json"],
        &["doctor", "--format", "json"],
        &["search", &repo, "--format", "json"],
        &["adopt", &repo, "--all", "--format", "json"],
        &["outdated", "--format", "json"],
        &["update", "--dry-run", "--format", "json"],
        &["upgrade", "--dry-run", "--major", "--format", "json"],
        &["lock", "--format", "json"],
    ] {
        let shown = world.context.run(args);
        let result = json(&shown).to_string();
        for hidden in ["hunter2", "other\\n", "newer", "eks"] {
            assert!(!result.contains(hidden), "{args:?}: {hidden}\n{shown}");
        }
    }
    // The changed text holds the masks themselves.
    for args in [&["add", &repo, "eks@1.1.0"][..], &["remove", "c"]] {
        let shown = world
            .context
            .run([args, &["--dry-run", "--format", "json"]].concat());
        assert!(!json(&shown).to_string().contains("hunter2"), "{args:?}\n{shown}");
    }
    world.context.set("BITOPS_COMPOSE_LOG_FORMAT", "json");
    world.context.set("BITOPS_LOGGING_LEVEL", "DEBUG");
    for args in [&["explain", "nowhere"][..], &["plan"]] {
        let shown = world.context.run(args);
        for line in shown.stderr.lines() {
            let line: serde_json::Value = serde_json::from_str(line).expect(line);
            assert!(!line.to_string().contains("eks"), "{shown}");
        }
    }
    let shown = run(&world, &["explain", "nowhere"], 65);
    assert!(shown.stderr.contains(r#""message":"\"\\ nowhere""#), "{shown}");
}

#[test]
fn masks_that_cannot_be_read_withhold_what_they_may_be_about() {
    for masks in [
        "[{search: hunter2, replace: 0}]",
        "[{search: '(hunter2', replace: '*'}]",
        "{search: hunter2, replace: '*'}",
    ] {
        let mut world = masked_world(masks);
        world.context.set("BITOPS_LOGGING_LEVEL", "DEBUG");
        world.context.set("GITHUB_ACTIONS", "true");
        let root = world.context.root().to_owned();
        world
            .context
            .set("GITHUB_STEP_SUMMARY", root.join("summary").to_str().unwrap());
        world
            .context
            .set("GITHUB_OUTPUT", root.join("output").to_str().unwrap());
        for args in [
            &["plan", "--diff"][..],
            &["plan", "--diff", "--format", "json"],
            &["explain", "app/x.txt"],
            &["explain", "hunter2"],
            &["update", "--dry-run"],
            &["doctor"],
            &["doctor", "--format", "json"],
            &["remove", "c", "--dry-run"],
            &["upgrade", "--dry-run"],
            &["deploy"],
        ] {
            let shown = world.context.run(args);
            assert!(!shown.stdout.contains("hunter2"), "{masks} {args:?}\n{shown}");
            assert!(!shown.stderr.contains("hunter2"), "{masks} {args:?}\n{shown}");
            assert!(
                shown.stderr.contains("bitops.logging.masks"),
                "{masks} {args:?}\n{shown}"
            );
            assert!(
                args[0] == "deploy" || shown.code != Some(0),
                "{masks} {args:?}\n{shown}"
            );
        }
        for file in ["summary", "output"] {
            let text = std::fs::read_to_string(root.join(file)).unwrap_or_default();
            assert!(
                !text.contains("hunter2") && !text.contains("eks"),
                "{file}: {text}"
            );
        }
    }
}

#[test]
fn a_config_that_is_not_yaml_has_masks_that_cannot_be_read() {
    let mut world = masked_world("[{search: hunter2, replace: '*'}]");
    let config = world.context.ops_repo().join("dev/bitops.config.yaml");
    let text = std::fs::read_to_string(config).unwrap();
    world
        .context
        .file("dev/bitops.config.yaml", format!("{text}password: *hunter2\n"));
    world.context.set("GITHUB_ACTIONS", "true");
    let line = text.lines().count() + 1;
    for args in ["check", "plan", "lock", "deploy"] {
        let shown = world.context.run([args]).expect_code(65);
        assert!(!format!("{shown}").contains("hunter2"), "{shown}");
        assert!(
            shown
                .stderr
                .contains(&format!("the config is not valid YAML at line {line}, column 11")),
            "{shown}"
        );
    }
    // Without a word of masks, the line is what helps.
    world
        .context
        .file("dev/bitops.config.yaml", "default-environments: [\nx: *hunter2\n");
    let shown = world.context.run(["check"]).expect_code(65);
    assert!(shown.stderr.contains("hunter2"), "{shown}");
}

#[test]
fn a_mask_with_anchors_hides_each_line() {
    let world = masked_world(r"[{search: '^password: \w+$', replace: '***'}]");
    for args in [
        &["plan", "--diff"][..],
        &["plan", "--diff", "--format", "json"],
        &["update", "--dry-run"],
        &["update", "--dry-run", "--format", "markdown"],
        &["upgrade", "--dry-run", "--to", "1.1.0", "--format", "markdown"],
    ] {
        let shown = world.context.run(args).expect_code(0);
        for hidden in ["hunter2", "other", "newer"] {
            assert!(!shown.stdout.contains(hidden), "{args:?}: {hidden}\n{shown}");
        }
    }
}

#[test]
fn masks_hold_before_a_text_is_escaped_for_a_runner() {
    // `%` and `,` are escaped in annotations; `:` and `%` on the page.
    let mut world = masked_world("[{search: '100%, or more', replace: '***'}]");
    let root = world.context.root().to_owned();
    world.context.set("GITHUB_ACTIONS", "true");
    world
        .context
        .set("GITHUB_STEP_SUMMARY", root.join("summary").to_str().unwrap());
    let shown = world.context.run(["explain", "100%, or more"]);
    assert!(
        shown
            .stderr
            .contains("::error title=bitops-compose::no layer has ***"),
        "{shown}"
    );
    let summary = std::fs::read_to_string(root.join("summary")).unwrap();
    for text in [&shown.stdout, &shown.stderr, &summary] {
        assert!(!text.contains("100%") && !text.contains("more"), "{text}");
        assert!(!text.contains("100&#37;"), "{text}");
    }
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

/// Returns the standard output on a terminal, by util-linux's `script`.
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
