//! The errors that keep the pipeline from being started.

use std::{io, path::PathBuf};

use compose_model::{Cause, ExitCode};

/// A failure before the pipeline runs. Later problems are not errors: the parent continues.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Signals cannot be received.
    #[error("cannot wait for signals")]
    Signals(#[source] io::Error),
    /// The working directory cannot be entered.
    #[error("cannot enter {dir}", dir = dir.display())]
    Directory {
        /// The pipeline's working directory.
        dir: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The program cannot be started.
    #[error("cannot start {program}", program = program.display())]
    Start {
        /// The program.
        program: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

impl Cause for Error {
    fn exit_code(&self) -> ExitCode {
        match self {
            Self::Signals(_) => ExitCode::Bug,
            Self::Directory { .. } => ExitCode::NotFound,
            Self::Start { source, .. } if source.kind() == io::ErrorKind::NotFound => ExitCode::NotFound,
            Self::Start { .. } => ExitCode::CannotExec,
        }
    }
}

/// Converts an error of nix to the standard library's.
pub(crate) fn io(error: nix::errno::Errno) -> io::Error {
    io::Error::from_raw_os_error(error as i32)
}
