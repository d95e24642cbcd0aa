//! `outdated`: compares the lock with what its repos have now.

use compose_model::Failure;
use compose_plan::lock;
use compose_sources::LockedRefs;

use super::DONE;
use crate::{
    cli::{self, Format},
    job::Job,
    runtime,
};

/// The exit code of `--check` when there is something to do. It is not one of the program's own
/// codes, which mean failures.
const OUTDATED: u8 = 1;

/// Looks at the refs of every locked repo and prints one row per source.
pub(crate) fn run(args: &cli::Outdated) -> Result<u8, Failure> {
    let job = Job::of(&args.target)?;
    if let Some(failure) = Failure::new(job.ignored_lists()) {
        return Err(failure);
    }
    let file = job.lock_file();
    let lock = file.require()?;
    let looked = runtime::run(&job.cancel, job.settings.jobs, async {
        job.gatherer()?.refs(&lock).await
    });
    let LockedRefs { refs, problems } = match looked {
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
