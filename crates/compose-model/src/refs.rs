//! The refs that a repo advertises.

use crate::{CommitId, ObjectId};

/// The prefix of branches.
pub const HEADS: &str = "refs/heads/";

/// The prefix of tags.
pub const TAGS: &str = "refs/tags/";

/// The name under which a repo advertises its default branch.
pub const HEAD: &str = "HEAD";

/// One advertised ref.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefEntry {
    /// The full name, such as `refs/tags/1.0.0` or `refs/heads/main`. It may contain anything that
    /// a server sends: escape it before printing.
    pub name: String,
    /// The object that the ref points to: for an annotated tag, the tag object.
    pub object: ObjectId,
    /// The object that it peels to. For a tag of a tree or blob that is not a commit, which only a
    /// fetch detects.
    pub target: CommitId,
    /// The full name of the ref that this one stands for, such as `refs/heads/main` for `HEAD`.
    pub symref: Option<String>,
}

/// The refs of one repo, sorted by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refs(Vec<RefEntry>);

impl Refs {
    /// Creates the collection, sorted by name. Of several refs with the same name, the first is
    /// kept.
    pub fn new(mut entries: Vec<RefEntry>) -> Self {
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        entries.dedup_by(|a, b| a.name == b.name);
        Self(entries)
    }

    /// Returns all refs, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = &RefEntry> {
        self.0.iter()
    }

    /// Returns the ref with this full name.
    pub fn get(&self, name: &str) -> Option<&RefEntry> {
        self.0
            .binary_search_by(|entry| entry.name.as_str().cmp(name))
            .ok()
            .map(|index| &self.0[index])
    }

    /// Returns the tag with this short name.
    pub fn tag(&self, name: &str) -> Option<&RefEntry> {
        self.get(&format!("refs/tags/{name}"))
    }

    /// Returns the branch with this short name.
    pub fn branch(&self, name: &str) -> Option<&RefEntry> {
        self.get(&format!("refs/heads/{name}"))
    }

    /// Returns the short name of the default branch, if the repo advertised it.
    pub fn default_branch(&self) -> Option<&str> {
        self.get(HEAD)?.symref.as_deref()?.strip_prefix(HEADS)
    }

    /// Returns all tags with their short names.
    pub fn tags(&self) -> impl Iterator<Item = (&str, &RefEntry)> {
        self.with_prefix("refs/tags/")
    }

    /// Returns all branches with their short names.
    pub fn branches(&self) -> impl Iterator<Item = (&str, &RefEntry)> {
        self.with_prefix("refs/heads/")
    }

    /// Returns the tags whose short names start with `beginning`, each with the rest of its name.
    pub fn tags_after<'a>(
        &'a self,
        beginning: &str,
    ) -> impl Iterator<Item = (&'a str, &'a RefEntry)> + use<'a> {
        self.with_prefix(&format!("refs/tags/{beginning}"))
    }

    /// Returns the refs with a prefix, each with the rest of its name, by binary search.
    fn with_prefix<'a>(&'a self, prefix: &str) -> impl Iterator<Item = (&'a str, &'a RefEntry)> + use<'a> {
        let start = self.0.partition_point(|entry| entry.name.as_str() < prefix);
        let count = self.0[start..].partition_point(|entry| entry.name.starts_with(prefix));
        let length = prefix.len();
        self.0[start..start + count]
            .iter()
            .map(move |entry| (&entry.name[length..], entry))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refs_are_found_by_their_prefix() {
        let id = CommitId(ObjectId::from_bytes([1; 20]));
        let names = [
            "refs/heads/main",
            "refs/tags/1",
            "refs/tags/a-1",
            "refs/tags/a/1",
            "refs/tags/ä",
            "refs/tagsx",
            "a",
        ];
        let entry = |name: &&str| RefEntry {
            name: (*name).to_owned(),
            object: id.0,
            target: id,
            symref: None,
        };
        let refs = Refs::new(names.iter().map(entry).collect());
        fn names_of<'a>(found: impl Iterator<Item = (&'a str, &'a RefEntry)>) -> Vec<&'a str> {
            found.map(|(name, _)| name).collect()
        }
        assert_eq!(names_of(refs.tags()), ["1", "a-1", "a/1", "ä"]);
        assert_eq!(names_of(refs.branches()), ["main"]);
        assert_eq!(names_of(refs.tags_after("a")), ["-1", "/1"]);
        assert_eq!(names_of(refs.tags_after("a/")), ["1"]);
        assert_eq!(names_of(refs.tags_after("b")), [""; 0]);
        assert_eq!(names_of(Refs::default().tags()), [""; 0]);
    }
}
