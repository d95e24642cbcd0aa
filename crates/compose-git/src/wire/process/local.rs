//! Looks for what prevents git from reading a repo on this machine's disk.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use compose_model::RepoUrl;
use percent_encoding::percent_decode_str;

/// The files by which git recognizes a repo, and its configuration.
const PARTS: [&str; 4] = ["HEAD", "objects", "refs", "config"];

/// Returns the path of a repo on this machine's disk.
pub(crate) fn path_of(url: &RepoUrl) -> String {
    if url.as_str().starts_with("file://") {
        percent_decode_str(url.path()).decode_utf8_lossy().into_owned()
    } else {
        url.path().to_owned()
    }
}

/// Returns an error if there is nothing at a path, or if a part of the repo there by which git
/// recognizes it exists and cannot be read.
pub(super) fn check_readable(path: &Path) -> io::Result<()> {
    fs::metadata(path)?;
    let dir = git_dir(path);
    PARTS.iter().try_for_each(|part| check(&dir.join(part)))
}

/// Returns an error if an object or a ref of a repo cannot be read. git tells a client no more than
/// that the repo may be corrupt.
pub(crate) fn check_all_readable(path: &Path) -> io::Result<()> {
    let mut open = ["objects", "refs"].map(|part| git_dir(path).join(part)).to_vec();
    while let Some(next) = open.pop() {
        check(&next)?;
        let below = fs::read_dir(&next).into_iter().flatten().flatten();
        open.extend(below.map(|entry| entry.path()));
    }
    Ok(())
}

fn git_dir(path: &Path) -> PathBuf {
    let dot_git = path.join(".git");
    match fs::symlink_metadata(&dot_git) {
        Err(error) if is_absent(&error) => path.to_owned(),
        _ => dot_git,
    }
}

/// Returns an error if something exists and cannot be opened.
fn check(part: &Path) -> io::Result<()> {
    let opened = if part.is_dir() {
        // Listing a directory takes another permission than going through it.
        fs::read_dir(part).and_then(|_| fs::metadata(part.join(".")).map(drop))
    } else {
        File::open(part).map(drop)
    };
    match opened {
        Err(error) if !is_absent(&error) => {
            let text = format!("{}: {error}", part.display());
            Err(io::Error::new(error.kind(), text))
        }
        _ => Ok(()),
    }
}

fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}
