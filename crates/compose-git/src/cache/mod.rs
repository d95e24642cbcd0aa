//! The object cache.
//!
//! ```text
//! <cache>/
//!   CACHEDIR.TAG                    backups leave it out
//!   v1/                             this layout; another one gets another number, and both may stand side by side
//!     prune.lock                    flock: exclusive by the one run that brings the cache under its limit
//!     .trash-<random>/              entries on their way out; leftovers of killed runs go with the next pruning
//!     kubernetes-3f2a…/             one entry per repo: its name, and the start of the hash of its address
//!       url                         the address
//!       in-use                      flock: shared by every run that reads, exclusive by who removes; its mtime is the last use,
//!                                   to the hour
//!       lock                        flock: exclusive by the run that fetches; holds its process id
//!       refs                        the last look at the refs, for offline runs
//!       objects/pack/               pack-*.pack and pack-*.idx, by no pack another one's objects are explained
//!       incoming/<random>/          packs while they are received; leftovers go after an hour
//! ```
//!
//! Files are as readable to other users as the umask says, packs too: a CI job saves a cache that a container wrote as root.
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
//!
//! **Size.** Two bounds, and neither costs a warm run anything. A run that fetched looks at the whole cache afterwards, in a
//! thread beside the composition (`owner`): entries unused for the longest go until the cache is under its limit. And a fetch
//! that finds an entry of too many packs drops those that newer ones supersede (`compact`). What any running process reads
//! stays (`in-use`), as does all that the run itself used. An entry goes in one rename and is deleted afterwards, so a killed run
//! leaves no half of one.
//!
//! **Where it cannot be written** it is read; what is missing then is fetched into a private directory that goes with the run.

mod compact;
mod entry;
mod owner;

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use rustix::fs::{FlockOperation, flock};

use crate::error::Error;

pub(crate) use compact::Compacted;
pub(crate) use entry::{Entry, Guard};
pub use owner::{Cache, CacheEntry, Prune, Pruned, Tidying};

const LAYOUT: &str = "v1";

/// What keeps an entry from being removed while a snapshot of it lives.
pub(crate) type Keep = Arc<dyn Send + Sync>;

fn failed(doing: &'static str, path: &Path, source: io::Error) -> Error {
    Error::Cache {
        doing,
        path: path.to_owned(),
        source,
    }
}

/// What came of asking for a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Locked {
    Held,
    /// Somebody else has it.
    Taken,
    /// Some network file systems know no locks: then the cache works, and nothing of it is removed by itself.
    Unknown,
}

/// Asks for a lock; a shared one is waited for, since who removes an entry holds its lock for one rename only.
fn try_lock(file: &fs::File, operation: FlockOperation) -> Locked {
    match rustix::io::retry_on_intr(|| flock(file, operation)) {
        Ok(()) => Locked::Held,
        Err(rustix::io::Errno::WOULDBLOCK) => Locked::Taken,
        Err(error) => {
            tracing::debug!(%error, "this file system has no locks");
            Locked::Unknown
        }
    }
}

/// Is what was opened still what stands at the path?
fn is_at(file: &fs::File, path: &Path) -> bool {
    let now = fs::metadata(path);
    now.is_ok_and(|now| {
        file.metadata()
            .is_ok_and(|ours| (ours.dev(), ours.ino()) == (now.dev(), now.ino()))
    })
}

/// A directory of a random name; the umask alone decides who may read it, as of every other one. (tempfile's own are for this
/// user alone, and then a CI job cannot save a cache that a container wrote as root.)
fn random_directory(parent: &Path, prefix: &str) -> io::Result<tempfile::TempDir> {
    tempfile::Builder::new()
        .prefix(prefix)
        .permissions(fs::Permissions::from_mode(0o777))
        .tempdir_in(parent)
}

/// Writes a file aside and renames it; readable as [`random_directory`] is.
fn write_aside(path: &Path, text: &str) -> io::Result<()> {
    let parent = path.parent().unwrap_or(Path::new("/"));
    // Opened here: an error of tempfile's own has no number, by which too many open files are told from a cache that is not ours.
    let open = |path: &Path| {
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true).mode(0o666).open(path)
    };
    let mut file = tempfile::Builder::new().make_in(parent, open)?;
    file.as_file_mut().write_all(text.as_bytes())?;
    file.persist(path)?;
    Ok(())
}

fn age(path: &Path) -> Option<Duration> {
    SystemTime::now()
        .duration_since(fs::symlink_metadata(path).ok()?.modified().ok()?)
        .ok()
}
