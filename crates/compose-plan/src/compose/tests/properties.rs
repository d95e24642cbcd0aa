//! Properties of every composition.

use std::collections::BTreeSet;

use proptest::prelude::*;

use crate::{
    compose::{
        Action, Composition, Provenance, Write,
        edit::{remove, set_deployments},
        testing::World,
    },
    config::deployments::declared,
    layer::{Origin, SourceId},
};

const PATHS: [&str; 10] = [
    "README.md",
    "readme.md",
    "a",
    "a/x.sh",
    "terraform/main.tf",
    "terraform/main.b.tf",
    "terraform/x.kv",
    "helm/app/x.kv",
    "helm/app/run.sh*",
    "helm/app/run.sh",
];

type Files = Vec<(&'static str, String)>;

fn files() -> impl Strategy<Value = Files> {
    let text = (0..3u8, 0..3u8).prop_map(|(a, b)| format!("k{a}={b}\n"));
    prop::collection::btree_map(prop::sample::select(&PATHS[..]), text, 0..6).prop_map(|files| {
        let mut seen = BTreeSet::new();
        let mut files: Files = files.into_iter().collect();
        files.retain(|(path, _)| seen.insert(path.trim_end_matches('*')));
        // One tree holds no file and directory of one name.
        let nested = files.iter().any(|(path, _)| path.starts_with("a/"));
        files.retain(|(path, _)| !(nested && *path == "a"));
        files
    })
}

fn world(sources: &[Files], local: &Files) -> World {
    let own: Vec<(String, &str)> = local
        .iter()
        .map(|(path, text)| (format!("dev/{path}"), text.as_str()))
        .collect();
    let own: Vec<(&str, &str)> = own.iter().map(|(path, text)| (path.as_str(), *text)).collect();
    let mut world = World::new(&own);
    for (index, files) in sources.iter().enumerate() {
        let files: Vec<_> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
        world = world.source(["a", "b", "c"][index], &files);
    }
    world
}

/// The composition as the user's own operations repo.
fn vendored(world: &World, composition: &Composition, local: &Files) -> World {
    let mut vendored = World::new(&[]);
    for (path, text) in local {
        vendored = vendored.with_local(&format!("dev/{path}"), text);
    }
    for file in &composition.files {
        let mode = match &file.write {
            Write::Blob { file, .. } => file.mode,
            Write::Bytes { mode, .. } => *mode,
            Write::Local => continue,
        };
        let star = if mode == compose_model::FileMode::Executable {
            "*"
        } else {
            ""
        };
        vendored = vendored.with_local(
            &format!("{}{star}", file.path),
            &world.text(composition, file.path.as_str()),
        );
    }
    vendored
}

/// Fragments of YAML. Most combinations are odd, and some are invalid.
fn scraps() -> impl Strategy<Value = String> {
    let scrap = prop::sample::select(vec![
        "bitops",
        "deployments",
        "default-environments",
        "terraform",
        "plugin",
        ": ",
        ":\n",
        ":\r\n",
        "\n",
        "\n  ",
        "\n    ",
        "\n      ",
        "- ",
        "{",
        "}",
        "[",
        "]",
        ", ",
        "'",
        "\"",
        "\\",
        "# é",
        "&x ",
        "*x",
        "!t ",
        "|\n",
        "|+\n",
        "~",
        "é",
        "---\n",
        "...\n",
        "? ",
        "<<",
        "\u{feff}",
        "\t",
        " ",
    ]);
    prop::collection::vec(scrap, 0..24).prop_map(|scraps| scraps.concat())
}

proptest! {
    #[test]
    fn an_edit_of_any_text_does_what_was_asked_or_says_why_not(text in scraps()) {
        let wanted = [("a", "helm"), ("terraform", "terraform")];
        if let Ok(edited) = set_deployments(&text, &wanted) {
            let declared = declared(&edited).unwrap().unwrap_or_default();
            let names: Vec<_> = declared.iter().map(|one| (one.name.as_str(), one.plugin.as_str())).collect();
            prop_assert_eq!(names, wanted);
        }
        if let Ok(Some((edited, cuts))) = remove(&text, &["bitops", "deployments"]) {
            let lost: usize = cuts.iter().map(|cut| cut.lines).sum();
            prop_assert_eq!(edited.matches('\n').count() + lost, text.matches('\n').count());
        }
    }

    #[test]
    fn no_path_is_lost(sources in prop::collection::vec(files(), 0..4), local in files()) {
        let composition = world(&sources, &local).compose();
        let known: BTreeSet<(Origin, String)> = composition
            .files
            .iter()
            .flat_map(|file| &file.from)
            .map(|Provenance { origin, path }| (*origin, path.to_string()))
            .chain(composition.conflicts.iter().flat_map(|c| &c.parties).map(|p| (p.origin, p.path.to_string())))
            .collect();
        let conflicts: Vec<String> = composition.conflicts.iter().map(|conflict| format!("{}/", conflict.path)).collect();
        for (index, files) in sources.iter().enumerate() {
            for (path, _) in files {
                let path = path.trim_end_matches('*');
                let own = (Origin::Source(SourceId(index)), format!("{}/{path}", ["a", "b", "c"][index]));
                // A loser of a path in conflict may be left unnamed; the path itself is named.
                let in_conflict = conflicts.iter().any(|conflict| format!("dev/{path}/").starts_with(conflict));
                prop_assert!(known.contains(&own) || in_conflict, "{own:?} in {composition:#?}");
            }
        }
    }

    #[test]
    fn the_same_input_gives_the_same_composition(sources in prop::collection::vec(files(), 0..4), local in files()) {
        let world = world(&sources, &local);
        prop_assert_eq!(format!("{:?}", world.compose()), format!("{:?}", world.compose()));
    }

    #[test]
    fn composing_onto_its_own_result_changes_nothing(
        sources in prop::collection::vec(files(), 0..4),
        local in files(),
    ) {
        let first = world(&sources, &local);
        let composition = first.compose();
        if !composition.conflicts.is_empty() {
            return Ok(());
        }
        let mut again = vendored(&first, &composition, &local);
        for (index, files) in sources.iter().enumerate() {
            let files: Vec<_> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
            again = again.source(["a", "b", "c"][index], &files);
        }
        let second = again.compose();
        prop_assert_eq!(&second.conflicts, &[]);
        let written: Vec<_> = second.files.iter().filter(|file| file.write != Write::Local).collect();
        prop_assert!(written.is_empty(), "{:#?}", written);
    }

    #[test]
    fn a_local_environment_is_never_changed(sources in prop::collection::vec(files(), 0..4), local in files()) {
        let composition = world(&sources, &local).compose();
        for (path, _) in local {
            let path = format!("dev/{}", path.trim_end_matches('*'));
            let file = composition.files.iter().find(|file| file.path.as_str() == path);
            prop_assert!(file.is_none_or(|file| file.write == Write::Local || file.action == Action::Merge), "{file:?}");
        }
    }
}
