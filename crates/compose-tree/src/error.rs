//! What can go wrong on disk.

use std::{io, path::PathBuf};

/// A failure to read or write, with the path it is about.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file, directory or link cannot be made.
    #[error("cannot {action} {path}", path = path.display())]
    Io {
        /// `create`, `write`, `link`…
        action: &'static str,
        /// What could not be handled.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The link cannot be switched.
    #[error("cannot switch {path}", path = path.display())]
    Switch {
        /// The link.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The link names a composition that is gone, and with it what the link named before.
    #[error("{path} leads to a composition that is gone: {composition}", path = path.display(), composition = composition.display())]
    Lost {
        /// The link.
        path: PathBuf,
        /// The composition's directory.
        composition: PathBuf,
    },
    /// There is no operations repo, and an empty directory in its place would be deployed.
    #[error("there is no operations repo, and the empty directory {path} in its place cannot be removed", path = path.display())]
    Empty {
        /// The directory.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The place where the pipeline looks is a directory, so nothing can be switched.
    #[error("{path} is a directory, not the symlink that a composition is switched in by", path = path.display())]
    NotALink {
        /// The operations repo's path.
        path: PathBuf,
    },
    /// The user's repo is mounted, and another mount lies over it: an engine that was given both sorts them by depth,
    /// and equally deep ones not at all.
    #[error("the operations repo is mounted at {path}, and a later mount hides it", path = path.display())]
    Hidden {
        /// Where it is mounted.
        path: PathBuf,
    },
}

impl Error {
    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }

    pub(crate) fn switch(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Switch { path, source }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Error::NotALink { .. } => Some(
                "mount the operations repo at /opt/bitops-compose/mount instead, or run `bitops-compose image install` when the image is built"
                    .into(),
            ),
            Error::Hidden { .. } => {
                Some("engines mount in no fixed order: with a tmpfs or volume at /opt/bitops-compose mount the operations repo at /opt/bitops-compose/mount".into())
            }
            Error::Lost { path, .. } => Some(format!(
                "let it name your operations repo again: ln -sfn DIR {}",
                path.display()
            )),
            Error::Empty { .. } => Some("mount the operations repo at /opt/bitops_deployment".into()),
            Error::Io { path, source, .. } | Error::Switch { path, source } => {
                let dir = path.parent().unwrap_or(path).display();
                match source.kind() {
                    io::ErrorKind::ReadOnlyFilesystem => Some(format!(
                        "composing needs a writable {dir}; run the container without `--read-only`, or with `--tmpfs {dir}` and the operations repo mounted at {dir}/mount"
                    )),
                    io::ErrorKind::PermissionDenied => Some(format!(
                        "let this user write {dir}, or set BITOPS_COMPOSE_HOME to a directory that it may write"
                    )),
                    io::ErrorKind::DirectoryNotEmpty => {
                        Some("the base image brings an operations repo: move it to /opt/bitops-compose/mount".into())
                    }
                    io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                        Some(format!("free some space below {dir}, or set BITOPS_COMPOSE_HOME to a larger disk"))
                    }
                    _ => None,
                }
            }
        }
    }
}
