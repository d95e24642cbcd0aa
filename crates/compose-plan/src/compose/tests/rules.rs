//! The rules about files that several layers have.

use compose_model::{FileMode, OnConflict};

use super::{strings, summary};
use crate::{
    compose::{
        Action, ConflictKind, Holds, Write,
        testing::{World, path},
    },
    layer::{Origin, Part, SourceId},
};

#[test]
fn a_file_of_one_source_is_added_as_it_is() {
    let world = World::new(&[]).source("eks", &[("terraform/run.sh*", "x"), ("README.md", "y")]);
    let composition = world.composed();
    assert_eq!(
        summary(&composition),
        [
            ("dev/README.md", Action::Add, strings(&["0 eks/README.md"])),
            (
                "dev/terraform/run.sh",
                Action::Add,
                strings(&["0 eks/terraform/run.sh"])
            ),
        ]
    );
    let Write::Blob { source, file } = &composition.files[1].write else {
        panic!("{composition:?}")
    };
    assert_eq!(
        (*source, file.mode),
        (SourceId(0), FileMode::Executable),
        "executable bits are kept"
    );
    assert_eq!(
        *world.reads.borrow(),
        [""; 0],
        "nothing is read that needs no merging"
    );
}

#[test]
fn the_config_of_a_source_is_not_read_again() {
    let config = "bitops:\n  deployments:\n    infra: {plugin: terraform}\n";
    let world = World::new(&[])
        .source("a", &[("bitops.config.yaml", config), ("infra/main.tf", "")])
        .part(
            Part::DefaultFolder(path("_default")),
            &[("bitops.config.yaml", "a: 1\n")],
        );
    let composition = world.composed();
    assert!(
        world
            .text(&composition, "dev/bitops.config.yaml")
            .contains("infra")
    );
    let configs: Vec<String> = world.reads.take();
    assert_eq!(configs, ["0 _default/bitops.config.yaml"], "to be merged");
}

#[test]
fn the_same_bytes_and_mode_twice_are_one_file() {
    let world = World::new(&[("dev/c.md", "same")])
        .source("a", &[("b.md", "same"), ("c.md", "same")])
        .source("b", &[("b.md", "same"), ("c.md", "same")]);
    let composition = world.composed();
    assert_eq!(
        summary(&composition),
        [
            ("dev/b.md", Action::Add, strings(&["0 a/b.md", "1 b/b.md"])),
            (
                "dev/c.md",
                Action::Local,
                strings(&["0 a/c.md", "1 b/c.md", "local"])
            ),
        ]
    );
    assert_eq!(composition.files[1].write, Write::Local);
    assert_eq!(*world.reads.borrow(), ["1 b/c.md"], "sources are compared by id");
}

#[test]
fn local_wins_over_a_source_and_the_plan_says_so() {
    let world = World::new(&[("dev/a.sh", "mine"), ("dev/b.sh*", "same")])
        .source("eks", &[("a.sh", "theirs"), ("b.sh", "same")]);
    let composition = world.composed();
    assert_eq!(
        summary(&composition),
        [
            ("dev/a.sh", Action::Override, strings(&["0 eks/a.sh", "local"])),
            ("dev/b.sh", Action::Override, strings(&["0 eks/b.sh", "local"])),
        ]
    );
    assert!(composition.files.iter().all(|file| file.write == Write::Local));
}

#[test]
fn special_files_of_the_user_are_kept() {
    let world = World::new(&[])
        .with_local("dev/x", "")
        .with_other("dev/a.sh")
        .source("eks", &[("a.sh", "theirs")]);
    assert_eq!(
        summary(&world.composed()),
        [("dev/a.sh", Action::Override, strings(&["0 eks/a.sh", "local"]))]
    );
}

#[test]
fn two_sources_with_one_path_are_a_conflict_with_every_way_out() {
    let world = World::new(&[])
        .source("a", &[("terraform/run.sh", "1")])
        .source("stacks/b", &[("terraform/run.sh", "2")]);
    let conflict = world.conflict();
    assert_eq!(conflict.path, path("dev/terraform/run.sh"));
    assert_eq!(conflict.kind, ConflictKind::Content { unmerged: None });
    assert_eq!(
        conflict.between(),
        [Origin::Source(SourceId(0)), Origin::Source(SourceId(1))]
    );
    assert_eq!(conflict.parties[1].path, path("stacks/b/terraform/run.sh"));
    assert_eq!(
        world.remedies(&conflict),
        [
            "exclude: [\"/terraform/run.sh\"] at dev/bitops.config.yaml:1 (a v1.0.0 (org/a-repo)), or at dev/bitops.config.yaml:1 (stacks/b v1.0.0 (stacks/b-repo)): what the other one has is used then",
            "on-conflict: last at dev/bitops.config.yaml:1 (stacks/b v1.0.0 (stacks/b-repo)): what stacks/b v1.0.0 (stacks/b-repo) has is used then",
            "on-conflict: first at dev/bitops.config.yaml:1 (stacks/b v1.0.0 (stacks/b-repo)): what a v1.0.0 (org/a-repo) has is used then",
            "as: NAME at dev/bitops.config.yaml:1 (a v1.0.0 (org/a-repo)), or at dev/bitops.config.yaml:1 (stacks/b v1.0.0 (stacks/b-repo)): its deployment becomes NAME-terraform and runs on its own",
            "write your own dev/terraform/run.sh: a local file wins over every source",
        ]
    );
    assert!(
        world.compose().files.is_empty(),
        "a path in conflict is not composed"
    );

    let settled = World::new(&[("dev/terraform/run.sh", "3")])
        .source("a", &[("terraform/run.sh", "1")])
        .source("b", &[("terraform/run.sh", "2")]);
    assert_eq!(
        settled.composed().files[0].from.len(),
        3,
        "a local file settles it"
    );
}

#[test]
fn the_same_bytes_with_another_mode_are_a_conflict() {
    let world = World::new(&[])
        .source("a", &[("run.sh*", "1")])
        .source("b", &[("run.sh", "1")]);
    assert_eq!(world.conflict().kind, ConflictKind::Mode);
}

#[test]
fn every_source_that_is_left_standing_is_named_once() {
    let world = World::new(&[])
        .source("a", &[("x", "1")])
        .source("b", &[("x", "2")])
        .source("c", &[("x", "1")])
        .source_with(
            "d",
            |source| source.on_conflict = OnConflict::First,
            &[("x", "4")],
        );
    assert_eq!(world.conflict().between().len(), 3, "d stands back");
}

fn on_conflict(low: OnConflict, high: OnConflict) -> Option<String> {
    let world = World::new(&[])
        .source_with("a", |source| source.on_conflict = low, &[("x", "low")])
        .source_with("b", |source| source.on_conflict = high, &[("x", "high")]);
    let composition = world.compose();
    composition.conflicts.is_empty().then(|| {
        let file = &composition.files[0];
        assert_eq!(file.action, Action::Override);
        assert_eq!(file.from.len(), 2);
        let Write::Blob { source, .. } = &file.write else {
            panic!("{file:?}")
        };
        assert_eq!(
            file.from[1].origin,
            Origin::Source(*source),
            "the last one decides"
        );
        world.text(&composition, "dev/x")
    })
}

#[test]
fn on_conflict_of_either_source_decides_and_the_highers_before_the_lowers() {
    use OnConflict::{Error, First, Last};
    assert_eq!(on_conflict(Error, Error), None);
    for (low, high, wins) in [
        (Error, First, "low"),
        (Error, Last, "high"),
        (First, Error, "low"),
        (Last, Error, "high"),
        (First, Last, "high"),
        (Last, First, "low"),
        (Last, Last, "high"),
    ] {
        assert_eq!(on_conflict(low, high).as_deref(), Some(wins), "{low:?} {high:?}");
    }
}

#[test]
fn a_source_wins_over_what_it_nests_and_over_its_default_folder() {
    let world = World::new(&[])
        .source_with(
            "nested",
            |source| source.nest_below(SourceId(1)),
            &[("x", "nested"), ("y", "nested")],
        )
        .source("eks", &[])
        .part(
            Part::DefaultFolder(path("_default")),
            &[("x", "default"), ("y", "default")],
        )
        .part(Part::Environment, &[("x", "eks")]);
    let composition = world.composed();
    assert_eq!(
        summary(&composition),
        [
            (
                "dev/x",
                Action::Override,
                strings(&["0 nested/x", "1 _default/x", "1 eks/x"])
            ),
            (
                "dev/y",
                Action::Override,
                strings(&["0 nested/y", "1 _default/y"])
            ),
        ]
    );
    assert_eq!(world.text(&composition, "dev/x"), "eks");
}

#[test]
fn what_nests_two_sources_settles_what_is_between_them() {
    let nested = |source: &mut crate::layer::Source| source.nest_below(SourceId(2));
    let world = |own: &[(&str, &str)], set: OnConflict| {
        World::new(&[])
            .source_with("n1", nested, &[("x", "1"), ("k.kv", "k=1\n")])
            .source_with("n2", nested, &[("x", "2"), ("k.kv", "k=2\n")])
            .source_with("outer", |source| source.on_conflict = set, own)
    };
    let own = [("x", "3"), ("k.kv", "k=3\n")];
    assert_eq!(
        world(&own, OnConflict::Error).composed().files[1].from.len(),
        3,
        "by its own file"
    );
    let by_setting = world(&[], OnConflict::Last);
    assert_eq!(
        by_setting.text(&by_setting.composed(), "dev/x"),
        "2",
        "by its on-conflict"
    );
    assert_eq!(world(&[], OnConflict::Error).compose().conflicts.len(), 2);
}

#[test]
fn a_file_against_a_directory_is_always_an_error_and_hides_nothing() {
    let world = World::new(&[("dev/a/local.sh", "")])
        .source_with(
            "one",
            |source| source.on_conflict = OnConflict::Last,
            &[("a", "file"), ("b/x", "1"), ("b/y", "1")],
        )
        .source("two", &[("b", "file"), ("b2", "")])
        .source("three", &[("b/x", "2")]);
    let conflicts = world.compose().conflicts;
    let between: Vec<_> = conflicts
        .iter()
        .map(|conflict| (conflict.path.as_str(), conflict.kind.clone()))
        .collect();
    let kind = || ConflictKind::FileAgainstDirectory;
    assert_eq!(
        between,
        [("dev/a", kind()), ("dev/b", kind())],
        "one wins over b/x, but b is a file elsewhere"
    );
    let holds: Vec<_> = conflicts[1]
        .parties
        .iter()
        .map(|party| (party.origin, party.holds.clone()))
        .collect();
    let source = |id| Origin::Source(SourceId(id));
    assert_eq!(
        holds,
        [
            (source(0), Holds::Directory),
            (source(1), Holds::File),
            (source(2), Holds::Directory)
        ]
    );
    assert_eq!(conflicts[0].parties[1].origin, Origin::Local);
    assert!(
        world
            .remedies(&conflicts[0])
            .iter()
            .any(|remedy| remedy == "rename your own dev/a"),
        "{:?}",
        world.remedies(&conflicts[0])
    );

    let below = World::new(&[("dev/a", "file")])
        .source("one", &[("a/x", "1")])
        .source("two", &[("a/x", "2")]);
    let kinds: Vec<_> = below
        .compose()
        .conflicts
        .into_iter()
        .map(|conflict| conflict.kind)
        .collect();
    assert_eq!(
        kinds,
        [kind(), ConflictKind::Content { unmerged: None }],
        "no conflict hides another"
    );
}

#[test]
fn names_that_collide_elsewhere_are_refused() {
    let kind = |world: World| world.conflict().kind;
    assert_eq!(
        kind(World::new(&[("dev/Readme.md", "")]).source("a", &[("README.md", "x")])),
        ConflictKind::NameCollision
    );
    let by_form = World::new(&[])
        .source("a", &[("caf\u{e9}/x", "")])
        .source("b", &[("cafe\u{301}/y", "")]);
    assert_eq!(by_form.conflict().between().len(), 2);
    let root = World::new(&[("_Scripts/x", ""), ("dev/y", "")])
        .source("a", &[])
        .part(Part::Shared(path("_scripts")), &[("x", "1")]);
    assert_eq!(kind(root), ConflictKind::NameCollision);
    let theirs =
        World::new(&[("dev/Readme.md", ""), ("dev/README.md", "x")]).source("a", &[("README.md", "x")]);
    assert_eq!(
        theirs.composed().files.len(),
        1,
        "names that the user has both are the user's business"
    );
}

#[test]
fn merged_files_know_their_keys() {
    let world = World::new(&[("dev/app.kv*", "b=local\n")])
        .source("a", &[("app.kv", "a=1\nb=1\n")])
        .source("b", &[("app.kv", "c=1\nb=2\n")]);
    let composition = world.composed();
    let file = &composition.files[0];
    assert_eq!(
        (file.action, world.text(&composition, "dev/app.kv").as_str()),
        (Action::Merge, "a=1\nb=local\nc=1\n")
    );
    assert!(
        matches!(
            file.write,
            Write::Bytes {
                mode: FileMode::Executable,
                ..
            }
        ),
        "the highest layer's mode"
    );
    let keys: Vec<_> = file
        .keys
        .iter()
        .map(|key| (key.key.as_str(), key.winner, key.line))
        .collect();
    assert_eq!(keys, [("a", 0, 1), ("b", 2, 1), ("c", 1, 1)]);

    let nothing_new = World::new(&[("dev/app.kv", "a=1\n")]).source("a", &[("app.kv", "a=2\n")]);
    assert_eq!(
        nothing_new.composed().files[0].write,
        Write::Local,
        "the user's own text needs no writing"
    );
}

#[test]
fn keys_that_differ_between_sources_are_conflicts_unless_something_settles_them() {
    let sources = |world: World| {
        world
            .source("a", &[("app.kv", "x=0\nk=1\nj=1\n")])
            .source("b", &[("app.kv", "k=2\nj=2\n")])
    };
    let world = sources(World::new(&[]));
    let conflicts = world.compose().conflicts;
    let keys: Vec<_> = conflicts.iter().map(|conflict| conflict.kind.clone()).collect();
    assert_eq!(
        keys,
        ["k", "j"].map(|key| ConflictKind::Key { key: key.to_owned() })
    );
    assert_eq!(
        conflicts[0]
            .parties
            .iter()
            .map(|party| party.line)
            .collect::<Vec<_>>(),
        [Some(2), Some(1)]
    );
    assert!(
        world
            .remedies(&conflicts[0])
            .iter()
            .any(|remedy| remedy.starts_with("set `k` in your own dev/app.kv"))
    );
    sources(World::new(&[("dev/app.kv", "k=3\nj=3\n")])).composed();
}

#[test]
fn what_cannot_be_merged_is_whole_and_says_why() {
    let local = World::new(&[("dev/app.kv", "broken")]).source("a", &[("app.kv", "k=1\n")]);
    let composition = local.composed();
    assert_eq!(composition.files[0].action, Action::Override);
    assert_eq!(
        composition.files[0].notes,
        ["your own dev/app.kv (line 1, column 1) is not merged: it has an empty key"]
    );
    let [warning] = &composition.warnings[..] else {
        panic!("{:?}", composition.warnings)
    };
    assert_eq!(
        warning.message,
        "dev/app.kv: nothing of a/app.kv of https://host/org/a-repo is deployed, because your own dev/app.kv (line 1, column 1) is not merged: it has an empty key"
    );
    let place = warning.place.as_ref().unwrap();
    assert_eq!((&*place.file, place.line_column()), ("dev/app.kv", (1, 1)));
    let sources = World::new(&[])
        .source("a", &[("app.kv", "k=1\n")])
        .source("b", &[("app.kv", "broken")]);
    let ConflictKind::Content {
        unmerged: Some(unmerged),
    } = sources.conflict().kind
    else {
        panic!()
    };
    assert_eq!(
        unmerged.to_string(),
        "b/app.kv of https://host/org/b-repo (line 1, column 1) is not merged: it has an empty key"
    );
}
