//! The refs that a request asks a server for, and random versions against the semver crate.

use compose_model::{Refs, Requested, TreePath};
use proptest::prelude::*;
use semver::{Version, VersionReq};

use super::{commit, named, of, refs, version};
use crate::resolve::{TagVersion, prefixes, resolve, tag_version};

#[test]
fn only_the_refs_that_can_matter_are_asked_for() {
    let ask = |requests: &[(&str, Requested)]| {
        let requests: Vec<_> = requests
            .iter()
            .map(|(path, requested)| (TreePath::new(*path).unwrap(), requested))
            .collect();
        prefixes(requests.iter().map(|(path, requested)| (path, *requested)))
    };
    assert_eq!(
        ask(&[("eks", version("1.0.0"))]),
        [
            "1.0.0",
            "@",
            "eks-1.0.0",
            "eks-v1.0.0",
            "eks/1.0.0",
            "eks/v1.0.0",
            "eks@1.0.0",
            "eks@v1.0.0",
            "v1.0.0"
        ]
        .map(|tag| format!("refs/tags/{tag}"))
    );
    assert_eq!(ask(&[("a/b", version("1.0.0"))]).len(), 15);
    assert_eq!(
        ask(&[("eks", version("1.0"))]),
        [
            "refs/tags/1.0",
            "refs/tags/@",
            "refs/tags/eks-1.0",
            "refs/tags/eks/1.0",
            "refs/tags/eks@1.0"
        ]
    );
    assert_eq!(
        ask(&[
            ("eks", version("1.0.0")),
            ("web", version("^1")),
            ("web", named("main"))
        ]),
        ["refs/heads/main", "refs/tags/"]
    );
    assert_eq!(
        ask(&[
            ("eks", named("refs/heads/x")),
            ("eks", named(&commit(1).to_string()))
        ]),
        ["refs/heads/x"]
    );
    assert_eq!(
        ask(&[("eks", named("HEAD")), ("eks", named("refs/pull/7/head"))]),
        ["HEAD", "refs/pull/7/head"]
    );
}

fn any_version() -> impl Strategy<Value = Version> {
    (
        0u64..4,
        0u64..4,
        0u64..4,
        prop_oneof![4 => Just(""), 1 => Just("alpha.1"), 1 => Just("rc.1"), 1 => Just("rc.2")],
    )
        .prop_map(|(major, minor, patch, pre)| Version {
            pre: pre.parse().unwrap(),
            ..Version::new(major, minor, patch)
        })
}

fn any_range() -> impl Strategy<Value = String> {
    let comparator = (
        prop_oneof!["\\^", "~", ">=", "<=", ">", "<", "="],
        any_version(),
        1usize..=3,
    )
        .prop_map(|(operator, version, parts)| {
            let text = match parts {
                1 => version.major.to_string(),
                2 => format!("{}.{}", version.major, version.minor),
                _ => version.to_string(),
            };
            format!("{operator}{text}")
        });
    prop_oneof![
        proptest::collection::vec(comparator, 1..3).prop_map(|all| all.join(", ")),
        (0u64..4).prop_map(|major| format!("{major}.x")),
        Just("*".to_owned()),
    ]
}

proptest! {
    #[test]
    fn a_range_answers_what_the_semver_crate_says(
        versions in proptest::collection::btree_map(any_version(), any::<bool>(), 0..12),
        range in any_range(),
    ) {
        let tags: Vec<String> = versions.iter().map(|(version, v)| format!("tags/{}{version}", if *v { "v" } else { "" })).collect();
        let entries: Vec<(&str, u8)> = tags.iter().rev().zip(1..).map(|(tag, n)| (tag.as_str(), n)).collect();
        let oracle = VersionReq::parse(&range).unwrap();
        let expected = versions.keys().rfind(|version| oracle.matches(version)).and_then(|version| TagVersion::parse(&version.to_string()));
        let found = of("eks", &version(&range), &refs(&entries)).ok();
        let found = found.and_then(|found| tag_version(&TreePath::new("eks").unwrap(), &found.name));
        prop_assert_eq!(&found, &expected);
        // More refs change nothing.
        let noise = [("heads/9.9.9", 99), ("tags/9.9/x", 99), ("tags/web/9.9.9", 99), ("tags/web-9.9.9", 99)];
        let noisy: Vec<(&str, u8)> = entries.iter().copied().chain(noise).collect();
        let again = of("eks", &version(&range), &refs(&noisy)).ok();
        prop_assert_eq!(again.and_then(|found| tag_version(&TreePath::new("eks").unwrap(), &found.name)), found);
    }

    #[test]
    fn the_refs_asked_for_are_enough(
        versions in proptest::collection::btree_set((any_version(), 0usize..7), 0..12),
        wanted in prop_oneof![any_version().prop_map(|version| version.to_string()), any_range()],
    ) {
        let spelled = |(version, style): &(Version, usize)| match style {
            0 => format!("tags/{version}"),
            1 => format!("tags/v{version}"),
            2 => format!("tags/eks/{version}"),
            3 => format!("tags/eks-v{version}"),
            4 => format!("tags/eks@{version}"),
            5 => format!("tags/@org/eks@{version}"),
            _ => format!("tags/stacks/eks/{version}"),
        };
        let tags: Vec<String> = versions.iter().map(spelled).collect();
        let entries: Vec<(&str, u8)> = tags.iter().map(|tag| (tag.as_str(), 1)).collect();
        let all = refs(&entries);
        let (environment, requested) = (TreePath::new("stacks/eks").unwrap(), version(&wanted));
        let asked = prefixes([(&environment, &requested)]);
        let seen = Refs::new(all.iter().filter(|entry| asked.iter().any(|prefix| entry.name.starts_with(prefix.as_str()))).cloned().collect());
        prop_assert_eq!(resolve((&environment, &requested), &all).ok(), resolve((&environment, &requested), &seen).ok());
    }
}
