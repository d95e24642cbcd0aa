//! Composing of layers into files, conflicts, warnings, deployments and provenance.
//!
//! | module | holds |
//! |---|---|
//! | [`bytes`] | the bytes behind a composition |
//! | [`composition`] | the result of composing |
//! | [`explain`](mod@explain) | explanations of where a path or a key came from |
//! | [`remedy`] | the ways to settle conflicts |
//! | [`report`] | the plan as JSON and as text, the manifest |
//!
//! Composing walks through the contributions as one tree (`contributions`), directory by directory
//! beside the user's own tree (`walk`), and settles every path by the rules (`precedence`, `rank`). The
//! configs of the environments are read first (`configs`, `deployments`, `named_files`), because
//! they decide names. What depends on several files of a directory is decided before the walk
//! (`variables`), during it (`overrides`, `keep_both`) and after it (`duplicates`,
//! `override_conflicts`, `ignored_files`, `load_order`).

mod ansible;
pub mod bytes;
mod clashes;
pub mod composition;
mod configs;
mod contributions;
mod deployments;
mod directory;
mod duplicates;
mod edit;
pub mod explain;
mod finish;
mod grouped_remedies;
mod held;
mod ignored_files;
mod image_deployments;
mod keep_both;
mod listing;
mod load_order;
mod missing_shared;
mod named_files;
mod names;
mod override_conflicts;
mod overrides;
mod party;
mod precedence;
mod problem;
mod rank;
mod remedies;
pub mod remedy;
mod remedy_words;
mod rename_warnings;
pub mod report;
mod request;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod var_files;
mod variables;
mod walk;
mod wording;

use compose_merge::Class;
use compose_model::TreePath;

pub use composition::{
    Action, ComposedFile, Composition, Conflict, ConflictGroup, ConflictKind, DeclaredBy, Deployment, Holds,
    KeyTrace, LeftOutFile, Party, Provenance, Rename, Write,
};
pub use configs::without_sources;
use held::Held;
pub use image_deployments::ImageDeployments;
use precedence::Settler;
pub use problem::{ConfigProblem, NotMerged};
pub use request::{ComposeError, Request};
use var_files::NamedFiles;
use walk::Walk;

/// Composes the layers with the local environment.
///
/// The same request gives the same composition: layers stand in declared order, in whatever order
/// they arrived.
pub fn compose(request: &Request<'_>) -> Result<Composition, ComposeError> {
    compose_with(request, compose_merge::class)
}

fn compose_with(
    request: &Request<'_>,
    classify: fn(&TreePath) -> Class,
) -> Result<Composition, ComposeError> {
    let configs = configs::Configs::read(request)?;
    let plan = deployments::plan(request, &configs)?;

    let mut tree = contributions::Dir::of(request.layers, request.environment, &plan.names, &configs);
    let none_named = NamedFiles::default();
    // The configs that are merged to find names are not kept.
    let (passing, held) = (Held::default(), Held::default());
    let settler = Settler {
        request,
        classify,
        named: &none_named,
        held: &passing,
    };
    let named = NamedFiles::read(&settler, &tree, &plan.deployments)?;
    let settler = Settler {
        named: &named,
        held: &held,
        ..settler
    };
    let between_files = variables::order(&settler, &mut tree)?;
    let mut walked = Walk::all(settler, tree)?;
    walked.conflicts.extend(between_files);
    finish::finish(request, configs, plan, walked)
}
