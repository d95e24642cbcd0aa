//! `update`: brings locked sources up to date, or shows what that would change.

use std::sync::Arc;

use compose_model::{Diagnostic, ExitCode, Failure, SourceSpec};
use compose_plan::lock::{Change, Lock, Locked};
use compose_sources::{Gathered, LockFile, Pins, blocking, refuse_moved};
use serde_json::json;

use super::{
    DONE,
    each::{Answer, each},
    words::{Named, Sources},
};
use crate::{
    cli::{self, UpdateFormat},
    diff::{self, FileDiff, State},
    job::Job,
    pipeline::{self, Local},
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

/// What the command line asks for.
#[derive(Clone)]
struct Wanted {
    sources: Sources,
    dry_run: bool,
    accept_moved: bool,
    format: UpdateFormat,
}

/// Resolves the named sources live, keeps the others as they are locked, and writes the lock or shows the difference.
pub(crate) fn run(args: &cli::Update) -> Result<u8, Failure> {
    let named = Named::of(&args.named, is_locked)?;
    let wanted = Wanted {
        sources: named.sources.clone(),
        dry_run: args.dry_run,
        accept_moved: args.accept_moved,
        format: args.format,
    };
    let code = each(&args.named.place, named.asked(), args.format.kind(), |job| {
        let wanted = wanted.clone();
        async move {
            let file = job.lock_file();
            let old = file.require()?;
            let updated = update(&job, &wanted, &file, old).await?;
            answer(&job, &file, updated, &wanted)
        }
    })?;
    named
        .sources
        .settle(code, |name| no_source(name, &Lock::default()))
}

fn answer(job: &Job, file: &LockFile, updated: Updated, wanted: &Wanted) -> Result<Answer, Failure> {
    let changes = updated.old.changes(&updated.new);
    let (files, conflicts) = updated.diff.unwrap_or_default();
    let environment = job.environment.as_str();
    job.printer.problems(&conflicts);
    let code = Failure::new(conflicts).map_or(DONE, |failure| failure.code().code());
    let dry_run = wanted.dry_run;
    match wanted.format {
        UpdateFormat::Text => Ok(Answer::for_people(
            describe_update(file, &changes, &files, dry_run),
            code,
        )),
        UpdateFormat::Markdown => {
            let shown = |text: &str| job.printer.masks.apply(text).into_owned();
            let page = diff::markdown(environment, &changes, &files, dry_run, &shown);
            Ok(Answer::verbatim(page, code))
        }
        UpdateFormat::Json => Answer::json(
            job,
            &json(environment, file, &changes, &files, updated.written),
            code,
        ),
    }
}

/// Returns whether the lock of an environment has a source of that name.
fn is_locked(job: &Job, name: &str) -> bool {
    let lock = job.lock_file().read().ok().flatten();
    lock.is_some_and(|lock| lock.sources.iter().any(|locked| names(name, locked)))
}

async fn update(job: &Arc<Job>, wanted: &Wanted, file: &LockFile, old: Lock) -> Result<Updated, Failure> {
    let specs = pipeline::config(job)?;
    let is_named = |locked: &Locked| wanted.sources.mean(|name| names(name, locked));
    let is_there = |name: &str| old.sources.iter().any(|locked| names(name, locked));
    wanted.sources.check(is_there, |name| no_source(name, &old))?;
    let kept = Lock {
        sources: old
            .sources
            .iter()
            .filter(|locked| !is_named(locked))
            .cloned()
            .collect(),
    };
    let gatherer = job.gatherer()?;
    let gathered = gatherer.gather(specs.clone(), &Pins::to(kept)).await?;
    job.warn(&gathered.warnings);
    let new = gathered.lock();
    refuse_moved(&old, &new, wanted.accept_moved)?;
    let diff = if wanted.dry_run {
        let before = gatherer
            .gather(as_locked(specs, &old), &Pins::to(old.clone()))
            .await?;
        let job = Arc::clone(job);
        Some(blocking(move || compare(&job, &before, &gathered)).await?)
    } else {
        None
    };
    let written = !wanted.dry_run && file.write(&new)?;
    Ok(Updated {
        old,
        new,
        diff,
        written,
    })
}

/// Returns the config's entries as they were when the lock was written.
pub(super) fn as_locked(specs: Vec<SourceSpec>, lock: &Lock) -> Vec<SourceSpec> {
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
    let conflicts = pipeline::conflicts(&new, after);
    let state = |composition, gathered, name| State {
        job,
        composition,
        gathered,
        name,
    };
    let files = diff::files(&state(&old, before, "locked"), &state(&new, after, "update"))?;
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
    let name = compose_model::text::escape(name, 120);
    let problem = Diagnostic::new(ExitCode::Usage, format!("no locked source is called `{name}`"));
    if known.is_empty() {
        return problem.hint("`bitops-compose outdated --all` lists the locked sources");
    }
    problem.hint(format!("there are: {}", known.join(", ")))
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
        text.push_str(&format!("  {environment} of {repo}: {from} -> {to}\n"));
    }
    for file in files {
        text.push_str(&format!("\n{}", file.text));
    }
    text
}

fn json(
    environment: &str,
    file: &LockFile,
    changes: &[Change<'_>],
    files: &[FileDiff],
    written: bool,
) -> serde_json::Value {
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
        "environment": environment,
        "lock": file.name(),
        "written": written,
        "sources": changes.iter().map(change).collect::<Vec<_>>(),
        "files": files.iter().map(diff).collect::<Vec<_>>(),
    })
}
