//! The arguments of `doctor`.

use clap::Args;

use super::Targets;

/// `doctor`
#[derive(Clone, Debug, Args)]
pub(crate) struct Doctor {
    #[command(flatten)]
    pub(crate) targets: Targets,
}
