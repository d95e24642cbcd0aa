//! The private directory that replaces a cache that cannot be used.
//!
//! It belongs to one run and is removed with it. A killed run leaves it behind, so the next run that
//! needs one, or that looks at the cache's size, removes those that no living process holds.

use std::{
    fs::{self, File},
    io,
    os::{
        fd::AsRawFd as _,
        unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    },
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::fs::{FlockOperation, OFlags};

use super::{
    files::{Locked, is_older, remove_all, try_flock},
    trust,
};
use crate::options::Options;

const PREFIX: &str = "bitops-compose-cache-";
/// A directory that is younger may not be locked yet.
const SETTLED: Duration = Duration::from_secs(60);

/// A private directory. Dropping it removes it.
pub(crate) struct PrivateDir {
    dir: tempfile::TempDir,
    /// Locked while the run lives.
    _held: File,
    /// By which path the run reaches it.
    path: PathBuf,
}

impl PrivateDir {
    /// Creates the directory below `parent`, and removes those that killed runs left there.
    pub(crate) fn new(parent: &Path) -> io::Result<Self> {
        sweep(parent);
        let dir = tempfile::Builder::new().prefix(PREFIX).tempdir_in(parent)?;
        let held = open(dir.path())?;
        if !is_own(&held) {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        // Without the lock, it is only kept until it looks old.
        try_flock(&held, FlockOperation::NonBlockingLockExclusive);
        // Where everybody may rename it, its name may lead elsewhere by now. The handle does not.
        let pinned = Path::new(trust::HANDLES).join(held.as_raw_fd().to_string());
        let path = match trust::check_above(dir.path()) {
            Err(_) if pinned.exists() => pinned,
            _ => dir.path().to_owned(),
        };
        Ok(Self {
            dir,
            _held: held,
            path,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Removes the directory while threads that are stopping may still write to it.
    pub(crate) fn remove(&self) {
        // What stays is removed by a later run.
        _ = remove_all(self.dir.path());
    }
}

/// Returns the directory for temporary files.
pub(crate) fn parent(options: &Options) -> PathBuf {
    options
        .variable("TMPDIR")
        .map_or_else(std::env::temp_dir, PathBuf::from)
}

/// Removes the directories of this user that no living process holds.
pub(crate) fn sweep(parent: &Path) {
    let Ok(found) = fs::read_dir(parent) else { return };
    for found in found.flatten() {
        let path = found.path();
        if found.file_name().to_string_lossy().starts_with(PREFIX) && is_left(&path) {
            tracing::debug!(path = %path.display(), "a killed run left this directory");
            _ = remove_all(&path);
        }
    }
}

fn is_left(path: &Path) -> bool {
    let Ok(dir) = open(path) else { return false };
    is_own(&dir)
        && is_older(path, SETTLED)
        && try_flock(&dir, FlockOperation::NonBlockingLockExclusive) == Locked::Held
}

fn is_own(dir: &File) -> bool {
    let found = dir.metadata();
    found.is_ok_and(|found| found.uid() == rustix::process::geteuid().as_raw())
}

fn open(path: &Path) -> io::Result<File> {
    let flags = (OFlags::DIRECTORY | OFlags::NOFOLLOW).bits().cast_signed();
    fs::OpenOptions::new().read(true).custom_flags(flags).open(path)
}

#[cfg(test)]
mod tests {
    use std::{os::unix::fs::symlink, time::SystemTime};

    use super::*;

    #[test]
    fn directories_of_killed_runs_are_removed_and_no_others() {
        let parent = tempfile::tempdir().unwrap();
        let old = SystemTime::now() - 2 * SETTLED;
        let make = |name: &str| {
            let path = parent.path().join(name);
            fs::create_dir(&path).unwrap();
            fs::write(path.join("pack"), "x").unwrap();
            File::open(&path).unwrap().set_modified(old).unwrap();
            path
        };
        let left = make("bitops-compose-cache-left");
        let other = make("other");
        let young = make("bitops-compose-cache-young");
        File::open(&young)
            .unwrap()
            .set_modified(SystemTime::now())
            .unwrap();
        symlink(&other, parent.path().join("bitops-compose-cache-link")).unwrap();
        let living = PrivateDir::new(parent.path()).unwrap();
        open(living.path()).unwrap().set_modified(old).unwrap();
        sweep(parent.path());
        assert!(!left.exists());
        assert!(other.join("pack").exists() && young.exists() && living.path().exists());
        let path = living.path().to_owned();
        drop(living);
        assert!(!path.exists());
    }
}
