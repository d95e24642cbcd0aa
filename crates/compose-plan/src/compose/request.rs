//! The input of composing, and its errors.

use compose_model::{Cancel, Cause, ExitCode, TreePath, cancel::Cancelled};

use super::image_deployments::ImageDeployments;
use crate::layer::{Contents, ContentsError, Layers, LocalTree};

/// Everything that composing reads.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// The local environment, relative to the operations repo's root.
    pub environment: &'a TreePath,
    /// The layers that the sources contribute.
    pub layers: &'a Layers,
    /// The bytes of the layers' files.
    pub contents: &'a dyn Contents,
    /// The user's own operations repo.
    pub local: &'a dyn LocalTree,
    /// The image's own `bitops.deployments`, or `None` if they are not known, as when planning
    /// outside of the image.
    pub image_config: Option<&'a ImageDeployments>,
    /// Whether to list the environment's purely local files too.
    pub list_local: bool,
    /// The cancellation flag, which is checked once per path.
    pub cancel: &'a Cancel,
}

/// The reason why there is no composition at all. Problems with its files are in
/// [`Composition::conflicts`](super::Composition::conflicts).
#[derive(Clone, Debug, thiserror::Error)]
pub enum ComposeError {
    /// A file of a source or of the user could not be read.
    #[error(transparent)]
    Contents(#[from] ContentsError),
    /// The run was cancelled.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
    /// All merged files together are too large.
    #[error("the merged files hold more than {limit} MiB in all")]
    TooMuchMerged {
        /// The limit in MiB.
        limit: usize,
    },
    /// The contributions to one file together are too large.
    #[error("{path}: the files to be merged hold more than {limit} MiB in all")]
    TooMuchText {
        /// The path, relative to the operations repo's root.
        path: String,
        /// The limit in MiB.
        limit: usize,
    },
}

impl Cause for ComposeError {
    fn exit_code(&self) -> ExitCode {
        match self {
            Self::Contents(error) => error.exit_code(),
            Self::Cancelled(error) => error.exit_code(),
            Self::TooMuchMerged { .. } | Self::TooMuchText { .. } => ExitCode::Config,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Contents(error) => error.hint(),
            Self::Cancelled(error) => error.hint(),
            Self::TooMuchMerged { .. } | Self::TooMuchText { .. } => {
                Some("leave out files of this size: `exclude` in a source's entry".to_owned())
            }
        }
    }
}
