//! The reasons why a file is not merged, and why a config cannot be composed.

use std::sync::Arc;

use compose_merge::Refusal;
use compose_model::text::escape;
use compose_yaml::EditError;

use crate::config::DeploymentsError;

/// The reason why contributions to a path were not merged although its class is to merge.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{file}{} is not merged: {}", place(.refusal), escape(&.refusal.reason.to_string(), 200))]
pub struct NotMerged {
    /// The contribution that cannot be merged, as part of a sentence.
    pub file: String,
    /// The problem of that contribution.
    pub refusal: Arc<Refusal>,
}

/// Returns the place of the problem as part of a sentence after the file.
fn place(refusal: &Refusal) -> String {
    let position = refusal.position.filter(|_| !refusal.reason.is_by_design());
    position.map_or_else(String::new, |position| format!(" ({position})"))
}

/// Two reasons are equal if they read the same: the errors of the JSON and HCL libraries cannot be
/// compared otherwise.
impl PartialEq for NotMerged {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}

impl Eq for NotMerged {}

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
