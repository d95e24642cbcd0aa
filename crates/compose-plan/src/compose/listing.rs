//! The user's own names in one directory, and the paths of entries in it.

use compose_model::{FileMode, TreePath, path::InvalidPath};

use crate::layer::LocalKind;

/// The entries of a local directory, sorted by name.
pub(super) type Listing = Vec<(String, LocalKind)>;

/// Returns the kind of the user's entry with a name.
pub(super) fn kind_of(listing: &Listing, name: &str) -> Option<LocalKind> {
    listing
        .binary_search_by(|(own, _)| own.as_str().cmp(name))
        .ok()
        .map(|at| listing[at].1)
}

/// Returns the mode of the user's file with a name.
pub(super) fn file_mode(listing: &Listing, name: &str) -> Option<FileMode> {
    match kind_of(listing, name) {
        Some(LocalKind::File(mode)) => Some(mode),
        _ => None,
    }
}

/// Returns the path of a name in a directory; `None` is the operations repo's root.
pub(super) fn child(at: Option<&TreePath>, name: &str) -> Result<TreePath, InvalidPath> {
    match at {
        Some(at) => at.child(name),
        None => TreePath::new(name),
    }
}
