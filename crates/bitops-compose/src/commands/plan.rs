//! `plan`: what would be composed, and from where.

use std::sync::Arc;

use compose_model::ExitCode;
use compose_plan::compose::report;

use crate::{
    DONE,
    cli::{Format, Target},
    job::Job,
    pipeline,
    problem::Failure,
    runtime,
};

/// Composes without writing anything and prints the result, conflicts included.
pub(crate) fn run(target: &Target) -> Result<u8, Failure> {
    let job = Arc::new(Job::of(target)?);
    let planned = match runtime::run(&job.cancel, job.settings.jobs, pipeline::plan(Arc::clone(&job))) {
        Ok(planned) => planned,
        Err(failure) => {
            job.printer.problems(failure.problems());
            return Ok(failure.code().code());
        }
    };
    let sources = &planned.gathered.layers.sources;
    let text = match target.format {
        Format::Text => report::text::plan(&planned.composition, sources),
        Format::Json => crate::report::json_document(&report::json::plan(&planned.composition, sources))?,
    };
    job.printer.result(&text);
    Ok(if planned.composition.conflicts.is_empty() {
        DONE
    } else {
        ExitCode::Config.code()
    })
}
