//! Detects the end of the pipeline's copy by inotify.
//!
//! BitOps creates a temporary directory and copies the operations repo into it with Python's
//! `shutil.copytree`, which finally gives the copy the times of the original. The composition's
//! root has a unique modification time, so an attribute change with that time means that everything
//! has been read. An entry that is created in the original meanwhile, such as by a hook of another
//! deploy, changes the time, which is then set again at once.
//!
//! Another deploy, or a hook of one, may copy the same directory at the same time. Its copy has the
//! same time, and must not end this one's early. The copy must therefore be a directory that was
//! created after the pipeline started, and if there are other processes, the pipeline must have
//! written at least as many bytes as the copy holds.

use std::{
    collections::HashSet,
    ffi::{OsStr, OsString},
    fs, io,
    mem::MaybeUninit,
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::{Path, PathBuf},
};

use rustix::{
    fd::{AsFd, BorrowedFd, OwnedFd},
    fs::{
        AtFlags, CWD, Timespec, Timestamps, UTIME_OMIT,
        inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags},
        utimensat,
    },
    process::Pid,
};

use crate::processes;

/// The copy to wait for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watch {
    /// The directory that is copied.
    pub original: PathBuf,
    /// The directory's modification time in seconds and nanoseconds.
    pub marker: (i64, u32),
    /// The directories in which the copy may be made; see [`temporary_directories`].
    pub directories: Vec<PathBuf>,
}

/// Returns the directories in which Python's `tempfile` creates new ones, in the order in which it
/// tries them: `TMPDIR`, `TEMP`, `TMP`, the usual places, and the program's working directory, to
/// which relative names refer.
pub fn temporary_directories(working: &Path) -> Vec<PathBuf> {
    let named = ["TMPDIR", "TEMP", "TMP"]
        .into_iter()
        .filter_map(|name| std::env::var_os(name).filter(|value| !value.is_empty()));
    let usual = ["/tmp", "/var/tmp", "/usr/tmp"].map(Into::into);
    let mut found: Vec<PathBuf> = Vec::new();
    for name in named.chain(usual) {
        let path = working.join(name);
        if !found.contains(&path) {
            found.push(path);
        }
    }
    found.push(working.to_owned());
    found
}

/// The maximum number of entries of the original that are measured; a signal is handled only afterwards.
const MAX_MEASURED: usize = 2_000;

/// The watched directories.
#[derive(Debug)]
pub(crate) struct Watching {
    fd: OwnedFd,
    /// The directories by watch descriptor. Two names may lead to the same directory.
    watched: Vec<(i32, PathBuf)>,
    /// Directories that were created since the watch began.
    new: HashSet<(i32, OsString)>,
    /// The original, and the watch on it if there is one.
    original: PathBuf,
    changes: Option<i32>,
    marker: (i64, u32),
    owner: u32,
    /// The size of the original's files in bytes, if it was measured.
    size: Option<u64>,
    /// Whether a new directory whose attributes changed, as those of a copy do, was gone before it
    /// was examined.
    vanished: bool,
}

impl Watching {
    /// Starts watching. Returns an error if no directory can be watched.
    pub(crate) fn begin(watch: &Watch) -> io::Result<Self> {
        let fd = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        let mut watched = Vec::new();
        let mut failed = io::Error::from(io::ErrorKind::NotFound);
        for directory in &watch.directories {
            match inotify::add_watch(
                &fd,
                directory,
                WatchFlags::ATTRIB | WatchFlags::CREATE | WatchFlags::MOVED_TO | WatchFlags::ONLYDIR,
            ) {
                Ok(descriptor) => watched.push((descriptor, directory.clone())),
                // A missing directory cannot hold the copy.
                Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => {}
                Err(error) => failed = error.into(),
            }
        }
        if watched.is_empty() {
            return Err(failed);
        }
        let changes = WatchFlags::CREATE | WatchFlags::DELETE | WatchFlags::MOVE | WatchFlags::ONLYDIR;
        let watching = Self {
            changes: inotify::add_watch(&fd, &watch.original, changes).ok(),
            fd,
            watched,
            new: HashSet::new(),
            original: watch.original.clone(),
            marker: watch.marker,
            owner: rustix::process::geteuid().as_raw(),
            size: None,
            vanished: false,
        };
        watching.mark_again();
        Ok(watching)
    }

    /// Restores the original's modification time. An entry that was created or removed in it has
    /// changed the time, and the copy would get the wrong one.
    fn mark_again(&self) {
        let times = Timestamps {
            last_access: Timespec {
                tv_sec: 0,
                tv_nsec: UTIME_OMIT,
            },
            last_modification: Timespec {
                tv_sec: self.marker.0,
                tv_nsec: i64::from(self.marker.1),
            },
        };
        // If this fails the end of the copy is not detected, which is reported at the end of the
        // run.
        let _ = utimensat(CWD, &self.original, &times, AtFlags::empty());
    }

    /// Reads the pending events. Returns whether the copy that `main` makes is complete.
    pub(crate) fn is_copied(&mut self, main: Option<Pid>) -> bool {
        // Large enough for several events with the longest names.
        let mut buffer = [MaybeUninit::<u8>::uninit(); 4096];
        let mut changed = Vec::new();
        let (mut lost, mut original_changed) = (false, false);
        let mut reader = Reader::new(&self.fd, &mut buffer);
        while let Ok(event) = reader.next() {
            let kind = event.events();
            lost |= kind.contains(ReadFlags::QUEUE_OVERFLOW);
            if Some(event.wd()) == self.changes {
                original_changed = true;
                continue;
            }
            let Some(name) = event.file_name().filter(|_| kind.contains(ReadFlags::ISDIR)) else {
                continue;
            };
            let entry = (event.wd(), OsStr::from_bytes(name.to_bytes()).to_owned());
            if kind.contains(ReadFlags::ATTRIB) {
                changed.push(entry);
            } else {
                self.new.insert(entry);
            }
        }
        if original_changed || lost {
            self.mark_again();
        }
        let is_our_copy = |path: &Path| self.is_a_copy(path) && self.can_be_written_by(main, path);
        if lost {
            let watched = self.watched.iter();
            let entries = watched.filter_map(|(_, directory)| fs::read_dir(directory).ok());
            return entries
                .flatten()
                .flatten()
                .any(|entry| is_our_copy(&entry.path()));
        }
        let watched = self.watched.iter();
        let candidates: Vec<PathBuf> = watched
            .flat_map(|(descriptor, directory)| {
                let all = changed.iter().filter(|entry| self.new.contains(*entry));
                let here = all.filter(move |(watched, _)| watched == descriptor);
                here.map(move |(_, name)| directory.join(name))
            })
            .collect();
        let is_copied = candidates.iter().any(|path| is_our_copy(path));
        self.vanished |= !is_copied && candidates.iter().any(|path| is_gone(path));
        is_copied
    }

    /// Returns whether the copy may have been made and removed before it was examined, as by a
    /// pipeline that ends at once.
    pub(crate) fn may_have_missed_it(&self) -> bool {
        self.vanished
    }

    /// Measures the original while the pipeline starts, so that less is left to do at the end of the
    /// copy. Without other processes the size is not needed.
    pub(crate) fn measure(&mut self) {
        if !processes::are_ours_alone() {
            self.size = size(&self.original, true, MAX_MEASURED);
        }
    }

    /// Returns whether the pipeline can have written all files in a copy. Without other processes,
    /// no other one can have.
    fn can_be_written_by(&self, main: Option<Pid>, copy: &Path) -> bool {
        if processes::are_ours_alone() {
            return true;
        }
        // If the pipeline has ended, or the kernel does not count its output, this cannot be checked.
        let Some(written) = main.and_then(processes::bytes_written) else {
            return true;
        };
        // A file may have shrunk since the original was measured.
        self.size.is_some_and(|size| size <= written)
            || size(copy, false, usize::MAX).is_none_or(|size| size <= written)
    }

    /// Returns whether a path is a directory of this user with the marker's time. Other users'
    /// directories and links are not.
    fn is_a_copy(&self, path: &Path) -> bool {
        fs::symlink_metadata(path).is_ok_and(|meta| {
            meta.is_dir()
                && meta.uid() == self.owner
                && meta.mtime() == self.marker.0
                && meta.mtime_nsec() == i64::from(self.marker.1)
        })
    }
}

fn is_gone(path: &Path) -> bool {
    fs::symlink_metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

/// Returns the size of all regular files below a directory, in bytes; `None` if it has more entries
/// than `limit`. Symbolic links are followed if `follow` is set, as a copy follows them.
fn size(directory: &Path, follow: bool, limit: usize) -> Option<u64> {
    let mut left = limit;
    let mut size = 0;
    let mut below = vec![directory.to_owned()];
    while let Some(directory) = below.pop() {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            left = left.checked_sub(1)?;
            let path = entry.path();
            let meta = if follow {
                fs::metadata(&path)
            } else {
                entry.metadata()
            };
            match meta {
                Ok(meta) if meta.is_dir() => below.push(path),
                Ok(meta) if meta.is_file() => size += meta.len(),
                _ => {}
            }
        }
    }
    Some(size)
}

impl AsFd for Watching {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
