//! A repo's directory in the cache.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::{self, Read as _, Seek as _, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use compose_model::{Refs, RepoUrl, text::escape};
use rustix::fs::{Access, FlockOperation, Timespec, Timestamps, UTIME_NOW, access, futimens};

use super::{
    files::{
        LAST_USE_PRECISION, LAYOUT, Locked, UNFINISHED_LIFETIME, failed, is_full, is_older, is_same_file,
        lock_holder, open_lock, random_directory, remove_all, try_flock, write_aside,
    },
    private::{self, PrivateDir},
    trust::{self, Checked},
};
use crate::{
    error::{Error, exhausted},
    object_cache::ObjectCache,
    run::Run,
    store::Store,
    sync::lock_unpoisoned,
};

const CACHEDIR_TAG: &str = "Signature: 8a477f597d28d172789f06886806bc55\n# The object cache of bitops-compose. It can be removed at any time.\n";

/// One repo's entry, open for reading.
pub(crate) struct OpenEntry {
    pub(super) dir: PathBuf,
    /// Held with a shared lock, which keeps other processes from removing the entry.
    pub(super) in_use: File,
    place: EntryAccess,
}

/// What a run may do with an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum EntryAccess {
    /// The entry belongs to the cache and can be read and written.
    Cache,
    /// The entry belongs to the cache and can only be read.
    ReadOnly,
    /// The entry belongs to this run alone.
    Private,
}

/// Why a run does not use the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unusable {
    #[error("cannot be written")]
    NotWritable,
    #[error("is on a full disk")]
    DiskFull,
    #[error("was removed repeatedly while it was used")]
    Removed,
}

/// The permission to fetch into an entry. Dropping it releases the lock.
pub(crate) struct FetchLock {
    _lock: Option<File>,
}

impl OpenEntry {
    /// Opens or creates the entry of a repo. If the cache cannot be written, the entry is opened
    /// for reading; if it cannot be read either, the run gets a private entry (see
    /// [`OpenEntry::private`]).
    pub(crate) fn open(run: &Run, repo: &RepoUrl) -> Result<Self, Error> {
        let base = run.cache_dir();
        let dir = base.join(LAYOUT).join(entry_name(repo));
        let open = || Self::open_at(base, &dir, repo, EntryAccess::Cache);
        let opened = match open() {
            Err(error) if is_full(&error) && make_room(run) => open(),
            opened => opened,
        };
        let entry = match opened {
            Ok(entry) => entry,
            // The process is out of files, threads or memory: another directory would not help.
            Err(error) if exhausted(&error).is_some() => return Err(failed("open", &dir, error)),
            Err(error) => {
                tracing::debug!(repo = %repo, path = %dir.display(), %error, "the cache entry cannot be written");
                match Self::open_to_read(base, &dir) {
                    Ok(entry) => entry,
                    Err(error) => {
                        if let Some(foreign) = trust::foreign(&error)
                            && run.is_first(foreign.to_string())
                        {
                            tracing::warn!(
                                "the cache is not used for {repo}: {foreign}; remove it, or set {} to a directory of your own",
                                compose_model::env::CACHE
                            );
                        }
                        tracing::debug!(repo = %repo, path = %dir.display(), %error, "the cache entry cannot be read");
                        return Self::private(run, repo, None, Unusable::NotWritable);
                    }
                }
            }
        };
        run.record_use(&dir);
        Ok(entry)
    }

    /// Opens an entry in a private directory that is removed with the run. It also reads objects
    /// from `other`. A warning says once that the cache's own place is not used.
    pub(crate) fn private(
        run: &Run,
        repo: &RepoUrl,
        other: Option<&Self>,
        why: Unusable,
    ) -> Result<Self, Error> {
        let private = run.private.get_or_init(|| {
            tracing::warn!(path = %run.options.cache_dir.display(), "the cache {why}; fetched objects are not kept after this run");
            let parent = private::parent(&run.options);
            PrivateDir::new(&parent).map_err(|error| (parent, error.kind()))
        });
        let private = match private {
            Ok(private) => private.path(),
            Err((path, kind)) => return Err(failed("create a directory in", path, io::Error::from(*kind))),
        };
        let dir = private.join(LAYOUT).join(entry_name(repo));
        let entry = Self::open_at(private, &dir, repo, EntryAccess::Private)
            .map_err(|error| failed("create", &dir, error))?;
        if let Some(other) = other {
            entry.read_through(other);
        }
        Ok(entry)
    }

    fn open_at(base: &Path, dir: &Path, repo: &RepoUrl, place: EntryAccess) -> io::Result<Self> {
        let path = dir.join("in-use");
        for _ in 0..10 {
            match trust::check_entry(base, dir, false) {
                Ok(Checked::Usable) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => make(base, dir, repo)?,
                // A directory in place of a file, or the other way around.
                checked => match (trust::heal_entry(base, dir), checked) {
                    (Ok(true), _) => continue,
                    (_, Err(error)) => return Err(error),
                    _ => {}
                },
            }
            let in_use = open_lock(&path)?;
            // The entry may have been removed between the opening and the lock; then this file
            // belongs to the old entry.
            let locked = try_flock(&in_use, FlockOperation::LockShared);
            if !is_same_file(&in_use, &path) {
                continue;
            }
            if locked == Locked::Taken {
                return Err(trust::locked(&path, lock_holder(&in_use)));
            }
            for below in ["objects/pack", "incoming"] {
                match access(dir.join(below), Access::WRITE_OK | Access::EXEC_OK) {
                    Err(rustix::io::Errno::NOENT) => make(base, dir, repo)?,
                    checked => checked?,
                }
            }
            let is_stale = in_use.metadata()?.modified()?.elapsed();
            // A timestamp in the future counts as stale as well: a clock was wrong.
            if is_stale.map_or(true, |age| age > LAST_USE_PRECISION) {
                touch(&in_use);
            }
            return Ok(Self {
                dir: dir.to_owned(),
                in_use,
                place,
            });
        }
        Err(io::Error::other("it was removed repeatedly"))
    }

    /// Opens an entry without writing to it. It also works on file systems without locks.
    fn open_to_read(base: &Path, dir: &Path) -> io::Result<Self> {
        _ = trust::check_entry(base, dir, false)?;
        let path = dir.join("in-use");
        let in_use = File::open(&path)?;
        if try_flock(&in_use, FlockOperation::LockShared) == Locked::Taken {
            return Err(trust::locked(&path, lock_holder(&in_use)));
        }
        fs::read_dir(dir.join("objects/pack"))?;
        Ok(Self {
            dir: dir.to_owned(),
            in_use,
            place: EntryAccess::ReadOnly,
        })
    }

    /// Returns whether the entry was removed, at least in part, since it was opened.
    pub(crate) fn is_gone(&self) -> bool {
        !is_same_file(&self.in_use, &self.dir.join("in-use"))
            || ["objects/pack", "incoming"]
                .iter()
                .any(|below| !self.dir.join(below).is_dir())
    }

    /// Lets gix look into another store as well, by git's alternates.
    fn read_through(&self, other: &Self) {
        let objects = std::path::absolute(other.dir.join("objects"));
        if let Ok(objects) = objects
            && let Some(path) = objects.to_str().filter(|path| !path.contains('\n'))
        {
            let info = self.dir.join("objects/info");
            // If this fails, everything is fetched, which works as well.
            _ = fs::create_dir_all(&info)
                .and_then(|()| fs::write(info.join("alternates"), format!("{path}\n")));
            _ = fs::copy(other.dir.join("refs"), self.dir.join("refs"));
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.dir
    }

    /// Returns whether anything may be fetched into the entry.
    pub(crate) fn is_writable(&self) -> bool {
        self.place != EntryAccess::ReadOnly
    }

    /// Returns whether other runs see what is fetched into the entry.
    pub(crate) fn is_shared(&self) -> bool {
        self.place == EntryAccess::Cache
    }

    /// Opens the store of the objects that the entry holds now.
    pub(crate) fn store(&self, run: &Run, cache: &Arc<ObjectCache>) -> Result<Store, Error> {
        let objects = self.dir.join("objects");
        Store::open(&objects, run.options.largest_object(), cache)
            .map_err(|error| failed("open", &objects, error))
    }

    /// Waits for the lock to fetch. After [`Tuning::lock_wait`](crate::Tuning::lock_wait) it
    /// returns without the lock: fetching the same objects twice does no harm.
    pub(crate) fn lock_for_fetch(&self, run: &Run, repo: &RepoUrl) -> Result<FetchLock, Error> {
        let path = self.dir.join("lock");
        let mut file = open_lock(&path).map_err(|error| failed("open", &path, error))?;
        let until = Instant::now() + run.options.tuning.lock_wait;
        let mut process = None;
        loop {
            match try_flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Locked::Held => break,
                Locked::Unsupported => return Ok(FetchLock { _lock: None }),
                Locked::Taken => {}
            }
            let process = process.get_or_insert_with(|| {
                let process = lock_holder(&file).unwrap_or_else(|| format!("process {}", holder(&mut file)));
                tracing::info!(repo = %repo, process, "waiting for another process that is fetching this repo");
                process
            });
            if Instant::now() >= until {
                tracing::warn!(
                    repo = %repo,
                    %process,
                    lock = %path.display(),
                    "another process has held the lock of the cache entry for too long, and may be stopped: fetching without the lock"
                );
                return Ok(FetchLock { _lock: None });
            }
            run.check(repo)?;
            std::thread::sleep(Duration::from_millis(20));
        }
        // The process id is only for the message of a process that waits.
        _ = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| write!(file, "{}", std::process::id()));
        self.sweep();
        touch(&self.in_use);
        Ok(FetchLock { _lock: Some(file) })
    }

    /// Creates a directory for a pack that is being received.
    pub(crate) fn incoming(&self) -> Result<tempfile::TempDir, Error> {
        let path = self.dir.join("incoming");
        random_directory(&path, "").map_err(|error| failed("write to", &path, error))
    }

    /// Moves a pack and its index into the entry: the pack first, because readers look for indices.
    /// Returns their new paths.
    pub(crate) fn adopt(&self, run: &Run, pack: &Path, index: &Path) -> Result<[PathBuf; 2], Error> {
        if self.is_shared() {
            run.record_fetch();
        }
        let move_in = |path: &Path| {
            let name = path.file_name().unwrap_or(OsStr::new("pack"));
            let to = self.dir.join("objects/pack").join(name);
            self.publish(path)
                .and_then(|()| fs::rename(path, &to))
                .map_err(|error| failed("write", &to, error))?;
            Ok(to)
        };
        Ok([move_in(pack)?, move_in(index)?])
    }

    /// Removes all packs to make room on a full disk, unless another process reads them. Returns
    /// whether there were any.
    pub(crate) fn drop_packs(&self, run: &Run, repo: &RepoUrl) -> bool {
        let Ok(guard) = self.lock_for_fetch(run, repo) else {
            return false;
        };
        let packs = fs::read_dir(self.dir.join("objects/pack"));
        let has_packs = packs.is_ok_and(|mut packs| packs.next().is_some());
        // As in a compaction, a failed conversion leaves no lock.
        let is_alone = try_flock(&self.in_use, FlockOperation::NonBlockingLockExclusive) == Locked::Held;
        let has_room = has_packs && is_alone && self.reset(&guard).is_ok();
        try_flock(&self.in_use, FlockOperation::LockShared);
        has_room
    }

    /// Makes a pack readable to everybody who may read the entry's other files; gix writes packs
    /// for this user alone.
    fn publish(&self, path: &Path) -> io::Result<()> {
        let readers = self.in_use.metadata()?.permissions().mode() & 0o444;
        fs::set_permissions(path, fs::Permissions::from_mode(readers | 0o400))
    }

    /// Removes all objects after one of them was found damaged.
    pub(crate) fn reset(&self, _guard: &FetchLock) -> Result<(), Error> {
        let packs = self.dir.join("objects/pack");
        let alternates = self.dir.join("objects/info/alternates");
        let read = |error| failed("read", &packs, error);
        let mut files = Vec::new();
        for file in fs::read_dir(&packs).map_err(read)? {
            files.push(file.map_err(read)?.path());
        }
        // Indices first: a pack without an index is never looked at.
        files.sort_by_key(|path| path.extension() != Some(OsStr::new("idx")));
        for path in files.into_iter().chain(alternates.exists().then_some(alternates)) {
            remove_file(&path)?;
        }
        Ok(())
    }

    /// Removes what killed fetches left behind.
    fn sweep(&self) {
        let Ok(found) = fs::read_dir(self.dir.join("incoming")) else {
            return;
        };
        for path in found.flatten().map(|found| found.path()) {
            if is_older(&path, UNFINISHED_LIFETIME) {
                // The next fetch tries again.
                _ = remove_all(&path);
            }
        }
    }

    /// Stores the result of a look at the refs. Only offline runs read it, so a failure to write it
    /// is not an error.
    pub(crate) fn remember(&self, prefixes: &[String], refs: &Refs) {
        let text = crate::refs::to_text(prefixes, refs);
        let path = self.dir.join("refs");
        if fs::read_to_string(&path).is_ok_and(|known| known == text) {
            return;
        }
        if let Err(error) = write_aside(&path, &text) {
            tracing::debug!(path = %self.dir.display(), %error, "the refs are not remembered");
        }
    }

    /// Returns the prefixes and refs of the last look.
    pub(crate) fn remembered(&self) -> Option<(Vec<String>, Refs)> {
        crate::refs::from_text(&fs::read_to_string(self.dir.join("refs")).ok()?)
    }
}

/// Removes other entries from a cache on a full disk. Returns whether another try may succeed.
pub(crate) fn make_room(run: &Run) -> bool {
    let used = lock_unpoisoned(&run.used).clone();
    let has_room = run.cache().make_room(&used);
    tracing::debug!(path = %run.options.cache_dir.display(), has_room, "the disk of the cache is full");
    has_room
}

/// Creates an entry, or the missing parts of one.
fn make(base: &Path, dir: &Path, repo: &RepoUrl) -> io::Result<()> {
    _ = trust::check_entry(base, dir, true)?;
    let tag = base.join("CACHEDIR.TAG");
    if !tag.exists() {
        // The tag is optional, and the directory may belong to another user.
        _ = write_aside(&tag, CACHEDIR_TAG);
    }
    let url = dir.join("url");
    if url.exists() {
        return Ok(());
    }
    write_aside(&url, repo.key())
}

/// Records the use of the entry. Setting both times to "now" needs write permission only, not
/// ownership: the file may belong to another user.
fn touch(in_use: &File) {
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: UTIME_NOW,
    };
    let now = Timestamps {
        last_access: now,
        last_modification: now,
    };
    if let Err(error) = futimens(in_use, &now) {
        tracing::debug!(%error, "the cache entry's use is not noted");
    }
}

/// Removes a file, which may already be gone.
pub(super) fn remove_file(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", path, error)),
        _ => Ok(()),
    }
}

/// Returns a directory name that is readable and differs for different repos.
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
    // Hashing fails only for a SHA-1 collision attack; the slug alone is enough then.
    let hash = hasher
        .try_finalize()
        .map(|id| id.to_hex_with_len(16).to_string())
        .unwrap_or_default();
    format!("{slug}-{hash}")
}

/// Returns the content of a lock file, escaped and bounded: any user who may write to the cache may
/// have written it.
fn holder(file: &mut File) -> String {
    let mut text = Vec::new();
    _ = file.take(20).read_to_end(&mut text);
    escape(String::from_utf8_lossy(&text).trim(), 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_content_of_a_lock_file_is_escaped_and_bounded() {
        let mut file = tempfile::tempfile().unwrap();
        let mut holder_of = |text: &str| {
            file.set_len(0).unwrap();
            file.rewind().unwrap();
            file.write_all(text.as_bytes()).unwrap();
            file.rewind().unwrap();
            holder(&mut file)
        };
        assert_eq!(holder_of("4711\n"), "4711");
        assert_eq!(holder_of("\u{1b}]0;x\u{7}"), "\\u{1b}]0;x\\u{7}");
        assert!(holder_of(&"9".repeat(1 << 20)).len() < 30);
    }
}
