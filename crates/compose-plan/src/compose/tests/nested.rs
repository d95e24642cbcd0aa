//! Deployments whose names are paths, such as `terraform/aws`.

use crate::{
    compose::{Composition, ImageDeployments, testing::World},
    layer::Source,
};

const CONFIG: &str = "dev/bitops.config.yaml";
/// A config of the terraform plugin, which makes its directory a deployment.
const PLUGIN: &str = "terraform: {}\n";

/// A config with a list of these deployments, each of the plugin that its name begins with, behind any `as`.
fn list(names: &[&str]) -> String {
    let plugin = |name: &str| {
        name.split('/')
            .next()
            .unwrap()
            .rsplit('-')
            .next()
            .unwrap()
            .to_owned()
    };
    let line = |name: &&str| format!("    {name}: {{plugin: {}}}\n", plugin(name));
    format!(
        "bitops:\n  deployments:\n{}",
        names.iter().map(line).collect::<String>()
    )
}

fn omnibus(mut world: World) -> World {
    world.image = Some(ImageDeployments::omnibus());
    world
}

/// Returns the names of the deployments that would run.
fn run(composition: &Composition) -> Vec<&str> {
    let present = composition.deployments.iter().filter(|one| one.present);
    present.map(|one| one.name.as_str()).collect()
}

fn warnings(composition: &Composition) -> Vec<&str> {
    composition
        .warnings
        .iter()
        .map(|one| one.message.as_str())
        .collect()
}

fn with_as(name: &str) -> impl FnOnce(&mut Source) {
    let name = name.to_owned();
    move |source| source.rename = Some(name)
}

#[test]
fn a_directory_that_a_list_goes_into_makes_no_deployment_of_its_own() {
    // The local list names it, as in BitOps' own actions.
    let own = list(&["terraform/rds", "terraform/aws", "ansible/app"]);
    let files = [
        ("terraform/rds/bitops.config.yaml", PLUGIN),
        ("terraform/aws/bitops.config.yaml", PLUGIN),
        ("terraform/modules/vpc/main.tf", ""),
        ("ansible/app/bitops.config.yaml", "ansible: {}\n"),
    ];
    let composition = omnibus(World::new(&[(CONFIG, &own)]).source("eks", &files)).composed();
    assert_eq!(
        run(&composition),
        ["terraform/rds", "terraform/aws", "ansible/app"]
    );
    assert_eq!(warnings(&composition), [] as [&str; 0]);
    assert!(!composition.generated, "the local list says it all");

    // A source's list names it, for a local environment without a list and for another source.
    let own = list(&["terraform/rds"]);
    let world = World::new(&[(CONFIG, "x: y\n")])
        .source("rds", &[("bitops.config.yaml", own.as_str()), files[0]])
        .source(
            "modules",
            &[
                ("terraform/modules/vpc/main.tf", ""),
                ("helm/app/bitops.config.yaml", ""),
            ],
        );
    let composition = omnibus(world).composed();
    assert_eq!(run(&composition), ["terraform/rds", "helm"]);
    assert_eq!(warnings(&composition), [] as [&str; 0]);
}

#[test]
fn a_deployment_that_stands_alone_beside_nested_ones_runs_as_ever() {
    let nested = list(&["terraform/aws"]);
    let aws = [
        ("bitops.config.yaml", nested.as_str()),
        ("terraform/aws/bitops.config.yaml", PLUGIN),
    ];
    // The user's own deployment, named by the image's list.
    let local = [(CONFIG, "x: y\n"), ("dev/terraform/bitops.config.yaml", PLUGIN)];
    let composition = omnibus(World::new(&local).source("aws", &aws)).composed();
    assert_eq!(run(&composition), ["terraform/aws", "terraform"]);

    // A deployment of another source.
    let alone = [
        ("terraform/bitops.config.yaml", PLUGIN),
        ("terraform/main.tf", ""),
    ];
    let world = World::new(&[(CONFIG, "x: y\n")])
        .source("alone", &alone)
        .source("aws", &aws);
    assert_eq!(run(&omnibus(world).composed()), ["terraform", "terraform/aws"]);

    // One that a list names beside them.
    let both = list(&["terraform/aws", "terraform"]);
    let world = World::new(&[(CONFIG, both.as_str())]).source("aws", &aws[1..]);
    assert_eq!(run(&omnibus(world).composed()), ["terraform/aws", "terraform"]);
}

#[test]
fn as_renames_the_common_directory() {
    let files = [
        ("terraform/aws/bitops.config.yaml", PLUGIN),
        ("terraform/rds/bitops.config.yaml", PLUGIN),
    ];
    let own = list(&["terraform/base", "vm-terraform/rds", "vm-terraform/aws"]);
    let world = World::new(&[(CONFIG, own.as_str()), ("dev/vm-terraform/aws/own.tf", "")])
        .source("base", &[("terraform/base/bitops.config.yaml", PLUGIN)])
        .source_with("vm", with_as("vm"), &files);
    let composition = omnibus(world).composed();
    assert_eq!(
        run(&composition),
        ["terraform/base", "vm-terraform/rds", "vm-terraform/aws"]
    );
    assert_eq!(warnings(&composition), [] as [&str; 0]);
    let paths: Vec<&str> = composition.files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "dev/terraform/base/bitops.config.yaml",
            "dev/vm-terraform/aws/bitops.config.yaml",
            "dev/vm-terraform/rds/bitops.config.yaml",
        ]
    );
}

#[test]
fn an_image_that_lists_paths_gives_a_source_those_that_it_has() {
    let image = [("terraform/aws", "terraform"), ("terraform/gcp", "terraform")];
    let files = [("terraform/gcp/bitops.config.yaml", PLUGIN)];
    let world = World::new(&[(CONFIG, "x: y\n")])
        .source_with("vm", with_as("vm"), &files)
        .image(&image);
    let composition = world.composed();
    assert_eq!(run(&composition), ["vm-terraform/gcp"]);
    let names: Vec<&str> = composition
        .deployments
        .iter()
        .map(|one| one.name.as_str())
        .collect();
    assert_eq!(names, ["vm-terraform/gcp", "terraform/aws", "terraform/gcp"]);
}

#[test]
fn a_nested_directory_with_a_config_that_no_list_names_is_a_warning() {
    let own = list(&["terraform/aws"]);
    let files = [
        ("terraform/aws/bitops.config.yaml", PLUGIN),
        ("terraform/aws/deeper/bitops.config.yaml", PLUGIN),
        ("terraform/gcp/bitops.config.yaml", PLUGIN),
        ("terraform/modules/main.tf", ""),
        ("helm/app/bitops.config.yaml", ""),
    ];
    let composition = omnibus(World::new(&[(CONFIG, &own)]).source("eks", &files)).composed();
    // The local list is the only one: the image's own names give the source a `helm`.
    assert_eq!(run(&composition), ["helm", "terraform/aws"]);
    assert_eq!(
        warnings(&composition),
        ["no deployment runs terraform/gcp/, which comes from eks of https://host/org/eks-repo"]
    );
}

#[test]
fn a_hook_of_a_nested_deployment_reaches_the_root_from_deeper() {
    let own = list(&["terraform/aws"]);
    let world = |hook: &str| {
        let set = |source: &mut Source| source.top = vec!["_scripts".to_owned()];
        let files = [("terraform/aws/bitops.before-deploy.d/login.sh", hook)];
        omnibus(World::new(&[(CONFIG, &own)]).source_with("eks", set, &files)).composed()
    };
    let from_there = world("bash ../../../_scripts/login.sh\n");
    assert_eq!(from_there.warnings.len(), 1, "{:?}", from_there.warnings);
    assert!(from_there.warnings[0].message.contains("uses _scripts/"));
    assert_eq!(
        warnings(&world("bash ../../_scripts/login.sh\n")),
        [] as [&str; 0]
    );
}
