//! The proof that a composition is what a directory was.

use std::collections::BTreeSet;

use compose_model::{Failure, TreePath, config_key::PARENT, file_name};
use compose_plan::{
    adopt::own_path,
    compose::{Composition, bytes::Bytes},
    layer::{LocalKind, LocalTree as _, Origin},
};
use compose_yaml::Tree;

use crate::{job::Job, local::DiskTree, pipeline::Planned};

/// Returns the composed files of a job with changes to come that would not be as they were, each with the path by which the source has it.
pub(super) fn differences(
    (was, job): (&Job, &Job),
    before: &Planned,
    after: &Planned,
    removed: &BTreeSet<TreePath>,
    (environment, rename): (&TreePath, Option<&str>),
) -> Result<Vec<(TreePath, String)>, Failure> {
    let was_local = DiskTree::of(was);
    let is_local = DiskTree::of(job);
    let mut paths: BTreeSet<&TreePath> = removed.iter().collect();
    for composition in [&before.composition, &after.composition] {
        paths.extend(composition.files.iter().map(|file| &file.path));
    }
    let mut found = Vec::new();
    for path in paths {
        let was = content(path, before, &was_local)?;
        let is = content(path, after, &is_local)?;
        let config = job.environment.environment_config();
        let same = match (&was, &is) {
            (Some(was), Some(is)) => was.1 == is.1 && loads_as(path, *path == config, &was.0, &is.0),
            (None, None) => true,
            _ => false,
        };
        if !same {
            found.push((
                path.clone(),
                in_source(&after.composition, path, environment, rename),
            ));
        }
    }
    Ok(found)
}

type Content = (Vec<u8>, bool);

fn content(path: &TreePath, planned: &Planned, local: &DiskTree) -> Result<Option<Content>, Failure> {
    let bytes = Bytes::new(&planned.gathered.layers, &planned.gathered, local);
    let executable = |mode: compose_model::FileMode| mode == compose_model::FileMode::Executable;
    if let Some(file) = planned.composition.file(path) {
        let (bytes, mode) = bytes.composed(file)?;
        return Ok(Some((bytes.to_vec(), executable(mode))));
    }
    match local.kind(path)? {
        Some(LocalKind::File(mode)) => Ok(Some((local.read(path)?.to_vec(), executable(mode)))),
        _ => Ok(None),
    }
}

/// Returns whether two texts are the same file to those who load it: YAML and JSON by their values, all else by bytes.
fn loads_as(path: &TreePath, is_config: bool, was: &[u8], is: &[u8]) -> bool {
    if was == is {
        return true;
    }
    let name = path.file_name();
    if ![".yaml", ".yml", ".json"].iter().any(|end| name.ends_with(end)) {
        return false;
    }
    let parse = |bytes| {
        compose_yaml::read_text(bytes)
            .ok()
            .and_then(|text| Tree::parse(text.into_owned()).ok())
    };
    let (Some(was), Some(is)) = (parse(was), parse(is)) else {
        return false;
    };
    // The list itself is what changes, and the deployments are compared as those that run.
    let list = compose_plan::config::LIST;
    let own: [&[&str]; 3] = [&[list], &[PARENT, list], &[PARENT, "deployments"]];
    let skip: &[&[&str]] = if is_config && name == file_name::CONFIG {
        &own
    } else {
        &[]
    };
    match (was.root(), is.root()) {
        (Some(one), Some(other)) => was.loads_as(one, &is, other, skip),
        _ => false,
    }
}

/// Returns the path of a composed file in the source's environment.
fn in_source(after: &Composition, path: &TreePath, environment: &TreePath, rename: Option<&str>) -> String {
    let provenance = after.file(path).and_then(|file| {
        let mut sources = file
            .from
            .iter()
            .filter(|from| matches!(from.origin, Origin::Source(_)));
        sources.find_map(|from| from.path.below(environment).map(str::to_owned))
    });
    provenance.unwrap_or_else(|| own_path(&path.relative_to(&after.environment), rename))
}
