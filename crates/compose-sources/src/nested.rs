//! The sources that a source's own config names.

use compose_model::{Diagnostic, ExitCode, Failure, Nesting, SourceSpec, TreePath, file_name, text};
use compose_plan::{config, layer::Part};

use crate::repo::{Fetched, with_place};

/// Reads the sources that a fetched environment's own config names. A config that the source's filter
/// excludes names none.
pub(crate) fn nested(source: &mut Fetched) -> Result<Vec<SourceSpec>, Failure> {
    let name = TreePath::new(file_name::CONFIG)
        .map_err(|error| Diagnostic::new(ExitCode::Bug, "the config's name is not a path").because(error))?;
    let environment = source.parts.iter().find(|(part, _)| *part == Part::Environment);
    let Some((_, root)) = environment.filter(|(_, root)| root.filter.keeps(&name)) else {
        return Ok(Vec::new());
    };
    let problem = |error| with_place(Diagnostic::from(error), &source.spec);
    let Some(bytes) = source.snapshot.file(&root.dir.join(&name)).map_err(problem)? else {
        return Ok(Vec::new());
    };
    let Ok(config) = config::read_text(&bytes) else {
        return Ok(Vec::new());
    };
    if !config::seems_to_name_sources(config.as_bytes()) && !config.contains(config::LIST) {
        return Ok(Vec::new());
    }
    let tag = text::escape(&source.resolved.name, 80);
    let file = format!(
        "{} @ {tag} : {}/{}",
        source.spec.repo,
        source.spec.environment,
        file_name::CONFIG
    );
    let (file, config) = (file.into(), config.into());
    // The user cannot edit this config, so its misspelt keys are warnings.
    let ignored = config::misspelt(&file, &config).into_iter();
    source.warnings.extend(ignored.map(Diagnostic::into_warning));
    Ok(config::parse(&file, &config, Nesting::Nested)?)
}
