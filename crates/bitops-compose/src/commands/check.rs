//! `check`: the config and its lock, without any network.

use compose_model::{Failure, text::counted};
use compose_sources::{blocking, check_lock};
use serde::Serialize;

use super::{
    DONE,
    each::{Answer, each},
};
use crate::{
    cli::{Format, Targets},
    job::Job,
    pipeline,
};

/// Validates the environment's config, compares the lock with it, and says what it names.
pub(crate) fn run(targets: &Targets) -> Result<u8, Failure> {
    let format = targets.format;
    each(&targets.place, targets.asked(), format, move |job| {
        blocking(move || check(&job, format))
    })
}

fn check(job: &Job, format: Format) -> Result<Answer, Failure> {
    let checked = pipeline::config(job).and_then(|sources| {
        // Without sources a deployment reads no lock.
        let mut warnings = Vec::new();
        if !sources.is_empty() {
            warnings = check_lock(&job.lock_file(), job.settings.locked, &sources)?;
            job.warn(&warnings);
        }
        Ok((sources, warnings))
    });
    let (sources, warnings) = match checked {
        Ok(checked) => checked,
        Err(failure) if format == Format::Json => {
            job.printer.problems(failure.diagnostics());
            let mistakes = serde_json::json!({
                "environment": job.environment.as_str(),
                "sources": [],
                "problems": job.printer.problems_as_json(failure.diagnostics()),
            });
            return Answer::json(job, &mistakes, failure.code().code());
        }
        Err(failure) => return Err(failure),
    };
    match format {
        Format::Text => {
            let count = match sources.len() {
                0 => "no sources".to_owned(),
                count => counted(count, "source"),
            };
            let mut text = format!("{}: {count}, no mistakes\n", job.file);
            for source in &sources {
                text.push_str(&format!(
                    "  {} of {} {}\n",
                    source.environment,
                    source.repo,
                    source.requested.as_str()
                ));
            }
            Ok(Answer::for_people(text, DONE))
        }
        Format::Json => {
            #[derive(Serialize)]
            struct Checked<'a> {
                repo: &'a str,
                environment: &'a str,
                requested: &'a str,
                line: usize,
            }
            let sources: Vec<_> = sources
                .iter()
                .map(|source| Checked {
                    repo: source.repo.as_str(),
                    environment: source.environment.as_str(),
                    requested: source.requested.as_str(),
                    line: source.place.line_column().0,
                })
                .collect();
            let checked = serde_json::json!({
                "environment": job.environment.as_str(),
                "sources": sources,
                "problems": job.printer.problems_as_json(&warnings),
            });
            Answer::json(job, &checked, DONE)
        }
    }
}
