//! Whether the files of the cache are this user's.
//!
//! The cache's directory may be open to everybody (mode 1777, as the image's is), and its content may
//! come from anywhere. A link in it must not lead a run of root elsewhere, a fifo must not block it,
//! and the refs that another user wrote must not decide what it deploys offline. Everything below
//! that directory is therefore opened from the handle of its parent without following links, and
//! must be of the right type and belong to this user or root.
//!
//! Once checked, an entry's files are opened by their path. Where everybody may rename what is on
//! the way, they could be replaced after the check. That is so below a directory that everybody can
//! write to and that is not sticky: a run reaches the cache there by a handle ([`Pinned`]) if it is
//! this user's own, and uses no cache otherwise.
//!
//! A cache's directory that only its owner can write to vouches for its owner, too: a CI restores a
//! cache as its own user, and mounts it into a container of root.

use std::{
    ffi::OsStr,
    fmt, io,
    os::{
        fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, Dir, FileType, Mode, OFlags, fchmod, fstat, mkdirat, open, openat, statat, unlinkat},
    io::Errno,
};

use super::files::LAYOUT;

/// The files of an entry.
const ENTRY_FILES: [&str; 4] = ["in-use", "lock", "refs", "url"];
/// How a directory is opened.
const DIRECTORY: OFlags = OFlags::DIRECTORY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC)
    .union(OFlags::NONBLOCK);

/// Something in the cache that is not used, and why.
#[derive(Debug)]
pub(super) struct Foreign {
    path: PathBuf,
    why: String,
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.path.display(), self.why)
    }
}

impl std::error::Error for Foreign {}

/// Returns what is foreign, if that is why an entry was not opened.
pub(super) fn foreign(error: &io::Error) -> Option<&Foreign> {
    error.get_ref()?.downcast_ref()
}

/// Returns the error for a file that another process keeps locked.
pub(super) fn locked(path: &Path, holder: Option<String>) -> io::Error {
    let holder = holder.unwrap_or_else(|| "another process".to_owned());
    refuse(path, format!("is kept locked by {holder}"))
}

/// The owners whose files are used.
struct Owners([u32; 3]);

impl Owners {
    fn of(base: BorrowedFd<'_>) -> io::Result<Self> {
        let own = rustix::process::geteuid().as_raw();
        let found = fstat(base)?;
        let is_closed = !writable_by_all(found.st_mode);
        Ok(Self([own, 0, if is_closed { found.st_uid } else { own }]))
    }

    fn check(&self, uid: u32, path: &Path) -> io::Result<()> {
        if self.0.contains(&uid) {
            return Ok(());
        }
        Err(refuse(path, format!("belongs to another user (uid {uid})")))
    }
}

fn writable_by_all(mode: rustix::fs::RawMode) -> bool {
    mode & 0o002 != 0
}

fn refuse(path: &Path, why: impl Into<String>) -> io::Error {
    let foreign = Foreign {
        path: path.to_owned(),
        why: why.into(),
    };
    io::Error::new(io::ErrorKind::PermissionDenied, foreign)
}

/// What the check of an entry found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Checked {
    /// It can be used.
    Usable,
    /// There is a directory in place of a file: see [`heal_entry`].
    Misplaced,
}

/// Checks an entry with all that is in it. With `create`, missing directories are made. Returns
/// [`io::ErrorKind::NotFound`] if one is missing.
pub(super) fn check_entry(base: &Path, dir: &Path, create: bool) -> io::Result<Checked> {
    if create {
        std::fs::create_dir_all(base)?;
    }
    let (base_handle, owners) = open_base(base)?;
    let layout_path = base.join(LAYOUT);
    let layout = directory(
        base_handle.as_fd(),
        LAYOUT.as_ref(),
        &layout_path,
        &owners,
        create,
    )?;
    let name = dir.file_name().map_or(dir, Path::new);
    let entry = directory(layout.as_fd(), name, dir, &owners, create)?;
    let mut checked = Checked::Usable;
    for file in ENTRY_FILES {
        check_file(
            entry.as_fd(),
            file.as_ref(),
            &dir.join(file),
            &owners,
            &mut checked,
        )?;
    }
    let incoming = dir.join("incoming");
    directory(entry.as_fd(), "incoming".as_ref(), &incoming, &owners, create)?;
    let objects_path = dir.join("objects");
    let objects = directory(entry.as_fd(), "objects".as_ref(), &objects_path, &owners, create)?;
    for (name, create) in [("pack", create), ("info", false)] {
        let path = objects_path.join(name);
        let opened = directory(objects.as_fd(), name.as_ref(), &path, &owners, create);
        let below = match opened {
            Err(error) if name == "info" && error.kind() == io::ErrorKind::NotFound => continue,
            opened => opened?,
        };
        for name in names_in(&below)? {
            check_file(below.as_fd(), &name, &path.join(&name), &owners, &mut checked)?;
        }
    }
    Ok(checked)
}

/// Removes directories in place of files of an entry, and files in place of its directories: such an
/// entry could never be used again. Only this user's own are removed, in directories that pass the
/// check. Returns whether any was removed.
pub(super) fn heal_entry(base: &Path, dir: &Path) -> io::Result<bool> {
    let (base_handle, owners) = open_base(base)?;
    let layout_path = base.join(LAYOUT);
    let layout = directory(base_handle.as_fd(), LAYOUT.as_ref(), &layout_path, &owners, false)?;
    let name = dir.file_name().map_or(dir, Path::new);
    let mut healed = heal(layout.as_fd(), name, FileType::Directory);
    let entry = directory(layout.as_fd(), name, dir, &owners, false)?;
    for name in ENTRY_FILES {
        healed |= heal(entry.as_fd(), name.as_ref(), FileType::RegularFile);
    }
    let mut parent = entry;
    let mut path = dir.to_owned();
    for (name, beside) in [("objects", "incoming"), ("pack", "info")] {
        healed |= heal(parent.as_fd(), beside.as_ref(), FileType::Directory);
        healed |= heal(parent.as_fd(), name.as_ref(), FileType::Directory);
        path.push(name);
        parent = match directory(parent.as_fd(), name.as_ref(), &path, &owners, false) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(healed),
            opened => opened?,
        };
    }
    for name in names_in(&parent)? {
        healed |= heal(parent.as_fd(), &name, FileType::RegularFile);
    }
    Ok(healed)
}

/// Removes what is in a place if it is this user's and a file in place of a directory or the other
/// way around, and returns whether it did.
fn heal(parent: BorrowedFd<'_>, name: &Path, wanted: FileType) -> bool {
    let Ok(found) = statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) else {
        return false;
    };
    let kind = FileType::from_raw_mode(found.st_mode);
    if found.st_uid != rustix::process::geteuid().as_raw() || kind == wanted {
        return false;
    }
    match kind {
        FileType::Directory => remove_directory(parent, name, 0).is_ok(),
        FileType::RegularFile => unlinkat(parent, name, AtFlags::empty()).is_ok(),
        _ => false,
    }
}

/// Removes a directory with everything in it, without following a link.
fn remove_directory(parent: BorrowedFd<'_>, name: &Path, depth: u32) -> io::Result<()> {
    /// Deeper than anything that this program writes.
    const DEEPEST: u32 = 32;
    let dir = openat(parent, name, DIRECTORY, Mode::empty())?;
    for name in names_in(&dir)? {
        let found = statat(&dir, &name, AtFlags::SYMLINK_NOFOLLOW)?;
        if FileType::from_raw_mode(found.st_mode) != FileType::Directory {
            unlinkat(&dir, &name, AtFlags::empty())?;
        } else if depth < DEEPEST {
            remove_directory(dir.as_fd(), &name, depth + 1)?;
        }
    }
    Ok(unlinkat(parent, name, AtFlags::REMOVEDIR)?)
}

/// Returns whether a path is a directory of this user, and not a link to one.
pub(super) fn is_own_directory(path: &Path) -> bool {
    let is_handle = path.parent() == Some(Path::new(HANDLES));
    let flags = if is_handle {
        AtFlags::empty()
    } else {
        AtFlags::SYMLINK_NOFOLLOW
    };
    let found = statat(rustix::fs::CWD, path, flags);
    found.is_ok_and(|found| {
        FileType::from_raw_mode(found.st_mode) == FileType::Directory
            && found.st_uid == rustix::process::geteuid().as_raw()
    })
}

/// Checks the cache's own directory.
pub(super) fn check_base(base: &Path) -> io::Result<()> {
    open_base(base).map(drop)
}

/// Checks the directory of all entries.
pub(super) fn check_layout(base: &Path) -> io::Result<()> {
    let (handle, owners) = open_base(base)?;
    directory(
        handle.as_fd(),
        LAYOUT.as_ref(),
        &base.join(LAYOUT),
        &owners,
        false,
    )
    .map(drop)
}

/// Returns the names in a directory.
fn names_in(dir: &OwnedFd) -> io::Result<Vec<PathBuf>> {
    let mut names = Vec::new();
    for found in Dir::read_from(dir)? {
        let found = found?;
        let name = found.file_name().to_bytes();
        if name != b"." && name != b".." {
            let name: &OsStr = OsStrExt::from_bytes(name);
            names.push(name.into());
        }
    }
    Ok(names)
}

fn open_base(base: &Path) -> io::Result<(OwnedFd, Owners)> {
    // The user names this directory: it may be a link.
    let handle = open(base, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let found = fstat(&handle)?;
    if lets_all_rename(found.st_mode) {
        // A volume may come with such a mode. Its owner can mend it; others can still use it.
        let kept = (found.st_uid == rustix::process::geteuid().as_raw())
            .then(|| fchmod(&handle, Mode::from_raw_mode(found.st_mode & 0o7777 | STICKY)));
        if !matches!(kept, Some(Ok(()))) {
            return Err(replaceable(base));
        }
    }
    check_above(base)?;
    let owners = Owners::of(handle.as_fd())?;
    Ok((handle, owners))
}

/// The directory of this process's open handles.
pub(super) const HANDLES: &str = "/proc/self/fd";
/// The bit that keeps other users from renaming what is in a directory.
const STICKY: rustix::fs::RawMode = 0o1000;

fn lets_all_rename(mode: rustix::fs::RawMode) -> bool {
    writable_by_all(mode) && mode & STICKY == 0
}

/// Checks the directories above the cache's, as it was named and as links lead to it.
pub(super) fn check_above(base: &Path) -> io::Result<()> {
    if base.starts_with(HANDLES) {
        // Whatever is renamed, a handle leads to the same directory.
        return Ok(());
    }
    let real = std::fs::canonicalize(base)?;
    let named = std::path::absolute(base)?;
    for dir in named.ancestors().skip(1).chain(real.ancestors().skip(1)) {
        if lets_all_rename(statat(rustix::fs::CWD, dir, AtFlags::empty())?.st_mode) {
            return Err(replaceable(dir));
        }
    }
    Ok(())
}

/// A directory of this user that is reached by its handle. GitLab's runner makes every checkout
/// below directories that everybody can write to, and keeps caches only in there.
#[derive(Debug)]
pub(crate) struct Pinned {
    _handle: OwnedFd,
    path: PathBuf,
}

impl Pinned {
    /// Pins the cache's directory, and makes it if it is missing. Returns `None` where its path can be
    /// trusted, and where the directory is not this user's own.
    pub(crate) fn of(base: &Path) -> Option<Self> {
        std::fs::create_dir_all(base).ok()?;
        if check_above(base).is_ok() {
            return None;
        }
        let handle = open(base, DIRECTORY, Mode::empty()).ok()?;
        let found = fstat(&handle).ok()?;
        let path = Path::new(HANDLES).join(handle.as_raw_fd().to_string());
        (found.st_uid == rustix::process::geteuid().as_raw() && path.exists()).then_some(Self {
            _handle: handle,
            path,
        })
    }

    /// Returns the path that leads to the directory whatever is renamed.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

fn replaceable(dir: &Path) -> io::Error {
    refuse(
        dir,
        "lets every user replace what is in it: it is writable by all, and not sticky (`chmod +t`)",
    )
}

/// Opens a directory and checks it. `path` is for messages.
fn directory(
    parent: BorrowedFd<'_>,
    name: &Path,
    path: &Path,
    owners: &Owners,
    create: bool,
) -> io::Result<OwnedFd> {
    let open = || openat(parent, name, DIRECTORY, Mode::empty());
    let opened = match open() {
        Err(Errno::NOENT) if create => {
            // Not open to everybody, whatever the umask says. Another process may be faster.
            match mkdirat(parent, name, Mode::from_raw_mode(0o775)) {
                Ok(()) | Err(Errno::EXIST) => open(),
                Err(error) => Err(error),
            }
        }
        opened => opened,
    };
    let handle = match opened {
        Err(Errno::LOOP | Errno::NOTDIR) => {
            return Err(refuse(path, "is not a directory, but a link or a file"));
        }
        opened => opened?,
    };
    let found = fstat(&handle)?;
    owners.check(found.st_uid, path)?;
    if writable_by_all(found.st_mode) {
        // An earlier version left it to the umask. What others put there is found by its owner.
        let closed = Mode::from_raw_mode(found.st_mode & 0o775);
        fchmod(&handle, closed).map_err(|_| refuse(path, "can be written to by everybody"))?;
    }
    Ok(handle)
}

/// Checks a file without opening it. It may be missing.
fn check_file(
    parent: BorrowedFd<'_>,
    name: &Path,
    path: &Path,
    owners: &Owners,
    checked: &mut Checked,
) -> io::Result<()> {
    let found = match statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => return Ok(()),
        found => found?,
    };
    let kind = FileType::from_raw_mode(found.st_mode);
    if kind == FileType::Directory {
        // It does no harm: it cannot be opened as a file.
        *checked = Checked::Misplaced;
    }
    if !matches!(kind, FileType::RegularFile | FileType::Directory) {
        return Err(refuse(path, "is a link, a fifo or a device"));
    }
    owners.check(found.st_uid, path)
}
