//! A request and a repo's refs to a commit.
//!
//! | module | holds |
//! |---|---|
//! | `tags` | which tags may answer an environment's versions |
//! | `error` | why nothing answers, and what is near |
//! | `entries` | the entries of all configs, and the nodes that they ask for |
//! | `graph` | sources that name sources: which, at which version, in which order |
//! | `replay` | one walk over all of them, for the graph |
//! | `intersect` | two requests made one |
//! | `allow` | which repos may be contacted |
//!
//! A repo is looked at once per run: [`prefixes`] says which refs all of its entries need, [`resolve`] picks from them.

mod allow;
mod entries;
mod error;
mod graph;
#[cfg(test)]
mod graph_tests;
mod intersect;
mod replay;
mod tags;
#[cfg(test)]
mod tests;

use compose_model::{
    CommitId, ObjectId, RefEntry, Refs, Requested, TreePath, VersionRequest,
    refs::{HEADS, TAGS},
    text::escape,
    version::Kind as VersionKind,
};
use semver::{Version, VersionReq};

pub use allow::{Allow, NotAllowed};
pub use entries::{MAX_DEPTH, NodeId};
pub use error::ResolveError;
pub use graph::{Graph, OrderedNode};
use tags::Tags;
pub(crate) use tags::named as tag_names;
pub use tags::tag_version;

/// What a request resolved to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// The tag's or branch's short name, or the commit id that was asked for. A remote's text: escape before printing.
    pub name: String,
    /// The full ref (`refs/tags/1.0.0`); `None` for a commit.
    pub refname: Option<String>,
    /// What `name` is.
    pub kind: Kind,
    /// The commit, with tags peeled. That it is a commit and not a tagged blob is for the fetch to find out.
    pub commit: CommitId,
    /// The tag object, for an annotated tag.
    pub tag_object: Option<ObjectId>,
    /// What the user should know although it works, in one sentence.
    pub warning: Option<String>,
}

/// What a request resolved by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A tag.
    Tag,
    /// A branch.
    Branch,
    /// A full commit id.
    Commit,
}

/// The prefix of all tags: for an error that lists what is near, and for `outdated`.
pub const fn all_tags_prefix() -> &'static str {
    TAGS
}

/// The `ls-refs` prefixes that these requests of one repo need, sorted: exact versions only the names their tags may
/// have, ranges all tags, a `ref` the branch and the tag of its name, a full commit id nothing.
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
    let tags = |names: Vec<String>| names.into_iter().map(|name| format!("{TAGS}{name}")).collect();
    match requested {
        Requested::Version(version) => match version.kind() {
            VersionKind::Exact(exact) => tags(tags::exact_names(environment, exact).concat()),
            VersionKind::Partial => tags(tags::named(environment, version.as_str())),
            VersionKind::Range(_) => vec![TAGS.to_owned()],
        },
        Requested::Ref(name) if name.parse::<CommitId>().is_ok() => Vec::new(),
        Requested::Ref(name) if name.starts_with(HEADS) || name.starts_with(TAGS) => vec![name.clone()],
        Requested::Ref(name) => vec![format!("{HEADS}{name}"), format!("{TAGS}{name}")],
    }
}

/// One repo's refs, to answer all requests for its environments.
pub struct Resolver<'a> {
    tags: Tags<'a>,
}

impl<'a> Resolver<'a> {
    /// The refs must hold what [`prefixes`] named; more of them never change a result, only what an error can list.
    pub fn new(refs: &'a Refs) -> Self {
        let tags = Tags::new(refs);
        Self { tags }
    }

    /// Finds the commit that a request asks for, for an environment of the repo.
    pub fn resolve(&self, environment: &TreePath, requested: &Requested) -> Result<Resolved, ResolveError> {
        match requested {
            Requested::Version(version) => match version.kind() {
                VersionKind::Exact(exact) => by_exact(environment, version, exact, &self.tags),
                VersionKind::Partial => by_partial(environment, version, &self.tags),
                VersionKind::Range(range) => by_range(environment, version, range, &self.tags),
            },
            Requested::Ref(name) => by_ref(name, self.tags.refs),
        }
    }

    /// The newest tag that stands for a version to an environment; pre-releases only when they are asked for.
    pub fn newest(&self, environment: &TreePath, pre_releases: bool) -> Option<String> {
        tags::newest(environment, &self.tags, pre_releases)
    }
}

/// [`Resolver::resolve`] of one request.
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
    for names in tags::exact_names(environment, exact) {
        let found: Vec<(&str, &RefEntry)> = names
            .iter()
            .filter_map(|name| Some((name.as_str(), tags.refs.tag(name)?)))
            .collect();
        if let Some(tag) = one_commit(&found)? {
            return Ok(tag);
        }
    }
    let near = tags::near(environment, exact, tags);
    Err(ResolveError::NoSuchTag {
        request: request.clone(),
        near,
    })
}

fn by_partial(
    environment: &TreePath,
    request: &VersionRequest,
    tags: &Tags<'_>,
) -> Result<Resolved, ResolveError> {
    let names = tags::named(environment, request.as_str());
    match names.iter().find_map(|name| Some((name, tags.refs.tag(name)?))) {
        Some((name, entry)) => Ok(tag(name, entry)),
        None => {
            let near = tags::beginning_with(environment, request.as_str(), tags);
            Err(ResolveError::NoSuchTag {
                request: request.clone(),
                near,
            })
        }
    }
}

fn by_range(
    environment: &TreePath,
    request: &VersionRequest,
    range: &VersionReq,
    tags: &Tags<'_>,
) -> Result<Resolved, ResolveError> {
    let versions = tags.versions(environment);
    let matching = || versions.iter().filter(|found| range.matches(&found.version));
    let Some(highest) = matching().map(|found| &found.version).max() else {
        let pre_releases_only = versions.iter().all(|found| !found.version.pre.is_empty());
        let near = tags::highest(versions.into_owned());
        return Err(ResolveError::NoMatch {
            request: request.clone(),
            pre_releases_only,
            near,
        });
    };
    // `1.2.0` and `v1.2.0` are the same version.
    let found: Vec<(&str, &RefEntry)> = versions
        .iter()
        .filter(|found| found.version == *highest)
        .map(|found| (found.name, found.entry))
        .collect();
    one_commit(&found)?.ok_or_else(|| ResolveError::NoMatch {
        request: request.clone(),
        pre_releases_only: false,
        near: Vec::new(),
    })
}

/// The first of several spellings of one version; an error when they are different commits.
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

fn by_ref(name: &str, refs: &Refs) -> Result<Resolved, ResolveError> {
    if let Ok(commit) = name.parse::<CommitId>() {
        let hidden = refs
            .branch(name)
            .or_else(|| refs.tag(name))
            .filter(|entry| entry.target != commit);
        let warning = hidden.map(|entry| {
            format!(
                "`{}` is used as a commit id, although the repo has a ref of that name",
                escape(&entry.name, 120)
            )
        });
        let name = commit.to_string();
        return Ok(Resolved {
            name,
            refname: None,
            kind: Kind::Commit,
            commit,
            tag_object: None,
            warning,
        });
    }
    if let Some(short) = name.strip_prefix(HEADS) {
        return refs
            .get(name)
            .map(|entry| branch(short, entry))
            .ok_or_else(|| error::no_such_ref(name, refs));
    }
    if let Some(short) = name.strip_prefix(TAGS) {
        return refs
            .get(name)
            .map(|entry| tag(short, entry))
            .ok_or_else(|| error::no_such_ref(name, refs));
    }
    match (refs.branch(name), refs.tag(name)) {
        (Some(branch), Some(tag)) if branch.target != tag.target => Err(ResolveError::BranchAndTag {
            name: name.to_owned(),
            branch: branch.target,
            tag: tag.target,
        }),
        (_, Some(entry)) => Ok(tag(name, entry)),
        (Some(entry), None) => Ok(branch(name, entry)),
        (None, None) => Err(error::no_such_ref(name, refs)),
    }
}

fn tag(name: &str, entry: &RefEntry) -> Resolved {
    let tag_object = (entry.object != entry.target.0).then_some(entry.object);
    Resolved {
        tag_object,
        ..named(name, entry, Kind::Tag)
    }
}

fn branch(name: &str, entry: &RefEntry) -> Resolved {
    named(name, entry, Kind::Branch)
}

fn named(name: &str, entry: &RefEntry, kind: Kind) -> Resolved {
    Resolved {
        name: name.to_owned(),
        refname: Some(entry.name.clone()),
        kind,
        commit: entry.target,
        tag_object: None,
        warning: None,
    }
}
