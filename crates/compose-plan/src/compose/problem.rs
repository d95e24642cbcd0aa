//! Why a file is not merged, and why a config cannot be composed.

use compose_model::text::escape;
use compose_yaml::EditError;

use crate::config::DeploymentsError;

/// Why contributions to a path were not merged although its class is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not merged, because of {file}: {}", escape(.reason, 200))]
pub struct NotMerged {
    /// The contribution that cannot be merged, for a sentence.
    pub file: String,
    /// What is wrong with it.
    pub reason: String,
}

/// Why a config is not usable: its deployments cannot be read, or its text cannot be edited.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigProblem {
    /// Its deployments cannot be read.
    #[error(transparent)]
    Deployments(#[from] DeploymentsError),
    /// A key cannot be taken out, or the deployments cannot be written.
    #[error(transparent)]
    Edit(#[from] EditError),
    /// The text with the generated deployments does not mean what it should.
    #[error("its layout is too unusual to add `deployments`")]
    Layout,
    /// It cannot be merged with the configs of other layers, and nothing of it may be lost.
    #[error(transparent)]
    NotMerged(#[from] NotMerged),
}
