//! The link that leads the pipeline to the operations repo, and the lock for switching it.
//!
//! **The switch lock** is the link itself. While it names a composition that a living process holds
//! (by a shared `flock` on the composition's directory, which the system releases with its last
//! holder), no other run may switch it. The short time of a switch, between reading the link and
//! the rename, is guarded by an exclusive `flock` beside the link. Nothing remains after a kill,
//! other homes do not matter, and only the hold on the composition has to pass through an exec.

use std::{
    fs,
    io::{self, ErrorKind},
    os::{fd::OwnedFd, unix::fs::symlink},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{Access, FlockOperation, Mode, OFlags},
    io::Errno,
};

use crate::{
    Action, Error,
    held::{self, is_held, lock_holder},
    names::{ACTIVE, MOUNT},
    record::{self, Record},
};

/// The most links that are followed, as in the system.
const MOST_LINKS: usize = 40;

/// The link that is switched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    /// The path of the link, with the links in its directory resolved.
    path: PathBuf,
    kind: LinkOwner,
}

/// The owner of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LinkOwner {
    /// The link `active` of a home, as in the image; it normally names `mount` beside it.
    Active,
    /// The operations repo's path is the user's own link, outside of an image.
    Own,
}

/// The permission to switch the link once. Dropping it releases the lock.
#[derive(Debug)]
pub struct SwitchLock {
    _guard: OwnedFd,
}

/// The outcome of requesting the [`SwitchLock`].
#[derive(Debug)]
pub enum Attempt {
    /// The lock was acquired.
    Locked(SwitchLock),
    /// Another run holds it.
    Busy(Busy),
}

/// Another run that is switching, or whose composition is switched in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Busy {
    /// The environment that it composes, if known.
    pub environment: Option<String>,
    /// Its composition, once it is switched in.
    pub composition: Option<PathBuf>,
    /// A process that holds the lock, if the system tells it.
    pub process: Option<String>,
}

impl Link {
    /// Finds the link behind `ops_repo` for a run with this home. Returns `None` if the path is not
    /// a link and cannot be switched.
    ///
    /// Links are followed to the first one that is the `active` of any home, so that two homes
    /// switch, and lock, the same link.
    pub(crate) fn find(ops_repo: &Path, home: &Path) -> Option<Self> {
        let own = resolved(ops_repo);
        let mut current = own.clone();
        for _ in 0..MOST_LINKS {
            let target = fs::read_link(&current);
            if is_active(&current, target.as_deref().ok(), home) {
                return Some(Self {
                    path: current,
                    kind: LinkOwner::Active,
                });
            }
            match target {
                Ok(target) => current = resolved(&current.parent().unwrap_or(Path::new("/")).join(target)),
                Err(_) => break,
            }
        }
        let switchable = match fs::symlink_metadata(&own) {
            Ok(meta) => meta.is_symlink(),
            Err(error) => error.kind() == ErrorKind::NotFound,
        };
        switchable.then_some(Self {
            path: own,
            kind: LinkOwner::Own,
        })
    }

    /// Returns the link at a path that was found before.
    pub(crate) fn from_path(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            kind: LinkOwner::Own,
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn kind(&self) -> LinkOwner {
        self.kind
    }

    /// Returns the directory of the link.
    pub(crate) fn dir(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("/"))
    }

    /// Returns the link's target as written.
    pub(crate) fn target(&self) -> Option<PathBuf> {
        fs::read_link(&self.path).ok()
    }

    /// Resolves a target of the link against its directory.
    pub(crate) fn place(&self, target: &Path) -> PathBuf {
        self.dir().join(target)
    }

    /// Returns the composition that the link names, whether it still exists or not.
    pub(crate) fn composition(&self) -> Option<PathBuf> {
        let target = self.place(&self.target()?);
        record::composition_above(&target).map(|(composition, _)| composition)
    }

    /// Requests the lock for switching, without waiting.
    pub(crate) fn try_lock(&self) -> Result<Attempt, Error> {
        let guard = self.open_guard().map_err(Error::io(Action::Lock, &self.path))?;
        match rustix::fs::flock(&guard, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                let busy = self.holder().unwrap_or_else(|| Busy {
                    environment: None,
                    composition: None,
                    process: lock_holder(&guard),
                });
                return Ok(Attempt::Busy(busy));
            }
            Err(error) => return Err(Error::io(Action::Lock, &self.path)(error.into())),
        }
        Ok(match self.holder() {
            Some(busy) => Attempt::Busy(busy),
            None => Attempt::Locked(SwitchLock { _guard: guard }),
        })
    }

    /// Returns the living run whose composition is switched in.
    pub(crate) fn holder(&self) -> Option<Busy> {
        let composition = self.composition().filter(|composition| is_held(composition))?;
        let record = Record::read_behind(&self.path, &composition);
        Some(Busy {
            environment: record.map(|record| record.environment),
            process: held::holder(&composition),
            composition: Some(composition),
        })
    }

    /// Opens the file whose lock guards a switch. A home's `active` is the only link in its
    /// directory, so the directory is locked. Beside a user's own link there may be others, so a
    /// file is locked there.
    fn open_guard(&self) -> io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        match self.kind {
            LinkOwner::Active => Ok(rustix::fs::open(
                self.dir(),
                flags | OFlags::DIRECTORY,
                Mode::empty(),
            )?),
            LinkOwner::Own => {
                let path = self.beside("lock");
                let flags = flags | OFlags::NOFOLLOW;
                match rustix::fs::open(&path, flags, Mode::empty()) {
                    Err(Errno::NOENT) => {}
                    opened => return Ok(opened?),
                }
                let made = rustix::fs::open(&path, flags | OFlags::CREATE, Mode::from(0o644))?;
                // Other users must be able to lock it, whatever the umask. This fails if another
                // user made it first, who then set the mode.
                let _ = rustix::fs::fchmod(&made, Mode::from(0o644));
                Ok(made)
            }
        }
    }

    fn beside(&self, what: &str) -> PathBuf {
        let mut name = std::ffi::OsString::from(".");
        name.push(self.path.file_name().unwrap_or_default());
        name.push(".bitops-compose-");
        name.push(what);
        self.dir().join(name)
    }

    /// Atomically gives the link another target. A missing link is created.
    pub(crate) fn replace(&self, target: &Path, _lock: &SwitchLock) -> Result<(), Error> {
        replace(target, &self.path, &self.beside("new"))
    }

    /// Renames a prepared link over this one. On another file system it is created again beside
    /// this one first.
    pub(crate) fn move_into_place(&self, made: &Path) -> Result<(), Error> {
        match fs::rename(made, &self.path) {
            Err(error) if error.kind() == ErrorKind::CrossesDevices => {
                let target = fs::read_link(made).map_err(Error::switch(&self.path))?;
                replace(&target, &self.path, &self.beside("new"))
            }
            done => done.map_err(Error::switch(&self.path)),
        }
    }

    /// Returns an error if the link cannot be replaced.
    pub(crate) fn check_writable(&self) -> Result<(), Error> {
        match rustix::fs::access(self.dir(), Access::WRITE_OK) {
            Err(error @ (Errno::ROFS | Errno::ACCESS)) => Err(Error::switch(&self.path)(error.into())),
            // Other problems are reported better where they occur.
            _ => Ok(()),
        }
    }
}

/// Makes `link` point to `target` by renaming a temporary link with a fixed name. Only the holder
/// of the lock creates it, so a kill leaves at most one, until the next switch.
pub(crate) fn replace(target: &Path, link: &Path, aside: &Path) -> Result<(), Error> {
    match fs::remove_file(aside) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(Error::switch(link)(error)),
        _ => {}
    }
    symlink(target, aside).map_err(Error::switch(link))?;
    fs::rename(aside, link).map_err(|error| {
        // The failure of the rename is reported.
        let _ = fs::remove_file(aside);
        Error::switch(link)(error)
    })
}

/// Returns whether the path is a home's `active`. Another home's link is recognized by its target.
fn is_active(path: &Path, target: Option<&Path>, home: &Path) -> bool {
    let names_a_home = |target: &Path| {
        let below = record::composition_above(target).is_some();
        below || target.components().next() == Some(std::path::Component::Normal(MOUNT.as_ref()))
    };
    path.file_name().is_some_and(|name| name == ACTIVE)
        && (path.parent() == Some(home) || target.is_some_and(names_a_home))
}

/// Resolves the links in the directory of a path, but not the last component.
pub(crate) fn resolved(path: &Path) -> PathBuf {
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => {
            fs::canonicalize(parent).map_or_else(|_| path.to_owned(), |parent| parent.join(name))
        }
        _ => fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()),
    }
}
