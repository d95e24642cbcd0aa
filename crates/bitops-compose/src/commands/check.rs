//! `check`: the config and its lock, without any network.

use std::sync::Arc;

use compose_model::Failure;
use compose_sources::check_lock;
use serde::Serialize;

use super::DONE;
use crate::{
    cli::{Format, Target},
    job::Job,
    pipeline,
    watch::watched,
};

/// Validates the environment's config, compares the lock with it, and says what it names.
pub(crate) fn run(target: &Target) -> Result<u8, Failure> {
    let job = Arc::new(Job::of(target)?);
    let check = {
        let job = Arc::clone(&job);
        move || {
            let sources = pipeline::config(&job)?;
            // Without sources a deployment reads no lock.
            if !sources.is_empty() {
                job.warn(&check_lock(&job.lock_file(), job.settings.locked, &sources)?);
            }
            Ok(sources)
        }
    };
    let sources = match watched(&job.limits, check) {
        Ok(sources) => sources,
        Err(failure) => {
            job.printer.problems(failure.diagnostics());
            return Ok(failure.code().code());
        }
    };
    match target.format {
        Format::Text => {
            let mut text = format!("{}: {}, no mistakes\n", job.file, count(sources.len()));
            for source in &sources {
                text.push_str(&format!(
                    "  {} {} {}\n",
                    source.repo,
                    source.environment,
                    source.requested.as_str()
                ));
            }
            job.printer.result(&text)?;
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
            let checked = serde_json::json!({ "environment": job.environment.as_str(), "sources": sources });
            job.printer.json(&checked)?;
        }
    }
    Ok(DONE)
}

fn count(sources: usize) -> String {
    match sources {
        0 => "no sources".to_owned(),
        1 => "1 source".to_owned(),
        many => format!("{many} sources"),
    }
}
