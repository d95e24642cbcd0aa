//! What is wanted of a repo.

use std::sync::Arc;

use compose_model::{CommitId, TreePath};

/// What is wanted of one commit.
#[derive(Clone)]
pub struct Want {
    /// The commit.
    pub commit: CommitId,
    /// The full name of a ref that points there: asked for where a server hands out no commit by id, and named in messages.
    pub refname: Option<String>,
    /// The directories; none: only the commit and its top.
    pub roots: Vec<Root>,
}

/// Says of a path, relative to a root, whether it is wanted.
pub type Keep = Arc<dyn Fn(&TreePath) -> bool + Send + Sync>;

/// A directory of a commit that is wanted.
#[derive(Clone)]
pub struct Root {
    /// From the repo's top.
    pub dir: TreePath,
    /// `include` and `exclude`; takes paths of files relative to `dir`. `None`: everything.
    pub keep: Option<Keep>,
}

impl Root {
    /// All of a directory.
    pub fn whole(dir: TreePath) -> Self {
        Self { dir, keep: None }
    }

    /// Is a file wanted? `path` is relative to `dir`.
    pub fn keeps(&self, path: &TreePath) -> bool {
        self.keep.as_ref().is_none_or(|keep| keep(path))
    }

    /// Is it certain that both want the same files? Two filters are only known to agree when they are one.
    pub(crate) fn is(&self, other: &Root) -> bool {
        let same = match (&self.keep, &other.keep) {
            (None, None) => true,
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            _ => false,
        };
        same && self.dir == other.dir
    }
}
