//! Terraform's order by file name against the order of the layers.

use crate::{
    compose::{Action, ConflictKind, testing::World},
    layer::SourceId,
};
use compose_model::OnConflict;

/// The names of the composed override files in Terraform's order, with their texts.
fn overrides(world: &World) -> Vec<(String, String)> {
    let composition = world.composed();
    let mut all = Vec::new();
    for file in &composition.files {
        let name = file.path.as_str().strip_prefix("dev/t/").unwrap();
        if name.contains("override") {
            all.push((name.to_owned(), world.text(&composition, file.path.as_str())));
        }
    }
    all.sort();
    all
}

fn pairs(all: &[(String, String)]) -> Vec<(&str, &str)> {
    all.iter()
        .map(|(name, text)| (name.as_str(), text.as_str()))
        .collect()
}

fn listing(local: &[(&str, &str)]) -> World {
    let mut world = World::new(local);
    world.list_local = true;
    world
}

#[test]
fn a_higher_layers_override_files_sort_behind_all_lower_ones() {
    let world = listing(&[("dev/t/override.tf", "local")])
        .source(
            "prod",
            &[("t/override.tf", "prod"), ("t/x_override.tf.json", "{}")],
        )
        .source("eks", &[("t/override.tf", "eks"), ("t/a_override.tf", "first")]);
    assert_eq!(
        pairs(&overrides(&world)),
        [
            ("0-0-prod_override.tf", "prod"),
            ("0-0-prod_x_override.tf.json", "{}"),
            ("0-eks_a_override.tf", "first"),
            ("0-eks_override.tf", "eks"),
            ("override.tf", "local"),
        ]
    );
}

#[test]
fn the_users_own_names_count_whatever_they_are() {
    let world = listing(&[("dev/t/a_override.tf", "local")]).source("eks", &[("t/z_override.tf", "eks")]);
    let expected = [("0-eks_z_override.tf", "eks"), ("a_override.tf", "local")];
    assert_eq!(pairs(&overrides(&world)), expected);
    let composition = world.composed();
    assert_eq!(composition.files[0].action, Action::KeepBoth);
}

#[test]
fn names_that_are_in_order_stay() {
    let world = listing(&[("dev/t/z_override.tf", "local")])
        .source("eks", &[("t/a_override.tf", "eks"), ("t/b_override.tf", "eks")]);
    let expected = [
        ("a_override.tf", "eks"),
        ("b_override.tf", "eks"),
        ("z_override.tf", "local"),
    ];
    assert_eq!(pairs(&overrides(&world)), expected);
}

#[test]
fn the_same_override_file_belongs_to_the_highest_layer_that_has_it() {
    let world = listing(&[])
        .source("a", &[("t/z_override.tf", "same")])
        .source("b", &[("t/m_override.tf", "b")])
        .source("c", &[("t/z_override.tf", "same")]);
    let expected = [("m_override.tf", "b"), ("z_override.tf", "same")];
    assert_eq!(pairs(&overrides(&world)), expected);
}

#[test]
fn a_source_that_steps_back_sorts_first() {
    let world = listing(&[]).source("a", &[("t/a_override.tf", "a")]).source_with(
        "b",
        |source| source.on_conflict = OnConflict::First,
        &[("t/b_override.tf", "b")],
    );
    let expected = [("0-b_b_override.tf", "b"), ("a_override.tf", "a")];
    assert_eq!(pairs(&overrides(&world)), expected);
}

#[test]
fn vendored_override_files_compose_to_themselves() {
    let world = listing(&[("dev/t/override.tf", "local"), ("dev/t/0-eks_override.tf", "eks")])
        .source("eks", &[("t/override.tf", "eks")]);
    let expected = [("0-eks_override.tf", "eks"), ("override.tf", "local")];
    assert_eq!(pairs(&overrides(&world)), expected);
}

fn default(value: u8) -> String {
    format!("variable \"x\" {{\n  default = {value}\n}}\n")
}

#[test]
fn equal_sources_that_override_one_thing_differently_are_in_conflict() {
    let (one, two) = (default(1), default(2));
    let a: &[_] = &[("t/override.tf", one.as_str())];
    let b: &[_] = &[("t/b_override.tf", two.as_str())];
    let world = World::new(&[]).source("a", a).source("b", b);
    let conflict = world.conflict();
    let what = "var.x.default".to_owned();
    assert_eq!(conflict.kind, ConflictKind::OverriddenTwice { what });
    let parties: Vec<_> = conflict
        .parties
        .iter()
        .map(|party| (party.path.as_str(), party.line))
        .collect();
    assert_eq!(
        parties,
        [("a/t/override.tf", Some(2)), ("b/t/b_override.tf", Some(2))]
    );
    assert_eq!(
        world.remedies(&conflict),
        [
            "exclude: [\"/t/override.tf\"] at dev/bitops.config.yaml:1 (a v1.0.0 (org/a-repo)), or exclude: [\"/t/b_override.tf\"] at dev/bitops.config.yaml:1 (b v1.0.0 (org/b-repo)): the whole file is left out then",
            "on-conflict: last at dev/bitops.config.yaml:1 (b v1.0.0 (org/b-repo)): what b v1.0.0 (org/b-repo) has is used then",
            "on-conflict: first at dev/bitops.config.yaml:1 (b v1.0.0 (org/b-repo)): what a v1.0.0 (org/a-repo) has is used then",
            "as: NAME at dev/bitops.config.yaml:1 (a v1.0.0 (org/a-repo)), or at dev/bitops.config.yaml:1 (b v1.0.0 (org/b-repo)): its deployment becomes NAME-t and runs on its own",
            "override `var.x.default` in an override file of your own: a local file wins over every source",
        ]
    );
    // Every remedy settles it.
    for on_conflict in [OnConflict::Last, OnConflict::First] {
        World::new(&[])
            .source("a", a)
            .source_with("b", |source| source.on_conflict = on_conflict, b)
            .composed();
    }
    for own in ["dev/t/override.tf", "dev/t/0_override.tf"] {
        World::new(&[(own, default(3).as_str())])
            .source("a", a)
            .source("b", b)
            .composed();
    }
    // A source wins over the sources that it names.
    World::new(&[])
        .source_with("a", |source| source.nest_below(SourceId(1)), a)
        .source("b", b)
        .composed();
}

#[test]
fn sources_that_override_different_things_or_agree_are_not_in_conflict() {
    let one = default(1);
    for (a, b) in [
        (one.as_str(), "variable \"x\" {\n  default=1.0 # the same\n}\n"),
        (&one, "variable \"x\" {\n  description = \"2\"\n}\n"),
        (&one, "variable \"y\" {\n  default = 2\n}\n"),
        (&one, "variable \"x\" {"),
    ] {
        World::new(&[])
            .source("a", &[("t/override.tf", a)])
            .source("b", &[("t/override.tf", b)])
            .composed();
    }
    // Terraform does not read the one, and OpenTofu does not read the other.
    let two = default(2);
    World::new(&[])
        .source("a", &[("t/a_override.tf", one.as_str())])
        .source("b", &[("t/a_override.tofu", two.as_str())])
        .composed();
}

#[test]
fn what_neither_terraform_nor_opentofu_reads_together_is_not_defined_twice() {
    let twice = |own: &str, theirs: &[&str]| {
        let text = "variable \"x\" {}\n";
        let theirs: Vec<(&str, &str)> = theirs.iter().map(|name| (*name, text)).collect();
        let composition = World::new(&[(own, text)]).source("eks", &theirs).compose();
        composition.conflicts.len()
    };
    assert_eq!(twice("dev/t/x.tofu", &["t/x.tf"]), 0);
    assert_eq!(twice("dev/t/x.tofu", &["t/y.tf"]), 1);
    assert_eq!(
        twice("dev/t/x.tofu", &["t/x.tofu.json"]),
        0,
        "not JSON: it is skipped"
    );
    assert_eq!(twice("dev/t/y.tofu", &["t/x.tf", "t/x.tofu"]), 1);
    assert_eq!(twice("dev/t/y.tf", &["t/x.tf", "t/x.tofu"]), 2);
}
