//! The interface of mergers: their input and their outcome.

use compose_model::TreePath;

use crate::{precedence::Precedence, refusal::Unmergeable};

/// The contribution of one layer to a path.
#[derive(Clone, Copy, Debug)]
pub struct Contribution<'a> {
    /// The file's bytes.
    pub bytes: &'a [u8],
}

/// Everything that a merger may use.
pub struct Input<'a> {
    /// The path relative to the operations repo's root. It is used in messages only.
    pub path: &'a TreePath,
    /// The contributions, lowest first; at least two.
    pub contributions: &'a [Contribution<'a>],
    /// Returns the precedence of two contributions, given as indexes `lower < higher`.
    pub precedence: &'a dyn Fn(usize, usize) -> Precedence,
}

/// The outcome of a merge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MergeOutcome {
    /// The contributions were merged into one file.
    Merged(Merged),
    /// No file was made, because contributions of equal standing disagree on these keys. There is
    /// at least one key.
    Conflicts(Vec<KeyConflict>),
}

impl MergeOutcome {
    /// Returns the file, unless there are conflicts.
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
    /// The comments that are not in `bytes`, by contribution and line.
    pub lost: Vec<LostComment>,
}

/// A comment that has no place in the merged text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LostComment {
    /// The contribution that contains the comment.
    pub contribution: usize,
    /// The line in that contribution, from 1.
    pub line: usize,
    /// The comment with its marker.
    pub text: String,
}

/// The origin of a key of the result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyOrigin {
    /// The key path: `a.b.c`; components with dots or other special characters are quoted as JSON strings.
    pub key: String,
    /// The contribution that gave the value.
    pub winner: usize,
    /// The line of the key in the winner's text, from 1.
    pub line: usize,
    /// The contributions that set the key to another value and lost, highest first.
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

/// The place at which a contribution sets a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyPlace {
    /// The contribution.
    pub contribution: usize,
    /// The key's line, from 1.
    pub line: usize,
}

/// Merges one type of file.
pub trait Merger: Sync {
    /// Merges all contributions.
    fn merge(&self, input: &Input<'_>) -> Result<MergeOutcome, Unmergeable>;
}
