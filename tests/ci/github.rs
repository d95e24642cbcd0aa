//! A run under `GITHUB_ACTIONS`, seen from the runner.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use crate::common::{World, catalog, world};
use compose_testkit::Catalog;

const HOOK: &str = "terraform/bitops.before-deploy.d/login.sh";

/// Returns a world with one source and the variables and files of a GitHub Actions step.
fn step(world: &mut World) {
    let root = world.context.root().to_owned();
    fs::create_dir(root.join("runner")).unwrap();
    for (name, path) in [
        ("GITHUB_OUTPUT", "output"),
        ("GITHUB_STEP_SUMMARY", "summary.md"),
        ("RUNNER_TEMP", "runner"),
    ] {
        world.context.set(name, root.join(path));
    }
    world.context.set("GITHUB_ACTIONS", "true");
    // The operations repo is a directory of the checkout.
    world.context.set("GITHUB_WORKSPACE", world.context.home());
}

fn ready() -> World {
    let mut eks = Catalog::new("c");
    eks.file("eks/terraform/bitops.config.yaml", "terraform: {}\n")
        .file("eks/terraform/x.txt", "from c")
        .executable(&format!("eks/{HOOK}"), "true\n")
        .tag("1.0.0");
    let mut world = world(&mut [eks]);
    world.sources(&["{repo: '{repo}/c', environment: eks, version: 1.0.0}"]);
    world.context.file("dev/mine.txt", "mine");
    step(&mut world);
    world
}

fn read(world: &World, name: &str) -> String {
    fs::read_to_string(world.context.root().join(name)).unwrap_or_default()
}

/// `name<<DELIMITER`, lines, the delimiter.
fn outputs(world: &World) -> BTreeMap<String, String> {
    let text = read(world, "output");
    let mut lines = text.lines();
    let mut outputs = BTreeMap::new();
    while let Some(head) = lines.next() {
        let (name, delimiter) = head.split_once("<<").unwrap();
        let value: Vec<&str> = lines.by_ref().take_while(|line| *line != delimiter).collect();
        outputs.insert(name.to_owned(), value.join("\n"));
    }
    outputs
}

/// Every group that is opened is closed before the next one and before the end. Returns their titles.
#[track_caller]
fn groups(stderr: &str) -> Vec<&str> {
    let mut open = false;
    let mut titles = Vec::new();
    for line in stderr.lines() {
        if let Some(title) = line.strip_prefix("::group::") {
            assert!(!open, "a group within a group\n{stderr}");
            open = true;
            titles.push(title);
        } else if line == "::endgroup::" {
            assert!(open, "no group is open\n{stderr}");
            open = false;
        }
    }
    assert!(!open, "a group is left open\n{stderr}");
    titles
}

const STAGES: [&str; 3] = [
    "bitops-compose: resolve and fetch",
    "bitops-compose: compose",
    "bitops-compose: materialise",
];

#[test]
fn a_deploy_has_groups_outputs_and_a_page() {
    let world = ready();
    let run = world.context.run(["deploy"]).expect_code(0);
    assert!(world.context.pipeline().is_some(), "{run}");
    assert_eq!(groups(&run.stderr), STAGES);
    assert!(run.stderr.contains("/c  1.0.0 ("), "{run}");
    assert!(
        run.stderr.contains("(asked for 1.0.0, not locked)\n::endgroup::"),
        "{run}"
    );

    let outputs = outputs(&world);
    let names: Vec<&String> = outputs.keys().collect();
    assert_eq!(names, ["changed", "composed-files", "manifest", "sources"]);
    assert_eq!((&*outputs["changed"], &*outputs["composed-files"]), ("true", "3"));
    let sources: serde_json::Value = serde_json::from_str(&outputs["sources"]).unwrap();
    assert_eq!(sources[0]["environment"], "eks");
    assert_eq!(sources[0]["resolved"], "1.0.0");
    // For later steps: the composition itself is gone by then.
    let manifest = PathBuf::from(&outputs["manifest"]);
    assert_eq!(
        manifest,
        world
            .context
            .root()
            .join("runner/bitops-compose/dev.manifest.json")
    );
    let manifest: serde_json::Value = serde_json::from_slice(&fs::read(manifest).unwrap()).unwrap();
    assert_eq!(manifest["files"].as_array().unwrap().len(), 3);

    let page = read(&world, "summary.md");
    for expected in [
        "### bitops-compose: <code>dev</code>\n\n1 source, 3 files composed\n",
        "<code>1.0.0</code> | <code>1.0.0</code> |",
        " | not locked | 3 |",
        "credentials**\n\n- <code>terraform/bitops.before&#45;deploy.d/login.sh</code> of <code>eks</code>\n",
        "- add <code>terraform/x.txt</code> of <code>eks</code>\n",
        "```mermaid\nflowchart LR\n",
    ] {
        let expected = expected.replace("&#45;", "-");
        assert!(page.contains(&expected), "{expected}\n{page}");
    }
}

#[test]
fn without_a_directory_that_lasts_the_manifest_is_the_runs_own() {
    let mut world = ready();
    // As in a `docker://` step, into which the runner mounts no temporary directory.
    let absent = world.context.root().join("absent/_temp");
    world.context.set("RUNNER_TEMP", absent);
    world.context.run(["deploy"]).expect_code(0);
    let outputs = outputs(&world);
    let seen = world.context.pipeline().unwrap();
    assert_eq!(outputs["manifest"], seen.env["BITOPS_COMPOSE_MANIFEST"]);
}

#[test]
fn a_plan_has_the_same_outputs_and_page() {
    let world = ready();
    let run = world.context.run(["plan"]).expect_code(0);
    assert!(
        groups(&run.stderr).is_empty(),
        "a plan's result is on stdout\n{run}"
    );
    let outputs = outputs(&world);
    assert_eq!((&*outputs["changed"], &*outputs["composed-files"]), ("true", "3"));
    assert!(outputs["manifest"].ends_with("runner/bitops-compose/dev.manifest.json"));
    let page = read(&world, "summary.md");
    assert!(page.contains("```mermaid\n"), "{page}");
    // With a lock the output says so. If nothing differs from the user's own files, there is no change.
    world.context.run(["lock"]).expect_code(0);
    world.context.run(["plan"]).expect_code(0);
    assert!(read(&world, "summary.md").contains(" | locked | 3 |"));
    for (path, text) in [
        ("terraform/bitops.config.yaml", "terraform: {}\n"),
        ("terraform/x.txt", "from c"),
    ] {
        world.context.file(&format!("dev/{path}"), text);
    }
    world.context.executable(&format!("dev/{HOOK}"), "true\n");
    fs::remove_file(world.context.root().join("output")).unwrap();
    world.context.run(["plan"]).expect_code(0);
    let outputs = self::outputs(&world);
    assert_eq!(
        (&*outputs["changed"], &*outputs["composed-files"]),
        ("false", "0")
    );
}

#[test]
fn a_failure_closes_its_group_and_is_on_the_page() {
    let world = ready();
    world.sources(&["{repo: '{repo}/c', environment: eks, version: 9.0.0}"]);
    let run = world.context.run(["deploy"]).expect_code(65);
    assert_eq!(groups(&run.stderr), STAGES[..1]);
    let place = "file=mount/dev/bitops.config.yaml,line=2,endLine=2,";
    let annotation = run
        .stderr
        .lines()
        .find(|line| line.starts_with("::error "))
        .unwrap();
    assert!(annotation.contains(place), "{annotation}");
    let closed = run.stderr.find("::endgroup::").unwrap();
    assert!(
        closed < run.stderr.find("error: ").unwrap(),
        "an error is not folded away\n{run}"
    );
    assert!(outputs(&world).is_empty());
    let page = read(&world, "summary.md");
    assert!(
        page.starts_with("### bitops-compose: failed\n\n- **http&#58;//127.0.0.1&#58;"),
        "{page}"
    );
    assert!(
        page.contains("in <code>mount/dev/bitops.config.yaml&#58;2&#58;65</code>\n  - hint: "),
        "{page}"
    );

    // Conflicts are found while composing.
    world.context.file("dev/terraform/x.txt/in-the-way", "");
    world.sources(&["{repo: '{repo}/c', environment: eks, version: 1.0.0}"]);
    let run = world.context.run(["deploy"]).expect_code(65);
    assert_eq!(groups(&run.stderr), STAGES[..2]);
    // The failures of every command are on the page, and nothing is folded if there is no stage.
    world
        .context
        .file("dev/bitops.config.yaml", "default-environments: [{");
    let run = world.context.run(["deploy"]).expect_code(65);
    assert!(groups(&run.stderr).is_empty(), "{run}");
    assert!(
        read(&world, "summary.md")
            .matches("### bitops-compose: failed")
            .count()
            == 3
    );
    for args in [&["plan"][..], &["check"], &["lock"]] {
        let before = read(&world, "summary.md").len();
        world.context.run(args).expect_code(65);
        let page = read(&world, "summary.md");
        assert!(
            page[before..].starts_with("### bitops-compose: failed\n"),
            "{args:?}"
        );
    }
}

#[test]
fn a_signal_leaves_no_group_open() {
    use compose_testkit::Signal;
    use compose_testkit::server::{Fault, Rule};
    let world = ready();
    world.server.inject("c", Rule::from(Fault::Stall));
    let run = world.context.spawn(["deploy"]);
    run.wait_for_output("::group::", std::time::Duration::from_secs(20));
    run.signal(Signal::TERM);
    let run = run.wait(std::time::Duration::from_secs(20)).expect_code(143);
    assert_eq!(groups(&run.stderr), STAGES[..1]);
}

#[test]
fn a_log_in_json_has_no_groups() {
    let mut world = ready();
    world.context.set("BITOPS_COMPOSE_LOG_FORMAT", "json");
    let run = world.context.run(["deploy"]).expect_code(0);
    assert!(groups(&run.stderr).is_empty(), "{run}");
    for line in run.stderr.lines().filter(|line| line.starts_with('{')) {
        serde_json::from_str::<serde_json::Value>(line).unwrap();
    }
    let mut world = ready();
    world.context.set("BITOPS_LOGGING_LEVEL", "ERROR");
    let run = world.context.run(["deploy"]).expect_code(0);
    assert!(
        groups(&run.stderr).is_empty(),
        "a quiet log has nothing to fold\n{run}"
    );
}

#[test]
fn the_mistakes_of_a_source_do_not_annotate_the_checkout() {
    let mut nested = Catalog::new("nested");
    nested
        .file(
            "eks/bitops.config.yaml",
            "default-environments:\n- {repo: 'file:///x', environment: y, version: 1.0.0}\n",
        )
        .tag("1.0.0");
    let mut world = world(&mut [nested]);
    world.sources(&["{repo: '{repo}/nested', environment: eks, version: 1.0.0}"]);
    step(&mut world);
    let run = world.context.run(["deploy"]).expect_code(65);
    let annotation = run
        .stderr
        .lines()
        .find(|line| line.starts_with("::error "))
        .unwrap();
    assert!(annotation.starts_with("::error title=bitops-compose::"), "{run}");
    assert!(annotation.contains("eks/bitops.config.yaml:2:"), "{run}");
}

/// Returns the lines that the runner would take for commands, except the program's own.
fn injected(text: &str) -> Vec<&str> {
    const OURS: [&str; 4] = [
        "::group::bitops-compose",
        "::endgroup::",
        "::error file=mount/dev/",
        "::warning file=mount/dev/",
    ];
    text.split(['\n', '\r'])
        .map(str::trim_start)
        .filter(|line| line.contains("##[") || line.starts_with("::"))
        .filter(|line| !OURS.iter().any(|ours| line.starts_with(ours)))
        .collect()
}

#[test]
fn text_of_a_source_is_not_a_workflow_command_on_either_stream() {
    const HOSTILE: &str = "::stop-commands::hacked\n ::add-mask::x\n##[error]hacked\nx ##[group]hacked\n\u{a0}::set-env name=a::b\r::debug::x\n";
    let mut world = ready();
    let mut hostile = Catalog::new("h");
    hostile
        .file(
            "web/bitops.config.yaml",
            "bitops:\n  deployments:\n    '::group::##[error]hacked': {plugin: '##[x]'}\n",
        )
        .file("web/notes.txt", HOSTILE)
        .file("web/##[error]hacked", "x")
        .file(
            "web/values.yaml",
            format!("a: |\n  {}\n", HOSTILE.replace(['\n', '\r'], "\n  ")),
        )
        .tag("1.0.0");
    world.publish(hostile);
    world.context.set("BITOPS_LOGGING_LEVEL", "DEBUG");
    world.context.file("dev/notes.txt", "mine\n");
    world.sources(&["{repo: '{repo}/h', environment: web, version: 1.0.0}"]);
    // A parent would say that `true` makes no copy.
    world.context.set("BITOPS_COMPOSE_SUPERVISE", "false");
    let repo = world.server.url("h");
    world.commit();
    for (args, code) in [
        (&["doctor"][..], 0),
        (&["doctor", "--format", "json"], 0),
        (&["search", &repo], 0),
        (&["add", &repo, "web", "--exclude", "/none", "--dry-run"], 0),
        (&["adopt", &repo, "--all"], 0),
        (&["remove", "h", "--dry-run"], 0),
        (&["plan"], 0),
        (&["plan", "--diff"], 0),
        (&["plan", "--graph", "dot"], 0),
        (&["plan", "--graph", "mermaid"], 0),
        (&["explain", "notes.txt"], 0),
        (&["lock"], 0),
        (&["update", "--dry-run", "--format", "markdown"], 0),
        (&["upgrade", "--dry-run", "--format", "markdown"], 0),
        (&["outdated"], 0),
        (&["deploy"], 0),
    ] {
        world.context.set("BITOPS_COMPOSE_PIPELINE", "true");
        let run = world.context.run(args).expect_code(code);
        assert_eq!(injected(&run.stdout), [""; 0], "{args:?}\n{run}");
        assert_eq!(injected(&run.stderr), [""; 0], "{args:?}\n{run}");
    }
    fs::remove_dir_all(world.context.ops_repo().join(".git")).unwrap();
    // In JSON the values are unchanged.
    let run = world
        .context
        .run(["plan", "--diff", "--format", "json"])
        .expect_code(0);
    assert_eq!(injected(&run.stdout), [""; 0], "{run}");
    let plan: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    let paths: Vec<&str> = plan["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| file["path"].as_str().unwrap())
        .collect();
    assert!(paths.contains(&"##[error]hacked"), "{paths:?}");
    // A file gets the unchanged diff, because no runner reads it as a log.
    let file = world.context.root().join("diff");
    let mut command = world.context.command(["plan", "--diff"]);
    command
        .stdout(fs::File::create(&file).unwrap())
        .stderr(std::process::Stdio::null());
    assert!(command.status().unwrap().success());
    assert!(
        fs::read_to_string(file)
            .unwrap()
            .contains("\n-x ##[group]hacked\n")
    );
    // On the page it is only text.
    let page = read(&world, "summary.md");
    assert!(!page.contains("##[") && !page.contains("::error::"), "{page}");
    // Not even as a diagnostic.
    world.context.file(
        "dev/bitops.config.yaml",
        "default-environments:\n- {repo: '::error::##[x]hacked', environment: y, version: 1}\n",
    );
    let run = world.context.run(["check"]).expect_code(65);
    assert_eq!(injected(&run.stderr), [""; 0], "{run}");
}

#[test]
fn text_of_a_source_is_not_a_command_for_the_runners_of_other_ci() {
    const HOSTILE: &str =
        "##vso[task.setvariable variable=PATH]/hacked\nx ##[section]hacked\n##teamcity[hacked]\n";
    for ci in ["TF_BUILD", "TEAMCITY_VERSION"] {
        let mut world = world(&mut [catalog("h", "web", "notes.txt", HOSTILE)]);
        world.context.set(ci, "True");
        world.context.file("dev/notes.txt", "mine\n");
        world.sources(&["{repo: '{repo}/h', environment: web, version: 1.0.0}"]);
        let plan = world.context.run(["plan", "--diff"]).expect_code(0);
        assert!(plan.stdout.contains("-##vso\\[task.setvariable"), "{plan}");
        assert!(plan.stdout.contains("-x ##\\[section]hacked"), "{plan}");
        assert!(plan.stdout.contains("-##teamcity\\[hacked]"), "{plan}");
        // Only GitHub has annotations.
        assert!(!plan.stderr.contains("::"), "{plan}");
    }
}

#[test]
fn outputs_cannot_be_forged() {
    let world = ready();
    // No value can end its own delimiter, because the delimiter is different each time.
    let heads = || {
        world.context.run(["plan"]).expect_code(0);
        let text = read(&world, "output");
        fs::remove_file(world.context.root().join("output")).unwrap();
        text.lines().next().unwrap().to_owned()
    };
    let (one, other) = (heads(), heads());
    assert!(one.starts_with("sources<<ghadelimiter_"), "{one}");
    assert_ne!(one, other);
}

#[test]
fn without_the_runners_variables_nothing_of_it_is_there() {
    let mut world = world(&mut [catalog("c", "eks", "x.txt", "from c")]);
    world.sources(&["{repo: '{repo}/c', environment: eks, version: 1.0.0}"]);
    world.context.unset("GITHUB_ACTIONS");
    let run = world.context.run(["deploy"]).expect_code(0);
    assert!(!run.stderr.contains("::"), "{run}");
}
