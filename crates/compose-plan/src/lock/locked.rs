//! A lock and its sources.

use compose_model::{
    CommitId, ObjectId, RepoUrl, Requested, TreeId, TreePath,
    refs::{HEAD, HEADS, TAGS},
    text::escape,
    version::VersionKind,
};

use crate::{
    layer::{Source, SourceId},
    resolve::{self, Resolved, tag_version},
};

/// The format that this program reads and writes.
pub const FORMAT: u64 = 1;

/// A lock: all sources of an environment, nested ones too, in composition order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lock {
    /// The sources, with each environment of a repo once.
    pub sources: Vec<Locked>,
}

impl Lock {
    /// Returns the lock of these sources, which are in composition order.
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
            tag_object: match source.resolved.kind {
                // Without it the lock would not show that the request names this commit.
                resolve::Kind::Commit => source.resolved.tag_object,
                _ => source.signature.as_ref().and_then(|signature| signature.tag),
            },
        };
        Self {
            sources: sources.iter().map(locked).collect(),
        }
    }

    /// Returns the source of this repo and environment.
    pub fn get(&self, repo: &RepoUrl, environment: &TreePath) -> Option<&Locked> {
        self.sources
            .iter()
            .find(|source| source.repo == *repo && source.environment == *environment)
    }
}

/// One source as it was when it was locked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Locked {
    /// The repo.
    pub repo: RepoUrl,
    /// The environment.
    pub environment: TreePath,
    /// The request. For a nested source that several sources requested, the request that they
    /// agreed on.
    pub requested: Requested,
    /// The ref that the request resolved to.
    pub resolved: LockedRef,
    /// The commit.
    pub commit: CommitId,
    /// The environment's tree in that commit.
    pub tree: TreeId,
    /// The sources whose configs led here, outermost first; empty for the local config.
    pub via: Vec<Via>,
    /// The fingerprint of the key that signed the commit or tag, if a signature was required.
    pub signer: Option<String>,
    /// The annotated tag itself, if its signature was required, because deployments verify it
    /// again, or if its id was requested.
    pub tag_object: Option<ObjectId>,
}

/// One source of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Via {
    /// The repo.
    pub repo: RepoUrl,
    /// The environment.
    pub environment: TreePath,
}

/// The ref that a request resolved to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LockedRef {
    /// A tag, by its short name.
    Tag(String),
    /// A branch, by its short name.
    Branch(String),
    /// The commit that was requested directly, or by the id of a tag object.
    Commit,
    /// Another ref, by its full name, which is that of the request.
    Other(String),
}

impl LockedRef {
    /// Returns the part of a resolution that is locked.
    pub fn of(resolved: &Resolved) -> Self {
        match resolved.kind {
            resolve::Kind::Tag => Self::Tag(resolved.name.clone()),
            resolve::Kind::Branch => Self::Branch(resolved.name.clone()),
            resolve::Kind::Commit => Self::Commit,
            resolve::Kind::Other => Self::Other(resolved.name.clone()),
        }
    }

    /// Returns the short name of a tag or branch, the full name of another ref, or the commit's id
    /// if the commit itself was requested.
    pub fn name(&self, commit: CommitId) -> String {
        match self {
            Self::Tag(name) | Self::Branch(name) | Self::Other(name) => name.clone(),
            Self::Commit => commit.to_string(),
        }
    }

    /// Returns the kind of the ref.
    pub fn kind(&self) -> resolve::Kind {
        match self {
            Self::Tag(_) => resolve::Kind::Tag,
            Self::Branch(_) => resolve::Kind::Branch,
            Self::Commit => resolve::Kind::Commit,
            Self::Other(_) => resolve::Kind::Other,
        }
    }

    /// Returns whether a request may have resolved to this ref. Whether it did depends on the refs
    /// of that time.
    pub(super) fn can_answer(&self, environment: &TreePath, requested: &Requested) -> bool {
        match (requested, self) {
            (Requested::Version(request), Self::Tag(tag)) => match request.kind() {
                VersionKind::Exact(exact) => resolve::is_exact(environment, exact, tag),
                VersionKind::Range(range) => {
                    tag_version(environment, tag).is_some_and(|version| version.is_in(range))
                }
                VersionKind::Partial => resolve::is_named(environment, request.as_str(), tag),
            },
            (Requested::Ref(name), Self::Tag(tag)) => name == tag || name.strip_prefix(TAGS) == Some(tag),
            (Requested::Ref(name), Self::Branch(branch)) => {
                name == branch || name.strip_prefix(HEADS) == Some(branch) || name == HEAD
            }
            (Requested::Ref(name), Self::Commit) => name.parse::<CommitId>().is_ok(),
            (Requested::Ref(name), Self::Other(other)) => name == other && resolve::is_other_ref(name),
            (Requested::Version(_), Self::Branch(_) | Self::Commit | Self::Other(_)) => false,
        }
    }

    /// Returns the full ref to fetch if a server refuses raw commits, or `None` for a commit.
    pub fn refname(&self) -> Option<String> {
        match self {
            Self::Tag(tag) => Some(format!("{TAGS}{tag}")),
            Self::Branch(branch) => Some(format!("{HEADS}{branch}")),
            Self::Other(name) => Some(name.clone()),
            Self::Commit => None,
        }
    }
}

impl Locked {
    /// Returns the locked source in the form of a new resolution.
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

    /// Returns the locked version for people: `v1.0.0`, `main (0123abcd4)` or `0123abcd4`.
    pub fn name(&self) -> String {
        match &self.resolved {
            LockedRef::Tag(tag) => format!("`{}`", escape(tag, 120)),
            LockedRef::Branch(name) | LockedRef::Other(name) => {
                format!("`{}` ({})", escape(name, 120), self.commit.abbreviated())
            }
            LockedRef::Commit => self.commit.abbreviated(),
        }
    }

    /// Returns the locked version with its commit: `v1.0.0` (0123abcd4).
    pub fn name_and_commit(&self) -> String {
        match &self.resolved {
            LockedRef::Tag(_) => format!("{} ({})", self.name(), self.commit.abbreviated()),
            LockedRef::Branch(_) | LockedRef::Commit | LockedRef::Other(_) => self.name(),
        }
    }
}
