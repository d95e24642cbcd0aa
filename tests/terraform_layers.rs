//! Layers against Terraform's order by file name: what Terraform reads of a composed directory is what the highest layer
//! says, whatever the names of the files.
//!
//! With `BITOPS_COMPOSE_TEST_TERRAFORM` Terraform itself reads the composed directories; it downloads nothing for that.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs,
    io::Write as _,
    path::Path,
    process::{Command, Output, Stdio},
};

use crate::common::world;
use compose_testkit::{Catalog, fuzz::Random};

#[expect(clippy::print_stderr, reason = "a test that is left out says so")]
fn terraform() -> Option<OsString> {
    let named = std::env::var_os("BITOPS_COMPOSE_TEST_TERRAFORM");
    if named.is_none() {
        eprintln!("skipped: BITOPS_COMPOSE_TEST_TERRAFORM names no terraform");
    }
    named
}

fn run(terraform: &OsString, directory: &Path, args: &[&str], input: &str) -> Output {
    let mut child = Command::new(terraform)
        .args(args)
        .current_dir(directory)
        .env("CHECKPOINT_DISABLE", "1")
        .env("HTTPS_PROXY", "http://127.0.0.1:9")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

/// The layers, lowest first: three sources and the local environment.
const LAYERS: [&str; 4] = ["a", "b", "c", "local"];
/// `b` wins over `a`; `c` steps back behind both.
const ENTRIES: [&str; 3] = [
    "{repo: '{repo}/a', environment: a, version: 1.0.0}",
    "{repo: '{repo}/b', environment: b, version: 1.0.0, on-conflict: last}",
    "{repo: '{repo}/c', environment: c, version: 1.0.0, on-conflict: first}",
];

const VARIABLES: [&str; 9] = [
    "terraform.tfvars",
    "terraform.tfvars.json",
    "0.auto.tfvars",
    "a-b.auto.tfvars",
    "a.auto.tfvars",
    "a.auto.tfvars.json",
    "z.auto.tfvars.json",
    "~.auto.tfvars",
    "dev.vars",
];

const OVERRIDES: [&str; 8] = [
    "override.tf",
    "override.tf.json",
    "0_override.tf",
    "0-a_override.tf",
    "A_override.tf",
    "b_override.tf",
    "z_override.tf.json",
    "~_override.tf",
];

/// What the layers set in one directory: by layer, file and name of the variable.
type Settings = BTreeMap<(usize, &'static str), BTreeMap<String, String>>;

const NAMES: usize = 6;

/// Returns random settings of variables (`v0`, …) in files of these names. The values name the layer and the file.
fn settings(random: &mut Random, files: &[&'static str], prefix: &str) -> Settings {
    let mut all = Settings::new();
    for _ in 0..12 {
        let (layer, file) = (random.below(LAYERS.len()), files[random.below(files.len())]);
        let name = format!("{prefix}{}", random.below(NAMES));
        let value = format!("{} {file}", LAYERS[layer]);
        all.entry((layer, file)).or_default().insert(name, value);
    }
    all
}

/// Returns the layer that has to win each variable.
fn winners(settings: &Settings) -> BTreeMap<&str, usize> {
    let mut winners: BTreeMap<&str, usize> = BTreeMap::new();
    for ((layer, _), variables) in settings {
        for name in variables.keys() {
            let known = winners.entry(name).or_insert(*layer);
            if LAYERS[*layer] != "c" {
                *known = *layer;
            }
        }
    }
    winners
}

fn variables_text(file: &str, variables: &BTreeMap<String, String>) -> String {
    if file.ends_with(".json") {
        serde_json::to_string_pretty(variables).unwrap()
    } else {
        variables
            .iter()
            .map(|(name, value)| format!("{name} = \"{value}\"\n"))
            .collect()
    }
}

fn override_text(file: &str, variables: &BTreeMap<String, String>) -> String {
    if file.ends_with(".json") {
        let all: BTreeMap<_, _> = variables
            .iter()
            .map(|(name, value)| (name, serde_json::json!({"default": value})))
            .collect();
        serde_json::json!({ "variable": all }).to_string()
    } else {
        variables
            .iter()
            .map(|(name, value)| format!("variable \"{name}\" {{\n  default = \"{value}\"\n}}\n"))
            .collect()
    }
}

#[test]
fn terraform_reads_what_the_highest_layer_says_whatever_the_names_of_the_files() {
    let Some(terraform) = terraform() else { return };
    let mut random = Random::new(12);
    let cases: Vec<(Settings, Settings)> = (0..60)
        .map(|_| {
            (
                settings(&mut random, &VARIABLES, "v"),
                settings(&mut random, &OVERRIDES, "o"),
            )
        })
        .collect();
    let mut catalogs = LAYERS[..3]
        .iter()
        .map(|name| Catalog::new(name))
        .collect::<Vec<_>>();
    let mut own = Vec::new();
    for (at, (variables, overrides)) in cases.iter().enumerate() {
        let files = variables
            .iter()
            .map(|(place, all)| (place, variables_text(place.1, all)));
        let files = files.chain(
            overrides
                .iter()
                .map(|(place, all)| (place, override_text(place.1, all))),
        );
        for ((layer, file), text) in files {
            match catalogs.get_mut(*layer) {
                Some(catalog) => _ = catalog.file(&format!("{}/t{at}/{file}", LAYERS[*layer]), &text),
                None => own.push((format!("dev/t{at}/{file}"), text)),
            }
        }
    }
    for (name, catalog) in LAYERS.iter().zip(&mut catalogs) {
        catalog
            .file(&format!("{name}/README.md"), "the same\n")
            .tag("1.0.0");
    }
    let world = world(&mut catalogs);
    let deployments: String = (0..cases.len())
        .map(|at| format!("    t{at}: {{plugin: terraform}}\n"))
        .collect();
    let config = format!("{}bitops:\n  deployments:\n{deployments}", world.config(&ENTRIES));
    world.context.file("dev/bitops.config.yaml", config);
    let declared: String = (0..NAMES)
        .map(|at| {
            format!(
                "variable \"v{at}\" {{\n  default = \"-\"\n}}\nvariable \"o{at}\" {{\n  default = \"-\"\n}}\n"
            )
        })
        .collect();
    for at in 0..cases.len() {
        world.context.file(&format!("dev/t{at}/main.tf"), &declared);
        world.context.file(
            &format!("dev/t{at}/bitops.config.yaml"),
            "terraform: {cli: {var-file: dev.vars}}\n",
        );
    }
    for (path, text) in own {
        world.context.file(&path, text);
    }
    world.context.run(["vendor", "--output", "out"]).expect_code(0);
    let names: Vec<String> = (0..NAMES)
        .flat_map(|at| [format!("v{at}"), format!("o{at}")])
        .collect();
    let shown: Vec<String> = names.iter().map(|name| format!("{name} = var.{name}")).collect();
    let input = format!("jsonencode({{{}}})\n", shown.join(", "));
    for (at, (variables, overrides)) in cases.iter().enumerate() {
        let directory = world.context.root().join(format!("out/dev/t{at}"));
        let mut args = vec!["console"];
        if directory.join("dev.vars").exists() {
            args.push("-var-file=dev.vars");
        }
        let output = run(&terraform, &directory, &args, &input);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        let text: String = serde_json::from_str(said.trim()).unwrap_or_else(|_| panic!("{said}{errors}"));
        let values: BTreeMap<String, String> = serde_json::from_str(&text).unwrap();
        let (of_variables, of_overrides) = (winners(variables), winners(overrides));
        for name in &names {
            let winner = of_variables
                .get(name.as_str())
                .or_else(|| of_overrides.get(name.as_str()));
            let expected = winner.map_or("-", |layer| LAYERS[*layer]);
            let layer = values[name].split(' ').next().unwrap();
            assert_eq!(
                layer, expected,
                "{name} is {:?} in {variables:#?}\n{overrides:#?}",
                values[name]
            );
        }
    }
}

/// Blocks of two layers about the state of `terraform_data.old`, and what is reported of them.
const STATE: &[(&str, &str, Option<&str>)] = &[
    (MOVED, MOVED, None),
    (
        MOVED,
        "moved {\n  from = terraform_data . old\n  to   = terraform_data.x # the same\n}\n",
        None,
    ),
    (
        MOVED,
        "moved {\n  from = terraform_data.old\n  to   = terraform_data.y\n}\n",
        Some("move from terraform_data.old"),
    ),
    (
        MOVED,
        "moved {\n  from = terraform_data.older\n  to   = terraform_data.x\n}\n",
        Some("move to terraform_data.x"),
    ),
    (REMOVED, REMOVED, None),
    (
        REMOVED,
        "removed {\n  from = terraform_data.old\n  lifecycle {\n    destroy = true\n  }\n}\n",
        Some("removal of terraform_data.old"),
    ),
    (
        "removed {\n  from = terraform_data.old\n}\n",
        "removed {\n  from = terraform_data.old\n  lifecycle {\n    destroy = true\n  }\n}\n",
        None,
    ),
    (REMOVED, "removed {\n  from = terraform_data.older\n}\n", None),
];
const MOVED: &str = "moved {\n  from = terraform_data.old\n  to   = terraform_data.x\n}\n";
const REMOVED: &str = "removed {\n  from = terraform_data.old\n  lifecycle {\n    destroy = false\n  }\n}\n";
/// What `moved` blocks may move to.
const TARGETS: &str = "resource \"terraform_data\" \"x\" {}\nresource \"terraform_data\" \"y\" {}\n";

#[test]
fn blocks_about_state_that_disagree_are_reported() {
    let mut catalog = Catalog::new("c");
    for (at, (_, theirs, _)) in STATE.iter().enumerate() {
        catalog.file(&format!("env/terraform/{at}/b.tf"), theirs);
    }
    catalog.tag("1.0.0");
    let world = world(&mut [catalog]);
    world.sources(&["{repo: '{repo}/c', environment: env, version: 1.0.0}"]);
    for (at, (own, ..)) in STATE.iter().enumerate() {
        world.context.file(&format!("dev/terraform/{at}/a.tf"), own);
    }
    let plan = world.context.run(["plan", "--format", "json"]);
    let plan: serde_json::Value = serde_json::from_str(&plan.stdout).unwrap();
    let conflicts = plan["conflicts"].as_array().unwrap().iter();
    let told: Vec<(&str, &str)> = conflicts
        .map(|conflict| {
            (
                conflict["path"].as_str().unwrap(),
                conflict["message"].as_str().unwrap(),
            )
        })
        .collect();
    let expected: Vec<(String, String)> = STATE
        .iter()
        .enumerate()
        .filter_map(|(at, (.., what))| {
            let message = format!(
                "two layers define {}, which Terraform allows once in a directory",
                (*what)?
            );
            Some((format!("terraform/{at}/b.tf"), message))
        })
        .collect();
    let expected: Vec<(&str, &str)> = expected
        .iter()
        .map(|(path, message)| (path.as_str(), message.as_str()))
        .collect();
    assert_eq!(told, expected);
}

/// Two blocks disagree if Terraform refuses them, or if what it plans depends on the names of their files.
#[test]
fn terraform_disagrees_with_the_same_blocks_about_state() {
    let Some(terraform) = terraform() else { return };
    for (one, other, what) in STATE {
        let root = tempfile::tempdir().unwrap();
        fs::write(
            root.path().join("main.tf"),
            "resource \"terraform_data\" \"old\" {}\n",
        )
        .unwrap();
        for args in [
            &["init", "-input=false"][..],
            &["apply", "-auto-approve", "-input=false"],
        ] {
            let output = run(&terraform, root.path(), args, "");
            assert!(output.status.success(), "{output:?}");
        }
        let targets = if one.starts_with("moved") { TARGETS } else { "" };
        fs::write(root.path().join("main.tf"), targets).unwrap();
        let plan = |first: &str, second: &str| {
            fs::write(root.path().join("a.tf"), first).unwrap();
            fs::write(root.path().join("b.tf"), second).unwrap();
            let args = ["plan", "-no-color", "-input=false"];
            let output = run(&terraform, root.path(), &args, "");
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            (output.status.success(), said)
        };
        let (first, second) = (plan(one, other), plan(other, one));
        let agree = first.0 && second.0 && first.1 == second.1;
        assert_eq!(agree, what.is_none(), "{one}{other}{}\n{}", first.1, second.1);
    }
}
