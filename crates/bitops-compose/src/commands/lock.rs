//! `lock`: writes down the commits that the sources stand for now.

use std::sync::Arc;

use compose_model::Failure;
use compose_plan::lock::Lock;
use compose_sources::{LockFile, Pins, refuse_moved};
use serde_json::json;

use super::DONE;
use crate::{
    cli::{self, Format},
    job::Job,
    pipeline, runtime,
    watch::Stage,
};

/// Resolves every source live and writes the lock.
pub(crate) fn run(args: &cli::Lock) -> Result<u8, Failure> {
    let job = Arc::new(Job::of(&args.target)?);
    let file = job.lock_file();
    let work = {
        let (job, file, accept_moved) = (Arc::clone(&job), file.clone(), args.accept_moved);
        move || async move {
            // The lock is read first: one that cannot be read is no reason to forget which tags were
            // moved.
            let old = file.read()?.unwrap_or_default();
            let gatherer = job.gatherer()?;
            let sources = pipeline::config(&job)?;
            job.limits.enter(Stage::Fetch);
            let new = gatherer.gather(sources, &Pins::default()).await?;
            job.warn(&new.warnings);
            let new = new.lock();
            refuse_moved(&old, &new, accept_moved)?;
            let changed = file.write(&new)?;
            Ok((new, changed))
        }
    };
    let (lock, changed) = match runtime::run(&job.limits, job.settings.jobs, work) {
        Ok(locked) => locked,
        Err(failure) => {
            job.printer.problems(failure.diagnostics());
            return Ok(failure.code().code());
        }
    };
    match args.target.format {
        Format::Text => job.printer.result(&describe_lock(&file, &lock, changed))?,
        Format::Json => job.printer.json(&json(&file, &lock, changed))?,
    }
    Ok(DONE)
}

/// Formats what was locked, one source per line.
pub(super) fn describe_lock(file: &LockFile, lock: &Lock, changed: bool) -> String {
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
pub(super) fn json(file: &LockFile, lock: &Lock, changed: bool) -> serde_json::Value {
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
        "lock": file.name(),
        "changed": changed,
        "sources": lock.sources.iter().map(source).collect::<Vec<_>>(),
    })
}
