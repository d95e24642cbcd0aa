//! Tags that do not point any more to where they pointed when they were locked.

use compose_model::{CommitId, Diagnostic, text::escape};

use super::locked::{Lock, Locked, LockedRef};
use crate::resolve::tag_version;

/// A tag that does not point any more to where it pointed when it was locked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MovedTag<'a> {
    /// As it was.
    pub locked: &'a Locked,
    /// The tag that stands for the same version now; as a rule the same one.
    pub tag: String,
    /// The commit it points to now.
    pub now: CommitId,
}

impl Lock {
    /// The versions that a newer lock of the same sources found at another commit: tags that were moved, also those that
    /// were moved by deleting `1.0.0` and making a `v1.0.0`.
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
    /// For people.
    pub fn to_diagnostic(&self) -> Diagnostic {
        let Locked {
            repo,
            environment,
            commit,
            ..
        } = self.locked;
        let (before, now) = (commit.short(), self.now.short());
        let (name, tag) = (self.locked.name(), format!("`{}`", escape(&self.tag, 120)));
        let subject = if name == tag { "the tag" } else { tag.as_str() };
        Diagnostic::error(format!("the tag {name} of {repo} was moved: `{environment}` is locked at {before}, {subject} is at {now} now"))
            .hint("ask the catalog's owner why; if it is right, accept it with `--accept-moved`")
    }
}
