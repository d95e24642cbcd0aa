//! Files that are meant to be merged and cannot be, and documents that never are.

use std::fs;

use crate::common::{World, world};
use compose_testkit::{Catalog, Run};

/// Returns a world with catalogs `c` and `d`, whose environment `env` has these files.
fn two(c: &[(&str, &str)], d: &[(&str, &str)]) -> World {
    let catalog = |name: &str, files: &[(&str, &str)]| {
        let mut catalog = Catalog::new(name);
        for (path, text) in files {
            catalog.file(&format!("env/{path}"), text);
        }
        catalog.tag("1.0.0");
        catalog
    };
    let mut catalogs = vec![catalog("c", c)];
    if !d.is_empty() {
        catalogs.push(catalog("d", d));
    }
    world(&mut catalogs)
}

fn entry(catalog: &str, more: &str) -> String {
    format!("{{repo: '{{repo}}/{catalog}', environment: env, version: 1.0.0{more}}}")
}

fn deploy(world: &World, entries: &[String], code: i32) -> Run {
    world.sources(&entries.iter().map(String::as_str).collect::<Vec<_>>());
    let run = world.context.run(["deploy"]).expect_code(code);
    assert_eq!(world.context.pipeline().is_some(), code == 0, "{run}");
    run
}

/// Returns what is printed before the pipeline starts.
fn warnings(run: &Run) -> String {
    let shown = run.to_string();
    shown.split(" INFO source").next().unwrap_or_default().to_owned()
}

#[track_caller]
fn deployed(world: &World, path: &str) -> String {
    let seen = world.context.pipeline().expect("the pipeline was started");
    seen.text(&format!("dev/{path}")).expect(path).to_owned()
}

#[test]
fn a_local_file_with_a_mistake_is_deployed_with_a_warning() {
    let deep = format!("{}1{}\n", "{a: ".repeat(200), "}".repeat(200));
    let world = two(
        &[
            ("app.yaml", "name: web\nport: 80\n"),
            ("data.json", "{\"a\": 1}\n"),
            ("deep.yaml", "a: {}\n"),
            ("x.auto.tfvars", "a = 1\n"),
            ("play.yaml", "- hosts: a\n"),
        ],
        &[],
    );
    for (path, text) in [
        ("app.yaml", "name: api\nport: [\n"),
        ("data.json", "{\"a\": 1,\n \"b\" 2}\n"),
        ("deep.yaml", &deep),
        ("x.auto.tfvars", "a = 1\nb = = 2\n"),
        ("play.yaml", "- hosts: b\n"),
    ] {
        world.context.file(&format!("dev/{path}"), text);
    }
    let run = deploy(&world, &[entry("c", "")], 0);
    insta::assert_snapshot!(warnings(&run));
    assert_eq!(deployed(&world, "app.yaml"), "name: api\nport: [\n");
    assert_eq!(deployed(&world, "play.yaml"), "- hosts: b\n");
}

#[test]
fn a_source_with_a_mistake_is_settled_with_a_warning_or_not_at_all() {
    let world = two(
        &[("app.yaml", "name: web\n")],
        &[("app.yaml", "name: api\n  port: 80\n")],
    );
    let entries = [entry("c", ""), entry("d", "")];
    insta::assert_snapshot!("a_source_conflict", deploy(&world, &entries, 65).to_string());
    let entries = [entry("c", ""), entry("d", ", on-conflict: last")];
    insta::assert_snapshot!("a_source_settled", warnings(&deploy(&world, &entries, 0)));
    assert_eq!(deployed(&world, "app.yaml"), "name: api\n  port: 80\n");
    // The local file replaces a source's broken one; nothing that could be read is lost.
    world.context.file("dev/app.yaml", "name: own\n");
    let run = deploy(&world, &[entry("d", "")], 0);
    assert!(
        run.stderr.contains("env/app.yaml") && run.stderr.contains("line 2, column 7"),
        "{run}"
    );
    assert_eq!(deployed(&world, "app.yaml"), "name: own\n");
}

#[test]
fn nothing_of_an_environments_config_is_lost() {
    let world = two(
        &[(
            "bitops.config.yaml",
            "bitops:\n  fail_fast: true\nextra: {1: a, true: b}\n",
        )],
        &[],
    );
    insta::assert_snapshot!(deploy(&world, &[entry("c", "")], 65).to_string());
}

#[test]
fn encrypted_files_and_other_objects_are_never_mixed() {
    let secret = |value: &str| format!("password: ENC[{value}]\nsops:\n  mac: ENC[{value}]\n");
    let object = |name: &str| {
        format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n  {name}: x\n")
    };
    let (theirs, own) = (secret("theirs"), secret("own"));
    let (one, other) = (object("one"), object("other"));
    let world = two(
        &[("secrets.yaml", &theirs), ("map.yaml", &one)],
        &[("secrets.yaml", &own), ("map.yaml", &other)],
    );
    let entries = [entry("c", ""), entry("d", "")];
    insta::assert_snapshot!("mixed_between_sources", deploy(&world, &entries, 65).to_string());
    // A pipeline that starts no tool may end, and remove its copy, before the parent has looked at it, which is a warning.
    world
        .context
        .file("dev/terraform/bitops.config.yaml", "terraform: {}\n")
        .file("dev/secrets.yaml", &own)
        .file("dev/map.yaml", &other);
    let run = deploy(&world, &entries[..1], 0);
    assert!(!run.stderr.contains("warning"), "{run}");
    assert_eq!(deployed(&world, "secrets.yaml"), own);
    assert_eq!(deployed(&world, "map.yaml"), other);
    fs::remove_file(world.context.ops_repo().join("dev/map.yaml")).unwrap();
    deploy(&world, &entries[..1], 0);
    assert_eq!(deployed(&world, "map.yaml"), one);
}
