//! Layers to a composition: files, conflicts, warnings, deployments, provenance.
//!
//! | module | holds |
//! |---|---|
//! | [`bytes`] | the bytes behind a composition |
//! | [`composition`] | what composing yields |
//! | [`filter`] | `include`, `exclude` and `hooks`, before layers are made |
//! | [`explain`](mod@explain) | where a path or a key came from |
//! | [`report`] | the plan as JSON and as text, the manifest |
//!
//! Composing goes through the contributions as one tree (`tree`), directory by directory beside the user's own
//! (`walk`), and settles every path by the rules (`settle`). What the environments' own configs say comes first
//! (`configs`, `deployments`), because it decides names.

pub mod bytes;
pub mod composition;
mod configs;
mod deployments;
mod duplicates;
mod edit;
pub mod explain;
pub mod filter;
mod finish;
mod fold;
mod hazards;
mod keep_both;
pub mod report;
mod settle;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod together;
mod tree;
mod unshared;
mod walk;
mod wording;
mod yaml;

use compose_merge::Class;
use compose_model::{Cancel, TreePath, cancel::Cancelled};

pub use composition::{
    Action, ComposedFile, Composition, Conflict, ConflictKind, DeclaredBy, Deployment, Holds, KeyTrace,
    LeftOutFile, Party, Provenance, Rename, Write,
};
pub use configs::{CONFIG, LOCK, without_sources};
pub use deployments::ImageDeployments;
use settle::Settler;
use walk::Walk;

use crate::layer::{Contents, ContentsError, Layers, LocalTree};

/// All that composing looks at.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// The local environment, relative to the operations repo's root.
    pub environment: &'a TreePath,
    /// What sources contribute.
    pub layers: &'a Layers,
    /// The bytes of it.
    pub contents: &'a dyn Contents,
    /// The user's own operations repo.
    pub local: &'a dyn LocalTree,
    /// The image's own `bitops.deployments`; `None`: not known, as when planning outside of the image.
    pub image_config: Option<&'a ImageDeployments>,
    /// List the environment's purely local files too.
    pub list_local: bool,
    /// Looked at once per path.
    pub cancel: &'a Cancel,
}

/// Why there is no composition at all. What is wrong with its files is in [`Composition::conflicts`].
#[derive(Clone, Debug, thiserror::Error)]
pub enum ComposeError {
    /// A source's or the user's own file could not be read.
    #[error(transparent)]
    Contents(#[from] ContentsError),
    /// The run was cancelled.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

/// Composes the layers with the local environment. The same request gives the same composition: layers stand in
/// declared order, whatever order they arrived in.
pub fn compose(request: &Request<'_>) -> Result<Composition, ComposeError> {
    compose_with(request, compose_merge::class)
}

fn compose_with(
    request: &Request<'_>,
    classify: fn(&TreePath) -> Class,
) -> Result<Composition, ComposeError> {
    let mut configs = configs::Configs::read(request)?;
    let plan = deployments::plan(request, &configs)?;
    configs.rewrite_all(request.environment);

    let tree = tree::Dir::of(request.layers, request.environment, &plan.names, &configs);
    let mut walk = Walk::new(Settler { request, classify });
    walk.dir(None, tree, true)?;
    let local_is_cut = walk.is_cut();
    let Walk {
        files,
        conflicts,
        warnings,
        ..
    } = walk;
    let composition = finish::finish(request, configs, plan, files, conflicts, warnings)?;
    Ok(Composition {
        local_is_cut,
        ..composition
    })
}
