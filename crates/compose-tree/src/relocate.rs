//! Moves files that a pipeline wrote to another directory, which is usually on another file system.

use std::{
    fs::{self, File, FileTimes},
    io,
    os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink},
    path::Path,
};

use crate::{
    Action, Error,
    moment::{self, Moment},
};

/// Moves a file, link or directory with its content to `to`, whose parents are created. An existing
/// directory is merged with the one that is moved. An existing file is replaced, unless it changed
/// after `since` and is newer than the one that is moved.
///
/// After a failure, everything that was not moved is still at `from`.
pub(crate) fn relocate(from: &Path, to: &Path, since: Moment) -> Result<(), Error> {
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent).map_err(Error::io(Action::Create, parent))?;
    }
    let coming = fs::symlink_metadata(from).map_err(Error::io(Action::Read, from))?;
    if let Ok(there) = fs::symlink_metadata(to) {
        if coming.is_dir() && there.is_dir() {
            return merge(from, to, since);
        }
        let newer = moment::modified(&there) > moment::modified(&coming);
        if there.is_dir() || (moment::changed(&there) > since && newer) {
            return Err(Error::io(Action::Replace, to)(
                io::ErrorKind::AlreadyExists.into(),
            ));
        }
    }
    match fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {}
        done => return done.map_err(Error::io(Action::Write, to)),
    }
    copy(from, to, &coming)?;
    remove(from, &coming).map_err(Error::io(Action::Remove, from))
}

fn merge(from: &Path, to: &Path, since: Moment) -> Result<(), Error> {
    let mut failed = None;
    for entry in fs::read_dir(from).map_err(Error::io(Action::List, from))? {
        let name = entry.map_err(Error::io(Action::List, from))?.file_name();
        // A failure does not keep the other entries from being moved.
        if let Err(error) = relocate(&from.join(&name), &to.join(&name), since) {
            failed.get_or_insert(error);
        }
    }
    match failed {
        Some(error) => Err(error),
        None => fs::remove_dir(from).map_err(Error::io(Action::Remove, from)),
    }
}

/// Copies with modes, times and, where this user may set them, owners. A file appears at `to` only
/// when it is complete.
pub(crate) fn copy(from: &Path, to: &Path, meta: &fs::Metadata) -> Result<(), Error> {
    if meta.is_symlink() {
        let target = fs::read_link(from).map_err(Error::io(Action::Read, from))?;
        let aside = make_dir_beside(to)?;
        let path = aside.path().join("link");
        symlink(target, &path).map_err(Error::io(Action::Write, to))?;
        copy_owner(&path, meta);
        return fs::rename(&path, to).map_err(Error::io(Action::Write, to));
    }
    if meta.is_dir() {
        match fs::create_dir(to) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(Error::io(Action::Create, to)(error));
            }
            _ => {}
        }
        for entry in fs::read_dir(from).map_err(Error::io(Action::List, from))? {
            let entry = entry.map_err(Error::io(Action::List, from))?;
            let meta = entry.metadata().map_err(Error::io(Action::Read, entry.path()))?;
            copy(&entry.path(), &to.join(entry.file_name()), &meta)?;
        }
        copy_owner(to, meta);
        fs::set_permissions(to, fs::Permissions::from_mode(meta.mode() & 0o7777))
            .map_err(Error::io(Action::Write, to))?;
        return File::open(to)
            .and_then(|dir| dir.set_times(times(meta)?))
            .map_err(Error::io(Action::Write, to));
    }
    if !meta.is_file() {
        // It is a fifo, a socket or a device.
        return Err(Error::io(Action::CopySpecialFile, from)(
            io::ErrorKind::Unsupported.into(),
        ));
    }
    let aside = make_dir_beside(to)?;
    let path = aside.path().join("file");
    fs::copy(from, &path).map_err(Error::io(Action::Write, to))?;
    copy_owner(&path, meta);
    let finish = || {
        fs::set_permissions(&path, fs::Permissions::from_mode(meta.mode() & 0o7777))?;
        File::open(&path)?.set_times(times(meta)?)?;
        fs::rename(&path, to)
    };
    finish().map_err(Error::io(Action::Write, to))
}

/// Creates a temporary directory beside `to` in which a file is completed.
fn make_dir_beside(to: &Path) -> Result<tempfile::TempDir, Error> {
    let dir = to.parent().unwrap_or(Path::new("/"));
    tempfile::Builder::new()
        .prefix(".bitops-compose.")
        .tempdir_in(dir)
        .map_err(Error::io(Action::Write, to))
}

fn times(meta: &fs::Metadata) -> io::Result<FileTimes> {
    Ok(FileTimes::new()
        .set_modified(meta.modified()?)
        .set_accessed(meta.accessed()?))
}

/// Sets the owner, which only root may do.
fn copy_owner(path: &Path, meta: &fs::Metadata) {
    let done = if meta.is_symlink() {
        std::os::unix::fs::lchown(path, Some(meta.uid()), Some(meta.gid()))
    } else {
        chown(path, Some(meta.uid()), Some(meta.gid()))
    };
    if let Err(error) = done {
        tracing::debug!(path = %path.display(), %error, "the owner could not be kept");
    }
}

fn remove(path: &Path, meta: &fs::Metadata) -> io::Result<()> {
    if meta.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

    const LONG_AGO: Moment = (0, 0);
    const IN_FUTURE: Moment = (i64::MAX, 0);

    fn write(path: &Path, text: &str) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn directories_are_merged_and_files_are_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to/deep"));
        write(&from.join("a/new"), "new");
        write(&from.join("a/both"), "theirs");
        write(&to.join("a/both"), "mine");
        write(&to.join("a/mine"), "mine");
        relocate(&from, &to, IN_FUTURE).unwrap();
        let content_of = |name: &str| fs::read_to_string(to.join(name)).unwrap();
        assert_eq!(
            (content_of("a/new"), content_of("a/both"), content_of("a/mine")),
            ("new".into(), "theirs".into(), "mine".into())
        );
        assert!(!from.exists());
    }

    #[test]
    fn files_that_changed_later_in_the_users_repo_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        for name in ["a", "b", "c"] {
            write(&from.join(name), "theirs");
        }
        write(&to.join("b"), "mine");
        let older = SystemTime::now() - Duration::from_secs(60);
        let file = File::options().write(true).open(from.join("b")).unwrap();
        file.set_times(FileTimes::new().set_modified(older)).unwrap();
        let error = relocate(&from, &to, LONG_AGO).unwrap_err().to_string();
        assert!(error.starts_with("cannot replace"), "{error}");
        assert_eq!(fs::read_to_string(to.join("b")).unwrap(), "mine");
        assert_eq!(fs::read_to_string(from.join("b")).unwrap(), "theirs");
        assert!(to.join("a").exists() && to.join("c").exists());
        // A directory is not replaced by a file.
        fs::create_dir_all(to.join("dir")).unwrap();
        assert!(relocate(&from.join("b"), &to.join("dir"), IN_FUTURE).is_err());
    }

    #[test]
    fn a_copy_has_the_content_modes_and_times_of_the_original() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        write(&from.join("deep/run.sh"), "#!");
        fs::set_permissions(from.join("deep/run.sh"), fs::Permissions::from_mode(0o751)).unwrap();
        fs::set_permissions(from.join("deep"), fs::Permissions::from_mode(0o2770)).unwrap();
        symlink("deep/run.sh", from.join("link")).unwrap();
        copy(&from, &to, &fs::symlink_metadata(&from).unwrap()).unwrap();
        for path in ["", "deep", "deep/run.sh", "link"] {
            let look = |root: &Path| {
                let meta = fs::symlink_metadata(root.join(path)).unwrap();
                let time = (!meta.is_symlink()).then(|| meta.modified().unwrap());
                (meta.mode(), time)
            };
            assert_eq!(look(&from), look(&to), "{path}");
        }
        assert_eq!(fs::read_link(to.join("link")).unwrap(), Path::new("deep/run.sh"));
        let names = fs::read_dir(&to).unwrap().count();
        assert_eq!(names, 2, "nothing aside is left");
        let fifo = from.join("fifo");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &fifo,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::from(0o600),
            0,
        )
        .unwrap();
        let error = copy(&fifo, &to.join("fifo"), &fs::symlink_metadata(&fifo).unwrap()).unwrap_err();
        assert!(
            error.to_string().starts_with("cannot copy the special file"),
            "{error}"
        );
    }
}
