//! The errors of this crate.

use std::{
    io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use compose_model::{Cause, ExitCode};

use crate::{
    Action,
    names::{ACTIVE, COMPOSITION, MOUNT},
};

/// A failure to read or write, with the path that it is about.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file, directory or link could not be read or written.
    #[error("cannot {action} {path}", path = path.display())]
    Io {
        /// The failed action.
        action: Action,
        /// The file, directory or link.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The link could not be switched.
    #[error("cannot switch {path}", path = path.display())]
    Switch {
        /// The link.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The link names a composition that no longer exists, so the user's repo cannot be found.
    #[error("{path} points to a composition that no longer exists: {composition}", path = path.display(), composition = composition.display())]
    Lost {
        /// The link.
        path: PathBuf,
        /// The composition's directory.
        composition: PathBuf,
    },
    /// There is no operations repo, and the pipeline would deploy the empty directory in its place.
    #[error("there is no operations repo, and the empty directory {path} in its place cannot be removed", path = path.display())]
    Empty {
        /// The directory.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The pipeline's path is a directory, so nothing can be switched.
    #[error("{path} is a directory, not the symlink through which a composition is switched in", path = path.display())]
    NotALink {
        /// The operations repo's path.
        path: PathBuf,
    },
    /// Another user put something else in the place of a run's own directory.
    #[error("another user replaced {path} while it was used", path = path.display())]
    Foreign {
        /// The directory.
        path: PathBuf,
    },
    /// The pipeline's path is neither a directory nor a link.
    #[error("{path} is neither a directory nor a link to one", path = path.display())]
    NotADirectory {
        /// The operations repo's path.
        path: PathBuf,
    },
    /// The user's repo is mounted, but a later mount hides it. Container engines mount in order of
    /// depth, and equally deep mounts in no fixed order.
    #[error("the operations repo is mounted at {path}, and a later mount hides it", path = path.display())]
    Hidden {
        /// Where the repo is mounted.
        path: PathBuf,
    },
}

impl Error {
    pub(crate) fn io(action: Action, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }

    pub(crate) fn switch(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Switch { path, source }
    }

    /// Names a path by `name` if it is reached as `place`.
    pub(crate) fn name(&mut self, place: &Path, name: &Path) {
        if let Self::Io { path, .. } | Self::Switch { path, .. } = self
            && let Ok(below) = path.strip_prefix(place)
        {
            *path = name.join(below);
        }
    }

    /// Returns the hint for a read-only file system. A `--tmpfs` hides what is below it, so it is
    /// only suggested for a home. The mode is for podman, which gives each tmpfs a sticky one.
    fn read_only(&self, path: &Path) -> String {
        let name = path.file_name().unwrap_or_default();
        let parent = path.parent().unwrap_or(path);
        let in_home = name == ACTIVE || name.as_encoded_bytes().starts_with(COMPOSITION.as_bytes());
        if matches!(self, Error::Switch { .. }) && !in_home {
            return format!(
                "{} is the link that is switched, so {} must be writable: run the container without `--read-only`, or set BITOPS_COMPOSE_OPS_REPO to a link elsewhere",
                path.display(),
                parent.display()
            );
        }
        let home = if in_home { parent } else { path };
        let writable = format!(
            "composing needs a writable {0}; run the container without `--read-only`, or with `--tmpfs {0}:mode=0777`",
            home.display()
        );
        if name == ACTIVE || home.join(ACTIVE).is_symlink() {
            format!(
                "{writable} and the operations repo mounted at {}/{MOUNT}",
                home.display()
            )
        } else {
            writable
        }
    }

    /// Returns whether the link cannot be replaced because its directory is sticky: others may
    /// write to the directory, but only replace what they own.
    fn is_kept_by_a_sticky_directory(&self) -> bool {
        let Error::Switch { path, .. } = self else {
            return false;
        };
        let directory = path.parent().and_then(|parent| parent.metadata().ok());
        directory.is_some_and(|directory| directory.permissions().mode() & 0o1002 == 0o1002)
    }
}

impl Cause for Error {
    fn exit_code(&self) -> ExitCode {
        ExitCode::CannotWrite
    }

    fn hint(&self) -> Option<String> {
        match self {
            Error::NotALink { .. } => Some(
                "mount the operations repo at /opt/bitops-compose/mount instead, or run `bitops-compose image install` when the image is built"
                    .into(),
            ),
            Error::NotADirectory { .. } => {
                Some("the operations repo is expected there; set BITOPS_COMPOSE_OPS_REPO to use another place".into())
            }
            Error::Foreign { path } => Some(format!(
                "make {} writable for this user alone, or set BITOPS_COMPOSE_HOME to a directory of your own",
                path.parent().unwrap_or(path).display()
            )),
            Error::Hidden { .. } => {
                Some("container engines mount in no fixed order: with a tmpfs or volume at /opt/bitops-compose, mount the operations repo at /opt/bitops-compose/mount".into())
            }
            Error::Lost { path, .. } => Some(format!(
                "point it to your operations repo again: ln -sfn DIR {}",
                path.display()
            )),
            Error::Empty { .. } => Some("mount the operations repo at /opt/bitops_deployment".into()),
            Error::Io { path, source, .. } | Error::Switch { path, source } => {
                let dir = path.parent().unwrap_or(path).display();
                match source.kind() {
                    io::ErrorKind::ReadOnlyFilesystem => Some(self.read_only(path)),
                    io::ErrorKind::PermissionDenied if self.is_kept_by_a_sticky_directory() => Some(format!(
                        "{dir} is sticky, so only the owner of {} may replace it: give {dir} the mode 0777; for a tmpfs, `--tmpfs {dir}:mode=0777`",
                        path.display()
                    )),
                    io::ErrorKind::PermissionDenied => Some(format!(
                        "allow this user to write to {dir}, or set BITOPS_COMPOSE_HOME to a writable directory"
                    )),
                    io::ErrorKind::DirectoryNotEmpty => {
                        Some("the base image contains an operations repo: move it to /opt/bitops-compose/mount".into())
                    }
                    io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                        Some(format!("free some space below {dir}, or set BITOPS_COMPOSE_HOME to a directory on a larger disk"))
                    }
                    _ => None,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tmpfs_is_suggested_for_a_home_only() {
        let read_only = || io::Error::from(io::ErrorKind::ReadOnlyFilesystem);
        let switch = |path: &str| Error::switch(path)(read_only()).hint().unwrap();
        let advised = switch("/opt/bitops-compose/active");
        assert!(
            advised.ends_with(
                "`--tmpfs /opt/bitops-compose:mode=0777` and the operations repo mounted at /opt/bitops-compose/mount"
            ),
            "{advised}"
        );
        // With another home, the pipeline's path itself is the link that cannot be switched.
        let advised = switch("/opt/bitops_deployment");
        assert!(
            advised.contains("/opt must be writable") && !advised.contains("tmpfs"),
            "{advised}"
        );
        let root = tempfile::tempdir().unwrap();
        let home = root.path().join("home");
        for path in [home.join("composition."), home.clone()] {
            let advised = Error::io(Action::Create, path)(read_only()).hint().unwrap();
            let wanted = format!("`--tmpfs {}:mode=0777`", home.display());
            assert!(advised.ends_with(&wanted), "{advised}");
        }
    }

    #[test]
    fn a_sticky_directory_is_named_where_it_keeps_the_link() {
        let directory = tempfile::tempdir().unwrap();
        let link = directory.path().join(ACTIVE);
        for (mode, is_sticky) in [(0o1777, true), (0o777, false), (0o1755, false)] {
            std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(mode)).unwrap();
            let refused = io::Error::from(io::ErrorKind::PermissionDenied);
            let advised = Error::switch(&link)(refused).hint().unwrap();
            let expected = format!("--tmpfs {}:mode=0777", directory.path().display());
            assert_eq!(advised.contains(&expected), is_sticky, "{mode:o}: {advised}");
        }
    }
}
