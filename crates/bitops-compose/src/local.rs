//! The user's operations repo, read where the composition looks at it.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use compose_model::{FileMode, TreePath, path::check_component};
use compose_plan::layer::{ContentsError, LocalKind, LocalTree};

use compose_sources::local_file;

use crate::{hidden::Hidden, job::Job, shown_path::shown_path};

/// An operations repo on disk. Its symlinks are followed: they are the user's own.
#[derive(Clone, Debug)]
pub(crate) struct DiskTree {
    root: PathBuf,
    /// The greatest file that is read, in bytes.
    most: u64,
    hidden: Arc<Hidden>,
}

impl DiskTree {
    /// Returns the operations repo of a job. The bound of a source's files holds for the user's, too.
    pub(crate) fn of(job: &Job) -> Self {
        Self {
            root: job.root.clone(),
            most: job.settings.budget.file_size,
            hidden: Arc::clone(&job.hidden),
        }
    }

    fn path_on_disk(&self, path: &TreePath) -> PathBuf {
        self.root.join(path.as_str())
    }
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> ContentsError {
    let what = shown_path(path).display().to_string();
    move |error| ContentsError::new(what, error)
}

fn kind_of(path: &Path) -> Result<Option<LocalKind>, ContentsError> {
    match fs::metadata(path) {
        Ok(meta) if meta.is_dir() => Ok(Some(LocalKind::Directory)),
        Ok(meta) if meta.is_file() => {
            let executable = meta.permissions().mode() & 0o100 != 0;
            Ok(Some(LocalKind::File(if executable {
                FileMode::Executable
            } else {
                FileMode::Regular
            })))
        }
        Ok(_) => Ok(Some(LocalKind::Other)),
        // A dangling or looping link counts as something; a missing entry, or one below a file, as
        // nothing.
        Err(_) if fs::symlink_metadata(path).is_ok() => Ok(Some(LocalKind::Other)),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(failed(path)(error)),
    }
}

impl LocalTree for DiskTree {
    fn kind(&self, path: &TreePath) -> Result<Option<LocalKind>, ContentsError> {
        if self.hidden.removed.contains(path) {
            return Ok(None);
        }
        let kind = kind_of(&self.path_on_disk(path))?;
        let is_written = || {
            self.hidden
                .written
                .as_ref()
                .is_some_and(|(written, _)| written == path)
        };
        Ok(kind.or_else(|| is_written().then_some(LocalKind::File(FileMode::Regular))))
    }

    fn list(&self, dir: Option<&TreePath>) -> Result<Vec<(String, LocalKind)>, ContentsError> {
        let parent = dir;
        let dir = dir.map_or_else(|| self.root.clone(), |dir| self.path_on_disk(dir));
        let entries = match fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                return Ok(Vec::new());
            }
            Err(error) => return Err(failed(&dir)(error)),
        };
        let mut all = Vec::new();
        for entry in entries {
            let entry = entry.map_err(failed(&dir))?;
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            if check_component(&name).is_err() {
                continue;
            }
            let path = match parent {
                Some(parent) => parent.child(&name),
                None => TreePath::new(&name),
            };
            if path.is_ok_and(|path| self.hidden.removed.contains(&path)) {
                continue;
            }
            // Nothing more needs to be known of a directory.
            let kind = match entry.file_type() {
                Ok(kind) if kind.is_dir() => Some(LocalKind::Directory),
                _ => kind_of(&entry.path())?,
            };
            if let Some(kind) = kind {
                all.push((name, kind));
            }
        }
        all.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(all)
    }

    fn read(&self, path: &TreePath) -> Result<Arc<[u8]>, ContentsError> {
        if let Some((_, bytes)) = self
            .hidden
            .written
            .as_ref()
            .filter(|(written, _)| written == path)
        {
            return Ok(Arc::clone(bytes));
        }
        let path = self.path_on_disk(path);
        local_file::read(&path, self.most)
            .map(Arc::from)
            .map_err(failed(&path))
    }
}
