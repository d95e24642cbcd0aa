//! Compares a directory that was copied with the environment that it was copied from, by ids alone.
//!
//! ```
//! use compose_model::{BlobId, FileMode, ObjectId, OutlineEntry, OutlineKind, TreePath};
//! use compose_plan::adopt::{Comparison, Files};
//!
//! let file = |path: &str, content: u8| OutlineEntry {
//!     path: TreePath::new(path).unwrap(),
//!     kind: OutlineKind::File(FileMode::Regular),
//!     id: BlobId(ObjectId::from_bytes([content; 20])),
//! };
//! let local = Files::new([file("blue-terraform/main.tf", 1), file("notes.txt", 2)]);
//! let source = Files::new([file("terraform/main.tf", 1), file("terraform/old.tf", 3)]);
//! let found = Comparison::best(&local, &source);
//! assert_eq!(found.rename.as_deref(), Some("blue"));
//! assert_eq!(found.to_string(), "1 of 2 files equal as `blue`");
//! assert_eq!(found.exclude(&source), ["/terraform/old.tf"]);
//! ```

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use compose_model::{BlobId, OutlineEntry, OutlineKind, TreePath, filter::exact_glob};

use crate::catalog::TOOLS;

/// The files of a directory by their paths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files(BTreeMap<TreePath, (OutlineKind, BlobId)>);

impl Files {
    /// Collects the files.
    pub fn new(files: impl IntoIterator<Item = OutlineEntry>) -> Self {
        let file = |one: OutlineEntry| (one.path, (one.kind, one.id));
        Self(files.into_iter().map(file).collect())
    }

    /// Returns the number of files.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether there are no files.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the names of the directories at the top.
    fn directories(&self) -> BTreeSet<&str> {
        let top = |path: &'_ TreePath| path.as_str().find('/');
        self.0
            .keys()
            .filter_map(|path| top(path).map(|at| &path.as_str()[..at]))
            .collect()
    }
}

/// A directory compared with an environment. Paths are those of the directory, where `as` has renamed the environment's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// The `as` under which they are compared: `blue`, where the directory has `blue-terraform` for `terraform`.
    pub rename: Option<String>,
    /// The files with the same bytes and mode.
    pub equal: Vec<TreePath>,
    /// The files that differ.
    pub changed: Vec<TreePath>,
    /// The files that only the directory has.
    pub only_here: Vec<TreePath>,
    /// The files that only the environment has, by its own paths.
    pub only_there: Vec<TreePath>,
}

impl Comparison {
    /// Compares under a certain `as`.
    pub fn new(local: &Files, source: &Files, rename: Option<&str>) -> Self {
        let mut found = Self {
            rename: rename.map(str::to_owned),
            ..Self::default()
        };
        let mut known = BTreeSet::new();
        for (path, file) in &source.0 {
            let placed = placed(path, rename);
            match local.0.get(&placed) {
                Some(own) if own == file => found.equal.push(placed.clone()),
                Some(_) => found.changed.push(placed.clone()),
                None => found.only_there.push(path.clone()),
            }
            known.insert(placed);
        }
        let is_new = |path: &&TreePath| !known.contains(*path);
        found.only_here = local.0.keys().filter(is_new).cloned().collect();
        found
    }

    /// Compares under the `as` that makes the most files equal; without any if that is as good.
    pub fn best(local: &Files, source: &Files) -> Self {
        let there = source.directories();
        let prefix = |dir: &str| {
            TOOLS
                .iter()
                .filter(|tool| there.contains(**tool))
                .find_map(|tool| {
                    dir.strip_suffix(tool)?
                        .strip_suffix('-')
                        .filter(|name| !name.is_empty())
                })
                .map(str::to_owned)
        };
        let prefixes: BTreeSet<String> = local.directories().into_iter().filter_map(prefix).collect();
        let plain = Self::new(local, source, None);
        prefixes.iter().fold(plain, |best, prefix| {
            let other = Self::new(local, source, Some(prefix));
            if other.equal.len() > best.equal.len() {
                other
            } else {
                best
            }
        })
    }

    /// Returns how many files the environment has.
    pub fn total(&self) -> usize {
        self.equal.len() + self.changed.len() + self.only_there.len()
    }

    /// Returns how many files would have to change to make one from the other.
    pub fn distance(&self) -> usize {
        self.changed.len() + self.only_there.len() + self.only_here.len()
    }

    /// Returns whether the directory looks like a copy: at least half of the environment's files are equal.
    pub fn is_copy(&self) -> bool {
        !self.equal.is_empty() && 2 * self.equal.len() >= self.total()
    }

    /// Returns globs that leave out what only the environment has, relative to it: the topmost directories of which
    /// the directory has nothing, and single files.
    pub fn exclude(&self, source: &Files) -> Vec<String> {
        let gone: BTreeSet<&TreePath> = self.only_there.iter().collect();
        let mut kept_dirs = BTreeSet::new();
        for path in source.0.keys().filter(|path| !gone.contains(path)) {
            let text = path.as_str();
            kept_dirs.extend(text.match_indices('/').map(|(at, _)| &text[..at]));
        }
        let mut globs = Vec::new();
        for path in &self.only_there {
            let text = path.as_str();
            let dir = text
                .match_indices('/')
                .map(|(at, _)| &text[..at])
                .find(|dir| !kept_dirs.contains(dir));
            let glob = match dir {
                Some(dir) => format!("{}/", exact_glob(dir)),
                None => exact_glob(text),
            };
            if globs.last() != Some(&glob) {
                globs.push(glob);
            }
        }
        globs
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let files = if self.total() == 1 { "file" } else { "files" };
        write!(f, "{} of {} {files} equal", self.equal.len(), self.total())?;
        match &self.rename {
            Some(name) => write!(f, " as `{name}`"),
            None => Ok(()),
        }
    }
}

/// Returns where a file of an environment stands under an `as`.
fn placed(path: &TreePath, rename: Option<&str>) -> TreePath {
    let renamed = rename.and_then(|name| {
        let (top, _) = path.as_str().split_once('/')?;
        TOOLS
            .contains(&top)
            .then(|| TreePath::new(format!("{name}-{path}")).ok())?
    });
    renamed.unwrap_or_else(|| path.clone())
}

/// Returns the path of a composed file as the environment has it.
pub fn own_path(path: &str, rename: Option<&str>) -> String {
    let own = rename.and_then(|name| {
        let rest = path.strip_prefix(name)?.strip_prefix('-')?;
        rest.split_once('/')
            .is_some_and(|(top, _)| TOOLS.contains(&top))
            .then(|| rest.to_owned())
    });
    own.unwrap_or_else(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use compose_model::{FileMode, Globs, ObjectId};

    use super::*;

    fn files(all: &[(&str, u8)]) -> Files {
        let file = |(path, content): &(&str, u8)| OutlineEntry {
            path: TreePath::new(path).unwrap(),
            kind: OutlineKind::File(if path.ends_with(".sh") {
                FileMode::Executable
            } else {
                FileMode::Regular
            }),
            id: BlobId(ObjectId::from_bytes([*content; 20])),
        };
        Files::new(all.iter().map(file))
    }

    #[test]
    fn what_is_equal_changed_and_on_one_side_only() {
        let source = files(&[("a", 1), ("b", 2), ("helm/x", 3), ("helm/y", 4), ("t/z", 5)]);
        let local = files(&[("a", 1), ("b", 9), ("helm/x", 3), ("own", 7)]);
        let found = Comparison::best(&local, &source);
        assert_eq!(found.to_string(), "2 of 5 files equal");
        assert_eq!(found.distance(), 4);
        assert!(!found.is_copy());
        let paths = |all: &[TreePath]| all.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(paths(&found.changed), ["b"]);
        assert_eq!(paths(&found.only_here), ["own"]);
        assert_eq!(paths(&found.only_there), ["helm/y", "t/z"]);
        assert_eq!(found.exclude(&source), ["/helm/y", "/t/"]);
        // The mode counts.
        let mut other = local.clone();
        let path = TreePath::new("a").unwrap();
        other.0.get_mut(&path).unwrap().0 = OutlineKind::File(FileMode::Executable);
        assert_eq!(Comparison::best(&other, &source).equal.len(), 1);
    }

    #[test]
    fn renamed_directories_are_recognised_only_where_it_helps() {
        let source = files(&[("terraform/main.tf", 1), ("helm/x", 2), ("README.md", 3)]);
        let local = files(&[
            ("blue-terraform/main.tf", 1),
            ("blue-helm/x", 9),
            ("README.md", 3),
        ]);
        let found = Comparison::best(&local, &source);
        assert_eq!(found.to_string(), "2 of 3 files equal as `blue`");
        assert_eq!(found.changed[0].as_str(), "blue-helm/x");
        assert_eq!(own_path("blue-helm/x", Some("blue")), "helm/x");
        assert_eq!(own_path("blue-x", Some("blue")), "blue-x");
        let both = files(&[
            ("terraform/main.tf", 1),
            ("blue-terraform/main.tf", 1),
            ("README.md", 3),
        ]);
        assert_eq!(Comparison::best(&both, &source).rename, None);
    }

    #[test]
    fn a_glob_matches_one_path_alone() {
        for path in ["a*[b]", "!x/{y}", "#a", "a\\b", "a "] {
            let globs = Globs::new(vec![exact_glob(path)]).unwrap();
            let filter = compose_model::Filter::new(Globs::default(), globs, true);
            if let Ok(path) = TreePath::new(path) {
                assert!(!filter.keeps(&path), "{path}");
            }
            assert!(filter.keeps(&TreePath::new("axb").unwrap()), "{path}");
        }
    }
}
