//! A composition's directory and the lock on it: while any process holds it, the composition is in use.
//!
//! Other users may be able to write to a home, as in an image, and then to rename what is in it. A run
//! therefore opens its directory once, without following a link, checks that it is its own, and reaches
//! everything in it through that handle. Whatever gets the directory's name later is not written to,
//! read or removed.

use std::{
    fs,
    hash::{BuildHasher, Hasher, RandomState},
    io,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::fs::MetadataExt,
    },
    path::{Path, PathBuf},
};

use compose_model::flock;
use rustix::{
    fs::{AtFlags, FlockOperation, Mode, OFlags, RawMode, Stat, fstat, mkdirat, openat, statat, unlinkat},
    io::Errno,
};

use crate::{
    Action, Error,
    names::{COMPOSITION, TREE},
    remove::empty,
};

/// The attempts to create a directory before a concurrent run removes it as a leftover, or another
/// user replaces it.
const ATTEMPTS: u32 = 10;

/// A directory below a home, open without following links.
#[derive(Debug)]
pub(crate) struct OwnDir {
    path: PathBuf,
    handle: OwnedFd,
}

/// The identity of a directory, whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) device: u64,
    pub(crate) inode: u64,
}

impl OwnDir {
    /// Removes the directory, including subdirectories that not even their owner may write to. What has its
    /// name now stays, if it is something else.
    pub(crate) fn remove(&self) {
        empty(&self.place());
        if self.is_in_place()
            && let Err(error) = fs::remove_dir(self.path())
        {
            tracing::debug!(path = %self.path().display(), %error, "a composition stays");
        }
    }

    /// Creates a directory with a random name, for this user alone.
    pub(crate) fn create(home: &Path, prefix: &str) -> Result<Self, Error> {
        let failed = || Error::io(Action::Create, home.join(prefix));
        // The user names the home: it may be a link.
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
        let parent = rustix::fs::open(home, flags, Mode::empty()).map_err(|error| failed()(error.into()))?;
        let mut left = ATTEMPTS;
        loop {
            left -= 1;
            let random = RandomState::new().build_hasher().finish();
            let name = format!("{prefix}{random:016x}");
            let path = home.join(&name);
            match mkdirat(&parent, &name, Mode::from_raw_mode(0o700)) {
                Err(Errno::EXIST) if left > 0 => continue,
                made => made.map_err(|error| failed()(error.into()))?,
            }
            match openat(&parent, &name, flags | OFlags::NOFOLLOW, Mode::empty()) {
                Ok(handle) if is_new(&handle) => return Ok(Self { path, handle }),
                // A concurrent run may also have removed it as a leftover.
                Ok(_) | Err(Errno::NOENT | Errno::LOOP | Errno::NOTDIR) if left > 0 => {}
                Ok(_) | Err(Errno::LOOP | Errno::NOTDIR) => return Err(Error::Foreign { path }),
                Err(error) => return Err(failed()(error.into())),
            }
        }
    }

    /// Opens an existing directory.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let handle = open(path)?;
        let path = path.to_owned();
        Ok(Self { path, handle })
    }

    /// Returns the path by which other programs find the directory.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn handle(&self) -> &OwnedFd {
        &self.handle
    }

    /// Returns a path that leads to this very directory in this process, whatever its name is now.
    pub(crate) fn place(&self) -> PathBuf {
        let place = PathBuf::from(format!("/proc/self/fd/{}", self.handle.as_raw_fd()));
        // Without the system's own files there is only the name.
        if place.exists() { place } else { self.path.clone() }
    }

    pub(crate) fn identity(&self) -> io::Result<Identity> {
        Ok(identity(&fstat(&self.handle)?))
    }

    /// Returns whether the directory still has its name.
    pub(crate) fn is_in_place(&self) -> bool {
        let now = statat(rustix::fs::CWD, &self.path, AtFlags::SYMLINK_NOFOLLOW);
        now.is_ok_and(|now| self.identity().is_ok_and(|own| own == identity(&now)))
    }

    /// Returns an error if another directory or a link has its name.
    pub(crate) fn check_in_place(&self) -> Result<(), Error> {
        if self.is_in_place() {
            return Ok(());
        }
        let path = self.path.clone();
        Err(Error::Foreign { path })
    }

    /// Returns whether the directory belongs to this user, or to the owner of a home that no other
    /// user can write to.
    pub(crate) fn is_own(&self) -> bool {
        let Ok(found) = fstat(&self.handle) else {
            return false;
        };
        let home = self.path.parent().and_then(|home| home.metadata().ok());
        let vouched = home
            .filter(|home| home.mode() & 0o022 == 0)
            .map(|home| home.uid());
        found.st_uid == rustix::process::geteuid().as_raw() || vouched == Some(found.st_uid)
    }

    /// Returns whether a living process holds this composition.
    pub(crate) fn is_held(&self) -> bool {
        rustix::fs::flock(&self.handle, FlockOperation::NonBlockingLockExclusive).is_err()
    }
}

fn identity(found: &Stat) -> Identity {
    Identity {
        device: found.st_dev,
        inode: found.st_ino,
    }
}

/// Returns whether a directory is the one that this process has just created: an empty one of its own
/// that no other user can enter.
fn is_new(dir: &OwnedFd) -> bool {
    let Ok(found) = fstat(dir) else { return false };
    let is_closed = found.st_mode & RawMode::from(0o077_u16) == 0;
    let is_empty = || {
        let mut entries = rustix::fs::Dir::read_from(dir).into_iter().flatten().flatten();
        entries.all(|entry| [b".".as_slice(), b".."].contains(&entry.file_name().to_bytes()))
    };
    is_closed && is_empty() && owns(dir, found.st_uid)
}

/// Returns whether new files of this process belong to a user. Some file systems have one owner for
/// all files.
fn owns(dir: &OwnedFd, uid: u32) -> bool {
    if uid == rustix::process::geteuid().as_raw() {
        return true;
    }
    let made = mkdirat(dir, TREE, Mode::from_raw_mode(0o700));
    let owner = statat(dir, TREE, AtFlags::SYMLINK_NOFOLLOW);
    made.is_ok()
        && unlinkat(dir, TREE, AtFlags::REMOVEDIR).is_ok()
        && owner.is_ok_and(|owner| owner.st_uid == uid)
}

/// A composition's directory with its lock. Dropping this value removes the directory.
#[derive(Debug)]
pub(crate) struct HeldDir {
    /// `None` once something else is responsible for the removal.
    dir: Option<OwnDir>,
}

impl HeldDir {
    /// Creates a new composition's directory. A concurrent run may remove it before it is locked;
    /// then another one is created.
    pub(crate) fn new(home: &Path) -> Result<Self, Error> {
        let mut left = ATTEMPTS;
        loop {
            let dir = OwnDir::create(home, COMPOSITION)?;
            let locked = rustix::fs::flock(dir.handle(), FlockOperation::NonBlockingLockShared);
            left -= 1;
            match locked {
                // It may have been removed before it was locked.
                Ok(()) if dir.is_in_place() => return Ok(Self { dir: Some(dir) }),
                Ok(()) if left == 0 => {
                    let path = dir.path;
                    return Err(Error::Foreign { path });
                }
                Err(error) if left == 0 => return Err(Error::io(Action::Lock, dir.path())(error.into())),
                _ => {}
            }
        }
    }

    /// Returns the path by which other programs find the directory.
    pub(crate) fn path(&self) -> &Path {
        self.dir.as_ref().map_or(Path::new(""), OwnDir::path)
    }

    /// Returns the path of the directory for this process: see [`OwnDir::place`].
    pub(crate) fn place(&self) -> PathBuf {
        self.dir.as_ref().map_or_else(PathBuf::new, OwnDir::place)
    }

    pub(crate) fn dir(&self) -> Option<&OwnDir> {
        self.dir.as_ref()
    }

    /// Returns the directory with its lock, which is then no longer removed on drop.
    pub(crate) fn keep(mut self) -> Option<OwnDir> {
        self.dir.take()
    }
}

impl Drop for HeldDir {
    fn drop(&mut self) {
        if let Some(dir) = &self.dir {
            dir.remove();
        }
    }
}

/// Locks a composition, so that no other run removes it or switches from it. Returns an error if
/// another directory has its name now.
pub(crate) fn lock_composition(path: &Path, expected: Identity) -> io::Result<OwnDir> {
    let dir = OwnDir::open(path)?;
    if dir.identity()? != expected {
        return Err(io::Error::other("another user put another directory there"));
    }
    rustix::fs::flock(dir.handle(), FlockOperation::NonBlockingLockShared)?;
    Ok(dir)
}

/// Returns whether a living process holds this composition. If it cannot be opened it may be held.
pub(crate) fn is_held(composition: &Path) -> bool {
    match OwnDir::open(composition) {
        Ok(dir) => dir.is_held(),
        Err(error) => error.kind() != io::ErrorKind::NotFound,
    }
}

/// Describes a process that holds this composition, if the system tells it.
pub(crate) fn holder(composition: &Path) -> Option<String> {
    lock_holder(&open(composition).ok()?)
}

/// Describes a process that holds a lock on a file, if the system tells it.
pub(crate) fn lock_holder(file: &OwnedFd) -> Option<String> {
    let found = fstat(file).ok()?;
    let device = (rustix::fs::major(found.st_dev), rustix::fs::minor(found.st_dev));
    let locks = fs::read_to_string("/proc/locks").ok()?;
    let pid = flock::holder(&locks, device, found.st_ino)?;
    let stat = fs::read(format!("/proc/{pid}/stat")).unwrap_or_default();
    Some(flock::describe(pid, &String::from_utf8_lossy(&stat)))
}

fn open(dir: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::open(dir, flags, Mode::empty())
}
