//! `outdated`: the lock against what its repos have now.

use std::{collections::HashMap, sync::Arc};

use compose_git::Git;
use compose_model::{Diagnostic, ExitCode, Failure, Refs, RepoUrl};
use compose_plan::{
    lock::{self, Lock, LockedRef},
    resolve::{Allow, all_tags_prefix},
};
use tokio::task::JoinSet;

use crate::{
    DONE,
    cli::{self, Format},
    gather, ignored,
    job::Job,
    lockfile::LockFile,
    runtime,
};

/// The code of `--check` when there is something to do. None of the program's own: those are failures.
const OUTDATED: u8 = 1;

/// The refs of the repos that answered, and what is wrong with the others.
type Looked = (HashMap<String, Arc<Refs>>, Vec<Diagnostic>);

/// Looks at the refs of every locked repo and prints one row a source.
pub(crate) fn run(args: &cli::Outdated) -> Result<u8, Failure> {
    let job = Job::of(&args.target)?;
    if let Some(failure) = Failure::new(ignored::of(&job)) {
        return Err(failure);
    }
    let file = LockFile::of(&job);
    let lock = file.require()?;
    let looked = runtime::run(&job.cancel, job.settings.jobs, async {
        look(&gather::git(&job)?, &lock, &Allow::new(&job.settings.allow)).await
    });
    let (refs, problems) = match looked {
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
    // A repo that did not answer is more than an outdated one.
    Ok(match Failure::new(problems) {
        Some(failure) => failure.code().code(),
        None if args.check && rows.iter().any(lock::Row::is_outdated) => OUTDATED,
        None => DONE,
    })
}

/// One look at each repo, all at once.
async fn look(git: &Git, lock: &Lock, allow: &Allow) -> Result<Looked, Failure> {
    let mut repos: Vec<(RepoUrl, Vec<String>)> = Vec::new();
    for locked in &lock.sources {
        let at = repos.iter().position(|(repo, _)| *repo == locked.repo);
        let at = at.unwrap_or_else(|| {
            repos.push((locked.repo.clone(), vec![all_tags_prefix().to_owned()]));
            repos.len() - 1
        });
        if let LockedRef::Branch(_) = &locked.resolved {
            repos[at].1.extend(locked.resolved.refname());
        }
    }
    let mut tasks = JoinSet::new();
    let mut refs = HashMap::new();
    let mut problems: Vec<(usize, Diagnostic)> = Vec::new();
    for (at, (url, prefixes)) in repos.into_iter().enumerate() {
        if let Err(error) = allow.check(&url) {
            problems.push((at, error.into()));
            continue;
        }
        let repo = git.repo(&url);
        tasks.spawn(async move { (at, url, repo.refs(&prefixes).await) });
    }
    while let Some(done) = tasks.join_next().await {
        match done {
            Ok((_, url, Ok(found))) => _ = refs.insert(url.key().to_owned(), found),
            Ok((at, _, Err(error))) => problems.push((at, error.into())),
            Err(error) => {
                return Err(
                    Diagnostic::new(ExitCode::Bug, "a look at refs ended in an unexpected way")
                        .because(error)
                        .into(),
                );
            }
        }
    }
    problems.sort_by_key(|(at, _)| *at);
    Ok((refs, problems.into_iter().map(|(_, problem)| problem).collect()))
}
