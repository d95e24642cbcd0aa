//! The operations repo's path while it shows a composition, and afterwards.
//!
//! A run goes through three states, each of which is a type: [`Staged`](crate::Staged) (the
//! pipeline does not see the composition), [`Switched`] (it does), and [`SwitchedBack`] (the path
//! is the user's own repo again; files that were written into the composition meanwhile are swept
//! to where they would have been written without it).

use std::{
    ffi::OsString,
    fs,
    hash::{BuildHasher, Hasher, RandomState},
    io,
    os::unix::fs::{MetadataExt, symlink},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{Timespec, Timestamps},
    io::FdFlags,
};

use crate::{
    Action, Error, Mount, SwitchLock,
    held::{Identity, OwnDir, lock_composition},
    link::Link,
    moment::{self, Moment},
    names::{BACK, MANIFEST, TO, TREE},
    remove::empty,
    staging::Staged,
    sweep::{self, Rest, Sweep},
};

/// The first word of a state that is passed through an exec. Another format would get another
/// number.
const STATE_VERSION: &str = "switched-2";

/// The state in which the pipeline sees the composition. Dropping it switches the path back and
/// removes the composition.
#[derive(Debug)]
pub struct Switched(Option<SwitchedState>);

#[derive(Debug)]
struct SwitchedState {
    /// The composition's directory with the shared lock on it. While any process holds it, the
    /// composition is in use.
    dir: OwnDir,
    manifest: PathBuf,
    link: PathBuf,
    /// The link's current target.
    to: PathBuf,
    /// The modification time of the tree's root.
    marker: Moment,
    /// Files that changed later were not staged.
    since: Moment,
}

impl Staged {
    /// Makes the pipeline see the composition.
    ///
    /// The tree's root gets a modification time that no other directory has: the seconds of the
    /// user's own root with random nanoseconds. A program that copies the tree with its times
    /// (`shutil.copytree` sets them last) thereby shows that the copy is complete: see
    /// [`Switched::marker`].
    pub fn switch(self, mount: &Mount, lock: SwitchLock) -> Result<Switched, Error> {
        let link = mount.link()?;
        let tree = self.tree();
        let Some(dir) = self.dir() else {
            return Ok(Switched(None));
        };
        let place = dir.place();
        let (marker, since) =
            set_marker(&place.join(TREE), mount.root()).map_err(Error::io(Action::SetTime, &tree))?;
        mount.show_candidate(&lock)?;
        let to = tree.strip_prefix(link.dir()).unwrap_or(&tree).to_owned();
        for (name, target) in [(TO, to.as_path()), (BACK, mount.back())] {
            symlink(target, place.join(name)).map_err(Error::io(Action::Create, dir.path().join(name)))?;
        }
        dir.check_in_place()?;
        link.move_into_place(&place.join(TO))?;
        drop(lock);
        let state = self.keep().map(|dir| SwitchedState {
            manifest: dir.path().join(MANIFEST),
            dir,
            link: link.path().to_owned(),
            to,
            marker,
            since,
        });
        let switched = Switched(state);
        // Otherwise the pipeline would deploy what another user put there. Dropping switches back.
        switched.dir().map_or(Ok(()), OwnDir::check_in_place)?;
        Ok(switched)
    }
}

impl Switched {
    fn dir(&self) -> Option<&OwnDir> {
        self.0.as_ref().map(|state| &state.dir)
    }

    /// Encodes the state as words for a program that this process execs; [`Switched::from_words`]
    /// decodes them.
    ///
    /// The lock on the composition passes through the exec and on to the processes that the program
    /// starts: the composition is in use while any of them lives.
    pub fn into_words(mut self) -> Result<Vec<OsString>, Error> {
        self.hold_through_exec()?;
        let Some(state) = self.0.take() else {
            return Ok(Vec::new());
        };
        let identity = state.dir.identity();
        let identity = identity.map_err(Error::io(Action::Keep, state.dir.path()))?;
        let words = vec![
            STATE_VERSION.into(),
            state.dir.path().into(),
            format!("{}:{}", identity.device, identity.inode).into(),
            state.link.into(),
            state.to.into(),
            moment::to_word(state.marker),
            moment::to_word(state.since),
        ];
        // The descriptor stays open for the program.
        std::mem::forget(state.dir);
        Ok(words)
    }

    /// Takes over the state that [`Switched::into_words`] encoded.
    pub fn from_words(words: &[OsString]) -> Result<Self, Error> {
        let state = || {
            let [version, dir, is, link, to, marker, since] = words else {
                return None;
            };
            let moments = (moment::from_word(marker)?, moment::from_word(since)?);
            let (device, inode) = is.to_str()?.split_once(':')?;
            let is = Identity {
                device: device.parse().ok()?,
                inode: inode.parse().ok()?,
            };
            (version == STATE_VERSION).then_some((Path::new(dir), is, link, to, moments))
        };
        let Some((dir, is, link, to, (marker, since))) = state() else {
            let error = io::Error::from(io::ErrorKind::InvalidInput);
            return Err(Error::io(Action::TakeOver, STATE_VERSION)(error));
        };
        let dir = lock_composition(dir, is).map_err(Error::io(Action::Lock, dir))?;
        Ok(Self(Some(SwitchedState {
            manifest: dir.path().join(MANIFEST),
            dir,
            link: link.into(),
            to: to.into(),
            marker,
            since,
        })))
    }

    /// Makes the lock on the composition pass through an exec, for a process that becomes the
    /// pipeline. The composition is then in use while the pipeline lives. A failed exec changes
    /// nothing.
    pub fn hold_through_exec(&self) -> Result<(), Error> {
        let Some(state) = &self.0 else { return Ok(()) };
        rustix::io::fcntl_setfd(state.dir.handle(), FdFlags::empty())
            .map_err(|error| Error::io(Action::Keep, state.dir.path())(error.into()))
    }

    /// Returns the modification time of the composition's root, which a complete copy of it has as
    /// well.
    pub fn marker(&self) -> Moment {
        self.0.as_ref().map_or((0, 0), |state| state.marker)
    }

    /// Returns the path of the composed operations repo.
    pub fn tree(&self) -> PathBuf {
        self.0
            .as_ref()
            .map_or_else(PathBuf::new, |state| state.dir.path().join(TREE))
    }

    /// Returns the path of the manifest file, which stays until [`SwitchedBack::forget`].
    pub fn manifest(&self) -> &Path {
        self.0.as_ref().map_or(Path::new(""), |state| &state.manifest)
    }

    /// Makes the path show the user's own repo again, by one rename. From then on other runs may
    /// switch.
    ///
    /// If the link has been changed meanwhile, it is left alone. After a failure the composition
    /// stays, and stays switched in.
    pub fn switch_back(mut self) -> Result<SwitchedBack, Error> {
        let Some(state) = self.0.take() else {
            return Err(Error::io(Action::SwitchBack, "")(io::ErrorKind::NotFound.into()));
        };
        state.back()?;
        Ok(SwitchedBack {
            dir: state.dir,
            since: state.since,
            rest: Rest::Nothing,
        })
    }
}

impl SwitchedState {
    fn back(&self) -> Result<(), Error> {
        if fs::read_link(&self.link).is_ok_and(|target| target != self.to) {
            return Ok(());
        }
        Link::from_path(&self.link).move_into_place(&self.dir.place().join(BACK))
    }
}

impl Drop for Switched {
    /// The pipeline could not be started: restores the state before the run.
    fn drop(&mut self) {
        let Some(state) = self.0.take() else { return };
        match state.back() {
            Ok(()) => state.dir.remove(),
            Err(error) => tracing::warn!(%error, "the operations repo could not be switched back"),
        }
    }
}

/// The state in which the path shows the user's own repo again.
#[derive(Debug)]
pub struct SwitchedBack {
    /// The composition's directory with the lock on it.
    dir: OwnDir,
    since: Moment,
    rest: Rest,
}

impl SwitchedBack {
    /// Moves files that were written into the composition to the same paths in the user's repo.
    pub fn sweep(&mut self) -> Sweep {
        let (sweep, rest) = sweep::sweep(&self.dir, self.since);
        self.rest = rest;
        sweep
    }

    /// Empties the composed tree, unless it holds files that could not be moved. The manifest stays.
    ///
    /// The tree's root itself stays as well, because another process may still use its path: after
    /// it has set the times by which the end of the copy is detected, Python's `copystat` reads the
    /// extended attributes of the directory that it copied.
    pub fn empty(&self) {
        if self.rest == Rest::Nothing {
            empty(&self.dir.place().join(TREE));
        }
    }

    /// Removes the rest of the composition with the manifest, once the pipeline has ended. If it
    /// holds files that could not be moved, it is kept under another name instead.
    pub fn forget(self) {
        match self.rest {
            Rest::Nothing => self.dir.remove(),
            Rest::Unmoved => {
                let kept = sweep::kept_name(self.dir.path());
                if let Err(error) = fs::rename(self.dir.path(), &kept) {
                    tracing::warn!(path = %self.dir.path().display(), %error, "a composition that contains files written into it cannot be renamed, and the next run removes it");
                }
            }
        }
    }
}

/// Sets the modification time of the tree's root. Returns it as the file system stores it, and the
/// time at which this was done.
fn set_marker(tree: &Path, users: &Path) -> io::Result<(Moment, Moment)> {
    let own = fs::metadata(users)?;
    let random = RandomState::new().build_hasher().finish();
    let mut nanoseconds = random % 1_000_000_000;
    if i64::try_from(nanoseconds) == Ok(own.mtime_nsec()) {
        nanoseconds ^= 1;
    }
    let time = Timespec {
        tv_sec: own.mtime(),
        tv_nsec: i64::try_from(nanoseconds).unwrap_or_default(),
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    rustix::fs::utimensat(rustix::fs::CWD, tree, &times, rustix::fs::AtFlags::empty())?;
    let kept = fs::metadata(tree)?;
    Ok((moment::modified(&kept), moment::changed(&kept)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Attempt, Settled,
        testing::{begin, fixture, repo, switch, written},
    };

    #[test]
    fn the_path_shows_the_composition_and_afterwards_the_users_repo() {
        let f = fixture(&["dev/x"]);
        let ops = f.ops_repo();
        let switched = f.switched(&["dev/y"]);
        assert!(ops.join("dev/x").exists() && ops.join("dev/y").exists());
        let root = fs::metadata(&ops).unwrap();
        let users = fs::metadata(f.users()).unwrap();
        assert_eq!((root.mtime(), root.mtime_nsec()), {
            let (seconds, nanoseconds) = switched.marker();
            (seconds, i64::from(nanoseconds))
        });
        assert_eq!(root.mtime(), users.mtime());
        assert_ne!(root.mtime_nsec(), users.mtime_nsec());
        let manifest = switched.manifest().to_owned();
        let mut back = switched.switch_back().unwrap();
        assert!(ops.join("dev/x").exists() && !ops.join("dev/y").exists());
        assert_eq!(
            fs::read_link(f.mount.home().join("active")).unwrap(),
            Path::new("mount")
        );
        assert!(back.sweep().is_empty());
        back.empty();
        assert!(manifest.exists(), "until the pipeline's end");
        let tree = fs::read_dir(manifest.with_file_name("tree")).unwrap();
        assert_eq!(tree.count(), 0, "emptied");
        back.forget();
        f.assert_nothing_left(None);
    }

    #[test]
    fn each_composition_has_a_unique_marker() {
        let f = fixture(&["dev/x"]);
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..20 {
            seen.insert(f.switched(&["dev/y"]).marker());
        }
        assert_eq!(seen.len(), 20);
        f.assert_nothing_left(None);
    }

    #[test]
    fn dropping_a_switched_composition_restores_the_previous_state() {
        let f = fixture(&["dev/x"]);
        let ops = f.ops_repo();
        let switched = f.switched(&["dev/y"]);
        // Another run neither removes nor replaces a composition that this one holds.
        f.mount.remove_old();
        let Settled::Busy(busy) = f.mount.settle().unwrap() else {
            panic!("somebody else is there")
        };
        assert_eq!(busy.environment.as_deref(), Some("dev"));
        assert!(matches!(f.mount.try_lock().unwrap(), Attempt::Busy(_)));
        assert!(ops.join("dev/y").is_file());
        drop(switched);
        assert!(ops.join("dev/x").is_file() && !ops.join("dev/y").exists());
        f.assert_nothing_left(None);
    }

    #[test]
    fn the_state_survives_encoding_as_words() {
        let f = fixture(&["dev/x"]);
        let switched = f.switched(&["dev/y"]);
        let marker = switched.marker();
        assert_eq!(switched.tree(), fs::canonicalize(f.ops_repo()).unwrap());
        let words = switched.into_words().unwrap();
        assert!(
            f.ops_repo().join("dev/y").exists(),
            "nothing is switched back by that"
        );
        assert!(matches!(f.mount.settle().unwrap(), Settled::Busy(_)));
        let taken = Switched::from_words(&words).unwrap();
        assert_eq!(taken.marker(), marker);
        assert!(taken.manifest().exists());
        drop(taken);
        f.assert_nothing_left(None);
        for wrong in [&words[..3], &[]] {
            assert!(Switched::from_words(wrong).is_err());
        }
        assert!(Switched::from_words(&words).is_err(), "it is gone");
    }

    #[test]
    fn a_link_that_was_changed_meanwhile_is_left_alone() {
        let f = fixture(&["dev/x"]);
        let switched = f.switched(&["dev/y"]);
        let active = f.mount.home().join("active");
        fs::remove_file(&active).unwrap();
        symlink("elsewhere", &active).unwrap();
        switched.switch_back().unwrap().forget();
        assert_eq!(fs::read_link(&active).unwrap(), Path::new("elsewhere"));
    }

    #[test]
    fn a_failed_switch_back_leaves_the_composition_switched_in() {
        let f = fixture(&["dev/x"]);
        let switched = f.switched(&["dev/y"]);
        let ready = switched.manifest().with_file_name(BACK);
        fs::remove_file(&ready).unwrap();
        let error = switched.switch_back().unwrap_err();
        assert!(error.to_string().contains("active"), "{error}");
        assert!(f.ops_repo().join("dev/y").exists());
        // The next run repairs it.
        assert_eq!(f.mount.settle().unwrap(), Settled::Done);
        f.assert_nothing_left(None);
    }

    #[test]
    fn the_users_own_link_is_restored_as_written() {
        let dir = tempfile::tempdir().unwrap();
        let (repo_dir, ops, home) = (
            dir.path().join("repo"),
            dir.path().join("ops"),
            dir.path().join("home"),
        );
        fs::create_dir_all(repo_dir.join("dev")).unwrap();
        symlink("repo", &ops).unwrap();
        let mount = repo(&ops, &home, None, &[]);
        assert_eq!(mount.root(), fs::canonicalize(&repo_dir).unwrap());
        let file = ("dev/y", compose_model::FileMode::Regular, b"".as_slice());
        let switched = switch(&mount, written(begin(&mount), &[file]));
        assert!(ops.join("dev/y").exists());
        // It is found again, also from another home.
        for home in [&home, &dir.path().join("home2")] {
            let again = repo(&ops, home, None, &[]);
            assert_eq!(again.root(), mount.root());
            assert!(matches!(again.try_lock().unwrap(), Attempt::Busy(_)));
        }
        switched.switch_back().unwrap().forget();
        assert_eq!(fs::read_link(&ops).unwrap(), Path::new("repo"));
    }

    #[test]
    fn the_next_run_cleans_up_after_a_killed_one_from_any_home() {
        let f = fixture(&["dev/x"]);
        let other = tempfile::tempdir().unwrap();
        for home in [f.mount.home(), other.path()] {
            let switched = f.switched(&["dev/y"]);
            // The lock is released as after a kill.
            let state = std::mem::ManuallyDrop::new(switched);
            let held = state.dir().unwrap().handle();
            rustix::fs::flock(held, rustix::fs::FlockOperation::Unlock).unwrap();
            let mount = repo(&f.ops_repo(), home, None, &[]);
            assert_eq!(mount.root(), f.users());
            assert_eq!(mount.settle().unwrap(), Settled::Done);
            assert!(!f.ops_repo().join("dev/y").exists() && f.ops_repo().join("dev/x").exists());
        }
        f.mount.settle().unwrap();
        f.assert_nothing_left(None);
    }
}
