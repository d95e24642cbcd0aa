//! Why contributions stay apart.

use compose_model::text::escape;

/// Why contributions to a path were not merged although its class is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not merged, because of {file}: {}", escape(.reason, 200))]
pub struct NotMerged {
    /// The contribution that cannot be merged, for a sentence.
    pub file: String,
    /// What is wrong with it.
    pub reason: String,
}
