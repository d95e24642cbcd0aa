//! The list of deployments.

use crate::{
    compose::{
        Action, Composition, ConflictKind, DeclaredBy, ImageDeployments, Write,
        testing::{World, path},
    },
    layer::{Part, Source, SourceId},
};

const IMAGE: [(&str, &str); 3] = [
    ("cloudformation", "cloudformation"),
    ("terraform", "terraform"),
    ("helm", "helm"),
];
const CONFIG: &str = "dev/bitops.config.yaml";

fn names(composition: &Composition) -> Vec<String> {
    composition
        .deployments
        .iter()
        .map(|one| format!("{}:{}", one.name, one.plugin))
        .collect()
}

fn paths(composition: &Composition) -> Vec<&str> {
    composition.files.iter().map(|file| file.path.as_str()).collect()
}

fn with_as(name: &str) -> impl FnOnce(&mut Source) {
    let name = name.to_owned();
    move |source| source.rename = Some(name)
}

#[test]
fn without_as_and_declarations_nothing_is_generated() {
    let own = "default-environments: []\nbitops: {fail_fast: true}\n";
    let world = World::new(&[(CONFIG, own)])
        .source("eks", &[("terraform/a", "")])
        .image(&IMAGE);
    let composition = world.composed();
    assert!(!composition.generated);
    assert_eq!(
        names(&composition),
        [
            "cloudformation:cloudformation",
            "terraform:terraform",
            "helm:helm"
        ]
    );
    assert_eq!(
        composition
            .deployments
            .iter()
            .map(|one| one.present)
            .collect::<Vec<_>>(),
        [false, true, false]
    );
    assert_eq!(paths(&composition), ["dev/terraform/a"]);
    assert!(composition.warnings.is_empty());
}

#[test]
fn as_renames_the_images_deployments_of_a_source_in_the_images_order() {
    let world = World::new(&[(CONFIG, "a: 1 # mine"), ("dev/eks-terraform/own.sh", "x")])
        .source_with(
            "eks",
            with_as("eks"),
            &[("helm/app/x", "1"), ("terraform/own.sh", "2"), ("docs/r", "3")],
        )
        .source("other", &[("terraform/own.sh", "4")])
        .image(&IMAGE);
    let composition = world.composed();
    assert_eq!(
        paths(&composition),
        [
            "dev/bitops.config.yaml",
            "dev/docs/r",
            "dev/eks-helm/app/x",
            "dev/eks-terraform/own.sh",
            "dev/terraform/own.sh",
        ]
    );
    assert_eq!(
        composition.files[3].action,
        Action::Override,
        "a local directory overlays the renamed one"
    );
    assert_eq!(
        names(&composition),
        [
            "eks-terraform:terraform",
            "eks-helm:helm",
            "terraform:terraform",
            "cloudformation:cloudformation",
            "helm:helm",
        ]
    );
    assert!(composition.generated);
    assert_eq!(composition.files[0].action, Action::Merge);
    assert_eq!(
        world.text(&composition, CONFIG),
        "a: 1 # mine\nbitops:\n  deployments:\n    eks-terraform:\n      plugin: terraform\n    eks-helm:\n      \
         plugin: helm\n    terraform:\n      plugin: terraform\n    cloudformation:\n      plugin: cloudformation\n    \
         helm:\n      plugin: helm\n"
    );
    let renames: Vec<_> = composition
        .renames
        .iter()
        .map(|one| (one.from.as_str(), one.to.as_str()))
        .collect();
    assert_eq!(renames, [("helm", "eks-helm"), ("terraform", "eks-terraform")]);
    assert_eq!(composition.warnings.len(), 1);
    assert_eq!(
        composition.warnings[0].message,
        "no deployment runs docs/, which comes from eks of https://host/org/eks-repo"
    );
    assert!(composition.warnings[0].hints[0].contains("eks-terraform, eks-helm, terraform"));
    assert!(composition.warnings[0].place.is_some());
}

#[test]
fn declared_deployments_come_in_source_order_and_then_the_local_ones() {
    let world = World::new(&[(
        CONFIG,
        "bitops:\n  deployments:\n    last: {plugin: ansible}\n    first:\n      plugin: helm\n",
    )])
    .source(
        "a",
        &[
            (
                "bitops.config.yaml",
                "bitops:\n  deployments:\n    first: {plugin: helm}\n    infra: {plugin: terraform}\n",
            ),
            ("infra/x", ""),
        ],
    )
    .source("b", &[("terraform/y", "")])
    .image(&IMAGE);
    let composition = world.composed();
    // `first` and `last` take the local order in the places that the union gives them.
    assert_eq!(
        names(&composition),
        [
            "last:ansible",
            "infra:terraform",
            "terraform:terraform",
            "first:helm"
        ]
    );
    assert_eq!(composition.deployments[1].by, DeclaredBy::Source(SourceId(0)));
    assert_eq!(
        world.text(&composition, CONFIG),
        "bitops:\n  deployments:\n    last: {plugin: ansible}\n    infra:\n      plugin: terraform\n    terraform:\n      \
         plugin: terraform\n    first:\n      plugin: helm\n"
    );
    assert!(
        !names(&composition).contains(&"cloudformation:cloudformation".to_owned()),
        "the local config has its own"
    );
}

#[test]
fn a_local_list_that_says_it_all_is_left_alone() {
    let own = "bitops: {deployments: {terraform: {plugin: terraform}}}\n";
    let world = World::new(&[(CONFIG, own)])
        .source("eks", &[("terraform/a", "")])
        .image(&IMAGE);
    let composition = world.composed();
    assert!(!composition.generated);
    assert_eq!(paths(&composition), ["dev/terraform/a"]);
    assert_eq!(names(&composition), ["terraform:terraform"]);
}

#[test]
fn as_applies_to_nested_sources_too() {
    let world = World::new(&[(CONFIG, "")])
        .source_with(
            "inner",
            |source| {
                source.nest_below(SourceId(1));
                source.rename = Some("in".to_owned());
            },
            &[("terraform/a", ""), ("helm/c", "")],
        )
        .source_with(
            "outer",
            with_as("out"),
            &[("in-terraform/b", ""), ("terraform/d", "")],
        )
        .part(Part::DefaultFolder(path("_default")), &[("terraform/e", "")])
        .image(&IMAGE);
    let composition = world.composed();
    assert_eq!(
        paths(&composition)[1..],
        [
            "dev/out-in-helm/c",
            "dev/out-in-terraform/a",
            "dev/out-in-terraform/b",
            "dev/out-terraform/d",
            "dev/out-terraform/e",
        ]
    );
    assert_eq!(
        names(&composition)[..3],
        [
            "out-in-terraform:terraform",
            "out-in-helm:helm",
            "out-terraform:terraform"
        ]
    );
}

#[test]
fn one_name_with_two_plugins_is_an_error_and_as_is_a_way_out() {
    let config = |plugin: &str| format!("bitops:\n  deployments:\n    infra: {{plugin: {plugin}}}\n");
    let (tofu, terraform) = (config("tofu"), config("terraform"));
    let world = |set: fn(&mut Source)| {
        World::new(&[(CONFIG, "x: y\n")])
            .source(
                "a",
                &[("bitops.config.yaml", terraform.as_str()), ("infra/a", "")],
            )
            .source_with(
                "b",
                set,
                &[("bitops.config.yaml", tofu.as_str()), ("infra/b", "")],
            )
    };
    let conflict = world(|_| {}).conflict();
    let ConflictKind::Plugin { deployment, plugins } = &conflict.kind else {
        panic!("{conflict:?}")
    };
    assert_eq!(
        (deployment.as_str(), plugins.as_slice()),
        ("infra", &["terraform".to_owned(), "tofu".to_owned()][..])
    );
    assert_eq!(
        conflict
            .parties
            .iter()
            .map(|party| party.line)
            .collect::<Vec<_>>(),
        [Some(3), Some(3)]
    );

    let renamed = world(|source| source.rename = Some("b".to_owned()));
    assert_eq!(names(&renamed.composed()), ["infra:terraform", "b-infra:tofu"]);
    let local =
        World::new(&[(CONFIG, tofu.as_str())]).source("a", &[("bitops.config.yaml", terraform.as_str())]);
    assert!(matches!(local.conflict().kind, ConflictKind::Plugin { .. }));
    let image = World::new(&[(CONFIG, "x: y\n")])
        .source("a", &[("bitops.config.yaml", terraform.as_str())])
        .image(&[("infra", "tofu")]);
    assert_eq!(image.conflict().parties.len(), 1, "the image has no file to show");
}

#[test]
fn as_needs_to_know_what_a_deployment_is() {
    let world = World::new(&[(CONFIG, "")]).source_with("eks", with_as("eks"), &[("terraform/a", "")]);
    assert_eq!(world.conflict().kind, ConflictKind::DeploymentsUnknown);
    let declared = World::new(&[(CONFIG, "")]).source_with(
        "eks",
        with_as("eks"),
        &[
            (
                "bitops.config.yaml",
                "bitops: {deployments: {infra: {plugin: terraform}}}\n",
            ),
            ("infra/a", ""),
        ],
    );
    let composition = declared.composed();
    assert_eq!(names(&composition), ["eks-infra:terraform"]);
    assert!(
        composition.warnings[0]
            .message
            .starts_with("the image's own deployments are not known here")
    );
}

#[test]
fn what_as_could_not_rename_collides_with_nothing() {
    let files = [("terraform/a", "1"), ("top", "1"), ("terraform/b.kv", "k=1")];
    let others = [("terraform/a", "2"), ("top", "2"), ("terraform/b.kv", "k=2")];
    let world = World::new(&[(CONFIG, "")])
        .source("eks", &files)
        .source_with("vm", with_as("vm"), &others);
    let conflicts = world.compose().conflicts;
    let kinds: Vec<_> = conflicts
        .iter()
        .map(|conflict| (conflict.path.as_str(), &conflict.kind))
        .collect();
    assert_eq!(
        kinds,
        [
            (CONFIG, &ConflictKind::DeploymentsUnknown),
            ("dev/top", &ConflictKind::Content { unmerged: None }),
        ]
    );
    let remedy = "list all deployments with their plugins in bitops.deployments of dev/bitops.config.yaml: each directory of this source as `vm-DIRECTORY`, and those of the other layers by their own names";
    assert!(
        world.remedies(&conflicts[0]).iter().any(|one| one == remedy),
        "{conflicts:?}"
    );
    // The advice leads to no other problem.
    let all = "bitops: {deployments: {terraform: {plugin: terraform}, vm-terraform: {plugin: terraform}}}\n";
    let composition = World::new(&[(CONFIG, all), ("dev/top", "3")])
        .source("eks", &files)
        .source_with("vm", with_as("vm"), &others)
        .composed();
    assert_eq!(
        names(&composition),
        ["terraform:terraform", "vm-terraform:terraform"]
    );
    assert!(composition.warnings.is_empty(), "{:?}", composition.warnings);
}

#[test]
fn the_local_list_says_what_as_renames() {
    let config = |names: &[&str]| {
        let line = |name: &&str| format!("    {name}: {{plugin: {}}}\n", name.rsplit('-').next().unwrap());
        let lines: String = names.iter().map(line).collect();
        format!("bitops:\n  deployments:\n{lines}")
    };
    let files = [("terraform/a", ""), ("ansible/b", "")];
    let world =
        |names: &[&str]| World::new(&[(CONFIG, &config(names))]).source_with("vm", with_as("vm"), &files);
    let both = world(&["vm-ansible", "vm-terraform"]);
    let composition = both.composed();
    assert_eq!(
        names(&composition),
        ["vm-ansible:ansible", "vm-terraform:terraform"]
    );
    assert_eq!(paths(&composition), ["dev/vm-ansible/b", "dev/vm-terraform/a"]);
    assert!(composition.warnings.is_empty(), "{:?}", composition.warnings);

    // Nothing is known about the other directory.
    assert_eq!(
        world(&["vm-ansible"]).conflict().kind,
        ConflictKind::DeploymentsUnknown
    );
    // The image knows terraform, and has no ansible.
    let composition = world(&["vm-ansible"])
        .image(&[("terraform", "terraform")])
        .composed();
    assert_eq!(
        names(&composition),
        ["vm-terraform:terraform", "vm-ansible:ansible"]
    );
    assert_eq!(
        paths(&composition)[1..],
        ["dev/vm-ansible/b", "dev/vm-terraform/a"]
    );
}

#[test]
fn nested_lists_of_sources_do_not_leak() {
    let config = "# catalog\ndefault-environments:\n- repo: x\nbitops:\n  fail_fast: true\n  default-environments: [y]\n";
    let alone = World::new(&[]).source("eks", &[("bitops.config.yaml", config)]);
    let composition = alone.composed();
    assert_eq!(
        alone.text(&composition, CONFIG),
        "# catalog\nbitops:\n  fail_fast: true\n"
    );
    assert_eq!(composition.files[0].action, Action::Add);

    let only_list = World::new(&[]).source(
        "eks",
        &[("bitops.config.yaml", "default-environments:\n- repo: x\n")],
    );
    assert!(only_list.composed().files.is_empty(), "nothing is left of it");
    let nested = World::new(&[]).source("eks", &[("helm/bitops.config.yaml", config)]);
    assert_eq!(
        nested.text(&nested.composed(), "dev/helm/bitops.config.yaml"),
        config,
        "a plugin's config is not ours"
    );
    let same = World::new(&[])
        .source(
            "a",
            &[("bitops.config.yaml", "default-environments: [1]\nx: y\n")],
        )
        .source(
            "b",
            &[("bitops.config.yaml", "default-environments: [2]\nx: y\n")],
        );
    assert_eq!(same.composed().files[0].from.len(), 2, "what is left is compared");
}

#[test]
fn every_config_that_gave_a_deployment_is_in_its_provenance() {
    let declares = "bitops:\n  deployments:\n    infra:\n      plugin: terraform\n";
    let world =
        World::new(&[(CONFIG, "x: y\n")]).source("a", &[("bitops.config.yaml", declares), ("infra/x", "")]);
    let composition = world.composed();
    let file = &composition.files[0];
    assert_eq!(file.from.len(), 2);
    assert_eq!(world.text(&composition, CONFIG), format!("x: y\n{declares}"));

    let no_local = World::new(&[]).source("a", &[("bitops.config.yaml", declares), ("infra/x", "")]);
    let composition = no_local.composed();
    assert_eq!(no_local.text(&composition, CONFIG), declares);
    assert!(matches!(&composition.files[0].write, Write::Bytes { .. }));
}

#[test]
fn configs_that_cannot_be_read_or_edited_are_errors() {
    let why = |local: &str, remote: &str| {
        let world = World::new(&[(CONFIG, local)])
            .source_with(
                "eks",
                with_as("eks"),
                &[("bitops.config.yaml", remote), ("helm/a", "")],
            )
            .image(&IMAGE);
        let ConflictKind::Config { problem } = world.conflict().kind else {
            panic!()
        };
        problem.to_string()
    };
    assert!(why("", "a: [\n").starts_with("line "));
    assert_eq!(
        why("a: 1\n---\nb: 2\n", ""),
        "line 2: the file holds several YAML documents, which BitOps does not read"
    );
    assert_eq!(why("- a\n", ""), "it is not a mapping");
    assert_eq!(why("bitops: 1\n", ""), "`bitops` is not a mapping");
    assert_eq!(
        why("bitops:\n  deployments: [a]\n", ""),
        "line 2: `deployments` is not a mapping"
    );
    assert_eq!(
        why("", "bitops:\n  deployments:\n    a:\n"),
        "line 3: the deployment `a` names no plugin"
    );
    assert_eq!(
        why("", "bitops:\n  deployments:\n    \"../b\\e\": {plugin: x}\n"),
        "line 3: the deployment `../b\\u{1b}`: `.` and `..` are not allowed in the path"
    );
}

#[test]
fn two_directories_that_as_moves_together_are_a_conflict() {
    let world = World::new(&[(CONFIG, "")])
        .source_with(
            "eks",
            with_as("eks"),
            &[("terraform/a", "1"), ("eks-terraform/a", "2")],
        )
        .image(&IMAGE);
    let conflict = world.conflict();
    assert_eq!(
        (conflict.path.as_str(), conflict.parties.len()),
        ("dev/eks-terraform/a", 2)
    );
}

#[test]
fn an_unknown_image_and_no_declarations_give_no_warning() {
    let world = World::new(&[]).source("eks", &[("anything/a", "1")]);
    assert_eq!(world.composed().warnings, []);
}

#[test]
fn what_a_source_says_beside_its_plugin_is_reported_as_left_out() {
    let declares = "bitops: {deployments: {infra: {plugin: terraform, skip: true}}}\n";
    let world =
        World::new(&[(CONFIG, "x: y\n")]).source("a", &[("bitops.config.yaml", declares), ("infra/x", "")]);
    let composition = world.composed();
    assert_eq!(
        composition.files[0].notes,
        [
            "of the deployment infra of a of https://host/org/a-repo only `plugin` is kept, which is all that the pipeline reads; left out: skip"
        ]
    );
    let plan = crate::compose::report::text::plan(&composition, &world.layers.sources).into_string();
    assert!(
        plan.contains("\nNotes\n  bitops.config.yaml: of the deployment infra of a "),
        "{plan}"
    );
}

#[test]
fn deployments_may_be_nested_directories() {
    let declares = "bitops:\n  deployments:\n    aws/network: {plugin: terraform}\n";
    let world = World::new(&[(CONFIG, "")])
        .source_with(
            "a",
            with_as("a"),
            &[("bitops.config.yaml", declares), ("aws/network/x", "")],
        )
        .image(&IMAGE);
    let composition = world.composed();
    assert_eq!(paths(&composition), ["dev/a-aws/network/x", CONFIG]);
    assert_eq!(
        (
            composition.deployments[0].name.as_str(),
            composition.deployments[0].present
        ),
        ("a-aws/network", true)
    );
    assert_eq!(composition.warnings, []);
}

#[test]
fn the_images_own_config_is_read_in_its_order() {
    let text = "bitops:\n  plugins: {}\n  deployments:\n    terraform:\n      plugin: terraform\n    ansible: {plugin: ansible}\n";
    let own = |name: &str| (name.to_owned(), name.to_owned());
    assert_eq!(
        ImageDeployments::parse(text).unwrap().0,
        [own("terraform"), own("ansible")]
    );
    assert_eq!(ImageDeployments::parse("bitops: {}\n").unwrap().0, []);
    assert_eq!(
        ImageDeployments::parse("bitops: {deployments: {a: {}}}")
            .unwrap_err()
            .to_string(),
        "line 1: the deployment `a` names no plugin"
    );
}
