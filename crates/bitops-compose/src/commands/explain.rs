//! `explain PATH[:KEY]`: where a file, or a key of it, came from.

use std::io::stdout;

use compose_model::{Diagnostic, ExitCode, Failure, text};
use compose_plan::compose::{
    Composition,
    explain::{ExplainError, explain},
};

use super::DONE;
use crate::{
    cli::{Explain, Format, Target},
    report::table,
    target,
};

/// The number of paths that are offered for one that does not exist.
const OFFERED: usize = 5;

/// Composes without writing anything and answers the question.
pub(crate) fn run(args: &Explain) -> Result<u8, Failure> {
    let (question, target) = asked(args)?;
    let format = target.format;
    super::composed(&target, move |job, planned| {
        let sources = &planned.gathered.layers.sources;
        let answer = explain(
            &planned.composition,
            sources,
            &question,
            table::columns_before_masks(&stdout()),
        )
        .map_err(|error| unanswered(error, &question, &planned.composition))?;
        match format {
            Format::Text => job.printer.styled(answer.to_text())?,
            Format::Json => job.printer.json(&answer)?,
        }
        Ok(DONE)
    })
}

/// Returns the question and the environment. They may be in either order, since the other commands begin with the
/// environment; and a path that leads into an environment needs none.
fn asked(args: &Explain) -> Result<(String, Target), Failure> {
    let (question, mut target) = (args.question.clone(), args.target.clone());
    let root = target::root(&target.place, None)?;
    let Some(second) = &target.environment else {
        let (path, key) = question.split_at(question.find(':').unwrap_or(question.len()));
        if let Some((environment, path)) = target::environment_of_path(&root, path) {
            target.environment = Some(environment);
            return Ok((path + key, target));
        }
        return Ok((question, target));
    };
    if target::is_environment(&root, second) || !target::is_environment(&root, &question) {
        return Ok((question, target));
    }
    let path = second.clone();
    target.environment = Some(question);
    Ok((path, target))
}

fn unanswered(error: ExplainError, question: &str, composition: &Composition) -> Diagnostic {
    let ExplainError::NoSuchPath { path, .. } = error else {
        return error.into();
    };
    let all: Vec<String> = composition
        .files
        .iter()
        .map(|file| file.path.relative_to(&composition.environment).into_owned())
        .collect();
    let asked = question
        .strip_prefix(&format!("{}/", composition.environment))
        .unwrap_or(question);
    let asked = asked.trim_start_matches("./").trim_end_matches('/');
    let below: Vec<&str> = all
        .iter()
        .map(String::as_str)
        .filter(|known| {
            known
                .strip_prefix(asked)
                .is_some_and(|rest| rest.starts_with('/'))
        })
        .collect();
    if !below.is_empty() {
        return Diagnostic::new(ExitCode::Config, format!("{path} is a directory"))
            .hint(format!("ask for a file of it: {}", first_few(&below)));
    }
    let problem = Diagnostic::new(ExitCode::Config, format!("no layer has {path}"));
    match nearest(asked, &all).as_slice() {
        [] => problem.hint("`bitops-compose plan --format json` lists all files"),
        near => problem.hint(format!("did you mean {}?", near.join(", "))),
    }
}

/// Returns the paths with the same file name, then those that are spelled alike.
fn nearest<'a>(asked: &str, all: &'a [String]) -> Vec<&'a str> {
    let paths = || all.iter().map(String::as_str);
    let asked = asked.split(':').next().unwrap_or(asked);
    let name = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
    let mut near: Vec<&str> = paths().filter(|path| name(path) == name(asked)).collect();
    for alike in text::nearest(asked, paths(), OFFERED) {
        if !near.contains(&alike) {
            near.push(alike);
        }
    }
    near.truncate(OFFERED);
    near
}

fn first_few(paths: &[&str]) -> String {
    let shown = paths[..paths.len().min(OFFERED)].join(", ");
    match paths.len().saturating_sub(OFFERED) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
