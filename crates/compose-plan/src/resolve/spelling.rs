//! The spelling of a tag's version in a config.

use compose_model::{Refs, Requested, TreePath, VersionRequest, version::VersionKind};

use super::{Resolver, tags};

/// How far a version that is written into a config may move by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Bounds {
    /// Not at all: `1.2.3`.
    #[default]
    Exact,
    /// To later patches: `~1.2.3`.
    Minor,
    /// To whatever semver calls compatible: `^1.2.3`.
    Major,
}

/// Returns the `version` that stands for this tag of an environment, without the environment's prefix and without a
/// `v`: `1.2.3` for `eks/v1.2.3`. `None` if no version stands for just this tag.
///
/// A range is written only for a version by semver's rules.
pub fn spelled(environment: &TreePath, tag: &str, bounds: Bounds, refs: &Refs) -> Option<VersionRequest> {
    let name = tags::without_scope(environment, tag)?;
    let resolver = Resolver::new(refs);
    let stands_for_it = |version: &VersionRequest| {
        let requested = Requested::Version(version.clone());
        resolver
            .resolve(environment, &requested)
            .is_ok_and(|found| found.name == tag)
    };
    let bare = name.strip_prefix('v').unwrap_or(name);
    let exact = [bare, name]
        .into_iter()
        .filter_map(|text| VersionRequest::parse(text).ok())
        .filter(|version| !matches!(version.kind(), VersionKind::Range(_)))
        .find(stands_for_it)?;
    let operator = match bounds {
        Bounds::Exact => return Some(exact),
        Bounds::Minor => "~",
        Bounds::Major => "^",
    };
    match exact.kind() {
        VersionKind::Exact(version) => VersionRequest::parse(&format!("{operator}{version}")).ok(),
        _ => Some(exact),
    }
}

#[cfg(test)]
mod tests {
    use compose_model::{CommitId, ObjectId, RefEntry};

    use super::*;

    #[test]
    fn a_tag_is_spelled_as_a_version_that_leads_back_to_it() {
        let tag = |name: &&str| RefEntry {
            name: format!("refs/tags/{name}"),
            object: ObjectId::from_bytes([1; 20]),
            target: CommitId(ObjectId::from_bytes([1; 20])),
            symref: None,
        };
        let refs = |names: &[&str]| Refs::new(names.iter().map(tag).collect());
        let eks = TreePath::new("stacks/eks").unwrap();
        for (name, bounds, expected) in [
            ("v1.2.3", Bounds::Exact, Some("1.2.3")),
            ("1.2.3", Bounds::Minor, Some("~1.2.3")),
            ("eks/v1.2.3", Bounds::Major, Some("^1.2.3")),
            ("eks@1.2.3-rc.1", Bounds::Exact, Some("1.2.3-rc.1")),
            ("2025.01.15", Bounds::Exact, Some("2025.01.15")),
            ("2025.01.15", Bounds::Major, Some("2025.01.15")),
            ("v1.1", Bounds::Exact, Some("v1.1")),
            ("release-7", Bounds::Exact, None),
        ] {
            let found = spelled(&eks, name, bounds, &refs(&[name]));
            assert_eq!(found.as_ref().map(VersionRequest::as_str), expected, "{name}");
        }
        // The environment's own tag answers first, so that no version stands for the plain one.
        assert_eq!(
            spelled(&eks, "1.2.3", Bounds::Exact, &refs(&["1.2.3", "eks/1.2.3"])),
            None
        );
    }
}
