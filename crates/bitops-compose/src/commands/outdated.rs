//! `outdated`: compares the lock with what its repos have now.

use std::sync::Arc;

use compose_model::{Failure, Nesting, SourceSpec};
use compose_plan::{
    config,
    lock::{self, Lock, Row},
    resolve::{NewVersion, Resolver},
};
use compose_sources::CurrentRefs;
use serde_json::{Value, json};

use super::{
    DONE,
    each::{Answer, each},
    newer::{self, Newer},
};
use crate::{
    cli::{self, Format, Place},
    job::Job,
};

/// The exit code of `--check` when there is something to do. It is not one of the program's own
/// codes, which mean failures.
const OUTDATED: u8 = 1;

/// A version that lies outside of what the config asks for.
struct Outside {
    spec: SourceSpec,
    new: NewVersion,
    /// The command that takes it.
    command: String,
}

/// Looks at the refs of every locked repo and prints one row per source.
pub(crate) fn run(args: &cli::Outdated) -> Result<u8, Failure> {
    let (format, check) = (args.targets.format, args.check);
    each(&args.targets.place, args.targets.asked(), format, move |job| {
        outdated(job, args.targets.place.clone(), format, check)
    })
}

async fn outdated(job: Arc<Job>, place: Place, format: Format, check: bool) -> Result<Answer, Failure> {
    Failure::check(job.ignored_lists())?;
    let file = job.lock_file();
    let lock = file.require()?;
    let current = job.gatherer()?.refs(&lock).await?;
    let rows = lock::outdated(&lock, |repo| current.refs.get(repo.key()).map(|refs| &**refs));
    let outside = outside(&job, &place, &lock, &current);
    job.printer.problems(&current.problems);
    // A repo that did not answer outweighs an outdated one.
    let code = match Failure::new(current.problems) {
        Some(failure) => failure.code().code(),
        None if check && rows.iter().any(Row::is_outdated) => OUTDATED,
        None => DONE,
    };
    match format {
        Format::Text => Ok(Answer::for_people(
            lock::to_table(&rows) + &listed(&job, &outside),
            code,
        )),
        Format::Json => {
            let outdated = json!({
                "environment": job.environment.as_str(),
                "lock": file.name(),
                "sources": lock::to_json(&rows),
                "outside": outside.iter().map(to_json).collect::<Vec<_>>(),
            });
            Answer::json(&job, &outdated, code)
        }
    }
}

/// Returns the newer versions of the config's own entries that `update` would not take. A config with mistakes, which
/// other commands report, has none.
fn outside(job: &Job, place: &Place, lock: &Lock, current: &CurrentRefs) -> Vec<Outside> {
    let specs = config::parse(&job.file, &job.text, Nesting::Root).unwrap_or_default();
    let mut all = Vec::new();
    for spec in specs
        .iter()
        .filter(|spec| lock.get(&spec.repo, &spec.environment).is_some())
    {
        let Some(refs) = current.refs.get(spec.repo.key()) else {
            continue;
        };
        let newer = Newer::of(spec, &Resolver::new(refs));
        all.extend(newer.outside().into_iter().map(|(taking, new)| Outside {
            spec: spec.clone(),
            new: new.clone(),
            command: newer::command(place, job, &specs, spec, taking),
        }));
    }
    all
}

fn listed(job: &Job, all: &[Outside]) -> String {
    if all.is_empty() {
        return String::new();
    }
    let line = |one: &Outside| {
        format!(
            "  {} of {}: {} -> {}, by `{}`\n",
            one.spec.environment,
            one.spec.repo,
            one.spec.requested.as_str(),
            one.new.version.as_str(),
            one.command
        )
    };
    let lines: String = all.iter().map(line).collect();
    format!("\nOutside of what {} asks for:\n{lines}", job.file)
}

fn to_json(one: &Outside) -> Value {
    json!({
        "repo": one.spec.repo.as_str(),
        "environment": one.spec.environment.as_str(),
        "requested": one.spec.requested.as_str(),
        "version": one.new.version.as_str(),
        "tag": one.new.tag,
        "command": one.command,
    })
}
