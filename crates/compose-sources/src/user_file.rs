//! Writing the two files of the user's operations repo that are ever written: an environment's config and its lock.

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use compose_model::{Failure, TreePath, file_name};

use crate::{
    local_file::{self, resolve_below},
    wording,
};

/// The greatest config that is read, in bytes. The parser has a lower bound and a better message.
const MAX_SIZE: u64 = 16 << 20;

/// Replaces a file by way of a temporary file beside it, so that it is never half written.
pub(crate) fn replace(path: &Path, text: &str) -> io::Result<()> {
    let dir = path.parent().unwrap_or(Path::new("."));
    // A new file gets the user's default permissions, an existing one keeps its own.
    let mut file = tempfile::Builder::new()
        .prefix(".bitops.")
        .permissions(fs::Permissions::from_mode(0o666))
        .tempfile_in(dir)?;
    if let Ok(old) = fs::metadata(path) {
        file.as_file().set_permissions(old.permissions())?;
    }
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

/// The config of an environment on disk, whether or not it exists.
#[derive(Clone, Debug)]
pub struct ConfigFile {
    path: PathBuf,
    root: PathBuf,
    /// The name for messages, such as `dev/bitops.config.yaml`.
    name: String,
}

impl ConfigFile {
    /// Returns the config of an environment in the operations repo at `root`.
    pub fn of(root: &Path, environment: &TreePath) -> Self {
        Self {
            path: root.join(environment.as_str()).join(file_name::CONFIG),
            root: root.to_owned(),
            name: format!("{environment}/{}", file_name::CONFIG),
        }
    }

    /// Returns the name for messages: the path relative to the operations repo.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Writes the text. The environment's directory is made if it is missing. A link is kept, and what it leads to is
    /// written if that is in the operations repo. Nothing is written if `before` is no longer what the file holds;
    /// `None` means that there is no file.
    pub fn write(&self, before: Option<&str>, text: &str) -> Result<(), Failure> {
        let path = self.target()?;
        let now = match local_file::read(&path, MAX_SIZE) {
            Ok(bytes) => Some(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(wording::unwritten_config(&self.name, error).into()),
        };
        if now.as_deref() != before.map(str::as_bytes) {
            return Err(wording::changed_config(&self.name).into());
        }
        let dir = path.parent().unwrap_or(&self.root);
        let written = fs::create_dir_all(dir).and_then(|()| replace(&path, text));
        Ok(written.map_err(|error| wording::unwritten_config(&self.name, error))?)
    }

    /// Puts back what the file held before it was written.
    pub fn restore(&self, before: Option<&str>) -> Result<(), Failure> {
        let path = self.target()?;
        let restored = match before {
            Some(text) => replace(&path, text),
            None => fs::remove_file(&path),
        };
        Ok(restored.map_err(|error| wording::unwritten_config(&self.name, error))?)
    }

    fn target(&self) -> Result<PathBuf, Failure> {
        let environment = self.path.parent().unwrap_or(&self.root);
        match resolve_below(&self.path, &[&self.root, environment]) {
            Ok(path) => Ok(path),
            Err(error) if error.kind() == io::ErrorKind::NotFound && !self.path.is_symlink() => {
                Ok(self.path.clone())
            }
            Err(error) => Err(wording::unwritten_config(&self.name, error).into()),
        }
    }
}
