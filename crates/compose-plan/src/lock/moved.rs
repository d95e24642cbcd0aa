//! Finds tags that no longer point to the commit that they pointed to when they were locked.

use compose_model::{CommitId, Diagnostic, text::escape};

use super::locked::{Lock, Locked, LockedRef};
use crate::resolve::tag_version;

/// A tag that no longer points to the commit that it pointed to when it was locked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MovedTag<'a> {
    /// The locked source.
    pub locked: &'a Locked,
    /// The tag that stands for the same version now; usually the same tag.
    pub tag: String,
    /// The commit that the tag points to now.
    pub now: CommitId,
}

impl Lock {
    /// Returns the versions that a newer lock of the same sources found at another commit. These
    /// tags were moved, possibly by deleting `1.0.0` and creating `v1.0.0`.
    pub fn moved_tags<'a>(&'a self, newer: &Lock) -> Vec<MovedTag<'a>> {
        let moved = |locked: &'a Locked| {
            let now = newer.get(&locked.repo, &locked.environment)?;
            let (LockedRef::Tag(before), LockedRef::Tag(after)) = (&locked.resolved, &now.resolved) else {
                return None;
            };
            let version = |tag| tag_version(&locked.environment, tag);
            let is_same = before == after || version(before).is_some_and(|old| version(after) == Some(old));
            (is_same && locked.commit != now.commit).then(|| MovedTag {
                locked,
                tag: after.clone(),
                now: now.commit,
            })
        };
        self.sources.iter().filter_map(moved).collect()
    }
}

impl MovedTag<'_> {
    /// Returns a diagnostic for people.
    pub fn to_diagnostic(&self) -> Diagnostic {
        let Locked {
            repo,
            environment,
            commit,
            ..
        } = self.locked;
        let (before, now) = (commit.abbreviated(), self.now.abbreviated());
        let (name, tag) = (self.locked.name(), format!("`{}`", escape(&self.tag, 120)));
        let subject = if name == tag { "the tag" } else { tag.as_str() };
        Diagnostic::error(format!("the tag {name} of {repo} was moved: `{environment}` is locked at {before}, {subject} is at {now} now"))
            .hint("ask the catalog's owner why; if it is right, accept it with `--accept-moved`")
    }
}
