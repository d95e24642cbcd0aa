//! Composition as users see it: what the plan shows is deployed, and every remedy works.

use crate::common::{World, world};
use compose_testkit::Catalog;
use serde_json::Value;

/// The plan as programs see it.
#[track_caller]
fn planned(world: &World) -> Value {
    let run = world.context.run(["plan", "--format", "json"]);
    serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}\n{run}"))
}

#[track_caller]
fn explained(world: &World, path: &str) -> String {
    world.context.run(["explain", path]).expect_code(0).stdout
}

/// Returns a config with one entry for each catalog, with further keys.
fn config(world: &World, entries: &[(&str, &str)]) -> String {
    let entry = |(catalog, keys): &(&str, &str)| {
        format!("{{repo: '{{repo}}/{catalog}', environment: env, version: 1.0.0{keys}}}")
    };
    let entries: Vec<String> = entries.iter().map(entry).collect();
    world.config(&entries.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Returns a catalog with a chart of this name, which differs from all others, and a file of its own in and beside it.
fn chart(name: &str, chart: &str) -> Catalog {
    let mut catalog = Catalog::new(name);
    for (path, text) in [
        ("Chart.yaml", format!("name: {name}\n")),
        ("bitops.config.yaml", "helm: {}\n".to_owned()),
        ("values.yaml", format!("from: {name}\nport: '{name}'\n")),
        ("templates/a.yaml", format!("# {name}\n")),
    ] {
        catalog.file(&format!("env/helm/{chart}/{path}"), text);
    }
    catalog
        .file(&format!("env/helm/{chart}/{name}.txt"), name)
        .file(&format!("env/helm/{name}/bitops.config.yaml"), "helm: {}\n")
        .tag("1.0.0");
    catalog
}

#[test]
fn a_chart_of_one_name_in_two_catalogs_is_left_out_of_one_by_one_remedy() {
    for name in ["grafana", "a [b]{c,d} !e", "#x"] {
        let world = world(&mut [chart("a", name), chart("b", name)]);
        world
            .context
            .file("dev/bitops.config.yaml", config(&world, &[("a", ""), ("b", "")]));
        let plan = planned(&world);
        let conflicts = plan["conflicts"].as_array().unwrap();
        // Two keys of the values, a key of the chart, a template.
        assert_eq!(conflicts.len(), 4, "{plan:#}");
        for conflict in conflicts {
            let remedy = &conflict["remedies"][0];
            assert_eq!(remedy["settles"], 4, "{remedy}");
            assert_eq!(remedy["needs"], "one", "{remedy}");
            let text = remedy["text"].as_str().unwrap();
            assert_eq!(text.matches("its 5 files there)").count(), 2, "{text}");
            // `explain` lays it out as the plan does.
            let explained = explained(&world, conflict["path"].as_str().unwrap());
            let pasted = text.split(" at ").next().unwrap();
            let places = "(A, all its 5 files) or :3 (B, all its 5 files)\n";
            let shown = format!("  a) dev/bitops.config.yaml:2 {places}       {pasted}\n");
            assert_eq!(explained.matches(&shown).count(), 1, "{explained}");
        }
        // Word for word, either way.
        let changes = conflicts[0]["remedies"][0]["changes"].as_array().unwrap();
        let globs: Vec<String> = changes
            .iter()
            .map(|change| change["add"]["exclude"][0].to_string())
            .collect();
        for (left_out, stays) in [(0, "b"), (1, "a")] {
            let exclude = format!(", exclude: [{}]", globs[left_out]);
            let entries = [
                ("a", if left_out == 0 { exclude.as_str() } else { "" }),
                ("b", if left_out == 1 { exclude.as_str() } else { "" }),
            ];
            world
                .context
                .file("dev/bitops.config.yaml", config(&world, &entries));
            world.context.run(["deploy"]).expect_code(0);
            let seen = world.context.pipeline().unwrap();
            let chart = format!("dev/helm/{name}/");
            assert_eq!(
                seen.text(&format!("{chart}Chart.yaml")),
                Some(format!("name: {stays}\n").as_str()),
                "{exclude}"
            );
            let in_chart = seen
                .files()
                .iter()
                .filter(|file| file.starts_with(&chart))
                .count();
            assert_eq!(in_chart, 5, "{exclude} {:?}", seen.files());
            // What is beside it stays of both.
            for other in ["a", "b"] {
                assert!(
                    seen.text(&format!("dev/helm/{other}/bitops.config.yaml"))
                        .is_some()
                );
            }
        }
    }
}

#[test]
fn a_remedy_among_three_is_for_all_but_one() {
    let world = world(&mut [chart("a", "x"), chart("b", "x"), chart("c", "x")]);
    let with = |keys: [&str; 3]| {
        let entries = [("a", keys[0]), ("b", keys[1]), ("c", keys[2])];
        world
            .context
            .file("dev/bitops.config.yaml", config(&world, &entries));
        let run = world.context.run(["deploy"]);
        let seen = world.context.pipeline();
        let name = seen.and_then(|seen| seen.text("dev/helm/x/Chart.yaml").map(str::to_owned));
        (run.code, name.filter(|_| run.code == Some(0)))
    };
    assert_eq!(with(["", "", ""]).0, Some(65));
    let plan = planned(&world);
    let remedies: Vec<&Value> = plan["conflicts"]
        .as_array()
        .unwrap()
        .iter()
        .find(|conflict| conflict["kind"] == "content")
        .and_then(|conflict| conflict["remedies"].as_array())
        .unwrap()
        .iter()
        .collect();
    for remedy in &remedies[..2] {
        assert_eq!(remedy["needs"], "all-but-one", "{remedies:#?}");
        let text = remedy["text"].as_str().unwrap();
        let end = "; all but one of these: what the remaining one has is used";
        assert!(text.ends_with(end), "{remedies:#?}");
    }
    let exclude = ", exclude: [\"/helm/x/\"]";
    assert!(remedies[0]["text"].as_str().unwrap().contains(&exclude[2..]));
    assert_eq!(with([exclude, "", ""]).0, Some(65));
    assert_eq!(
        with([exclude, "", exclude]),
        (Some(0), Some("name: b\n".to_owned()))
    );

    for (remedy, value) in [(2, "last"), (3, "first")] {
        let changes = remedies[remedy]["changes"].as_array().unwrap();
        let lines: Vec<&Value> = changes.iter().map(|change| &change["line"]).collect();
        assert_eq!(lines, [3, 4], "{remedies:#?}");
        assert!(changes.iter().all(|change| change["set"]["on-conflict"] == value));
        let set = format!(", on-conflict: {value}");
        let name = if value == "last" { "name: c\n" } else { "name: a\n" };
        assert_eq!(with(["", &set, &set]), (Some(0), Some(name.to_owned())));
    }
    let (first, last) = (", on-conflict: first", ", on-conflict: last");
    assert_eq!(with(["", "", last]), (Some(0), Some("name: c\n".to_owned())));
    assert_eq!(with(["", first, first]), (Some(0), Some("name: a\n".to_owned())));
}

/// Every file of a source takes part or is reported as left out, whatever its entry says.
#[test]
fn what_an_entry_leaves_out_is_in_the_plan() {
    let mut below = Catalog::new("below");
    below
        .file("env/terraform/below.txt", "below\n")
        .file("env/terraform/who.txt", "below\n")
        .executable("env/terraform/bitops.before-deploy.d/below.sh", "exit 1\n")
        .tag("1.0.0");
    let mut other = Catalog::new("other");
    other
        .file("env/terraform/who.txt", "other\n")
        .file("env/terraform/other.txt", "other\n")
        .file("env/terraform/bitops.config.yaml", "terraform: {}\n")
        .tag("1.0.0");
    let mut world = world(&mut [below, other]);
    let mut all = Catalog::new("all");
    let nested = config(&world, &[("below", ", exclude: ['below.*']")]);
    all.file(
        "env/bitops.config.yaml",
        format!("bitops:\n  fail_fast: true\n{nested}"),
    )
    .file("env/terraform/bitops.config.yaml", "terraform: {}\n")
    .file("env/terraform/main.tf", "# all\n")
    .file("env/terraform/who.txt", "all\n")
    .file("env/terraform/notes.md", "notes\n")
    .symlink("env/terraform/linked.md", "notes.md")
    .symlink("env/terraform/docs", "../docs")
    .file("env/docs/a.md", "a\n")
    .file("env/docs/a.txt", "a\n")
    .file("env/helm/chart/values.yaml", "a: 1\n")
    .executable("env/terraform/bitops.after-deploy.d/notify.sh", "exit 1\n")
    .file("_default/terraform/versions.tf", "# default\n")
    .file("_default/terraform/main.tf", "# default\n")
    .file("_default/terraform/README.md", "default\n")
    .executable("_default/terraform/bitops.before-deploy.d/login.sh", "exit 1\n")
    .executable("_scripts/login.sh", "echo login\n")
    .file("_scripts/README.md", "scripts\n")
    .tag("1.0.0");
    world.publish(all);
    let text = config(
        &world,
        &[
            ("other", ""),
            (
                "all",
                ", as: x, include: [terraform, /bitops.config.yaml], exclude: ['*.md'], hooks: false, \
                 shared: [_scripts], default-folder: _default",
            ),
        ],
    );
    world.context.file("dev/bitops.config.yaml", text);

    let run = world.context.run(["deploy"]).expect_code(0);
    assert!(run.stdout.contains("DEPLOYMENT x-terraform"), "{run}");
    let seen = world.context.pipeline().unwrap();
    let mut files = seen.files();
    files.retain(|file| *file != "dev/bitops.config.yaml");
    assert_eq!(
        files,
        [
            "_scripts/README.md",
            "_scripts/login.sh",
            "dev/terraform/bitops.config.yaml",
            "dev/terraform/other.txt",
            "dev/terraform/who.txt",
            "dev/x-terraform/bitops.config.yaml",
            "dev/x-terraform/docs/a.txt",
            "dev/x-terraform/main.env.tf",
            "dev/x-terraform/main.tf",
            "dev/x-terraform/versions.tf",
            "dev/x-terraform/who.txt",
        ]
    );
    assert_eq!(seen.text("dev/x-terraform/who.txt"), Some("all\n"));

    let plan = planned(&world);
    let left_out = |repo: &str| -> Vec<(String, String)> {
        let sources = plan["sources"].as_array().unwrap();
        let source = sources
            .iter()
            .find(|source| source["repo"].as_str().unwrap().ends_with(repo))
            .unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let all = source.get("left_out").and_then(Value::as_array);
        all.into_iter()
            .flatten()
            .map(|file| (text(&file["path"]), text(&file["by"])))
            .collect()
    };
    let left_out_lines = |repo: &str| -> Vec<String> {
        let all = left_out(repo).into_iter();
        all.map(|(path, by)| format!("{path} {by}")).collect()
    };
    assert_eq!(
        left_out_lines("/all"),
        [
            "../_default/terraform/README.md exclude",
            "../_default/terraform/bitops.before-deploy.d/login.sh hooks",
            "docs/a.md exclude",
            "docs/a.txt include",
            "helm/chart/values.yaml include",
            "terraform/bitops.after-deploy.d/notify.sh hooks",
            "terraform/docs/a.md exclude",
            "terraform/linked.md exclude",
            "terraform/notes.md exclude",
        ]
    );
    assert_eq!(
        left_out_lines("/below"),
        [
            "terraform/below.txt exclude",
            "terraform/bitops.before-deploy.d/below.sh hooks"
        ]
    );
    assert_eq!(left_out_lines("/other"), [""; 0]);
    // Every file of the repo is in one of the two lists.
    let from: Vec<&str> = plan["files"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|file| file["from"].as_array().unwrap())
        .filter(|from| from["repo"].as_str().is_some_and(|repo| repo.ends_with("/all")))
        .map(|from| from["path"].as_str().unwrap())
        .collect();
    for path in [
        "bitops.config.yaml",
        "terraform/main.tf",
        "terraform/who.txt",
        "../_default/terraform/versions.tf",
        "../_default/terraform/main.tf",
        "../_scripts/login.sh",
    ] {
        assert!(from.contains(&path), "{path} {from:?}");
    }

    let text = world.context.run(["plan"]).expect_code(0).stdout;
    for message in [
        "leaves out 9 files",
        "terraform/ (3, by exclude)",
        "terraform/bitops.after-deploy.d/notify.sh (by hooks)",
        "leaves out 2 files",
    ] {
        assert!(text.contains(message), "{message}\n{text}");
    }
    let explained = explained(&world, "x-terraform/notes.md");
    assert!(
        explained.starts_with("dev/x-terraform/notes.md: left out\n"),
        "{explained}"
    );
    assert!(
        explained.contains("env/terraform/notes.md: left out: `exclude` of its entry says so"),
        "{explained}"
    );
    let hook = self::explained(&world, "x-terraform/bitops.before-deploy.d/below.sh");
    assert!(hook.contains("left out: `hooks` of its entry says so"), "{hook}");
}

/// `as` with declared deployments, the image's, nested sources, a local list, and the user's own files in the renamed
/// directories: what is planned is what runs, from the mount and from a copy.
#[test]
fn renamed_deployments_run_as_planned_with_the_users_own_files_on_top() {
    let mut below = Catalog::new("below");
    below
        .file("env/terraform/bitops.config.yaml", "terraform: {}\n")
        .file("env/terraform/below.tf", "# below\n")
        .tag("1.0.0");
    let mut plain = Catalog::new("plain");
    plain
        .file("env/terraform/bitops.config.yaml", "terraform: {}\n")
        .file("env/terraform/main.tf", "# plain\n")
        .file("env/ansible/playbook.yaml", "- hosts: all\n")
        .file("env/ansible/bitops.config.yaml", "ansible: {}\n")
        .file("env/ansible/ansible.cfg", "inventory=../terraform/hosts.yaml\n")
        .tag("1.0.0");
    let mut world = world(&mut [below, plain]);
    let mut app = Catalog::new("app");
    app.file(
        "env/bitops.config.yaml",
        format!(
            "{}bitops:\n  deployments:\n    web: {{plugin: helm}}\n    db: {{plugin: terraform}}\n",
            config(&world, &[("below", "")])
        ),
    )
    .file("env/web/chart/bitops.config.yaml", "helm: {}\n")
    .file("env/web/chart/values.yaml", "# theirs\nreplicas: 1\nport: 80\n")
    .file("env/web/chart/templates/a.yaml", "kind: A\n")
    .file(
        "env/db/bitops.config.yaml",
        "terraform:\n  cli:\n    var-file: ../db/db.tfvars\n",
    )
    .file("env/db/notes.txt", "theirs\n")
    .tag("1.0.0");
    world.publish(app);
    let own = "bitops:\n  deployments:\n    green-terraform: {plugin: terraform}\n    terraform: {plugin: terraform}\n    blue-db: {plugin: terraform}\n";
    world
        .context
        .file(
            "dev/bitops.config.yaml",
            config(&world, &[("app", ", as: blue"), ("plain", ", as: green")]) + own,
        )
        .file("dev/terraform/bitops.config.yaml", "terraform: {}\n")
        .file("dev/blue-web/chart/values.yaml", "replicas: 3\n")
        .file("dev/blue-web/chart/templates/a.yaml", "kind: B\n")
        .file("dev/blue-db/notes.txt", "mine\n")
        .executable(
            "dev/blue-db/bitops.before-deploy.d/10-own.sh",
            "echo own hook in $(basename $PWD)\n",
        );

    let order = [
        "blue-terraform",
        "blue-web",
        "green-terraform",
        "terraform",
        "green-ansible",
        "blue-db",
    ];
    let run = world.context.run(["deploy"]).expect_code(0);
    let ran = |stdout: &str| -> Vec<String> {
        let lines = stdout.lines().filter_map(|line| line.strip_prefix("DEPLOYMENT "));
        lines
            .map(|line| line.split(' ').next().unwrap().to_owned())
            .collect()
    };
    assert_eq!(ran(&run.stdout), order, "{run}");
    assert!(run.stdout.contains("own hook in blue-db"), "{run}");
    let deployed = world.context.pipeline().unwrap();
    for (path, text) in [
        (
            "dev/blue-web/chart/values.yaml",
            "# theirs\nreplicas: 3\nport: 80\n",
        ),
        ("dev/blue-web/chart/templates/a.yaml", "kind: B\n"),
        ("dev/blue-db/notes.txt", "mine\n"),
        ("dev/blue-terraform/below.tf", "# below\n"),
        ("dev/green-terraform/main.tf", "# plain\n"),
    ] {
        assert_eq!(deployed.text(path), Some(text), "{path}");
    }
    // Both paths that `as` breaks are reported.
    for message in [
        "dev/blue-db/bitops.config.yaml:3 names db/, which is blue-db/ now",
        "dev/green-ansible/ansible.cfg:1 names terraform/, which is green-terraform/ now",
    ] {
        assert!(run.stderr.contains(message), "{message}\n{run}");
    }

    let plan = planned(&world);
    let names: Vec<&str> = plan["deployments"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, order);
    let action = |path: &str| -> &str {
        let mut files = plan["files"].as_array().unwrap().iter();
        let file = files.find(|file| file["path"] == path);
        file.unwrap_or_else(|| panic!("{path} {plan:#}"))["action"]
            .as_str()
            .unwrap()
    };
    assert_eq!(action("blue-web/chart/values.yaml"), "merge");
    assert_eq!(action("blue-web/chart/templates/a.yaml"), "override");
    assert_eq!(action("blue-db/bitops.before-deploy.d/10-own.sh"), "local");
    let why = explained(&world, "blue-web/chart/values.yaml:replicas");
    assert!(
        why.contains("your own environment, dev/blue-web/chart/values.yaml:1, over env of"),
        "{why}"
    );
    let why = explained(&world, "bitops.config.yaml:bitops.deployments.blue-db");
    assert!(why.contains("bitops.deployments.blue-db.plugin: env of"), "{why}");

    // The copy needs no composition and runs in the same way.
    let copy = world.context.root().join("copy");
    world
        .context
        .run(["vendor", "--output", copy.to_str().unwrap()])
        .expect_code(0);
    world.context.set("BITOPS_COMPOSE", "off");
    for path in [
        "bitops.config.yaml",
        "blue-web",
        "blue-db",
        "blue-terraform",
        "green-terraform",
        "green-ansible",
    ] {
        let from = copy.join("dev").join(path);
        assert!(from.exists(), "{path}");
    }
    let mount = world.context.ops_repo();
    std::fs::remove_dir_all(&mount).unwrap();
    std::fs::rename(&copy, &mount).unwrap();
    let run = world.context.run(["deploy"]).expect_code(0);
    assert_eq!(ran(&run.stdout), order, "{run}");
    let copied = world.context.pipeline().unwrap();
    for path in deployed
        .files()
        .into_iter()
        .filter(|path| *path != "dev/bitops.config.yaml")
    {
        assert_eq!(copied.text(path), deployed.text(path), "{path}");
    }
}

#[test]
fn hooks_that_miss_a_shared_directory_are_reported_before_they_fail() {
    let hook = |name: &str, text: &str| {
        let mut catalog = Catalog::new(name);
        catalog
            .file("env/terraform/bitops.config.yaml", "terraform: {}\n")
            .executable(&format!("env/terraform/bitops.before-deploy.d/{name}.sh"), text)
            .executable("_scripts/login.sh", "echo logged in\n")
            .file("_docs/a.md", "a\n")
            .tag("1.0.0");
        catalog
    };
    let uses = "#!/bin/bash\n# see _docs, $BITOPS_TEMPDIR/_docs\n. $BITOPS_TEMPDIR/_scripts/login.sh\n";
    let world = world(&mut [
        hook("uses", uses),
        hook("relative", "bash ../../_scripts/login.sh\n"),
        hook(
            "neither",
            "# . $BITOPS_TEMPDIR/_scripts/x\n. $BITOPS_TEMPDIR/_other/x || true\necho _scripts/\n",
        ),
    ]);
    let deploy = |entries: &[(&str, &str)]| {
        world
            .context
            .file("dev/bitops.config.yaml", config(&world, entries));
        world.context.run(["deploy"])
    };
    for (catalog, line) in [("uses", 3), ("relative", 1)] {
        let run = deploy(&[(catalog, "")]);
        assert!(run.code != Some(0), "{run}");
        let message = format!(
            "dev/terraform/bitops.before-deploy.d/{catalog}.sh:{line} of env of {} uses _scripts/",
            world
                .server
                .url(catalog)
                .replace(&world.server.address(), "http://127.0.0.1:[PORT]")
        );
        let stderr = run
            .stderr
            .replace(&world.server.address(), "http://127.0.0.1:[PORT]");
        assert!(stderr.contains(&message), "{message}\n{run}");
        assert!(!run.stderr.contains("_docs/,"), "{run}");
        // As the hint says.
        assert!(
            run.stderr
                .contains("`shared: [_scripts]` in the source's entry brings it"),
            "{run}"
        );
        let run = deploy(&[(catalog, ", shared: [_scripts]")]).expect_code(0);
        assert!(run.stdout.contains("logged in"), "{run}");
        assert!(!run.stderr.contains("uses _scripts/"), "{run}");
    }
    // No warning: another source brings it, hooks are off, no hook uses it, or the user has it.
    for entries in [
        &[("uses", ""), ("neither", ", shared: [_scripts]")][..],
        &[("uses", ", hooks: false")],
        &[("neither", "")],
    ] {
        let run = deploy(entries).expect_code(0);
        assert!(!run.stderr.contains("nothing brings along"), "{entries:?}\n{run}");
    }
    world.context.executable("_scripts/login.sh", "echo mine\n");
    let run = deploy(&[("uses", "")]).expect_code(0);
    assert!(run.stdout.contains("mine"), "{run}");
    assert!(!run.stderr.contains("nothing brings along"), "{run}");
}
