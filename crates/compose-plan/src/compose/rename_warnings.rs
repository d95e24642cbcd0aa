//! Warnings about renamed deployments that other files still refer to by their old names, and about
//! charts that share a release.
//!
//! Both problems come from names. `as` renames directories and does not change texts, so a path
//! from one deployment into another breaks. The helm plugin names a release after its chart's
//! directory, whichever deployment that is in.

use std::collections::BTreeMap;

use compose_model::{Diagnostic, TreePath, file_name::CONFIG};
use compose_yaml::Tree;

use super::{
    ComposeError, Request,
    bytes::Bytes,
    composition::{Composition, Rename, Write},
    missing_shared, wording,
};
use crate::layer::{LocalKind, Origin, SourceId};

/// The size, in bytes, above which a file counts as data that does not name paths.
const LONGEST: usize = 256 * 1024;

/// The number of places that one warning names; the others are counted.
const MOST: usize = 3;

/// The plugin that names releases after directories.
const HELM: &str = "helm";

pub(super) fn warn(request: &Request<'_>, composition: &mut Composition) -> Result<(), ComposeError> {
    let bytes = Bytes::new(request.layers, request.contents, request.local);
    let mut warnings = broken_paths(request, composition, &bytes)?;
    warnings.extend(same_releases(request, composition, &bytes)?);
    warnings.extend(missing_shared::warn(request, composition, &bytes)?);
    composition.warnings.extend(warnings);
    Ok(())
}

/// Finds files of a renamed source that refer to another of its directories by the old name.
fn broken_paths(
    request: &Request<'_>,
    composition: &Composition,
    bytes: &Bytes<'_>,
) -> Result<Vec<Diagnostic>, ComposeError> {
    let mut renames: BTreeMap<SourceId, Vec<&Rename>> = BTreeMap::new();
    for rename in &composition.renames {
        renames.entry(rename.source).or_default().push(rename);
    }
    if renames.is_empty() {
        return Ok(Vec::new());
    }
    let mut found: BTreeMap<SourceId, Vec<(String, &Rename)>> = BTreeMap::new();
    for file in &composition.files {
        let of = file.from.iter().rev().find_map(|from| match from.origin {
            Origin::Source(source) => renames.get(&source),
            Origin::Local => None,
        });
        let (Some(of), false) = (of, matches!(file.write, Write::Local)) else {
            continue;
        };
        request.cancel.check()?;
        let (text, _) = bytes.composed(file)?;
        let Some(text) = std::str::from_utf8(&text)
            .ok()
            .filter(|text| text.len() <= LONGEST)
        else {
            continue;
        };
        for rename in of {
            if let Some(line) = text.lines().position(|line| leads_to(line, &rename.from)) {
                let places = found.entry(rename.source).or_default();
                places.push((format!("{}:{}", file.path, line + 1), *rename));
            }
        }
    }
    let told = |(id, places): (SourceId, Vec<(String, &Rename)>)| {
        let source = &request.layers.sources[id.0];
        let more = places.len().saturating_sub(MOST);
        let shown: Vec<String> = places
            .iter()
            .take(MOST)
            .map(|(place, rename)| format!("{place} names {}/, which is {}/ now", rename.from, rename.to))
            .collect();
        let more = if more == 0 {
            String::new()
        } else {
            format!("; and {more} more")
        };
        Diagnostic::warning(format!(
            "`as` renames directories and leaves texts as they are: of {}, {}{more}",
            wording::label(source),
            shown.join("; ")
        ))
        .hint("write your own file there with the new name, which wins, or do without `as`")
        .with_place(source.place.clone())
    };
    Ok(found.into_iter().map(told).collect())
}

/// Returns whether the line holds a path to the deployment `name` beside its own, such as
/// `../name/…` or `$BITOPS_ENVROOT/name/…`.
fn leads_to(line: &str, name: &str) -> bool {
    let ends =
        |rest: &str| !rest.starts_with(|c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'));
    line.match_indices(name).any(|(at, _)| {
        let before = &line[..at];
        ["../", "ENVROOT/", "ENVROOT}/"]
            .iter()
            .any(|start| before.ends_with(start))
            && ends(&line[at + name.len()..])
    })
}

/// Returns the names of the deployments that the helm plugin runs.
pub(super) fn helm_deployments(composition: &Composition) -> impl Iterator<Item = &str> {
    let deployments = composition.deployments.iter();
    let of_helm = deployments.filter(|one| one.plugin == HELM && one.present);
    of_helm.map(|one| one.name.trim_end_matches('/'))
}

/// Finds charts with the same name in several helm deployments and in one namespace. The second one
/// takes over the release of the first.
fn same_releases(
    request: &Request<'_>,
    composition: &Composition,
    bytes: &Bytes<'_>,
) -> Result<Vec<Diagnostic>, ComposeError> {
    let helm: Vec<&str> = helm_deployments(composition).collect();
    if helm.len() < 2 {
        return Ok(Vec::new());
    }
    let mut releases: BTreeMap<(String, Option<String>), Vec<TreePath>> = BTreeMap::new();
    for name in helm {
        let Ok(dir) = TreePath::new(format!("{}/{name}", request.environment)) else {
            continue;
        };
        for chart in charts(request, composition, &dir)? {
            let Ok(path) = TreePath::new(format!("{dir}/{chart}")) else {
                continue;
            };
            let namespace = namespace(request, composition, bytes, &path)?;
            releases.entry((chart, namespace)).or_default().push(path);
        }
    }
    let warning = |((chart, namespace), paths): ((String, Option<String>), Vec<TreePath>)| {
        let paths: Vec<String> = paths.iter().map(|path| format!("{path}/")).collect();
        let place = namespace.map_or_else(
            || "with no namespace named in either".to_owned(),
            |namespace| format!("in the namespace {namespace}"),
        );
        Diagnostic::warning(format!(
            "the helm plugin names a release after its chart's directory: {} are all the release {chart} {place}, and each deploys over the one before",
            paths.join(" and ")
        ))
        .hint(format!(
            "give them different `helm.cli.namespace` in your own {CONFIG} of each, or exclude all but one"
        ))
    };
    Ok(releases
        .into_iter()
        .filter(|(_, paths)| paths.len() > 1)
        .map(warning)
        .collect())
}

/// Returns the directories of a deployment, including the user's own.
pub(super) fn charts(
    request: &Request<'_>,
    composition: &Composition,
    dir: &TreePath,
) -> Result<Vec<String>, ComposeError> {
    let below = format!("{dir}/");
    let start = composition
        .files
        .partition_point(|file| file.path.as_str() < below.as_str());
    let mut names: Vec<String> = composition.files[start..]
        .iter()
        .map_while(|file| file.path.as_str().strip_prefix(&below))
        .filter_map(|rest| Some(rest.split_once('/')?.0.to_owned()))
        .collect();
    if request.local.kind(dir)? == Some(LocalKind::Directory) {
        let own = request.local.list(Some(dir))?;
        let own = own.into_iter().filter(|(_, kind)| *kind == LocalKind::Directory);
        names.extend(own.map(|(name, _)| name));
    }
    // The hooks of a deployment are not charts, but BitOps' plugin skips their directories only
    // where they fail.
    names.retain(|name| !name.starts_with("bitops.") && !name.starts_with('_'));
    names.sort();
    names.dedup();
    Ok(names)
}

/// Returns `helm.cli.namespace` of a chart, or `None` if its config does not say it plainly.
fn namespace(
    request: &Request<'_>,
    composition: &Composition,
    bytes: &Bytes<'_>,
    chart: &TreePath,
) -> Result<Option<String>, ComposeError> {
    let Ok(path) = TreePath::new(format!("{chart}/{CONFIG}")) else {
        return Ok(None);
    };
    let text = match composition.file(&path) {
        Some(file) => bytes.composed(file)?.0,
        None if matches!(request.local.kind(&path)?, Some(LocalKind::File(_))) => {
            request.local.read(&path)?
        }
        None => return Ok(None),
    };
    let text = std::str::from_utf8(&text).unwrap_or_default();
    let Ok(tree) = Tree::parse(text) else {
        return Ok(None);
    };
    let found = tree.find(&["helm", "cli", "namespace"]);
    Ok(found.and_then(|found| tree.value(found)).map(str::to_owned))
}
