//! `lock`: writes down the commits that the sources stand for now, or compares those that were with the config.

use std::sync::Arc;

use compose_model::{Diagnostic, Failure};
use compose_plan::lock::Lock;
use compose_sources::{LockFile, Pins, blocking, lock_differences, refuse_moved};
use serde_json::json;

use super::{
    DONE,
    each::{Answer, each},
};
use crate::{
    cli::{self, Format},
    job::Job,
    pipeline,
};

/// Resolves every source live and writes the lock.
pub(crate) fn run(args: &cli::Lock) -> Result<u8, Failure> {
    let (format, accept_moved) = (args.targets.format, args.accept_moved);
    if args.check {
        return each(&args.targets.place, args.targets.asked(), format, move |job| {
            blocking(move || compare(&job, format))
        });
    }
    each(&args.targets.place, args.targets.asked(), format, move |job| {
        lock(job, format, accept_moved)
    })
}

async fn lock(job: Arc<Job>, format: Format, accept_moved: bool) -> Result<Answer, Failure> {
    let file = job.lock_file();
    // The lock is read first: one that cannot be read is no reason to forget which tags were
    // moved.
    let old = file.read()?.unwrap_or_default();
    let gatherer = job.gatherer()?;
    let new = gatherer.gather(pipeline::config(&job)?, &Pins::default()).await?;
    job.warn(&new.warnings);
    let lock = new.lock();
    refuse_moved(&old, &lock, accept_moved)?;
    let changed = file.write(&lock)?;
    match format {
        Format::Text => Ok(Answer::for_people(describe_lock(&file, &lock, changed), DONE)),
        Format::Json => Answer::json(&job, &json(&job, &file, &lock, changed), DONE),
    }
}

/// Compares the lock with the config, without any network. A difference is an error.
fn compare(job: &Job, format: Format) -> Result<Answer, Failure> {
    let file = job.lock_file();
    let compared = pipeline::config(job).and_then(|sources| {
        Failure::check(lock_differences(&file, &job.environment, &sources)?)?;
        Ok(sources.len())
    });
    match (compared, format) {
        (Ok(sources), Format::Text) => Ok(Answer::for_people(describe_current(&file, sources), DONE)),
        (Err(failure), Format::Text) => Err(failure),
        (Ok(_), Format::Json) => Answer::json(job, &compared_json(job, &file, &[]), DONE),
        (Err(failure), Format::Json) => {
            job.printer.problems(failure.diagnostics());
            let problems = compared_json(job, &file, failure.diagnostics());
            Answer::json(job, &problems, failure.code().code())
        }
    }
}

fn describe_current(file: &LockFile, sources: usize) -> String {
    match sources {
        0 => format!("{}: not needed, the config names no sources\n", file.name()),
        1 => format!("{}: answers the config's source\n", file.name()),
        many => format!("{}: answers the config's {many} sources\n", file.name()),
    }
}

fn compared_json(job: &Job, file: &LockFile, problems: &[Diagnostic]) -> serde_json::Value {
    json!({
        "environment": job.environment.as_str(),
        "lock": file.name(),
        "current": problems.is_empty(),
        "problems": job.printer.problems_as_json(problems),
    })
}

/// Formats what was locked, one source per line.
fn describe_lock(file: &LockFile, lock: &Lock, changed: bool) -> String {
    let mut text = match (changed, lock.sources.len()) {
        (true, 1) => format!("{}: 1 source locked\n", file.name()),
        (true, count) => format!("{}: {count} sources locked\n", file.name()),
        (false, _) => format!("{}: nothing changed\n", file.name()),
    };
    for locked in &lock.sources {
        let signer = locked
            .signer
            .as_ref()
            .map_or_else(String::new, |signer| format!(", signed by {signer}"));
        text.push_str(&format!(
            "  {} of {} {}{signer}\n",
            locked.environment,
            locked.repo,
            locked.name_and_commit()
        ));
    }
    text
}

/// Formats what was locked, for programs.
fn json(job: &Job, file: &LockFile, lock: &Lock, changed: bool) -> serde_json::Value {
    let source = |locked: &compose_plan::lock::Locked| {
        json!({
            "repo": locked.repo.as_str(),
            "environment": locked.environment.as_str(),
            "requested": locked.requested.as_str(),
            "resolved": locked.resolved.name(locked.commit),
            "commit": locked.commit.to_string(),
            "tree": locked.tree.to_string(),
            "signer": locked.signer,
        })
    };
    json!({
        "environment": job.environment.as_str(),
        "lock": file.name(),
        "changed": changed,
        "sources": lock.sources.iter().map(source).collect::<Vec<_>>(),
    })
}
