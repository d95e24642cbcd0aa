//! Removes directories with everything in them, whatever their modes.

use std::{fs, io, os::unix::fs::PermissionsExt, path::Path};

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
