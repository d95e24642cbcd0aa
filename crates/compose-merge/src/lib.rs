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
//! let outcome = merger.merge(&Input {
//!     path: &path,
//!     contributions: &[Contribution { bytes: catalog }, Contribution { bytes: local }],
//!     precedence: &|_lower, _higher| Precedence::HigherWins,
//! });
//! let merged = outcome.unwrap().merged().expect("the higher contribution wins");
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
//! | `identity`, `whole_document` | which documents are taken as a whole wherever they are: encrypted ones, other objects |
//! | `merger`, `precedence` | what a merger is given and returns; which of several contributions count for a key |
//! | `refusal` | why a text is not merged, and where: all messages of this crate |
//! | `tree`, `value` | a file as nodes with their bytes, and what they load to |
//! | `yaml`, `json` | texts to trees |
//! | `deep` | the merge by meaning |
//! | `emit`, `block`, `flow`, `splice` | the result's text, spliced |
//! | `document` | YAML and JSON files: parse, merge, splice, check |
//! | `comments`, `key_path`, `limits` | what all types of files share |
//! | `settings` | what YAML files set, for tools that load several of them |
//! | `terraform`, `hcl`, `tfvars`, `variables`, `lock_hcl`, `definitions`, `override_settings` | Terraform's files |

mod block;
mod class;
mod comments;
mod deep;
mod definitions;
mod document;
mod emit;
mod flow;
mod hcl;
mod identity;
mod json;
mod key_path;
mod limits;
mod lock_hcl;
mod merger;
mod override_settings;
mod precedence;
mod refusal;
mod settings;
mod splice;
mod terraform;
mod tfvars;
mod tree;
mod value;
mod variables;
mod whole_document;
mod yaml;

pub use class::{Class, Row, TABLE, class};
pub use definitions::{Definition, Duplicate, definitions, duplicates};
pub use document::{Json, TfvarsJson, Yaml};
pub use identity::{WHOLE_DOCUMENTS, WholeRow};
pub use lock_hcl::LockHcl;
pub use merger::{
    Contribution, Input, KeyConflict, KeyOrigin, KeyPlace, LostComment, MergeOutcome, Merged, Merger,
};
pub use override_settings::{OverrideSetting, override_settings};
pub use precedence::{Precedence, Settlement, settle};
pub use refusal::{Expansion, KeyProblem, Position, Reason, Refusal, TerraformProblem, Unmergeable};
pub use settings::{Keys, Setting, settings};
pub use terraform::{DefinitionKind, DefinitionsFile, Dialect, Syntax, VariablesStep};
pub use tfvars::Tfvars;
pub use variables::{Assignment, assignments, without};
pub use whole_document::WholeDocument;

#[cfg(test)]
mod tests {
    use compose_model::TreePath;

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
    ) -> Result<MergeOutcome, Unmergeable> {
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

    /// Merges texts that leave no conflict.
    pub(super) fn merged(
        merger: &dyn Merger,
        texts: &[&str],
        precedence: fn(usize, usize) -> Precedence,
    ) -> Merged {
        let outcome = merge_text(merger, texts, precedence).unwrap();
        outcome.merged().unwrap()
    }

    /// Returns the conflicts of texts that have some.
    pub(super) fn conflicts(
        merger: &dyn Merger,
        texts: &[&str],
        precedence: fn(usize, usize) -> Precedence,
    ) -> Vec<KeyConflict> {
        match merge_text(merger, texts, precedence).unwrap() {
            MergeOutcome::Conflicts(conflicts) => conflicts,
            MergeOutcome::Merged(merged) => panic!("{merged:?}"),
        }
    }
}
