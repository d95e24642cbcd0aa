//! The parties of conflicts and traces.

use compose_model::{TreeFile, TreePath};

use super::composition::{Holds, Party};
use crate::layer::{Origin, SourceId};

/// Returns the party for a file of a source.
pub(super) fn source_party(source: SourceId, file: &TreeFile) -> Party {
    Party {
        origin: Origin::Source(source),
        path: file.repo_path.clone(),
        holds: Holds::File,
        line: None,
    }
}

/// Returns the party for the user's own file.
pub(super) fn local_party(path: &TreePath) -> Party {
    Party {
        origin: Origin::Local,
        path: path.clone(),
        holds: Holds::File,
        line: None,
    }
}
