//! The files that layers contribute.

use crate::{BlobId, TreePath};

/// The permission of a composed file: 0755 for files that are executable in git, 0644 for all
/// others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FileMode {
    /// 0644
    Regular,
    /// 0755
    Executable,
}

impl FileMode {
    /// Returns the permission bits for `chmod`.
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
    /// The path relative to the directory that was listed.
    pub path: TreePath,
    /// The path in the repo. It differs from `path` below the directory if a symlink was followed.
    pub repo_path: TreePath,
    /// Regular or executable.
    pub mode: FileMode,
    /// The id of the file's content.
    pub blob: BlobId,
}

/// A name in a directory of a commit, at any depth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutlineEntry {
    /// The path, relative to the directory.
    pub path: TreePath,
    /// What it names.
    pub kind: OutlineKind,
    /// The id of its blob. For a symlink that is the blob of its target's path.
    pub id: BlobId,
}

/// What a name in a directory names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutlineKind {
    /// A file.
    File(FileMode),
    /// A symlink, which is not followed.
    Link,
    /// A submodule, or something that git does not write.
    Other,
}
