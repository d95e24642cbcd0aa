//! The config that a source brings along.

use compose_git::{Root, Snapshot};
use compose_model::{Diagnostic, ExitCode, Failure, SourceSpec, TreePath, file_name, text};
use compose_plan::{config::NestedConfig, layer::Part, resolve::Resolved};

/// Reads and parses the config of a fetched environment; `None` if it has none, or if the source's filter
/// excludes it.
pub(crate) fn read(
    spec: &SourceSpec,
    resolved: &Resolved,
    parts: &[(Part, Root)],
    snapshot: &Snapshot,
) -> Result<Option<NestedConfig>, Failure> {
    let name = TreePath::new(file_name::CONFIG)
        .map_err(|error| Diagnostic::new(ExitCode::Bug, "the config's name is not a path").because(error))?;
    let environment = parts.iter().find(|(part, _)| *part == Part::Environment);
    let Some((_, root)) = environment.filter(|(_, root)| root.filter.keeps(&name)) else {
        return Ok(None);
    };
    let Some(bytes) = snapshot.file(&root.dir.join(&name))? else {
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
