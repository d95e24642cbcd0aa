//! The operations repo as it was found, and what the pipeline's path shows.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::{
    Action, Error, SwitchLock,
    link::{self, Attempt, Busy, Link, LinkOwner},
    names::MOUNT,
    old,
};

/// The user's operations repo as found at start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    pub(crate) home: PathBuf,
    pub(crate) root: PathBuf,
    /// The switched link; `None` if `ops_repo` is a directory, and nothing can be switched.
    pub(crate) link: Option<Link>,
    pub(crate) ops_repo: PathBuf,
    /// The link's target that shows the user's repo.
    pub(crate) back: PathBuf,
    /// The directory that `mount` should become a link to.
    pub(crate) candidate: Option<PathBuf>,
}

/// The state without an operations repo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nothing {
    pub(crate) link: Option<Link>,
    /// The link's target that shows no composition; `None` if it is unknown.
    pub(crate) back: Option<PathBuf>,
    /// An empty directory in place of the mount.
    pub(crate) empty: Option<PathBuf>,
}

/// The outcome of settling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settled {
    /// The pipeline's path shows the user's own repo.
    Done,
    /// The path shows, or is about to show, the composition of another living run.
    Busy(Busy),
}

impl Mount {
    /// Returns the root of the user's operations repo. Nothing is ever written below it.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the directory that holds compositions.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// Returns the link's target that shows the user's repo.
    pub(crate) fn back(&self) -> &Path {
        &self.back
    }

    /// Returns the link that is switched.
    pub(crate) fn link(&self) -> Result<&Link, Error> {
        self.link.as_ref().ok_or_else(|| Error::NotALink {
            path: self.ops_repo.clone(),
        })
    }

    /// Returns an error if there is no link to switch, or if it cannot be replaced. Callers check
    /// this before anything is fetched.
    pub fn check_switchable(&self) -> Result<(), Error> {
        self.link()?.check_writable()
    }

    /// Requests the lock for switching the pipeline to a composition, without waiting.
    pub fn try_lock(&self) -> Result<Attempt, Error> {
        self.link()?.try_lock()
    }

    /// Makes the pipeline see the user's operations repo, unless another run's composition is
    /// switched in, and removes leftovers of killed runs. Takes no lock if nothing has to be
    /// changed.
    pub fn settle(&self) -> Result<Settled, Error> {
        if let Some(link) = self.link.as_ref().filter(|link| !self.is_shown(link)) {
            match link.try_lock()? {
                Attempt::Busy(busy) => return Ok(Settled::Busy(busy)),
                Attempt::Locked(lock) => {
                    self.show_candidate(&lock)?;
                    if link.target().as_deref() != Some(&self.back) {
                        link.replace(&self.back, &lock)?;
                    }
                }
            }
        }
        self.remove_old();
        Ok(Settled::Done)
    }

    /// Returns whether the path shows this repo once no composition is switched in.
    pub fn is_candidate_shown(&self) -> bool {
        self.candidate.is_none()
    }

    fn is_shown(&self, link: &Link) -> bool {
        let target = link.target();
        // A missing path outside of a home is the user's to create.
        let absent = target.is_none() && link.kind() == LinkOwner::Own;
        self.candidate.is_none() && (absent || target.as_deref() == Some(&self.back))
    }

    /// Makes `mount` a link to the candidate. Only a link or an empty directory is replaced.
    pub(crate) fn show_candidate(&self, _lock: &SwitchLock) -> Result<(), Error> {
        let (Some(candidate), Some(link)) = (&self.candidate, &self.link) else {
            return Ok(());
        };
        let mounted = link.dir().join(MOUNT);
        if fs::symlink_metadata(&mounted).is_ok_and(|meta| meta.is_dir()) {
            fs::remove_dir(&mounted).map_err(Error::io(Action::Replace, &mounted))?;
        }
        link::replace(candidate, &mounted, &link.dir().join(".mount.bitops-compose-new"))
    }

    /// Removes compositions that no living process holds.
    pub fn remove_old(&self) {
        old::remove_unheld(&self.home, self.link.as_ref(), &self.root);
    }
}

impl Nothing {
    /// Makes the pipeline find no path, rather than an old composition or an empty directory, which
    /// it would deploy.
    pub fn settle(&self) -> Result<Settled, Error> {
        if let Some(link) = &self.link
            && link.composition().is_some()
            && let Some(back) = &self.back
        {
            match link.try_lock()? {
                Attempt::Busy(busy) => return Ok(Settled::Busy(busy)),
                Attempt::Locked(lock) => link.replace(back, &lock)?,
            }
        }
        if let Some(empty) = &self.empty {
            match fs::remove_dir(empty) {
                // Another process removed it first, or has just filled it.
                Err(error)
                    if !matches!(
                        error.kind(),
                        io::ErrorKind::NotFound | io::ErrorKind::DirectoryNotEmpty
                    ) =>
                {
                    let (path, source) = (empty.clone(), error);
                    return Err(Error::Empty { path, source });
                }
                _ => {}
            }
        }
        Ok(Settled::Done)
    }
}
