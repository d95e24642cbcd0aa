//! The config that a source brings along.

use compose_git::Snapshot;
use compose_model::{Failure, SourceSpec, file_name, text};
use compose_plan::{config::NestedConfig, resolve::Resolved};

/// Reads and parses the config of a fetched environment; `None` if it has none, or if the source's filter
/// excludes it.
pub(crate) fn read(
    spec: &SourceSpec,
    resolved: &Resolved,
    snapshot: &Snapshot,
) -> Result<Option<NestedConfig>, Failure> {
    let path = spec.environment.environment_config();
    let is_kept = path
        .strip_prefix(&spec.environment)
        .is_some_and(|name| spec.filter.keeps(&name));
    if !is_kept {
        return Ok(None);
    }
    let Some(bytes) = snapshot.file(&path)? else {
        return Ok(None);
    };
    let tag = text::escape(&resolved.name, 80);
    let file = format!(
        "{} @ {tag} : {}/{}",
        spec.repo,
        spec.environment,
        file_name::CONFIG
    );
    Ok(Some(NestedConfig::parse(&file.into(), &bytes)?))
}
