//! The two paths of every entry: in the repo, and in the listing, which differ once a symlink led
//! here.

use compose_model::{ObjectId, TreePath, path::InvalidPath};

use crate::names::printable_name;

/// A directory by its path in the repo: the names and ids of the trees from the root (exclusive)
/// down to it.
pub(crate) type Dir = Vec<(String, ObjectId)>;

pub(super) fn child(dir: &Dir, name: &str, id: ObjectId) -> Dir {
    let mut dir = dir.clone();
    dir.push((name.to_owned(), id));
    dir
}

pub(super) fn place_of(dir: &Dir) -> String {
    dir.iter()
        .map(|(name, _)| name.as_str())
        .collect::<Vec<_>>()
        .join("/")
}

pub(super) fn join_place(dir: &Dir, name: &str) -> String {
    if dir.is_empty() {
        name.to_owned()
    } else {
        format!("{}/{name}", place_of(dir))
    }
}

/// Returns the escaped path of an entry.
pub(super) fn entry_place(dir: &Dir, name: &[u8]) -> String {
    join_place(dir, &printable_name(name))
}

pub(super) fn is_below(path: &str, dir: &str) -> bool {
    dir.is_empty() || path.strip_prefix(dir).is_some_and(|rest| rest.starts_with('/'))
}

/// The path of a directory in the listing and its path in the repo.
pub(super) struct Paths<'a> {
    /// The path relative to the listed directory; `None` for that directory itself.
    pub(super) logical: Option<&'a TreePath>,
    /// The path in the repo; `None` for its top.
    true_path: Option<TreePath>,
    common: PathOverlap,
}

/// How the two paths of a file relate: usually one is the end of the other, and then both share one
/// string.
enum PathOverlap {
    /// Both are equal.
    Whole,
    /// The path in the listing is the part of the path in the repo below this directory.
    Below(TreePath),
    /// They have nothing in common because a symlink led here.
    Nothing,
}

impl<'a> Paths<'a> {
    pub(super) fn new(true_path: Option<TreePath>, logical: Option<&'a TreePath>) -> Self {
        let common = match (&true_path, logical) {
            (None, None) => PathOverlap::Whole,
            (Some(path), None) => PathOverlap::Below(path.clone()),
            (Some(path), Some(logical)) if path == logical => PathOverlap::Whole,
            (Some(path), Some(logical)) => path
                .strip_suffix(logical)
                .map_or(PathOverlap::Nothing, PathOverlap::Below),
            (None, Some(_)) => PathOverlap::Nothing,
        };
        Self {
            logical,
            true_path,
            common,
        }
    }

    /// Returns an entry's path in the listing and its path in the repo.
    pub(super) fn child(&self, name: &str) -> (Result<TreePath, InvalidPath>, Result<TreePath, InvalidPath>) {
        let repo_path = join(self.true_path.as_ref(), name);
        let shared = repo_path.as_ref().ok().and_then(|path| match &self.common {
            PathOverlap::Whole => Some(path.clone()),
            PathOverlap::Below(dir) => path.strip_prefix(dir),
            PathOverlap::Nothing => None,
        });
        let path = shared.map_or_else(|| join(self.logical, name), Ok);
        (path, repo_path)
    }
}

fn join(dir: Option<&TreePath>, name: &str) -> Result<TreePath, InvalidPath> {
    match dir {
        None => TreePath::new(name),
        Some(dir) => dir.child(name),
    }
}
