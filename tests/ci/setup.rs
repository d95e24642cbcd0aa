//! `setup/action.yml`.

use std::fs;

use super::job::{executable, job};

#[test]
fn setup_takes_the_release_that_its_checksums_describe() {
    let mut job = job();
    let asset = job.release("v0.1.0");
    job.runner.context("github.action_ref", "v0.1.0");
    let setup = job.own().join("setup");
    let done = job.runner.action(&setup, &[]).expect_code(0);
    assert_eq!(
        done.outputs["path"],
        job.path("_temp/bitops-compose-bin/bitops-compose")
            .display()
            .to_string()
    );
    assert!(
        done.outputs["version"].starts_with("bitops-compose 0."),
        "{:?}",
        done.outputs
    );
    // Later steps find the program in `PATH`.
    let done = job
        .runner
        .workflow("jobs: {x: {steps: [{run: bitops-compose --version}]}}")
        .expect_code(0);
    assert!(
        done.last().stdout.starts_with("bitops-compose 0."),
        "{}",
        done.last()
    );

    // No other file is installed.
    let mut tampered = fs::read(&asset).unwrap();
    tampered.push(b'\n');
    fs::write(&asset, tampered).unwrap();
    fs::remove_dir_all(job.path("_temp/bitops-compose-bin")).unwrap();
    for (version, message) in [
        ("0.1.0", "is not what the release's checksums say"),
        ("0.2.0", "the release v0.2.0 has no bitops-compose-v0.2.0-"),
        ("../../x", "the input version is no version"),
    ] {
        let done = job.runner.action(&setup, &[("version", version)]).expect_code(1);
        assert!(done.last().stderr.contains(message), "{}", done.last());
        assert!(!job.path("_temp/bitops-compose-bin/bitops-compose").exists());
    }
    fs::write(asset.parent().unwrap().join("SHA256SUMS"), "").unwrap();
    let done = job.runner.action(&setup, &[("version", "0.1.0")]).expect_code(1);
    assert!(
        done.last().stderr.contains("the checksums of v0.1.0 do not name"),
        "{}",
        done.last()
    );
}

#[test]
fn setup_compiles_versions_that_are_not_releases() {
    let mut job = job();
    // Replaces the build itself, which `scripts/test-image` runs.
    let build = format!(
        "#!/bin/sh\ninstall -m 755 {} \"$1/bitops-compose\"\n",
        env!("CARGO_BIN_EXE_bitops-compose")
    );
    executable(&job.own().join("scripts/build-static"), &build);
    job.program("cargo", "#!/bin/sh\n");
    job.runner.context("github.action_ref", "main");
    let setup = job.own().join("setup");
    let done = job.runner.action(&setup, &[]).expect_code(0);
    assert!(
        done.outputs["version"].starts_with("bitops-compose 0."),
        "{:?}",
        done.outputs
    );
}
