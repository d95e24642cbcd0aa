//! A list of sources that would be ignored: people hear of it before they deploy, and a deployment says so before BitOps starts without them.

use crate::common::{World, catalog, world};

const DEPLOYMENTS: &str = "bitops:\n  deployments:\n    terraform:\n      plugin: terraform\n    stacks/eks:\n      plugin: terraform\n";
/// A place where a list would be ignored: the file, its text, and the marked position.
const IGNORED: [(&str, &str, &str); 18] = [
    (
        "dev/bitops.config.yaml",
        "default_environments:\n- LIST\n",
        "dev/bitops.config.yaml:1:1",
    ),
    (
        "dev/bitops.config.yaml",
        "defaultEnvironments: [LIST]\n",
        "dev/bitops.config.yaml:1:1",
    ),
    (
        "dev/bitops.config.yaml",
        "default-environment:\n- LIST\n",
        "dev/bitops.config.yaml:1:1",
    ),
    (
        "dev/bitops.config.yaml",
        "a: 1\ndefault-enviroments:\n- LIST\n",
        "dev/bitops.config.yaml:2:1",
    ),
    (
        "dev/bitops.config.yaml",
        "\"DEFAULT ENVIRONMENT\": [LIST]\n",
        "dev/bitops.config.yaml:1:1",
    ),
    (
        "dev/bitops.config.yaml",
        "a: 1\n? defaultEnviromnents\n: [LIST]\n",
        "dev/bitops.config.yaml:2:3",
    ),
    (
        "dev/bitops.config.yaml",
        "{bitops: {default--environments: [LIST]}}\n",
        "dev/bitops.config.yaml:1:11",
    ),
    (
        "dev/bitops.config.yaml",
        "bitops:\n  deployments: {stacks/eks: {plugin: terraform}}\nDefault_Environment: [LIST]\n",
        "dev/bitops.config.yaml:3:1",
    ),
    (
        "dev/bitops.config.yaml",
        "bitops:\n  default_environments: [LIST]\n",
        "dev/bitops.config.yaml:2:3",
    ),
    (
        "dev/bitops.config.yml",
        "- default_environments: [LIST]\n",
        "dev/bitops.config.yml:1:3",
    ),
    (
        "dev/bitops.config.yml",
        "default-environments:\n- LIST\n",
        "dev/bitops.config.yml:1:1",
    ),
    (
        "dev/terraform/bitops.config.yaml",
        "terraform: {}\ndefault-environments: [LIST]\n",
        "dev/terraform/bitops.config.yaml:2:1",
    ),
    (
        "dev/terraform/bitops.config.yml",
        "default-environments: [LIST]\n",
        "dev/terraform/bitops.config.yml:1:1",
    ),
    (
        "dev/terraform/bitops.config.yaml",
        "bitops:\n  default_environments: [LIST]\n",
        "dev/terraform/bitops.config.yaml:2:3",
    ),
    (
        "dev/stacks/eks/bitops.config.yaml",
        "terraform: {}\ndefault-environments: [LIST]\n",
        "dev/stacks/eks/bitops.config.yaml:2:1",
    ),
    (
        "dev/stacks/eks/bitops.config.yml",
        "defaultEnvironments: [LIST]\n",
        "dev/stacks/eks/bitops.config.yml:1:1",
    ),
    (
        "bitops.config.yaml",
        "default-environments:\n- LIST\n",
        "bitops.config.yaml:1:1",
    ),
    (
        "bitops.config.yml",
        "defaultEnvironments: [LIST]\n",
        "bitops.config.yml:1:1",
    ),
];

fn with(file: &str, text: &str) -> World {
    let world = world(&mut [catalog("c", "eks", "terraform/x.txt", "x")]);
    let entry = format!(
        "{{repo: '{}/c', environment: eks, version: 1.0.0}}",
        world.server.address()
    );
    world
        .context
        .file("dev/bitops.config.yaml", DEPLOYMENTS)
        .file("dev/terraform/bitops.config.yaml", "terraform: {}\n")
        .file("dev/stacks/eks/bitops.config.yaml", "terraform: {}\n")
        .file(file, text.replace("LIST", &entry));
    world
}

#[test]
fn people_are_refused_with_the_place_and_the_remedy() {
    for (file, text, place) in IGNORED {
        let world = with(file, text);
        for command in ["check", "plan", "lock", "outdated", "vendor"] {
            let run = world.context.run([command]).expect_code(65);
            let output = run.stderr.as_str();
            assert!(output.contains(place), "{command}: {output}");
            assert!(output.contains("has no effect"), "{command}: {output}");
            assert!(
                output.contains("did you mean `default-environments`?")
                    || output.contains("move it to dev/bitops.config.yaml"),
                "{command}: {output}"
            );
        }
        assert!(!world.context.ops_repo().join("dev/bitops.lock.yaml").exists());
        assert_eq!(world.server.requests().len(), 0, "{file}: {text}");
    }
}

#[test]
fn a_deployment_warns_and_continues() {
    for (file, text, place) in IGNORED {
        let world = with(file, text);
        let run = world.context.run(["deploy"]).expect_code(0);
        assert!(world.context.pipeline().is_some(), "{run}");
        assert!(
            run.stderr.contains("warning") && run.stderr.contains(place),
            "{file}: {run}"
        );
        world.assert_nothing_left();
    }
}

#[test]
fn a_deployment_that_must_be_locked_is_refused() {
    for (file, text, place) in IGNORED {
        let mut world = with(file, text);
        world.context.set("BITOPS_COMPOSE_LOCKED", "true");
        let run = world.context.run(["deploy"]).expect_code(65);
        assert!(world.context.pipeline().is_none(), "{run}");
        assert!(
            run.stderr.contains(place) && run.stderr.contains("BITOPS_COMPOSE_LOCKED is set"),
            "{file}: {run}"
        );
        world.assert_nothing_left();
    }
}

#[test]
fn masks_of_the_image_hide_what_a_warning_would_show() {
    for (mask, expected) in [("hunter2", "***"), ("(hunter2", "bitops.logging.masks[0]")] {
        let mut world = with("dev/bitops.config.yaml", "default_environments: [hunter2]\n");
        let dir = world.context.root().join("build");
        std::fs::create_dir(&dir).unwrap();
        let config = format!("bitops: {{logging: {{masks: [{{search: '{mask}', replace: '***'}}]}}}}\n");
        std::fs::write(dir.join("bitops.config.yaml"), config).unwrap();
        world.context.set("BITOPS_COMPOSE_PIPELINE_DIR", &dir);
        for locked in ["false", "true"] {
            world.context.set("BITOPS_COMPOSE_LOCKED", locked);
            let run = world.context.run(["deploy"]);
            assert!(run.stderr.contains(expected), "{run}");
            assert!(!run.stderr.contains("hunter2"), "{run}");
        }
    }
}

#[test]
fn a_good_list_does_not_hide_another_one() {
    let world = with("dev/bitops.config.yml", "default-environments: []\n");
    world.sources(&["{repo: '{repo}/c', environment: eks, version: 1.0.0}"]);
    let run = world.context.run(["deploy"]).expect_code(0);
    let text = world
        .context
        .pipeline()
        .unwrap()
        .text("dev/terraform/x.txt")
        .map(str::to_owned);
    assert_eq!(text.as_deref(), Some("x"));
    assert!(run.stderr.contains("dev/bitops.config.yml:1:1"), "{run}");
    world.context.run(["check"]).expect_code(65);
}

/// The config has a name that BitOps does not read.
#[test]
fn without_a_config_its_other_name_is_reported() {
    let world = world(&mut []);
    world
        .context
        .file("dev/bitops.config.yml", "default-environments: []\n")
        .file("dev/terraform/main.tf", "");
    let check = world.context.run(["check"]).expect_code(65);
    assert!(
        check
            .stderr
            .contains("to bitops.config.yaml: BitOps reads no other name"),
        "{check}"
    );
    let deploy = world.context.run(["deploy"]);
    assert!(
        deploy.stderr.contains("rename the file to bitops.config.yaml"),
        "{deploy}"
    );
}

/// None of these is meant as a list for this environment.
#[test]
fn lists_in_other_files_are_not_reported() {
    for (file, text) in [
        (
            "dev/terraform/bitops.config.yaml",
            "# default-environments: []\nterraform: {}\n",
        ),
        // An environment below this one.
        (
            "dev/eks/bitops.config.yaml",
            "default-environments: []\nbitops: {deployments: {}}\n",
        ),
        ("prod/bitops.config.yaml", "default_environments: []\n"),
        ("dev/terraform/values.yaml", "default-environments: []\n"),
        (
            "dev/bitops.config.yaml",
            "bitops: {}\ndefault-folder: x\nenvironments: []\n",
        ),
    ] {
        let mut world = with(file, text);
        let check = world.context.run(["check"]).expect_code(0);
        assert_eq!(check.stderr, "", "{file}: {text}");
        world.context.set("BITOPS_COMPOSE_LOCKED", "true");
        let deploy = world.context.run(["deploy"]).expect_code(0);
        assert!(!deploy.stderr.contains("has no effect"), "{file}: {deploy}");
    }
}

#[test]
fn a_link_counts_as_a_deployment_where_it_leads_to_no_environment() {
    let world = with("prod/bitops.config.yaml", "default-environments: []\n");
    let list = "default-environments:\n- {repo: https://example.org/r, environment: e, version: 1.0.0}\n";
    world
        .context
        .file("dev/bitops.config.yaml", list)
        .file("_shared/terraform/bitops.config.yaml", list)
        .symlink("dev/again", ".")
        .symlink("dev/above", "..")
        .symlink("dev/other", "../prod");
    let check = world.context.run(["check"]).expect_code(0);
    assert!(!check.stderr.contains("has no effect"), "{check}");
    world.context.symlink("dev/ansible", "../_shared/terraform");
    let check = world.context.run(["check"]).expect_code(65);
    let place = "dev/ansible/bitops.config.yaml:1:1";
    assert!(check.stderr.contains(place), "{check}");
}

#[test]
fn an_empty_list_is_a_warning() {
    for text in [
        "default-environments: []\n",
        "default-environments:\n",
        "bitops: {default-environments: []}\n",
    ] {
        let world = with("dev/bitops.config.yaml", text);
        for command in ["check", "deploy"] {
            let run = world.context.run([command]).expect_code(0);
            assert!(
                run.stderr
                    .contains("warning: `default-environments` is empty: nothing is composed"),
                "{command}: {run}"
            );
        }
        assert!(world.context.pipeline().is_some(), "{text}");
    }
}

/// The user cannot fix a catalog, so the message names it.
#[test]
fn a_sources_own_list_that_is_ignored_is_a_warning() {
    let mut c = catalog("c", "eks", "terraform/x.txt", "x");
    c.file("eks/bitops.config.yaml", "default_environments: []\n")
        .tag("2.0.0");
    let world = world(&mut [c]);
    world.sources(&["{repo: '{repo}/c', environment: eks, version: 2.0.0}"]);
    for command in ["plan", "deploy"] {
        let run = world.context.run([command]).expect_code(0);
        assert!(
            run.stderr.contains("`default_environments` has no effect")
                && run.stderr.contains("/c @ 2.0.0 : eks/bitops.config.yaml:1:1"),
            "{command}: {run}"
        );
    }
}
