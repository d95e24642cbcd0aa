//! A repo's advertised refs, as one look at them found them.

use crate::{CommitId, ObjectId};

/// The prefix of branches.
pub const HEADS: &str = "refs/heads/";

/// The prefix of tags.
pub const TAGS: &str = "refs/tags/";

/// One advertised ref.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefEntry {
    /// The full name: `refs/tags/1.0.0`, `refs/heads/main`. May hold anything a server sends: escape before printing.
    pub name: String,
    /// What the ref points to: for an annotated tag the tag object.
    pub object: ObjectId,
    /// What it peels to. A tag of a tree or blob peels to that, which a fetch finds out.
    pub target: CommitId,
}

/// The refs of one repo, sorted by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refs(Vec<RefEntry>);

impl Refs {
    /// Sorts by name; of repeated names the first stays.
    pub fn new(mut entries: Vec<RefEntry>) -> Self {
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        entries.dedup_by(|a, b| a.name == b.name);
        Self(entries)
    }

    /// All, by name.
    pub fn iter(&self) -> impl Iterator<Item = &RefEntry> {
        self.0.iter()
    }

    /// The ref of this full name.
    pub fn get(&self, name: &str) -> Option<&RefEntry> {
        self.0
            .binary_search_by(|entry| entry.name.as_str().cmp(name))
            .ok()
            .map(|at| &self.0[at])
    }

    /// The tag of this short name.
    pub fn tag(&self, name: &str) -> Option<&RefEntry> {
        self.get(&format!("refs/tags/{name}"))
    }

    /// The branch of this short name.
    pub fn branch(&self, name: &str) -> Option<&RefEntry> {
        self.get(&format!("refs/heads/{name}"))
    }

    /// Tags with their short names.
    pub fn tags(&self) -> impl Iterator<Item = (&str, &RefEntry)> {
        self.short("refs/tags/")
    }

    /// Branches with their short names.
    pub fn branches(&self) -> impl Iterator<Item = (&str, &RefEntry)> {
        self.short("refs/heads/")
    }

    /// Tags whose short names begin so, with the rest of these names.
    pub fn tags_after<'a>(
        &'a self,
        beginning: &str,
    ) -> impl Iterator<Item = (&'a str, &'a RefEntry)> + use<'a> {
        self.short(&format!("refs/tags/{beginning}"))
    }

    /// They stand side by side: finding them costs no look at the others.
    fn short<'a>(&'a self, prefix: &str) -> impl Iterator<Item = (&'a str, &'a RefEntry)> + use<'a> {
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
    fn names_are_found_by_their_beginning() {
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
        };
        let refs = Refs::new(names.iter().map(entry).collect());
        fn short<'a>(found: impl Iterator<Item = (&'a str, &'a RefEntry)>) -> Vec<&'a str> {
            found.map(|(name, _)| name).collect()
        }
        assert_eq!(short(refs.tags()), ["1", "a-1", "a/1", "ä"]);
        assert_eq!(short(refs.branches()), ["main"]);
        assert_eq!(short(refs.tags_after("a")), ["-1", "/1"]);
        assert_eq!(short(refs.tags_after("a/")), ["1"]);
        assert_eq!(short(refs.tags_after("b")), [""; 0]);
        assert_eq!(short(Refs::default().tags()), [""; 0]);
    }
}
