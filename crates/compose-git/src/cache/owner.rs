//! The cache as its owner sees it, and how it is kept under its limit.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
    sync::{Mutex, mpsc},
    thread,
    time::{Duration, SystemTime},
};

use rustix::fs::FlockOperation;

use super::{
    entry::{EXACT_TO, open_lock},
    files::{LAYOUT, Locked, failed, is_at, random_directory, try_flock},
};
use crate::{error::Error, sync::lock_unpoisoned};

const TRASH: &str = ".trash-";

/// The cache as its owner sees it.
#[derive(Clone, Debug)]
pub struct Cache {
    dir: PathBuf,
}

/// One repo in the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheEntry {
    /// Its address, escaped.
    pub repo: String,
    /// Its directory.
    pub path: PathBuf,
    /// Bytes of its files.
    pub bytes: u64,
    /// When a run last opened it, to the hour.
    pub last_used: SystemTime,
}

/// What is to stay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Prune {
    /// Entries that were not used for so long go. As the last use is known to the hour, they may stay an hour longer.
    pub unused_for: Option<Duration>,
    /// Of the rest, those unused for the longest go until what remains is no larger.
    pub max_bytes: Option<u64>,
}

/// What was done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Gone.
    pub removed: Vec<CacheEntry>,
    /// Stayed because a run reads them at this moment.
    pub in_use: Vec<CacheEntry>,
    /// Bytes that remain.
    pub remaining: u64,
}

impl Cache {
    /// The cache in a directory, which need not exist.
    pub fn at(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// Where it is.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// All entries, by address.
    pub fn list(&self) -> Result<Vec<CacheEntry>, Error> {
        let mut entries: Vec<CacheEntry> = self
            .found()?
            .into_iter()
            .filter_map(|path| {
                // A directory without this file is none of ours, or going away.
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

    /// Removes entries until what remains is within the bounds. Entries that a run reads at this moment stay.
    pub fn prune(&self, keep: &Prune) -> Result<Pruned, Error> {
        self.remove_leftovers();
        self.remove_some(|entry, remaining| {
            let unused = entry.last_used.elapsed().unwrap_or_default();
            let old = keep
                .unused_for
                .is_some_and(|limit| unused >= limit.saturating_add(EXACT_TO));
            old || keep.max_bytes.is_some_and(|limit| remaining > limit)
        })
    }

    /// Removes all entries but those that a run reads at this moment.
    pub fn clear(&self) -> Result<Pruned, Error> {
        self.remove_leftovers();
        self.remove_some(|_, _| true)
    }

    /// Brings the cache under a limit after a run, of whose entries none goes. Another run that does so already is left to it.
    fn bound(&self, limit: u64, used: &BTreeSet<PathBuf>) -> Result<Pruned, Error> {
        let path = self.dir.join(LAYOUT).join("prune.lock");
        let lock = open_lock(&path).map_err(|error| failed("open", &path, error))?;
        if try_flock(&lock, FlockOperation::NonBlockingLockExclusive) == Locked::Taken {
            return Ok(Pruned::default());
        }
        self.remove_leftovers();
        self.remove_some(|entry, remaining| remaining > limit && !used.contains(&entry.path))
    }

    /// Asks for each entry, the one unused for the longest first, whether it is to go, given the bytes that are there.
    fn remove_some(&self, goes: impl Fn(&CacheEntry, u64) -> bool) -> Result<Pruned, Error> {
        let mut entries = self.list()?;
        entries.sort_by_key(|entry| entry.last_used);
        let mut pruned = Pruned {
            remaining: entries.iter().map(|entry| entry.bytes).sum(),
            ..Pruned::default()
        };
        // First all renames, which take no time, then the deleting, which may: a run that is killed meanwhile has done its part.
        let mut trash = Vec::new();
        let mut failure = None;
        for entry in entries {
            if !goes(&entry, pruned.remaining) {
                continue;
            }
            match self.take_away(&entry.path) {
                Ok(Some(removed)) => {
                    trash.push(removed);
                    pruned.remaining -= entry.bytes;
                    pruned.removed.push(entry);
                }
                Ok(None) => pruned.in_use.push(entry),
                // Another user's entry, perhaps: no reason to keep the others.
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        for removed in trash {
            let path = removed.path().to_owned();
            if let Err(error) = removed.close() {
                failure = failure.or(Some(failed("remove", &path, error)));
            }
        }
        failure.map_or(Ok(pruned), Err)
    }

    /// Renames an entry into a directory that is removed next. `None`: somebody reads it.
    fn take_away(&self, path: &Path) -> Result<Option<tempfile::TempDir>, Error> {
        let wrap = |error| failed("remove", path, error);
        let layout = self.dir.join(LAYOUT);
        let in_use = match open_lock(&path.join("in-use")) {
            Ok(in_use) => in_use,
            // Another process was faster.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return random_directory(&layout, TRASH).map(Some).map_err(wrap);
            }
            Err(error) => return Err(wrap(error)),
        };
        let locked = try_flock(&in_use, FlockOperation::NonBlockingLockExclusive);
        // Of an entry that was removed and made anew meanwhile this is the old one's lock.
        if locked != Locked::Held || !is_at(&in_use, &path.join("in-use")) {
            return Ok(None);
        }
        // Away in one step, so that nobody opens half of it; and then without the lock, so that nobody waits for the deleting.
        let trash = random_directory(&layout, TRASH).map_err(wrap)?;
        fs::rename(path, trash.path().join("entry")).map_err(wrap)?;
        Ok(Some(trash))
    }

    /// Removes what was on its way out when a run was killed. Another one may be at it, too.
    fn remove_leftovers(&self) {
        let Ok(found) = fs::read_dir(self.dir.join(LAYOUT)) else {
            return;
        };
        for found in found.flatten() {
            if found.file_name().to_string_lossy().starts_with(TRASH) {
                _ = fs::remove_dir_all(found.path());
            }
        }
    }

    fn found(&self) -> Result<Vec<PathBuf>, Error> {
        let dir = self.dir.join(LAYOUT);
        match fs::read_dir(&dir) {
            Ok(found) => Ok(found.flatten().map(|found| found.path()).collect()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(failed("read", &dir, error)),
        }
    }
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

/// The cache being brought under its limit, in a thread of its own. Dropping it waits for a moment that nobody notices; what is
/// not done by then is done beside what follows, or by the next run that fetches.
#[derive(Debug)]
pub struct Tidying {
    /// What holds this is shared by threads.
    done: Mutex<mpsc::Receiver<()>>,
}

/// Longer than looking at a thousand entries takes, and shorter than anybody notices after a fetch.
const MOMENT: Duration = Duration::from_millis(50);

impl Tidying {
    pub(crate) fn start(cache: Cache, limit: u64, used: BTreeSet<PathBuf>) -> Option<Self> {
        let (done, waiting) = mpsc::channel();
        let work = move || {
            match cache.bound(limit, &used) {
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
                // It is no reason to end a run that has all it needs.
                Err(error) => tracing::debug!(%error, "the cache is not kept under its limit"),
            }
            // Nobody may be waiting any more.
            _ = done.send(());
        };
        // Not on the runtime's pool, whose threads may be few and are for work that is waited for.
        let thread = thread::Builder::new().name("cache".to_owned()).spawn(work);
        thread.ok().map(|_| Self {
            done: Mutex::new(waiting),
        })
    }

    /// Waits for its end, however long that takes.
    pub fn finish(self) {
        _ = lock_unpoisoned(&self.done).recv();
    }
}

impl Drop for Tidying {
    fn drop(&mut self) {
        _ = lock_unpoisoned(&self.done).recv_timeout(MOMENT);
    }
}
