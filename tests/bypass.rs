//! With nothing to compose BitOps starts as if bitops-compose were not there.

use std::{fs, os::unix::fs::symlink, path::Path, time::Duration};

use crate::common::{World, catalog, world};

const CONFIG: &str = "bitops:\n  deployments:\n    terraform:\n      plugin: terraform\n";

/// Asserts that the run created neither a cache nor a composition.
#[track_caller]
fn assert_untouched(world: &World) {
    world.assert_nothing_left();
    assert_eq!(fs::read_dir(world.context.cache()).unwrap().count(), 0);
}

#[test]
fn without_sources_the_pipeline_gets_everything_as_it_was() {
    let mut world = world(&mut []);
    world
        .context
        .file("dev/bitops.config.yaml", CONFIG)
        .file("dev/terraform/main.tf", "# local\n")
        .file("dev/terraform/bitops.config.yaml", "terraform: {}\n");
    world
        .context
        .set("SOME_VARIABLE", "kept")
        .set("BITOPS_COMPOSE_TOKEN_GITHUB_COM", "secret");
    let run = world
        .context
        .run(["deploy", "--flag", "-c", "bitops.config.yaml", "a b"])
        .expect_code(0);
    let seen = world
        .context
        .pipeline()
        .unwrap_or_else(|| panic!("the pipeline did not run\n{run}"));
    assert_eq!(
        seen.argv[seen.argv.len() - 4..],
        ["--flag", "-c", "bitops.config.yaml", "a b"]
    );
    assert_eq!(seen.env["SOME_VARIABLE"], "kept");
    assert!(!seen.env.contains_key("BITOPS_COMPOSE_TOKEN_GITHUB_COM"));
    assert_eq!(seen.text("dev/terraform/main.tf"), Some("# local\n"));
    assert_untouched(&world);
}

#[test]
fn a_commented_key_composes_nothing() {
    let world = world(&mut []);
    world.context.file(
        "dev/bitops.config.yaml",
        format!("# default-environments: []\n{CONFIG}"),
    );
    world.context.run(["deploy"]).expect_code(0);
    assert!(world.context.pipeline().is_some());
    assert_untouched(&world);
}

#[test]
fn an_empty_list_composes_nothing() {
    let world = world(&mut []);
    world.context.file(
        "dev/bitops.config.yaml",
        format!("default-environments: []\n{CONFIG}"),
    );
    world.context.run(["deploy"]).expect_code(0);
    assert!(world.context.pipeline().is_some());
    world.assert_nothing_left();
}

#[test]
fn no_environment_and_no_config_are_the_pipelines_own_business() {
    for environment in [None, Some("nowhere"), Some("../x")] {
        let mut world = world(&mut []);
        world.context.file("README.md", "");
        match environment {
            Some(name) => world.context.set("BITOPS_ENVIRONMENT", name),
            None => world.context.unset("BITOPS_ENVIRONMENT"),
        };
        world.context.run(["deploy"]);
        assert!(world.context.pipeline().is_some(), "{environment:?}");
        assert_untouched(&world);
    }
}

#[test]
fn off_means_off() {
    let mut world = world(&mut [catalog("c", "eks", "x", "x")]);
    world.sources(&["{repo: '{repo}/c', environment: eks, version: 1.0.0}"]);
    world.context.set("BITOPS_COMPOSE", "off");
    world.context.run(["deploy"]);
    assert!(world.context.pipeline().is_some());
    assert_eq!(world.server.requests().len(), 0);
    assert_untouched(&world);
}

#[test]
fn the_deprecated_name_of_the_environment_counts_too() {
    let mut world = world(&mut [catalog("c", "eks", "terraform/x.txt", "x")]);
    world.sources(&["{repo: '{repo}/c', environment: eks, version: 1.0.0}"]);
    world
        .context
        .unset("BITOPS_ENVIRONMENT")
        .set("ENVIRONMENT", "dev");
    world.context.run(["deploy"]).expect_code(0);
    assert_eq!(
        world.context.pipeline().unwrap().text("dev/terraform/x.txt"),
        Some("x")
    );
}

#[test]
fn the_pipelines_exit_code_comes_out() {
    let world = world(&mut []);
    world
        .context
        .file("dev/bitops.config.yaml", CONFIG)
        .file("dev/terraform/bitops.config.yaml", "terraform: {}\n");
    world
        .context
        .executable("dev/terraform/bitops.before-deploy.d/fail.sh", "exit 42\n");
    world.context.run(["deploy"]).expect_code(42);
}

#[test]
fn after_sources_were_taken_out_of_the_config_the_last_composition_is_gone() {
    let world = world(&mut [catalog("c", "eks", "terraform/x.txt", "x")]);
    world.sources(&["{repo: '{repo}/c', environment: eks, version: 1.0.0}"]);
    world.context.run(["deploy"]).expect_code(0);
    world.context.file("dev/bitops.config.yaml", CONFIG);
    world.context.run(["deploy"]).expect_code(0);
    assert_eq!(
        world.context.pipeline().unwrap().text("dev/terraform/x.txt"),
        None
    );
    world.assert_nothing_left();
}

#[test]
fn a_config_in_utf_16_that_names_sources_is_not_passed_on() {
    for bytes in [u16::to_le_bytes, u16::to_be_bytes] {
        let utf16 = |text: &str| -> Vec<u8> {
            let text = format!("\u{feff}{text}");
            text.encode_utf16().flat_map(bytes).collect()
        };
        let world = world(&mut []);
        let whole = utf16("default-environments: []\n");
        for config in [&whole[..], &whole[..whole.len() - 1]] {
            world.context.file("dev/bitops.config.yaml", config);
            for command in ["deploy", "check", "plan", "lock"] {
                let run = world.context.run([command]).expect_code(65);
                let message = "dev/bitops.config.yaml is in UTF-16, which BitOps does not read";
                assert!(run.stderr.contains(message), "{run}");
                assert!(run.stderr.contains("hint: save it in UTF-8"), "{run}");
            }
        }
        assert!(world.context.pipeline().is_none());

        // BitOps has its own words for the rest.
        world
            .context
            .file("dev/bitops.config.yaml", utf16("default_environments: []\n"));
        let run = world.context.run(["deploy"]).expect_code(1);
        assert!(
            run.stderr.contains("`default_environments` has no effect"),
            "{run}"
        );
        world.context.file("dev/bitops.config.yaml", utf16(CONFIG));
        let run = world.context.run(["deploy"]).expect_code(1);
        assert!(run.stderr.starts_with("Traceback"), "{run}");
        assert_untouched(&world);
    }
}

/// A config that a pull request brings may be a link to anything.
#[test]
fn a_config_without_an_end_is_refused_at_once() {
    let world = world(&mut []);
    let config = world.context.ops_repo().join("dev/bitops.config.yaml");
    fs::create_dir_all(config.parent().unwrap()).unwrap();
    let large = world.context.root().join("large");
    fs::File::create(&large).unwrap().set_len(1 << 30).unwrap();
    let fifo = world.context.root().join("fifo");
    assert!(
        std::process::Command::new("mkfifo")
            .arg(&fifo)
            .status()
            .unwrap()
            .success()
    );
    for (target, wanted) in [
        (large.as_path(), "it is larger than"),
        (&fifo, "it is not a regular file"),
        (Path::new("/dev/zero"), "it is not a regular file"),
    ] {
        let _ = fs::remove_file(&config);
        symlink(target, &config).unwrap();
        for command in ["deploy", "check", "plan", "lock"] {
            let run = world.context.run([command]).expect_code(65);
            assert!(run.stderr.contains("dev/bitops.config.yaml"), "{run}");
            assert!(
                run.stderr.contains(wanted) && run.stderr.contains("hint: "),
                "{run}"
            );
            assert!(run.duration < Duration::from_secs(5), "{run}");
        }
    }
    assert!(world.context.pipeline().is_none());
    // An empty file is one that BitOps reads.
    fs::remove_file(&config).unwrap();
    symlink("/dev/null", &config).unwrap();
    world.context.run(["deploy"]).expect_code(0);
    assert!(world.context.pipeline().is_some());
}
