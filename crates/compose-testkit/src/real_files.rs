//! YAML files of real repos, for tests that compare this project with PyYAML on many of them.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Names the directory with the files.
const DIRECTORY: &str = "BITOPS_COMPOSE_TEST_YAML";

/// Returns the YAML files below the directory that `BITOPS_COMPOSE_TEST_YAML` names, sorted.
///
/// # Panics
///
/// If the variable is not set, or a directory cannot be read.
pub fn all() -> Vec<PathBuf> {
    let root = std::env::var_os(DIRECTORY)
        .unwrap_or_else(|| panic!("{DIRECTORY} must name a directory of YAML files"));
    below([PathBuf::from(root)])
}

/// Returns the YAML files below some directories, sorted. Symlinks are not followed.
///
/// # Panics
///
/// If a directory cannot be read.
pub fn below(directories: impl IntoIterator<Item = PathBuf>) -> Vec<PathBuf> {
    let mut open: Vec<PathBuf> = directories.into_iter().collect();
    let mut found = Vec::new();
    while let Some(directory) = open.pop() {
        let entries = std::fs::read_dir(&directory)
            .unwrap_or_else(|error| panic!("cannot read {}: {error}", directory.display()));
        for entry in entries.flatten() {
            let path = entry.path();
            if path.is_symlink() {
                continue;
            }
            if path.is_dir() {
                open.push(path);
            } else if is_yaml(&path) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn is_yaml(path: &Path) -> bool {
    path.extension().is_some_and(|end| end == "yaml" || end == "yml")
}

/// Calls `work` with each batch of `size` files, on two threads.
pub fn in_batches(files: &[PathBuf], size: usize, work: impl Fn(&[PathBuf]) + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(batch) = files.chunks(size).nth(next.fetch_add(1, Ordering::Relaxed)) {
                    work(batch);
                }
            });
        }
    });
}
