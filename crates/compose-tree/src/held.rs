//! The lock on a composition: while any process holds it, the composition is in use.

use std::{
    fs, io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use rustix::{
    fs::{FlockOperation, Mode, OFlags},
    io::Errno,
};

use crate::{Action, Error, names::COMPOSITION, remove::remove};

/// The attempts to create a directory before a concurrent run removes it as a leftover.
const ATTEMPTS: u32 = 10;

/// A composition's directory with its lock. Dropping this value removes the directory.
#[derive(Debug)]
pub(crate) struct HeldDir {
    dir: PathBuf,
    /// The lock; `None` once something else is responsible for the removal.
    held: Option<OwnedFd>,
}

impl HeldDir {
    /// Creates a new composition's directory. A concurrent run may remove it before it is locked;
    /// then another one is created.
    pub(crate) fn new(home: &Path) -> Result<Self, Error> {
        let mut left = ATTEMPTS;
        loop {
            let dir = tempfile::Builder::new()
                .prefix(COMPOSITION)
                .tempdir_in(home)
                .map_err(Error::io(Action::Create, home.join(COMPOSITION)))?
                .keep();
            // It may have been removed before it was locked.
            let held = lock_composition(&dir).and_then(|held| fs::metadata(&dir).map(|_| held));
            left -= 1;
            match held {
                Ok(held) => {
                    let held = Some(held);
                    return Ok(Self { dir, held });
                }
                Err(error) if left == 0 => return Err(Error::io(Action::Lock, dir)(error)),
                Err(_) => {}
            }
        }
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Returns the directory and its lock. The directory is then no longer removed on drop.
    pub(crate) fn keep(mut self) -> Option<(PathBuf, OwnedFd)> {
        let held = self.held.take()?;
        Some((std::mem::take(&mut self.dir), held))
    }
}

impl Drop for HeldDir {
    fn drop(&mut self) {
        if self.held.is_some() {
            remove(&self.dir);
        }
    }
}

/// Locks a composition, so that no other run removes it or switches from it.
pub(crate) fn lock_composition(dir: &Path) -> io::Result<OwnedFd> {
    let held = open(dir)?;
    rustix::fs::flock(&held, FlockOperation::NonBlockingLockShared)?;
    Ok(held)
}

/// Returns whether a living process holds this composition. If it cannot be opened it may be held.
pub(crate) fn is_held(composition: &Path) -> bool {
    match open(composition) {
        Ok(dir) => rustix::fs::flock(&dir, FlockOperation::NonBlockingLockExclusive).is_err(),
        Err(error) => error != Errno::NOENT,
    }
}

fn open(dir: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(dir, flags, Mode::empty())
}
