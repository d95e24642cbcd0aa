//! A repo's advertised refs, as one look at them found them.

use crate::{CommitId, ObjectId};

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

    fn short<'a>(&'a self, prefix: &'static str) -> impl Iterator<Item = (&'a str, &'a RefEntry)> {
        self.0
            .iter()
            .filter_map(move |entry| Some((entry.name.strip_prefix(prefix)?, entry)))
    }
}
