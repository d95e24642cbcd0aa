//! What a layer contributes.

use crate::{BlobId, TreePath};

/// The permission of a composed file. Everything git calls executable is 0755, everything else 0644.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FileMode {
    /// 0644
    Regular,
    /// 0755
    Executable,
}

impl FileMode {
    /// Permission bits for `chmod`.
    pub fn bits(self) -> u32 {
        match self {
            FileMode::Regular => 0o644,
            FileMode::Executable => 0o755,
        }
    }
}

/// One file of a directory in a commit, after symlinks were followed inside that commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeFile {
    /// Where the file appears, relative to the directory that was listed.
    pub path: TreePath,
    /// Where its bytes stand in the repo: differs from `path` below the directory when a symlink was followed.
    pub repo_path: TreePath,
    /// Regular or executable.
    pub mode: FileMode,
    /// The bytes.
    pub blob: BlobId,
}
