//! What CI gets: GitHub's annotations, groups, outputs and summary; the project's own actions and workflow; the presets for
//! Renovate and pre-commit; the examples for other CI.

#![expect(clippy::print_stderr, reason = "a test that is skipped says why")]

mod actions;
mod editor;
mod examples;
mod github;
mod job;
mod pre_commit;
mod renovate;
mod setup;
mod tools;
mod update;
mod where_it_runs;

use std::path::{Path, PathBuf};

/// Returns the project's root, which holds its YAML files.
fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}
