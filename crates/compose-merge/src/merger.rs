//! What a merger is given, and what it returns.

use compose_model::TreePath;

use crate::precedence::Precedence;

/// What one layer contributes to a path.
#[derive(Clone, Copy, Debug)]
pub struct Contribution<'a> {
    /// The file's bytes.
    pub bytes: &'a [u8],
}

/// All that a merger may look at.
pub struct Input<'a> {
    /// The path relative to the operations repo's root, which decides nothing but messages.
    pub path: &'a TreePath,
    /// Lowest first; at least two.
    pub contributions: &'a [Contribution<'a>],
    /// How the contribution `higher` stands to `lower`: indexes into `contributions`, `lower < higher`.
    pub precedence: &'a dyn Fn(usize, usize) -> Precedence,
}

/// What comes of merging a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MergeOutcome {
    /// One file.
    Merged(Merged),
    /// The keys on which contributions of equal standing disagree, one at least: there is no file.
    Conflicts(Vec<KeyConflict>),
}

impl MergeOutcome {
    /// The file, unless there are conflicts.
    pub fn merged(self) -> Option<Merged> {
        match self {
            MergeOutcome::Merged(merged) => Some(merged),
            MergeOutcome::Conflicts(_) => None,
        }
    }
}

/// A merged file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merged {
    /// The text.
    pub bytes: Vec<u8>,
    /// Every leaf key of the result, in document order.
    pub keys: Vec<KeyOrigin>,
    /// Comments that are not in `bytes`, by contribution and line.
    pub lost: Vec<LostComment>,
}

/// A comment that has no place in the merged text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LostComment {
    /// The contribution that it is from.
    pub contribution: usize,
    /// Its line there, from 1.
    pub line: usize,
    /// The comment with its sign.
    pub text: String,
}

/// Where a key of the result came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyOrigin {
    /// The key path: `a.b.c`; components with dots or other signs are quoted as JSON strings.
    pub key: String,
    /// The contribution whose value it is.
    pub winner: usize,
    /// Line of the key in the winner's text, from 1.
    pub line: usize,
    /// Contributions that set the key to something else and lost, highest first.
    pub overridden: Vec<usize>,
}

/// Two contributions of equal standing that disagree on a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyConflict {
    /// The key path, as in [`KeyOrigin::key`].
    pub key: String,
    /// The key in the lower contribution.
    pub lower: KeyPlace,
    /// The key in the higher contribution.
    pub higher: KeyPlace,
}

/// Where a contribution sets a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyPlace {
    /// The contribution.
    pub contribution: usize,
    /// The key's line, from 1.
    pub line: usize,
}

/// A contribution that cannot be merged: the path then falls under rule 5 as a whole.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("contribution {index} is not merged: {why}")]
pub struct Unmergeable {
    /// Which contribution.
    pub index: usize,
    /// Why: `not valid YAML: …`, `several documents`, `not a mapping`, `a merge key (<<)`.
    pub why: String,
}

/// Merges one type of file.
pub trait Merger: Sync {
    /// Merges all contributions.
    fn merge(&self, input: &Input<'_>) -> Result<MergeOutcome, Unmergeable>;
}
