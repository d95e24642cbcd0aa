//! Terraform's variables in files of several layers and several names.

use std::collections::{BTreeMap, BTreeSet};

use compose_model::OnConflict;
use proptest::prelude::*;

use crate::{
    compose::{
        Composition, Conflict, ConflictKind,
        testing::{World, path},
    },
    layer::{Part, SourceId},
};

/// The files that Terraform loads, in its order. The last one is named by the deployment.
const FILES: [&str; 7] = [
    "terraform.tfvars",
    "terraform.tfvars.json",
    "a-b.auto.tfvars",
    "a.auto.tfvars",
    "a.auto.tfvars.json",
    "b.auto.tfvars",
    "dev.vars",
];
const NAMED: (&str, &str) = (
    "dev/t/bitops.config.yaml",
    "terraform: {cli: {var-file: dev.vars}}\n",
);

fn text(name: &str, variables: &[(&str, u8)]) -> String {
    if name.ends_with(".json") {
        let all: Vec<String> = variables
            .iter()
            .map(|(name, value)| format!("  \"{name}\": {value}"))
            .collect();
        format!("{{\n{}\n}}\n", all.join(",\n"))
    } else {
        variables
            .iter()
            .map(|(name, value)| format!("{name} = {value}\n"))
            .collect()
    }
}

fn world(local: &[(&str, &str)]) -> World {
    World::new(&[NAMED]).image(&[("t", "terraform")]).with_all(local)
}

impl World {
    fn with_all(self, local: &[(&str, &str)]) -> Self {
        local
            .iter()
            .fold(self, |world, (path, text)| world.with_local(path, text))
    }
}

/// Returns what Terraform loads from the composed directory.
fn loaded(world: &World, composition: &Composition) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for name in FILES {
        let path = format!("dev/t/{name}");
        let is_composed = composition.files.iter().any(|file| file.path.as_str() == path);
        if is_composed || world.has_local(&path) {
            let text = world.text(composition, &path);
            let assignments = compose_merge::assignments(name, text.as_bytes()).unwrap();
            all.extend(assignments.into_iter().map(|one| (one.name, one.value)));
        }
    }
    all
}

#[test]
fn the_local_value_wins_whichever_files_the_layers_have() {
    for own in FILES {
        for theirs in FILES {
            let local = text(own, &[("x", 1)]);
            let source = text(theirs, &[("w", 3), ("x", 2), ("y", 3)]);
            let world = world(&[(&format!("dev/t/{own}"), &local)])
                .source("eks", &[(&format!("t/{theirs}"), source.as_str())]);
            let composition = world.composed();
            let number = |value: u8| format!("float {value}e0");
            let expected = [("w", 3), ("x", 1), ("y", 3)];
            let expected = expected.map(|(name, value)| (name.to_owned(), number(value)));
            assert_eq!(
                loaded(&world, &composition),
                BTreeMap::from(expected),
                "{own} {theirs}"
            );
        }
    }
}

#[test]
fn what_is_left_out_is_noted_and_the_other_text_stays() {
    let world = world(&[("dev/t/terraform.tfvars", "x = 1\n")]).source(
        "eks",
        &[("t/z.auto.tfvars", "# a\nx = 2 # b\n\n# about y\ny = 3\n")],
    );
    let composition = world.composed();
    assert_eq!(
        world.text(&composition, "dev/t/z.auto.tfvars"),
        "\n# about y\ny = 3\n"
    );
    let file = composition.file(&path("dev/t/z.auto.tfvars")).unwrap();
    assert_eq!(
        file.notes,
        [
            "`x` of eks/t/z.auto.tfvars of https://host/org/eks-repo is left out, because your own dev/t/terraform.tfvars sets it and comes first for Terraform"
        ]
    );
    // The same value, or a file that comes before, needs no change.
    for (name, value) in [("z.auto.tfvars", "x = 1.0\n"), ("a.auto.tfvars", "x = 2\n")] {
        let world = self::world(&[("dev/t/m.auto.tfvars", "x = 1\n")])
            .source("eks", &[(&format!("t/{name}"), value)]);
        let composition = world.composed();
        assert_eq!(world.text(&composition, &format!("dev/t/{name}")), value);
    }
}

/// Returns a conflict between two files as the variable, and the paths and lines of the parties.
fn between(conflict: &Conflict) -> (&str, Vec<(&str, Option<usize>)>) {
    let (ConflictKind::Variable { variable } | ConflictKind::VariableOrder { variable, .. }) = &conflict.kind
    else {
        panic!("{conflict:?}");
    };
    let parties = conflict.parties.iter();
    (
        variable,
        parties.map(|party| (party.path.as_str(), party.line)).collect(),
    )
}

#[test]
fn equal_sources_that_differ_in_two_files_are_in_conflict() {
    let a: &[_] = &[("t/b.auto.tfvars", "w = 0\nx = 1\n")];
    let b: &[_] = &[("t/terraform.tfvars", "x = 2\n")];
    let differing = world(&[]).source("a", a).source("b", b);
    let conflict = differing.conflict();
    assert_eq!(conflict.path.as_str(), "dev/t/b.auto.tfvars");
    assert_eq!(
        between(&conflict),
        (
            "x",
            vec![("a/t/b.auto.tfvars", Some(2)), ("b/t/terraform.tfvars", Some(1))]
        )
    );
    assert_eq!(
        differing.remedies(&conflict),
        [
            "exclude: [\"/t/b.auto.tfvars\"] at dev/bitops.config.yaml:1 (a v1.0.0 (org/a-repo)), or exclude: [\"/t/terraform.tfvars\"] at dev/bitops.config.yaml:1 (b v1.0.0 (org/b-repo)): the whole file is left out then",
            "on-conflict: last at dev/bitops.config.yaml:1 (b v1.0.0 (org/b-repo)): what b v1.0.0 (org/b-repo) has is used then",
            "on-conflict: first at dev/bitops.config.yaml:1 (b v1.0.0 (org/b-repo)): what a v1.0.0 (org/a-repo) has is used then",
            "as: NAME at dev/bitops.config.yaml:1 (a v1.0.0 (org/a-repo)), or at dev/bitops.config.yaml:1 (b v1.0.0 (org/b-repo)): its deployment becomes NAME-t and runs on its own",
            "set `x` in your own dev/t/b.auto.tfvars: a local value wins over every source",
        ]
    );
    for (on_conflict, value) in [(OnConflict::Last, "float 2e0"), (OnConflict::First, "float 1e0")] {
        let world = world(&[])
            .source("a", a)
            .source_with("b", |source| source.on_conflict = on_conflict, b);
        let composition = world.composed();
        assert_eq!(loaded(&world, &composition)["x"], value);
    }
    // A local value in any file settles it.
    for name in FILES {
        let local = text(name, &[("x", 3)]);
        let world = world(&[(&format!("dev/t/{name}"), &local)])
            .source("a", a)
            .source("b", b);
        let composition = world.composed();
        assert_eq!(loaded(&world, &composition)["x"], "float 3e0", "{name}");
    }
    // A source wins over the sources that it names.
    let world = world(&[])
        .source_with("n", |source| source.nest_below(SourceId(1)), a)
        .source("b", b);
    let composition = world.composed();
    assert_eq!(loaded(&world, &composition)["x"], "float 2e0");
}

#[test]
fn a_conflict_in_one_file_is_settled_by_a_value_in_another_one() {
    let files = |value| text("terraform.tfvars", &[("x", value)]);
    for own in FILES {
        let world = world(&[(&format!("dev/t/{own}"), &text(own, &[("x", 3)]))])
            .source("a", &[("t/terraform.tfvars", &files(1))])
            .source("b", &[("t/terraform.tfvars", &files(2))]);
        let composition = world.composed();
        assert_eq!(loaded(&world, &composition)["x"], "float 3e0", "{own}");
    }
}

#[test]
fn what_cannot_be_left_out_is_a_conflict() {
    let sops = "{\"x\": \"ENC[AES256_GCM,data:1]\", \"sops\": {\"mac\": \"ENC[1]\", \"version\": \"3\"}}";
    let encrypted = world(&[("dev/t/terraform.tfvars", "x = 1\n")])
        .source("eks", &[("t/secrets.auto.tfvars.json", sops)]);
    let conflict = encrypted.conflict();
    assert_eq!(
        between(&conflict),
        (
            "x",
            vec![
                ("eks/t/secrets.auto.tfvars.json", Some(1)),
                ("dev/t/terraform.tfvars", Some(1))
            ]
        )
    );
    assert_eq!(
        encrypted.remedies(&conflict),
        [
            "exclude: [\"/t/secrets.auto.tfvars.json\"] at dev/bitops.config.yaml:1 (eks v1.0.0 (org/eks-repo)): the whole file is left out then",
            "move `x` of the higher layer to dev/t/secrets.auto.tfvars.json",
        ]
    );
    // A file that two deployments read is not changed for one of them.
    let config = "terraform: {cli: {var-file: ../common/dev.vars}}\n";
    let shared = |local: &[(&str, &str)]| {
        World::new(local)
            .with_local("dev/t/bitops.config.yaml", config)
            .with_local("dev/u/bitops.config.yaml", config)
            .image(&[("t", "terraform"), ("u", "terraform")])
            .source("eks", &[("common/dev.vars", "x = 2\n")])
    };
    let conflict = shared(&[("dev/t/terraform.tfvars", "x = 1\n")]).conflict();
    assert!(
        matches!(&conflict.kind, ConflictKind::VariableOrder { problem, .. } if problem == "several deployments read that file"),
        "{conflict:?}"
    );
    shared(&[("dev/t/terraform.tfvars", "y = 1\n")]).composed();
}

#[test]
fn a_file_that_a_deployment_names_is_merged_by_variable_whatever_its_name() {
    for (name, value, merged) in [
        ("dev.tfvars", "dev.tfvars", "x = 1\ny = 3\n"),
        ("dev.vars", "./dev.vars", "x = 1\ny = 3\n"),
        ("envs/dev", "envs/dev", "x = 1\ny = 3\n"),
        ("values.yaml", "values.yaml", "x = 1\ny = 3\n"),
    ] {
        let config = format!("terraform:\n  cli:\n    var-file: {value}\n");
        for (own, theirs) in [(Some(&config), None), (None, Some(&config))] {
            let mut world = World::new(&[(&format!("dev/t/{name}"), "x = 1\n")]).image(&[("t", "terraform")]);
            if let Some(config) = own {
                world = world.with_local("dev/t/bitops.config.yaml", config);
            }
            let (path, config) = (format!("t/{name}"), theirs.map(String::as_str));
            let mut files = vec![(path.as_str(), "x = 2\ny = 3\n")];
            files.extend(config.map(|config| ("t/bitops.config.yaml", config)));
            let world = world.source("eks", &files);
            let composition = world.composed();
            assert_eq!(
                world.text(&composition, &format!("dev/t/{name}")),
                merged,
                "{name}"
            );
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Assigned {
    layer: usize,
    file: usize,
    variable: usize,
    value: u8,
}

const VARIABLES: [&str; 3] = ["x", "y", "z"];
/// The local environment's layer, above four layers of three sources.
const LOCAL: usize = 4;

fn assigned() -> impl Strategy<Value = Vec<Assigned>> {
    let one = (0..=LOCAL, 0..FILES.len(), 0..VARIABLES.len(), 0..4u8);
    let one = one.prop_map(|(layer, file, variable, value)| Assigned {
        layer,
        file,
        variable,
        value,
    });
    prop::collection::vec(one, 1..24)
}

/// Returns the texts of a layer's files.
fn files_of(all: &[Assigned], layer: usize) -> Vec<(String, String)> {
    let mut files: BTreeMap<usize, BTreeMap<&str, u8>> = BTreeMap::new();
    for one in all.iter().filter(|one| one.layer == layer) {
        files
            .entry(one.file)
            .or_default()
            .insert(VARIABLES[one.variable], one.value);
    }
    let files = files.into_iter().map(|(file, variables)| {
        let variables: Vec<_> = variables.into_iter().collect();
        (FILES[file].to_owned(), text(FILES[file], &variables))
    });
    files.collect()
}

/// The layers 0, 2 and 3 are environments of sources, and 1 is the default folder of the second one.
fn stack(all: &[Assigned], on_conflict: [OnConflict; 3]) -> World {
    let of = |layer, dir: &str| -> Vec<(String, String)> {
        let files = files_of(all, layer).into_iter();
        files
            .map(|(name, text)| (format!("{dir}/{name}"), text))
            .collect()
    };
    fn as_str(files: &[(String, String)]) -> Vec<(&str, &str)> {
        files
            .iter()
            .map(|(name, text)| (name.as_str(), text.as_str()))
            .collect()
    }
    let [first, folder, second, third] = [0, 1, 2, 3].map(|layer| of(layer, "t"));
    let local = of(LOCAL, "dev/t");
    let world = world(&as_str(&local))
        .source_with("a", |source| source.on_conflict = on_conflict[0], &as_str(&first))
        .source_with("b", |source| source.on_conflict = on_conflict[1], &[]);
    world
        .part(Part::DefaultFolder(path("_default")), &as_str(&folder))
        .part(Part::Environment, &as_str(&second))
        .source_with("c", |source| source.on_conflict = on_conflict[2], &as_str(&third))
}

/// Returns what each layer sets a variable to: in the last of its files.
fn values(all: &[Assigned], variable: usize) -> BTreeMap<usize, u8> {
    let mut effective: BTreeMap<usize, (usize, u8)> = BTreeMap::new();
    for one in all.iter().filter(|one| one.variable == variable) {
        let entry = effective.entry(one.layer).or_insert((one.file, one.value));
        if one.file >= entry.0 {
            *entry = (one.file, one.value);
        }
    }
    effective
        .into_iter()
        .map(|(layer, (_, value))| (layer, value))
        .collect()
}

fn source_of(layer: usize) -> usize {
    [0, 1, 1, 2][layer]
}

proptest! {
    #[test]
    fn terraform_loads_what_a_fold_of_the_layers_gives(all in assigned(), last in prop::array::uniform3(any::<bool>())) {
        let on_conflict = last.map(|last| if last { OnConflict::Last } else { OnConflict::First });
        let world = stack(&all, on_conflict);
        let composition = world.composed();
        let loaded = loaded(&world, &composition);
        for (index, name) in VARIABLES.iter().enumerate() {
            let mut folded: Option<(usize, u8)> = None;
            for (layer, value) in values(&all, index) {
                let wins = match folded {
                    None => true,
                    Some(_) if layer == LOCAL => true,
                    Some((lower, _)) => source_of(lower) == source_of(layer) || last[source_of(layer)],
                };
                if wins {
                    folded = Some((layer, value));
                }
            }
            let expected = folded.map(|(_, value)| if value == 0 { "float 0".to_owned() } else { format!("float {value}e0") });
            prop_assert_eq!(loaded.get(*name).cloned().map(|value| value.replace("0e0", "0")), expected, "{}", name);
        }
    }

    #[test]
    fn equal_sources_are_in_conflict_if_and_only_if_their_values_differ(all in assigned()) {
        let world = stack(&all, [OnConflict::Error; 3]);
        let composition = world.compose();
        let mut told: BTreeSet<&str> = BTreeSet::new();
        for conflict in &composition.conflicts {
            match &conflict.kind {
                ConflictKind::Variable { variable } => told.insert(variable),
                ConflictKind::Key { key } => told.insert(key),
                other => panic!("{other:?}"),
            };
        }
        for (index, name) in VARIABLES.iter().enumerate() {
            let values = values(&all, index);
            let mut by_source: BTreeMap<usize, u8> = BTreeMap::new();
            for (layer, value) in values.range(..LOCAL) {
                by_source.insert(source_of(*layer), *value);
            }
            let different: BTreeSet<u8> = by_source.into_values().collect();
            let expected = different.len() > 1 && !values.contains_key(&LOCAL);
            prop_assert_eq!(told.contains(name), expected, "{}: {:?}", name, composition.conflicts);
        }
    }
}
