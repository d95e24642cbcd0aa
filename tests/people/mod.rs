//! The commands for users, seen from outside.

mod adopting;
mod doctor;
mod editing;
mod environment;
mod manual;
mod output;
mod reviewing;
mod searching;
mod selection;
mod shells;
mod terminal;
mod upgrading;
mod width;

use crate::common::{World, catalog, world};
use compose_testkit::Catalog;

const DEPLOYMENTS: &str =
    "bitops:\n  deployments:\n    terraform:\n      plugin: terraform\n    helm:\n      plugin: helm\n";

/// Two sources, one of which nests a third; an environment that overrides, merges and adds.
fn layered() -> World {
    let mut platform = Catalog::new("platform");
    platform
        .file("base/terraform/backend.txt", "from base\n")
        .file("base/terraform/notes.txt", "from base\n")
        .file(
            "eks/terraform/main.tf",
            "resource \"aws_eks_cluster\" \"this\" {}\n",
        )
        .file("eks/terraform/notes.txt", "line one\nfrom eks\n")
        .file(
            "eks/helm/grafana/values.yaml",
            "image:\n  tag: 1.0.0\nreplicas: 1\n",
        )
        .file("_scripts/login.sh", "echo login\n")
        .tag("1.0.0");
    let world = world(&mut [platform]);
    let mut web = Catalog::new("web");
    web.file("web/helm/web/values.yaml", "port: 80\n")
        .file(
            "web/bitops.config.yaml",
            format!(
                "default-environments:\n- {{repo: '{}/platform', environment: base, version: 1.0.0}}\n",
                world.server.address()
            ),
        )
        .tag("2.0.0");
    let mut world = world.with(web);
    // The config of a catalog that names the server has other bytes in each run, and so has its commit.
    world.context.filter(r"\([0-9a-f]{9}\)", "([COMMIT])");
    world.context.file(
        "dev/bitops.config.yaml",
        format!(
            "default-environments:\n\
             - {{repo: '{repo}/platform', environment: eks, version: 1.0.0, shared: [_scripts]}}\n\
             - {{repo: '{repo}/web', environment: web, version: ^2, exclude: [/terraform/notes.txt]}}\n\
             {DEPLOYMENTS}",
            repo = world.server.address()
        ),
    );
    world
        .context
        .file("dev/terraform/notes.txt", "line one\nmine\n")
        .file("dev/terraform/main.tf", "# mine\n")
        .file("dev/terraform/own.txt", "mine\n")
        .file(
            "dev/helm/grafana/values.yaml",
            "# mine\nimage:\n  tag: 2.0.0 # newer\n",
        );
    world
}

/// Two sources that disagree on a file and on a key.
fn in_conflict() -> World {
    let mut c = catalog("c", "eks", "terraform/main.txt", "from c\n");
    c.file("eks/helm/a/values.yaml", "port: 80\n").tag("1.1.0");
    let mut d = catalog("d", "web", "terraform/main.txt", "from d\n");
    d.file("web/helm/a/values.yaml", "port: 81\n").tag("1.1.0");
    let world = world(&mut [c, d]);
    world.sources(&[
        "{repo: '{repo}/c', environment: eks, version: 1.1.0}",
        "{repo: '{repo}/d', environment: web, version: 1.1.0}",
    ]);
    world
}

/// Runs a command that must end with `code`, write nothing but the cache and leave the checkout as it was.
#[track_caller]
fn run(world: &World, args: &[&str], code: i32) -> compose_testkit::Run {
    let before = world.context.ops_repo_fingerprint();
    let run = world.context.run(args).expect_code(code);
    assert!(world.context.pipeline().is_none());
    world.assert_nothing_left();
    world.context.ops_repo_fingerprint().assert_same_as(&before);
    run
}

fn json(run: &compose_testkit::Run) -> serde_json::Value {
    serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}\n{run}"))
}

fn keys(value: &serde_json::Value) -> Vec<&str> {
    let mut keys: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

#[test]
fn the_plan_of_a_layered_environment() {
    let world = layered();
    insta::assert_snapshot!(run(&world, &["plan"], 0));
    // The argument takes precedence over the variable.
    let named = run(&world, &["plan", "dev"], 0);
    assert!(named.stdout.starts_with("dev: 3 sources"), "{named}");
}

#[test]
fn the_plan_for_programs_has_the_fields_of_the_contract() {
    let world = layered();
    let plan = json(&run(&world, &["plan", "--format", "json"], 0));
    assert_eq!(
        keys(&plan),
        [
            "conflicts",
            "deployments",
            "environment",
            "files",
            "sources",
            "warnings"
        ]
    );
    assert_eq!(plan["environment"], "dev");
    for source in plan["sources"].as_array().unwrap() {
        assert_eq!(
            keys(source),
            [
                "commit",
                "environment",
                "locked",
                "repo",
                "requested",
                "resolved",
                "tree",
                "via"
            ]
        );
        for id in ["commit", "tree"] {
            assert_eq!(source[id].as_str().unwrap().len(), 40);
        }
    }
    let versions = |source: &serde_json::Value| {
        ["environment", "requested", "resolved"].map(|key| source[key].as_str().unwrap().to_owned())
    };
    let sources: Vec<_> = plan["sources"].as_array().unwrap().iter().map(versions).collect();
    assert_eq!(
        sources,
        [
            ["eks", "1.0.0", "1.0.0"],
            ["base", "1.0.0", "1.0.0"],
            ["web", "^2", "2.0.0"]
        ]
    );
    assert_eq!(plan["sources"][1]["via"][0]["environment"], "web");
    let mut actions = std::collections::BTreeMap::new();
    for file in plan["files"].as_array().unwrap() {
        assert_eq!(keys(file), ["action", "from", "path"], "{file}");
        for from in file["from"].as_array().unwrap() {
            assert_eq!(keys(from), ["commit", "environment", "path", "repo"]);
        }
        actions.insert(file["path"].as_str().unwrap(), file["action"].as_str().unwrap());
    }
    let expected = [
        ("../_scripts/login.sh", "add"),
        ("bitops.config.yaml", "local"),
        ("helm/grafana/values.yaml", "merge"),
        ("helm/web/values.yaml", "add"),
        ("terraform/backend.txt", "add"),
        ("terraform/main.eks.tf", "keep-both"),
        ("terraform/main.tf", "keep-both"),
        ("terraform/notes.txt", "override"),
        ("terraform/own.txt", "local"),
    ];
    assert_eq!(actions.into_iter().collect::<Vec<_>>(), expected);
    assert_eq!(
        plan["deployments"],
        serde_json::json!([
            {"name": "terraform", "plugin": "terraform"},
            {"name": "helm", "plugin": "helm"}
        ])
    );
    assert_eq!(plan["conflicts"], serde_json::json!([]));
}

#[test]
fn conflicts_are_part_of_the_plan_and_of_its_exit_code() {
    let mut world = in_conflict();
    insta::assert_snapshot!(run(&world, &["plan"], 65));
    let plan = json(&run(&world, &["plan", "--format", "json"], 65));
    let kinds: Vec<_> = plan["conflicts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|conflict| conflict["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["key", "content"]);
    // In CI they are annotations of the config's lines, for every format of the result.
    world.context.set("GITHUB_ACTIONS", "true");
    for format in ["text", "json"] {
        let annotated = run(&world, &["plan", "--format", format], 65);
        assert_eq!(annotated.stderr.lines().count(), 2, "{annotated}");
        for line in annotated.stderr.lines() {
            assert!(
                line.starts_with("::error file=dev/bitops.config.yaml,line=3,"),
                "{line}"
            );
        }
        assert!(!annotated.stdout.contains("::error"), "{annotated}");
    }
    world.context.unset("GITHUB_ACTIONS");
    // If the result has no place for them, they are errors.
    for args in [&["plan", "--diff"][..], &["plan", "--graph", "dot"]] {
        let refused = run(&world, args, 65);
        assert!(
            refused.stderr.contains("\n  values.yaml  port  :1  :1\n"),
            "{refused}"
        );
    }
}

#[test]
fn definitions_that_terraform_would_refuse_are_reported_first() {
    let mut world = world(&mut [catalog(
        "c",
        "eks",
        "terraform/main.tf",
        "variable \"region\" {}\n",
    )]);
    world.context.unset("GITHUB_ACTIONS");
    world.sources(&["{repo: '{repo}/c', environment: eks, version: 1.0.0}"]);
    world
        .context
        .file("dev/terraform/main.tf", "locals {}\n\nvariable \"region\" {}\n");
    insta::assert_snapshot!(run(&world, &["plan"], 65));
}

#[test]
fn diffs_show_what_merging_and_overriding_changed() {
    let world = layered();
    let diff = run(&world, &["plan", "--diff"], 0);
    insta::assert_snapshot!(diff);
    let plan = json(&run(&world, &["plan", "--diff", "--format", "json"], 0));
    let with_diffs: Vec<_> = plan["files"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|file| file.get("diffs").is_some())
        .map(|file| file["path"].as_str().unwrap())
        .collect();
    assert_eq!(with_diffs, ["helm/grafana/values.yaml", "terraform/notes.txt"]);
    let diffs: String = plan["files"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|file| file.get("diffs")?.as_array())
        .flatten()
        .map(|diff| diff.as_str().unwrap())
        .collect();
    assert_eq!(diffs, diff.stdout);
}

#[test]
fn comments_that_a_merge_drops_are_in_the_plan() {
    let list = "list:\n- 1 # one\n- 2 # two\n- 3 # three\n- 4 # four\n- 5 # five\n- 6 # six\n";
    let mut c = catalog("c", "eks", "helm/a/values.yaml", "list:\n- 1 # one\nport: 80\n");
    c.file("eks/helm/b/values.yaml", format!("{list}port: 80\n"))
        .tag("1.1.0");
    let world = world(&mut [c]);
    world.sources(&["{repo: '{repo}/c', environment: eks, version: 1.1.0}"]);
    for chart in ["a", "b"] {
        world
            .context
            .file(&format!("dev/helm/{chart}/values.yaml"), "list: []\n");
    }
    let plan = run(&world, &["plan"], 0);
    let repo = format!("{}/c", world.server.address());
    for note in [
        format!(
            "helm/a/values.yaml: the comment `# one` of eks/helm/a/values.yaml of {repo}, line 2, has no place in the merged file"
        ),
        format!(
            "helm/b/values.yaml: 6 comments of eks/helm/b/values.yaml of {repo} have no place in the merged file: lines 2, 3, 4, 5, 6, 7"
        ),
    ] {
        assert!(plan.stdout.contains(&note), "{plan}");
        let plan_json = json(&run(&world, &["plan", "--format", "json"], 0));
        let said = note.split_once(": ").unwrap().1;
        let mut files = plan_json["files"].as_array().unwrap().iter();
        assert!(files.any(|file| file["notes"][0] == said), "{plan_json}");
    }
}

#[test]
fn graphs_in_two_languages() {
    let world = layered();
    insta::assert_snapshot!("graph_mermaid", run(&world, &["plan", "--graph", "mermaid"], 0));
    insta::assert_snapshot!("graph_dot", run(&world, &["plan", "--graph", "dot"], 0));
    insta::assert_snapshot!(
        "graph_as_json",
        run(&world, &["plan", "--graph", "dot", "--format", "json"], 2)
    );
}

#[test]
fn every_path_and_key_is_explained() {
    let world = layered();
    let mut all = String::new();
    for question in [
        "terraform/notes.txt",
        "dev/helm/grafana/values.yaml",
        "helm/grafana/values.yaml:image.tag",
        "terraform/main.eks.tf",
        "../_scripts/login.sh",
        "terraform/own.txt",
    ] {
        let run = run(&world, &["explain", question], 0);
        all.push_str(&format!("$ explain {question}\n{run}\n"));
    }
    insta::assert_snapshot!(all);
    let answer = json(&run(
        &world,
        &[
            "explain",
            "helm/grafana/values.yaml:image.tag",
            "dev",
            "--format",
            "json",
        ],
        0,
    ));
    assert_eq!(
        keys(&answer),
        ["action", "conflicts", "keys", "layers", "notes", "path"]
    );
    assert_eq!(answer["keys"][0]["place"], "dev/helm/grafana/values.yaml:3");
}

#[test]
fn a_question_without_an_answer_gets_the_nearest_ones() {
    let world = layered();
    let mut all = String::new();
    for question in [
        "main.tf",
        "terraform/note.txt",
        "helm/grafana",
        "zebra",
        "helm/grafana/values.yaml:image.tug",
        "terraform/notes.txt:a",
        "../../etc/passwd",
        "a\u{1b}[31mb",
    ] {
        let run = run(&world, &["explain", question], 65);
        assert_eq!(run.stdout, "");
        all.push_str(&format!("$ explain {}\n{run}\n", question.escape_debug()));
    }
    insta::assert_snapshot!(all);
}

#[test]
fn a_path_in_conflict_is_explained_with_its_remedies() {
    let world = in_conflict();
    insta::assert_snapshot!(run(&world, &["explain", "terraform/main.txt"], 0));
}

#[test]
fn check_needs_no_network() {
    let world = layered();
    insta::assert_snapshot!(run(&world, &["check"], 0));
    let checked = json(&run(&world, &["check", "dev", "--format", "json"], 0));
    assert_eq!(checked["sources"][1]["requested"], "^2");
    assert_eq!(checked["sources"][1]["line"], 3);
    assert_eq!(world.server.requests().len(), 0);
}

/// Scripts give all commands the same options, even if a command does not use them.
#[test]
fn every_command_takes_the_environment_the_operations_repo_and_the_format() {
    let mut world = layered();
    world.context.unset("BITOPS_ENVIRONMENT");
    let repo = world.context.ops_repo();
    let repo = repo.to_str().unwrap();
    let vendored = world.context.root().join("vendored");
    let vendored = vendored.to_str().unwrap();
    for command in [
        &["plan"][..],
        &["explain", "helm/web/values.yaml"],
        &["check"],
        &["doctor"],
        &["lock"],
        &["update"],
        &["update", "--dry-run"],
        &["upgrade"],
        &["outdated"],
        &["vendor", "--force", "--output", vendored],
        &["cache", "dir"],
        &["cache", "list"],
        &["cache", "prune"],
        &["cache", "clear"],
        &["schema"],
        &["completions", "bash"],
    ] {
        let options = ["--ops-repo", repo, "--format", "json"];
        let first = [command, &["dev"], &options[..]].concat();
        let last = [command, &options[..], &["dev"]].concat();
        for args in [first, last] {
            let run = world.context.run(&args).expect_code(0);
            assert!(
                json(&run).is_object(),
                "{args:?}: one object, and nothing else\n{run}"
            );
        }
    }
    let other_way_round = world.context.run(["explain", "dev", "helm/web/values.yaml"]);
    assert_eq!(
        other_way_round.expect_code(0).stdout,
        world
            .context
            .run(["explain", "helm/web/values.yaml", "dev"])
            .stdout
    );
}

#[test]
fn schema_and_completions_are_for_editors_and_shells() {
    let world = world(&mut []);
    let schema = json(&run(&world, &["schema"], 0));
    // The files that `$id` names are the ones that the program prints.
    for (name, args) in [("config", &["schema"][..]), ("lock", &["schema", "--lock"])] {
        let printed = run(&world, args, 0).stdout;
        let file =
            std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../docs/schema/{name}.json"));
        let kept = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(
            kept == printed,
            "write what `bitops-compose {}` prints to docs/schema/{name}.json",
            args.join(" ")
        );
    }
    assert!(schema["$schema"].as_str().unwrap().contains("json-schema.org"));
    // The others ask the program.
    for shell in ["elvish", "powershell"] {
        let script = run(&world, &["completions", shell], 0);
        assert!(script.stdout.contains("vendor"), "{shell}");
    }
}

/// The hint does not advise what was done already.
#[test]
fn an_operations_repo_that_is_not_there() {
    let world = world(&mut []);
    let empty = world.context.root().join("empty");
    std::fs::create_dir(&empty).unwrap();
    let empty = empty.to_str().unwrap();
    let absent = world.context.root().join("absent");
    let absent = absent.to_str().unwrap();
    for (dir, why) in [
        (absent, format!("{absent} is not a directory")),
        (
            empty,
            format!("{empty} has no directory with a bitops.config.yaml"),
        ),
    ] {
        let run = world
            .context
            .run(["check", "--ops-repo", dir, "dev"])
            .expect_code(65);
        assert!(run.stderr.contains(&format!("hint: {why}")), "{run}");
        assert!(!run.stderr.contains("--ops-repo"), "{run}");
    }
}

#[test]
fn help_is_worth_reading() {
    let world = world(&mut []);
    for command in [
        "",
        "deploy",
        "plan",
        "explain",
        "vendor",
        "upgrade",
        "check",
        "doctor",
        "cache",
        "cache prune",
        "schema",
        "completions",
    ] {
        let mut args: Vec<&str> = vec!["help"];
        args.extend(command.split_whitespace());
        let help = run(&world, &args, 0);
        insta::assert_snapshot!(format!("help {command}").trim().replace(' ', "_"), help);
    }
}

#[test]
fn the_cache_is_listed_and_can_be_removed() {
    let world = layered();
    let dir = world.context.cache();
    assert_eq!(
        run(&world, &["cache", "dir"], 0).stdout.trim_end(),
        dir.to_str().unwrap()
    );
    let empty = run(&world, &["cache", "list"], 0);
    assert!(empty.stdout.starts_with("0 repos, 0 B in "), "{empty}");

    run(&world, &["plan"], 0);
    let listed = run(&world, &["cache", "list"], 0);
    let lines: Vec<&str> = listed.stdout.lines().collect();
    assert_eq!(lines.len(), 3, "{listed}");
    assert!(
        lines[0].contains("/platform") && lines[0].ends_with(" ago"),
        "{listed}"
    );
    assert!(
        lines[2].starts_with("2 repos, ") && lines[2].contains("KiB in "),
        "{listed}"
    );
    let list = json(&run(&world, &["cache", "list", "--format", "json"], 0));
    assert_eq!(keys(&list), ["bytes", "dir", "repos"]);
    assert_eq!(keys(&list["repos"][0]), ["bytes", "last_used", "path", "repo"]);
    assert!(list["repos"][0]["last_used"].as_str().unwrap().ends_with('Z'));
    let sum: u64 = list["repos"]
        .as_array()
        .unwrap()
        .iter()
        .map(|repo| repo["bytes"].as_u64().unwrap())
        .sum();
    assert_eq!(list["bytes"], sum);

    // The repos were just used, so by default nothing is removed.
    let kept = run(&world, &["cache", "prune"], 0);
    assert!(kept.stdout.starts_with("0 repos removed, 0 B freed, "), "{kept}");
    let pruned = json(&run(
        &world,
        &["cache", "prune", "--max-size", "1kB", "--format", "json"],
        0,
    ));
    assert_eq!(keys(&pruned), ["in_use", "remaining_bytes", "removed"]);
    assert_eq!(pruned["removed"].as_array().unwrap().len(), 2);
    run(&world, &["plan"], 0);
    let cleared = run(&world, &["cache", "clear"], 0);
    assert!(cleared.stdout.contains("2 repos removed, "), "{cleared}");
    assert!(cleared.stdout.ends_with(", 0 B left\n"), "{cleared}");

    insta::assert_snapshot!(run(
        &world,
        &["cache", "prune", "--unused-for", "soon", "--max-size", "big"],
        2
    ));
}
