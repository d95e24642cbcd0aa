//! The image's own deployments.

use crate::config::{DeploymentsError, deployments::declared};

/// The image's own `bitops.deployments`, in its order: names and plugins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageDeployments(pub Vec<(String, String)>);

/// What BitOps' official image with all plugins (`omnibus`, which is `latest` as well) deploys, from 2.0.0 to 2.6.0: the
/// `prebuilt-config/omnibus/bitops.config.yaml` of BitOps. Each name is its plugin's.
const OMNIBUS: [&str; 4] = ["cloudformation", "terraform", "helm", "ansible"];

impl ImageDeployments {
    /// Those of the official image with all plugins, for where no image's config can be read.
    pub fn omnibus() -> Self {
        let own = |name: &str| (name.to_owned(), name.to_owned());
        Self(OMNIBUS.into_iter().map(own).collect())
    }

    /// Reads them from the text of the image's `bitops.config.yaml`.
    pub fn parse(text: &str) -> Result<Self, DeploymentsError> {
        let declared = declared(text)?.unwrap_or_default();
        Ok(Self(
            declared.into_iter().map(|one| (one.name, one.plugin)).collect(),
        ))
    }
}
