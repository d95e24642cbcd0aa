//! The text of a config of the user or of the image, read within a bound.

use std::{
    io::{self, ErrorKind},
    path::Path,
};

use compose_model::{Cause, Diagnostic, ExitCode, ReadError};
use compose_plan::config::is_utf16;
use compose_sources::local_file;
use rustix::io::Errno;

use crate::shown_path::shown_path;

/// The greatest config that is read, in bytes. One that names sources has a lower bound, with a better message;
/// this one holds for BitOps' own configs too.
const MAX_READ: u64 = 64 << 20;

/// Reads the bytes of an environment's config, within a bound.
pub(crate) fn read_config(config: &Path) -> io::Result<Vec<u8>> {
    read_within(config, MAX_READ)
}

/// Reads the bytes of an environment's config if they are no more than `most`, and within the bound.
pub(crate) fn read_within(config: &Path, most: u64) -> io::Result<Vec<u8>> {
    local_file::read(config, most.min(MAX_READ))
}

/// Returns the text of an environment's config. PyYAML reads UTF-16 as well, but BitOps opens the file
/// as UTF-8.
pub(crate) fn text_of(config: &Path, bytes: Vec<u8>) -> Result<String, Diagnostic> {
    let config = shown_path(config);
    let config = config.display();
    let problem = match String::from_utf8(bytes) {
        Ok(text) => return Ok(text),
        Err(error) if is_utf16(error.as_bytes()) => Diagnostic::new(
            ExitCode::Config,
            format!("{config} is in UTF-16, which BitOps does not read"),
        ),
        Err(error) => Diagnostic::new(ExitCode::Config, format!("{config} is not valid UTF-8"))
            .because(error.utf8_error()),
    };
    Err(problem.hint("save it in UTF-8"))
}

/// Describes a config that cannot be read.
///
/// It may name sources, and without them something else would be deployed.
pub(crate) fn unreadable(config: &Path, error: io::Error) -> Diagnostic {
    let config = shown_path(config);
    let hint = match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::ACCESS | Errno::PERM) => {
            "let this user read it and the directories above it, or run the container with `--user`"
        }
        Some(Errno::ISDIR) => "it is a directory: put the environment's config in its place",
        Some(Errno::LOOP) => "it is a link that leads to itself: put the environment's config in its place",
        Some(Errno::STALE) => "mount the operations repo again",
        Some(Errno::MFILE | Errno::NFILE) => "allow more open files: `ulimit -n`",
        None if error.kind() == ErrorKind::InvalidInput => {
            "put the environment's config, a file of text, in its place"
        }
        _ if error.exit_code() == ExitCode::Config => return ReadError::of(&config)(error).into(),
        _ => "look at the disk, or the server, that the operations repo is on",
    };
    Diagnostic::from(ReadError::of(&config)(error)).hint(hint)
}
