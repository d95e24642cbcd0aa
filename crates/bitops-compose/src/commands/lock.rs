//! `lock`: writes down the commits that the sources stand for now.

use std::sync::Arc;

use compose_model::Failure;
use compose_plan::lock::Lock;
use compose_sources::{LockFile, Pins, refuse_moved};
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
        Format::Text => Ok(Answer::text(describe_lock(&file, &lock, changed), DONE)),
        Format::Json => Answer::json(&job, &json(&job, &file, &lock, changed), DONE),
    }
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
            "  {} {} {}{signer}\n",
            locked.repo,
            locked.environment,
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
