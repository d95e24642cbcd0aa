//! The layers of fetched sources, in composition order.

use std::collections::BTreeMap;

use compose_git::Traces;
use compose_model::{
    Diagnostic, ExitCode, Failure, SourceSpec, TreePath,
    filter::{glob, is_hook},
    text,
};
use compose_plan::{
    layer::{Layer, Layers, Part, Source, SourceId},
    resolve::{NodeId, OrderedNode},
};

use crate::{
    gathered::Gathered,
    repo::{Fetched, with_place},
};

/// Lists the files of every source, in composition order.
pub(crate) fn layers(
    traces: Traces,
    order: Vec<OrderedNode>,
    mut fetched: BTreeMap<NodeId, Fetched>,
) -> Result<Gathered, Failure> {
    let mut gathered = Gathered {
        layers: Layers::default(),
        warnings: Vec::new(),
        snapshots: Vec::new(),
        traces,
        tidying: None,
    };
    let mut problems = Vec::new();
    for node in order {
        let Some(source) = fetched.remove(&node.node) else {
            return Err(Diagnostic::new(ExitCode::Bug, "a source was ordered and not fetched").into());
        };
        let id = SourceId(gathered.snapshots.len());
        let spec = node.spec;
        match list(&source, &spec, id) {
            Ok((tree, layers)) => {
                let hooks = |layer: &Layer| layer.files.iter().any(|file| is_hook(&file.path));
                let top = if layers.iter().any(hooks) {
                    source.snapshot.directories()
                } else {
                    Vec::new()
                };
                gathered.layers.layers.extend(layers);
                gathered.layers.sources.push(Source {
                    repo: spec.repo,
                    environment: spec.environment,
                    requested: spec.requested,
                    resolved: source.resolved,
                    is_locked: source.is_locked,
                    signature: source.signature,
                    tree,
                    via: node.via.into_iter().map(SourceId).collect(),
                    below: node.below.into_iter().map(SourceId).collect(),
                    rename: spec.rename,
                    on_conflict: spec.on_conflict,
                    place: spec.place,
                    top,
                });
                gathered.snapshots.push(source.snapshot);
                gathered.warnings.extend(source.warnings);
                gathered.warnings.extend(node.warnings);
            }
            Err(failed) => problems.extend(failed.into_iter().map(|problem| with_place(problem, &spec))),
        }
    }
    Failure::new(problems).map_or(Ok(gathered), Err)
}

/// Returns the problems that keep a fetched source from being composed.
pub(crate) fn problems(source: &Fetched) -> Vec<Diagnostic> {
    let listed = list(source, &source.spec, SourceId(0)).err();
    listed
        .into_iter()
        .flatten()
        .map(|problem| with_place(problem, &source.spec))
        .collect()
}

fn list(
    source: &Fetched,
    spec: &SourceSpec,
    id: SourceId,
) -> Result<(compose_model::TreeId, Vec<Layer>), Vec<Diagnostic>> {
    let one = |problem: Diagnostic| vec![problem];
    let Some(tree) = source
        .snapshot
        .tree(&spec.environment)
        .map_err(|error| one(error.into()))?
    else {
        return Err(one(no_environment(source)));
    };
    let mut layers = Vec::new();
    let mut problems = Vec::new();
    for (part, root) in &source.parts {
        let is_there = source
            .snapshot
            .tree(&root.dir)
            .map_err(|error| one(error.into()))?
            .is_some();
        if !is_there {
            problems.push(no_directory(source, part, &root.dir));
            continue;
        }
        match source.snapshot.files(root) {
            Ok(files) => layers.push(Layer {
                source: id,
                part: part.clone(),
                files,
                left_out: source.snapshot.left_out(root).to_vec(),
            }),
            Err(error) => problems.push(unfit(error, part, &root.dir)),
        }
    }
    if problems.is_empty() {
        Ok((tree, layers))
    } else {
        Err(problems)
    }
}

/// Reports a directory that cannot be used, with the `exclude` that leaves out the bad path. Globs start at
/// the directory; shared directories have none.
fn unfit(error: compose_git::Error, part: &Part, dir: &TreePath) -> Diagnostic {
    let remedy = match (&error, part) {
        (compose_git::Error::Tree { path, .. }, Part::Environment | Part::DefaultFolder(_)) => path
            .strip_prefix(dir.as_str())
            .filter(|below| below.starts_with('/'))
            .map(|below| {
                format!(
                    "exclude: [\"{}\"] in the source's entry leaves it out",
                    glob(below)
                )
            }),
        _ => None,
    };
    let problem = Diagnostic::from(error);
    match remedy {
        Some(remedy) => problem.hint(remedy),
        None => problem,
    }
}

/// Reports a directory that an entry names and that does not exist. Ignoring it would deploy other files
/// than the user expects.
fn no_directory(source: &Fetched, part: &Part, dir: &TreePath) -> Diagnostic {
    let key = match part {
        Part::DefaultFolder(_) => "default-folder",
        Part::Environment | Part::Shared(_) => "shared",
    };
    let tag = text::escape(&source.resolved.name, 80);
    let message = format!(
        "{} @ {tag} has no directory `{dir}`, which `{key}` names",
        source.spec.repo
    );
    let there = source.snapshot.directories();
    let near = text::did_you_mean(dir.as_str(), there.iter().map(String::as_str));
    Diagnostic::new(ExitCode::Config, message).hint(match near {
        Some(near) => format!("did you mean `{}`?", text::escape(near, 80)),
        None => "correct the name, leave it out, or take a version that has it".to_owned(),
    })
}

fn no_environment(source: &Fetched) -> Diagnostic {
    let spec = &source.spec;
    let tag = text::escape(&source.resolved.name, 80);
    let problem = Diagnostic::new(
        ExitCode::Config,
        format!("{} @ {tag} has no environment `{}`", spec.repo, spec.environment),
    )
    .with_place(spec.environment_place());
    let there = source.snapshot.environments().unwrap_or_default();
    let wanted = spec.environment.as_str();
    match (
        text::did_you_mean(wanted, there.iter().map(String::as_str)),
        there.as_slice(),
    ) {
        (_, []) => problem.hint("the repo has no directory that could be an environment"),
        (Some(near), all) => problem.hint(format!("did you mean `{near}`? There are: {}", first_few(all))),
        (None, all) => problem.hint(format!("there are: {}", first_few(all))),
    }
}

/// Joins the first names of a list for a message. A catalog may have a thousand environments.
fn first_few(names: &[String]) -> String {
    const SHOWN: usize = 20;
    let shown = names
        .iter()
        .take(SHOWN)
        .map(|name| text::escape(name, 80))
        .collect::<Vec<_>>()
        .join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
