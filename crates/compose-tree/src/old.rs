//! Removes old compositions.

use std::{fs, io, os::unix::fs::PermissionsExt, path::Path};

use crate::{
    link::{self, Link},
    mountinfo::MountPoints,
    record::COMPOSITION,
};

/// Removes the compositions below a home that no living process holds.
///
/// A composition that is, or contains, a mount point is kept, because removing it would remove the
/// user's files through the mount. The target of the switched link and `keep` are kept as well. A
/// composition that cannot be removed does not fail the run.
pub(crate) fn remove_unheld(home: &Path, link: Option<&Link>, keep: &Path) {
    let Ok(entries) = fs::read_dir(home) else { return };
    let old = entries
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(COMPOSITION));
    let mut old = old.map(|entry| entry.path()).peekable();
    if old.peek().is_none() {
        return;
    }
    let Ok(points) = MountPoints::read() else { return };
    let named = link.and_then(|link| Some(link.place(&link.target()?)));
    for path in old {
        let mounted = points.within(&path).next().is_some();
        let wanted = keep.starts_with(&path) || named.as_ref().is_some_and(|named| named.starts_with(&path));
        if mounted || wanted || link::is_held(&path) {
            tracing::debug!(path = %path.display(), mounted, "an earlier composition is in use");
            continue;
        }
        remove(&path);
    }
}

/// Removes a directory, including subdirectories that not even their owner may write to.
pub(crate) fn remove(dir: &Path) {
    let removed = fs::remove_dir_all(dir).or_else(|error| match error.kind() {
        io::ErrorKind::PermissionDenied => {
            open_all(dir);
            fs::remove_dir_all(dir)
        }
        io::ErrorKind::NotFound => Ok(()),
        _ => Err(error),
    });
    if let Err(error) = removed {
        tracing::debug!(path = %dir.display(), %error, "a composition stays");
    }
}

/// Removes the content of a directory, but not the directory.
pub(crate) fn empty(dir: &Path) {
    let emptied = remove_entries(dir).or_else(|error| match error.kind() {
        io::ErrorKind::PermissionDenied => {
            open_all(dir);
            remove_entries(dir)
        }
        _ => Err(error),
    });
    if let Err(error) = emptied {
        tracing::debug!(path = %dir.display(), %error, "a composition stays");
    }
}

fn remove_entries(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn open_all(dir: &Path) {
    // A failure shows in the next attempt to remove the directory.
    let _ = fs::set_permissions(dir, fs::Permissions::from_mode(0o700));
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            open_all(&entry.path());
        }
    }
}
