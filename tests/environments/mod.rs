//! Real environments: BitOps' own examples if `BITOPS_COMPOSE_TEST_BITOPS_EXAMPLES` names them, and charts
//! rendered by helm if `BITOPS_COMPOSE_TEST_HELM` names it. docs/testing.md explains where to get both.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::common::{World, world};
use compose_testkit::{Catalog, oracle};

const EXAMPLES: &str = "BITOPS_COMPOSE_TEST_BITOPS_EXAMPLES";
const HELM: &str = "BITOPS_COMPOSE_TEST_HELM";

#[expect(clippy::print_stderr, reason = "a test that is left out says so")]
fn named(variable: &str, what: &str) -> Option<PathBuf> {
    let found = std::env::var_os(variable);
    if found.is_none() {
        eprintln!("skipped: {variable} names no {what}");
    }
    found.map(PathBuf::from)
}

/// An environment of one of the examples.
struct Example {
    catalog: String,
    environment: String,
    directory: PathBuf,
}

fn directories(root: &Path) -> Vec<(String, PathBuf)> {
    let mut found: Vec<_> = fs::read_dir(root)
        .unwrap_or_else(|error| panic!("{}: {error}", root.display()))
        .map(Result::unwrap)
        .filter(|entry| entry.file_type().unwrap().is_dir())
        .map(|entry| (entry.file_name().into_string().unwrap(), entry.path()))
        .filter(|(name, _)| !name.starts_with(['_', '.']))
        .collect();
    found.sort();
    found
}

/// Each example as a catalog, and its environments. One that is an environment itself becomes the catalog's `test`.
fn examples(root: &Path) -> (Vec<Catalog>, Vec<Example>) {
    let (mut catalogs, mut examples) = (Vec::new(), Vec::new());
    for (name, directory) in directories(root) {
        let mut catalog = Catalog::new(&name);
        let environments = if directory.join("bitops.config.yaml").exists() {
            catalog.directory("test", &directory);
            vec![("test".to_owned(), directory)]
        } else {
            catalog.directory("", &directory);
            directories(&directory)
        };
        catalogs.push(catalog.tag("1.0.0").clone());
        examples.extend(environments.into_iter().map(|(environment, directory)| Example {
            catalog: name.clone(),
            environment,
            directory,
        }));
    }
    assert!(examples.len() > 1, "{} holds no examples", root.display());
    (catalogs, examples)
}

fn entry(world: &World, example: &Example, more: &str) -> String {
    format!(
        "- {{repo: \"{}\", environment: \"{}\", version: 1.0.0{more}}}\n",
        world.path(&example.catalog).display(),
        example.environment
    )
}

/// Returns the paths in the plan of `dev`, including the local environment's files.
fn planned(world: &World) -> BTreeSet<String> {
    let plan = world.context.run(["plan", "--format", "json"]).expect_code(0);
    let plan: serde_json::Value = serde_json::from_str(&plan.stdout).unwrap();
    let files = plan["files"].as_array().unwrap();
    files
        .iter()
        .map(|file| file["path"].as_str().unwrap().to_owned())
        .collect()
}

fn files_below(directory: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut waiting = vec![directory.to_owned()];
    while let Some(next) = waiting.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                waiting.push(path);
            } else {
                let relative = path.strip_prefix(directory).unwrap();
                found.insert(relative.to_str().unwrap().to_owned());
            }
        }
    }
    found
}

#[test]
#[expect(clippy::print_stderr, reason = "what was compared")]
fn bitops_examples_in_pairs_are_what_a_second_merge_makes_of_them() {
    let Some(root) = named(EXAMPLES, "directory with BitOps' examples") else {
        return;
    };
    let (mut catalogs, examples) = examples(&root);
    let world = world(&mut catalogs);
    let (mut jobs, mut pairs, mut refused) = (Vec::new(), Vec::new(), 0);
    for (at, lower) in examples.iter().enumerate() {
        for higher in &examples[at + 1..] {
            let config = format!(
                "default-environments:\n{}{}",
                entry(&world, lower, ""),
                entry(&world, higher, ", on-conflict: last")
            );
            world.context.file("dev/bitops.config.yaml", &config);
            let output = format!("out/{}", jobs.len());
            let run = world.context.run(["vendor", "--output", &output]);
            if run.code != Some(0) {
                // `on-conflict` cannot settle duplicate definitions.
                let reported = run
                    .stderr
                    .lines()
                    .filter(|line| line.starts_with("error: "))
                    .count();
                let twice = run.stderr.matches("which Terraform allows once").count();
                assert_eq!((run.code, reported), (Some(65), twice), "{config}\n{run}");
                refused += 1;
                continue;
            }
            let result = world.context.root().join(&output).join("dev");
            assert_eq!(planned(&world), files_below(&result), "{config}");
            jobs.push(
                serde_json::json!({"lower": lower.directory, "higher": higher.directory, "result": result}),
            );
            pairs.push(config);
        }
    }
    let answer = compare(&jobs);
    for (pair, wrong) in pairs.iter().zip(answer["wrong"].as_array().unwrap()) {
        assert_eq!(wrong, &serde_json::json!([]), "{pair}");
    }
    eprintln!(
        "{} pairs composed, {refused} refused; files: {}",
        pairs.len(),
        answer["tally"]
    );
}

fn compare(jobs: &[serde_json::Value]) -> serde_json::Value {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/environments/compare.py");
    oracle::ask(oracle::python(script), &serde_json::Value::from(jobs))
}

/// Returns helm's rendering of a chart with these values files over the chart's own.
fn render(helm: &Path, chart: &Path, values: &[PathBuf]) -> String {
    let mut command = Command::new(helm);
    command.arg("template").arg("release").arg(chart);
    for file in values {
        command.arg("-f").arg(file);
    }
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{}: {error}", helm.display()));
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// The values of the user's own environment: other values, new keys, and keys taken away.
const OWN: &str = "# mine\nreplicaCount: 3\nimage:\n  tag: \"1.10\"\n  pullPolicy: ~\nservice: {port: 8080}\nresources: null\n\
                   sub:\n  colour: null\n  deep: {b: [9]}\nbrand: {new: 0x10}\n";

#[test]
fn the_examples_charts_render_as_helm_merges_values_itself() {
    let (Some(root), Some(helm)) = (
        named(EXAMPLES, "directory with BitOps' examples"),
        named(HELM, "helm"),
    ) else {
        return;
    };
    let (mut catalogs, examples) = examples(&root);
    let world = world(&mut catalogs);
    let mut rendered = 0;
    for example in &examples {
        let charts = example.directory.join("helm");
        if !charts.is_dir() {
            continue;
        }
        for (chart, directory) in directories(&charts) {
            let Ok(about) = fs::read_to_string(directory.join("Chart.yaml")) else {
                continue;
            };
            if about.contains("\ndependencies:") {
                continue; // They would be downloaded.
            }
            let own = format!("dev/helm/{chart}/values.yaml");
            world.context.file(&own, OWN).file(
                "dev/bitops.config.yaml",
                format!("default-environments:\n{}", entry(&world, example, "")),
            );
            let output = format!("out/{rendered}");
            world.context.run(["vendor", "--output", &output]).expect_code(0);
            let composed = world.context.root().join(&output).join("dev/helm").join(&chart);
            let values = composed.join("values.yaml");
            assert_eq!(
                render(&helm, &composed, &[values]),
                render(&helm, &directory, &[world.context.ops_repo().join(&own)]),
                "{}/{}: {chart}",
                example.catalog,
                example.environment
            );
            fs::remove_dir_all(world.context.ops_repo().join("dev/helm")).unwrap();
            rendered += 1;
        }
    }
    assert_ne!(rendered, 0, "{} holds no chart", root.display());
}

#[test]
fn a_chart_of_three_layers_renders_as_helm_merges_values_itself() {
    let Some(helm) = named(HELM, "helm") else { return };
    let everything = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: all}\ndata:\n  values: |\n{{ toYaml .Values | indent 4 }}\n";
    let mut catalog = Catalog::new("c");
    catalog
        .file("_default/helm/web/values.yaml", "replicaCount: 2\nlimits: {cpu: 1, memory: 012}\non: yes\n")
        .file("_default/helm/web/templates/default.yaml", everything.replace("all", "default"))
        .file("shop/helm/web/Chart.yaml", "apiVersion: v2\nname: web\nversion: 0.1.0\n")
        .file(
            "shop/helm/web/values.yaml",
            "# theirs\nimage:\n  repository: nginx\n  tag: 1.0\n  pullPolicy: Always\nlimits:\n  cpu: 2\nresources: {a: 1}\nlist: [1, 2]\n",
        )
        .file("shop/helm/web/values-files/extra.yaml", "list: [3]\nextra: {a: 1, b: 2}\n")
        .file("shop/helm/web/templates/all.yaml", everything)
        .file("shop/helm/web/crds/crd.yaml", "kind: CustomResourceDefinition\n---\nkind: Second\n")
        .file("shop/helm/web/charts/sub/Chart.yaml", "apiVersion: v2\nname: sub\nversion: 0.1.0\n")
        .file("shop/helm/web/charts/sub/values.yaml", "colour: red\ndeep: {a: 1, b: [1, 2]}\n")
        .file("shop/helm/web/charts/sub/templates/all.yaml", everything.replace("all", "sub"))
        .tag("1.0.0");
    let world = world(&mut [catalog.clone()]);
    world.sources(&["{repo: '{repo}/c', environment: shop, version: 1.0.0, default-folder: _default}"]);
    world
        .context
        .file("dev/helm/web/values.yaml", OWN)
        .file("dev/helm/web/values-files/extra.yaml", "extra: {b: null, c: 3}\n");
    world.context.run(["vendor", "--output", "out"]).expect_code(0);
    let composed = world.context.root().join("out/dev/helm/web");

    // The layers as they are, helm merging what BitOps would give it: the default's, the chart's, and what follows.
    let layers = world.context.root().join("layers");
    for path in catalog.paths() {
        let to = layers.join(path);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::write(&to, catalog.text(path).unwrap()).unwrap();
    }
    let (default, chart) = (layers.join("_default/helm/web"), layers.join("shop/helm/web"));
    fs::copy(
        default.join("templates/default.yaml"),
        chart.join("templates/default.yaml"),
    )
    .unwrap();
    let own = world.context.ops_repo().join("dev/helm/web");
    let by_helm = [
        default.join("values.yaml"),
        chart.join("values.yaml"),
        own.join("values.yaml"),
        chart.join("values-files/extra.yaml"),
        own.join("values-files/extra.yaml"),
    ];
    let rendered = render(
        &helm,
        &composed,
        &["values.yaml", "values-files/extra.yaml"].map(|name| composed.join(name)),
    );
    assert_eq!(rendered, render(&helm, &chart, &by_helm));
    assert!(
        rendered.contains("memory: 10") && rendered.contains("replicaCount: 3"),
        "{rendered}"
    );
}
