//! What a pipeline wrote into the composition while it was switched in.

use std::path::{Path, PathBuf};

use crate::{Error, old, record::TREE, switch::Moment};

/// What became of it. Paths are relative to the operations repo's root.
#[derive(Debug, Default)]
pub struct Sweep {
    /// New or edited files that are in the user's repo now.
    pub moved: Vec<PathBuf>,
    /// Composed files that were changed: the change is gone with the composition.
    pub changed: Vec<PathBuf>,
    /// What was removed from the composition: the user's own is still there.
    pub removed: Vec<PathBuf>,
    /// What could not be moved, and why.
    pub failed: Vec<(PathBuf, Error)>,
}

pub(crate) fn sweep(composition: &Path, _since: Moment) -> Sweep {
    old::remove(&composition.join(TREE));
    Sweep::default()
}
