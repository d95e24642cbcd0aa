//! The object cache.
//!
//! ```text
//! <cache>/
//!   CACHEDIR.TAG                    backups leave it out
//!   v1/                             this layout; another one gets another number, and both may stand side by side
//!     kubernetes-3f2a…/             one entry per repo: its name, and the start of the hash of its address
//!       url                         the address
//!       in-use                      flock: shared by every run that reads, exclusive by who removes; its mtime is the last use
//!       lock                        flock: exclusive by the run that fetches; holds its process id
//!       refs                        the last look at the refs, for offline runs
//!       objects/pack/               pack-*.pack and pack-*.idx
//!       incoming/<random>/          packs while they are received; leftovers go after an hour
//! ```
//!
//! **Concurrency.** A pack's name is the hash of its content and it appears by rename, pack before index, so writers cannot
//! hurt each other; `lock` only keeps eight processes from downloading the same thing eight times. Who waits longer than
//! the bound fetches for itself.
//!
//! **Crashes.** A killed fetch leaves a directory in `incoming` and nothing else. Nothing is synced to disk: after a
//! power cut a file may be empty or torn, which is found when it is read (every object is verified against its id), and the entry is then fetched anew. Syncing
//! would cost every cold run more than that costs anyone.
//!
//! **Completeness** is not recorded: whether a commit's directories are all there is found by walking them (`walk`).

use std::{
    ffi::OsStr,
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Seek as _, Write as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use compose_model::{Refs, RepoUrl};
use rustix::fs::{FlockOperation, flock};

use crate::{error::Error, git::Run, kept::Kept, store::Store};

const LAYOUT: &str = "v1";
const TAG: &str = "Signature: 8a477f597d28d172789f06886806bc55\n# The object cache of bitops-compose. It can be removed at any time.\n";
/// A fetch that takes longer has been killed.
const LEFTOVER: Duration = Duration::from_secs(3600);

/// One repo's entry, open for reading.
pub(crate) struct Entry {
    dir: PathBuf,
    /// Shared lock: nobody removes the entry while it is held.
    _in_use: File,
}

/// The right to fetch into an entry. Dropping it gives it back.
pub(crate) struct Guard {
    _lock: Option<File>,
}

fn failed(doing: &'static str, path: &Path, source: io::Error) -> Error {
    Error::Cache {
        doing,
        path: path.to_owned(),
        source,
    }
}

impl Entry {
    /// Opens or makes the entry of a repo. Where the cache cannot be written, an entry of a private directory, which reads from the
    /// cache's as far as that can be read.
    pub(crate) fn open(run: &Run, repo: &RepoUrl) -> Result<Self, Error> {
        let name = entry_name(repo);
        let base = &run.options.cache_dir;
        let dir = base.join(LAYOUT).join(&name);
        match Self::open_at(base, &dir, repo) {
            Ok(entry) => return Ok(entry),
            Err(error) => {
                tracing::debug!(repo = %repo, path = %dir.display(), %error, "the cache entry cannot be used");
            }
        }
        let private = run.private.get_or_init(|| {
            tracing::warn!(path = %base.display(), "the cache cannot be written; what is fetched is forgotten after this run");
            let parent = run.options.variable("TMPDIR").map_or_else(std::env::temp_dir, PathBuf::from);
            tempfile::Builder::new().prefix("bitops-compose-").tempdir_in(&parent).map_err(|error| (parent, error.kind()))
        });
        let private = match private {
            Ok(private) => private.path(),
            Err((path, kind)) => return Err(failed("create a directory in", path, io::Error::from(*kind))),
        };
        let own = private.join(LAYOUT).join(&name);
        let entry = Self::open_at(private, &own, repo).map_err(|error| failed("create", &own, error))?;
        entry.read_through(&dir);
        Ok(entry)
    }

    fn open_at(base: &Path, dir: &Path, repo: &RepoUrl) -> io::Result<Self> {
        for _ in 0..10 {
            fs::create_dir_all(dir.join("objects/pack"))?;
            fs::create_dir_all(dir.join("incoming"))?;
            let path = dir.join("in-use");
            let in_use = open_lock(&path)?;
            flock(&in_use, FlockOperation::LockShared)?;
            // Removed between the opening and the lock? Then this is the old entry's file.
            let same = fs::metadata(&path)
                .is_ok_and(|now| in_use.metadata().is_ok_and(|ours| ours.ino() == now.ino()));
            if !same {
                continue;
            }
            in_use.set_modified(SystemTime::now())?;
            write_once(&dir.join("url"), repo.key())?;
            write_once(&base.join("CACHEDIR.TAG"), TAG)?;
            return Ok(Self {
                dir: dir.to_owned(),
                _in_use: in_use,
            });
        }
        Err(io::Error::other("it is removed again and again"))
    }

    /// Lets gix look into another store too, as git's alternates do.
    fn read_through(&self, dir: &Path) {
        let objects = dir.join("objects");
        if let (true, Some(path)) = (
            objects.join("pack").is_dir(),
            objects.to_str().filter(|path| !path.contains('\n')),
        ) {
            let info = self.dir.join("objects/info");
            // Without it everything is fetched, which works as well.
            _ = fs::create_dir_all(&info)
                .and_then(|()| fs::write(info.join("alternates"), format!("{path}\n")));
            _ = fs::copy(dir.join("refs"), self.dir.join("refs"));
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.dir
    }

    /// The objects as they are now.
    pub(crate) fn store(&self, run: &Run, kept: &Arc<Kept>) -> Result<Store, Error> {
        let objects = self.dir.join("objects");
        Store::open(&objects, run.options.largest_object(), kept)
            .map_err(|error| failed("open", &objects, error))
    }

    /// Waits for the right to fetch. After the bound it is given without the lock: fetching twice does no harm.
    pub(crate) fn lock(&self, run: &Run, repo: &RepoUrl) -> Result<Guard, Error> {
        let path = self.dir.join("lock");
        let mut file = open_lock(&path).map_err(|error| failed("open", &path, error))?;
        let until = Instant::now() + run.options.tuning.lock_wait;
        let mut told = false;
        loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => break,
                Err(rustix::io::Errno::WOULDBLOCK) => {}
                Err(error) => {
                    tracing::debug!(path = %path.display(), %error, "this file system has no locks");
                    return Ok(Guard { _lock: None });
                }
            }
            if !told {
                let mut holder = String::new();
                _ = file.read_to_string(&mut holder);
                tracing::info!(repo = %repo, process = holder.trim(), "waiting for another process that fetches this repo");
                told = true;
            }
            if Instant::now() >= until {
                tracing::warn!(repo = %repo, "another process holds the cache entry's lock for too long: fetching beside it");
                return Ok(Guard { _lock: None });
            }
            run.check(repo)?;
            std::thread::sleep(Duration::from_millis(20));
        }
        // Only for the one who waits.
        _ = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| write!(file, "{}", std::process::id()));
        self.sweep();
        Ok(Guard { _lock: Some(file) })
    }

    /// A directory for a pack that is being received.
    pub(crate) fn incoming(&self) -> Result<tempfile::TempDir, Error> {
        let path = self.dir.join("incoming");
        tempfile::tempdir_in(&path).map_err(|error| failed("write to", &path, error))
    }

    /// Takes in a pack and its index: the pack first, since readers look for indices.
    pub(crate) fn adopt(&self, pack: &Path, index: &Path) -> Result<(), Error> {
        for path in [pack, index] {
            let name = path.file_name().unwrap_or(OsStr::new("pack"));
            let to = self.dir.join("objects/pack").join(name);
            fs::rename(path, &to).map_err(|error| failed("write", &to, error))?;
        }
        Ok(())
    }

    /// Forgets all objects: one of them is damaged.
    pub(crate) fn reset(&self, _guard: &Guard) -> Result<(), Error> {
        let packs = self.dir.join("objects/pack");
        let alternates = self.dir.join("objects/info/alternates");
        let read = |error| failed("read", &packs, error);
        let mut files = Vec::new();
        for file in fs::read_dir(&packs).map_err(read)? {
            files.push(file.map_err(read)?.path());
        }
        // Indices first: a pack without one is not looked at.
        files.sort_by_key(|path| path.extension() != Some(OsStr::new("idx")));
        for path in files.into_iter().chain(alternates.exists().then_some(alternates)) {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(failed("remove", &path, error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Removes what killed fetches left.
    fn sweep(&self) {
        let Ok(found) = fs::read_dir(self.dir.join("incoming")) else {
            return;
        };
        for path in found.flatten().map(|found| found.path()) {
            if age(&path).is_some_and(|age| age > LEFTOVER) {
                // Another time, then.
                _ = fs::remove_dir_all(path);
            }
        }
    }

    /// Remembers a look at the refs. Losing it only matters to offline runs, so a failure is no error.
    pub(crate) fn remember(&self, prefixes: &[String], refs: &Refs) {
        let text = crate::refs::to_text(prefixes, refs);
        let write = || -> io::Result<()> {
            let mut file = tempfile::NamedTempFile::new_in(&self.dir)?;
            file.write_all(text.as_bytes())?;
            file.persist(self.dir.join("refs"))?;
            Ok(())
        };
        if let Err(error) = write() {
            tracing::debug!(path = %self.dir.display(), %error, "the refs are not remembered");
        }
    }

    /// The last look at the refs: what was asked for, and what there was.
    pub(crate) fn remembered(&self) -> Option<(Vec<String>, Refs)> {
        crate::refs::from_text(&fs::read_to_string(self.dir.join("refs")).ok()?)
    }
}

fn open_lock(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
}

fn write_once(path: &Path, text: &str) -> io::Result<()> {
    if path.exists() {
        Ok(())
    } else {
        fs::write(path, text)
    }
}

fn age(path: &Path) -> Option<Duration> {
    SystemTime::now()
        .duration_since(fs::symlink_metadata(path).ok()?.modified().ok()?)
        .ok()
}

/// Readable, and different for different repos.
fn entry_name(repo: &RepoUrl) -> String {
    let slug: String = repo
        .name()
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || "-_".contains(c) {
                c
            } else {
                '-'
            }
        })
        .take(40)
        .collect();
    let mut hasher = gix::hash::hasher(gix::hash::Kind::Sha1);
    hasher.update(repo.key().as_bytes());
    // Only a collision attack on SHA-1 makes this fail; then the name is as good without it.
    let hash = hasher
        .try_finalize()
        .map(|id| id.to_hex_with_len(16).to_string())
        .unwrap_or_default();
    format!("{slug}-{hash}")
}

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
    /// When a run last opened it.
    pub last_used: SystemTime,
}

/// What is to stay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Prune {
    /// Entries that were not used for so long go.
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
        let dir = self.dir.join(LAYOUT);
        let found = match fs::read_dir(&dir) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed("read", &dir, error)),
        };
        let mut entries: Vec<CacheEntry> = found
            .flatten()
            .filter_map(|found| {
                let path = found.path();
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
        let now = SystemTime::now();
        let mut entries = self.list()?;
        entries.sort_by_key(|entry| entry.last_used);
        let mut pruned = Pruned {
            remaining: entries.iter().map(|entry| entry.bytes).sum(),
            ..Pruned::default()
        };
        for entry in entries {
            let unused = now.duration_since(entry.last_used).unwrap_or_default();
            let old = keep.unused_for.is_some_and(|limit| unused >= limit);
            let surplus = keep.max_bytes.is_some_and(|limit| pruned.remaining > limit);
            if !old && !surplus {
                continue;
            }
            if self.remove(&entry.path)? {
                pruned.remaining -= entry.bytes;
                pruned.removed.push(entry);
            } else {
                pruned.in_use.push(entry);
            }
        }
        Ok(pruned)
    }

    /// Removes all entries.
    pub fn clear(&self) -> Result<Pruned, Error> {
        self.prune(&Prune {
            unused_for: Some(Duration::ZERO),
            max_bytes: None,
        })
    }

    /// `false`: somebody reads it.
    fn remove(&self, path: &Path) -> Result<bool, Error> {
        let wrap = |error| failed("remove", path, error);
        let in_use = open_lock(&path.join("in-use")).map_err(wrap)?;
        match flock(&in_use, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Ok(false),
            Err(error) => return Err(wrap(error.into())),
        }
        // Away in one step, so that nobody opens half of it.
        let trash = tempfile::Builder::new()
            .prefix(".trash-")
            .tempdir_in(self.dir.join(LAYOUT))
            .map_err(wrap)?;
        fs::rename(path, trash.path().join("entry")).map_err(wrap)?;
        trash.close().map_err(wrap)?;
        Ok(true)
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

/// What keeps an entry from being removed while a snapshot of it lives.
pub(crate) type Keep = Arc<dyn Send + Sync>;
