//! Detects any change below a directory: in bytes, modes, times and inodes.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// The state of a directory and everything below it, except access times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint(BTreeMap<PathBuf, FileState>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct FileState {
    mode: u32,
    owner: (u32, u32),
    inode: u64,
    /// The times of the last modification of the content and of the metadata, in seconds and
    /// nanoseconds.
    modified: (i64, i64),
    changed: (i64, i64),
    content: Vec<u8>,
}

impl Fingerprint {
    /// Records the state of `root`; symlinks are not followed.
    ///
    /// # Panics
    ///
    /// If something cannot be read.
    pub fn of(root: &Path) -> Self {
        let mut states = BTreeMap::new();
        visit(root, root, &mut states);
        Self(states)
    }

    /// Asserts that this state equals `before`.
    ///
    /// # Panics
    ///
    /// If it differs; the message names the added, removed and changed paths.
    #[track_caller]
    pub fn assert_same_as(&self, before: &Self) {
        let added = self
            .0
            .keys()
            .filter(|path| !before.0.contains_key(*path))
            .map(|path| ("added", path));
        let removed = before
            .0
            .keys()
            .filter(|path| !self.0.contains_key(*path))
            .map(|path| ("removed", path));
        let changed = self
            .0
            .iter()
            .filter(|(path, state)| before.0.get(*path).is_some_and(|before| before != *state))
            .map(|(path, _)| ("changed", path));
        let differences: Vec<String> = added
            .chain(removed)
            .chain(changed)
            .map(|(what, path)| format!("{what}: {}", path.display()))
            .collect();
        assert!(
            differences.is_empty(),
            "the directory has changed\n{}",
            differences.join("\n")
        );
    }
}

fn visit(root: &Path, path: &Path, states: &mut BTreeMap<PathBuf, FileState>) {
    let fail = |error: std::io::Error| -> ! { panic!("cannot read {}: {error}", path.display()) };
    let metadata = path.symlink_metadata().unwrap_or_else(|error| fail(error));
    let content = if metadata.is_symlink() {
        std::fs::read_link(path)
            .unwrap_or_else(|error| fail(error))
            .into_os_string()
            .into_encoded_bytes()
    } else if metadata.is_file() {
        std::fs::read(path).unwrap_or_else(|error| fail(error))
    } else {
        Vec::new()
    };
    let state = FileState {
        mode: metadata.mode(),
        owner: (metadata.uid(), metadata.gid()),
        inode: metadata.ino(),
        modified: (metadata.mtime(), metadata.mtime_nsec()),
        changed: (metadata.ctime(), metadata.ctime_nsec()),
        content,
    };
    let relative = path.strip_prefix(root).expect("the path is below the root");
    let shown = if relative == Path::new("") {
        Path::new(".")
    } else {
        relative
    };
    states.insert(shown.to_owned(), state);
    if metadata.is_dir() {
        for entry in std::fs::read_dir(path).unwrap_or_else(|error| fail(error)) {
            visit(root, &entry.unwrap_or_else(|error| fail(error)).path(), states);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rewriting_a_file_is_detected_even_with_the_same_bytes_and_time() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("file");
        std::fs::write(&path, "a").unwrap();
        let before = Fingerprint::of(root.path());
        assert_eq!(Fingerprint::of(root.path()), before);

        let modified = path.metadata().unwrap().modified().unwrap();
        std::fs::write(&path, "a").unwrap();
        std::fs::File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_modified(modified)
            .unwrap();
        assert_ne!(Fingerprint::of(root.path()), before);
    }

    #[test]
    #[should_panic(expected = "added: new")]
    fn differences_are_named() {
        let root = tempfile::tempdir().unwrap();
        let before = Fingerprint::of(root.path());
        std::fs::write(root.path().join("new"), "").unwrap();
        Fingerprint::of(root.path()).assert_same_as(&before);
    }
}
