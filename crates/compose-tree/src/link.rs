//! The link that the pipeline follows to the operations repo, and the right to switch it.
//!
//! **The switch lock** is the link itself: while it names a composition that a living process holds (a shared `flock` on the
//! composition's directory, which the system releases with its last holder), nobody else may switch it. The short moment of a
//! switch, between the look at the link and the rename, is guarded by an exclusive `flock` beside the link. So nothing stays after
//! a kill, whatever home another run has, and nothing but the hold on the composition has to pass through an exec.

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
    Error,
    record::{self, Record},
};

/// The link below a home that is switched.
pub(crate) const ACTIVE: &str = "active";
/// The name below a home where the user's operations repo is.
pub(crate) const MOUNT: &str = "mount";
/// As many links as the system follows.
const MOST_LINKS: usize = 40;

/// The link that is switched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    /// Its directory holds no links.
    path: PathBuf,
    kind: Kind,
}

/// Whose link it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `active` of a home, as in the image; it names `mount` beside it.
    Active,
    /// The operations repo's path is a link of the user's, outside of an image.
    Own,
}

/// The right to switch the link, once. Dropped, others may.
#[derive(Debug)]
pub struct SwitchLock {
    _guard: OwnedFd,
}

/// What came of asking for the [`SwitchLock`].
#[derive(Debug)]
pub enum Attempt {
    /// It is had.
    Locked(SwitchLock),
    /// Another run has it.
    Busy(Busy),
}

/// Another run that is switching, or whose composition is switched in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Busy {
    /// The environment that it composes, where that is known.
    pub environment: Option<String>,
    /// Its composition, once it is switched in.
    pub composition: Option<PathBuf>,
}

impl Link {
    /// The link behind `ops_repo` for a run whose home is `home`; `None`: there is something else, and nothing to switch.
    ///
    /// Links are followed to the first that is some home's `active`: two homes then switch, and guard, the same one.
    pub(crate) fn find(ops_repo: &Path, home: &Path) -> Option<Self> {
        let own = resolved(ops_repo);
        let mut at = own.clone();
        for _ in 0..MOST_LINKS {
            let target = fs::read_link(&at);
            if is_active(&at, target.as_deref().ok(), home) {
                return Some(Self {
                    path: at,
                    kind: Kind::Active,
                });
            }
            match target {
                Ok(target) => at = resolved(&at.parent().unwrap_or(Path::new("/")).join(target)),
                Err(_) => break,
            }
        }
        let switchable = match fs::symlink_metadata(&own) {
            Ok(meta) => meta.is_symlink(),
            Err(error) => error.kind() == ErrorKind::NotFound,
        };
        switchable.then_some(Self {
            path: own,
            kind: Kind::Own,
        })
    }

    /// A link that was found before.
    pub(crate) fn at(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            kind: Kind::Own,
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// The directory that it is in.
    pub(crate) fn dir(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("/"))
    }

    /// What it names, as written.
    pub(crate) fn target(&self) -> Option<PathBuf> {
        fs::read_link(&self.path).ok()
    }

    /// A target of it as a path from the root.
    pub(crate) fn place(&self, target: &Path) -> PathBuf {
        self.dir().join(target)
    }

    /// The composition that it names, there or gone.
    pub(crate) fn composition(&self) -> Option<PathBuf> {
        let target = self.place(&self.target()?);
        record::composition_above(&target).map(|(composition, _)| composition)
    }

    /// Asks for the right to switch; never waits.
    pub(crate) fn try_lock(&self) -> Result<Attempt, Error> {
        let guard = self.open_guard().map_err(Error::io("lock", &self.path))?;
        match rustix::fs::flock(&guard, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                let busy = self.holder().unwrap_or(Busy {
                    environment: None,
                    composition: None,
                });
                return Ok(Attempt::Busy(busy));
            }
            Err(error) => return Err(Error::io("lock", &self.path)(error.into())),
        }
        Ok(match self.holder() {
            Some(busy) => Attempt::Busy(busy),
            None => Attempt::Locked(SwitchLock { _guard: guard }),
        })
    }

    /// The living run whose composition is switched in.
    pub(crate) fn holder(&self) -> Option<Busy> {
        let composition = self.composition().filter(|composition| is_held(composition))?;
        let record = Record::read(&composition);
        Some(Busy {
            environment: record.map(|record| record.environment),
            composition: Some(composition),
        })
    }

    /// A home's `active` is the only link in its directory. Beside a user's link there may be others, which are none of its
    /// business: there it is a file.
    fn open_guard(&self) -> io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        match self.kind {
            Kind::Active => Ok(rustix::fs::open(
                self.dir(),
                flags | OFlags::DIRECTORY,
                Mode::empty(),
            )?),
            Kind::Own => {
                let path = self.beside("lock");
                let flags = flags | OFlags::NOFOLLOW;
                match rustix::fs::open(&path, flags, Mode::empty()) {
                    Err(Errno::NOENT) => {}
                    opened => return Ok(opened?),
                }
                let made = rustix::fs::open(&path, flags | OFlags::CREATE, Mode::from(0o644))?;
                // Whatever the umask: other users lock it, too. If it is another user's by now, it is open already.
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

    /// Names another target at once, whatever stood there (a link or nothing).
    pub(crate) fn replace(&self, target: &Path, _lock: &SwitchLock) -> Result<(), Error> {
        replace(target, &self.path, &self.beside("new"))
    }

    /// Puts a link that is made already in its place: one rename. On another file system it is made anew beside the link.
    pub(crate) fn put(&self, made: &Path) -> Result<(), Error> {
        match fs::rename(made, &self.path) {
            Err(error) if error.kind() == ErrorKind::CrossesDevices => {
                let target = fs::read_link(made).map_err(Error::switch(&self.path))?;
                replace(&target, &self.path, &self.beside("new"))
            }
            done => done.map_err(Error::switch(&self.path)),
        }
    }

    /// Fails where no link can be put in its place.
    pub(crate) fn check_writable(&self) -> Result<(), Error> {
        match rustix::fs::access(self.dir(), Access::WRITE_OK) {
            Err(error @ (Errno::ROFS | Errno::ACCESS)) => Err(Error::switch(&self.path)(error.into())),
            // What else is wrong is told better by what needs it.
            _ => Ok(()),
        }
    }
}

/// Makes `link` point to `target` by a link aside that has a name of its own: only the holder of the lock makes one, so that after a
/// kill one may stay at most, until the next time.
pub(crate) fn replace(target: &Path, link: &Path, aside: &Path) -> Result<(), Error> {
    match fs::remove_file(aside) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(Error::switch(link)(error)),
        _ => {}
    }
    symlink(target, aside).map_err(Error::switch(link))?;
    fs::rename(aside, link).map_err(|error| {
        // The rename's failure is the one to be told.
        let _ = fs::remove_file(aside);
        Error::switch(link)(error)
    })
}

/// Does a living process hold this composition? What cannot be looked at may be held.
pub(crate) fn is_held(composition: &Path) -> bool {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    match rustix::fs::open(composition, flags, Mode::empty()) {
        Ok(dir) => rustix::fs::flock(&dir, FlockOperation::NonBlockingLockExclusive).is_err(),
        Err(error) => error != Errno::NOENT,
    }
}

/// Is it the link that a home is switched by? Another home's is known by what it names.
fn is_active(path: &Path, target: Option<&Path>, home: &Path) -> bool {
    let names_a_home = |target: &Path| {
        let below = record::composition_above(target).is_some();
        below || target.components().next() == Some(std::path::Component::Normal(MOUNT.as_ref()))
    };
    path.file_name().is_some_and(|name| name == ACTIVE)
        && (path.parent() == Some(home) || target.is_some_and(names_a_home))
}

/// The path with the links of its directory followed, but not its last component.
pub(crate) fn resolved(path: &Path) -> PathBuf {
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => {
            fs::canonicalize(parent).map_or_else(|_| path.to_owned(), |parent| parent.join(name))
        }
        _ => fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()),
    }
}
