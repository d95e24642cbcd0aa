//! Compares a lock with a request.

use compose_model::{
    Diagnostic, RepoUrl, Requested, SourceSpec, TreePath, VersionRequest, text::escape, version::VersionKind,
};

use super::locked::{Lock, Locked};

const RUN_LOCK: &str = "run `bitops-compose lock`, and commit the lock";

/// The answer of a lock to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer<'a> {
    /// The source is locked at this commit, which the request allows.
    Locked(&'a Locked),
    /// The source is locked at something that the request does not ask for.
    Disagrees(&'a Locked),
    /// The source is not locked.
    Missing,
}

impl Lock {
    /// Returns the lock's answer to a request. As in Cargo, a changed request is answered as long
    /// as it still asks for the locked version.
    pub fn answer(&self, repo: &RepoUrl, environment: &TreePath, requested: &Requested) -> Answer<'_> {
        match self.get(repo, environment) {
            Some(locked) if locked.answers(requested) => Answer::Locked(locked),
            Some(locked) => Answer::Disagrees(locked),
            None => Answer::Missing,
        }
    }

    /// Returns a warning, at the place of the entry, if the lock does not answer the entry's
    /// request.
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

    /// Returns one warning for each locked source that a composition does not have.
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
            !matches!(request.kind(), VersionKind::Partial)
                && self.resolved.can_answer(&self.environment, requested)
        };
        self.requested == *requested
            || match requested {
                Requested::Version(request) => by_version(request),
                // A full name leaves no choice.
                Requested::Ref(name) => self.resolved.refname().as_ref() == Some(name),
            }
    }
}
