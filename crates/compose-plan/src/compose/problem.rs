//! The reasons why a file is not merged, and why a config cannot be composed.

use compose_model::text::escape;
use compose_yaml::EditError;

use crate::config::DeploymentsError;

/// The reason why contributions to a path were not merged although its class is to merge.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not merged, because of {file}: {}", escape(.reason, 200))]
pub struct NotMerged {
    /// The contribution that cannot be merged, as part of a sentence.
    pub file: String,
    /// The problem of that contribution.
    pub reason: String,
}

/// The reason why a config is not usable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigProblem {
    /// The deployments of the config cannot be read.
    #[error(transparent)]
    Deployments(#[from] DeploymentsError),
    /// A key cannot be removed, or the deployments cannot be written.
    #[error(transparent)]
    Edit(#[from] EditError),
    /// The text with the generated deployments does not have the intended meaning.
    #[error("its layout is too unusual to add `deployments`")]
    Layout,
    /// The config cannot be merged with those of other layers, and nothing of it may be lost.
    #[error(transparent)]
    NotMerged(#[from] NotMerged),
}
