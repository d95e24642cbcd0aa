//! Decides which tags may answer an environment's versions.
//!
//! A catalog may version its environments separately. For `stacks/eks` the tags are searched in
//! three scopes: those that begin with the path (`stacks/eks/1.0.0`, `stacks/eks-v1.0.0`,
//! `stacks/eks@1.0.0`), those that begin with its last component (`eks/1.0.0`, `eks-v1.0.0`,
//! `eks@1.0.0`, and `@org/eks@1.0.0` with any `org`), and plain ones. An earlier scope takes
//! precedence over a later one.

use std::{borrow::Cow, cmp::Ordering, collections::HashSet, sync::OnceLock};

use compose_model::{RefEntry, Refs, TreePath, text::nearest};
use semver::{Version, VersionReq};

use super::tag_version::TagVersion;

/// The number of tags that an error lists.
const LISTED: usize = 5;

/// The start of package names in an npm scope, as changesets writes them in tags.
pub(super) const PACKAGE_SCOPE: &str = "@";

/// A tag that is a version.
#[derive(Clone)]
pub(super) struct VersionTag<'a> {
    /// The tag's whole short name.
    pub(super) name: &'a str,
    pub(super) version: TagVersion,
    pub(super) entry: &'a RefEntry,
}

/// A group of tags that belong to an environment.
struct Scope {
    /// The prefixes of the tags' names.
    prefixes: Vec<String>,
    /// The name between `@org/` and `@1.0.0`.
    package: Option<String>,
}

impl Scope {
    /// Returns the scopes of an environment, without the plain one.
    fn own(environment: &TreePath) -> Vec<Self> {
        let path = environment.as_str();
        let last = environment.file_name();
        let mut names = vec![path];
        if last != path {
            names.push(last);
        }
        names
            .into_iter()
            .map(|name| Self {
                prefixes: ["/", "-", "@"].map(|end| format!("{name}{end}")).into(),
                package: (name == last).then(|| name.to_owned()),
            })
            .collect()
    }

    /// Returns the scope of tags that are plain versions.
    fn plain() -> Self {
        Self {
            prefixes: vec![String::new()],
            package: None,
        }
    }

    fn all(environment: &TreePath) -> Vec<Self> {
        let mut all = Self::own(environment);
        all.push(Self::plain());
        all
    }

    /// Returns the names that a tag `name` may have in this scope, except in packages.
    fn named<'s>(&'s self, name: &'s str) -> impl Iterator<Item = String> + 's {
        self.prefixes.iter().map(move |prefix| format!("{prefix}{name}"))
    }

    /// Returns the rest of a tag of this scope.
    fn strip<'t>(&self, tag: &'t str) -> Option<&'t str> {
        let prefixed = self
            .prefixes
            .iter()
            .find_map(|prefix| tag.strip_prefix(prefix.as_str()));
        prefixed.or_else(|| self.strip_package(tag))
    }

    fn strip_package<'t>(&self, tag: &'t str) -> Option<&'t str> {
        let (org, rest) = tag.strip_prefix(PACKAGE_SCOPE)?.split_once('/')?;
        let version = rest.strip_prefix(self.package.as_deref()?)?.strip_prefix('@')?;
        (!org.is_empty()).then_some(version)
    }

    /// Returns the tags of this scope, sorted by name, each with its name and the rest of it.
    fn tags<'a>(&self, refs: &'a Refs) -> Vec<(&'a str, &'a str, &'a RefEntry)> {
        let mut found = Vec::new();
        for prefix in &self.prefixes {
            found.extend(refs.tags_after(prefix).map(|(rest, entry)| {
                let name = &entry.name[entry.name.len() - rest.len() - prefix.len()..];
                (name, rest, entry)
            }));
        }
        if self.package.is_some() {
            found.extend(refs.tags_after(PACKAGE_SCOPE).filter_map(|(after, entry)| {
                let name = &entry.name[entry.name.len() - after.len() - PACKAGE_SCOPE.len()..];
                Some((name, self.strip_package(name)?, entry))
            }));
        }
        found.sort_by_key(|(name, ..)| *name);
        found
    }
}

/// Returns the names that the tag of an exact version may have, except in packages.
pub(super) fn exact_names(environment: &TreePath, version: &Version) -> Vec<String> {
    let scopes = Scope::all(environment);
    spellings(version)
        .iter()
        .flat_map(|name| scopes.iter().flat_map(|scope| scope.named(name)))
        .collect()
}

fn spellings(version: &Version) -> [String; 2] {
    [version.to_string(), format!("v{version}")]
}

/// Returns the names that a tag of exactly this name may have in the scopes, first scope first.
pub(crate) fn named(environment: &TreePath, name: &str) -> Vec<String> {
    Scope::all(environment)
        .iter()
        .flat_map(|scope| scope.named(name).collect::<Vec<_>>())
        .collect()
}

/// Returns whether a tag has exactly this name for an environment.
pub(crate) fn is_named(environment: &TreePath, name: &str, tag: &str) -> bool {
    Scope::all(environment)
        .iter()
        .any(|scope| scope.strip(tag) == Some(name))
}

/// Returns whether a tag stands for an exact version of an environment.
pub(crate) fn is_exact(environment: &TreePath, version: &Version, tag: &str) -> bool {
    spellings(version)
        .iter()
        .any(|name| is_named(environment, name, tag))
}

/// Returns a tag's name without the prefix of an environment.
pub(super) fn without_scope<'t>(environment: &TreePath, tag: &'t str) -> Option<&'t str> {
    Scope::all(environment).iter().find_map(|scope| scope.strip(tag))
}

/// Returns the version that a tag stands for in an environment. `eks/v1.0.0` is 1.0.0 for `eks` and
/// `stacks/eks`.
pub fn tag_version(environment: &TreePath, tag: &str) -> Option<TagVersion> {
    Scope::all(environment)
        .iter()
        .find_map(|scope| TagVersion::parse(scope.strip(tag)?))
}

/// A repo's tags. Plain versions are the same for all environments and are read once.
pub(super) struct Tags<'a> {
    pub(super) refs: &'a Refs,
    plain: OnceLock<Vec<VersionTag<'a>>>,
}

impl<'a> Tags<'a> {
    pub(super) fn new(refs: &'a Refs) -> Self {
        let plain = OnceLock::new();
        Self { refs, plain }
    }

    /// Returns the tags of an exact version, by scope.
    pub(super) fn exact(
        &self,
        environment: &TreePath,
        version: &Version,
    ) -> Vec<Vec<(&'a str, &'a RefEntry)>> {
        let spellings = spellings(version);
        let refs = self.refs;
        let of = |scope: Scope| {
            let names = spellings
                .iter()
                .flat_map(|spelling| scope.named(spelling).collect::<Vec<_>>());
            let mut found: Vec<(&'a str, &'a RefEntry)> = names
                .filter_map(|name| {
                    let entry = refs.tag(&name)?;
                    Some((&entry.name[entry.name.len() - name.len()..], entry))
                })
                .collect();
            found.extend(scope.package.iter().flat_map(|_| {
                let tags = scope.tags(refs).into_iter();
                tags.filter(|(name, rest, _)| {
                    name.starts_with(PACKAGE_SCOPE) && spellings.iter().any(|spelling| spelling == rest)
                })
                .map(|(name, _, entry)| (name, entry))
            }));
            found
        };
        Scope::all(environment).into_iter().map(of).collect()
    }

    /// Returns the tag of exactly this name, from the first scope that has it.
    pub(super) fn named(&self, environment: &TreePath, wanted: &str) -> Option<(&'a str, &'a RefEntry)> {
        Scope::all(environment).iter().find_map(|scope| {
            let mut tags = scope.tags(self.refs).into_iter();
            let (name, _, entry) = tags.find(|(_, rest, _)| *rest == wanted)?;
            Some((name, entry))
        })
    }

    /// Returns the tags that answer the environment's ranges, by name: those of the first scope
    /// that has any.
    pub(super) fn versions(&self, environment: &TreePath) -> Cow<'_, [VersionTag<'a>]> {
        match self.own(environment) {
            Some((_, own)) => Cow::Owned(own),
            None => Cow::Borrowed(self.plain.get_or_init(|| self.in_scope(&Scope::plain()))),
        }
    }

    /// Returns whether an environment has tags of its own.
    pub(super) fn has_own(&self, environment: &TreePath) -> bool {
        self.own(environment).is_some()
    }

    /// Returns the highest stable tag that names no environment.
    pub(super) fn newest_plain(&self) -> Option<String> {
        let plain = self.plain.get_or_init(|| self.in_scope(&Scope::plain()));
        let stable = plain.iter().filter(|tag| !tag.version.is_pre_release());
        stable
            .max_by(|a, b| a.version.cmp(&b.version))
            .map(|tag| tag.name.to_owned())
    }

    fn own(&self, environment: &TreePath) -> Option<(Scope, Vec<VersionTag<'a>>)> {
        Scope::own(environment).into_iter().find_map(|scope| {
            let found = self.in_scope(&scope);
            (!found.is_empty()).then_some((scope, found))
        })
    }

    fn in_scope(&self, scope: &Scope) -> Vec<VersionTag<'a>> {
        let read = scope
            .tags(self.refs)
            .into_iter()
            .filter_map(|(name, rest, entry)| {
                let version = TagVersion::parse(rest)?;
                Some(VersionTag { name, version, entry })
            });
        without_aliases(read.collect())
    }

    /// Returns the highest tag above `chosen` that looks like a version in the range but is not
    /// read as one.
    pub(super) fn not_read(
        &self,
        environment: &TreePath,
        range: Option<&VersionReq>,
        chosen: &TagVersion,
    ) -> Option<&'a str> {
        let scope = self
            .own(environment)
            .map_or_else(Scope::plain, |(scope, _)| scope);
        scope
            .tags(self.refs)
            .into_iter()
            .filter(|(_, rest, _)| TagVersion::parse(rest).is_none())
            .filter_map(|(name, rest, _)| Some((TagVersion::resembled(rest)?, name)))
            .filter(|(version, _)| version > chosen && range.is_none_or(|range| version.is_in(range)))
            .max()
            .map(|(_, name)| name)
    }
}

/// Returns the tags without those that move along with others, such as `v1` and `v1.2` beside
/// `v1.2.3`. A single number without a `v` is a version only if no tag has more numbers: beside
/// `1.2.3`, the tag `20240115` is a date.
fn without_aliases(mut tags: Vec<VersionTag<'_>>) -> Vec<VersionTag<'_>> {
    if tags.iter().all(|tag| tag.version.spelling.numbers >= 3) {
        return tags;
    }
    let mut fuller: HashSet<(u64, Option<u64>)> = HashSet::new();
    for VersionTag { version, .. } in tags.iter().filter(|tag| !tag.version.is_pre_release()) {
        if version.spelling.numbers >= 2 {
            fuller.insert((version.semver.major, None));
        }
        if version.spelling.numbers >= 3 {
            fuller.insert((version.semver.major, Some(version.semver.minor)));
        }
    }
    let is_single = tags.iter().all(|tag| tag.version.spelling.numbers == 1);
    tags.retain(|VersionTag { version, .. }| {
        let Version { major, minor, .. } = version.semver;
        match version.spelling.numbers {
            1 => (is_single || version.spelling.has_v) && !fuller.contains(&(major, None)),
            2 => !fuller.contains(&(major, Some(minor))),
            _ => true,
        }
    });
    tags
}

/// Returns the newest tag that stands for a version of an environment. Pre-releases count only if
/// `pre_releases` is set.
pub(super) fn newest(environment: &TreePath, tags: &Tags<'_>, pre_releases: bool) -> Option<String> {
    let found = tags.versions(environment);
    let fits = found
        .iter()
        .filter(|tag| pre_releases || !tag.version.is_pre_release());
    fits.max_by(|a, b| a.version.cmp(&b.version))
        .map(|tag| tag.name.to_owned())
}

/// Returns the tags nearest to an exact version, nearest first. Other majors are included only if
/// the version's own major has no tags.
pub(super) fn near(environment: &TreePath, wanted: &Version, tags: &Tags<'_>) -> Vec<String> {
    let mut found = tags.versions(environment).into_owned();
    if found.is_empty() {
        return anything_like(&wanted.to_string(), tags.refs);
    }
    found.sort_by_key(|tag| {
        let v = &tag.version.semver;
        // In a lower major, the highest minor is the nearest; in a higher one, the lowest.
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
        .filter(|tag| tag.version.semver.major == wanted.major)
        .count();
    found.truncate(if same_major == 0 {
        LISTED
    } else {
        same_major.min(LISTED)
    });
    found.into_iter().map(|tag| tag.name.to_owned()).collect()
}

/// Returns the tag that differs from a partial version only in its `v`, followed by the tags that
/// the version begins (`1.0` begins `1.0.3`), or by the highest tags if there are none.
pub(super) fn beginning_with(environment: &TreePath, partial: &str, tags: &Tags<'_>) -> Vec<String> {
    let found = tags.versions(environment).into_owned();
    if found.is_empty() {
        return anything_like(partial, tags.refs);
    }
    let bare = partial.trim_start_matches(['v', 'V']);
    let other = if bare == partial {
        format!("v{bare}")
    } else {
        bare.to_owned()
    };
    let respelled = tags.named(environment, &other).map(|(name, _)| name);
    let mut near: Vec<String> = respelled.into_iter().map(str::to_owned).collect();
    let beginning = format!("{bare}.");
    let (matching, others): (Vec<_>, Vec<_>) = found
        .into_iter()
        .partition(|tag| tag.version.semver.to_string().starts_with(&beginning));
    near.extend(highest(if matching.is_empty() { others } else { matching }));
    let mut listed = HashSet::new();
    near.retain(|name| listed.insert(name.clone()));
    near.truncate(LISTED);
    near
}

/// Returns the names of the highest tags, highest first.
pub(super) fn highest(mut tags: Vec<VersionTag<'_>>) -> Vec<String> {
    tags.sort_by(|a, b| b.version.cmp(&a.version).then_with(|| a.name.cmp(b.name)));
    tags.into_iter()
        .take(LISTED)
        .map(|tag| tag.name.to_owned())
        .collect()
}

/// Returns the nearest tags of a repo whose tags are not versions.
pub(super) fn anything_like(wanted: &str, refs: &Refs) -> Vec<String> {
    let like = nearest(wanted, refs.tags().map(|(name, _)| name), LISTED);
    let found: Vec<&str> = if like.is_empty() {
        refs.tags().map(|(name, _)| name).take(LISTED).collect()
    } else {
        like
    };
    found.into_iter().map(str::to_owned).collect()
}
