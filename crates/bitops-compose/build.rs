//! Puts the commit into `--version`: `BITOPS_COMPOSE_COMMIT` where the build has no repo (a Docker build), else git's.

use std::process::Command;

fn main() {
    println!("cargo:rerun-if-env-changed=BITOPS_COMPOSE_COMMIT");
    println!("cargo:rerun-if-changed=../../.git/HEAD");
    println!("cargo:rerun-if-changed=../../.git/refs/heads");
    let given = std::env::var("BITOPS_COMPOSE_COMMIT")
        .ok()
        .filter(|commit| !commit.is_empty());
    let commit = given.or_else(head).unwrap_or_else(|| "unknown commit".to_owned());
    println!(
        "cargo:rustc-env=BITOPS_COMPOSE_VERSION={} ({commit})",
        env!("CARGO_PKG_VERSION")
    );
}

fn head() -> Option<String> {
    let output = Command::new("git")
        .args(["rev-parse", "--short=12", "HEAD"])
        .output()
        .ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
