//! Warnings about hooks that use a directory at the top of the source's repo that no entry carries
//! over, such as `_scripts` without `shared: [_scripts]`. They fail in the middle of a deployment.
//!
//! A warning needs certainty: the directory exists in the very commit, neither the composition nor
//! the user has it, and the hook names it, outside of a comment, by a path that leads to the
//! operations repo's root.

use std::collections::{BTreeMap, BTreeSet};

use compose_model::{Diagnostic, TreePath, filter::is_hook, text};

use super::{ComposeError, Request, bytes::Bytes, composition::Composition, composition::Write, wording};
use crate::layer::{Origin, SourceId};

/// The size, in bytes, above which a file counts as data.
const LONGEST: usize = 64 * 1024;

/// The prefixes that lead from a hook, which runs in its deployment's directory, to the root of the
/// operations repo. The environment may stand deeper.
const ROOTS: [&str; 6] = [
    "$BITOPS_TEMPDIR/",
    "${BITOPS_TEMPDIR}/",
    "$TEMPDIR/",
    "${TEMPDIR}/",
    "/opt/bitops_deployment/",
    "$BITOPS_ENVROOT/../",
];

pub(super) fn warn(
    request: &Request<'_>,
    composition: &Composition,
    bytes: &Bytes<'_>,
) -> Result<Vec<Diagnostic>, ComposeError> {
    let composed: BTreeSet<&str> = composition
        .files
        .iter()
        .filter_map(|file| file.path.components().next())
        .collect();
    let mut found: BTreeMap<(SourceId, &str), Vec<String>> = BTreeMap::new();
    for file in &composition.files {
        let Some(Origin::Source(id)) = file.from.last().map(|from| from.origin) else {
            continue;
        };
        let Some(relative) = file.path.strip_prefix(request.environment) else {
            continue;
        };
        if file.write == Write::Local || !is_hook(&relative) {
            continue;
        }
        request.cancel.check()?;
        let candidates: Vec<&str> = request.layers.sources[id.0]
            .top
            .iter()
            .map(String::as_str)
            .filter(|name| !composed.contains(name))
            .collect();
        if candidates.is_empty() {
            continue;
        }
        let (bytes, _) = bytes.composed(file)?;
        let Some(text) = std::str::from_utf8(&bytes)
            .ok()
            .filter(|text| text.len() <= LONGEST)
        else {
            continue;
        };
        let up = "../".repeat(request.environment.components().count() + depth(composition, &relative));
        for name in candidates {
            if let Some(line) = text.lines().position(|line| leads_to(line, name, &up)) {
                let places = found.entry((id, name)).or_default();
                places.push(format!("{}:{}", file.path, line + 1));
            }
        }
    }
    let mut warnings = Vec::new();
    for ((id, name), places) in found {
        if TreePath::new(name)
            .map_or(Ok(None), |path| request.local.kind(&path))?
            .is_some()
        {
            continue;
        }
        let source = &request.layers.sources[id.0];
        let more = match places.len() - 1 {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let name = text::escape(name, 80);
        let message = format!(
            "{}{more} of {} uses {name}/, which that repo has and nothing brings along",
            places[0],
            wording::label(source)
        );
        warnings.push(
            Diagnostic::warning(message)
                .hint(format!("`shared: [{name}]` in the source's entry brings it"))
                .with_place(source.place.clone()),
        );
    }
    Ok(warnings)
}

/// Returns how many directories below the environment a hook runs, because `terraform/aws` may be a
/// deployment as well.
fn depth(composition: &Composition, hook: &TreePath) -> usize {
    let runs = |name: &&str| {
        let below = hook.as_str().strip_prefix(*name);
        below.is_some_and(|below| below.starts_with('/'))
    };
    let names = composition
        .deployments
        .iter()
        .map(|one| one.name.trim_end_matches('/'));
    let of = names.filter(runs).map(|name| name.split('/').count());
    of.max().unwrap_or(1)
}

/// Returns whether the line holds a path to the directory `name` at the root. `up` leads there from
/// a deployment.
fn leads_to(line: &str, name: &str, up: &str) -> bool {
    let code = line.trim_start();
    if code.starts_with('#') || code.starts_with("//") {
        return false;
    }
    code.match_indices(name).any(|(at, _)| {
        let (before, behind) = (&code[..at], &code[at + name.len()..]);
        let alone = before
            .strip_suffix(up)
            .is_some_and(|before| !before.ends_with(|c: char| c == '/' || c == '.' || c.is_alphanumeric()));
        let ends = |c: char| !c.is_alphanumeric() && !matches!(c, '_' | '-' | '.');
        (alone || ROOTS.iter().any(|root| before.ends_with(root))) && behind.chars().next().is_none_or(ends)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_to_the_root_count() {
        for (line, uses) in [
            (". $BITOPS_TEMPDIR/_scripts/login.sh", true),
            ("bash \"${BITOPS_TEMPDIR}/_scripts\"", true),
            ("cd /opt/bitops_deployment/_scripts && ls", true),
            ("../../_scripts/login.sh", true),
            ("  source '../../_scripts/login.sh'", true),
            ("# . $BITOPS_TEMPDIR/_scripts/login.sh", false),
            (". $BITOPS_TEMPDIR/_scripts2/login.sh", false),
            (". $BITOPS_TEMPDIR/_scripts.d/login.sh", false),
            (". $BITOPS_TEMPDIR/$X/_scripts/login.sh", false),
            ("../_scripts/login.sh", false),
            ("../../../_scripts/login.sh", false),
            ("x/../../_scripts/login.sh", false),
            ("echo _scripts/ are nice", false),
            ("curl https://host/_scripts/x", false),
        ] {
            assert_eq!(leads_to(line, "_scripts", "../../"), uses, "{line}");
        }
    }
}
