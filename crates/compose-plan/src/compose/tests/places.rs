//! The paths of composed files: names in one directory, directories beside the environment, the user's own repo.

use std::sync::Arc;

use compose_model::{Cancel, Cause, Diagnostic, ExitCode, TreeFile};

use super::{strings, summary};
use crate::{
    compose::{
        Action, ComposeError, ConflictKind, Write,
        bytes::Bytes,
        report::diff::diffs,
        testing::{World, path},
    },
    layer::{Contents, ContentsError, Part, SourceId},
};

#[test]
fn terraform_files_all_stay() {
    let world = World::new(&[("dev/t/main.tf", "local"), ("dev/t/x_override.tf", "own")])
        .source("a", &[("t/main.tf", "a"), ("t/only.tf", "a")])
        .source("stacks/b", &[("t/main.tf", "b"), ("t/other.tf.json", "b")])
        .source("c", &[("t/main.tf", "a"), ("t/other.tf.json", "c")]);
    let composition = world.composed();
    assert_eq!(
        summary(&composition),
        [
            (
                "dev/t/main.c.tf",
                Action::KeepBoth,
                strings(&["0 a/t/main.tf", "2 c/t/main.tf"])
            ),
            (
                "dev/t/main.stacks-b.tf",
                Action::KeepBoth,
                strings(&["1 stacks/b/t/main.tf"])
            ),
            ("dev/t/main.tf", Action::KeepBoth, strings(&["local"])),
            ("dev/t/only.tf", Action::Add, strings(&["0 a/t/only.tf"])),
            (
                "dev/t/other.stacks-b.tf.json",
                Action::KeepBoth,
                strings(&["1 stacks/b/t/other.tf.json"])
            ),
            (
                "dev/t/other.tf.json",
                Action::KeepBoth,
                strings(&["2 c/t/other.tf.json"])
            ),
        ]
    );
    assert_eq!(world.text(&composition, "dev/t/main.tf"), "local");
}

#[test]
fn names_of_kept_files_do_not_collide_with_other_files() {
    let world = World::new(&[("dev/main.tf", "local"), ("dev/Main.EKS.tf", "taken")])
        .source("eks", &[("main.tf", "a")])
        .source_with(
            "eks",
            |source| source.repo = compose_model::RepoUrl::parse("https://host/other").unwrap(),
            &[("main.tf", "b")],
        );
    let composition = world.composed();
    let names: Vec<_> = composition.files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(
        names,
        ["dev/main.eks-repo-eks.tf", "dev/main.other-eks.tf", "dev/main.tf"]
    );

    let again =
        World::new(&[("dev/main.tf", "local"), ("dev/main.eks.tf", "a")]).source("eks", &[("main.tf", "a")]);
    let composition = again.composed();
    assert_eq!(
        composition.files.len(),
        2,
        "a composition that was vendored composes to itself"
    );
    assert!(composition.files.iter().all(|file| file.write == Write::Local));
}

#[test]
fn shared_directories_stand_beside_the_environment_under_the_same_rules() {
    let scripts = || Part::Shared(path("_scripts"));
    let world = World::new(&[
        ("dev/x", ""),
        ("_scripts/own.sh", ""),
        ("_scripts/both.sh", "mine"),
    ])
    .source("a", &[])
    .part(scripts(), &[("lib/a.sh", "a"), ("both.sh", "a")])
    .source("b", &[])
    .part(scripts(), &[("lib/a.sh", "b")]);
    let composition = world.compose();
    assert_eq!(
        summary(&composition),
        [(
            "_scripts/both.sh",
            Action::Override,
            strings(&["0 _scripts/both.sh", "local"])
        )]
    );
    assert_eq!(composition.conflicts[0].path, path("_scripts/lib/a.sh"));
    assert_eq!(
        world.remedies(&composition.conflicts[0])[0],
        "leave `_scripts` out of `shared` at dev/bitops.config.yaml:1 (a v1.0.0 (org/a-repo)), or at dev/bitops.config.yaml:1 (b v1.0.0 (org/b-repo)): what the other one has is used then"
    );
}

#[test]
fn local_files_are_listed_for_a_plan_only() {
    let mut world =
        World::new(&[("dev/a/b", ""), ("dev/c", ""), ("prod/d", "")]).source("eks", &[("e", "1")]);
    assert_eq!(summary(&world.composed()).len(), 1);
    world.list_local = true;
    assert_eq!(
        summary(&world.composed()),
        [
            ("dev/a/b", Action::Local, strings(&["local"])),
            ("dev/c", Action::Local, strings(&["local"])),
            ("dev/e", Action::Add, strings(&["0 eks/e"])),
        ]
    );
}

#[test]
fn a_shared_directorys_own_files_are_listed_and_its_neighbours_are_not() {
    let mut world = World::new(&[
        ("stacks/dev/own", ""),
        ("stacks/prod/x", ""),
        ("_scripts/mine.sh", ""),
        ("_other/x", ""),
    ])
    .source("eks", &[("e", "1")])
    .part(Part::Shared(path("_scripts")), &[("a.sh", "a")]);
    world.environment = path("stacks/dev");
    world.list_local = true;
    assert_eq!(
        summary(&world.composed()),
        [
            ("_scripts/a.sh", Action::Add, strings(&["0 _scripts/a.sh"])),
            ("_scripts/mine.sh", Action::Local, strings(&["local"])),
            ("stacks/dev/e", Action::Add, strings(&["0 eks/e"])),
            ("stacks/dev/own", Action::Local, strings(&["local"])),
        ]
    );
}

#[test]
fn a_path_that_gets_too_long_is_named() {
    let long = vec!["d".repeat(200); 20].join("/");
    let mut world = World::new(&[]).source("eks", &[(&format!("{long}/{}", "f".repeat(60)), "1")]);
    world.environment = path(&"e".repeat(200));
    let ConflictKind::Name { reason, .. } = world.conflict().kind else {
        panic!()
    };
    assert_eq!(reason.to_string(), "the path is too long");
}

#[test]
fn a_cancelled_run_composes_nothing() {
    let cancel = Cancel::new();
    cancel.cancel();
    let world = World::new(&[]).source("eks", &[("e", "1")]);
    assert!(matches!(
        world.try_compose(&cancel),
        Err(ComposeError::Cancelled(_))
    ));
}

#[test]
fn what_cannot_be_read_ends_the_run() {
    let mut world = World::new(&[("dev/a.kv", "k=1\n")]).source("eks", &[("a.kv", "k=2\n")]);
    let mut gone = world.layers.layers[0].files.to_vec();
    gone[0].blob = "0".repeat(40).parse().unwrap();
    world.layers.layers[0].files = gone.into();
    let Err(ComposeError::Contents(error)) = world.try_compose(&Cancel::new()) else {
        panic!()
    };
    assert_eq!(error.to_string(), "cannot read eks/a.kv");
    assert_eq!(error.source.to_string(), "no such blob");
}

/// A blob that exists and cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("it is damaged")]
struct Damaged;

impl Cause for Damaged {
    fn exit_code(&self) -> ExitCode {
        ExitCode::CannotWrite
    }

    fn hint(&self) -> Option<String> {
        Some("run again".to_owned())
    }
}

struct DamagedContents;

impl Contents for DamagedContents {
    fn read(&self, _: SourceId, file: &TreeFile) -> Result<Arc<[u8]>, ContentsError> {
        Err(ContentsError::new(file.repo_path.to_string(), Damaged))
    }
}

#[test]
fn an_unreadable_blob_has_the_code_and_the_hint_of_its_cause_wherever_it_is_met() {
    let world = World::new(&[("dev/a.kv", "k=1\n"), ("dev/own", "1")])
        .source("eks", &[("a.kv", "k=2\n"), ("b", "b"), ("own", "2")]);
    let composition = world.compose();
    let composed = world.compose_from(&DamagedContents, &Cancel::new());
    let composed: Diagnostic = composed.unwrap_err().into();
    let bytes = Bytes::new(&world.layers, &DamagedContents, &world);
    let file = composition.file(&path("dev/b")).unwrap();
    let read: Diagnostic = bytes.composed(file).unwrap_err().into();
    let diff: Diagnostic = diffs(&composition, &world.layers.sources, &bytes)
        .unwrap_err()
        .into();
    for met in [composed, read, diff] {
        assert_eq!(met.code, ExitCode::CannotWrite, "{met:?}");
        assert_eq!(met.causes(), ["it is damaged"]);
        assert_eq!(met.hints, ["run again"]);
    }
}

#[test]
fn the_size_of_the_operations_repo_does_not_matter() {
    let mut local: Vec<(String, String)> = (0..100)
        .map(|n| (format!("env{n}/terraform/main.tf"), String::new()))
        .collect();
    local.extend((0..50).map(|n| (format!("dev/own{n}/deep/down/x"), String::new())));
    local.extend((0..10).map(|n| (format!("dev/terraform/x{n}.sh"), format!("{n}"))));
    let local: Vec<_> = local
        .iter()
        .map(|(path, text)| (path.as_str(), text.as_str()))
        .collect();
    let mut world = World::new(&local);
    let mut names = Vec::new();
    for source in 0..50 {
        names.extend((0..200).map(|n| format!("helm/chart{source}/templates/d{}/f{n}.txt", n % 4)));
    }
    names.push("terraform/x1.sh".to_owned());
    for (index, files) in names.chunks(201).enumerate() {
        let files: Vec<_> = files.iter().map(|name| (name.as_str(), "text")).collect();
        world = world.source(&format!("s{index}"), &files);
    }
    assert_eq!(world.composed().files.len(), 10_001);
    assert_eq!(
        *world.calls.borrow(),
        [
            "kind dev/bitops.config.yaml", // does the user declare deployments?
            "kind dev",
            "list dev",
            "list dev/terraform",
            "read dev/terraform/x1.sh",
        ]
    );
}

#[test]
fn a_shared_directory_does_not_land_in_the_environment() {
    for (dir, file) in [("dev", "terraform/a"), ("dev/terraform", "a")] {
        let world = World::new(&[("dev/x", "")])
            .source("eks", &[])
            .part(Part::Shared(path(dir)), &[(file, "1")]);
        let conflict = world.conflict();
        assert_eq!(
            (conflict.kind, conflict.path),
            (ConflictKind::SharedInside, path("dev/terraform/a"))
        );
    }
    let mut beside = World::new(&[])
        .source("eks", &[])
        .part(Part::Shared(path("stacks")), &[("_common/a", "1")]);
    beside.environment = path("stacks/dev");
    assert_eq!(beside.composed().files[0].path, path("stacks/_common/a"));
}

#[test]
fn a_sources_own_lock_takes_no_part() {
    let lock = |text: &'static str| [("bitops.lock.yaml", text), ("helm/bitops.lock.yaml", "same")];
    let world = World::new(&[("dev/bitops.lock.yaml", "mine")])
        .source("a", &lock("1"))
        .source("b", &lock("2"));
    let composition = world.composed();
    let paths: Vec<_> = composition.files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(
        paths,
        ["dev/helm/bitops.lock.yaml"],
        "further down it is a file like any other"
    );
}
