//! Names paths in messages as the user knows them.

use std::path::{Path, PathBuf};

use compose_model::{
    env,
    settings::{DEFAULT_HOME, DEFAULT_OPS_REPO},
};

/// Returns a path as messages name it. In the image, the user mounts the operations repo at the path
/// that BitOps reads, and knows nothing of the directory that a link there leads to.
pub(crate) fn shown_path(path: &Path) -> PathBuf {
    let place = |name: &str, default: &str| -> PathBuf {
        let set = std::env::var_os(name).filter(|value| !value.is_empty());
        PathBuf::from(set.unwrap_or_else(|| default.into()))
    };
    let ops_repo = place(env::OPS_REPO, DEFAULT_OPS_REPO);
    let mount = place(env::HOME, DEFAULT_HOME).join("mount");
    match path.strip_prefix(&mount) {
        Ok(below) if ops_repo.is_symlink() => ops_repo.components().chain(below.components()).collect(),
        _ => path.to_owned(),
    }
}
