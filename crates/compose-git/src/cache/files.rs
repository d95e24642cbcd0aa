//! Files of the cache: flocks, ages, and writing aside.

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
    time::{Duration, SystemTime},
};

use rustix::fs::{FlockOperation, flock};

use crate::error::Error;

/// The directory of this layout.
pub(super) const LAYOUT: &str = "v1";

pub(super) fn failed(doing: &'static str, path: &Path, source: io::Error) -> Error {
    Error::Cache {
        doing,
        path: path.to_owned(),
        source,
    }
}

/// What came of asking for a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Locked {
    Held,
    /// Somebody else has it.
    Taken,
    /// Some network file systems know no locks: then the cache works, and nothing of it is removed by itself.
    Unknown,
}

/// Asks for a lock; a shared one is waited for, since who removes an entry holds its lock for one rename only.
pub(super) fn try_flock(file: &fs::File, operation: FlockOperation) -> Locked {
    match rustix::io::retry_on_intr(|| flock(file, operation)) {
        Ok(()) => Locked::Held,
        Err(rustix::io::Errno::WOULDBLOCK) => Locked::Taken,
        Err(error) => {
            tracing::debug!(%error, "this file system has no locks");
            Locked::Unknown
        }
    }
}

/// Is what was opened still what stands at the path?
pub(super) fn is_at(file: &fs::File, path: &Path) -> bool {
    let now = fs::metadata(path);
    now.is_ok_and(|now| {
        file.metadata()
            .is_ok_and(|ours| (ours.dev(), ours.ino()) == (now.dev(), now.ino()))
    })
}

/// A directory of a random name; the umask alone decides who may read it, as of every other one. (tempfile's own are for this
/// user alone, and then a CI job cannot save a cache that a container wrote as root.)
pub(super) fn random_directory(parent: &Path, prefix: &str) -> io::Result<tempfile::TempDir> {
    tempfile::Builder::new()
        .prefix(prefix)
        .permissions(fs::Permissions::from_mode(0o777))
        .tempdir_in(parent)
}

/// Writes a file aside and renames it; readable as [`random_directory`] is.
pub(super) fn write_aside(path: &Path, text: &str) -> io::Result<()> {
    let parent = path.parent().unwrap_or(Path::new("/"));
    // Opened here: an error of tempfile's own has no number, by which too many open files are told from a cache that is not ours.
    let open = |path: &Path| {
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true).mode(0o666).open(path)
    };
    let mut file = tempfile::Builder::new().make_in(parent, open)?;
    file.as_file_mut().write_all(text.as_bytes())?;
    file.persist(path)?;
    Ok(())
}

pub(super) fn age(path: &Path) -> Option<Duration> {
    SystemTime::now()
        .duration_since(fs::symlink_metadata(path).ok()?.modified().ok()?)
        .ok()
}
