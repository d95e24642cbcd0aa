//! One repo's place in the cache.

use std::{
    ffi::OsStr,
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Seek as _, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use compose_model::{Refs, RepoUrl, text::escape};
use rustix::fs::{Access, FlockOperation, Timespec, Timestamps, UTIME_NOW, access, futimens};

use super::files::{LAYOUT, Locked, age, failed, is_at, random_directory, try_flock, write_aside};
use crate::{
    error::{Error, exhausted},
    object_cache::ObjectCache,
    run::Run,
    store::Store,
};

const TAG: &str = "Signature: 8a477f597d28d172789f06886806bc55\n# The object cache of bitops-compose. It can be removed at any time.\n";
/// A fetch that takes longer has been killed.
const LEFTOVER: Duration = Duration::from_secs(3600);
/// How exactly the last use is known: warm runs write nothing, but for this once an hour.
pub(super) const EXACT_TO: Duration = Duration::from_secs(3600);

/// One repo's entry, open for reading.
pub(crate) struct OpenEntry {
    pub(super) dir: PathBuf,
    /// Shared lock: nobody removes the entry while it is held.
    pub(super) in_use: File,
    place: Place,
}

/// What may be done with an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// It is the cache's, for reading and writing.
    Cache,
    /// It is the cache's, for reading alone.
    ReadOnly,
    /// It is this run's own.
    Private,
}

/// The right to fetch into an entry. Dropping it gives it back.
pub(crate) struct Guard {
    _lock: Option<File>,
}

impl OpenEntry {
    /// Opens or makes the entry of a repo. Where the cache cannot be written, it is opened for reading; where there is
    /// nothing to read, see [`OpenEntry::private`].
    pub(crate) fn open(run: &Run, repo: &RepoUrl) -> Result<Self, Error> {
        let base = &run.options.cache_dir;
        let dir = base.join(LAYOUT).join(entry_name(repo));
        let entry = match Self::open_at(base, &dir, repo, Place::Cache) {
            Ok(entry) => entry,
            // Another directory would be no better.
            Err(error) if exhausted(&error).is_some() => return Err(failed("open", &dir, error)),
            Err(error) => {
                tracing::debug!(repo = %repo, path = %dir.display(), %error, "the cache entry cannot be written");
                match Self::open_to_read(&dir) {
                    Ok(entry) => entry,
                    Err(error) => {
                        tracing::debug!(repo = %repo, path = %dir.display(), %error, "the cache entry cannot be read");
                        return Self::private(run, repo, None);
                    }
                }
            }
        };
        run.uses(&dir);
        Ok(entry)
    }

    /// An entry of a private directory that goes with the run. It reads from `other`, too.
    pub(crate) fn private(run: &Run, repo: &RepoUrl, other: Option<&Self>) -> Result<Self, Error> {
        let private = run.private.get_or_init(|| {
            tracing::warn!(path = %run.options.cache_dir.display(), "the cache cannot be written; what is fetched is forgotten after this run");
            let parent = run.options.variable("TMPDIR").map_or_else(std::env::temp_dir, PathBuf::from);
            tempfile::Builder::new().prefix("bitops-compose-").tempdir_in(&parent).map_err(|error| (parent, error.kind()))
        });
        let private = match private {
            Ok(private) => private.path(),
            Err((path, kind)) => return Err(failed("create a directory in", path, io::Error::from(*kind))),
        };
        let dir = private.join(LAYOUT).join(entry_name(repo));
        let entry = Self::open_at(private, &dir, repo, Place::Private)
            .map_err(|error| failed("create", &dir, error))?;
        if let Some(other) = other {
            entry.read_through(other);
        }
        Ok(entry)
    }

    fn open_at(base: &Path, dir: &Path, repo: &RepoUrl, place: Place) -> io::Result<Self> {
        let path = dir.join("in-use");
        for _ in 0..10 {
            let in_use = match open_lock(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    make(base, dir, repo)?;
                    open_lock(&path)?
                }
                opened => opened?,
            };
            // Removed between the opening and the lock? Then this is the old entry's file.
            if try_flock(&in_use, FlockOperation::LockShared) == Locked::Taken || !is_at(&in_use, &path) {
                continue;
            }
            for below in ["objects/pack", "incoming"] {
                match access(dir.join(below), Access::WRITE_OK | Access::EXEC_OK) {
                    Err(rustix::io::Errno::NOENT) => make(base, dir, repo)?,
                    checked => checked?,
                }
            }
            let is_stale = in_use.metadata()?.modified()?.elapsed();
            // From the future is as bad as from the past: some clock was wrong.
            if is_stale.map_or(true, |age| age > EXACT_TO) {
                touch(&in_use);
            }
            return Ok(Self {
                dir: dir.to_owned(),
                in_use,
                place,
            });
        }
        Err(io::Error::other("it is removed again and again"))
    }

    /// Writes nothing. Other users' files and file systems without locks are read, too.
    fn open_to_read(dir: &Path) -> io::Result<Self> {
        let in_use = File::open(dir.join("in-use"))?;
        try_flock(&in_use, FlockOperation::LockShared);
        fs::read_dir(dir.join("objects/pack"))?;
        Ok(Self {
            dir: dir.to_owned(),
            in_use,
            place: Place::ReadOnly,
        })
    }

    /// Lets gix look into another store too, as git's alternates do.
    fn read_through(&self, other: &Self) {
        let objects = std::path::absolute(other.dir.join("objects"));
        if let Ok(objects) = objects
            && let Some(path) = objects.to_str().filter(|path| !path.contains('\n'))
        {
            let info = self.dir.join("objects/info");
            // Without it everything is fetched, which works as well.
            _ = fs::create_dir_all(&info)
                .and_then(|()| fs::write(info.join("alternates"), format!("{path}\n")));
            _ = fs::copy(other.dir.join("refs"), self.dir.join("refs"));
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.dir
    }

    /// May anything be fetched into it?
    pub(crate) fn is_writable(&self) -> bool {
        self.place != Place::ReadOnly
    }

    /// Do other runs see what is fetched into it?
    pub(super) fn is_shared(&self) -> bool {
        self.place == Place::Cache
    }

    /// The objects as they are now.
    pub(crate) fn store(&self, run: &Run, cache: &Arc<ObjectCache>) -> Result<Store, Error> {
        let objects = self.dir.join("objects");
        Store::open(&objects, run.options.largest_object(), cache)
            .map_err(|error| failed("open", &objects, error))
    }

    /// Waits for the right to fetch. After the bound it is given without the lock: fetching twice does no harm.
    pub(crate) fn lock_for_fetch(&self, run: &Run, repo: &RepoUrl) -> Result<Guard, Error> {
        let path = self.dir.join("lock");
        let mut file = open_lock(&path).map_err(|error| failed("open", &path, error))?;
        let until = Instant::now() + run.options.tuning.lock_wait;
        let mut told = false;
        loop {
            match try_flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Locked::Held => break,
                Locked::Unknown => return Ok(Guard { _lock: None }),
                Locked::Taken => {}
            }
            if !told {
                let process = holder(&mut file);
                tracing::info!(repo = %repo, process, "waiting for another process that fetches this repo");
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
        touch(&self.in_use);
        Ok(Guard { _lock: Some(file) })
    }

    /// A directory for a pack that is being received.
    pub(crate) fn incoming(&self) -> Result<tempfile::TempDir, Error> {
        let path = self.dir.join("incoming");
        random_directory(&path, "").map_err(|error| failed("write to", &path, error))
    }

    /// Takes in a pack and its index: the pack first, since readers look for indices.
    pub(crate) fn adopt(&self, run: &Run, pack: &Path, index: &Path) -> Result<(), Error> {
        if self.is_shared() {
            run.has_fetched();
        }
        for path in [pack, index] {
            let name = path.file_name().unwrap_or(OsStr::new("pack"));
            let to = self.dir.join("objects/pack").join(name);
            self.publish(path)
                .and_then(|()| fs::rename(path, &to))
                .map_err(|error| failed("write", &to, error))?;
        }
        Ok(())
    }

    /// gix writes packs for this user alone. Who may read the entry's other files may read these.
    fn publish(&self, path: &Path) -> io::Result<()> {
        let readers = self.in_use.metadata()?.permissions().mode() & 0o444;
        fs::set_permissions(path, fs::Permissions::from_mode(readers | 0o400))
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
            remove_file(&path)?;
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
        let path = self.dir.join("refs");
        if fs::read_to_string(&path).is_ok_and(|known| known == text) {
            return;
        }
        if let Err(error) = write_aside(&path, &text) {
            tracing::debug!(path = %self.dir.display(), %error, "the refs are not remembered");
        }
    }

    /// The last look at the refs: what was asked for, and what there was.
    pub(crate) fn remembered(&self) -> Option<(Vec<String>, Refs)> {
        crate::refs::from_text(&fs::read_to_string(self.dir.join("refs")).ok()?)
    }
}

/// Makes an entry, or what is missing of it.
fn make(base: &Path, dir: &Path, repo: &RepoUrl) -> io::Result<()> {
    fs::create_dir_all(dir.join("objects/pack"))?;
    fs::create_dir_all(dir.join("incoming"))?;
    let tag = base.join("CACHEDIR.TAG");
    if !tag.exists() {
        // A courtesy; the directory itself may be another user's.
        _ = write_aside(&tag, TAG);
    }
    let url = dir.join("url");
    if url.exists() {
        return Ok(());
    }
    write_aside(&url, repo.key())
}

/// Notes the use. With both times «now» it takes the right to write, and no more: the file may be another user's.
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

pub(super) fn open_lock(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
}

/// Removes a file that may be gone already.
pub(super) fn remove_file(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", path, error)),
        _ => Ok(()),
    }
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

/// The process that a lock file names. Any user who may write the cache may have written it.
fn holder(file: &mut File) -> String {
    let mut text = Vec::new();
    _ = file.take(20).read_to_end(&mut text);
    escape(String::from_utf8_lossy(&text).trim(), 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_lock_file_says_is_shown_safely() {
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
