//! The commits and directories to fetch from a repo.

use std::sync::Arc;

use compose_model::{CommitId, TreePath};

/// What to fetch of one commit.
#[derive(Clone)]
pub struct Want {
    /// The commit.
    pub commit: CommitId,
    /// The full name of a ref that points to the commit. It is requested if a server does not serve
    /// commits by id, and named in messages.
    pub refname: Option<String>,
    /// The wanted directories. If empty, only the commit and its top directory are fetched.
    pub roots: Vec<Root>,
}

/// A filter that returns whether a path, relative to a root, is wanted.
pub type Keep = Arc<dyn Fn(&TreePath) -> bool + Send + Sync>;

/// A wanted directory of a commit.
#[derive(Clone)]
pub struct Root {
    /// The path from the repo's top.
    pub dir: TreePath,
    /// The `include` and `exclude` filter for files, by paths relative to `dir`; `None` for
    /// everything.
    pub keep: Option<Keep>,
}

impl Root {
    /// Returns a root for a whole directory.
    pub fn whole(dir: TreePath) -> Self {
        Self { dir, keep: None }
    }

    /// Returns whether a file is wanted. `path` is relative to `dir`.
    pub fn keeps(&self, path: &TreePath) -> bool {
        self.keep.as_ref().is_none_or(|keep| keep(path))
    }

    /// Returns whether both roots certainly want the same files. Two filters are only known to
    /// agree if they are the same one.
    pub(crate) fn is_same(&self, other: &Root) -> bool {
        let same = match (&self.keep, &other.keep) {
            (None, None) => true,
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            _ => false,
        };
        same && self.dir == other.dir
    }
}
