//! `outdated`: compares the lock with what its repos have now.

use std::sync::Arc;

use compose_model::Failure;
use compose_plan::lock;
use compose_sources::LockedRefs;

use super::DONE;
use crate::{
    cli::{self, Format},
    job::Job,
    runtime,
    watch::{Stage, watched},
};

/// The exit code of `--check` when there is something to do. It is not one of the program's own
/// codes, which mean failures.
const OUTDATED: u8 = 1;

/// Looks at the refs of every locked repo and prints one row per source.
pub(crate) fn run(args: &cli::Outdated) -> Result<u8, Failure> {
    let job = Arc::new(Job::of(&args.target)?);
    let file = job.lock_file();
    let lock = {
        let (job, file) = (Arc::clone(&job), file.clone());
        watched(&job.limits.clone(), move || {
            Failure::check(job.ignored_lists())?;
            Ok(Arc::new(file.require()?))
        })?
    };
    let work = {
        let (job, lock) = (Arc::clone(&job), Arc::clone(&lock));
        move || async move {
            job.limits.enter(Stage::Fetch);
            job.gatherer()?.refs(&lock).await
        }
    };
    let LockedRefs { refs, problems } = match runtime::run(&job.limits, job.settings.jobs, work) {
        Ok(looked) => looked,
        Err(failure) => {
            job.printer.problems(failure.diagnostics());
            return Ok(failure.code().code());
        }
    };
    let rows = lock::outdated(&lock, |repo| refs.get(repo.key()).map(|refs| &**refs));
    match args.target.format {
        Format::Text => job.printer.result(&lock::to_table(&rows))?,
        Format::Json => job.printer.json(&serde_json::json!({
            "environment": job.environment.as_str(),
            "lock": file.name(),
            "sources": lock::to_json(&rows),
        }))?,
    }
    job.printer.problems(&problems);
    // A repo that did not answer outweighs an outdated one.
    Ok(match Failure::new(problems) {
        Some(failure) => failure.code().code(),
        None if args.check && rows.iter().any(lock::Row::is_outdated) => OUTDATED,
        None => DONE,
    })
}
