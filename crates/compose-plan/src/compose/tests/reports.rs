//! Output for users: the plan and `explain`.

use crate::{
    compose::{
        explain::explain,
        report::{COLUMNS, text},
        testing::{World, path},
    },
    layer::{Part, Source, SourceId},
};
use compose_model::RepoUrl;

fn world() -> World {
    let mut world = World::new(&[
        ("dev/bitops.config.yaml", "x: y\n"),
        ("dev/app.kv", "k=local\n"),
        ("dev/terraform/main.tf", "local"),
        ("dev/terraform/run.sh", "local"),
        ("dev/own", ""),
    ])
    .source_with(
        "base",
        |source| source.nest_below(SourceId(1)),
        &[("helm/x", "1"), ("helm/y", "2"), ("both", "1")],
    )
    .source_with(
        "eks",
        |source| source.rename = Some("eks".to_owned()),
        &[("helm/x", "3"), ("both", "2")],
    )
    .part(Part::Shared(path("_scripts")), &[("a.sh", "a")])
    .source(
        "vm",
        &[
            ("app.kv", "k=vm\nj=1\n"),
            ("terraform/main.tf", "vm"),
            ("terraform/run.sh", "vm"),
            ("docs/a", "1"),
            ("docs/b", "2"),
        ],
    )
    .image(&[("terraform", "terraform"), ("helm", "helm")]);
    world.list_local = true;
    world
}

#[test]
fn the_plan_is_read_at_a_glance() {
    let world = world();
    let composition = world.composed();
    let plan = text::plan(&composition, &world.layers.sources).into_string();
    let commits: Vec<_> = world
        .layers
        .sources
        .iter()
        .map(|source| source.resolved.commit.abbreviated())
        .collect();
    let expected = format!(
        "dev: 3 sources, 9 files composed

base of https://host/org/base-repo  v1.0.0 ({})  not locked  (by way of eks)
├─ renames helm/ to eks-helm/
└─ adds 1 file
   └─ eks-helm/y

eks of https://host/org/eks-repo  v1.0.0 ({})  not locked
├─ renames helm/ to eks-helm/
├─ adds 1 file
│  └─ ../_scripts/a.sh
└─ overrides 2 files
   ├─ both (of base)
   └─ eks-helm/x (of base)

vm of https://host/org/vm-repo  v1.0.0 ({})  not locked
├─ adds 2 files
│  └─ docs/ (2)
├─ keeps both terraform/main.vm.tf (its main.tf)
└─ merges into app.kv

dev (your own)
├─ overrides terraform/run.sh (of vm)
├─ keeps both terraform/main.tf
├─ merges into 2 files
│  ├─ app.kv (1 key of yours wins over a source's)
│  └─ bitops.config.yaml
└─ leaves 1 file untouched

Deployments, in this order
  1. eks-helm (plugin helm, from base)
  2. terraform (plugin terraform, from vm)
  3. helm (plugin helm, no such directory: passed over)
  written into the composed bitops.config.yaml

Warnings
  no deployment runs docs/, which comes from vm of https://host/org/vm-repo
    hint: there are eks-helm, terraform, helm; name it in bitops.deployments of dev/bitops.config.yaml, or exclude it
",
        commits[0], commits[1], commits[2]
    );
    assert_eq!(plan, expected);
}

#[test]
fn conflicts_are_grouped_by_directory_and_sides() {
    let world = World::new(&[("dev/t/own.tf", "resource a b {}\n")])
        .image(&[("t", "terraform")])
        .source(
            "a",
            &[
                ("t/run.sh", "1"),
                ("t/x.kv", "j=1\nk=1\n"),
                ("t/main.tf", "resource a b {}\nresource a c {}\n"),
                ("y", "1"),
            ],
        )
        .source(
            "b",
            &[
                ("t/run.sh", "2"),
                ("t/x.kv", "k=2\nj=2\n"),
                ("t/other.tf", "\nresource a c {}\n"),
            ],
        )
        .source("c", &[("y", "2"), ("x2", "1")])
        .source("d", &[("x2", "2")]);
    let composition = world.compose();
    let plan = text::plan(&composition, &world.layers.sources).into_string();
    let at = plan.find("7 conflicts\n").unwrap();
    insta::assert_snapshot!(&plan[at..]);
}

#[test]
fn of_many_directories_in_conflict_the_first_are_laid_out() {
    let names: Vec<String> = (0..40).map(|n| format!("d{n:02}/x.kv")).collect();
    let files = |text: &'static str| names.iter().map(|name| (name.as_str(), text)).collect::<Vec<_>>();
    let world = World::new(&[])
        .source("a", &files("k=1\n"))
        .source("b", &files("k=2\n"));
    let plan = text::plan(&world.compose(), &world.layers.sources).into_string();
    let lines: Vec<&str> = plan.lines().collect();
    let at = lines
        .iter()
        .position(|line| *line == "and in 35 more directories:")
        .unwrap();
    assert!(
        lines[at + 1].starts_with("  dev/d05/: 1 conflict between a "),
        "{plan}"
    );
    assert_eq!(lines[at + 21], "  and 15 more", "{plan}");
    assert_eq!(
        lines[at + 23],
        "    bitops-compose plan dev --format json",
        "{plan}"
    );
    assert_eq!(plan.matches("Any one of these settles it:").count(), 5, "{plan}");
}

#[test]
fn a_long_list_is_cut() {
    let names: Vec<String> = (0..30).map(|n| format!("d{n:02}/x")).collect();
    let files: Vec<_> = names.iter().map(|name| (name.as_str(), "")).collect();
    let world = World::new(&[]).source("a", &files);
    let plan = text::plan(&world.composed(), &world.layers.sources).into_string();
    assert!(plan.contains("   ├─ d19/x\n   └─ and 10 more\n"), "{plan}");
}

#[test]
fn names_of_a_remote_cannot_drive_the_terminal() {
    let world = World::new(&[]).source_with(
        "a",
        |source| source.resolved.name = "v1\u{1b}[2J".to_owned(),
        &[("x", "1")],
    );
    let plan = text::plan(&world.composed(), &world.layers.sources).into_string();
    assert!(
        plan.contains("v1\\u{1b}[2J") && !plan.contains('\u{1b}'),
        "{plan}"
    );
}

#[test]
fn explain_tells_the_layers_and_who_wins() {
    let world = world();
    let composition = world.composed();
    let ask = |question: &str| explain(&composition, &world.layers.sources, question, COLUMNS);
    let outcomes = |question: &str| -> Vec<String> {
        ask(question)
            .unwrap()
            .layers
            .into_iter()
            .map(|layer| format!("{}: {}", layer.who, layer.outcome))
            .collect()
    };
    assert_eq!(
        outcomes("terraform/run.sh"),
        [
            "vm of https://host/org/vm-repo: overridden by your own environment",
            "your own environment: wins: your own files win over every source's",
        ]
    );
    assert_eq!(
        outcomes("both")[1],
        "eks of https://host/org/eks-repo: wins: a source wins over its default folder and over the sources it nests"
    );
    assert_eq!(
        outcomes("../_scripts/a.sh"),
        ["eks of https://host/org/eks-repo: the only one that has it"]
    );
    assert_eq!(
        outcomes("dev/own"),
        ["your own environment: the only one that has it"],
        "from the repo's root, too"
    );
    assert_eq!(
        outcomes("terraform/main.vm.tf"),
        ["vm of https://host/org/vm-repo: stays under another name, beside a higher main.tf"]
    );
    assert_eq!(
        outcomes("app.kv"),
        [
            "vm of https://host/org/vm-repo: merged: 1 of its keys stays, 1 is overridden",
            "your own environment: merged: 1 of its keys stays, 0 are overridden",
        ]
    );
    let text = ask("app.kv").unwrap().to_text().into_string();
    assert!(
        text.contains("    k: your own environment, dev/app.kv:1, over vm of https://host/org/vm-repo\n"),
        "{text}"
    );
}

#[test]
fn explain_goes_down_to_the_key() {
    let world = world();
    let composition = world.composed();
    let ask = |question: &str| explain(&composition, &world.layers.sources, question, COLUMNS);
    let keys = ask("app.kv:j").unwrap().keys;
    assert_eq!((keys.len(), keys[0].place.as_str()), (1, "vm/app.kv:2"));
    let deployment = ask("bitops.config.yaml:bitops.deployments.terraform")
        .unwrap()
        .keys;
    assert_eq!(deployment[0].who, "vm of https://host/org/vm-repo");
    for (question, message) in [
        ("app.kv:kk", "dev/app.kv has no key `kk`; did you mean k?"),
        (
            "terraform/run.sh:a",
            "dev/terraform/run.sh is not merged: every key comes from your own environment",
        ),
        (
            "terraform/ran.sh",
            "no layer has terraform/ran.sh; did you mean terraform/run.sh?",
        ),
        ("zzz\u{1b}", "no layer has zzz\\u{1b}"),
    ] {
        assert_eq!(ask(question).unwrap_err().to_string(), message);
    }
}

#[test]
fn explain_shows_a_conflict_with_its_remedies() {
    let world = World::new(&[])
        .source("a", &[("x:y", "1")])
        .source("b", &[("x:y", "2")]);
    let explanation = explain(&world.compose(), &world.layers.sources, "x:y", COLUMNS).unwrap();
    assert_eq!(
        (
            explanation.action,
            explanation.conflicts[0].between.len(),
            explanation.conflicts[0].remedies.len()
        ),
        (None, 2, 4)
    );
    assert!(
        explanation
            .to_text()
            .as_str()
            .contains("\n  x:y   contents differ\n")
    );
}

#[test]
fn sources_whose_environments_have_one_name_are_distinguished() {
    let elsewhere = |repo: &str| {
        let repo = RepoUrl::parse(repo).unwrap();
        move |source: &mut Source| source.repo = repo
    };
    let world = World::new(&[("dev/a", "mine"), ("dev/b", "mine")])
        .source_with(
            "test",
            elsewhere("https://host/org/one"),
            &[("a", "1"), ("helm/x", "")],
        )
        .source_with("test", elsewhere("https://host/org/two"), &[("helm/y", "")])
        .source("eks", &[("b", "1")])
        .image(&[("helm", "helm")]);
    let plan = text::plan(&world.composed(), &world.layers.sources).into_string();
    assert!(plan.contains("a (of test of https://host/org/one)\n"), "{plan}");
    assert!(plan.contains("b (of eks)\n"), "{plan}");
}

#[test]
fn heads_and_what_layers_do_have_styles_and_paths_have_none() {
    let world = World::new(&[("dev/over", "own")])
        .source(
            "a",
            &[("adds me", "1"), ("overrides me", "1"), ("over", "a"), ("x", "1")],
        )
        .source("b", &[("x", "2")]);
    let plan = text::plan(&world.compose(), &world.layers.sources);
    let shown = plan.to_ansi();
    for line in [
        "\x1b[1mdev: 2 sources, 2 files composed\x1b[0m\n",
        "\x1b[32m└─ adds 2 files\x1b[0m\n   ├─ adds me\n   └─ overrides me\n",
        "\x1b[1mdev (your own)\x1b[0m\n\x1b[33m└─ overrides over (of a)\x1b[0m\n",
        "\x1b[31m1 conflict\x1b[0m\n\n\x1b[31mdev/: 1 conflict between\x1b[0m\n",
    ] {
        assert!(shown.contains(line), "{line:?} in {shown:?}");
    }
}
