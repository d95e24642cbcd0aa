//! What CI gets: GitHub's annotations, groups, outputs and summary; the project's own actions and workflow; the presets for
//! Renovate and pre-commit; the examples for other CI.

#[path = "../common/mod.rs"]
mod common;

mod actions;
mod examples;
mod github;
mod pre_commit;
mod renovate;
mod tools;
mod where_it_runs;

use std::path::{Path, PathBuf};

/// The project's own root, in which its YAML files are.
fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}
