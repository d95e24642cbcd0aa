//! Newer versions for what a config asks for.

use compose_model::{Requested, TreePath, VersionRequest, version::VersionKind};
use semver::{Comparator, Op, Prerelease, VersionReq};

use super::{Resolver, TagVersion, spelling, tag_version, tags::VersionTag};
use crate::resolve::Bounds;

/// How far an upgrade goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// To the newest version that is compatible by semver's rules (`^` of what is there).
    Compatible,
    /// To the newest version.
    Newest,
}

/// What an upgrade makes of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Upgrade {
    /// It becomes another one.
    Moves(NewVersion),
    /// It stays.
    Left(Left),
}

/// A version that takes the place of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewVersion {
    /// The text for the config.
    pub version: VersionRequest,
    /// The tag that it resolves to, a remote's text.
    pub tag: String,
}

/// Why an upgrade leaves a request as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Left {
    /// There is no newer version.
    Newest,
    /// There are newer versions, and none of them is compatible.
    Incompatible,
    /// It is a range, which takes newer versions by itself as far as it reaches.
    Range,
    /// It is a tag that moves along with newer versions, such as `v1` beside `v1.2.3`.
    Alias,
    /// It takes every version already.
    Everything,
    /// It is a range of several conditions, or one without an upper bound.
    Compound,
    /// It is a `ref`.
    Ref,
    /// The entry ignores the newer versions.
    Ignored,
    /// No version that could be written stands for this tag alone.
    Unspelled(String),
}

impl Left {
    /// Returns a word for it, for programs.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Newest => "newest",
            Self::Incompatible => "incompatible",
            Self::Range => "range",
            Self::Alias => "alias",
            Self::Everything => "everything",
            Self::Compound => "compound",
            Self::Ref => "ref",
            Self::Ignored => "ignored",
            Self::Unspelled(_) => "unspelled",
        }
    }
}

impl Upgrade {
    /// Returns the new version, if there is one.
    pub fn moved(self) -> Option<NewVersion> {
        match self {
            Self::Moves(new) => Some(new),
            Self::Left(_) => None,
        }
    }
}

/// How a request is written.
enum Written<'a> {
    /// One version: an exact one, a calendar version, or an exact one behind `=`.
    One {
        prefix: &'a str,
        current: TagVersion,
    },
    /// A range of one condition, or a tag that moves along: the numbers of a newer version can take the place of its own.
    Moving {
        prefix: &'a str,
        parts: Vec<&'a str>,
    },
    Everything,
    Compound,
}

impl Resolver<'_> {
    /// Returns what an upgrade makes of the request of an entry. The refs must include all tags.
    pub fn upgrade(
        &self,
        environment: &TreePath,
        requested: &Requested,
        ignored: &[VersionRequest],
        reach: Reach,
    ) -> Upgrade {
        let Requested::Version(request) = requested else {
            return Upgrade::Left(Left::Ref);
        };
        if ignored.iter().any(is_everything) {
            return Upgrade::Left(Left::Ignored);
        }
        match self.written(environment, request) {
            Written::Everything => Upgrade::Left(Left::Everything),
            Written::Compound => Upgrade::Left(Left::Compound),
            Written::One { prefix, current } => {
                self.upgrade_one((environment, request), (prefix, &current), ignored, reach)
            }
            Written::Moving { prefix, parts } => {
                let upgrade = self.upgrade_range((environment, request), (prefix, &parts), ignored);
                match (upgrade, reach, request.kind()) {
                    (Upgrade::Moves(_), Reach::Compatible, VersionKind::Partial) => {
                        Upgrade::Left(Left::Alias)
                    }
                    (Upgrade::Moves(_), Reach::Compatible, _) => Upgrade::Left(Left::Range),
                    (upgrade, ..) => upgrade,
                }
            }
        }
    }

    fn written<'a>(&self, environment: &TreePath, request: &'a VersionRequest) -> Written<'a> {
        let text = request.as_str();
        let prefix = &text[..text
            .find(|c: char| c.is_ascii_digit() || "xX*".contains(c))
            .unwrap_or(0)];
        let numbers = &text[prefix.len()..];
        let numbers = &numbers[..numbers.find(['-', '+']).unwrap_or(numbers.len())];
        let moving = || Written::Moving {
            prefix,
            parts: numbers.split('.').collect(),
        };
        let one = |prefix, version: &str| {
            TagVersion::parse(version).map_or(Written::Compound, |current| Written::One { prefix, current })
        };
        match request.kind() {
            VersionKind::Exact(_) => one("", text),
            VersionKind::Partial => {
                let named = self.tags.named(environment, text).map(|(name, _)| name);
                let versions = self.tags.versions(environment);
                match named {
                    Some(tag) if !versions.iter().any(|version| version.name == tag) => moving(),
                    _ => one("", text),
                }
            }
            VersionKind::Range(range) => match range.comparators.as_slice() {
                [] => Written::Everything,
                [
                    Comparator {
                        op: Op::Exact,
                        patch: Some(_),
                        ..
                    },
                ] => one(prefix, &text[prefix.len()..]),
                [
                    Comparator {
                        op: Op::Exact | Op::Caret | Op::Tilde | Op::Wildcard,
                        ..
                    },
                ] => moving(),
                _ => Written::Compound,
            },
        }
    }

    fn upgrade_one(
        &self,
        (environment, request): (&TreePath, &VersionRequest),
        (prefix, current): (&str, &TagVersion),
        ignored: &[VersionRequest],
        reach: Reach,
    ) -> Upgrade {
        let newer = self.newer(environment, current, current.is_pre_release().then_some(current));
        let wanted: Vec<&VersionTag<'_>> = newer
            .iter()
            .filter(|tag| !is_ignored(ignored, &tag.version))
            .collect();
        let compatible = compatible_with(current);
        let fits = |tag: &&&VersionTag<'_>| reach == Reach::Newest || tag.version.is_in(&compatible);
        let Some(highest) = wanted.iter().find(fits) else {
            return Upgrade::Left(match (newer.is_empty(), wanted.is_empty()) {
                (true, _) => Left::Newest,
                (false, true) => Left::Ignored,
                (false, false) => Left::Incompatible,
            });
        };
        let same = wanted.iter().filter(|tag| tag.version == highest.version);
        let written = same.filter_map(|tag| {
            let spelled = spelling::spelled(environment, tag.name, Bounds::Exact, self.tags.refs)?;
            let plain = spelled.as_str();
            // A `v` of the user stays where the tag of just this version is still the same.
            let with_v = format!("v{plain}");
            let texts = [format!("{prefix}{plain}"), with_v];
            let keeps_v =
                request.as_str().starts_with('v') && plain.starts_with(|c: char| c.is_ascii_digit());
            let order: &[usize] = if keeps_v { &[1, 0] } else { &[0] };
            order
                .iter()
                .find_map(|at| self.new_version(environment, &texts[*at], &tag.version))
        });
        let unspelled = || Upgrade::Left(Left::Unspelled(highest.name.to_owned()));
        written.into_iter().next().map_or_else(unspelled, Upgrade::Moves)
    }

    fn upgrade_range(
        &self,
        (environment, request): (&TreePath, &VersionRequest),
        (prefix, parts): (&str, &[&str]),
        ignored: &[VersionRequest],
    ) -> Upgrade {
        let now = self
            .resolve(environment, &Requested::Version(request.clone()))
            .ok();
        let now = now.and_then(|found| tag_version(environment, &found.name));
        let lowest: Vec<&str> = parts.iter().copied().filter(|part| is_number(part)).collect();
        let Some(current) = now.or_else(|| TagVersion::parse(&format!("v{}", lowest.join(".")))) else {
            return Upgrade::Left(Left::Compound);
        };
        let is_beyond = |version: &TagVersion| match request.kind() {
            VersionKind::Range(range) => !version.is_in(range),
            // The tag moves along with all versions that begin with its numbers.
            _ => renumbered(prefix, parts, version) != request.as_str(),
        };
        let newer = self.newer(environment, &current, None);
        let beyond: Vec<&VersionTag<'_>> = newer.iter().filter(|tag| is_beyond(&tag.version)).collect();
        if beyond.is_empty() {
            return Upgrade::Left(Left::Newest);
        }
        let wanted: Vec<_> = beyond
            .into_iter()
            .filter(|tag| !is_ignored(ignored, &tag.version))
            .collect();
        let Some(highest) = wanted.first() else {
            return Upgrade::Left(Left::Ignored);
        };
        // A range reaches further than the version that it was made for, perhaps to one that is ignored.
        let moved = wanted.iter().find_map(|tag| {
            let new = self.resolved(environment, &renumbered(prefix, parts, &tag.version))?;
            let taken = tag_version(environment, &new.tag);
            let is_fine = |version: &TagVersion| *version > current && !is_ignored(ignored, version);
            (request.kind() == &VersionKind::Partial || taken.as_ref().is_some_and(is_fine)).then_some(new)
        });
        moved.map_or_else(
            || Upgrade::Left(Left::Unspelled(highest.name.to_owned())),
            Upgrade::Moves,
        )
    }

    /// Returns the stable versions above `current`, highest first, and the pre-releases of the version that `pre` is one
    /// of.
    fn newer(
        &self,
        environment: &TreePath,
        current: &TagVersion,
        pre: Option<&TagVersion>,
    ) -> Vec<VersionTag<'_>> {
        let is_wanted = |version: &TagVersion| {
            let is_same = |pre: &TagVersion| without_pre(version).semver == without_pre(pre).semver;
            version > current && (!version.is_pre_release() || pre.is_some_and(is_same))
        };
        let all = self.tags.versions(environment);
        let mut newer: Vec<_> = all
            .iter()
            .filter(|tag| is_wanted(&tag.version))
            .cloned()
            .collect();
        newer.sort_by(|a, b| b.version.cmp(&a.version).then_with(|| a.name.cmp(b.name)));
        newer
    }

    /// Returns a text as a version, if it resolves to a tag of just that version.
    fn new_version(&self, environment: &TreePath, text: &str, version: &TagVersion) -> Option<NewVersion> {
        let new = self.resolved(environment, text)?;
        (tag_version(environment, &new.tag)? == *version).then_some(new)
    }

    /// Returns a text as a version with its tag, if there is one.
    fn resolved(&self, environment: &TreePath, text: &str) -> Option<NewVersion> {
        let version = VersionRequest::parse(text).ok()?;
        let found = self
            .resolve(environment, &Requested::Version(version.clone()))
            .ok()?;
        Some(NewVersion {
            version,
            tag: found.name,
        })
    }
}

fn is_number(part: &str) -> bool {
    part.bytes().all(|byte| byte.is_ascii_digit())
}

/// Returns a range with the numbers of another version, as many as it is written with.
fn renumbered(prefix: &str, parts: &[&str], version: &TagVersion) -> String {
    let numbers = [version.semver.major, version.semver.minor, version.semver.patch];
    let part = |(at, part): (usize, &&str)| match numbers.get(at) {
        Some(number) if is_number(part) => number.to_string(),
        _ => (*part).to_owned(),
    };
    let parts: Vec<String> = parts.iter().enumerate().map(part).collect();
    format!("{prefix}{}", parts.join("."))
}

/// Returns the range of what is compatible with a version: as precise as the version is written.
fn compatible_with(version: &TagVersion) -> VersionReq {
    let (semver, numbers) = (&version.semver, version.spelling.numbers);
    VersionReq {
        comparators: vec![Comparator {
            op: Op::Caret,
            major: semver.major,
            minor: (numbers > 1).then_some(semver.minor),
            patch: (numbers > 2).then_some(semver.patch),
            pre: if numbers > 2 {
                semver.pre.clone()
            } else {
                Prerelease::EMPTY
            },
        }],
    }
}

fn without_pre(version: &TagVersion) -> TagVersion {
    let mut version = version.clone();
    version.semver.pre = Prerelease::EMPTY;
    version.semver.build = semver::BuildMetadata::EMPTY;
    version
}

fn is_everything(request: &VersionRequest) -> bool {
    matches!(request.kind(), VersionKind::Range(range) if range.comparators.is_empty())
}

/// Returns whether a version is one of those that are ignored; a range covers the pre-releases in it as well.
fn is_ignored(ignored: &[VersionRequest], version: &TagVersion) -> bool {
    ignored.iter().any(|request| match request.kind() {
        VersionKind::Range(range) => version.is_in(range) || without_pre(version).is_in(range),
        VersionKind::Exact(_) | VersionKind::Partial => {
            TagVersion::parse(request.as_str()).is_some_and(|one| one == *version)
        }
    })
}
