//! What a lock says to a request.

use compose_model::{
    Diagnostic, RepoUrl, Requested, SourceSpec, TreePath, VersionRequest, text::escape, version::Kind,
};

use super::locked::{Lock, Locked};

const RUN_LOCK: &str = "run `bitops-compose lock`, and commit the lock";

/// What a lock says to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer<'a> {
    /// This commit.
    Locked(&'a Locked),
    /// The source is locked, at something that the request does not ask for.
    Disagrees(&'a Locked),
    /// The source is not locked.
    Missing,
}

impl Lock {
    /// What the lock says to a request. As in Cargo, a request that was changed is answered as long as the locked version
    /// is one that it asks for.
    pub fn answer(&self, repo: &RepoUrl, environment: &TreePath, requested: &Requested) -> Answer<'_> {
        match self.get(repo, environment) {
            Some(locked) if locked.answers(requested) => Answer::Locked(locked),
            Some(locked) => Answer::Disagrees(locked),
            None => Answer::Missing,
        }
    }

    /// Why a source is not answered, at the place of its entry; `None`: it is.
    pub fn unanswered(&self, spec: &SourceSpec) -> Option<Diagnostic> {
        let (environment, repo) = (&spec.environment, &spec.repo);
        let asked = escape(spec.requested.as_str(), 80);
        let (message, place) = match self.answer(repo, environment, &spec.requested) {
            Answer::Locked(_) => return None,
            Answer::Missing => (
                format!("`{environment}` of {repo} is not in the lock"),
                spec.place.clone(),
            ),
            Answer::Disagrees(locked) => {
                let locked = locked.name();
                let message =
                    format!("`{environment}` of {repo} is asked for as `{asked}` and locked at {locked}");
                (message, spec.requested_place())
            }
        };
        Some(Diagnostic::warning(message).with_place(place).hint(RUN_LOCK))
    }

    /// Locked sources that are none of a composition's, one warning each.
    pub fn unused(&self, sources: &[(&RepoUrl, &TreePath)]) -> Vec<Diagnostic> {
        let named = |locked: &&Locked| sources.contains(&(&locked.repo, &locked.environment));
        let warning = |locked: &Locked| {
            let message = format!(
                "the lock holds `{}` of {}, which nothing names",
                locked.environment, locked.repo
            );
            Diagnostic::warning(message).hint(RUN_LOCK)
        };
        self.sources
            .iter()
            .filter(|locked| !named(locked))
            .map(warning)
            .collect()
    }
}

impl Locked {
    fn answers(&self, requested: &Requested) -> bool {
        let by_version = |request: &VersionRequest| {
            !matches!(request.kind(), Kind::Partial) && self.resolved.can_answer(&self.environment, requested)
        };
        self.requested == *requested
            || matches!(requested, Requested::Version(request) if by_version(request))
    }
}
