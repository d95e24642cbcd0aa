//! The end of the pipeline's copy, by inotify.
//!
//! BitOps makes a temporary directory and copies the operations repo into it with Python's `shutil.copytree`, which ends by
//! giving the copy the times of what it copied. The composition's root has a time that nothing else has, so that this
//! attribute change says: everything has been read. An entry that is made in it meanwhile, by a hook of another deploy for example,
//! changes that time, so it is set again at once.
//!
//! Somebody else may copy the same at the same time: another deploy beside this one, or a hook of one. Its copy has the same time,
//! and must not end this one's early. So the copy must be a directory that came after the pipeline, and where other processes are
//! around, the pipeline must have written as much as there is in it.

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

/// What to wait for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watch {
    /// What is copied.
    pub original: PathBuf,
    /// Its modification time, in seconds and nanoseconds.
    pub marker: (i64, u32),
    /// Where the copy may be made; see [`temporary_directories`].
    pub directories: Vec<PathBuf>,
}

/// The directories in which Python's `tempfile` makes new ones, in the order in which it tries them: `TMPDIR`, `TEMP`, `TMP`,
/// the usual places, and the program's working directory, from which relative names count.
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

/// The watched directories.
#[derive(Debug)]
pub(crate) struct Watching {
    fd: OwnedFd,
    /// By watch descriptor. Two names may lead to one directory.
    places: Vec<(i32, PathBuf)>,
    /// Directories that were made since it began.
    new: HashSet<(i32, OsString)>,
    /// What is copied, and its watch, where it can be had.
    original: PathBuf,
    changes: Option<i32>,
    marker: (i64, u32),
    owner: u32,
}

impl Watching {
    /// Begins; `Err`: no directory can be watched.
    pub(crate) fn begin(watch: &Watch) -> io::Result<Self> {
        let fd = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        let mut places = Vec::new();
        let mut failed = io::Error::from(io::ErrorKind::NotFound);
        for directory in &watch.directories {
            match inotify::add_watch(
                &fd,
                directory,
                WatchFlags::ATTRIB | WatchFlags::CREATE | WatchFlags::MOVED_TO | WatchFlags::ONLYDIR,
            ) {
                Ok(descriptor) => places.push((descriptor, directory.clone())),
                // One that is not there is not where the copy will be.
                Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => {}
                Err(error) => failed = error.into(),
            }
        }
        if places.is_empty() {
            return Err(failed);
        }
        let changes = WatchFlags::CREATE | WatchFlags::DELETE | WatchFlags::MOVE | WatchFlags::ONLYDIR;
        let watching = Self {
            changes: inotify::add_watch(&fd, &watch.original, changes).ok(),
            fd,
            places,
            new: HashSet::new(),
            original: watch.original.clone(),
            marker: watch.marker,
            owner: rustix::process::geteuid().as_raw(),
        };
        watching.mark_again();
        Ok(watching)
    }

    /// Gives what is copied its time once more: an entry that somebody made or removed in it has changed that, and the copy would have
    /// a time that nobody knows.
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
        // Where it fails the copy is not seen, which is said at the end.
        let _ = utimensat(CWD, &self.original, &times, AtFlags::empty());
    }

    /// Reads what has happened. Is the copy that `main` makes complete?
    pub(crate) fn is_copied(&mut self, main: Option<Pid>) -> bool {
        // Room for a handful of events with the longest names.
        let mut buffer = [MaybeUninit::<u8>::uninit(); 4096];
        let mut changed = Vec::new();
        let (mut lost, mut remade) = (false, false);
        let mut reader = Reader::new(&self.fd, &mut buffer);
        while let Ok(event) = reader.next() {
            let kind = event.events();
            lost |= kind.contains(ReadFlags::QUEUE_OVERFLOW);
            if Some(event.wd()) == self.changes {
                remade = true;
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
        if remade || lost {
            self.mark_again();
        }
        let is_ours = |path: &Path| self.is_a_copy(path) && wrote(main, path);
        if lost {
            let places = self.places.iter();
            let entries = places.filter_map(|(_, place)| fs::read_dir(place).ok());
            return entries.flatten().flatten().any(|entry| is_ours(&entry.path()));
        }
        changed
            .iter()
            .filter(|entry| self.new.contains(*entry))
            .any(|(watched, name)| {
                let mut places = self.places.iter();
                places.any(|(descriptor, place)| descriptor == watched && is_ours(&place.join(name)))
            })
    }

    /// A neighbour's directory is not, whatever its time, nor is a link.
    fn is_a_copy(&self, path: &Path) -> bool {
        fs::symlink_metadata(path).is_ok_and(|meta| {
            meta.is_dir()
                && meta.uid() == self.owner
                && meta.mtime() == self.marker.0
                && meta.mtime_nsec() == i64::from(self.marker.1)
        })
    }
}

/// Did the pipeline write what is in this directory? Nobody else could have, where nobody else is.
fn wrote(main: Option<Pid>, copy: &Path) -> bool {
    if processes::are_ours_alone() {
        return true;
    }
    // Where it has ended, or the kernel does not count, nothing can be known.
    let Some(mut left) = main.and_then(processes::bytes_written) else {
        return true;
    };
    let mut below = vec![copy.to_owned()];
    while let Some(directory) = below.pop() {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            let Ok(meta) = entry.metadata() else { continue };
            if meta.is_dir() {
                below.push(entry.path());
            } else if meta.is_file() {
                match left.checked_sub(meta.len()) {
                    Some(rest) => left = rest,
                    None => return false,
                }
            }
        }
    }
    true
}

impl AsFd for Watching {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
