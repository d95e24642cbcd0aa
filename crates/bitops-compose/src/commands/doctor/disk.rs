//! What is known of a directory without writing into it.

use std::{fs::Metadata, os::unix::fs::MetadataExt as _, path::Path};

use indicatif::HumanBytes;
use rustix::fs::{Access, AtFlags, CWD};

/// The free space below which a deployment may fail, in bytes.
const LITTLE: u64 = 100 << 20;

/// Returns the id of the user as whom this program works on files.
pub(super) fn user() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Returns whether this user may make files in a directory, as the system says: by its permissions, and not on a
/// read-only file system. A quota, or a server that does not trust root, is only found by writing.
pub(super) fn is_writable(dir: &Path) -> bool {
    let access = Access::WRITE_OK | Access::EXEC_OK;
    rustix::fs::accessat(CWD, dir, access, AtFlags::EACCESS).is_ok()
}

/// Returns whether this user may replace a file or a link in a writable directory. In a sticky one, that takes the owner
/// of the file or of the directory.
pub(super) fn may_replace(dir: &Metadata, file: &Metadata) -> bool {
    let user = user();
    dir.mode() & 0o1000 == 0 || user == 0 || [dir.uid(), file.uid()].contains(&user)
}

/// Says who owns a file.
pub(super) fn owner(found: &Metadata) -> String {
    match found.uid() {
        0 => "root".to_owned(),
        uid if uid == user() => format!("this user (uid {uid})"),
        uid => format!("uid {uid}"),
    }
}

/// The free space of a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Space {
    Enough(u64),
    Little(u64),
    None,
    /// The file system does not say.
    Unknown,
}

impl Space {
    /// Returns the space that this user may take on the disk of a directory.
    pub(super) fn of(dir: &Path) -> Self {
        let Ok(disk) = rustix::fs::statvfs(dir) else {
            return Self::Unknown;
        };
        // A file system without a size is not one on a disk; one without a number of files has no limit of them.
        if disk.f_blocks == 0 {
            return Self::Unknown;
        }
        let is_out_of_files = disk.f_files > 0 && disk.f_favail == 0;
        let bytes = disk.f_bavail.saturating_mul(disk.f_frsize);
        Self::from(if is_out_of_files { 0 } else { bytes })
    }
}

impl From<u64> for Space {
    fn from(bytes: u64) -> Self {
        match bytes {
            0 => Self::None,
            bytes if bytes < LITTLE => Self::Little(bytes),
            bytes => Self::Enough(bytes),
        }
    }
}

/// Formats a number of bytes.
pub(super) fn bytes(count: u64) -> String {
    HumanBytes(count).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn little_space_differs_from_none() {
        assert_eq!(Space::from(0), Space::None);
        assert_eq!(Space::from(1), Space::Little(1));
        assert_eq!(Space::from(1 << 40), Space::Enough(1 << 40));
        assert_eq!(Space::of(Path::new("/absent/directory")), Space::Unknown);
    }
}
