//! The times of files, in the precision of the file system.

use std::{
    ffi::{OsStr, OsString},
    fs,
    os::unix::fs::MetadataExt,
};

/// A file's timestamp: seconds and nanoseconds.
pub type Moment = (i64, u32);

/// Returns the time of the last change of the content.
pub(crate) fn modified(meta: &fs::Metadata) -> Moment {
    moment(meta.mtime(), meta.mtime_nsec())
}

/// Returns the time of the last change of the content or of the metadata, which no program can set.
pub(crate) fn changed(meta: &fs::Metadata) -> Moment {
    moment(meta.ctime(), meta.ctime_nsec())
}

fn moment(seconds: i64, nanoseconds: i64) -> Moment {
    (seconds, u32::try_from(nanoseconds).unwrap_or_default())
}

/// Encodes a moment as a word, which [`from_word`] decodes.
pub(crate) fn to_word((seconds, nanoseconds): Moment) -> OsString {
    format!("{seconds}.{nanoseconds}").into()
}

/// Decodes a word.
pub(crate) fn from_word(word: &OsStr) -> Option<Moment> {
    let (seconds, nanoseconds) = word.to_str()?.split_once('.')?;
    Some((seconds.parse().ok()?, nanoseconds.parse().ok()?))
}
