//! Resolves a request to a commit, using a repo's refs.
//!
//! | module | holds |
//! |---|---|
//! | `tags` | which tags may answer an environment's versions |
//! | `tag_version` | the names of tags read as versions |
//! | `upgrade` | newer versions for what a config asks for |
//! | `spelling` | the version that stands for a tag, as a config spells it |
//! | `named_ref` | branches, tags, commits and other refs by their names |
//! | `error` | why nothing answers, and what is near |
//! | `near` | the refs that a missing name may stand for |
//! | `entries` | the entries of all configs, and the nodes that they ask for |
//! | `graph` | sources that name sources: which, at which version, in which order |
//! | `replay` | one walk over all of them, for the graph |
//! | `intersect` | two requests made one |
//! | `allow` | which repos may be contacted |
//!
//! Each repo's refs are read once per run: [`prefixes`] returns the refs that all of its entries
//! need, and [`resolve`] picks from them.

mod allow;
mod entries;
mod error;
mod graph;
mod intersect;
mod named_ref;
mod near;
mod replay;
mod spelling;
mod tag_version;
mod tags;
#[cfg(test)]
mod tests;
mod upgrade;

use compose_model::{
    CommitId, ObjectId, RefEntry, Refs, Requested, TreePath, VersionRequest, refs::TAGS, text::escape,
    version::VersionKind,
};
use semver::{Version, VersionReq};

pub use allow::{Allow, NotAllowed};
pub use entries::{MAX_DEPTH, NodeId};
pub use error::ResolveError;
pub use graph::{Graph, OrderedNode};
pub(crate) use named_ref::is_other_ref;
use named_ref::tag;
pub use near::Existing;
pub use spelling::{Bounds, spelled};
pub use tag_version::TagVersion;
use tags::Tags;
pub use tags::tag_version;
pub(crate) use tags::{is_exact, is_named};
pub use upgrade::{Left, NewVersion, Reach, Upgrade};

/// The result of resolving a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// The short name of the tag or branch, the full name of another ref, or the commit's id. It is a
    /// remote's text and must be escaped before printing.
    pub name: String,
    /// The full ref (`refs/tags/1.0.0`); `None` for a commit.
    pub refname: Option<String>,
    /// The kind of `name`.
    pub kind: Kind,
    /// The commit, with tags peeled. The fetch checks that it is a commit and not a tagged blob. For a
    /// `ref` that is an id it may still be that of a tag object, which [`Resolved::peeled`] replaces.
    pub commit: CommitId,
    /// The tag object, for an annotated tag, and for a `ref` that is the id of one.
    pub tag_object: Option<ObjectId>,
    /// A warning for the user about a request that resolved, in one sentence.
    pub warning: Option<String>,
}

impl Resolved {
    /// Returns the resolution after the fetch, which finds the commit that a tag object stands for.
    pub fn peeled(self, commit: CommitId) -> Self {
        if self.commit == commit {
            return self;
        }
        Self {
            name: match self.kind {
                Kind::Commit => commit.to_string(),
                Kind::Tag | Kind::Branch | Kind::Other => self.name,
            },
            tag_object: self.tag_object.or(Some(self.commit.0)),
            commit,
            ..self
        }
    }
}

/// The kind of name that a request resolved to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A tag.
    Tag,
    /// A branch.
    Branch,
    /// A full commit id.
    Commit,
    /// Another ref by its full name, such as the head of a pull request, or a `HEAD` that stands for
    /// no branch.
    Other,
}

/// Returns the prefix of all tags, for errors that list what is near and for `outdated`.
pub const fn all_tags_prefix() -> &'static str {
    TAGS
}

/// Returns the `ls-refs` prefixes that these requests of one repo need, sorted. An exact version
/// needs only the names that its tags may have, a range needs all tags, a `ref` needs the branch
/// and the tag of its name or the ref of its full name, and a full commit id needs nothing.
pub fn prefixes<'a>(requests: impl IntoIterator<Item = (&'a TreePath, &'a Requested)>) -> Vec<String> {
    let mut all: Vec<String> = requests
        .into_iter()
        .flat_map(|(environment, requested)| wanted(environment, requested))
        .collect();
    all.sort();
    all.dedup();
    if all.iter().any(|prefix| prefix == TAGS) {
        all.retain(|prefix| prefix == TAGS || !prefix.starts_with(TAGS));
    }
    all
}

fn wanted(environment: &TreePath, requested: &Requested) -> Vec<String> {
    // The package's organisation is unknown.
    let packages = || std::iter::once(tags::PACKAGE_SCOPE.to_owned());
    let tags = |names: Vec<String>| {
        names
            .into_iter()
            .chain(packages())
            .map(|name| format!("{TAGS}{name}"))
            .collect()
    };
    match requested {
        Requested::Version(version) => match version.kind() {
            VersionKind::Exact(exact) => tags(tags::exact_names(environment, exact)),
            VersionKind::Partial => tags(tags::named(environment, version.as_str())),
            VersionKind::Range(_) => vec![TAGS.to_owned()],
        },
        Requested::Ref(name) => named_ref::prefixes(name),
    }
}

/// The refs of one repo, for answering all requests for its environments.
pub struct Resolver<'a> {
    tags: Tags<'a>,
}

impl<'a> Resolver<'a> {
    /// Creates a resolver. The refs must include what [`prefixes`] named; further refs never change
    /// a result, only what an error can list.
    pub fn new(refs: &'a Refs) -> Self {
        let tags = Tags::new(refs);
        Self { tags }
    }

    /// Finds the commit that a request for an environment of the repo asks for.
    pub fn resolve(&self, environment: &TreePath, requested: &Requested) -> Result<Resolved, ResolveError> {
        match requested {
            Requested::Version(version) => match version.kind() {
                VersionKind::Exact(exact) => by_exact(environment, version, exact, &self.tags),
                VersionKind::Partial => by_partial(environment, version, &self.tags),
                VersionKind::Range(range) => by_range(environment, version, range, &self.tags),
            },
            Requested::Ref(name) => named_ref::resolve(name, self.tags.refs),
        }
    }

    /// Returns the highest tag above `version` that looks like a version of an environment but is
    /// not read as one.
    pub fn not_read(&self, environment: &TreePath, version: &TagVersion) -> Option<&'a str> {
        self.tags.not_read(environment, None, version)
    }

    /// Returns how many tags stand for versions of an environment, and whether they are its own: named for it, beside
    /// those of the whole repo.
    pub fn count(&self, environment: &TreePath) -> (usize, bool) {
        (
            self.tags.versions(environment).len(),
            self.tags.has_own(environment),
        )
    }

    /// Returns the newest stable tag that stands for a version of the whole repo.
    pub fn newest_plain(&self) -> Option<String> {
        self.tags.newest_plain()
    }

    /// Returns the newest tag that stands for a version of an environment. Pre-releases count only
    /// if `pre_releases` is set.
    pub fn newest(&self, environment: &TreePath, pre_releases: bool) -> Option<String> {
        tags::newest(environment, &self.tags, pre_releases)
    }
}

/// Resolves one request with [`Resolver::resolve`].
pub fn resolve(
    (environment, requested): (&TreePath, &Requested),
    refs: &Refs,
) -> Result<Resolved, ResolveError> {
    Resolver::new(refs).resolve(environment, requested)
}

fn by_exact(
    environment: &TreePath,
    request: &VersionRequest,
    exact: &Version,
    tags: &Tags<'_>,
) -> Result<Resolved, ResolveError> {
    for found in tags.exact(environment, exact) {
        if let Some(tag) = one_commit(&found)? {
            return Ok(tag);
        }
    }
    let near = tags::near(environment, exact, tags);
    Err(ResolveError::NoSuchTag {
        request: request.clone(),
        range: None,
        near,
    })
}

fn by_partial(
    environment: &TreePath,
    request: &VersionRequest,
    tags: &Tags<'_>,
) -> Result<Resolved, ResolveError> {
    if let Some((name, entry)) = tags.named(environment, request.as_str()) {
        return Ok(tag(name, entry));
    }
    // A range is offered only if a tag matches it.
    let range = format!("~{}", request.as_str().trim_start_matches(['v', 'V']));
    let range = VersionReq::parse(&range).ok().filter(|range| {
        let versions = tags.versions(environment);
        versions.iter().any(|found| found.version.is_in(range))
    });
    Err(ResolveError::NoSuchTag {
        request: request.clone(),
        range: range.map(|range| range.to_string()),
        near: tags::beginning_with(environment, request.as_str(), tags),
    })
}

fn by_range(
    environment: &TreePath,
    request: &VersionRequest,
    range: &VersionReq,
    tags: &Tags<'_>,
) -> Result<Resolved, ResolveError> {
    let versions = tags.versions(environment);
    let matching = || versions.iter().filter(|found| found.version.is_in(range));
    let Some(highest) = matching().map(|found| &found.version).max() else {
        let pre_releases_only = versions.iter().all(|found| found.version.is_pre_release());
        let near = if versions.is_empty() {
            tags::anything_like(request.as_str(), tags.refs)
        } else {
            tags::highest(versions.into_owned())
        };
        return Err(ResolveError::NoMatch {
            request: request.clone(),
            pre_releases_only,
            near,
        });
    };
    // `1.2.0` and `v1.2.0` are the same version. They take precedence over other spellings, such as
    // `V1.2.0` and `1.02.0`.
    let spelled = || versions.iter().filter(|found| found.version == *highest);
    let has_semver = spelled().any(|found| found.version.spelling.is_semver);
    let found: Vec<(&str, &RefEntry)> = spelled()
        .filter(|found| found.version.spelling.is_semver == has_semver)
        .map(|found| (found.name, found.entry))
        .collect();
    let resolved = one_commit(&found)?.ok_or_else(|| ResolveError::NoMatch {
        request: request.clone(),
        pre_releases_only: false,
        near: Vec::new(),
    })?;
    let not_read = tags.not_read(environment, Some(range), highest);
    Ok(Resolved {
        warning: not_read.map(|name| {
            format!(
                "`{}` looks like a higher version than `{}`, and is not read as one; `ref` can name it",
                escape(name, 120),
                escape(&resolved.name, 120)
            )
        }),
        ..resolved
    })
}

/// Returns the first of several spellings of one version, or an error if they are different
/// commits.
fn one_commit(found: &[(&str, &RefEntry)]) -> Result<Option<Resolved>, ResolveError> {
    let Some(((name, entry), others)) = found.split_first() else {
        return Ok(None);
    };
    match others.iter().find(|(_, other)| other.target != entry.target) {
        Some((other, other_entry)) => Err(ResolveError::TwoTags {
            names: [(*name).to_owned(), (*other).to_owned()],
            commits: [entry.target, other_entry.target],
        }),
        None => Ok(Some(tag(name, entry))),
    }
}
