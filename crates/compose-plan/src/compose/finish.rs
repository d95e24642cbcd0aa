//! The parts of a composition that need every path settled: the generated config, warnings, remedies.

use std::collections::{BTreeMap, BTreeSet};

use compose_model::{Diagnostic, FileMode, TreePath, file_name::CONFIG, text};

use super::{
    ComposeError, Request,
    clashes::{Clashes, LISTED},
    composition::{
        Action, Clash, ComposedFile, Composition, ConflictKind, Deployment, LeftOutFile, Provenance, Write,
    },
    configs::{Configs, config_conflict},
    contributions::Names,
    deployments::{Plan, PlannedDeployment},
    duplicates, edit, grouped_remedies, ignored_files, load_order, override_conflicts,
    party::{local_party, source_party},
    problem::ConfigProblem,
    remedies::Advisor,
    rename_warnings,
    walk::Walked,
    wording,
};
use crate::config::deployments::text_of;
use crate::layer::{ContentsError, LocalKind, Origin, Part, Source, SourceId};

/// The number of warnings that are reported.
const MOST_WARNINGS: usize = 100;
/// The number of deployments that a hint names.
const MOST_NAMES: usize = 50;

pub(super) fn finish(
    request: &Request<'_>,
    mut configs: Configs<'_>,
    plan: Plan,
    walked: Walked,
) -> Result<Composition, ComposeError> {
    let mut clashes = walked.conflicts;
    clashes.extend(std::mem::take(&mut configs.conflicts));
    clashes.extend(plan.conflicts);
    clashes.extend(shared_inside(request));
    let mut files = walked.files;
    files.sort_by(|a, b| a.path.cmp(&b.path));
    let mut composition = Composition {
        environment: request.environment.clone(),
        deployments: deployments(request, plan.deployments, &files)?,
        files,
        local_is_cut: walked.local_is_cut,
        generated: false,
        renames: plan.renames,
        left_out: left_out(request, &plan.names),
        conflicts: Vec::new(),
        groups: Vec::new(),
        more_conflicts: 0,
        warnings: walked.warnings,
    };
    clashes.extend(duplicates::find(request, &composition.files)?);
    clashes.extend(override_conflicts::find(request, &composition.files)?);
    if plan.generated {
        generate(request, &configs, &mut composition, &mut clashes)?;
    }
    drop_those_that_as_would_settle(request, &mut clashes);
    let Clashes { mut kept, more } = clashes;
    kept.sort_by(|a, b| (&a.path, a.between()).cmp(&(&b.path, b.between())));
    composition.more_conflicts = more + kept.len().saturating_sub(LISTED);
    let advisor = Advisor::new(request, &configs, &composition.renames);
    (composition.conflicts, composition.groups) = grouped_remedies::listed(&advisor, kept, LISTED);
    warn(request, configs.local.is_some(), plan.generated, &mut composition);
    rename_warnings::warn(request, &mut composition)?;
    let ignored = ignored_files::warn(request, &composition.files)?;
    composition.warnings.extend(ignored);
    let beaten = load_order::warn(request, &composition)?;
    composition.warnings.extend(beaten);
    cut_warnings(&mut composition.warnings);
    Ok(composition)
}

/// Replaces warnings beyond a readable number by their count.
fn cut_warnings(warnings: &mut Vec<Diagnostic>) {
    let more = warnings.len().saturating_sub(MOST_WARNINGS);
    if more > 1 {
        warnings.truncate(MOST_WARNINGS);
        warnings.push(Diagnostic::warning(format!("and {more} more warnings")));
    }
}

/// Returns the files that the sources' entries leave out, for people who want to see them as well.
fn left_out(request: &Request<'_>, names: &Names) -> Vec<LeftOutFile> {
    let mut all = Vec::new();
    for layer in request.layers.layers.iter().filter(|_| request.list_local) {
        let dir = match &layer.part {
            Part::DefaultFolder(dir) | Part::Shared(dir) => dir,
            Part::Environment => &request.layers.sources[layer.source.0].environment,
        };
        all.extend(layer.left_out.iter().filter_map(|file| {
            let path = file.path.as_str();
            let top = file.path.components().next()?;
            let renamed = names.get(&(layer.source, top.to_owned()));
            let placed = renamed.map_or(path.to_owned(), |to| format!("{to}{}", &path[top.len()..]));
            Some(LeftOutFile {
                source: layer.source,
                path: TreePath::new(format!("{}/{placed}", request.environment)).ok()?,
                repo_path: dir.join(&file.path),
                by: file.by,
            })
        }));
    }
    all
}

/// Drops the collisions of sources that could not be renamed. Such a source stands in the wrong
/// place, so its collisions there mean nothing and would hide the actual problem.
fn drop_those_that_as_would_settle(request: &Request<'_>, clashes: &mut Clashes) {
    let unknown: BTreeSet<Origin> = clashes
        .kept
        .iter()
        .filter(|conflict| conflict.kind == ConflictKind::DeploymentsUnknown)
        .flat_map(Clash::between)
        .collect();
    if unknown.is_empty() {
        return;
    }
    // Of the others it is not known which of them would be dropped.
    clashes.more = 0;
    let unplaced = |origin: Origin| {
        let Origin::Source(id) = origin else { return false };
        let via = &request.layers.sources[id.0].via;
        unknown.contains(&origin) || via.iter().any(|via| unknown.contains(&Origin::Source(*via)))
    };
    let in_directory = |path: &TreePath| {
        path.strip_prefix(request.environment)
            .is_some_and(|relative| relative.as_str().contains('/'))
    };
    clashes.kept.retain(|conflict| {
        conflict.kind == ConflictKind::DeploymentsUnknown
            || !in_directory(&conflict.path)
            || !conflict.parties.iter().any(|party| unplaced(party.origin))
    });
}

/// Writes the deployments into the composed config, unless it has a problem already.
fn generate(
    request: &Request<'_>,
    configs: &Configs<'_>,
    composition: &mut Composition,
    clashes: &mut Clashes,
) -> Result<(), ContentsError> {
    let path = request.environment.environment_config();
    if clashes.kept.iter().any(|clash| clash.path == path) {
        return Ok(());
    }
    let place = composition.files.binary_search_by(|file| file.path.cmp(&path));
    let local = request.local.kind(&path)?;
    let (bytes, mode) = match (place.as_ref().map(|at| &composition.files[*at].write), local) {
        (Ok(Write::Bytes { bytes, mode }), _) => (bytes.as_slice().into(), *mode),
        (Ok(Write::Blob { source, file }), _) => (request.contents.read(*source, file)?, file.mode),
        (_, Some(LocalKind::File(mode))) => (request.local.read(&path)?, mode),
        (_, _) => (Vec::new().into(), FileMode::Regular),
    };
    let wanted: Vec<(&str, &str)> = composition
        .deployments
        .iter()
        .map(|one| (one.name.as_str(), one.plugin.as_str()))
        .collect();
    let edited = text_of(&bytes).map_err(ConfigProblem::from).and_then(|text| {
        let edited = edit::set_deployments(&text, &wanted)?;
        Ok((edited != text).then_some(edited))
    });
    match edited {
        Ok(None) => return Ok(()),
        Ok(Some(edited)) => {
            let write = Write::Bytes {
                bytes: edited.into_bytes(),
                mode,
            };
            let at = place.unwrap_or_else(|at| {
                let from = match local {
                    Some(_) => vec![Provenance {
                        origin: Origin::Local,
                        path: path.clone(),
                    }],
                    None => Vec::new(),
                };
                composition.files.insert(at, new_file(&path, from));
                at
            });
            let file = &mut composition.files[at];
            (file.action, file.write) = (Action::Merge, write);
            add_emptied(file, configs);
            file.notes.extend(lost(request, configs));
            composition.generated = true;
        }
        Err(problem) => {
            clashes.push(config_conflict(request.environment, problem, local_party(&path)));
        }
    }
    Ok(())
}

fn new_file(path: &TreePath, from: Vec<Provenance>) -> ComposedFile {
    ComposedFile {
        path: path.clone(),
        action: Action::Merge,
        from,
        write: Write::Local,
        keys: Vec::new(),
        notes: Vec::new(),
    }
}

/// Returns notes on keys that sources set beside the plugins of deployments, which are not carried
/// over.
fn lost(request: &Request<'_>, configs: &Configs<'_>) -> Vec<String> {
    let mut notes = Vec::new();
    for (source, declared) in &configs.declared {
        let label = wording::label(&request.layers.sources[source.0]);
        for (one, _) in declared.iter().filter(|(one, _)| !one.others.is_empty()) {
            let keys = text::escape(&one.others.join(", "), 200);
            notes.push(format!(
                "of the deployment {} of {label} only `plugin` is kept, which is all that the pipeline reads; left out: {keys}",
                one.name
            ));
        }
    }
    notes
}

/// Finds `shared` directories that would land in the environment. `shared` is for directories
/// beside it; inside it, their files would escape `as` and `exclude`.
fn shared_inside(request: &Request<'_>) -> Vec<Clash> {
    let environment = request.environment;
    let inside = |path: &TreePath| path == environment || path.strip_prefix(environment).is_some();
    let mut conflicts = Vec::new();
    for layer in &request.layers.layers {
        let Part::Shared(dir) = &layer.part else { continue };
        if !inside(dir) && environment.strip_prefix(dir).is_none() {
            continue;
        }
        if let Some(file) = layer.files.iter().find(|file| inside(&dir.join(&file.path))) {
            conflicts.push(Clash {
                path: dir.join(&file.path),
                kind: ConflictKind::SharedInside,
                parties: vec![source_party(layer.source, file)],
            });
        }
    }
    conflicts
}

/// Adds the configs that held nothing but what was generated, because they took part as well.
fn add_emptied(file: &mut ComposedFile, configs: &Configs<'_>) {
    let before = file.from.clone();
    file.from
        .extend(configs.emptied().map(|(source, file)| Provenance {
            origin: Origin::Source(source),
            path: file.repo_path.clone(),
        }));
    file.from.sort_by_key(|from| from.origin);
    let moved: Vec<usize> = before
        .iter()
        .map(|old| file.from.iter().position(|new| new == old).unwrap_or_default())
        .collect();
    for key in &mut file.keys {
        key.winner = moved[key.winner];
        key.overridden.iter_mut().for_each(|index| *index = moved[*index]);
    }
}

/// Returns the planned deployments, each with whether its directory exists. `files` are sorted.
fn deployments(
    request: &Request<'_>,
    planned: Vec<PlannedDeployment>,
    files: &[ComposedFile],
) -> Result<Vec<Deployment>, ContentsError> {
    let is_present = |name: &str| -> Result<bool, ContentsError> {
        // The pipeline looks for the directory, so a slash at the end of a name makes no
        // difference.
        let name = name.trim_end_matches('/');
        let Ok(dir) = TreePath::new(format!("{}/{name}", request.environment)) else {
            return Ok(false);
        };
        let below = format!("{dir}/");
        let next = files.partition_point(|file| file.path.as_str() < below.as_str());
        let is_composed = files
            .get(next)
            .is_some_and(|file| file.path.as_str().starts_with(&below));
        Ok(is_composed || request.local.kind(&dir)? == Some(LocalKind::Directory))
    };
    planned
        .into_iter()
        .map(|planned| {
            Ok(Deployment {
                present: is_present(&planned.name)?,
                name: planned.name,
                plugin: planned.plugin,
                by: planned.by,
            })
        })
        .collect()
}

/// Warns of directories that no deployment names, because the pipeline silently skips them. The
/// warning is not possible if the image's own deployments count but are not known.
fn warn(request: &Request<'_>, local_declares: bool, generates: bool, composition: &mut Composition) {
    let config = request.environment.environment_config();
    if request.image_config.is_none() && !local_declares {
        if generates {
            composition.warnings.push(
                Diagnostic::warning(
                    "the image's own deployments are not known here, so the plan may lack some",
                )
                .hint(format!(
                    "plan inside the image, or list all deployments in {config}"
                )),
            );
        }
        return;
    }
    let names: Vec<&str> = composition
        .deployments
        .iter()
        .map(|one| one.name.as_str())
        .collect();
    let named = match names.len() {
        0 => "there is none".to_owned(),
        count if count > MOST_NAMES + 1 => format!(
            "there are {} and {} more",
            names[..MOST_NAMES].join(", "),
            count - MOST_NAMES
        ),
        _ => format!("there are {}", names.join(", ")),
    };
    let hint = format!("{named}; name it in bitops.deployments of {config}, or exclude it");
    let mut warnings = Vec::new();
    for (dir, ids) in idle(request.environment, composition) {
        let sources: Vec<&Source> = ids.iter().map(|id| &request.layers.sources[id.0]).collect();
        let from: Vec<String> = sources.iter().map(|source| wording::label(source)).collect();
        let message = format!(
            "no deployment runs {dir}/, which comes from {}",
            from.join(" and ")
        );
        let warning = Diagnostic::warning(message).hint(hint.as_str());
        warnings.extend(
            sources
                .first()
                .map(|source| warning.with_place(source.place.clone())),
        );
    }
    composition.warnings.extend(warnings);
}

/// Returns the environment's directories that come from sources and that no deployment runs.
///
/// Where deployments have names such as `terraform/aws`, their common directory holds deployments
/// and may hold files that they share. In it, only a directory with a config counts, because a
/// config makes a directory a deployment for BitOps' plugins.
fn idle(environment: &TreePath, composition: &Composition) -> BTreeMap<String, BTreeSet<SourceId>> {
    let run: BTreeSet<&str> = composition
        .deployments
        .iter()
        .map(|deployment| deployment.name.trim_end_matches('/'))
        .collect();
    let is_run = |dir: &str| {
        let ends = dir.match_indices('/').map(|(at, _)| at).chain([dir.len()]);
        ends.into_iter().any(|end| run.contains(&dir[..end]))
    };
    let holds_run = |dir: &str| {
        let below = format!("{dir}/");
        run.range(below.as_str()..)
            .next()
            .is_some_and(|name| name.starts_with(&below))
    };
    let mut idle: BTreeMap<String, BTreeSet<SourceId>> = BTreeMap::new();
    for file in &composition.files {
        let Some((dir, name)) = file
            .path
            .below(environment)
            .and_then(|below| below.rsplit_once('/'))
        else {
            continue;
        };
        if is_run(dir) {
            continue;
        }
        let top = dir.split_once('/').map_or(dir, |(top, _)| top);
        let named = match holds_run(top) {
            false => top,
            true if name == CONFIG => dir,
            true => continue,
        };
        for from in &file.from {
            if let Origin::Source(source) = from.origin {
                idle.entry(named.to_owned()).or_default().insert(source);
            }
        }
    }
    idle
}
