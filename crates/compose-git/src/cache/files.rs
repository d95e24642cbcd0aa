//! Files of the cache: locks (`flock`), ages, atomic writes, and removals.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime},
};

use compose_model::flock;
use rustix::fs::{FlockOperation, OFlags, flock as lock};

use crate::error::Error;

/// The precision of an entry's last use. A warm run writes nothing except this timestamp, once an
/// hour.
pub(super) const LAST_USE_PRECISION: Duration = Duration::from_secs(3600);

/// The directory that holds the current layout.
pub(super) const LAYOUT: &str = "v1";

/// The prefix of a file that is being written.
pub(super) const ASIDE: &str = ".tmp-";
/// The prefix of files that earlier versions left while they were writing them.
pub(super) const LEFT_ASIDE: &str = ".tmp";

/// A fetch or a write that takes longer than this is assumed to have been killed.
pub(super) const UNFINISHED_LIFETIME: Duration = Duration::from_secs(3600);

pub(super) fn failed(doing: &'static str, path: &Path, source: io::Error) -> Error {
    Error::Cache {
        doing,
        path: path.to_owned(),
        source,
    }
}

/// The outcome of requesting a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Locked {
    Held,
    /// Another process holds it.
    Taken,
    /// The file system has no locks, as some network file systems. The cache still works, but
    /// nothing in it is removed automatically.
    Unsupported,
}

/// How long a shared lock is waited for. A process that removes an entry holds its lock only for one
/// rename; but everybody who may read the file may lock it, and keep the lock.
const SHARED_WAIT: Duration = Duration::from_secs(2);

/// Requests a lock. A shared lock is waited for, within a bound.
pub(super) fn try_flock(file: &fs::File, operation: FlockOperation) -> Locked {
    let waits = matches!(operation, FlockOperation::LockShared);
    let operation = if waits {
        FlockOperation::NonBlockingLockShared
    } else {
        operation
    };
    let until = Instant::now() + SHARED_WAIT;
    loop {
        let tried = try_once(file, operation);
        if !waits || tried != Locked::Taken || Instant::now() >= until {
            return tried;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn try_once(file: &fs::File, operation: FlockOperation) -> Locked {
    match rustix::io::retry_on_intr(|| lock(file, operation)) {
        Ok(()) => Locked::Held,
        Err(rustix::io::Errno::WOULDBLOCK) => Locked::Taken,
        Err(error) => {
            tracing::debug!(%error, "this file system has no locks");
            Locked::Unsupported
        }
    }
}

/// Describes the process that holds a lock on a file, if the system tells it.
pub(super) fn lock_holder(file: &fs::File) -> Option<String> {
    let found = file.metadata().ok()?;
    let device = (rustix::fs::major(found.dev()), rustix::fs::minor(found.dev()));
    let locks = fs::read_to_string("/proc/locks").ok()?;
    let pid = flock::holder(&locks, device, found.ino())?;
    let stat = fs::read(format!("/proc/{pid}/stat")).unwrap_or_default();
    Some(flock::describe(pid, &String::from_utf8_lossy(&stat)))
}

/// Returns whether an open file is still the one at the path.
pub(super) fn is_same_file(file: &fs::File, path: &Path) -> bool {
    let now = fs::metadata(path);
    now.is_ok_and(|now| {
        file.metadata()
            .is_ok_and(|ours| (ours.dev(), ours.ino()) == (now.dev(), now.ino()))
    })
}

/// Creates a directory with a random name whose permissions depend on the umask alone, as those of
/// all other directories. (tempfile's default is private to the user; then a CI job could not save
/// a cache that a container wrote as root.)
pub(super) fn random_directory(parent: &Path, prefix: &str) -> io::Result<tempfile::TempDir> {
    tempfile::Builder::new()
        .prefix(prefix)
        .permissions(fs::Permissions::from_mode(0o777))
        .tempdir_in(parent)
}

/// Writes a temporary file and renames it over `path`. Its permissions depend on the umask alone,
/// as in [`random_directory`].
pub(super) fn write_aside(path: &Path, text: &str) -> io::Result<()> {
    let parent = path.parent().unwrap_or(Path::new("/"));
    // The file is opened here because tempfile's own error carries no errno, which tells a lack of
    // file descriptors from a cache that cannot be written.
    let open = |path: &Path| {
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true).mode(0o666).open(path)
    };
    let mut file = tempfile::Builder::new().prefix(ASIDE).make_in(parent, open)?;
    file.as_file_mut().write_all(text.as_bytes())?;
    file.persist(path)?;
    Ok(())
}

/// Returns whether the last change of a path is longer ago than `lifetime`, or as far in the future: a
/// clock was wrong, and the path would never become old.
pub(super) fn is_older(path: &Path, lifetime: Duration) -> bool {
    let modified = fs::symlink_metadata(path).and_then(|found| found.modified());
    modified.is_ok_and(|modified| unused_for(modified) > lifetime)
}

/// Returns the time since a moment. A moment that is more than an hour in the future counts as the
/// beginning of time.
pub(super) fn unused_for(moment: SystemTime) -> Duration {
    const TOLERANCE: Duration = Duration::from_secs(3600);
    match moment.elapsed() {
        Ok(age) => age,
        Err(ahead) if ahead.duration() > TOLERANCE => Duration::MAX,
        Err(_) => Duration::ZERO,
    }
}

/// Removes a directory with everything in it, while other processes may do the same.
pub(super) fn remove_all(dir: &Path) -> io::Result<()> {
    const ATTEMPTS: u32 = 5;
    let mut removed = Ok(());
    for _ in 0..ATTEMPTS {
        removed = fs::remove_dir_all(dir);
        match &removed {
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::DirectoryNotEmpty
                ) && fs::symlink_metadata(dir).is_ok() => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            _ => return removed,
        }
    }
    removed
}

/// Returns an error if one of these files is gone.
pub(crate) fn check_present(files: &[PathBuf]) -> Result<(), Error> {
    let check = |path: &PathBuf| fs::metadata(path).map_err(|error| failed("read", path, error));
    files.iter().try_for_each(|path| check(path).map(drop))
}

/// Returns whether the disk, or the user's share of it, is full.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

pub(super) fn open_lock(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        // Neither through a link nor waiting at a fifo.
        .custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed())
        .open(path)
}
