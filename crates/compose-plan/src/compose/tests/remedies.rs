//! Every remedy that is offered settles the conflicts that it is offered for: each is followed as data.

use compose_model::{Filter, Globs, OnConflict, TreePath};
use proptest::prelude::*;

use crate::{
    compose::{
        Composition, Conflict,
        remedy::{Change, EntryEdit, OwnEdit},
        report::letters::lettered,
        testing::{World, path},
    },
    layer::{Part, SourceId},
};

/// Follows changes. Returns `None` if one of them is not in the user's hands or only in words.
fn followed(world: &World, changes: &[Change]) -> Option<World> {
    let mut world = world.clone();
    for (index, change) in changes.iter().enumerate() {
        match change {
            Change::Entry(change) if !change.is_own => return None,
            Change::Entry(change) => edit_entry(&mut world, change.at, &change.edit, index),
            Change::Own { file, edit } => world = edit_own(world, file, edit)?,
            Change::Other(_) => return None,
        }
    }
    Some(world)
}

fn edit_entry(world: &mut World, at: SourceId, edit: &EntryEdit, index: usize) {
    let source = &mut world.layers.sources[at.0];
    match edit {
        EntryEdit::Last => source.on_conflict = OnConflict::Last,
        EntryEdit::First => source.on_conflict = OnConflict::First,
        EntryEdit::Rename => source.rename = Some(format!("new{index}")),
        EntryEdit::NotRenamed => source.rename = None,
        EntryEdit::NotShared(dir) => world
            .layers
            .layers
            .retain(|layer| layer.source != at || layer.part != Part::Shared(path(dir))),
        EntryEdit::Exclude(globs) => {
            let filter = Filter::new(
                Globs::new(Vec::new()).unwrap(),
                Globs::new(globs.clone()).unwrap(),
                true,
            );
            for layer in &mut world.layers.layers {
                if layer.source == at && !matches!(layer.part, Part::Shared(_)) {
                    let kept = layer.files.iter().filter(|file| filter.keeps(&file.path));
                    layer.files = kept.cloned().collect();
                    let is_kept = |file: &TreePath| layer.files.iter().any(|kept| kept.path == *file);
                    layer.config = layer.config.take().filter(|config| is_kept(&config.file.path));
                }
            }
        }
    }
}

fn edit_own(world: World, file: &TreePath, edit: &OwnEdit) -> Option<World> {
    let there = world
        .local
        .get(file)
        .map(|(_, bytes)| String::from_utf8(bytes.to_vec()).unwrap());
    let there = there.unwrap_or_default();
    match edit {
        OwnEdit::Set(key) if file.as_str().ends_with(".kv") => {
            Some(world.with_local(file.as_str(), &format!("{there}{key}=own\n")))
        }
        OwnEdit::Set(key) => Some(world.with_local(file.as_str(), &format!("{there}{key} = \"own\"\n"))),
        OwnEdit::Write => Some(world.with_local(file.as_str(), "own")),
        OwnEdit::Override(what) => {
            let name = what.strip_prefix("var.")?.strip_suffix(".default")?;
            let own = file.with_file_name("own_override.tf").unwrap();
            let text = format!("variable \"{name}\" {{\n  default = \"own\"\n}}\n");
            Some(world.with_local(own.as_str(), &text))
        }
        OwnEdit::TakeOut(_) => Some(world.with_local(file.as_str(), "# nothing\n")),
        OwnEdit::Rename => {
            let mut world = world;
            let below = format!("{file}/");
            world
                .local
                .retain(|path, _| path != file && !path.as_str().starts_with(&below));
            Some(world.with_local(&format!("{file}-renamed"), "own"))
        }
        OwnEdit::List(_) | OwnEdit::PlainList => None,
    }
}

/// Returns whether a conflict is still there. A source that was behind another one's file may come to the fore, which is
/// another conflict.
fn has(composition: &Composition, conflict: &Conflict) -> bool {
    let sides = conflict.between();
    composition.conflicts.iter().any(|other| {
        let same = other.path == conflict.path && other.kind == conflict.kind;
        same && other.between().iter().all(|side| sides.contains(side))
    })
}

/// Follows every remedy of a world's conflicts in each way, and returns how many ways there were.
#[track_caller]
fn follow_all(world: &World) -> usize {
    let composition = world.compose();
    assert_eq!(composition.more_conflicts, 0);
    let mut count = 0;
    for (index, group) in composition.groups.iter().enumerate() {
        let conflicts: Vec<&Conflict> = composition
            .conflicts
            .iter()
            .filter(|conflict| conflict.group == index)
            .collect();
        assert_eq!(conflicts.len(), group.conflicts);
        let remedies = lettered(&conflicts);
        for (at, conflict) in conflicts.iter().enumerate() {
            let is_settled = remedies.iter().any(|remedy| remedy.settles.contains(&at));
            assert!(is_settled, "{conflict:#?}");
        }
        for remedy in &remedies {
            for changes in remedy.alternatives() {
                let Some(after) = followed(world, &changes) else {
                    continue;
                };
                count += 1;
                let after = after.compose();
                for at in &remedy.settles {
                    assert!(
                        !has(&after, conflicts[*at]),
                        "{changes:#?}\n{:#?}",
                        conflicts[*at]
                    );
                }
                let is_all = remedy.settles.len() == conflicts.len();
                for left in after.conflicts.iter().filter(|_| is_all) {
                    let other = &after.groups[left.group];
                    let was_elsewhere = composition.conflicts.iter().any(|before| {
                        before.group != index && before.path == left.path && before.kind == left.kind
                    });
                    let is_of_group = !was_elsewhere
                        && other.directory == group.directory
                        && left.between().iter().all(|side| group.sides.contains(side))
                        && conflicts
                            .iter()
                            .any(|conflict| conflict.kind.as_str() == left.kind.as_str());
                    assert!(!is_of_group, "{changes:#?}\n{left:#?}\n{conflicts:#?}");
                }
            }
        }
        // The same as a program reads it: by conflict.
        for conflict in conflicts {
            for remedy in conflict.remedies.iter().filter(|remedy| remedy.is_shared) {
                assert!(
                    remedy.settles <= group.conflicts && remedy.settles > 0,
                    "{remedy:?}"
                );
            }
        }
    }
    count
}

const VARIABLE: &str = "variable \"x\" {\n  default = VALUE\n}\n";

fn variable(value: &str) -> String {
    VARIABLE.replace("VALUE", value)
}

#[test]
fn every_remedy_of_every_kind_settles_what_it_is_offered_for() {
    let image = &[("t", "terraform"), ("h", "helm")];
    let plain = |name: &str| {
        let own = variable(&format!("\"{name}\""));
        let files = [
            ("t/run.sh".to_owned(), name.to_owned()),
            ("t/x.kv".to_owned(), format!("j={name}\nk={name}\n")),
            ("t/terraform.tfvars".to_owned(), format!("one = \"{name}\"\n")),
            (format!("t/{name}.auto.tfvars"), format!("two = \"{name}\"\n")),
            (format!("t/{name}_override.tf"), own),
            (format!("t/{name}.tf"), "resource \"a\" \"b\" {}\n".to_owned()),
            ("h/a [b]{c,d} !e/x.kv".to_owned(), format!("k={name}\n")),
            ("h/a [b]{c,d} !e/y".to_owned(), name.to_owned()),
            ("#x".to_owned(), name.to_owned()),
            ("h/m/deep/y".to_owned(), name.to_owned()),
        ];
        files.to_vec()
    };
    let with = |world: World, name: &str, set: fn(&mut crate::layer::Source), files: &[(String, String)]| {
        let files: Vec<(&str, &str)> = files
            .iter()
            .map(|(path, text)| (path.as_str(), text.as_str()))
            .collect();
        world.source_with(name, set, &files)
    };
    let two = with(World::new(&[]).image(image), "a", |_| {}, &plain("a"));
    let two = with(two, "b", |_| {}, &plain("b"));
    let three = with(two.clone(), "c", |_| {}, &plain("c"));
    let renamed = with(
        World::new(&[]).image(image),
        "a",
        |source| source.rename = Some("p".into()),
        &plain("a"),
    );
    let renamed = with(
        renamed,
        "b",
        |source| source.rename = Some("p".into()),
        &plain("b"),
    );
    // Two sources of one catalog, which the local config names, and a third one beside it.
    let nested = with(
        World::new(&[]).image(image),
        "a",
        |source| source.nest_below(SourceId(2)),
        &plain("a"),
    );
    let nested = with(nested, "b", |source| source.nest_below(SourceId(2)), &plain("b"));
    let nested = nested.source("parent", &[("own", "")]);
    let nested = with(nested, "c", |_| {}, &plain("c"));
    let own = World::new(&[
        ("dev/t/own.tf", "resource \"a\" \"b\" {}\n"),
        ("dev/h/README", "own"),
        ("dev/h/dir/x", "own"),
        ("dev/h/file", "own"),
    ])
    .image(image)
    .source(
        "a",
        &[
            ("t/main.tf", "resource \"a\" \"b\" {}\n"),
            ("h/readme", "a"),
            ("h/dir", "a"),
        ],
    )
    .source("b", &[("h/dir/y", "b"), ("h/file/z", "b")]);
    let names = World::new(&[])
        .image(image)
        .source(
            "a",
            &[("t/README", "a"), ("t/d/x", "a"), ("u/R", "a"), ("u/r", "a")],
        )
        .source("b", &[("t/readme", "b"), ("t/d", "b"), ("n/A", "b")])
        .source("c", &[("n/a", "b"), ("t/d/y", "b")]);
    let shared = World::new(&[])
        .source("a", &[])
        .part(Part::Shared(path("_scripts")), &[("x.sh", "a"), ("y.sh", "a")])
        .source("b", &[])
        .part(Part::Shared(path("_scripts")), &[("x.sh", "b"), ("y.sh", "b")]);
    let defaults = World::new(&[])
        .image(image)
        .source("a", &[])
        .part(
            Part::DefaultFolder(path("_default")),
            &[("t/#main.tf", "resource \"a\" \"b\" {}\n"), ("t/x", "a")],
        )
        .source("b", &[("t/b.tf", "resource \"a\" \"b\" {}\n"), ("t/x*", "a")]);
    for (name, world, least) in [
        ("two", two, 25),
        ("three", three, 30),
        ("renamed", renamed, 20),
        ("nested", nested, 12),
        ("own", own, 6),
        ("names", names, 8),
        ("shared", shared, 5),
        ("defaults", defaults, 6),
    ] {
        let count = follow_all(&world);
        assert!(count >= least, "{name}: {count}");
    }
}

/// The paths and contents of which random compositions are made.
const POOL: [(&str, &str); 22] = [
    ("t/run.sh", "1"),
    ("t/run.sh", "2"),
    ("t/run.sh*", "1"),
    ("t/x.kv", "k=1\nj=1\n"),
    ("t/x.kv", "k=2\nj=1\n"),
    ("t/x.kv", "j=2\n"),
    ("t/x.kv", "broken"),
    ("t/a.tf", "resource \"a\" \"b\" {}\n"),
    ("t/b.tf", "resource \"a\" \"b\" {}\n"),
    ("t/b.tf", "resource \"a\" \"c\" {}\n"),
    ("t/o_override.tf", "variable \"x\" {\n  default = 1\n}\n"),
    ("t/p_override.tf", "variable \"x\" {\n  default = 2\n}\n"),
    ("t/terraform.tfvars", "v = 1\n"),
    ("t/a.auto.tfvars", "v = 2\n"),
    ("t/README", "1"),
    ("t/readme", "1"),
    ("t/d", "1"),
    ("t/d/x", "1"),
    ("h/c/y", "1"),
    ("h/c/y", "2"),
    ("top", "1"),
    ("top", "2"),
];

fn files() -> impl Strategy<Value = Vec<(&'static str, &'static str)>> {
    let picked = proptest::collection::vec(0..POOL.len(), 1..8);
    picked.prop_map(|picked| {
        let mut files: Vec<(&str, &str)> = Vec::new();
        for at in picked {
            let (path, text) = POOL[at];
            let bare = path.trim_end_matches('*');
            let is_free = files.iter().all(|(other, _)| {
                let other = other.trim_end_matches('*');
                other != bare
                    && !other.starts_with(&format!("{bare}/"))
                    && !bare.starts_with(&format!("{other}/"))
            });
            if is_free {
                files.push((path, text));
            }
        }
        files
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn remedies_of_random_compositions_work(
        sources in proptest::collection::vec((files(), 0..6_u8), 2..4),
        local in proptest::option::of(files()),
    ) {
        let local: Vec<(String, &str)> = local
            .unwrap_or_default()
            .into_iter()
            .map(|(path, text)| (format!("dev/{path}"), text))
            .collect();
        let local: Vec<(&str, &str)> = local.iter().map(|(path, text)| (path.as_str(), *text)).collect();
        let mut world = World::new(&local).image(&[("t", "terraform")]);
        let last = SourceId(sources.len() - 1);
        for (index, (files, how)) in sources.iter().enumerate() {
            world = world.source_with(&format!("s{index}"), |source| match how {
                0 if index < last.0 => source.nest_below(last),
                1 => source.rename = Some("r".to_owned()),
                _ => {}
            }, files);
        }
        follow_all(&world);
    }
}
