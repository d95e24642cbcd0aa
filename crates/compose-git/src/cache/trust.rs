//! Whether the files of the cache are this user's.
//!
//! The cache's directory may be open to everybody (mode 1777, as the image's is), and its content may
//! come from anywhere. A link in it must not lead a run of root elsewhere, a fifo must not block it,
//! and the refs that another user wrote must not decide what it deploys offline. Everything below
//! that directory is therefore opened from the handle of its parent without following links, and
//! must be of the right type and belong to this user or root.
//!
//! A cache's directory that only its owner can write to vouches for its owner, too: a CI restores a
//! cache as its own user, and mounts it into a container of root.

use std::{
    ffi::OsStr,
    fmt, io,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, Dir, FileType, Mode, OFlags, fchmod, fstat, mkdirat, open, openat, statat},
    io::Errno,
};

use super::files::LAYOUT;

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

/// Checks an entry with all that is in it. With `create`, missing directories are made. Returns
/// [`io::ErrorKind::NotFound`] if one is missing.
pub(super) fn check_entry(base: &Path, dir: &Path, create: bool) -> io::Result<()> {
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
    for file in ["in-use", "lock", "refs", "url"] {
        check_file(entry.as_fd(), file.as_ref(), &dir.join(file), &owners)?;
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
        for found in Dir::read_from(&below)? {
            let found = found?;
            let name = found.file_name().to_bytes();
            if name != b"." && name != b".." {
                let name: &OsStr = OsStrExt::from_bytes(name);
                check_file(below.as_fd(), Path::new(name), &path.join(name), &owners)?;
            }
        }
    }
    Ok(())
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

fn open_base(base: &Path) -> io::Result<(OwnedFd, Owners)> {
    // The user names this directory: it may be a link.
    let handle = open(base, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let owners = Owners::of(handle.as_fd())?;
    Ok((handle, owners))
}

/// Opens a directory and checks it. `path` is for messages.
fn directory(
    parent: BorrowedFd<'_>,
    name: &Path,
    path: &Path,
    owners: &Owners,
    create: bool,
) -> io::Result<OwnedFd> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let open = || openat(parent, name, flags, Mode::empty());
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
fn check_file(parent: BorrowedFd<'_>, name: &Path, path: &Path, owners: &Owners) -> io::Result<()> {
    let found = match statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => return Ok(()),
        found => found?,
    };
    // A directory in place of a file does no harm: it cannot be opened as one.
    let kind = FileType::from_raw_mode(found.st_mode);
    if !matches!(kind, FileType::RegularFile | FileType::Directory) {
        return Err(refuse(path, "is a link, a fifo or a device"));
    }
    owners.check(found.st_uid, path)
}
