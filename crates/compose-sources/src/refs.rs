//! The current refs of the repos in a lock.

use std::{collections::HashMap, sync::Arc};

use compose_git::Git;
use compose_model::{Diagnostic, Failure, Refs, RepoUrl, refs::HEAD};
use compose_plan::{
    lock::{Lock, LockedRef},
    resolve::{Allow, all_tags_prefix},
};
use tokio::task::JoinSet;

use crate::wording;

/// The current refs of the repos in a lock.
#[derive(Debug)]
pub struct LockedRefs {
    /// All tags of the repos that answered, and the other refs that the lock names, by [`RepoUrl::key`].
    pub refs: HashMap<String, Arc<Refs>>,
    /// The failures of the other repos, in the lock's order.
    pub problems: Vec<Diagnostic>,
}

/// Requests the refs of all repos concurrently.
pub(crate) async fn look(git: &Git, allow: &Allow, lock: &Lock) -> Result<LockedRefs, Failure> {
    let mut repos: Vec<(RepoUrl, Vec<String>)> = Vec::new();
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
    Ok(LockedRefs {
        refs,
        problems: problems.into_iter().map(|(_, problem)| problem).collect(),
    })
}
