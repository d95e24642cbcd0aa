//! The names of files and directories in a home and in a composition.

/// The name of the switched link in a home.
pub(crate) const ACTIVE: &str = "active";
/// The name of the mount point in a home.
pub(crate) const MOUNT: &str = "mount";
/// The prefix of the names of compositions in a home.
pub(crate) const COMPOSITION: &str = "composition.";
/// The prefix of directories in a home that keep what could not be moved.
pub(crate) const KEPT: &str = "kept.";
/// The name of the composed operations repo in a composition's directory.
pub(crate) const TREE: &str = "tree";
/// The manifest's name beside the tree.
pub(crate) const MANIFEST: &str = "manifest.json";
/// The record's name beside the tree.
pub(crate) const RECORD: &str = "staged";
/// The name of the prepared link to the composition, which is renamed over the switched one.
pub(crate) const TO: &str = "to";
/// The name of the prepared link to the user's repo, which is renamed over the switched one.
pub(crate) const BACK: &str = "back";
