//! The commits and directories to fetch from a repo.

use compose_model::{CommitId, Filter, TreePath};

/// What to fetch of one commit.
#[derive(Clone, Debug)]
pub struct Want {
    /// The commit, or an annotated tag that stands for it.
    pub commit: CommitId,
    /// The full name of a ref that points to the commit. It is requested if a server does not serve
    /// commits by id, and named in messages.
    pub refname: Option<String>,
    /// The wanted directories. If empty, only the commit and its top directory are fetched.
    pub roots: Vec<Root>,
}

/// A wanted directory of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    /// The path from the repo's top.
    pub dir: TreePath,
    /// The filter for its files, by paths relative to `dir`.
    pub filter: Filter,
}

impl Root {
    /// Returns a root for a whole directory.
    pub fn whole(dir: TreePath) -> Self {
        Self {
            dir,
            filter: Filter::all(),
        }
    }
}
