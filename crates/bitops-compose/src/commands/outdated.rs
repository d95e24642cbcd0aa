//! `outdated`: compares the lock with what its repos have now.

use std::sync::Arc;

use compose_model::Failure;
use compose_plan::lock;
use compose_sources::LockedRefs;

use super::{
    DONE,
    each::{Answer, each},
};
use crate::{
    cli::{self, Format},
    job::Job,
};

/// The exit code of `--check` when there is something to do. It is not one of the program's own
/// codes, which mean failures.
const OUTDATED: u8 = 1;

/// Looks at the refs of every locked repo and prints one row per source.
pub(crate) fn run(args: &cli::Outdated) -> Result<u8, Failure> {
    let (format, check) = (args.targets.format, args.check);
    each(&args.targets.place, args.targets.asked(), format, move |job| {
        outdated(job, format, check)
    })
}

async fn outdated(job: Arc<Job>, format: Format, check: bool) -> Result<Answer, Failure> {
    Failure::check(job.ignored_lists())?;
    let file = job.lock_file();
    let lock = file.require()?;
    let LockedRefs { refs, problems } = job.gatherer()?.refs(&lock).await?;
    let rows = lock::outdated(&lock, |repo| refs.get(repo.key()).map(|refs| &**refs));
    job.printer.problems(&problems);
    // A repo that did not answer outweighs an outdated one.
    let code = match Failure::new(problems) {
        Some(failure) => failure.code().code(),
        None if check && rows.iter().any(lock::Row::is_outdated) => OUTDATED,
        None => DONE,
    };
    match format {
        Format::Text => Ok(Answer::text(lock::to_table(&rows), code)),
        Format::Json => {
            let outdated = serde_json::json!({
                "environment": job.environment.as_str(),
                "lock": file.name(),
                "sources": lock::to_json(&rows),
            });
            Answer::json(&job, &outdated, code)
        }
    }
}
