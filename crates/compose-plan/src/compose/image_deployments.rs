//! The image's own deployments.

use crate::config::{DeploymentsError, deployments::declared};

/// The image's own `bitops.deployments`, in its order, as pairs of name and plugin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageDeployments(pub Vec<(String, String)>);

/// The deployments of BitOps' official image with all plugins (`omnibus`, which is also `latest`),
/// from 2.0.0 to 2.6.0. They come from `prebuilt-config/omnibus/bitops.config.yaml` of BitOps. Each
/// deployment has the name of its plugin.
const OMNIBUS: [&str; 4] = ["cloudformation", "terraform", "helm", "ansible"];

impl ImageDeployments {
    /// Returns the deployments of the official image with all plugins, as a fallback if no image's
    /// config can be read.
    pub fn omnibus() -> Self {
        let own = |name: &str| (name.to_owned(), name.to_owned());
        Self(OMNIBUS.into_iter().map(own).collect())
    }

    /// Reads the deployments from the text of the image's `bitops.config.yaml`.
    pub fn parse(text: &str) -> Result<Self, DeploymentsError> {
        let declared = declared(text)?.unwrap_or_default();
        Ok(Self(
            declared.into_iter().map(|one| (one.name, one.plugin)).collect(),
        ))
    }
}
