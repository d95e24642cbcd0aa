//! The layers of fetched sources, in composition order.

use std::collections::BTreeMap;

use compose_git::Snapshot;
use compose_model::{Diagnostic, Failure, SourceSpec, TreeFile, TreeId, file_name, filter::is_hook};
use compose_plan::{
    config::EnvironmentConfig,
    layer::{Layer, LayerConfig, Part, Source, SourceId},
    resolve::{NodeId, OrderedNode},
};

use crate::{
    repo::{Fetched, with_place},
    wording,
};

/// The layers of all sources.
#[derive(Default)]
pub(crate) struct Listed {
    /// The sources in composition order, each with the snapshot that its files are read from.
    pub(crate) sources: Vec<(Source, Snapshot)>,
    /// The layers of the sources, lowest first.
    pub(crate) layers: Vec<Layer>,
    /// The warnings about the sources, in composition order.
    pub(crate) warnings: Vec<Diagnostic>,
}

/// Lists the files of every source, in composition order.
pub(crate) fn layers(
    order: Vec<OrderedNode>,
    mut fetched: BTreeMap<NodeId, Fetched>,
) -> Result<Listed, Failure> {
    let mut listed = Listed::default();
    let mut problems = Vec::new();
    for node in order {
        let Some(source) = fetched.remove(&node.node) else {
            return Err(wording::ordered_but_not_fetched().into());
        };
        let id = SourceId(listed.sources.len());
        let spec = node.spec;
        match list(&source, &spec, id) {
            Ok((tree, layers)) => {
                let hooks = |layer: &Layer| layer.files.iter().any(|file| is_hook(&file.path));
                let top = if layers.iter().any(hooks) {
                    source.snapshot.directories()
                } else {
                    Vec::new()
                };
                listed.layers.extend(layers);
                let listed_source = Source {
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
                };
                listed.sources.push((listed_source, source.snapshot));
                listed.warnings.extend(source.warnings);
                listed.warnings.extend(node.warnings);
            }
            Err(failed) => problems.extend(failed.into_iter().map(|problem| with_place(problem, &spec))),
        }
    }
    Failure::new(problems).map_or(Ok(listed), Err)
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

fn list(source: &Fetched, spec: &SourceSpec, id: SourceId) -> Result<(TreeId, Vec<Layer>), Vec<Diagnostic>> {
    let one = |problem: Diagnostic| vec![problem];
    let Some(tree) = source
        .snapshot
        .tree(&spec.environment)
        .map_err(|error| one(error.into()))?
    else {
        let existing = source.snapshot.environments().unwrap_or_default();
        return Err(one(wording::no_environment(
            &source.spec,
            &source.resolved,
            &existing,
        )));
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
            let existing = source.snapshot.directories();
            problems.push(wording::no_directory(
                &source.spec,
                &source.resolved,
                part,
                &root.dir,
                &existing,
            ));
            continue;
        }
        match source.snapshot.files(root) {
            Ok(files) => layers.push(Layer {
                source: id,
                part: part.clone(),
                config: config(source, part, &files).map_err(|error| one(error.into()))?,
                files,
                left_out: source.snapshot.left_out(root).to_vec(),
            }),
            Err(error) => problems.extend(wording::unfit(error, part, &root.dir)),
        }
    }
    if problems.is_empty() {
        Ok((tree, layers))
    } else {
        Err(problems)
    }
}

/// Returns the config of a layer. That of the environment was read when its sources were discovered.
fn config(
    source: &Fetched,
    part: &Part,
    files: &[TreeFile],
) -> Result<Option<LayerConfig>, compose_git::Error> {
    let Some(file) = files.iter().find(|file| file.path.as_str() == file_name::CONFIG) else {
        return Ok(None);
    };
    let parsed = match (part, &source.config) {
        (Part::Shared(_), _) => return Ok(None),
        (Part::Environment, Some(parsed)) => parsed.clone(),
        (Part::Environment, None) | (Part::DefaultFolder(_), _) => {
            source.snapshot.with(&file.blob, EnvironmentConfig::parse)?
        }
    };
    Ok(Some(LayerConfig {
        file: file.clone(),
        parsed,
    }))
}
