//! The environment's lock file on disk.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use compose_model::{Failure, TreePath, file_name};
use compose_plan::lock::Lock;

use crate::{
    local_file::{self, resolve_below},
    user_file, wording,
};

/// The greatest lock that is read, in bytes. The parser has a lower bound and a better message.
const MAX_SIZE: u64 = 16 << 20;

/// The lock file of an environment, whether or not it exists.
#[derive(Clone, Debug)]
pub struct LockFile {
    path: PathBuf,
    /// The operations repo's root.
    root: PathBuf,
    /// The name for messages, such as `dev/bitops.lock.yaml`.
    name: Arc<str>,
}

impl LockFile {
    /// Returns the lock file of an environment in the operations repo at `root`.
    pub fn of(root: &Path, environment: &TreePath) -> Self {
        Self {
            path: root.join(environment.as_str()).join(file_name::LOCK),
            root: root.to_owned(),
            name: format!("{environment}/{}", file_name::LOCK).into(),
        }
    }

    /// Returns the name for messages: the path relative to the operations repo.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the path of the file itself. A link may lead to another file of the operations repo, or of
    /// an environment that is a link itself.
    fn resolved(&self) -> io::Result<PathBuf> {
        let environment = self.path.parent().unwrap_or(&self.root);
        resolve_below(&self.path, &[&self.root, environment])
    }

    /// Reads the bytes; `None` if the file does not exist.
    pub fn bytes(&self) -> Result<Option<Vec<u8>>, Failure> {
        match self.resolved().and_then(|path| local_file::read(&path, MAX_SIZE)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound && !self.path.is_symlink() => Ok(None),
            Err(error) => Err(wording::unreadable_lock(&self.name, error).into()),
        }
    }

    /// Reads the lock; `None` if the file does not exist.
    ///
    /// # Errors
    ///
    /// If the file cannot be read or is not a valid lock. Every mistake is reported with its place.
    pub fn read(&self) -> Result<Option<Lock>, Failure> {
        let Some(bytes) = self.bytes()? else {
            return Ok(None);
        };
        let text = String::from_utf8(bytes)
            .map_err(|error| wording::lock_not_utf8(&self.name, error.utf8_error()))?;
        Ok(Some(Lock::parse(&self.name, &text.into())?))
    }

    /// Reads the lock, and fails if the file does not exist.
    pub fn require(&self) -> Result<Lock, Failure> {
        self.read()?.ok_or_else(|| wording::no_lock(&self.name).into())
    }

    /// Writes the lock to a temporary file and renames it into place. Returns `false`, without writing, if
    /// the file has the same text already.
    pub fn write(&self, lock: &Lock) -> Result<bool, Failure> {
        let text = lock.to_text();
        // If the user made it a link, its target is written.
        let path = match self.resolved() {
            Ok(path) => path,
            Err(error) if error.kind() == io::ErrorKind::NotFound && !self.path.is_symlink() => {
                self.path.clone()
            }
            Err(error) => return Err(wording::lock_elsewhere(&self.name, error).into()),
        };
        // Line ends that git converted on checkout (`core.autocrlf`) do not count as a change.
        let same = |there: String| there.replace("\r\n", "\n") == text;
        let there = local_file::read(&path, MAX_SIZE).map(String::from_utf8);
        if there.is_ok_and(|there| there.is_ok_and(same)) {
            return Ok(false);
        }
        user_file::replace(&path, &text).map_err(|error| {
            let target = path.display().to_string();
            let shown = if self.path.is_symlink() {
                &target
            } else {
                &*self.name
            };
            wording::unwritten_lock(shown, error)
        })?;
        Ok(true)
    }
}
