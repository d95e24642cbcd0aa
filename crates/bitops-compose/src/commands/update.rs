//! `update`: brings locked sources up to date, or shows what that would change.

use std::sync::Arc;

use compose_model::{Diagnostic, ExitCode, Failure, SourceSpec};
use compose_plan::{
    compose::report,
    lock::{Change, Lock, Locked},
};
use compose_sources::{Gathered, LockFile, Pins, blocking, refuse_moved};
use serde_json::json;

use super::DONE;
use crate::{
    cli::{self, Target, UpdateFormat},
    diff::{self, FileDiff},
    job::Job,
    pipeline::{self, Local},
    runtime, target,
    watch::{Stage, watched},
};

/// The result of an update.
struct Updated {
    old: Lock,
    new: Lock,
    /// The changed files and the conflicts, with `--dry-run`.
    diff: Option<(Vec<FileDiff>, Vec<Diagnostic>)>,
    /// Whether the lock file changed.
    written: bool,
}

/// Resolves the named sources live, keeps the others as they are locked, and writes the lock or shows the difference.
pub(crate) fn run(args: &cli::Update) -> Result<u8, Failure> {
    let (target, sources) = what(args)?;
    let job = Arc::new(Job::of(&target)?);
    let file = job.lock_file();
    let old = {
        let file = file.clone();
        watched(&job.limits, move || file.require())?
    };
    let work = {
        let (job, file, sources) = (Arc::clone(&job), file.clone(), sources.to_vec());
        let how = How {
            dry_run: args.dry_run,
            accept_moved: args.accept_moved,
        };
        move || async move { update(&job, how, &sources, &file, old).await }
    };
    let updated = match runtime::run(&job.limits, job.settings.jobs, work) {
        Ok(updated) => updated,
        Err(failure) => {
            job.printer.problems(failure.diagnostics());
            return Ok(failure.code().code());
        }
    };
    let changes = updated.old.changes(&updated.new);
    let (files, conflicts) = updated.diff.unwrap_or_default();
    let environment = job.environment.as_str();
    match args.format {
        UpdateFormat::Text => job
            .printer
            .result(&describe_update(&file, &changes, &files, args.dry_run))?,
        UpdateFormat::Markdown => {
            job.printer
                .result(&diff::markdown(environment, &changes, &files, args.dry_run))?;
        }
        UpdateFormat::Json => job
            .printer
            .json(&json(&file, &changes, &files, updated.written))?,
    }
    job.printer.problems(&conflicts);
    Ok(Failure::new(conflicts).map_or(DONE, |failure| failure.code().code()))
}

/// Returns the target, and the sources that are named.
///
/// As with every command, the first word may be the environment. It is the environment unless
/// `--environment` names one, or the lock of the variable's environment has a source of that name.
fn what(args: &cli::Update) -> Result<(Target, &[String]), Failure> {
    let target = args.target();
    if let Some((first, sources)) = args.sources.split_first()
        && args.environment.is_none()
        && target::is_environment(&target::root(&target)?, first)
        && !is_source(&target, first)
    {
        let environment = Some(first.clone());
        return Ok((
            Target {
                environment,
                ..target
            },
            sources,
        ));
    }
    Ok((target, &args.sources))
}

/// Returns whether it is a locked source of the environment that the variable names.
fn is_source(target: &Target, name: &str) -> bool {
    // A problem there is reported when that environment turns out to be the one that is meant.
    let lock = Job::of(target).ok().and_then(|job| job.lock_file().read().ok()?);
    lock.is_some_and(|lock| lock.sources.iter().any(|locked| names(name, locked)))
}

/// The options of an update.
#[derive(Clone, Copy)]
struct How {
    dry_run: bool,
    accept_moved: bool,
}

async fn update(
    job: &Arc<Job>,
    how: How,
    sources: &[String],
    file: &LockFile,
    old: Lock,
) -> Result<Updated, Failure> {
    let specs = pipeline::config(job)?;
    let is_named = |locked: &Locked| sources.is_empty() || sources.iter().any(|name| names(name, locked));
    for name in sources {
        if !old.sources.iter().any(|locked| names(name, locked)) {
            return Err(no_source(name, &old).into());
        }
    }
    let kept = Lock {
        sources: old
            .sources
            .iter()
            .filter(|locked| !is_named(locked))
            .cloned()
            .collect(),
    };
    let gatherer = job.gatherer()?;
    job.limits.enter(Stage::Fetch);
    let gathered = gatherer.gather(specs.clone(), &Pins::to(kept)).await?;
    job.warn(&gathered.warnings);
    let new = gathered.lock();
    refuse_moved(&old, &new, how.accept_moved)?;
    let diff = if how.dry_run {
        let before = gatherer
            .gather(as_locked(specs, &old), &Pins::to(old.clone()))
            .await?;
        let job = Arc::clone(job);
        job.limits.enter(Stage::Compose);
        Some(blocking(move || compare(&job, &before, &gathered)).await?)
    } else {
        None
    };
    let written = !how.dry_run && file.write(&new)?;
    Ok(Updated {
        old,
        new,
        diff,
        written,
    })
}

/// Returns the config's entries as they were when the lock was written.
fn as_locked(specs: Vec<SourceSpec>, lock: &Lock) -> Vec<SourceSpec> {
    let locked = |mut spec: SourceSpec| {
        spec.requested = lock.get(&spec.repo, &spec.environment)?.requested.clone();
        Some(spec)
    };
    specs.into_iter().filter_map(locked).collect()
}

/// Compares the composed files before and after, and returns why the new ones could not be
/// deployed.
fn compare(
    job: &Job,
    before: &Gathered,
    after: &Gathered,
) -> Result<(Vec<FileDiff>, Vec<Diagnostic>), Failure> {
    let old = pipeline::compose(job, before, Local::WhereTouched)?;
    let new = pipeline::compose(job, after, Local::WhereTouched)?;
    let conflicts = report::conflicts(&new, &after.layers.sources);
    let files = diff::files(job, (&old, before), (&new, after))?;
    Ok((files, conflicts))
}

/// Returns whether a person means this source by a repo's URL or name, or by an environment.
fn names(name: &str, locked: &Locked) -> bool {
    let repo = &locked.repo;
    let by_url = compose_model::RepoUrl::parse(name).is_ok_and(|url| url == *repo);
    by_url || repo.name() == name || locked.environment.as_str() == name
}

fn no_source(name: &str, lock: &Lock) -> Diagnostic {
    let mut known: Vec<&str> = lock
        .sources
        .iter()
        .flat_map(|locked| [locked.repo.name(), locked.environment.as_str()])
        .collect();
    known.sort_unstable();
    known.dedup();
    let hint = format!("there are: {}", known.join(", "));
    let name = compose_model::text::escape(name, 120);
    Diagnostic::new(ExitCode::Usage, format!("no locked source is called `{name}`")).hint(hint)
}

fn describe_update(file: &LockFile, changes: &[Change<'_>], files: &[FileDiff], dry_run: bool) -> String {
    let mut text = match (changes.len(), dry_run) {
        (0, _) => format!("{}: nothing to update\n", file.name()),
        (1, true) => format!("{}: 1 source would change\n", file.name()),
        (count, true) => format!("{}: {count} sources would change\n", file.name()),
        (1, false) => format!("{}: 1 source updated\n", file.name()),
        (count, false) => format!("{}: {count} sources updated\n", file.name()),
    };
    for change in changes {
        let (from, to) = change.versions();
        let Locked {
            repo, environment, ..
        } = change.source();
        text.push_str(&format!("  {repo} {environment}: {from} -> {to}\n"));
    }
    for file in files {
        text.push_str(&format!("\n{}", file.text));
    }
    text
}

fn json(file: &LockFile, changes: &[Change<'_>], files: &[FileDiff], written: bool) -> serde_json::Value {
    let side = |locked: Option<&Locked>| {
        locked.map(|locked| {
            json!({ "resolved": locked.resolved.name(locked.commit), "commit": locked.commit.to_string() })
        })
    };
    let change = |change: &Change<'_>| {
        let Locked {
            repo, environment, ..
        } = change.source();
        json!({
            "repo": repo.to_string(),
            "environment": environment.as_str(),
            "before": side(change.before()),
            "after": side(change.after()),
        })
    };
    let diff = |file: &FileDiff| json!({ "path": file.path, "diff": file.text });
    json!({
        "lock": file.name(),
        "written": written,
        "sources": changes.iter().map(change).collect::<Vec<_>>(),
        "files": files.iter().map(diff).collect::<Vec<_>>(),
    })
}
