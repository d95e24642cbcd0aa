//! Terraform's order by file name against the order of the layers.

use crate::compose::{Action, testing::World};
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
