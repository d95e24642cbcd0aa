//! Listing, pruning and bounding the whole cache.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, mpsc},
    thread,
    time::{Duration, SystemTime},
};

use rustix::fs::FlockOperation;

use super::{
    files::{
        LAST_USE_PRECISION, LAYOUT, LEFT_ASIDE, Locked, UNFINISHED_LIFETIME, failed, is_older, is_same_file,
        open_lock, random_directory, remove_all, try_flock, unused_for,
    },
    private,
    trust::{self, Pinned},
};
use crate::{bounded::read_bounded, error::Error, options::Options, sync::lock_unpoisoned};

const TRASH: &str = ".trash-";
/// The longest address that is read from the cache, in bytes.
const MAX_ADDRESS: u64 = 64 << 10;

/// The object cache as a whole: its entries and their removal. Nothing is read before the first
/// call.
#[derive(Clone, Debug)]
pub struct Cache {
    /// The path by which it is reached.
    path: PathBuf,
    /// The path by which the user knows it.
    dir: PathBuf,
    /// What `path` leads to for as long as this lives.
    _pinned: Option<Arc<Pinned>>,
}

/// One repo's entry in the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheEntry {
    /// The repo's address, with control characters escaped.
    pub repo: String,
    /// The entry's directory.
    pub path: PathBuf,
    /// The size of its files in bytes.
    pub bytes: u64,
    /// When a run last opened it, to the hour.
    pub last_used: SystemTime,
}

/// What [`Cache::prune`] keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Prune {
    /// Entries that were unused for this long are removed. The last use is known to the hour, so
    /// they may stay an hour longer.
    pub unused_for: Option<Duration>,
    /// The entries unused for the longest are removed until the rest takes no more than these
    /// bytes.
    pub max_bytes: Option<u64>,
}

/// The outcome of removing entries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// The entries that were removed.
    pub removed: Vec<CacheEntry>,
    /// The entries that were kept because a run is reading them.
    pub in_use: Vec<CacheEntry>,
    /// The bytes that remain in the cache.
    pub remaining: u64,
}

/// The outcome of removing one entry.
enum Removal {
    /// It is in this directory now, which has to be deleted.
    Moved(PathBuf),
    /// Another process removed it first.
    Gone,
    /// A run is reading it.
    InUse,
}

impl Cache {
    /// Creates a handle for the cache in a directory, which need not exist.
    pub fn at(dir: impl Into<PathBuf>) -> Self {
        let dir = dir.into();
        Self {
            path: dir.clone(),
            dir,
            _pinned: None,
        }
    }

    /// Creates a handle as [`Cache::at`] does, which reaches the directory as a run does: by its own
    /// handle where other users may rename what is above it.
    pub fn reached(dir: impl Into<PathBuf>) -> Self {
        let named = dir.into();
        let pinned = named.is_dir().then(|| Pinned::of(&named)).flatten();
        Self::by(named, pinned.map(Arc::new))
    }

    pub(crate) fn by(dir: PathBuf, pinned: Option<Arc<Pinned>>) -> Self {
        let by_handle = pinned.as_ref().map(|pinned| pinned.path().to_owned());
        Self {
            path: by_handle.unwrap_or_else(|| dir.clone()),
            dir,
            _pinned: pinned,
        }
    }

    /// Returns the cache's directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Returns all entries, sorted by address.
    pub fn list(&self) -> Result<Vec<CacheEntry>, Error> {
        let mut entries: Vec<CacheEntry> = self
            .found()?
            .into_iter()
            .filter_map(|path| {
                // What another user put there is neither read nor removed.
                let checked = trust::check_entry(&self.path, &path, false);
                if checked.is_err_and(|error| error.kind() != io::ErrorKind::NotFound) {
                    return None;
                }
                // A directory without this file is not an entry, or is being removed.
                let last_used = fs::metadata(path.join("in-use")).ok()?.modified().ok()?;
                let repo = fs::read_to_string(path.join("url")).unwrap_or_default();
                Some(CacheEntry {
                    repo: compose_model::text::escape(&repo, 1000),
                    bytes: size(&path),
                    path,
                    last_used,
                })
            })
            .collect();
        entries.sort_by(|a, b| a.repo.cmp(&b.repo));
        Ok(entries)
    }

    /// Returns the addresses of the cached repos. A cache that cannot be read has none.
    pub fn repos(&self) -> Vec<String> {
        let is_usable = |path: &PathBuf| trust::check_entry(&self.path, path, false).is_ok();
        let entries = self.found().unwrap_or_default().into_iter().filter(is_usable);
        entries
            .filter_map(|path| String::from_utf8(read_bounded(&path.join("url"), MAX_ADDRESS).ok()?).ok())
            .collect()
    }

    /// Removes entries until the rest is within the bounds. Entries that a run is reading are kept.
    pub fn prune(&self, keep: &Prune) -> Result<Pruned, Error> {
        self.remove_leftovers();
        self.remove_where(|entry, remaining| {
            let old = keep
                .unused_for
                .is_some_and(|limit| unused_for(entry.last_used) >= limit.saturating_add(LAST_USE_PRECISION));
            old || keep.max_bytes.is_some_and(|limit| remaining > limit)
        })
    }

    /// Removes all entries except those that a run is reading.
    pub fn clear(&self) -> Result<Pruned, Error> {
        self.remove_leftovers();
        self.remove_where(|_, _| true)
    }

    /// Brings the cache under a limit after a run and keeps the entries that the run used. Does
    /// nothing if another run is already doing so.
    fn enforce_limit(&self, limit: u64, used: &BTreeSet<PathBuf>) -> Result<Pruned, Error> {
        let path = self.path.join(LAYOUT).join("prune.lock");
        trust::check_layout(&self.path).map_err(|error| failed("use", &path, error))?;
        let lock = open_lock(&path).map_err(|error| failed("open", &path, error))?;
        if try_flock(&lock, FlockOperation::NonBlockingLockExclusive) == Locked::Taken {
            return Ok(Pruned::default());
        }
        self.remove_leftovers();
        self.remove_where(|entry, remaining| remaining > limit && !used.contains(&entry.path))
    }

    /// Removes all entries that no run uses, because the disk is full. Returns whether any was
    /// removed.
    pub(super) fn make_room(&self, used: &BTreeSet<PathBuf>) -> bool {
        self.remove_leftovers();
        let pruned = self.remove_where(|entry, _| !used.contains(&entry.path));
        pruned.is_ok_and(|pruned| !pruned.removed.is_empty())
    }

    /// Removes the entries for which `should_remove` returns true, given the entry and the bytes
    /// that remain. Entries are visited from the one unused for the longest.
    fn remove_where(&self, should_remove: impl Fn(&CacheEntry, u64) -> bool) -> Result<Pruned, Error> {
        let mut entries = self.list()?;
        entries.sort_by_key(|entry| std::cmp::Reverse(unused_for(entry.last_used)));
        let mut pruned = Pruned {
            remaining: entries.iter().map(|entry| entry.bytes).sum(),
            ..Pruned::default()
        };
        // All renames come first because they take no time. The deletion may be slow, and a run
        // that is killed during it has already taken the entries out of the cache.
        let mut trash = Vec::new();
        let mut failure = None;
        for entry in entries {
            if !should_remove(&entry, pruned.remaining) {
                continue;
            }
            match self.move_to_trash(&entry.path) {
                Ok(Removal::InUse) => pruned.in_use.push(entry),
                Ok(Removal::Gone) => pruned.remaining -= entry.bytes,
                Ok(Removal::Moved(removed)) => {
                    trash.push(removed);
                    pruned.remaining -= entry.bytes;
                    pruned.removed.push(entry);
                }
                // The entry may belong to another user; the others are still removed.
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        for removed in trash {
            // Another process may be removing the same as a leftover.
            if let Err(error) = remove_all(&removed) {
                failure = failure.or(Some(failed("remove", &removed, error)));
            }
        }
        failure.map_or(Ok(pruned), Err)
    }

    /// Renames an entry into a directory that is removed next.
    fn move_to_trash(&self, path: &Path) -> Result<Removal, Error> {
        match self.try_move_to_trash(path) {
            // Another process removed the entry, or the whole cache, first.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Removal::Gone),
            moved => moved.map_err(|error| failed("remove", path, error)),
        }
    }

    fn try_move_to_trash(&self, path: &Path) -> io::Result<Removal> {
        let in_use = path.join("in-use");
        let lock = match open_lock(&in_use) {
            // A directory in place of the file: no run can use the entry.
            Err(error) if error.kind() == io::ErrorKind::IsADirectory => None,
            opened => Some(opened?),
        };
        if let Some(lock) = &lock {
            let locked = try_flock(lock, FlockOperation::NonBlockingLockExclusive);
            // If the entry was removed and created again meanwhile, this lock belongs to the old one.
            if locked != Locked::Held || !is_same_file(lock, &in_use) {
                return Ok(Removal::InUse);
            }
        }
        // The rename takes the entry away in one step, so that nobody opens a partial one. The
        // deletion then happens without the lock, so that nobody waits for it.
        let trash = random_directory(&self.path.join(LAYOUT), TRASH)?;
        fs::rename(path, trash.path().join("entry"))?;
        Ok(Removal::Moved(trash.keep()))
    }

    /// Deletes what killed runs left: the trash, unfinished files, and the layouts of older versions.
    /// Another process may be doing the same.
    fn remove_leftovers(&self) {
        let layout = self.path.join(LAYOUT);
        if trust::check_layout(&self.path).is_ok() {
            for path in paths_in(&layout) {
                let is_unfinished = || !path.join("in-use").exists() && is_older(&path, UNFINISHED_LIFETIME);
                if name_of(&path).starts_with(TRASH) || (trust::is_own_directory(&path) && is_unfinished()) {
                    _ = remove_all(&path);
                } else {
                    remove_unfinished(&path);
                }
            }
        }
        if trust::check_base(&self.path).is_err() {
            return;
        }
        remove_unfinished(&self.path);
        for path in paths_in(&self.path) {
            if is_older_layout(&name_of(&path)) && trust::is_own_directory(&path) {
                _ = remove_all(&path);
            }
        }
    }

    fn found(&self) -> Result<Vec<PathBuf>, Error> {
        let dir = self.path.join(LAYOUT);
        match trust::check_layout(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            checked => checked.map_err(|error| failed("use", &dir, error))?,
        }
        match fs::read_dir(&dir) {
            Ok(found) => Ok(found.flatten().map(|found| found.path()).collect()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(failed("read", &dir, error)),
        }
    }
}

fn paths_in(dir: &Path) -> impl Iterator<Item = PathBuf> {
    let found = fs::read_dir(dir).into_iter().flatten().flatten();
    found.map(|found| found.path())
}

fn name_of(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// Removes the files in a directory that a killed run did not finish writing.
fn remove_unfinished(dir: &Path) {
    if !trust::is_own_directory(dir) {
        return;
    }
    for path in paths_in(dir) {
        if name_of(&path).starts_with(LEFT_ASIDE) && is_older(&path, UNFINISHED_LIFETIME) {
            _ = fs::remove_file(&path);
        }
    }
}

/// Returns whether a directory of the cache holds the layout of an older version. A newer one is in
/// use by a newer version.
fn is_older_layout(name: &str) -> bool {
    let number = |name: &str| name.strip_prefix('v')?.parse::<u32>().ok();
    number(name) < number(LAYOUT) && number(name).is_some()
}

fn size(dir: &Path) -> u64 {
    let Ok(found) = fs::read_dir(dir) else { return 0 };
    found
        .flatten()
        .map(|found| match found.file_type() {
            Ok(kind) if kind.is_dir() => size(&found.path()),
            _ => found.metadata().map_or(0, |metadata| metadata.len()),
        })
        .sum()
}

/// A background thread that brings the cache under its limit. Dropping this value waits up to 50 ms
/// for the thread; what is not done by then continues in the background or is left to the next run
/// that fetches.
#[derive(Debug)]
pub struct Tidying {
    /// In a mutex because the value is shared between threads.
    done: Mutex<mpsc::Receiver<()>>,
}

/// Longer than looking at a thousand entries takes, and too short to be noticed after a fetch.
const DROP_WAIT: Duration = Duration::from_millis(50);

impl Tidying {
    pub(crate) fn start(
        cache: Cache,
        limit: u64,
        used: BTreeSet<PathBuf>,
        options: &Options,
    ) -> Option<Self> {
        let (done, waiting) = mpsc::channel();
        let temporary = private::parent(options);
        let work = move || {
            private::sweep(&temporary);
            match cache.enforce_limit(limit, &used) {
                Ok(pruned) => {
                    for entry in &pruned.removed {
                        tracing::debug!(
                            repo = entry.repo,
                            bytes = entry.bytes,
                            "removed from the cache, which was over its limit"
                        );
                    }
                    tracing::debug!(bytes = pruned.remaining, limit, "the cache's size");
                }
                // The run has all it needs, so this failure does not end it.
                Err(error) => tracing::debug!(%error, "the cache is not kept under its limit"),
            }
            // The receiver may be gone.
            _ = done.send(());
        };
        // A thread of its own: the runtime's pool may be small, and is for work that the run waits
        // for.
        let thread = thread::Builder::new().name("cache".to_owned()).spawn(work);
        thread.ok().map(|_| Self {
            done: Mutex::new(waiting),
        })
    }

    /// Waits until the thread is done, however long that takes.
    pub fn finish(self) {
        _ = lock_unpoisoned(&self.done).recv();
    }
}

impl Drop for Tidying {
    fn drop(&mut self) {
        _ = lock_unpoisoned(&self.done).recv_timeout(DROP_WAIT);
    }
}
