//! Whether a directory is as it was: every byte, mode, time and inode.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// The state of everything below a directory, and of the directory itself. Only the times of reading are left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint(BTreeMap<PathBuf, State>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct State {
    mode: u32,
    owner: (u32, u32),
    inode: u64,
    /// Of the last writing and of the last change of anything else, in nanoseconds.
    modified: (i64, i64),
    changed: (i64, i64),
    content: Vec<u8>,
}

impl Fingerprint {
    /// The state of `root` now; symlinks are not followed.
    ///
    /// # Panics
    /// Where something cannot be read.
    pub fn of(root: &Path) -> Self {
        let mut states = BTreeMap::new();
        visit(root, root, &mut states);
        Self(states)
    }

    /// # Panics
    /// Where this state is not the one `before`; the message names what was added, removed and changed.
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
            "the directory is not as it was\n{}",
            differences.join("\n")
        );
    }
}

fn visit(root: &Path, path: &Path, states: &mut BTreeMap<PathBuf, State>) {
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
    let state = State {
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
    fn a_rewritten_file_is_seen_though_its_bytes_and_time_are_the_same() {
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
    fn the_difference_is_named() {
        let root = tempfile::tempdir().unwrap();
        let before = Fingerprint::of(root.path());
        std::fs::write(root.path().join("new"), "").unwrap();
        Fingerprint::of(root.path()).assert_same_as(&before);
    }
}
