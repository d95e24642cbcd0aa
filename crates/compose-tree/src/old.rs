//! Removes old compositions.

use std::{fs, path::Path};

use crate::{
    held::OwnDir,
    link::Link,
    mountinfo::MountPoints,
    names::{COMPOSITION, MANIFEST, RECORD, TREE},
};

/// Removes the compositions below a home that no living process holds.
///
/// A composition that is, or contains, a mount point is kept, because removing it would remove the
/// user's files through the mount. The target of the switched link and `keep` are kept as well, and so
/// is what another user put there. A composition that cannot be removed does not fail the run.
pub(crate) fn remove_unheld(home: &Path, link: Option<&Link>, keep: &Path) {
    remove(home, link, keep, |_| true);
}

/// Removes the same below a directory for temporary files, where others may use such names: those
/// whose names are of the form that this program gives, and that hold nothing else.
pub(crate) fn remove_unheld_elsewhere(directory: &Path, link: Option<&Link>, keep: &Path) {
    remove(directory, link, keep, |path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let random = name.strip_prefix(COMPOSITION).unwrap_or_default();
        let is_ours = random.len() == 16 && random.bytes().all(|byte| byte.is_ascii_hexdigit());
        let entries = || fs::read_dir(path).into_iter().flatten().flatten();
        is_ours
            && entries().all(|entry| {
                [TREE, RECORD, MANIFEST]
                    .iter()
                    .any(|known| entry.file_name() == *known)
            })
    });
}

fn remove(home: &Path, link: Option<&Link>, keep: &Path, is_composition: impl Fn(&Path) -> bool) {
    let Ok(entries) = fs::read_dir(home) else { return };
    let old = entries
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(COMPOSITION));
    let mut old = old
        .map(|entry| entry.path())
        .filter(|path| is_composition(path))
        .peekable();
    if old.peek().is_none() {
        return;
    }
    let Ok(points) = MountPoints::read() else { return };
    let named = link.and_then(|link| Some(link.place(&link.target()?)));
    for path in old {
        let mounted = points.within(&path).next().is_some();
        let wanted = keep.starts_with(&path) || named.as_ref().is_some_and(|named| named.starts_with(&path));
        let dir = OwnDir::open(&path).ok();
        match dir.filter(|dir| !mounted && !wanted && dir.is_own() && !dir.is_held()) {
            Some(dir) => dir.remove(),
            None => {
                tracing::debug!(path = %path.display(), mounted, "an earlier composition is in use or another user's");
            }
        }
    }
}
