//! Which tags may answer an environment's versions.
//!
//! A catalog may version its environments separately. For `stacks/eks` the tags are looked for in three scopes: those that
//! begin with the path (`stacks/eks/1.0.0`, `stacks/eks-v1.0.0`), those that begin with its last component
//! (`eks/1.0.0`, `eks-v1.0.0`), and plain ones. An earlier scope goes before a later one.

use std::{borrow::Cow, cmp::Ordering, sync::OnceLock};

use compose_model::{RefEntry, Refs, TreePath, text::nearest};
use semver::Version;

/// So many tags an error lists.
const LISTED: usize = 5;

/// A tag that is a version.
#[derive(Clone)]
pub(super) struct VersionTag<'a> {
    /// The tag's whole short name.
    pub(super) name: &'a str,
    pub(super) version: Version,
    pub(super) entry: &'a RefEntry,
}

/// What the tags of each scope begin with.
fn scopes(environment: &TreePath) -> Vec<Vec<String>> {
    let mut names = vec![environment.as_str()];
    if environment.file_name() != environment.as_str() {
        names.push(environment.file_name());
    }
    let mut all: Vec<Vec<String>> = names
        .iter()
        .map(|name| vec![format!("{name}/"), format!("{name}-")])
        .collect();
    all.push(vec![String::new()]);
    all
}

/// The names that the tag of an exact version may have, by scope.
pub(super) fn exact_names(environment: &TreePath, version: &Version) -> Vec<Vec<String>> {
    let names = |scope: Vec<String>| {
        scope
            .iter()
            .flat_map(|prefix| [format!("{prefix}{version}"), format!("{prefix}v{version}")])
            .collect()
    };
    scopes(environment).into_iter().map(names).collect()
}

/// The names that a tag of exactly this name may have in the scopes, first scope first.
pub(crate) fn named(environment: &TreePath, name: &str) -> Vec<String> {
    scopes(environment)
        .concat()
        .iter()
        .map(|prefix| format!("{prefix}{name}"))
        .collect()
}

/// The version that a tag stands for, to an environment: `eks/v1.0.0` is 1.0.0 to `eks` and `stacks/eks`.
pub fn tag_version(environment: &TreePath, tag: &str) -> Option<Version> {
    scopes(environment)
        .iter()
        .find_map(|scope| version_in(scope, tag))
}

fn version_in(scope: &[String], tag: &str) -> Option<Version> {
    scope
        .iter()
        .find_map(|prefix| version_of(tag.strip_prefix(prefix.as_str())?))
}

fn version_of(bare: &str) -> Option<Version> {
    Version::parse(bare.strip_prefix('v').unwrap_or(bare)).ok()
}

/// A repo's tags. Those that are plain versions are the same for all environments, and are read once.
pub(super) struct Tags<'a> {
    pub(super) refs: &'a Refs,
    plain: OnceLock<Vec<VersionTag<'a>>>,
}

impl<'a> Tags<'a> {
    pub(super) fn new(refs: &'a Refs) -> Self {
        let plain = OnceLock::new();
        Self { refs, plain }
    }

    /// The tags that answer the environment's ranges, by name: those of the first scope that has any.
    pub(super) fn versions(&self, environment: &TreePath) -> Cow<'_, [VersionTag<'a>]> {
        let mut scopes = scopes(environment);
        // The last scope is everybody's.
        scopes.pop();
        let own = scopes.into_iter().map(|scope| self.beginning(&scope));
        match own.into_iter().find(|found| !found.is_empty()) {
            Some(own) => Cow::Owned(own),
            None => Cow::Borrowed(self.plain.get_or_init(|| self.beginning(&[String::new()]))),
        }
    }

    fn beginning(&self, scope: &[String]) -> Vec<VersionTag<'a>> {
        let refs = self.refs;
        let of = |prefix: &String| {
            let length = prefix.len();
            refs.tags_after(prefix).filter_map(move |(bare, entry)| {
                let version = version_of(bare)?;
                Some(VersionTag {
                    name: &entry.name[entry.name.len() - bare.len() - length..],
                    version,
                    entry,
                })
            })
        };
        let mut found: Vec<VersionTag<'a>> = scope.iter().flat_map(of).collect();
        found.sort_by_key(|tag| tag.name);
        found
    }
}

/// The newest tag that stands for a version to an environment; pre-releases only when they are asked for.
pub(super) fn newest(environment: &TreePath, tags: &Tags<'_>, pre_releases: bool) -> Option<String> {
    let found = tags.versions(environment);
    let fits = found
        .iter()
        .filter(|tag| pre_releases || tag.version.pre.is_empty());
    fits.max_by(|a, b| a.version.cmp(&b.version))
        .map(|tag| tag.name.to_owned())
}

/// The tags nearest to an exact version, nearest first; of other majors only when its own has none.
pub(super) fn near(environment: &TreePath, wanted: &Version, tags: &Tags<'_>) -> Vec<String> {
    let mut found = tags.versions(environment).into_owned();
    if found.is_empty() {
        return anything_like(&wanted.to_string(), tags.refs);
    }
    found.sort_by_key(|tag| {
        let v = &tag.version;
        // Below another major, its highest minor is the nearest; above, its lowest.
        let beside = |order: Ordering, wanted| match order {
            Ordering::Less => u64::MAX,
            Ordering::Equal => wanted,
            Ordering::Greater => 0,
        };
        let minor = beside(v.major.cmp(&wanted.major), wanted.minor);
        let patch = beside(
            (v.major, v.minor).cmp(&(wanted.major, wanted.minor)),
            wanted.patch,
        );
        (
            v.major.abs_diff(wanted.major),
            v.minor.abs_diff(minor),
            v.patch.abs_diff(patch),
            v.pre != wanted.pre,
        )
    });
    let same_major = found
        .iter()
        .filter(|tag| tag.version.major == wanted.major)
        .count();
    found.truncate(if same_major == 0 {
        LISTED
    } else {
        same_major.min(LISTED)
    });
    found.into_iter().map(|tag| tag.name.to_owned()).collect()
}

/// The tag that has the name of a partial version but for its `v`; then those that it is the beginning of (`1.0` of
/// `1.0.3`), else the highest.
pub(super) fn beginning_with(environment: &TreePath, partial: &str, tags: &Tags<'_>) -> Vec<String> {
    let found = tags.versions(environment).into_owned();
    if found.is_empty() {
        return anything_like(partial, tags.refs);
    }
    let bare = partial.trim_start_matches('v');
    let other = if bare == partial {
        format!("v{bare}")
    } else {
        bare.to_owned()
    };
    let mut near: Vec<String> = named(environment, &other);
    near.retain(|name| tags.refs.tag(name).is_some());
    let beginning = format!("{bare}.");
    let (matching, others): (Vec<_>, Vec<_>) = found
        .into_iter()
        .partition(|tag| tag.version.to_string().starts_with(&beginning));
    near.extend(highest(if matching.is_empty() { others } else { matching }));
    near.truncate(LISTED);
    near
}

/// The names of the highest of them, highest first.
pub(super) fn highest(mut tags: Vec<VersionTag<'_>>) -> Vec<String> {
    tags.sort_by(|a, b| b.version.cmp(&a.version).then_with(|| a.name.cmp(b.name)));
    tags.into_iter()
        .take(LISTED)
        .map(|tag| tag.name.to_owned())
        .collect()
}

/// For repos whose tags are no versions.
fn anything_like(wanted: &str, refs: &Refs) -> Vec<String> {
    let like = nearest(wanted, refs.tags().map(|(name, _)| name), LISTED);
    let found: Vec<&str> = if like.is_empty() {
        refs.tags().map(|(name, _)| name).take(LISTED).collect()
    } else {
        like
    };
    found.into_iter().map(str::to_owned).collect()
}
