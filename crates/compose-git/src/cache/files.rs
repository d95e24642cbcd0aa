//! Files of the cache: locks (`flock`), ages, and atomic writes.

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
    time::{Duration, Instant, SystemTime},
};

use rustix::fs::{FlockOperation, flock};

use crate::error::Error;

/// The directory that holds the current layout.
pub(super) const LAYOUT: &str = "v1";

pub(super) fn failed(doing: &'static str, path: &Path, source: io::Error) -> Error {
    Error::Cache {
        doing,
        path: path.to_owned(),
        source,
    }
}

/// The outcome of requesting a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Locked {
    Held,
    /// Another process holds it.
    Taken,
    /// The file system has no locks, as some network file systems. The cache still works, but
    /// nothing in it is removed automatically.
    Unsupported,
}

/// How long a shared lock is waited for. A process that removes an entry holds its lock only for one
/// rename; but everybody who may read the file may lock it, and keep the lock.
const SHARED_WAIT: Duration = Duration::from_secs(2);

/// Requests a lock. A shared lock is waited for, within a bound.
pub(super) fn try_flock(file: &fs::File, operation: FlockOperation) -> Locked {
    let waits = matches!(operation, FlockOperation::LockShared);
    let operation = if waits {
        FlockOperation::NonBlockingLockShared
    } else {
        operation
    };
    let until = Instant::now() + SHARED_WAIT;
    loop {
        let tried = try_once(file, operation);
        if !waits || tried != Locked::Taken || Instant::now() >= until {
            return tried;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn try_once(file: &fs::File, operation: FlockOperation) -> Locked {
    match rustix::io::retry_on_intr(|| flock(file, operation)) {
        Ok(()) => Locked::Held,
        Err(rustix::io::Errno::WOULDBLOCK) => Locked::Taken,
        Err(error) => {
            tracing::debug!(%error, "this file system has no locks");
            Locked::Unsupported
        }
    }
}

/// Returns whether an open file is still the one at the path.
pub(super) fn is_same_file(file: &fs::File, path: &Path) -> bool {
    let now = fs::metadata(path);
    now.is_ok_and(|now| {
        file.metadata()
            .is_ok_and(|ours| (ours.dev(), ours.ino()) == (now.dev(), now.ino()))
    })
}

/// Creates a directory with a random name whose permissions depend on the umask alone, as those of
/// all other directories. (tempfile's default is private to the user; then a CI job could not save
/// a cache that a container wrote as root.)
pub(super) fn random_directory(parent: &Path, prefix: &str) -> io::Result<tempfile::TempDir> {
    tempfile::Builder::new()
        .prefix(prefix)
        .permissions(fs::Permissions::from_mode(0o777))
        .tempdir_in(parent)
}

/// Writes a temporary file and renames it over `path`. Its permissions depend on the umask alone,
/// as in [`random_directory`].
pub(super) fn write_aside(path: &Path, text: &str) -> io::Result<()> {
    let parent = path.parent().unwrap_or(Path::new("/"));
    // The file is opened here because tempfile's own error carries no errno, which tells a lack of
    // file descriptors from a cache that cannot be written.
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
