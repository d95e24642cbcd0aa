//! Puts the commit into `--version`: `BITOPS_COMPOSE_COMMIT` where the build has no repo (a Docker build), else git's.

use std::{path::Path, process::Command};

fn main() {
    println!("cargo:rerun-if-env-changed=BITOPS_COMPOSE_COMMIT");
    // Where git keeps them, also for a worktree. A path that is not there would have everything built again each time.
    for name in ["HEAD", "logs/HEAD"] {
        if let Some(path) = git(&["rev-parse", "--git-path", name])
            && Path::new(&path).exists()
        {
            println!("cargo:rerun-if-changed={path}");
        }
    }
    println!("cargo:rerun-if-changed=build.rs");
    let given = std::env::var("BITOPS_COMPOSE_COMMIT")
        .ok()
        .filter(|commit| !commit.is_empty());
    let commit = given
        .or_else(|| git(&["rev-parse", "--short=12", "HEAD"]))
        .unwrap_or_else(|| "unknown commit".to_owned());
    println!(
        "cargo:rustc-env=BITOPS_COMPOSE_VERSION={} ({commit})",
        env!("CARGO_PKG_VERSION")
    );
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
