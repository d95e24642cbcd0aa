//! `bitops.lock.yaml`: the commits that an environment's sources stand for.
//!
//! | module | holds |
//! |---|---|
//! | `write` | the file's text, the same for the same lock |
//! | `read` | the file read back, with the place of every mistake |
//! | `changes` | two locks compared |
//! | `outdated` | what a repo's refs say of a lock |

mod changes;
mod outdated;
mod read;
#[cfg(test)]
mod tests;
mod write;

use compose_model::{
    CommitId, Diagnostic, ObjectId, RepoUrl, Requested, SourceSpec, TreeId, TreePath, VersionRequest,
    text::escape, version::Kind,
};

use crate::{
    layer::{Source, SourceId},
    resolve::{self, Resolved, tag_version},
};

pub use changes::Change;
pub use outdated::{Now, Row, outdated, to_json, to_table};
pub use read::RESTORE;

/// The format that this program reads and writes.
pub const FORMAT: u64 = 1;

const RUN_LOCK: &str = "run `bitops-compose lock`, and commit the lock";

/// A lock: all sources of an environment, nested ones too, in composition order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lock {
    /// Each environment of a repo once.
    pub sources: Vec<Locked>,
}

/// One source as it was when it was locked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Locked {
    /// Where it is.
    pub repo: RepoUrl,
    /// Its environment.
    pub environment: TreePath,
    /// What was asked for; for a nested source that several asked for, what they agreed on.
    pub requested: Requested,
    /// What that was.
    pub resolved: LockedRef,
    /// The commit.
    pub commit: CommitId,
    /// The environment's tree in that commit.
    pub tree: TreeId,
    /// The sources whose configs led here, outermost first; empty: the local config.
    pub via: Vec<Via>,
    /// The fingerprint of the key that signed it, where a signature was asked for.
    pub signer: Option<String>,
    /// The annotated tag itself, where its signature was asked for: deployments verify it again.
    pub tag_object: Option<ObjectId>,
}

/// One source of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Via {
    /// Where it is.
    pub repo: RepoUrl,
    /// Its environment.
    pub environment: TreePath,
}

/// What a request resolved to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LockedRef {
    /// A tag, by its short name.
    Tag(String),
    /// A branch, by its short name.
    Branch(String),
    /// The commit itself was asked for.
    Commit,
}

impl LockedRef {
    /// What to lock of a resolution.
    pub fn of(resolved: &Resolved) -> Self {
        match resolved.kind {
            resolve::Kind::Tag => Self::Tag(resolved.name.clone()),
            resolve::Kind::Branch => Self::Branch(resolved.name.clone()),
            resolve::Kind::Commit => Self::Commit,
        }
    }

    /// The short name; the commit's id where that was asked for.
    pub fn name(&self, commit: CommitId) -> String {
        match self {
            Self::Tag(name) | Self::Branch(name) => name.clone(),
            Self::Commit => commit.to_string(),
        }
    }

    /// What it is.
    pub fn kind(&self) -> resolve::Kind {
        match self {
            Self::Tag(_) => resolve::Kind::Tag,
            Self::Branch(_) => resolve::Kind::Branch,
            Self::Commit => resolve::Kind::Commit,
        }
    }

    /// May a request have been resolved to it? Only the refs of that time could tell whether it was.
    fn can_answer(&self, environment: &TreePath, requested: &Requested) -> bool {
        match (requested, self) {
            (Requested::Version(request), Self::Tag(tag)) => match request.kind() {
                Kind::Exact(exact) => tag_version(environment, tag).as_ref() == Some(exact),
                Kind::Range(range) => {
                    tag_version(environment, tag).is_some_and(|version| range.matches(&version))
                }
                Kind::Partial => resolve::tag_names(environment, request.as_str()).contains(tag),
            },
            (Requested::Ref(name), Self::Tag(tag)) => {
                name == tag || name.strip_prefix("refs/tags/") == Some(tag)
            }
            (Requested::Ref(name), Self::Branch(branch)) => {
                name == branch || name.strip_prefix("refs/heads/") == Some(branch)
            }
            (Requested::Ref(name), Self::Commit) => name.parse::<CommitId>().is_ok(),
            (Requested::Version(_), Self::Branch(_) | Self::Commit) => false,
        }
    }

    /// The full ref, to fetch by where a server refuses raw commits; `None` for a commit.
    pub fn refname(&self) -> Option<String> {
        match self {
            Self::Tag(tag) => Some(format!("refs/tags/{tag}")),
            Self::Branch(branch) => Some(format!("refs/heads/{branch}")),
            Self::Commit => None,
        }
    }
}

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
    /// The lock of these sources, which are in composition order.
    pub fn of(sources: &[Source]) -> Self {
        let via = |id: &SourceId| Via {
            repo: sources[id.0].repo.clone(),
            environment: sources[id.0].environment.clone(),
        };
        let locked = |source: &Source| Locked {
            repo: source.repo.clone(),
            environment: source.environment.clone(),
            requested: source.requested.clone(),
            resolved: LockedRef::of(&source.resolved),
            commit: source.resolved.commit,
            tree: source.tree,
            via: source.via.iter().map(via).collect(),
            signer: source
                .signature
                .as_ref()
                .map(|signature| signature.signer.clone()),
            tag_object: source.signature.as_ref().and_then(|signature| signature.tag),
        };
        Self {
            sources: sources.iter().map(locked).collect(),
        }
    }

    /// The source of this repo and environment.
    pub fn get(&self, repo: &RepoUrl, environment: &TreePath) -> Option<&Locked> {
        self.sources
            .iter()
            .find(|source| source.repo == *repo && source.environment == *environment)
    }

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

impl Locked {
    fn answers(&self, requested: &Requested) -> bool {
        let by_version = |request: &VersionRequest| {
            !matches!(request.kind(), Kind::Partial) && self.resolved.can_answer(&self.environment, requested)
        };
        self.requested == *requested
            || matches!(requested, Requested::Version(request) if by_version(request))
    }

    /// As if it had been resolved now.
    pub fn to_resolved(&self) -> Resolved {
        Resolved {
            name: self.resolved.name(self.commit),
            refname: self.resolved.refname(),
            kind: self.resolved.kind(),
            commit: self.commit,
            tag_object: self.tag_object,
            warning: None,
        }
    }

    /// What it is locked at, for people: `v1.0.0`, `main (0123abcd4)`, `0123abcd4`.
    pub fn name(&self) -> String {
        match &self.resolved {
            LockedRef::Tag(tag) => format!("`{}`", escape(tag, 120)),
            LockedRef::Branch(branch) => format!("`{}` ({})", escape(branch, 120), self.commit.short()),
            LockedRef::Commit => self.commit.short(),
        }
    }

    /// What it is locked at, with the commit: `v1.0.0` (0123abcd4).
    pub fn name_and_commit(&self) -> String {
        match &self.resolved {
            LockedRef::Tag(_) => format!("{} ({})", self.name(), self.commit.short()),
            LockedRef::Branch(_) | LockedRef::Commit => self.name(),
        }
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
