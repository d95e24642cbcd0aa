//! Reads files of this machine within a bound.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read},
    os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::Path,
};

use rustix::fs::OFlags;

/// Reads a regular file of at most `most` bytes. `/dev/null` is an empty one, as it is to BitOps.
///
/// # Errors
///
/// If it cannot be read, is not a regular file, or is larger.
pub fn read_bounded(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    // Without this flag, opening a fifo waits for a writer.
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    let file: File = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let meta = file.metadata()?;
    if meta.is_dir() {
        return Err(rustix::io::Errno::ISDIR.into());
    }
    let mut bytes = Vec::new();
    if meta.file_type().is_char_device() && meta.rdev() == rustix::fs::makedev(1, 3) {
        return Ok(bytes);
    }
    if !meta.is_file() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is not a regular file",
        ));
    }
    // The length is compared first, so that nothing of a file that is too large is read.
    if meta.len() <= most {
        file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    }
    if meta.len().max(bytes.len() as u64) > most {
        let why = format!("it is larger than {most} bytes");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    }
    Ok(bytes)
}
