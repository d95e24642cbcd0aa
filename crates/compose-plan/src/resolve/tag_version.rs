//! Reads the names of tags as versions.
//!
//! A tag is a version if it is one by semver's rules, with or without a `v`. Catalogs also have
//! tags that people regard as versions: `v1.1`, `2025.01.15`, `1.2.3.4`, `V1.0.0`. These are read
//! by their numbers.

use std::cmp::Ordering;

use semver::{BuildMetadata, Prerelease, Version, VersionReq};

/// The greatest count of numbers in a version.
const MOST_NUMBERS: usize = 4;

/// Words that mark a pre-release, however they are attached to the numbers.
const PRE_RELEASES: [&str; 8] = [
    "alpha",
    "beta",
    "dev",
    "milestone",
    "nightly",
    "pre",
    "rc",
    "snapshot",
];

/// A version as a tag's name spells it. Two spellings with the same numbers are equal.
#[derive(Clone, Debug)]
pub struct TagVersion {
    /// The first three numbers, with zeros for missing ones. Ranges are matched against this.
    pub(super) semver: Version,
    /// The fourth number.
    fourth: Option<u64>,
    pub(super) spelling: Spelling,
}

/// The spelling of a version in a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spelling {
    /// Whether the tag is a version by semver's rules, with or without a lower-case `v`.
    pub(super) is_semver: bool,
    /// Whether there is a `v` or a `V`.
    pub(super) has_v: bool,
    /// The count of numbers.
    pub(super) numbers: usize,
}

impl TagVersion {
    /// Reads the name of a tag, without the prefix of an environment.
    pub(super) fn parse(name: &str) -> Option<Self> {
        let bare = name.strip_prefix('v').unwrap_or(name);
        let has_v = name.starts_with(['v', 'V']);
        if let Ok(semver) = Version::parse(bare) {
            return Some(Self {
                semver,
                fourth: None,
                spelling: Spelling {
                    is_semver: true,
                    has_v,
                    numbers: 3,
                },
            });
        }
        let bare = bare.strip_prefix('V').filter(|_| bare == name).unwrap_or(bare);
        let (numbers, suffix) = bare.split_at(bare.find(['-', '+']).unwrap_or(bare.len()));
        let numbers = read_numbers(numbers)?;
        // `2024-01-15` is a date, not the pre-release `01-15` of 2024.
        if numbers.len() == 1 && !has_v && !suffix.is_empty() {
            return None;
        }
        let suffix = Version::parse(&format!("0.0.0{suffix}")).ok()?;
        let number = |index: usize| numbers.get(index).copied().unwrap_or(0);
        Some(Self {
            semver: Version {
                major: number(0),
                minor: number(1),
                patch: number(2),
                pre: suffix.pre,
                build: suffix.build,
            },
            fourth: numbers.get(3).copied(),
            spelling: Spelling {
                is_semver: false,
                has_v,
                numbers: numbers.len(),
            },
        })
    }

    /// Reads the numbers at the start of a tag that [`TagVersion::parse`] does not read, such as
    /// `2.0.0.Final`. Returns `None` for tags that do not look like a version, and for
    /// pre-releases.
    pub(super) fn resembled(name: &str) -> Option<Self> {
        let has_v = name.starts_with(['v', 'V']);
        let bare = name.strip_prefix(['v', 'V']).unwrap_or(name);
        let end = bare
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(bare.len());
        let (numbers, suffix) = bare.split_at(end);
        let numbers: Vec<u64> = numbers
            .trim_end_matches('.')
            .split('.')
            .map(|number| number.parse().ok())
            .collect::<Option<_>>()?;
        let suffix = suffix.to_ascii_lowercase();
        let is_pre_release = PRE_RELEASES.iter().any(|word| suffix.contains(word));
        if is_pre_release || numbers.len() < 2 && !has_v {
            return None;
        }
        let number = |index: usize| numbers.get(index).copied().unwrap_or(0);
        Some(Self {
            semver: Version::new(number(0), number(1), number(2)),
            fourth: numbers.get(3).copied(),
            spelling: Spelling {
                is_semver: false,
                has_v,
                numbers: numbers.len(),
            },
        })
    }

    /// Returns whether the version is a pre-release.
    pub fn is_pre_release(&self) -> bool {
        !self.semver.pre.is_empty()
    }

    /// Returns whether a range contains the version.
    pub fn is_in(&self, range: &VersionReq) -> bool {
        range.matches(&self.semver)
    }

    fn key(&self) -> (u64, u64, u64, Option<u64>, &Prerelease, &BuildMetadata) {
        let Version {
            major,
            minor,
            patch,
            pre,
            build,
        } = &self.semver;
        (*major, *minor, *patch, self.fourth, pre, build)
    }
}

fn read_numbers(text: &str) -> Option<Vec<u64>> {
    let numbers: Vec<u64> = text
        .split('.')
        .map(|number| {
            let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
            is_number.then(|| number.parse().ok()).flatten()
        })
        .collect::<Option<_>>()?;
    (numbers.len() <= MOST_NUMBERS).then_some(numbers)
}

impl PartialEq for TagVersion {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for TagVersion {}

impl PartialOrd for TagVersion {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for TagVersion {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_ordered_by_their_numbers() {
        let ascending = [
            "1.0.0-rc.1",
            "v1.0.0",
            "1.0.0.1",
            "1.0.0.10",
            "v1.1",
            "V1.2.0",
            "1.8.0",
            "1.09.0",
            "v1.10-rc.1",
            "1.10",
            "v2",
            "2024.11.30",
            "2025.01.05-1",
            "2025.01.05",
            "2025.1.15",
        ];
        let read: Vec<TagVersion> = ascending
            .iter()
            .map(|name| TagVersion::parse(name).unwrap_or_else(|| panic!("{name}")))
            .collect();
        assert!(read.is_sorted_by(|a, b| a < b), "{read:#?}");
        assert_eq!(TagVersion::parse("1.09.0"), TagVersion::parse("v1.9.0"));
        for name in [
            "",
            "v",
            "main",
            "1.2.3.4.5",
            "1..2",
            ".1",
            "1.",
            "2024-01-15",
            "vV1.0.0",
            "1.0.0_1",
            "1.0-",
            "x1.0",
            "1.99999999999999999999.0",
        ] {
            assert_eq!(TagVersion::parse(name), None, "{name}");
        }
    }

    #[test]
    fn some_tags_only_look_like_versions() {
        for name in ["2.0.0.Final", "v3_1", "1.2.3.4.5", "2.0.0_1"] {
            assert!(TagVersion::resembled(name).is_some(), "{name}");
        }
        for name in [
            "main",
            "2024-01-15",
            "20240115x",
            "2.0.0rc1",
            "v2.0.0.Beta2",
            "release-1.0",
        ] {
            assert_eq!(TagVersion::resembled(name), None, "{name}");
        }
    }
}
