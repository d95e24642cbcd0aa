//! The user's own names in one directory, and paths below it.

use compose_model::{FileMode, TreePath, path::InvalidPath};

use crate::layer::LocalKind;

/// What stands in a local directory, sorted by name.
pub(super) type Listing = Vec<(String, LocalKind)>;

/// What the user has under a name.
pub(super) fn kind_of(listing: &Listing, name: &str) -> Option<LocalKind> {
    listing
        .binary_search_by(|(own, _)| own.as_str().cmp(name))
        .ok()
        .map(|at| listing[at].1)
}

/// The mode of the file that the user has under a name.
pub(super) fn file_mode(listing: &Listing, name: &str) -> Option<FileMode> {
    match kind_of(listing, name) {
        Some(LocalKind::File(mode)) => Some(mode),
        _ => None,
    }
}

/// The path of a name in a directory; `None` is the operations repo's root.
pub(super) fn child(at: Option<&TreePath>, name: &str) -> Result<TreePath, InvalidPath> {
    match at {
        Some(at) => at.child(name),
        None => TreePath::new(name),
    }
}
