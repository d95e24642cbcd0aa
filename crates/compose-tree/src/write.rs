//! Writes many new files into a directory that no other process can reach yet.
//!
//! Creating a file costs the kernel much more than filling it, so several threads work in parallel,
//! each on the files of one directory: a file is created by its name alone in a directory that is
//! already open. Directories are opened component by component and links are never followed,
//! although there can be none: an incomplete composition is accessible to this user alone.

use std::{
    fs::{File, Permissions},
    io::{self, Write as _},
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::fs::PermissionsExt as _,
    },
    path::Path,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
};

use compose_model::{FileMode, TreePath};
use rustix::fs::{Mode, OFlags};

use crate::{Action, Error};

/// The most files of one directory that a thread writes at a time. Two threads in one directory
/// wait for each other, so only a very large one is divided.
const BATCH_SIZE: usize = 256;
/// The files that justify another thread.
const FILES_PER_THREAD: usize = 256;
/// More threads than this would wait for each other in the kernel. Each holds two files open.
const MOST_THREADS: usize = 4;

/// A file to write: its path relative to the operations repo's root and its mode. If the user has a
/// file there, the new one gets that file's mode.
pub type NewFile<'a> = (&'a TreePath, FileMode);

/// A directory of the tree with the indices of its files.
pub(crate) type DirFiles<'a> = (&'a Path, &'a [usize]);

/// Receives a file's bytes.
pub type Put<'a> = dyn FnMut(&[u8]) -> Result<(), Error> + 'a;

/// Some files of one directory, by their indices.
struct Batch<'a> {
    dir: &'a Path,
    files: &'a [usize],
}

/// Writes `files`, each with its mode, below `tree` (its open directory and its path), whose
/// subdirectories exist already. `content` is called with the index of each file, from several
/// threads; one of them calls `beside` first. If several files fail, the error of the lowest index
/// is returned; an error of `beside` is returned only if no file failed.
pub(crate) fn write<E: From<Error> + Send>(
    tree: (&OwnedFd, &Path),
    files: &[(&str, u32)],
    dirs: &[DirFiles<'_>],
    content: impl Fn(usize, &mut Put<'_>) -> Result<(), E> + Sync,
    beside: impl FnOnce() -> Result<(), E> + Send,
) -> Result<(), E> {
    let batches: Vec<Batch<'_>> = dirs
        .iter()
        .flat_map(|(dir, files)| files.chunks(BATCH_SIZE).map(|files| Batch { dir, files }))
        .collect();
    let next = AtomicUsize::new(0);
    let failed: Mutex<Option<(usize, E)>> = Mutex::new(None);
    let lock = || failed.lock().unwrap_or_else(PoisonError::into_inner);
    let work = || {
        let mut modes = ModeCheck::default();
        while let Some(batch) = batches.get(next.fetch_add(1, Relaxed)) {
            let done = write_batch(tree, batch, files, &mut modes, &content);
            let mut failed = lock();
            if let Err((index, error)) = done
                && failed.as_ref().is_none_or(|(first, _)| index < *first)
            {
                *failed = Some((index, error));
            }
            if failed.is_some() {
                return;
            }
        }
    };
    let threads = thread::available_parallelism()
        .map_or(1, usize::from)
        .min(MOST_THREADS)
        .min(files.len() / FILES_PER_THREAD);
    let done = thread::scope(|scope| {
        for _ in 1..threads {
            // If no thread can be started, this one does the work alone.
            if thread::Builder::new().spawn_scoped(scope, work).is_err() {
                break;
            }
        }
        let done = beside();
        work();
        done
    });
    failed
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner)
        .map_or(done, |(_, error)| Err(error))
}

fn write_batch<E: From<Error>>(
    (root, tree): (&OwnedFd, &Path),
    batch: &Batch<'_>,
    files: &[(&str, u32)],
    modes: &mut ModeCheck,
    content: &impl Fn(usize, &mut Put<'_>) -> Result<(), E>,
) -> Result<(), (usize, E)> {
    let Some(first) = batch.files.first() else {
        return Ok(());
    };
    let opened = open_below(root, batch.dir).map_err(Error::io(Action::Open, tree.join(batch.dir)));
    let opened = opened.map_err(|error| (*first, error.into()))?;
    let dir = opened.as_ref().unwrap_or(root);
    for index in batch.files {
        let (name, mode) = files[*index];
        let mut put = |bytes: &[u8]| {
            write_file(dir.as_fd(), name, mode, bytes, modes)
                .map_err(Error::io(Action::Write, tree.join(batch.dir).join(name)))
        };
        content(*index, &mut put).map_err(|error| (*index, error))?;
    }
    Ok(())
}

fn write_file(
    dir: BorrowedFd<'_>,
    name: &str,
    mode: u32,
    bytes: &[u8],
    modes: &mut ModeCheck,
) -> io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut file = File::from(rustix::fs::openat(dir, name, flags, Mode::from(mode))?);
    file.write_all(bytes)?;
    modes.correct(&file, mode)
}

/// Checks whether new files have the mode that they were created with. The umask removes bits, and
/// a default ACL of the home may add some. All directories of a composition inherit the same ACL,
/// so it is enough to check the first file of each usual mode.
#[derive(Default)]
struct ModeCheck([Option<bool>; 2]);

impl ModeCheck {
    fn correct(&mut self, file: &File, mode: u32) -> io::Result<()> {
        let usual = [FileMode::Regular, FileMode::Executable];
        let slot = usual.iter().position(|usual| usual.bits() == mode);
        let right = match slot.map(|slot| &mut self.0[slot]) {
            Some(Some(right)) => *right,
            Some(unknown) => *unknown.insert(file.metadata()?.permissions().mode() & 0o7777 == mode),
            None => false,
        };
        if right {
            return Ok(());
        }
        file.set_permissions(Permissions::from_mode(mode))
    }
}

/// Creates one directory below `root`, in a directory that exists.
pub(crate) fn make_dir(root: &OwnedFd, dir: &Path) -> io::Result<()> {
    let above = open_below(root, dir.parent().unwrap_or(Path::new("")))?;
    let above = above.as_ref().unwrap_or(root);
    let name = dir.file_name().unwrap_or_default();
    Ok(rustix::fs::mkdirat(above, name, Mode::from(0o777))?)
}

/// Opens a directory below `root` without following links. Returns `None` for `root` itself.
pub(crate) fn open_below(root: &OwnedFd, dir: &Path) -> io::Result<Option<OwnedFd>> {
    let mut opened: Option<OwnedFd> = None;
    for name in dir {
        let above = opened.as_ref().unwrap_or(root);
        opened = Some(open(above, Path::new(name))?);
    }
    Ok(opened)
}

/// Opens a directory without following a link.
pub(crate) fn open(parent: impl AsFd, dir: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(parent, dir, flags, Mode::empty())?)
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    fn write_all(
        tree: &Path,
        files: &[&str],
        dirs: &[(&str, Vec<usize>)],
        content: impl Fn(usize, &mut Put<'_>) -> Result<(), Error> + Sync,
        beside: impl FnOnce() -> Result<(), Error> + Send,
    ) -> Result<(), Error> {
        let root = open(rustix::fs::CWD, tree).unwrap();
        let files: Vec<_> = files.iter().map(|name| (*name, 0o644)).collect();
        let dirs: Vec<_> = dirs
            .iter()
            .map(|(dir, files)| (Path::new(dir), files.as_slice()))
            .collect();
        write((&root, tree), &files, &dirs, content, beside)
    }

    #[test]
    fn a_failure_beside_the_files_is_returned() {
        let tree = tempfile::tempdir().unwrap();
        let failed = write_all(
            tree.path(),
            &[],
            &[],
            |_, put| put(b""),
            || Err(Error::io(Action::Read, "x")(io::ErrorKind::NotFound.into())),
        );
        assert!(failed.is_err());
    }

    #[test]
    fn many_files_are_written_in_parallel_with_their_own_bytes() {
        let tree = tempfile::tempdir().unwrap();
        let paths: Vec<String> = (0..2000).map(|n| n.to_string()).collect();
        let files: Vec<&str> = paths.iter().map(String::as_str).collect();
        let names: Vec<String> = (0..7).map(|n| format!("d{n}")).collect();
        let dirs: Vec<(&str, Vec<usize>)> = names
            .iter()
            .enumerate()
            .map(|(n, name)| {
                fs::create_dir(tree.path().join(name)).unwrap();
                (name.as_str(), (n..2000).step_by(7).collect())
            })
            .collect();
        let mut beside = false;
        write_all(
            tree.path(),
            &files,
            &dirs,
            |index, put| put(index.to_string().as_bytes()),
            || {
                beside = true;
                Ok(())
            },
        )
        .unwrap();
        assert!(beside);
        for (index, path) in paths.iter().enumerate() {
            let text = fs::read_to_string(tree.path().join(format!("d{}/{path}", index % 7))).unwrap();
            assert_eq!(text, *path);
        }
    }

    #[test]
    fn the_first_failure_is_returned() {
        let tree = tempfile::tempdir().unwrap();
        let paths: Vec<String> = (0..1000).map(|n| format!("f{n}")).collect();
        let files: Vec<&str> = paths.iter().map(String::as_str).collect();
        let dirs = [("", (0..1000).collect::<Vec<_>>())];
        // The path of the last file of the first batch is taken.
        fs::write(tree.path().join(format!("f{}", BATCH_SIZE - 1)), "").unwrap();
        let not_found = || Error::io(Action::Read, "last")(io::ErrorKind::NotFound.into());
        let content =
            |index: usize, put: &mut Put<'_>| if index == 999 { Err(not_found()) } else { put(b"") };
        let failed = write_all(tree.path(), &files, &dirs, content, || Err(not_found()));
        let message = failed.unwrap_err().to_string();
        assert_eq!(
            message,
            format!(
                "cannot write {}",
                tree.path().join(format!("f{}", BATCH_SIZE - 1)).display()
            )
        );
    }

    #[test]
    fn links_are_not_followed() {
        let outside = tempfile::tempdir().unwrap();
        let tree = tempfile::tempdir().unwrap();
        fs::create_dir(tree.path().join("real")).unwrap();
        symlink(outside.path(), tree.path().join("link")).unwrap();
        symlink(outside.path(), tree.path().join("real/link")).unwrap();
        symlink(outside.path().join("new"), tree.path().join("real/file")).unwrap();
        for (dir, name) in [("link", "x"), ("real/link", "x"), ("real", "file")] {
            let done = write_all(
                tree.path(),
                &[name],
                &[(dir, vec![0])],
                |_, put| put(b"escaped"),
                || Ok(()),
            );
            assert!(done.is_err(), "{dir}/{name}");
        }
        let root = open(rustix::fs::CWD, tree.path()).unwrap();
        assert!(make_dir(&root, Path::new("link/sub")).is_err());
        assert!(open(rustix::fs::CWD, &tree.path().join("link")).is_err());
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
    }

    #[test]
    fn modes_that_the_umask_changed_are_corrected() {
        let dir = tempfile::tempdir().unwrap();
        let file = fs::File::create(dir.path().join("x")).unwrap();
        let mode = |file: &File| file.metadata().unwrap().permissions().mode() & 0o7777;
        let mut modes = ModeCheck::default();
        for taken in [0o600, 0o755, 0o666] {
            // The result of the first file applies to all others of its mode.
            file.set_permissions(Permissions::from_mode(taken)).unwrap();
            modes.correct(&file, 0o644).unwrap();
            assert_eq!(mode(&file), 0o644);
        }
        let mut modes = ModeCheck::default();
        modes.correct(&file, 0o644).unwrap();
        modes.correct(&file, 0o755).unwrap();
        assert_eq!(mode(&file), 0o755, "each mode is looked at for itself");
        modes.correct(&file, 0o640).unwrap();
        assert_eq!(mode(&file), 0o640, "an unusual one is always set");
    }
}
