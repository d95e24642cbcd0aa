//! The commands: one function each, which returns the process's exit code.

pub(crate) mod add;
pub(crate) mod adopt;
mod against;
pub(crate) mod cache;
pub(crate) mod check;
pub(crate) mod deploy;
pub(crate) mod doctor;
mod draft;
mod each;
pub(crate) mod explain;
pub(crate) mod help;
pub(crate) mod lock;
pub(crate) mod man;
mod newer;
pub(crate) mod outdated;
pub(crate) mod plan;
pub(crate) mod remove;
pub(crate) mod search;
pub(crate) mod update;
pub(crate) mod upgrade;
pub(crate) mod vendor;
mod words;

use std::{path::Path, sync::Arc};

use clap::CommandFactory;
use clap_complete::Shell;

use compose_model::{Diagnostic, ExitCode, Failure, PastedAddress, text};

use crate::{
    cli::{Cli, Format, Target},
    completing,
    job::Job,
    pipeline::{self, Planned},
    report::{self, to_stdout},
    runtime,
};

/// The exit code of a run that succeeded.
const DONE: u8 = 0;

/// Reads the address of a repo as people paste it.
fn pasted(repo: &str) -> Result<PastedAddress, Diagnostic> {
    PastedAddress::parse(repo).map_err(|error| {
        let shown = text::escape(&compose_model::redact(&repo.into()), 200);
        let problem = Diagnostic::new(ExitCode::Usage, format!("`{shown}` is not the address of a repo"));
        problem
            .because(error)
            .hint("for example ORG/REPO, https://github.com/ORG/REPO or git@github.com:ORG/REPO")
    })
}

/// Composes one environment, for a command that shows or writes the result.
///
/// The job's own printer, which masks, reports its problems.
fn composed(
    target: &Target,
    act: impl FnOnce(&Job, Planned) -> Result<u8, Failure> + Send + 'static,
) -> Result<u8, Failure> {
    let job = Job::of(&target.place, target.environment.as_deref())?;
    let work = {
        let job = Arc::clone(&job);
        async move {
            let planned = pipeline::plan(Arc::clone(&job)).await?;
            // A reader of the result may take its time, and nothing must wait for the bars meanwhile.
            report::end_progress();
            compose_sources::blocking(move || act(&job, planned)).await
        }
    };
    runtime::run(job.settings.jobs, work).or_else(|failure| {
        job.printer.problems(failure.diagnostics());
        Ok(failure.code().code())
    })
}

/// Runs `schema`.
pub(crate) fn schema(lock: bool) -> Result<u8, Failure> {
    let text = if lock {
        compose_plan::lock::schema()
    } else {
        compose_plan::config::schema()
    };
    to_stdout(text.as_bytes())?;
    Ok(DONE)
}

/// Runs `completions SHELL`.
pub(crate) fn completions(shell: Shell, format: Format) -> Result<u8, Failure> {
    let script = match completing::script(shell) {
        Some(script) => script.as_bytes().to_vec(),
        None => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "bitops-compose", &mut script);
            script
        }
    };
    match format {
        Format::Text => to_stdout(&script)?,
        Format::Json => {
            let script = String::from_utf8_lossy(&script);
            let value = serde_json::json!({ "shell": shell.to_string(), "script": script });
            to_stdout(report::json_document(&value)?.as_bytes())?;
        }
    }
    Ok(DONE)
}

/// Runs `image install`.
pub(crate) fn install(root: &Path) -> Result<u8, Failure> {
    compose_tree::image::install(root)?;
    Ok(DONE)
}
