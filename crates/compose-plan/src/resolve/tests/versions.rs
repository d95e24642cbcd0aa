//! Versions and ranges, and the tags that answer them.

use compose_model::{ObjectId, Refs, TreePath};

use super::{answer, commit, of, refs, version};
use crate::resolve::{Kind, ResolveError, Resolved, TagVersion, tag_version};

#[test]
fn an_exact_version_is_a_tag_with_or_without_v() {
    let refs = refs(&[
        ("tags/1.0.0", 1),
        ("tags/^v1.1.0", 2),
        ("tags/2.0.0", 3),
        ("tags/v2.0.0", 4),
        ("tags/3.0.0", 5),
        ("tags/^v3.0.0", 5),
    ]);
    assert_eq!(answer("eks", &version("1.0.0"), &refs), "1.0.0");
    assert_eq!(answer("eks", &version("v1.0.0"), &refs), "1.0.0");
    assert_eq!(answer("eks", &version("3.0.0"), &refs), "3.0.0");
    let annotated = of("eks", &version("1.1.0"), &refs).unwrap();
    assert_eq!(
        annotated,
        Resolved {
            name: "v1.1.0".into(),
            refname: Some("refs/tags/v1.1.0".into()),
            kind: Kind::Tag,
            commit: commit(2),
            tag_object: Some(ObjectId::from_bytes([0xaa; 20])),
            warning: None,
        }
    );
    insta::assert_snapshot!(answer("eks", &version("2.0.0"), &refs), @"the tags `2.0.0` (030303030) and `v2.0.0` (040404040) stand for one version but are different commits (name one of them with `ref: refs/tags/…`, and tell the catalog's owner)");
}

#[test]
fn a_missing_tag_names_the_nearest() {
    let refs = refs(&[
        ("tags/1.0.0", 1),
        ("tags/v1.2.0", 2),
        ("tags/1.2.3", 3),
        ("tags/1.3.0", 4),
        ("tags/4.0.0", 5),
        ("tags/5.0.0", 6),
        ("tags/x", 7),
    ]);
    insta::assert_snapshot!(answer("eks", &version("1.2.1"), &refs), @"there is no tag for version `1.2.1` (the nearest tags are `v1.2.0`, `1.2.3`, `1.3.0`, `1.0.0`)");
    insta::assert_snapshot!(answer("eks", &version("1.2"), &refs), @"there is no tag for version `1.2` (`~1.2` asks for the newest 1.2.x; the nearest tags are `1.2.3`, `v1.2.0`)");
    insta::assert_snapshot!(answer("eks", &version("9"), &refs), @"there is no tag for version `9` (the nearest tags are `5.0.0`, `4.0.0`, `1.3.0`, `1.2.3`, `v1.2.0`)");
    insta::assert_snapshot!(answer("eks", &version("^6"), &refs), @"no tag matches version `^6` (the highest tags are `5.0.0`, `4.0.0`, `1.3.0`, `1.2.3`, `v1.2.0`)");
    insta::assert_snapshot!(answer("eks", &version("1.2.1"), &Refs::default()), @"there is no tag for version `1.2.1` ()");
    // In a lower major version the highest is the nearest, in a higher one the lowest.
    insta::assert_snapshot!(answer("eks", &version("2.0.0"), &refs), @"there is no tag for version `2.0.0` (the nearest tags are `1.3.0`, `1.2.3`, `v1.2.0`, `1.0.0`, `4.0.0`)");
    insta::assert_snapshot!(answer("eks", &version("3.5.0"), &refs), @"there is no tag for version `3.5.0` (the nearest tags are `4.0.0`, `5.0.0`, `1.3.0`, `1.2.3`, `v1.2.0`)");
    let short = self::refs(&[("tags/v2", 1), ("tags/2.0.0", 2), ("tags/1.0.0", 3)]);
    insta::assert_snapshot!(answer("eks", &version("2"), &short), @"there is no tag for version `2` (`~2` asks for the newest 2.x; the nearest tags are `v2`, `2.0.0`)");
    let words = self::refs(&[("tags/stable\u{1b}[31m", 1), ("tags/old", 1)]);
    insta::assert_snapshot!(answer("eks", &version("1.0.0"), &words), @r"there is no tag for version `1.0.0` (the nearest tags are `old`, `stable\u{1b}[31m`)");
    let pre = self::refs(&[("tags/1.0.0-rc.1", 1), ("tags/1.0.0-rc.2", 1)]);
    insta::assert_snapshot!(answer("eks", &version("latest"), &pre), @"no tag matches version `latest` (there are pre-releases only, which a range must name: `1.0.0-rc.2`, `1.0.0-rc.1`)");
    assert_eq!(answer("eks", &version(">=1.0.0-rc.1"), &pre), "1.0.0-rc.2");
}

#[test]
fn a_range_takes_the_highest_in_semver_order() {
    let refs = refs(&[
        ("tags/1.2.0", 1),
        ("tags/v1.10.0", 2),
        ("tags/1.9.0", 3),
        ("tags/2.0.0-rc.1", 4),
        ("tags/10.0.0", 5),
        ("tags/11.0", 6),
        ("tags/nightly", 7),
    ]);
    for (range, tag) in [
        ("^1.2", "v1.10.0"),
        ("~1.2", "1.2.0"),
        ("1.x", "v1.10.0"),
        (">=1.3 <1.10", "1.9.0"),
        ("*", "11.0"),
        ("latest", "11.0"),
        ("<11", "10.0.0"),
        ("<2", "v1.10.0"),
        (">=2.0.0-rc.0, <3", "2.0.0-rc.1"),
        ("=1.9.0", "1.9.0"),
    ] {
        assert_eq!(answer("eks", &version(range), &refs), tag, "{range}");
    }
    let two = self::refs(&[("tags/1.2.0", 1), ("tags/v1.2.0", 2)]);
    assert!(matches!(
        of("eks", &version("^1"), &two),
        Err(ResolveError::TwoTags { .. })
    ));
}

#[test]
fn versions_that_differ_by_their_build_alone_are_ordered_by_it() {
    let refs = refs(&[
        ("tags/1.0.0", 1),
        ("tags/v1.0.0+2", 2),
        ("tags/1.0.0+10", 3),
        ("tags/1.0.0-rc.1+9", 4),
    ]);
    for (request, tag) in [
        ("1.0.0", "1.0.0"),
        ("1.0.0+2", "v1.0.0+2"),
        ("^1.0.0", "1.0.0+10"),
        ("=1.0.0", "1.0.0+10"),
        (">=1.0.0-rc.0, <1.0.0", "1.0.0-rc.1+9"),
    ] {
        assert_eq!(answer("eks", &version(request), &refs), tag, "{request}");
    }
    assert!(of("eks", &version("1.0.0+1"), &refs).is_err());
}

#[test]
fn a_partial_version_is_a_name() {
    let refs = refs(&[
        ("tags/1.0", 1),
        ("tags/1.0.5", 2),
        ("tags/v1.1", 3),
        ("tags/eks/1.0", 4),
    ]);
    assert_eq!(answer("web", &version("1.0"), &refs), "1.0");
    assert_eq!(answer("eks", &version("1.0"), &refs), "eks/1.0");
    assert_eq!(answer("web", &version("v1.1"), &refs), "v1.1");
    assert!(of("web", &version("1.1"), &refs).is_err());
}

#[test]
fn an_environments_own_tags_go_first_and_alone_answer_its_ranges() {
    for own in [
        "stacks/eks/1.0.0",
        "stacks/eks/v1.0.0",
        "stacks/eks-1.0.0",
        "stacks/eks-v1.0.0",
        "eks/1.0.0",
        "eks/v1.0.0",
        "eks-1.0.0",
        "eks-v1.0.0",
        "stacks/eks@1.0.0",
        "eks@1.0.0",
        "eks@v1.0.0",
        "@org/eks@1.0.0",
    ] {
        let tag = format!("tags/{own}");
        let refs = refs(&[
            (&tag, 1),
            ("tags/1.0.0", 2),
            ("tags/2.0.0", 3),
            ("tags/eks-addons-3.0.0", 4),
            ("tags/@org/web-eks@3.0.0", 4),
            ("tags/@/eks@3.0.0", 4),
        ]);
        assert_eq!(answer("stacks/eks", &version("1.0.0"), &refs), own);
        assert_eq!(answer("stacks/eks", &version("*"), &refs), own);
        assert_eq!(answer("web", &version("*"), &refs), "2.0.0");
        // An exact version that the environment has no tag for may be the repo's.
        assert_eq!(answer("stacks/eks", &version("2.0.0"), &refs), "2.0.0");
        assert_eq!(
            tag_version(&TreePath::new("stacks/eks").unwrap(), own),
            TagVersion::parse("1.0.0")
        );
    }
    let both = refs(&[("tags/stacks/eks/1.0.0", 1), ("tags/eks/2.0.0", 2)]);
    assert_eq!(answer("stacks/eks", &version("*"), &both), "stacks/eks/1.0.0");
    assert_eq!(answer("eks", &version("*"), &both), "eks/2.0.0");
}

/// Returns the newest of the tags for a range, with the warning.
fn newest(range: &str, tags: &[&str]) -> (String, Option<String>) {
    let tags: Vec<String> = tags.iter().map(|tag| format!("tags/{tag}")).collect();
    let entries: Vec<(&str, u8)> = tags.iter().map(String::as_str).zip(1..).collect();
    let resolved = of("eks", &version(range), &refs(&entries)).unwrap();
    (resolved.name, resolved.warning)
}

#[test]
fn tags_that_are_nearly_versions_are_ordered_by_their_numbers() {
    for (range, tags, tag) in [
        ("latest", &["2024.11.30", "2025.01.15"][..], "2025.01.15"),
        ("^1", &["v1.0.0", "v1.1", "v1.2"], "v1.2"),
        ("^1", &["1.8.0", "1.09.0"], "1.09.0"),
        ("~1.1", &["v1.0", "v1.1", "v1.2"], "v1.1"),
        ("*", &["1.2.3.9", "1.2.3.10"], "1.2.3.10"),
        ("*", &["v1", "v2", "v10"], "v10"),
        ("*", &["v1.9.0", "V1.10.0"], "V1.10.0"),
        ("*", &["eks-v1.1", "eks-v1.0.0", "3.0.0"], "eks-v1.1"),
        (">=2025.2", &["2025.01.15", "2025.02.01"], "2025.02.01"),
        // Tags that move along with others are not versions of their own.
        ("^1", &["v1", "v1.1", "v1.1.0", "v1.1.1", "v1.0.0"], "v1.1.1"),
        ("*", &["v2", "v1.9.0", "v2.0.0"], "v2.0.0"),
        ("*", &["v2", "v2.0.0-rc.1", "v1.9.0"], "v2"),
        // A single number is a version only if no other tag is one.
        ("*", &["1.2.0", "20240115"], "1.2.0"),
        ("*", &["1", "2", "10"], "10"),
        // Semver's own spelling takes precedence over another one of the same version.
        ("*", &["1.08.0", "1.8.0", "V1.8.0"], "1.8.0"),
        ("*", &["1.9.0", "1.10-rc.1"], "1.9.0"),
    ] {
        assert_eq!(newest(range, tags), (tag.to_owned(), None), "{range} {tags:?}");
    }
    assert_eq!(
        answer("eks", &version("2025.01.15"), &refs(&[("tags/2025.01.15", 1)])),
        "2025.01.15"
    );
    assert_eq!(
        answer("eks", &version("1.1.0"), &refs(&[("tags/1.1", 1)])),
        "there is no tag for version `1.1.0` (the nearest tags are `1.1`)"
    );
}

#[test]
fn a_higher_tag_that_is_not_read_as_a_version_is_reported() {
    insta::assert_snapshot!(newest("^1", &["1.0.0", "1.1.0.Final", "1.2.0.Final", "2.0.0.Final"]).1.unwrap(), @"`1.2.0.Final` looks like a higher version than `1.0.0`, and is not read as one; `ref` can name it");
    insta::assert_snapshot!(newest("*", &["v1.0.0", "v2_1"]).1.unwrap(), @"`v2_1` looks like a higher version than `v1.0.0`, and is not read as one; `ref` can name it");
    insta::assert_snapshot!(newest("*", &["eks/1.0.0", "eks/1.2.3.4.5", "9.0.0.Final"]).1.unwrap(), @"`eks/1.2.3.4.5` looks like a higher version than `eks/1.0.0`, and is not read as one; `ref` can name it");
    for (range, tags) in [
        ("~1.0", &["1.0.0", "1.1.0.Final"][..]),
        ("*", &["2.0.0", "1.1.0.Final"]),
        ("*", &["1.0.0", "2.0.0rc1", "nightly-9", "2024-01-15"]),
    ] {
        assert_eq!(newest(range, tags).1, None, "{range} {tags:?}");
    }
}

#[test]
fn a_range_that_is_offered_works() {
    let short = refs(&[("tags/v1.1", 1), ("tags/v1.0.0", 2)]);
    insta::assert_snapshot!(answer("eks", &version("1.1"), &short), @"there is no tag for version `1.1` (`~1.1` asks for the newest 1.1.x; the nearest tags are `v1.1`)");
    assert_eq!(answer("eks", &version("~1.1"), &short), "v1.1");
    insta::assert_snapshot!(answer("eks", &version("2.3"), &short), @"there is no tag for version `2.3` (the nearest tags are `v1.1`, `v1.0.0`)");
    insta::assert_snapshot!(answer("eks", &version("2025.01.16"), &short), @"there is no tag for version `2025.01.16` (the nearest tags are `v1.1`, `v1.0.0`)");
}
