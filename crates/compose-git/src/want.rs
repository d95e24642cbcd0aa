//! What is wanted of a repo.

use compose_model::{CommitId, Filter, TreePath};

/// What is wanted of one commit.
#[derive(Clone, Debug)]
pub struct Want {
    /// The commit.
    pub commit: CommitId,
    /// The full name of a ref that points there: asked for where a server hands out no commit by id, and named in messages.
    pub refname: Option<String>,
    /// The directories; none: only the commit and its top.
    pub roots: Vec<Root>,
}

/// A directory of a commit that is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    /// From the repo's top.
    pub dir: TreePath,
    /// Which of its files; takes paths relative to `dir`.
    pub filter: Filter,
}

impl Root {
    /// All of a directory.
    pub fn whole(dir: TreePath) -> Self {
        Self {
            dir,
            filter: Filter::all(),
        }
    }
}
