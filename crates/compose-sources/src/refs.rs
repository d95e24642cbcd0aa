//! The current refs of the repos that a lock or a config names.

use std::{collections::HashMap, sync::Arc};

use compose_git::Git;
use compose_model::{Diagnostic, Failure, Refs, RepoUrl, Requested, SourceSpec, refs::HEAD};
use compose_plan::{
    lock::{Lock, LockedRef},
    resolve::{self, Allow, all_tags_prefix},
};
use tokio::task::JoinSet;

use crate::wording;

/// The current refs of several repos.
#[derive(Debug)]
pub struct CurrentRefs {
    /// All tags of the repos that answered, and the other refs that are named, by [`RepoUrl::key`].
    pub refs: HashMap<String, Arc<Refs>>,
    /// The failures of the other repos, in the order of the sources.
    pub problems: Vec<Diagnostic>,
}

/// A repo with the prefixes of the refs to request.
pub(crate) type Asked = (RepoUrl, Vec<String>);

/// Returns what to request for `outdated`.
pub(crate) fn of_lock(lock: &Lock) -> Vec<Asked> {
    let mut repos: Vec<Asked> = Vec::new();
    for locked in &lock.sources {
        let at = repos.iter().position(|(repo, _)| *repo == locked.repo);
        let at = at.unwrap_or_else(|| {
            repos.push((locked.repo.clone(), vec![all_tags_prefix().to_owned()]));
            repos.len() - 1
        });
        if let LockedRef::Branch(_) | LockedRef::Other(_) = &locked.resolved {
            repos[at].1.extend(locked.resolved.refname());
        }
        if locked.requested.as_str() == HEAD {
            repos[at].1.push(HEAD.to_owned());
        }
    }
    repos
}

/// Returns what to request for newer versions of these entries: nothing from repos without any `version`. What
/// resolving the entries needs is requested along with it.
pub(crate) fn of_specs(specs: &[SourceSpec]) -> Vec<Asked> {
    let mut repos: Vec<Asked> = Vec::new();
    let has_version = |repo: &RepoUrl| {
        let mut own = specs.iter().filter(|spec| spec.repo == *repo);
        own.any(|spec| matches!(spec.requested, Requested::Version(_)))
    };
    for spec in specs.iter().filter(|spec| has_version(&spec.repo)) {
        if repos.iter().all(|(repo, _)| *repo != spec.repo) {
            let own = specs.iter().filter(|other| other.repo == spec.repo);
            let mut prefixes = resolve::prefixes(own.map(|spec| (&spec.environment, &spec.requested)));
            prefixes.retain(|prefix| !prefix.starts_with(all_tags_prefix()));
            prefixes.push(all_tags_prefix().to_owned());
            repos.push((spec.repo.clone(), prefixes));
        }
    }
    repos
}

/// Requests the refs of all repos concurrently.
pub(crate) async fn look(git: &Git, allow: &Allow, repos: Vec<Asked>) -> Result<CurrentRefs, Failure> {
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
                return Err(wording::unexpected_end("a look at refs", error).into());
            }
        }
    }
    problems.sort_by_key(|(at, _)| *at);
    Ok(CurrentRefs {
        refs,
        problems: problems.into_iter().map(|(_, problem)| problem).collect(),
    })
}
