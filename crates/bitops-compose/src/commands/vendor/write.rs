//! Writes files aside, then moves them into place: a whole directory at once where there is none
//! yet.

use std::{
    fs, io,
    io::Write as _,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use compose_model::{Background, Cancel, Diagnostic, ExitCode, Failure, FileMode, TreePath};
use compose_plan::layer::ContentsError;
use compose_sources::local_file;
use tempfile::TempPath;

use super::Entry;

/// What was written, and what was there already.
pub(super) struct Written {
    pub(super) written: Vec<TreePath>,
    /// Files that already had the same bytes.
    pub(super) unchanged: Vec<TreePath>,
}

type Read<'a> = &'a dyn Fn(&Entry) -> Result<(Arc<[u8]>, FileMode), ContentsError>;

/// Writes all entries below `output`.
///
/// Unless `force` is set, a file with other bytes in any of their places is an error, and nothing
/// is written. What can never be written over is an error in any case.
pub(super) fn all(
    output: &Path,
    entries: &[Entry],
    read: Read<'_>,
    force: bool,
    cancel: &Cancel,
) -> Result<Written, Failure> {
    let is_new = fs::symlink_metadata(output).is_err();
    let mut written = Written {
        written: Vec::new(),
        unchanged: Vec::new(),
    };
    let mut wanted = Vec::new();
    let (mut there, mut blocked) = (Vec::new(), Vec::new());
    for entry in entries {
        check(cancel)?;
        let place = match is_new {
            true => Place::Free,
            false => look(output, entry, read)?,
        };
        match place {
            Place::Same => {
                written.unchanged.push(entry.path.clone());
                continue;
            }
            Place::Taken => there.push(output.join(entry.path.as_str())),
            Place::Blocked(by) => blocked.push(by),
            Place::Free => {}
        }
        wanted.push(entry);
    }
    blocked.dedup();
    if !blocked.is_empty() || !(force || there.is_empty()) {
        return Err(in_the_way(output, &blocked, if force { &[] } else { &there }));
    }
    let beside = if is_new {
        match output.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        }
    } else {
        output
    };
    fs::create_dir_all(beside).map_err(cannot("create", beside))?;
    let aside = tempfile::Builder::new()
        .prefix(".bitops-compose-")
        .tempdir_in(beside)
        .map_err(cannot("write to", beside))?;
    let tree = aside.path().join("tree");
    fs::create_dir(&tree).map_err(cannot("create", &tree))?;
    for entry in &wanted {
        check(cancel)?;
        let (bytes, mode) = read(entry)?;
        write(&tree.join(entry.path.as_str()), &bytes, mode)?;
    }
    if is_new {
        fs::rename(&tree, output).map_err(cannot("create", output))?;
    } else {
        for entry in &wanted {
            let (from, to) = (tree.join(entry.path.as_str()), output.join(entry.path.as_str()));
            move_to(from, &to, force)?;
        }
    }
    written.written = wanted.into_iter().map(|entry| entry.path.clone()).collect();
    Ok(written)
}

/// What is in the place of a file to write.
enum Place {
    Free,
    /// A file with the same bytes and mode.
    Same,
    /// Another file, or a symlink.
    Taken,
    /// Something that is never written over or through.
    Blocked(PathBuf),
}

fn look(output: &Path, entry: &Entry, read: Read<'_>) -> Result<Place, Failure> {
    let target = output.join(entry.path.as_str());
    if fs::metadata(&target).is_ok_and(|meta| meta.is_file()) {
        let (bytes, mode) = read(entry)?;
        let meta = fs::metadata(&target).map_err(cannot("read", &target))?;
        let executable = meta.permissions().mode() & 0o100 != 0;
        if executable == (mode == FileMode::Executable)
            && meta.len() == bytes.len() as u64
            && local_file::read(&target, meta.len()).map_err(cannot("read", &target))? == *bytes
        {
            return Ok(Place::Same);
        }
    }
    let ancestors: Vec<TreePath> = entry.path.ancestors().collect();
    for dir in ancestors.into_iter().rev() {
        let dir = output.join(dir.as_str());
        match fs::symlink_metadata(&dir) {
            Ok(meta) if meta.is_dir() => {}
            Ok(_) => return Ok(Place::Blocked(dir)),
            Err(_) => return Ok(Place::Free),
        }
    }
    Ok(match fs::symlink_metadata(&target) {
        Ok(meta) if meta.is_dir() => Place::Blocked(target),
        Ok(_) => Place::Taken,
        Err(_) => Place::Free,
    })
}

fn write(path: &Path, bytes: &[u8], mode: FileMode) -> Result<(), Failure> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir).map_err(cannot("create", dir))?;
    }
    // The umask clears its bits, as in a checkout.
    fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode.bits())
        .open(path)
        .and_then(|mut file| file.write_all(bytes))
        .map_err(cannot("write", path))
}

/// Moves a file into place. Without `force`, a file that has appeared in the meantime stays.
fn move_to(from: PathBuf, to: &Path, force: bool) -> Result<(), Failure> {
    if let Some(dir) = to.parent() {
        fs::create_dir_all(dir).map_err(cannot("create", dir))?;
    }
    if force {
        return fs::rename(&from, to).map_err(cannot("write", to));
    }
    TempPath::try_from_path(from)
        .and_then(|from| from.persist_noclobber(to).map_err(|error| error.error))
        .map_err(cannot("write", to))
}

fn in_the_way(output: &Path, blocked: &[PathBuf], there: &[PathBuf]) -> Failure {
    let mut problems = Vec::new();
    let list = |mut problem: Diagnostic, paths: &[PathBuf]| {
        problem.background =
            Background::InTheWay(paths.iter().map(|path| path.display().to_string()).collect());
        problem
    };
    if !blocked.is_empty() {
        let problem = Diagnostic::new(
            ExitCode::CannotWrite,
            format!(
                "{}: a directory is needed where there is none, or the other way round; nothing was written",
                output.display()
            ),
        )
        .hint("nothing is written through a symlink, or in place of a directory: move these away, or name another --output");
        problems.push(list(problem, blocked));
    }
    if !there.is_empty() {
        let count = match there.len() {
            1 => "1 file is".to_owned(),
            many => format!("{many} files are"),
        };
        let problem = Diagnostic::new(
            ExitCode::CannotWrite,
            format!(
                "{count} in {} already, with other contents; nothing was written",
                output.display()
            ),
        )
        .hint("name another --output, or use --force to write over them");
        problems.push(list(problem, there));
    }
    problems.into()
}

fn check(cancel: &Cancel) -> Result<(), Failure> {
    Ok(cancel.check()?)
}

fn cannot(act: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Failure {
    let path = path.to_owned();
    move |error| {
        Diagnostic::new(ExitCode::CannotWrite, format!("cannot {act} {}", path.display()))
            .because(error)
            .hint("name another directory with --output")
            .into()
    }
}
