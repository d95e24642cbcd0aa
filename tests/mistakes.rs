//! Bad input ends the run before the pipeline starts, with a message that names the place and the remedy.

mod common;

use std::fs;

use common::{World, catalog, world};
use compose_testkit::{
    Catalog,
    server::{ClosedPort, Fault},
};

/// Runs `deploy`, which must fail with `code`, start no pipeline, leave nothing and touch nothing; yields its output.
#[track_caller]
fn refused(world: &World, code: i32) -> String {
    let before = world.context.ops_repo_fingerprint();
    let run = world.context.run(["deploy"]).expect_code(code);
    assert!(
        world.context.pipeline().is_none(),
        "the pipeline was started\n{run}"
    );
    assert_eq!(run.stdout, "", "stdout is for results");
    world.assert_nothing_left();
    world.context.ops_repo_fingerprint().assert_same_as(&before);
    run.to_string()
}

fn eks() -> Catalog {
    catalog("c", "eks", "terraform/main.txt", "from c")
}

#[test]
fn every_mistake_of_a_config_is_told_at_once() {
    let world = world(&mut []);
    world.context.file(
        "dev/bitops.config.yaml",
        "bitops:\n  fail_fast: true\ndefault-environments:\n\
         - repo: https://example.com/org/c\n  enviroment: eks\n  version: 1.0.0\n\
         - repo: ext::sh -c id\n  environment: eks\n  version: 1.0.0\n  ref: main\n\
         - repo: https://me:hunter2@example.com/org/c\n  environment: ../eks\n\
         - repo: https://example.com/org/c\n  environment: eks\n  version: main\n",
    );
    let output = refused(&world, 65);
    assert!(!output.contains("hunter2"), "{output}");
    insta::assert_snapshot!(output);
}

#[test]
fn a_config_that_is_no_yaml() {
    let world = world(&mut []);
    world
        .context
        .file("dev/bitops.config.yaml", "default-environments:\n- repo: [\n");
    insta::assert_snapshot!(refused(&world, 65));
}

#[test]
fn all_failing_sources_are_told_at_once() {
    let gone = ClosedPort::new();
    let world = world(&mut [eks()]);
    world.sources(&[
        "{repo: '{repo}/c', environment: eks, version: 9.9.9}",
        "{repo: '{repo}/missing', environment: eks, version: 1.0.0}",
        &format!(
            "{{repo: '{}/c', environment: eks, version: 1.0.0}}",
            gone.address()
        ),
    ]);
    // The tag is what the user can mend alone: its code comes first.
    insta::assert_snapshot!(refused(&world, 65));
}

#[test]
fn an_unreachable_repo() {
    let gone = ClosedPort::new();
    let world = world(&mut []);
    world.sources(&[&format!(
        "{{repo: '{}/c', environment: eks, version: 1.0.0}}",
        gone.address()
    )]);
    insta::assert_snapshot!(refused(&world, 69));
}

#[test]
fn a_tag_that_does_not_exist() {
    let mut catalog = eks();
    catalog.file("eks/terraform/more.txt", "").tag("1.0.2");
    let world = world(&mut [catalog]);
    world.sources(&["{repo: '{repo}/c', environment: eks, version: 1.0.1}"]);
    insta::assert_snapshot!(refused(&world, 65));
}

#[test]
fn an_environment_that_does_not_exist() {
    let world = world(&mut [eks()]);
    world.sources(&["{repo: '{repo}/c', environment: ekz, version: 1.0.0}"]);
    insta::assert_snapshot!(refused(&world, 65));
}

#[test]
fn two_sources_with_the_same_path() {
    let world = world(&mut [eks(), catalog("d", "web", "terraform/main.txt", "from d")]);
    world.sources(&[
        "{repo: '{repo}/c', environment: eks, version: 1.0.0}",
        "{repo: '{repo}/d', environment: web, version: 1.0.0}",
    ]);
    insta::assert_snapshot!(refused(&world, 65));
}

#[test]
fn the_same_bytes_twice_are_one_file() {
    let world = world(&mut [eks(), catalog("d", "web", "terraform/main.txt", "from c")]);
    world.sources(&[
        "{repo: '{repo}/c', environment: eks, version: 1.0.0}",
        "{repo: '{repo}/d', environment: web, version: 1.0.0}",
    ]);
    world.context.run(["deploy"]).expect_code(0);
}

#[test]
fn a_file_where_another_layer_has_a_directory() {
    let world = world(&mut [eks()]);
    world.context.file("dev/terraform", "a file");
    world.sources(&["{repo: '{repo}/c', environment: eks, version: 1.0.0}"]);
    insta::assert_snapshot!(refused(&world, 65));
}

#[test]
fn a_symlink_that_leaves_the_repo() {
    let mut catalog = eks();
    catalog
        .symlink("eks/passwd", "../../../../etc/passwd")
        .symlink("eks/absolute", "/etc/passwd")
        .tag("1.1.0");
    let world = world(&mut [catalog]);
    world.sources(&["{repo: '{repo}/c', environment: eks, version: 1.1.0}"]);
    insta::assert_snapshot!(refused(&world, 65));
}

#[test]
fn a_git_lfs_pointer() {
    let mut catalog = eks();
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n";
    catalog.file("eks/image.bin", pointer).tag("1.1.0");
    let world = world(&mut [catalog]);
    world.sources(&["{repo: '{repo}/c', environment: eks, version: 1.1.0}"]);
    insta::assert_snapshot!(refused(&world, 65));
    world.sources(&["{repo: '{repo}/c', environment: eks, version: 1.1.0, exclude: [image.bin]}"]);
    world.context.run(["deploy"]).expect_code(0);
}

#[test]
fn a_submodule() {
    let mut catalog = eks();
    catalog
        .submodule("eks/modules/vpc", "0123456789012345678901234567890123456789")
        .tag("1.1.0");
    let world = world(&mut [catalog]);
    world.sources(&["{repo: '{repo}/c', environment: eks, version: 1.1.0}"]);
    insta::assert_snapshot!(refused(&world, 65));
}

#[test]
fn a_repo_that_wants_credentials() {
    let world = world(&mut [eks()]);
    world.server.inject(
        "c",
        Fault::Status {
            code: 401,
            retry_after: None,
        },
    );
    world.sources(&["{repo: '{repo}/c', environment: eks, version: 1.0.0}"]);
    insta::assert_snapshot!(refused(&world, 77));
}

#[test]
fn a_repo_that_policy_refuses() {
    let mut world = world(&mut [eks()]);
    world
        .context
        .set("BITOPS_COMPOSE_ALLOW", "https://github.com/our-org/*");
    world.sources(&["{repo: '{repo}/c', environment: eks, version: 1.0.0}"]);
    insta::assert_snapshot!(refused(&world, 77));
    assert_eq!(world.server.requests().len(), 0);
}

#[test]
fn a_home_that_cannot_be_written() {
    let mut world = world(&mut [eks()]);
    world.sources(&["{repo: '{repo}/c', environment: eks, version: 1.0.0}"]);
    // Root may write anywhere but below a file.
    let file = world.context.root().join("file");
    fs::write(&file, "").unwrap();
    std::os::unix::fs::symlink(world.context.ops_repo(), world.context.root().join("ops")).unwrap();
    let ops = world.context.root().join("ops");
    world
        .context
        .set("BITOPS_COMPOSE_HOME", file.join("home"))
        .set("BITOPS_COMPOSE_OPS_REPO", ops);
    insta::assert_snapshot!(refused(&world, 73));
}

#[test]
fn an_operations_repo_that_is_no_link() {
    let mut world = world(&mut [eks()]);
    world.sources(&["{repo: '{repo}/c', environment: eks, version: 1.0.0}"]);
    let repo = world.context.ops_repo();
    world.context.set("BITOPS_COMPOSE_OPS_REPO", &repo);
    insta::assert_snapshot!(refused(&world, 73));
}

#[test]
fn a_pipeline_that_cannot_be_started() {
    for (pipeline, code) in [
        ("no-such-program deploy", 127),
        ("./not-executable", 126),
        ("'unclosed", 2),
    ] {
        let mut world = world(&mut [eks()]);
        world.sources(&["{repo: '{repo}/c', environment: eks, version: 1.0.0}"]);
        let dir = world.context.root().join("pipeline");
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join("not-executable"), "").unwrap();
        world
            .context
            .set("BITOPS_COMPOSE_PIPELINE", pipeline)
            .set("BITOPS_COMPOSE_PIPELINE_DIR", &dir);
        let output = refused(&world, code);
        insta::assert_snapshot!(format!("a_pipeline_that_cannot_be_started_{code}"), output);
        assert_eq!(
            world.server.requests().len(),
            0,
            "what fails at the end is better known at the start"
        );
    }
}

#[test]
fn wrong_settings_are_told_at_once() {
    let mut world = world(&mut [eks()]);
    world.sources(&["{repo: '{repo}/c', environment: eks, version: 1.0.0}"]);
    world
        .context
        .set("BITOPS_COMPOSE_JOBS", "many")
        .set("BITOPS_COMPOSE_TIMEOUT", "-1");
    insta::assert_snapshot!(refused(&world, 2));
}

#[test]
fn the_time_for_all_fetching_is_limited() {
    let mut world = world(&mut [eks()]);
    world.server.inject("c", Fault::Stall);
    world.context.set("BITOPS_COMPOSE_TIMEOUT", "1");
    world.sources(&["{repo: '{repo}/c', environment: eks, version: 1.0.0}"]);
    insta::assert_snapshot!(refused(&world, 75));
}

#[test]
fn errors_as_json_and_as_annotations() {
    let mut world = world(&mut [eks()]);
    world.sources(&["{repo: '{repo}/c', environment: eks, version: 9.0.0}"]);
    world
        .context
        .set("BITOPS_COMPOSE_LOG_FORMAT", "json")
        .set("GITHUB_ACTIONS", "true");
    insta::assert_snapshot!(refused(&world, 65));
}
