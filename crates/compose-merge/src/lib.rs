//! Merges what several layers contribute to one path into one file, by the path's class: YAML, JSON and Terraform's
//! files.
//!
//! ```
//! use compose_merge::{Class, Contribution, Input, Precedence, class};
//! use compose_model::TreePath;
//!
//! let path = TreePath::new("dev/helm/web/values.yaml").unwrap();
//! let Class::Merge(merger) = class(&path) else {
//!     panic!("Helm values are merged")
//! };
//! let catalog = b"replicas: 1 # enough for a start\nimage: {tag: '1.0'}\n";
//! let local = b"replicas: 3\n";
//! let merged = merger
//!     .merge(&Input {
//!         path: &path,
//!         contributions: &[Contribution { bytes: catalog }, Contribution { bytes: local }],
//!         precedence: &|_lower, _higher| Precedence::HigherWins,
//!     })
//!     .unwrap();
//! assert_eq!(merged.bytes, b"replicas: 3 # enough for a start\nimage: {tag: '1.0'}\n");
//! assert_eq!((merged.keys[0].key.as_str(), merged.keys[0].winner), ("replicas", 1));
//! ```
//!
//! A [`Merger`] gets all contributions of a path at once, lowest first, and returns the merged text, the origin of each
//! key, and every conflict.
//!
//! | module | holds |
//! |---|---|
//! | `class` | which paths are merged, and how: one table |
//! | `settle` | which of several contributions count for a key |
//! | `tree`, `value`, `scalar` | a file as nodes with their bytes, and what they load to by YAML 1.1 |
//! | `yaml`, `json` | texts to trees |
//! | `deep` | the merge by meaning |
//! | `emit`, `block`, `flow`, `text` | the result's text, spliced |
//! | `document` | YAML and JSON files: parse, merge, splice, check |
//! | `hcl`, `tfvars`, `lock_hcl`, `definitions` | Terraform's files |

use std::collections::HashSet;

use compose_model::TreePath;

mod block;
mod class;
mod deep;
mod definitions;
mod document;
mod emit;
mod flow;
mod hcl;
mod json;
mod lock_hcl;
mod scalar;
mod settle;
mod text;
mod tfvars;
mod tree;
mod value;
mod yaml;

pub use class::{Row, TABLE, class};
pub use definitions::{Definition, DefinitionKind, Duplicate, definitions, duplicates};
pub use document::{Json, Yaml};
pub use lock_hcl::LockHcl;
pub use tfvars::Tfvars;

/// What one layer contributes to a path.
#[derive(Clone, Copy, Debug)]
pub struct Contribution<'a> {
    /// The file's bytes.
    pub bytes: &'a [u8],
}

/// How two contributions of one merge stand to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precedence {
    /// The higher one wins: it is the local environment, or the source that nests the lower one, or `on-conflict: last`.
    HigherWins,
    /// The lower one stays: `on-conflict: first`.
    LowerStays,
    /// Two sources of equal standing: different values of one key are a conflict, unless a higher contribution sets the key.
    Conflict,
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

/// A merged file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merged {
    /// The text.
    pub bytes: Vec<u8>,
    /// Every leaf key of the result, in document order.
    pub keys: Vec<KeyOrigin>,
    /// Keys on which contributions of equal standing disagree; when any is there, `bytes` must not be used.
    pub conflicts: Vec<KeyConflict>,
    /// Comments that are not in `bytes`, by contribution and line.
    pub lost: Vec<LostComment>,
}

/// A comment that has no place in the merged text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LostComment {
    /// Whose.
    pub contribution: usize,
    /// Its line there, from 1.
    pub line: usize,
    /// With its sign.
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
    /// The lower contribution and the line of its key, from 1.
    pub lower: (usize, usize),
    /// The higher contribution and the line of its key, from 1.
    pub higher: (usize, usize),
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
    fn merge(&self, input: &Input<'_>) -> Result<Merged, Unmergeable>;
}

/// What is done when several layers contribute to a path.
#[derive(Clone, Copy)]
pub enum Class {
    /// Merged into one.
    Merge(&'static dyn Merger),
    /// Both stay, the lower one under another name (`.tf`, `.tf.json`).
    KeepBoth,
    /// Rule 5: local over source, source against source a conflict.
    Whole,
}

/// A file's comments: lines and texts.
type Comments<'a> = Vec<(usize, &'a str)>;

/// Those comments of the contributions that the result does not have, wherever it has them.
fn lost_comments(contributions: &[Comments<'_>], result: &Comments<'_>) -> Vec<LostComment> {
    let kept: HashSet<&str> = result.iter().map(|(_, text)| text.trim()).collect();
    let mut lost = Vec::new();
    for (contribution, comments) in contributions.iter().enumerate() {
        let gone = comments.iter().filter(|(_, text)| !kept.contains(text.trim()));
        lost.extend(gone.map(|(line, text)| LostComment {
            contribution,
            line: *line,
            text: text.trim().to_owned(),
        }));
    }
    lost
}

/// One component of a key path: as it is, or as a JSON string when it holds anything but letters, digits, `_` and `-`.
fn key_component(text: &str) -> String {
    let plain = !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    if plain {
        text.to_owned()
    } else {
        serde_json::Value::from(text).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn last(_: usize, _: usize) -> Precedence {
        Precedence::HigherWins
    }

    pub(super) fn equals(_: usize, _: usize) -> Precedence {
        Precedence::Conflict
    }

    /// Merges texts, lowest first.
    pub(super) fn merge_text(
        merger: &dyn Merger,
        texts: &[&str],
        precedence: fn(usize, usize) -> Precedence,
    ) -> Result<Merged, Unmergeable> {
        let contributions: Vec<_> = texts
            .iter()
            .map(|text| Contribution {
                bytes: text.as_bytes(),
            })
            .collect();
        let path = TreePath::new("dev/file").unwrap();
        merger.merge(&Input {
            path: &path,
            contributions: &contributions,
            precedence: &precedence,
        })
    }
}
